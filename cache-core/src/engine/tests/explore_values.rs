//! Hits against everything that takes a value away, explored by shuttle: who got a value got the whole of one that lived.
//!
//! A value knows its key and notes its drop where it can be seen for ever. (1) A reader clones only what was not dropped, before
//! and after a change of thread, and only of the key it asked for. (2) At quiescence the counts agree, within the bounds. (3) When
//! the engine is gone each value was dropped, and once.

use std::num::NonZeroU64;
use std::time::Duration;

use shuttle::{check_pct, check_random};

use super::support;
use crate::clock::TestClock;
use crate::engine::*;
use crate::epoch;
use crate::event::RemovalCause;
use crate::expiry::Ttl;
use crate::scope;
use crate::scope::{Node, ScopePath};
use crate::sync::{AtomicUsize, Mutex, Ordering::SeqCst, thread};

const RUNS: usize = 250;

/// What outlives a value.
#[derive(Debug, Default)]
struct Life {
    drops: AtomicUsize,
}

#[derive(Debug)]
struct Thing {
    key: u32,
    life: &'static Life,
    lives: Arc<Mutex<Vec<&'static Life>>>,
}

impl Thing {
    fn new(key: u32, lives: &Arc<Mutex<Vec<&'static Life>>>) -> Self {
        // Never freed, so that a fault is a number and not a crash.
        let life: &'static Life = Box::leak(Box::default());
        lives.lock().push(life);
        Self { key, life, lives: Arc::clone(lives) }
    }

    #[track_caller]
    fn check(&self, key: u32) {
        assert_eq!(self.life.drops.load(SeqCst), 0, "a value that was dropped");
        assert_eq!(self.key, key, "a foreign value");
    }
}

impl Clone for Thing {
    fn clone(&self) -> Self {
        self.check(self.key);
        let key = self.key;
        thread::yield_now();
        self.check(key);
        Self::new(key, &self.lives)
    }
}

impl Drop for Thing {
    fn drop(&mut self) {
        assert_eq!(self.life.drops.fetch_add(1, SeqCst), 0, "dropped twice");
    }
}

struct World {
    engine: Arc<Engine>,
    store: Arc<Store<u32, Thing>>,
    clock: TestClock,
    user: ScopePath,
    lives: Arc<Mutex<Vec<&'static Life>>>,
}

impl World {
    fn new(capacity: u64) -> Arc<Self> {
        let clock = TestClock::new();
        let engine = support::small(&clock, capacity);
        let store = engine.regions().open(&engine, RegionKey::Programmatic, "things", support::options);
        let user = ScopePath::of(engine.registry().tree(), &scope!(org = 1, user = 2), "test");
        Arc::new(Self {
            store: store.expect("it is the first"),
            user: user.expect("a path of the default tree"),
            engine,
            clock,
            lives: Arc::default(),
        })
    }

    fn node(&self) -> Option<Arc<Node>> {
        self.user.find(self.engine.registry()).expect("a path of the tree")
    }

    fn get(&self, key: u32) -> bool {
        let node = self.node();
        let got = self.store.get(&self.engine, node.as_deref(), &key, Look::Lookup);
        if let Some(got) = &got {
            got.check(key);
        }
        got.is_some()
    }

    fn set(&self, key: u32, ttl: Option<&str>) {
        let write = Write { ttl: ttl.map(|ttl| Ttl::parse(ttl).expect("a good ttl")), ..Write::default() };
        let thing = Thing::new(key, &self.lives);
        self.store.insert(&self.engine, &self.user, key, thing, write).expect("a good write");
    }

    fn remove(&self, key: u32) {
        if let Some(node) = self.node()
            && let Taken::Value(thing) =
                self.store.remove(&self.engine, &node, &key, RemovalCause::Removed, |_| true)
        {
            thing.check(key);
        }
    }

    fn evict_scope(&self) {
        if let Some(node) = self.node() {
            self.engine.evict(&node);
        }
    }

    fn resize(&self, capacity: u64) {
        self.engine.set_limits(NonZeroU64::new(capacity), None).unwrap();
    }

    /// Nothing runs any more: (2), and then (3).
    #[track_caller]
    fn close(this: Arc<Self>) {
        let stats = this.engine.stats();
        let most = this.engine.limits().max_entries().expect("there is a bound");
        assert!(stats.entries <= most, "{stats:?}");
        let gone = stats.removed + stats.evicted + stats.expired + stats.invalidated;
        assert_eq!(stats.inserts, stats.entries + gone, "{stats:?}");
        let charged = this.engine.preview(&this.engine.registry().root());
        assert_eq!(stats.entries, charged.entries, "held against charged");
        let alive = this.lives.lock().iter().filter(|life| life.drops.load(SeqCst) == 0).count();
        assert_eq!(alive as u64, stats.entries, "what left is dropped when maintenance has been there");
        let lives = Arc::clone(&this.lives);
        assert_eq!(Arc::strong_count(&this), 1, "everybody is home");
        drop(this);
        epoch::advance();
        epoch::collect();
        assert!(lives.lock().iter().all(|life| life.drops.load(SeqCst) == 1), "each value is dropped");
    }
}

