//! Races of a store's callers, explored by shuttle: it chooses the interleaving at every lock and atomic.
//! Run: `RUSTFLAGS="--cfg shuttle" cargo test -p strata-cache-core --lib explore` with a target directory of its own.
//!
//! A row of a database has a version. A writer raises it, withdraws the cached one in some way, and then says so
//! (`floor`). (1) Who begins after that never gets an older version: not from the cache, and not by joining a load
//! that began before. (2) At quiescence the counts agree with each other, and nothing is left of what ran.

use shuttle::future::block_on;
use shuttle::{check_pct, check_random};

use super::support;
use crate::clock::TestClock;
use crate::engine::*;
use crate::event::RemovalCause;
use crate::expiry::Ttl;
use crate::flight::Placed;
use crate::scope;
use crate::scope::{Node, ScopePath, ScopeTree, Tags};
use crate::sync::{AtomicU64, AtomicUsize, Ordering::SeqCst, thread};

use std::time::Duration;

const RUNS: usize = 250;
const KEY: u32 = 7;

fn explore(test: impl Fn() + Send + Sync + Clone + 'static) {
    check_random(test.clone(), RUNS);
    check_pct(test, RUNS, 3);
}

/// What becomes of a caller's first lease. Later ones land.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Script {
    Land,
    Cancel,
    Fail,
}

/// How a writer withdraws what is cached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Withdraw {
    Insert,
    Remove,
    Region,
    User,
    Org,
    Clear,
}

const EVERY_WAY: [Withdraw; 6] =
    [Withdraw::Insert, Withdraw::Remove, Withdraw::Region, Withdraw::User, Withdraw::Org, Withdraw::Clear];

struct World {
    engine: Arc<Engine>,
    store: Arc<Store<u32, u64>>,
    clock: TestClock,
    user: ScopePath,
    org: ScopePath,
    version: AtomicU64,
    floor: AtomicU64,
    running: AtomicUsize,
    most: AtomicUsize,
}

