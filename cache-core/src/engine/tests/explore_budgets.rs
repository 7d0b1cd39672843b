//! Charges and releases against detachments, changes of budgets and the moves of entries that follow, explored by shuttle.
//!
//! (1) A scope that stays within its reserve, and from which nobody removes, keeps every entry. (2) At quiescence nothing is above
//! its capacity, and counts agree. (3) A scope below its reserve finds room for what it writes.

use shuttle::{check_pct, check_random};

use super::support;
use crate::clock::TestClock;
use crate::engine::*;
use crate::epoch::{Held, Pin};
use crate::error::Result;
use crate::scope;
use crate::scope::{Anchor, Budget, Node, Registry, ScopePath, Unit};
use crate::sync::{Ordering::SeqCst, thread};

const RUNS: usize = 200;

/// A resolved place, as handles are: writes there take the short way.
struct Resolved(Anchor);

impl Place for Resolved {
    fn find(&self, registry: &Registry) -> Result<Option<Arc<Node>>> {
        Ok(self.0.find(registry))
    }

    fn create(&self, registry: &Registry) -> Result<Arc<Node>> {
        self.0.create(registry)
    }

    fn resolved<'p>(&'p self, pin: &'p Pin, word: u64) -> Option<Held<'p, Node>> {
        self.0.resolved(pin, word)
    }
}

struct World {
    engine: Arc<Engine>,
    store: Arc<Store<u32, u32>>,
    /// A second region, so that two may make others pay under different locks.
    other: Arc<Store<u32, u32>>,
    quiet: ScopePath,
    loud: ScopePath,
    /// Below the loud one.
    user: ScopePath,
}

impl World {
    fn new(capacity: u64) -> Arc<Self> {
        let engine = support::small(&TestClock::new(), capacity);
        let store = engine.regions().open(&engine, RegionKey::Programmatic, "numbers", support::options);
        let other = engine.regions().open(&engine, RegionKey::Site(1, None), "others", support::options);
        let tree = engine.registry().tree().clone();
        let path = |place: &dyn crate::scope::Locate| ScopePath::of(&tree, place, "test").expect("a path");
        Arc::new(Self {
            store: store.expect("it is the first"),
            other: other.expect("it is the second"),
            quiet: path(&scope!(org = 1)),
            loud: path(&scope!(org = 2)),
            user: path(&scope!(org = 2, user = 3)),
            engine,
        })
    }

    fn set(&self, place: &ScopePath, keys: std::ops::Range<u32>) {
        for key in keys {
            self.store.insert(&self.engine, place, key, key, Write::default()).expect("a good write");
        }
    }

    fn set_other(&self, place: &ScopePath, keys: std::ops::Range<u32>) {
        for key in keys {
            self.other.insert(&self.engine, place, key, key, Write::default()).expect("a good write");
        }
    }

    /// As [`set`](Self::set), through a handle.
    fn set_by_handle(&self, place: &ScopePath, keys: std::ops::Range<u32>) {
        let resolved = Resolved(Anchor::new(self.engine.registry(), place.clone()));
        for key in keys {
            self.store.insert(&self.engine, &resolved, key, key, Write::default()).expect("a good write");
        }
    }

    fn node(&self, place: &ScopePath) -> Option<Arc<Node>> {
        place.find(self.engine.registry()).expect("a path of the tree")
    }

    fn held(&self, place: &ScopePath, keys: std::ops::Range<u32>) -> usize {
        let node = self.node(place);
        keys.filter(|key| self.store.get(&self.engine, node.as_deref(), key, Look::Peek).is_some()).count()
    }

    fn budget(&self, place: &ScopePath, budget: Option<Budget>) {
        self.engine.set_budget(place, budget).expect("it fits");
    }

    fn evict(&self, place: &ScopePath) {
        if let Some(node) = self.node(place) {
            self.engine.evict(&node);
        }
    }

    /// Nothing runs any more: (2).
    #[track_caller]
    fn check(&self) {
        let stats = self.engine.stats();
        let gone = stats.removed + stats.evicted + stats.expired + stats.invalidated;
        assert_eq!(stats.inserts, stats.entries + gone, "{stats:?}");
        assert!(stats.entries <= self.engine.limits().max_entries().expect("there is a bound"), "{stats:?}");
        let root = self.engine.registry().root();
        assert_eq!((stats.entries, stats.weight), (root.entries(), root.weight()));
        for node in [&self.quiet, &self.loud, &self.user].into_iter().filter_map(|place| self.node(place)) {
            let most = node.account().map_or(u64::MAX, |account| account.capacity(Unit::Entries));
            assert!(node.entries() <= most, "{node} holds {} of {most}", node.entries());
        }
        assert_eq!(self.engine.dead_entries.load(SeqCst), 0, "each dead entry is swept once");
    }
}

type Part = fn(&World);