type Part = fn(&World);

/// Explores some parts at once, in a world that was prepared.
fn explore(capacity: u64, prepare: Part, parts: &'static [Part]) {
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
        World::close(world);
    };
    check_random(test, RUNS);
    check_pct(test, RUNS, 3);
}

/// A reader of one key among others.
fn hit(world: &World) {
    world.get(1);
    world.get(2);
    world.get(1);
}

#[test]
fn shuttle_hit_against_inserts_that_evict() {
    explore(
        2,
        |world| (1..3).for_each(|key| world.set(key, None)),
        &[hit, hit, |world| {
            (3..8).for_each(|key| world.set(key, None));
        }],
    );
}

#[test]
fn shuttle_hit_against_overwrites() {
    explore(
        8,
        |world| world.set(1, None),
        &[
            |world| assert!(world.get(1) && world.get(1), "what is overwritten is never missed"),
            |world| (0..6).for_each(|_| world.set(1, None)),
            |world| world.set(1, None),
        ],
    );
}

#[test]
fn shuttle_hit_against_removals_and_new_inserts() {
    explore(
        8,
        |world| world.set(1, None),
        &[hit, hit, |world| {
            for _ in 0..3 {
                world.remove(1);
                world.set(2, None);
                world.set(1, None);
                world.remove(2);
            }
        }],
    );
}

#[test]
fn shuttle_hit_against_growth_of_the_table() {
    explore(
        64,
        |world| (1..8).for_each(|key| world.set(key, None)),
        &[
            |world| assert!(world.get(1) && world.get(7), "what is there is found while the table grows"),
            |world| (8..30).for_each(|key| world.set(key, None)),
            |world| world.engine.maintain(),
        ],
    );
}

#[test]
fn shuttle_hit_against_new_limits() {
    explore(
        4,
        |world| (1..5).for_each(|key| world.set(key, None)),
        &[
            hit,
            |world| {
                world.resize(1);
                world.resize(3);
                world.set(5, None);
            },
            |world| (6..9).for_each(|key| world.set(key, None)),
        ],
    );
}

#[test]
fn shuttle_hit_against_evictions_of_the_scope() {
    explore(
        4,
        |world| (1..4).for_each(|key| world.set(key, None)),
        &[
            hit,
            |world| {
                world.evict_scope();
                world.set(1, None);
                world.evict_scope();
            },
            |world| world.engine.maintain(),
            |world| (4..7).for_each(|key| world.set(key, None)),
        ],
    );
}

#[test]
fn shuttle_hit_against_expiry() {
    explore(
        4,
        |world| (1..4).for_each(|key| world.set(key, Some("1s"))),
        &[
            hit,
            |world| {
                world.clock.advance(Duration::from_secs(1));
                assert!(!world.get(3), "it has expired");
                world.engine.maintain();
            },
            |world| {
                world.set(2, Some("5s"));
                world.engine.maintain();
            },
        ],
    );
}

#[test]
fn shuttle_hit_against_everything() {
    explore(
        3,
        |world| (1..4).for_each(|key| world.set(key, Some("1s"))),
        &[
            hit,
            |world| {
                world.clock.advance(Duration::from_secs(1));
                world.set(1, None);
                world.resize(2);
            },
            |world| {
                world.evict_scope();
                world.remove(2);
                world.set(2, None);
                world.set(4, None);
            },
            |world| world.engine.maintain(),
        ],
    );
}

/// The path of another scope.
fn other(world: &World) -> ScopePath {
    let tree = world.engine.registry().tree();
    ScopePath::of(tree, &scope!(org = 3), "test").expect("a path of the default tree")
}

/// Segments have sixteen numbers at first, so that some are given back when one entry is left of these.
#[test]
fn shuttle_hit_against_memory_that_is_given_back() {
    explore(
        64,
        |world| {
            world.set(1, None);
            for key in 10..50 {
                let thing = Thing::new(key, &world.lives);
                let written = world.store.insert(&world.engine, &other(world), key, thing, Write::default());
                written.expect("a good write");
            }
        },
        &[
            |world| (0..6).for_each(|_| assert!(world.get(1), "who stays is found")),
            |world| {
                for key in [49, 30, 48] {
                    let node = other(world).find(world.engine.registry()).expect("a path of the tree");
                    let got = world.store.get(&world.engine, node.as_deref(), &key, Look::Lookup);
                    got.inspect(|got| got.check(key));
                }
            },
            |world| {
                let node = other(world).find(world.engine.registry()).expect("a path of the tree");
                world.engine.evict(&node.expect("it has entries"));
                world.engine.maintain();
                (4..7).for_each(|key| world.set(key, None));
                world.engine.maintain();
                assert!(world.get(1) && world.get(5), "who came meanwhile is found");
            },
            |world| {
                world.engine.maintain();
                world.engine.maintain();
            },
        ],
    );
}