impl World {
    fn new(capacity: u64) -> Arc<Self> {
        let clock = TestClock::new();
        let engine = support::small(&clock, capacity);
        let store = engine
            .regions()
            .open(&engine, RegionKey::Programmatic, "rows", support::options)
            .expect("it is the first");
        let path = |place: &dyn Fn(&ScopeTree) -> ScopePath| place(engine.registry().tree());
        let user = path(&|tree| {
            ScopePath::of(tree, &scope!(org = 1, user = 2), "test").expect("a path of the default tree")
        });
        let org =
            path(&|tree| ScopePath::of(tree, &scope!(org = 1), "test").expect("a path of the default tree"));
        let (version, floor) = (AtomicU64::new(1), AtomicU64::new(1));
        let (running, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Arc::new(Self { engine, store, clock, user, org, version, floor, running, most })
    }

    fn node(&self, path: &ScopePath) -> Option<Arc<Node>> {
        path.find(self.engine.registry()).expect("a path of the tree")
    }

    fn live_node(&self) -> Arc<Node> {
        self.user.create(self.engine.registry()).expect("a path of the tree")
    }

    fn peek(&self, key: u32) -> Option<u64> {
        let node = self.node(&self.user);
        self.store.get(&self.engine, node.as_deref(), &key, Look::Peek)
    }

    fn insert(&self, key: u32, value: u64, ttl: Option<Ttl>) {
        let write = Write { ttl, ..Write::default() };
        self.store.insert(&self.engine, &self.user, key, value, write).expect("a good write");
    }

    fn remove(&self, key: u32) -> bool {
        self.node(&self.user).is_some_and(|node| {
            let taken = self.store.remove(&self.engine, &node, &key, RemovalCause::Removed, |_| true);
            matches!(taken, Taken::Value(_))
        })
    }

    fn evict(&self, path: &ScopePath) -> u64 {
        self.node(path).map_or(0, |node| self.engine.evict(&node).entries)
    }

    fn root(&self) -> ScopePath {
        ScopePath::global(self.engine.registry().tree())
    }

    /// A reader: what it gets is not older than what was said before it began.
    fn read(&self) {
        let floor = self.floor.load(SeqCst);
        if let Some(version) = self.peek(KEY) {
            assert!(version >= floor, "read {version} after {floor} was made known");
        }
    }

    /// Get or load, as the facade does it. `None` for a call that was cancelled.
    fn load(&self, script: Script) -> Option<u64> {
        self.load_for(script, Enough::Stored)
    }

    /// A writer who says nothing of it and loads anew: what was stored is served until then, and not from then on.
    fn renew(&self, script: Script) {
        let version = self.version.fetch_add(1, SeqCst) + 1;
        if let Some(value) = self.load_for(script, Enough::LoadFromNow) {
            assert!(value >= version, "got {value}, and {version} was there");
            self.floor.fetch_max(version, SeqCst);
            self.read();
        }
    }

    fn load_for(&self, mut script: Script, mut enough: Enough) -> Option<u64> {
        let floor = self.floor.load(SeqCst);
        loop {
            let joined = self.store.join_for(&self.engine, self.live_node(), &KEY, &Tags::none(), enough);
            if enough == Enough::LoadFromNow {
                enough = Enough::Load;
            }
            let (lease, waited) = match joined {
                Joined::Hit(value) => (Err(value), false),
                Joined::Lead(lease) => (Ok(lease), false),
                Joined::Wait(waiting) => match block_on(waiting) {
                    Waited::Value(value) => (Err(value), true),
                    Waited::Lead(lease) => (Ok(lease), true),
                    Waited::Failed(_) | Waited::Rejoin | Waited::Outdated => continue,
                    Waited::Refused(_) | Waited::Stuck => {
                        panic!("nothing is limited or stalls for good here")
                    }
                },
                Joined::Place(place) => match block_on(place) {
                    Placed::Free => continue,
                    Placed::Stuck => panic!("nothing stalls for good here"),
                },
                Joined::Recursion | Joined::Stuck => panic!("no chain and no stall here"),
            };
            let lease = match lease {
                Ok(lease) => lease,
                Err(value) => {
                    assert!(value >= floor, "got {value} after {floor} was made known (waited: {waited})");
                    return Some(value);
                }
            };
            match std::mem::replace(&mut script, Script::Land) {
                Script::Land => return Some(self.land(lease)),
                Script::Fail => lease.fail(None),
                Script::Cancel => {
                    thread::yield_now();
                    drop(lease);
                    return None;
                }
            }
        }
    }

    /// Runs the loader and lands what it read.
    fn land(&self, lease: Lease<u32, u64>) -> u64 {
        let running = self.running.fetch_add(1, SeqCst) + 1;
        self.most.fetch_max(running, SeqCst);
        let version = self.version.load(SeqCst);
        thread::yield_now();
        self.running.fetch_sub(1, SeqCst);
        lease.land(KEY, &version, Some(Write::default()));
        version
    }

    /// A writer. With `Insert` it has to be the only one.
    fn write(&self, how: Withdraw) {
        let version = self.version.fetch_add(1, SeqCst) + 1;
        match how {
            Withdraw::Insert => self.insert(KEY, version, None),
            Withdraw::Remove => {
                self.remove(KEY);
            }
            Withdraw::Region => {
                if let Some(node) = self.node(&self.user) {
                    self.store.invalidate_scope(&self.engine, &node);
                }
            }
            Withdraw::User => {
                self.evict(&self.user);
            }
            Withdraw::Org => {
                self.evict(&self.org);
            }
            Withdraw::Clear => {
                self.evict(&self.root());
            }
        }
        self.floor.fetch_max(version, SeqCst);
        self.read();
    }

    /// Nothing runs any more.
    #[track_caller]
    fn close(&self) {
        self.read();
        let stats = self.engine.stats();
        assert_eq!(stats.flights, 0, "{stats:?}");
        let charged = self.engine.preview(&self.engine.registry().root());
        assert_eq!((stats.entries, stats.weight), (charged.entries, charged.weight), "held against charged");
        let gone = stats.removed + stats.evicted + stats.expired + stats.invalidated;
        assert_eq!(stats.inserts, stats.entries + gone, "{stats:?}");
        assert_eq!(self.engine.dead_entries.load(SeqCst), 0, "what was dead is swept, and known to be");
        assert_eq!(self.evict(&self.root()), stats.entries, "evicted against held");
        let stats = self.engine.stats();
        assert_eq!((stats.entries, stats.weight, stats.scopes), (0, 0, 0), "{stats:?}");
        assert_eq!(self.engine.dead_entries.load(SeqCst), 0);
    }
}

type Part = Box<dyn FnOnce(&World) + Send>;

fn part(run: impl FnOnce(&World) + Send + 'static) -> Part {
    Box::new(run)
}

/// Runs all parts at once, to their ends.
fn play(world: &Arc<World>, parts: Vec<Part>) {
    let threads: Vec<_> = parts
        .into_iter()
        .map(|part| {
            let world = Arc::clone(world);
            thread::spawn(move || part(&world))
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().expect("it comes home"));
}

#[test]
fn shuttle_value_that_a_renewal_has_brought_is_not_undone_by_an_older_one() {
    for script in [Script::Land, Script::Fail, Script::Cancel] {
        explore(move || {
            let world = World::new(100);
            world.insert(KEY, 1, None);
            play(
                &world,
                vec![
                    part(|world| world.renew(Script::Land)),
                    part(move |world| world.renew(script)),
                    part(|world| {
                        let _ = world.load(Script::Land);
                    }),
                ],
            );
            assert!(world.most.load(SeqCst) <= 2, "one current and one detached load");
            world.close();
        });
    }
}

#[test]
fn shuttle_renewal_does_not_store_over_a_withdrawal() {
    for how in [Withdraw::Remove, Withdraw::Insert, Withdraw::User] {
        explore(move || {
            let world = World::new(100);
            world.insert(KEY, 1, None);
            play(
                &world,
                vec![
                    part(|world| {
                        let _ = world.load_for(Script::Land, Enough::LoadFromNow);
                    }),
                    part(|world| {
                        let _ = world.load_for(Script::Fail, Enough::LoadFromNow);
                    }),
                    part(move |world| world.write(how)),
                ],
            );
            world.close();
        });
    }
}

#[test]
fn shuttle_load_that_began_before_a_withdrawal_is_neither_stored_nor_joined_after_it() {
    for how in EVERY_WAY {
        explore(move || {
            let world = World::new(100);
            play(
                &world,
                vec![
                    part(|world| {
                        let _ = world.load(Script::Land);
                    }),
                    part(|world| {
                        let _ = world.load(Script::Land);
                    }),
                    part(move |world| {
                        world.write(how);
                        world.load(Script::Land);
                    }),
                ],
            );
            assert!(world.most.load(SeqCst) <= 2, "one current and one detached load");
            world.close();
        });
    }
}

#[test]
fn shuttle_hand_over_meets_a_withdrawal_and_nothing_old_is_stored() {
    for how in EVERY_WAY {
        for script in [Script::Cancel, Script::Fail] {
            explore(move || {
                let world = World::new(100);
                play(
                    &world,
                    vec![
                        part(move |world| {
                            let _ = world.load(script);
                        }),
                        part(move |world| {
                            let _ = world.load(script);
                        }),
                        part(move |world| world.write(how)),
                        part(|world| {
                            let _ = world.load(Script::Land);
                        }),
                    ],
                );
                assert!(world.most.load(SeqCst) <= 2, "one current and one detached load");
                world.close();
            });
        }
    }
}

#[test]
fn shuttle_two_writers_who_withdraw_at_different_levels_leave_nothing_old() {
    for (one, other) in [
        (Withdraw::User, Withdraw::Org),
        (Withdraw::User, Withdraw::Remove),
        (Withdraw::Org, Withdraw::Region),
        (Withdraw::Clear, Withdraw::User),
        (Withdraw::Clear, Withdraw::Remove),
        (Withdraw::Clear, Withdraw::Org),
    ] {
        explore(move || {
            let world = World::new(100);
            play(
                &world,
                vec![
                    part(|world| {
                        let _ = world.load(Script::Land);
                    }),
                    part(move |world| world.write(one)),
                    part(move |world| {
                        world.write(other);
                        world.load(Script::Land);
                    }),
                    part(|world| {
                        world.read();
                        world.read();
                    }),
                ],
            );
            world.close();
        });
    }
}

/// `clear` puts a new root in place, and then its id: a load made in between is found by whoever withdraws next.
#[test]
fn shuttle_load_made_while_the_root_is_replaced_is_found_by_the_next_withdrawal() {
    for other in [Withdraw::Remove, Withdraw::User] {
        let play = move || {
            let world = World::new(100);
            play(
                &world,
                vec![
                    part(|world| world.write(Withdraw::Clear)),
                    part(|world| {
                        let _ = world.load(Script::Land);
                    }),
                    part(move |world| world.write(other)),
                ],
            );
            world.close();
        };
        check_random(play, 12 * RUNS);
        check_pct(play, 12 * RUNS, 4);
    }
}

#[test]
fn shuttle_stalled_leader_is_replaced_and_its_late_value_is_refused() {
    for how in [Withdraw::Insert, Withdraw::Remove, Withdraw::User] {
        explore(move || {
            let world = World::new(100);
            let Joined::Lead(stalled) = world.store.join(&world.engine, world.live_node(), &KEY) else {
                panic!("nobody else leads");
            };
            let waiter = {
                let world = Arc::clone(&world);
                thread::spawn(move || world.load(Script::Land))
            };
            play(
                &world,
                vec![
                    part(|world| {
                        world.clock.advance(Duration::from_secs(60));
                        world.engine.maintain();
                    }),
                    part(move |world| world.write(how)),
                    part(move |world| {
                        // It has read the oldest version there is.
                        let landing = stalled.land(KEY, &1, Some(Write::default()));
                        if landing == Landing::Published {
                            world.read();
                        }
                    }),
                ],
            );
            // The waiter may have joined after the look; the next one finds it.
            world.engine.maintain();
            assert!(waiter.join().expect("it comes home").is_some());
            world.close();
        });
    }
}

#[test]
fn shuttle_inserts_at_capacity_keep_the_bound_and_the_counts() {
    for capacity in [1, 2] {
        explore(move || {
            let world = World::new(capacity);
            play(&world, (0..3).map(|key| part(move |world: &World| world.insert(key, 1, None))).collect());
            let stats = world.engine.stats();
            assert!(stats.entries <= capacity, "{stats:?}");
            assert_eq!(stats.inserts, 3);
            world.close();
        });
    }
}

#[test]
fn shuttle_insert_and_remove_of_one_key_leave_exact_counts() {
    explore(|| {
        let world = World::new(100);
        play(
            &world,
            vec![
                part(|world| world.insert(KEY, 5, None)),
                part(|world| world.insert(KEY, 6, None)),
                part(|world| {
                    let _ = world.remove(KEY);
                }),
                part(|world| {
                    world.evict(&world.user);
                }),
            ],
        );
        world.close();
    });
}

/// Every entry leaves once: by an eviction that counts it, by a removal, or not at all.
#[test]
fn shuttle_nested_evictions_count_every_completed_insert_once() {
    explore(|| {
        let world = World::new(100);
        for key in 0..3 {
            world.insert(key, 1, None);
        }
        let counted = Arc::new(AtomicU64::new(0));
        let count = |act: fn(&World) -> u64| {
            let counted = Arc::clone(&counted);
            part(move |world| {
                counted.fetch_add(act(world), SeqCst);
            })
        };
        play(
            &world,
            vec![
                count(|world| world.evict(&world.user)),
                count(|world| world.evict(&world.org)),
                count(|world| world.evict(&world.root())),
                count(|world| u64::from(world.remove(1))),
                part(|world| world.engine.maintain()),
            ],
        );
        assert_eq!(counted.load(SeqCst), 3, "each once");
        assert_eq!(world.engine.stats().entries, 0);
        world.close();
    });
}

/// An insert that meets evictions at several levels counts at most once, and is stored or counted.
#[test]
fn shuttle_insert_against_nested_evictions_leaves_nothing_uncounted() {
    explore(|| {
        let world = World::new(100);
        play(
            &world,
            vec![
                part(|world| world.insert(KEY, 1, None)),
                part(|world| {
                    world.evict(&world.user);
                }),
                part(|world| {
                    world.evict(&world.org);
                }),
            ],
        );
        world.close();
    });
}

#[test]
fn shuttle_expiry_never_takes_a_fresh_entry() {
    explore(|| {
        let world = World::new(100);
        world.insert(KEY, 1, Some(Ttl::parse("1s").expect("a good ttl")));
        play(
            &world,
            vec![
                part(|world| world.clock.advance(Duration::from_secs(1))),
                part(|world| world.engine.maintain()),
                part(|world| {
                    world.engine.maintain();
                    world.read();
                }),
                part(|world| world.write(Withdraw::Insert)),
            ],
        );
        assert_eq!(world.peek(KEY), Some(2), "the fresh one is there");
        world.close();
    });
}

#[test]
fn shuttle_expired_entry_is_reloaded_once_and_what_lands_stays() {
    explore(|| {
        let world = World::new(100);
        world.insert(KEY, 1, Some(Ttl::parse("1s").expect("a good ttl")));
        world.version.store(2, SeqCst);
        world.clock.advance(Duration::from_secs(1));
        play(
            &world,
            vec![
                part(|world| assert_eq!(world.load(Script::Land), Some(2))),
                part(|world| assert_eq!(world.load(Script::Land), Some(2))),
                part(|world| world.engine.maintain()),
            ],
        );
        assert_eq!(world.most.load(SeqCst), 1);
        assert_eq!(world.peek(KEY), Some(2));
        world.close();
    });
}

#[test]
fn shuttle_sweep_takes_only_what_is_dead() {
    explore(|| {
        let world = World::new(3);
        world.insert(1, 1, None);
        world.insert(2, 1, None);
        play(
            &world,
            vec![
                part(|world| {
                    world.evict(&world.user);
                    world.insert(KEY, 1, None);
                    assert_eq!(world.peek(KEY), Some(1), "one's own insert is readable at once");
                }),
                part(|world| world.engine.maintain()),
                part(|world| {
                    world.engine.sweep_step(1);
                    world.engine.sweep_step(1);
                }),
            ],
        );
        assert_eq!(world.peek(KEY), Some(1), "what lives stays");
        assert_eq!(world.peek(1), None);
        world.close();
    });
}

#[test]
fn shuttle_overwrite_with_another_weight_against_an_eviction_leaves_exact_counts() {
    explore(|| {
        let world = World::new(100);
        world.insert(KEY, 1, None);
        play(
            &world,
            vec![
                part(|world| {
                    let write = Write { weight: Some(50), ..Write::default() };
                    world.store.insert(&world.engine, &world.user, KEY, 2, write).expect("a good write");
                }),
                part(|world| {
                    world.evict(&world.user);
                }),
            ],
        );
        world.close();
    });
}