/// Explores some parts at once, in a world that was prepared, and looks at what is left.
fn explore(capacity: u64, prepare: Part, parts: &'static [Part], after: Part) {
    let test = move || {
        let world = World::new(capacity);
        prepare(&world);
        let threads: Vec<_> = parts
            .iter()
            .map(|part| {
                let world = Arc::clone(&world);
                thread::spawn(move || part(&world))
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().expect("it comes home"));
        world.engine.maintain();
        world.check();
        after(&world);
    };
    check_random(test, RUNS);
    check_pct(test, RUNS, 3);
}

#[test]
fn shuttle_reserve_holds_against_two_who_need_room() {
    explore(
        6,
        |world| {
            world.budget(&world.quiet, Some(Budget::unbounded().reserve(3)));
            world.set(&world.quiet, 0..3);
        },
        &[|world| world.set(&world.loud, 0..6), |world| world.set(&world.user, 0..6)],
        |world| assert_eq!(world.held(&world.quiet, 0..3), 3, "nobody within its reserve pays for another"),
    );
}

#[test]
fn shuttle_one_entry_beyond_the_reserve_is_paid_once() {
    explore(
        5,
        |world| {
            world.budget(&world.quiet, Some(Budget::unbounded().reserve(3)));
            world.set(&world.quiet, 0..4);
            world.set(&world.loud, 0..1);
        },
        &[|world| world.set(&world.loud, 1..4), |world| world.set(&world.user, 0..3)],
        |world| assert!(world.held(&world.quiet, 0..4) >= 3, "two who ask at once take one together"),
    );
}

#[test]
fn shuttle_one_entry_beyond_the_reserve_is_paid_once_by_two_regions() {
    explore(
        4,
        |world| {
            world.budget(&world.quiet, Some(Budget::unbounded().reserve(3)));
            world.set(&world.quiet, 0..2);
            world.set_other(&world.quiet, 0..2);
        },
        &[|world| world.set(&world.loud, 0..1), |world| world.set_other(&world.user, 0..1)],
        |world| {
            let node = world.node(&world.quiet).expect("it has entries");
            assert!(
                node.entries() >= 3,
                "two who ask at once take one together: {} are left",
                node.entries()
            );
        },
    );
}

#[test]
fn shuttle_place_of_another_scope_is_taken_while_the_newcomers_is_evicted() {
    explore(
        3,
        |world| world.set(&world.quiet, 0..3),
        &[
            |world| world.set_by_handle(&world.user, 0..4),
            |world| world.evict(&world.loud),
            |world| {
                world.evict(&world.quiet);
                world.set_by_handle(&world.quiet, 3..5);
            },
        ],
        |_| {},
    );
}

#[test]
fn shuttle_reserve_is_set_while_others_need_room() {
    explore(
        6,
        |world| {
            world.set(&world.quiet, 0..2);
            world.budget(&world.quiet, Some(Budget::unbounded().reserve(1)));
        },
        &[
            |world| world.set(&world.loud, 0..6),
            |world| {
                world.budget(&world.quiet, Some(Budget::unbounded().reserve(4)));
                let before = world.held(&world.quiet, 0..2);
                world.set(&world.quiet, 10..12);
                assert!(world.held(&world.quiet, 0..2) >= before, "from now on");
                assert_eq!(world.held(&world.quiet, 10..12), 2, "what is lent comes back");
            },
        ],
        |world| assert!(world.held(&world.quiet, 10..12) == 2),
    );
}

#[test]
fn shuttle_capacity_is_kept_while_it_changes_and_the_scope_is_evicted() {
    explore(
        8,
        |world| {
            world.set(&world.user, 0..3);
            world.set(&world.loud, 0..3);
        },
        &[
            |world| world.set(&world.user, 3..7),
            |world| {
                world.budget(&world.user, Some(Budget::entries(2)));
                world.budget(&world.loud, Some(Budget::entries(3)));
                world.budget(&world.user, None);
            },
            |world| {
                world.evict(&world.loud);
                world.set(&world.user, 20..22);
            },
        ],
        |world| assert!(world.held(&world.user, 0..30) <= 3),
    );
}

#[test]
fn shuttle_entries_move_to_their_domain_while_they_are_written_removed_and_swept() {
    explore(
        6,
        |world| {
            world.set(&world.user, 0..3);
            world.set(&world.quiet, 0..2);
        },
        &[
            |world| {
                world.budget(&world.user, Some(Budget::entries(4).reserve(2)));
                world.set(&world.user, 3..5);
            },
            |world| {
                world.set(&world.quiet, 0..4);
                world.evict(&world.quiet);
            },
            |world| {
                world.set(&world.user, 1..2);
                world.engine.maintain();
            },
        ],
        |world| assert!((2..=4).contains(&world.held(&world.user, 0..5)), "within capacity and reserve"),
    );
}

#[test]
fn shuttle_level_gives_budgets_while_scopes_appear() {
    explore(
        8,
        |world| world.set(&world.quiet, 0..1),
        &[
            |world| {
                let org = world.engine.registry().tree().level("org").expect("the default tree has it");
                world.engine.set_budget_of_level(org, Some(Budget::entries(2))).expect("it fits");
            },
            |world| world.set(&world.loud, 0..5),
            |world| world.set(&world.quiet, 1..4),
        ],
        |world| {
            for place in [&world.loud, &world.quiet] {
                let node = world.node(place).expect("it has entries");
                assert_eq!(node.account().map(|account| account.capacity(Unit::Entries)), Some(2));
                assert!(node.entries() <= 2);
            }
        },
    );
}
