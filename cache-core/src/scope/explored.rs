//! Detachment, charges, look-ups and collection under every schedule a random explorer finds.
//! Run: `RUSTFLAGS="--cfg shuttle" cargo test -p strata-cache-core scope` with a target directory of its own.

use shuttle::{check_pct, check_random};

use super::*;
use crate::scope;
use crate::sync::{Arc, AtomicBool, AtomicU64, Ordering, thread};

const RUNS: usize = 1_000;

fn explore(test: fn()) {
    check_random(test, RUNS);
    check_pct(test, RUNS, 3);
}

struct World {
    registry: Registry,
    /// The registry's word before anything happened.
    word: u64,
    user: Arc<Node>,
    org: Arc<Node>,
}

fn world() -> Arc<World> {
    let registry = Registry::new(ScopeTree::default(), TrackedLevels::First);
    let user = registry.find_or_create(&scope!(org = 1, user = 2), "test").unwrap();
    let org = Arc::clone(user.parent().unwrap());
    Arc::new(World { word: registry.word(), registry, user, org })
}

fn run(threads: Vec<Box<dyn FnOnce() + Send>>) {
    let threads: Vec<_> = threads.into_iter().map(thread::spawn).collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

/// At quiescence nothing but what lives is charged to the living, whatever was under way.
#[test]
fn charges_and_releases_against_nested_detachments_leave_exact_counts() {
    explore(|| {
        let world = world();
        assert_eq!(world.user.charge(10), Charge::Live);
        let (a, b, c, d) = (world.clone(), world.clone(), world.clone(), world.clone());
        run(vec![
            Box::new(move || {
                if a.user.charge(100) == Charge::Dead {
                    a.user.release(100);
                }
            }),
            Box::new(move || {
                b.user.release(10);
            }),
            Box::new(move || {
                let _ = c.registry.detach(&c.user);
            }),
            Box::new(move || {
                let _ = d.registry.detach(&d.org);
            }),
        ]);
        let root = world.registry.root();
        assert_eq!(root.counts(), (0, 0));
        let found = world.registry.find(&scope!(org = 1), "test").unwrap().unwrap();
        assert_eq!((found.counts(), found.is_live()), ((0, 0), true));
    });
}

#[test]
fn live_charge_counts_above_a_detachment_beside_it() {
    explore(|| {
        let world = world();
        let other = world.registry.find_or_create(&scope!(org = 1, user = 3), "test").unwrap();
        let (a, b, kept) = (world.clone(), world.clone(), Arc::clone(&other));
        run(vec![
            Box::new(move || {
                assert_eq!(kept.charge(5), Charge::Live);
                kept.reweigh(2);
            }),
            Box::new(move || {
                let _ = a.registry.detach(&a.user);
            }),
            Box::new(move || {
                let _ = b.user.charge(100);
            }),
        ]);
        assert_eq!(other.counts(), (1, 7));
        assert_eq!((world.org.counts(), world.registry.root().counts()), ((1, 7), (1, 7)));
    });
}

/// Weight is charged first and taken last.
#[test]
fn detachment_that_counts_a_concurrent_charge_weighs_it() {
    explore(|| {
        let world = world();
        let charging = world.clone();
        let charge = thread::spawn(move || charging.user.charge(7));
        let taken = world.registry.detach(&world.user).expect("only one detaches");
        assert!(taken.entries == 0 || taken.weight == 7, "{taken:?}");
        // An entry that the detachment did not count is not charged either.
        assert_eq!(charge.join().unwrap() == Charge::Live, taken.entries == 1);
    });
}

/// Ledger (6): of detachments inside one another exactly one reports an entry.
#[test]
fn nested_detachments_report_every_entry_once() {
    explore(|| {
        let world = world();
        let session = world.registry.find_or_create(&scope!(org = 1, user = 2, session = 3), "test").unwrap();
        for node in [&session, &session, &world.user, &world.org] {
            assert_eq!(node.charge(1), Charge::Live);
        }
        let (entries, weight) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let nodes = [Arc::clone(&session), Arc::clone(&world.user), Arc::clone(&world.org)];
        let threads = nodes.map(|node| -> Box<dyn FnOnce() + Send> {
            let (world, entries, weight) = (world.clone(), entries.clone(), weight.clone());
            Box::new(move || {
                if let Some(taken) = world.registry.detach(&node) {
                    entries.fetch_add(taken.entries.cast_unsigned(), Ordering::SeqCst);
                    weight.fetch_add(taken.weight.cast_unsigned(), Ordering::SeqCst);
                }
            })
        });
        run(threads.into());
        assert_eq!((entries.load(Ordering::SeqCst), weight.load(Ordering::SeqCst)), (4, 4));
        assert_eq!(world.registry.root().counts(), (0, 0));
    });
}

/// Whoever knows that a detachment returned, its own or another's, or sees the word it moved, finds nothing of what it
/// detached. The nodes are detached at once; each is the user or above it.
fn check_detachments_of(nodes: fn(&World) -> Vec<Arc<Node>>) {
    let world = world();
    let anchor = Arc::new(Anchor::at(&world.registry, &scope!(org = 1, user = 2), "test").unwrap());
    assert!(anchor.find(&world.registry).is_some());
    let returned = Arc::new(AtomicBool::new(false));
    let mut threads: Vec<Box<dyn FnOnce() + Send>> = Vec::new();
    for node in nodes(&world) {
        let (world, anchor, returned) = (world.clone(), anchor.clone(), returned.clone());
        threads.push(Box::new(move || {
            world.registry.detach(&node);
            returned.store(true, Ordering::SeqCst);
            check_gone(&world, &anchor);
        }));
    }
    let reader = (world.clone(), anchor.clone());
    threads.push(Box::new(move || {
        let (world, anchor) = reader;
        for _ in 0..3 {
            let over = returned.load(Ordering::SeqCst);
            let held = anchor.find(&world.registry);
            let moved = world.registry.word() > world.word;
            let found = world.registry.find(&scope!(org = 1, user = 2), "test").unwrap();
            let moved_before = world.registry.word() > world.word;
            let looked = look(&world.registry, 2);
            assert!(looked != Some(world.user.id()) || !moved_before, "looked up after the word moved");
            let gone = |node: Option<Arc<Node>>| node.is_none_or(|node| node.id() != world.user.id());
            assert!(gone(held) || !over, "read after it was gone");
            assert!(gone(found) || !moved, "found after the word moved");
        }
    }));
    run(threads);
    check_gone(&world, &anchor);
}

/// The id of a user's node, looked up without a lock.
fn look(registry: &Registry, user: u64) -> Option<u64> {
    let place = scope!(org = 1, user = user);
    registry.with(&crate::epoch::pin(), &place, "test", |node| node.map(Node::id)).unwrap()
}

/// Nothing is locked by who looks: what somebody holds is found whatever happens beside it, and what is found stays what
/// it is while the thread is pinned.
#[test]
fn look_ups_against_creation_detachment_and_collection_find_what_is_held_and_only_that() {
    explore(|| {
        let registry = Arc::new(Registry::new(ScopeTree::default(), TrackedLevels::First));
        let held = registry.find_or_create(&scope!(org = 1, user = 2), "test").unwrap();
        let (creator, detacher, collector) = (registry.clone(), registry.clone(), registry.clone());
        let readers = [2, 3].map(|user| -> Box<dyn FnOnce() + Send> {
            let (registry, held) = (registry.clone(), held.clone());
            Box::new(move || {
                for _ in 0..2 {
                    assert_eq!(look(&registry, 2), Some(held.id()), "somebody holds it");
                    let place = scope!(org = 1, user = user);
                    let seen = |node: Option<&Node>| {
                        let Some(node) = node else { return };
                        let number = node.number();
                        thread::yield_now();
                        // The number of a node that is dropped goes to the next one.
                        let other = registry.find_or_create(&scope!(org = 1, user = 7), "test").unwrap();
                        assert_ne!(number, other.number(), "dropped under the reader");
                        assert_eq!((node.text(), node.parent().unwrap().text()), (&*user.to_string(), "1"));
                    };
                    registry.with(&crate::epoch::pin(), &place, "test", seen).unwrap();
                }
            })
        });
        let others: [Box<dyn FnOnce() + Send>; 3] = [
            Box::new(move || {
                for user in [3, 4, 5, 3] {
                    let node = creator.find_or_create(&scope!(org = 1, user = user), "test").unwrap();
                    let found = look(&creator, user);
                    assert!(found == Some(node.id()) || !node.is_live());
                }
            }),
            Box::new(move || {
                if let Some(node) = detacher.find(&scope!(org = 1, user = 3), "test").unwrap() {
                    detacher.detach(&node);
                    assert!(look(&detacher, 3) != Some(node.id()));
                }
            }),
            Box::new(move || {
                collector.collect_idle(usize::MAX);
                collector.collect_idle(usize::MAX);
            }),
        ];
        run(readers.into_iter().chain(others).collect());
        assert_eq!(look(&registry, 2), Some(held.id()));
        drop(held);
        collect(&registry);
        assert_eq!(registry.root().counts(), (0, 0));
    });
}

/// Collects until nothing is left.
fn collect(registry: &Registry) {
    for _ in 0..20 {
        crate::epoch::settle();
        registry.collect_idle(usize::MAX);
    }
    assert!(registry.is_empty() && !registry.idle_work(), "{registry:?}");
}

fn check_gone(world: &World, anchor: &Anchor) {
    let gone = world.user.id();
    let found = world.registry.find(&scope!(org = 1, user = 2), "test").unwrap();
    assert!(found.is_none_or(|node| node.id() != gone), "found by its path");
    assert!(look(&world.registry, 2) != Some(gone), "looked up by its path");
    assert!(anchor.find(&world.registry).is_none_or(|node| node.id() != gone), "found by its anchor");
    assert!(anchor.create(&world.registry).unwrap().id() != gone, "made by its anchor");
}

#[test]
fn look_up_after_a_detachment_finds_nothing_of_it() {
    explore(|| check_detachments_of(|world| vec![world.user.clone()]));
}

#[test]
fn look_up_after_one_of_several_detachments_finds_nothing_of_it() {
    explore(|| check_detachments_of(|world| vec![world.user.clone(), world.user.clone(), world.org.clone()]));
}

#[test]
fn look_up_after_a_detachment_of_the_root_finds_nothing_below_it() {
    explore(|| {
        check_detachments_of(|world| vec![world.registry.root(), world.registry.root(), world.org.clone()]);
    });
}

/// A node in use is never collected: what was charged is what is found.
#[test]
fn collection_against_creation_never_takes_a_node_in_use() {
    explore(|| {
        let world = Arc::new(Registry::new(ScopeTree::default(), TrackedLevels::First));
        let users = [2, 3, 2].map(|user| -> Box<dyn FnOnce() + Send> {
            let world = world.clone();
            Box::new(move || {
                let node = world.find_or_create(&scope!(org = 1, user = user), "test").unwrap();
                assert_eq!(node.charge(1), Charge::Live);
                let found = world.find(&scope!(org = 1, user = user), "test").unwrap();
                assert!(found.is_some_and(|found| Arc::ptr_eq(&found, &node)));
                node.release(1);
                // The entry's slot drops its hold a little later.
                thread::yield_now();
            })
        });
        let collector: Box<dyn FnOnce() + Send> = {
            let world = world.clone();
            Box::new(move || {
                world.collect_idle(usize::MAX);
                world.collect_idle(3);
            })
        };
        run(users.into_iter().chain([collector]).collect());
        // Nobody holds anything: what is left is known to be left, and goes.
        assert!(world.is_empty() || world.idle_work());
        collect(&world);
        assert_eq!(world.root().counts(), (0, 0));
    });
}

#[test]
fn collection_against_detachment_leaves_nothing_behind() {
    explore(|| {
        let registry = Arc::new(Registry::new(ScopeTree::default(), TrackedLevels::First));
        let (a, b, c) = (registry.clone(), registry.clone(), registry.clone());
        run(vec![
            Box::new(move || {
                let anchor = Anchor::at(&a, &scope!(org = 1, user = 2), "test").unwrap();
                let node = anchor.create(&a).unwrap();
                let _ = node.charge(1);
                node.release(1);
            }),
            Box::new(move || {
                if let Some(org) = b.find(&scope!(org = 1), "test").unwrap() {
                    b.detach(&org);
                }
                b.detach(&b.root());
            }),
            Box::new(move || {
                c.collect_idle(usize::MAX);
            }),
        ]);
        collect(&registry);
        assert_eq!(registry.root().counts(), (0, 0));
    });
}
