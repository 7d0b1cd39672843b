//! Withdrawals of tags against everything that may run beside them, explored by shuttle as in `explore`.
//!
//! (1) Who begins after a withdrawal returned gets nothing that was stored, or whose load began, before it. (2) Each entry is reported
//! by one withdrawal or eviction. (3) At quiescence the counts agree, and nothing is left: no cell, no number of one.

use shuttle::future::block_on;
use shuttle::{check_pct, check_random};

use super::support;
use crate::clock::TestClock;
use crate::engine::*;
use crate::event::RemovalCause;
use crate::flight::{Chain, Placed};
use crate::scope;
use crate::scope::{Node, ScopePath, Tag, Tags};
use crate::sync::{AtomicU64, Ordering::SeqCst, thread};

const RUNS: usize = 250;
const KEY: u32 = 7;

fn explore(test: impl Fn() + Send + Sync + Clone + 'static) {
    check_random(test.clone(), RUNS);
    check_pct(test, RUNS, 3);
}

/// Where all depends on one thread being held up in one place.
fn explore_one_moment(test: impl Fn() + Send + Sync + Clone + 'static) {
    check_pct(test, RUNS * 8, 2);
}

struct World {
    engine: Arc<Engine>,
    store: Arc<Store<u32, Box<u64>>>,
    org: ScopePath,
    version: AtomicU64,
    floor: AtomicU64,
    /// Entries that withdrawals and evictions have reported.
    reported: AtomicU64,
}

fn tag(text: &str) -> Tag {
    Tag::new(text).expect("a good tag")
}

fn tags(texts: &[&str]) -> Tags {
    let mut tags = Tags::none();
    texts.iter().for_each(|text| tags.add(tag(text), 0, "test").expect("few enough"));
    tags
}

impl World {
    fn new() -> Arc<Self> {
        let engine = support::small(&TestClock::new(), 1_000);
        let store = engine.regions().open(&engine, RegionKey::Programmatic, "rows", support::options);
        let store = store.expect("it is the first");
        let org = ScopePath::of(engine.registry().tree(), &scope!(org = 1), "test").expect("a good path");
        let [version, floor, reported] = [1, 0, 0].map(AtomicU64::new);
        Arc::new(Self { engine, store, org, version, floor, reported })
    }

    fn node(&self) -> Arc<Node> {
        self.org.create(self.engine.registry()).expect("a good path")
    }

    fn get(&self, key: u32) -> Option<u64> {
        let node = self.org.find(self.engine.registry()).expect("a good path");
        self.store.get(&self.engine, node.as_deref(), &key, Look::Lookup).map(|value| *value)
    }

    fn set(&self, key: u32, value: u64, texts: &[&str]) {
        let pair = (key, Box::new(value));
        self.store
            .insert_tagged(&self.engine, &self.org, pair, Write::default(), &tags(texts))
            .expect("a good write");
    }

    fn withdraw(&self, text: &str) {
        let gone = self.engine.invalidate_tag(&self.node(), &tag(text));
        self.reported.fetch_add(gone.entries, SeqCst);
    }

    fn evict(&self) {
        let gone = self.engine.evict(&self.node());
        self.reported.fetch_add(gone.entries, SeqCst);
    }

    /// A row changes: its tag is withdrawn, and then this is made known.
    fn write(&self) {
        let version = self.version.fetch_add(1, SeqCst) + 1;
        self.withdraw("row");
        self.floor.fetch_max(version, SeqCst);
        self.read();
    }

    fn read(&self) {
        let floor = self.floor.load(SeqCst);
        if let Some(version) = self.get(KEY) {
            assert!(version >= floor, "read {version} after {floor} was made known");
        }
    }

    /// Get or load, as the facade does it. The loader declares the row's tag, or adds it.
    fn load(&self, adds: bool) {
        let floor = self.floor.load(SeqCst);
        let declared = if adds { Tags::none() } else { tags(&["row"]) };
        let value = loop {
            let joined = self.store.join_for(&self.engine, self.node(), &KEY, &declared, Enough::Stored);
            let mut lease = match joined {
                Joined::Hit(value) => break *value,
                Joined::Lead(lease) => lease,
                Joined::Wait(waiting) => match block_on(waiting) {
                    Waited::Value(value) => break *value,
                    Waited::Lead(lease) => lease,
                    Waited::Rejoin | Waited::Outdated => continue,
                    Waited::Failed(_) | Waited::Refused(_) | Waited::Stuck => panic!("nothing fails here"),
                },
                Joined::Place(place) => match block_on(place) {
                    Placed::Free => continue,
                    Placed::Stuck => panic!("nothing stalls here"),
                },
                Joined::Recursion | Joined::Stuck => panic!("no chain and no stall here"),
            };
            lease.declare(&declared);
            let inside = lease.enter();
            let version = self.version.load(SeqCst);
            thread::yield_now();
            if adds {
                Chain::add_tag(tag("row")).expect("a load runs");
            }
            lease.leave(inside);
            lease.land(KEY, &Box::new(version), Some(Write::default()));
            // Who leads has asked before whatever was withdrawn meanwhile.
            break version;
        };
        assert!(value >= floor, "got {value} after {floor} was made known, adds: {adds}");
    }

    fn run(self: &Arc<Self>, threads: Vec<Box<dyn FnOnce(&World) + Send>>) {
        let run = |act: Box<dyn FnOnce(&World) + Send>| {
            let world = Arc::clone(self);
            thread::spawn(move || act(&world))
        };
        let threads: Vec<_> = threads.into_iter().map(run).collect();
        threads.into_iter().for_each(|thread| thread.join().expect("no assertion failed"));
    }

    /// At quiescence: what is there is counted, and goes without a trace.
    fn settle(&self, keys: u32) {
        self.engine.maintain();
        let held = (0..=keys).filter(|&key| self.get(key).is_some()).count() as u64;
        assert_eq!(self.node().entries(), held, "entries that are counted, and that are there");
        let stats = self.engine.stats();
        assert_eq!((stats.entries, stats.weight, stats.flights), (held, held, 0));
        assert_eq!(stats.inserts, held + stats.invalidated + stats.removed + stats.evicted + stats.expired);
        assert_eq!((stats.expired, stats.evicted), (0, 0), "nothing has a deadline, and there is room");
        assert!(!self.engine.has_dead(), "something is left to sweep");
        self.evict();
        for _ in 0..3 {
            self.engine.maintain();
        }
        assert_eq!(self.engine.stats().entries, 0);
        assert_eq!(
            (self.engine.registry().tag_sets(), self.engine.registry().len()),
            (0, 0),
            "cells are left"
        );
    }
}

fn act(act: impl FnOnce(&World) + Send + 'static) -> Box<dyn FnOnce(&World) + Send> {
    Box::new(act)
}

#[test]
fn writes_against_withdrawals_are_gone_or_there_and_counted_once() {
    explore(|| {
        let world = World::new();
        world.set(0, 0, &["a"]);
        world.run(vec![
            act(|world| {
                world.withdraw("a");
                assert_eq!(world.get(0), None, "it was there before");
            }),
            act(|world| {
                world.set(1, 1, &["a", "b"]);
                world.set(2, 2, &["a"]);
            }),
            act(|world| world.withdraw("b")),
        ]);
        let there = [1, 2].into_iter().filter(|&key| world.get(key).is_some()).count() as u64;
        assert_eq!(world.get(0), None);
        // What came too late to be counted as withdrawn counts as there.
        assert_eq!(world.node().entries(), there);
        world.settle(2);
    });
}

#[test]
fn two_withdrawals_of_one_tag_both_return_when_it_is_withdrawn() {
    explore(|| {
        let world = World::new();
        (0..2).for_each(|key| world.set(key, 1, if key == 0 { &["a"] } else { &["a", "b"] }));
        let withdraw = || {
            act(|world: &World| {
                world.withdraw("a");
                assert_eq!((world.get(0), world.get(1)), (None, None), "withdrawn, says who returned");
            })
        };
        world.run(vec![withdraw(), withdraw(), withdraw()]);
        assert_eq!(world.reported.load(SeqCst), 2);
        world.settle(2);
    });
}

#[test]
fn withdrawals_and_evictions_report_each_entry_once() {
    explore(|| {
        let world = World::new();
        for key in 0..4 {
            world.set(key, 1, [&["a"][..], &["b"], &["a", "b"], &[]][key as usize]);
        }
        world.run(vec![
            act(|world| world.withdraw("a")),
            act(|world| world.withdraw("b")),
            act(|world| world.evict()),
        ]);
        assert_eq!(world.reported.load(SeqCst), 4);
        world.settle(4);
    });
}

#[test]
fn removals_against_withdrawals_answer_what_nobody_else_counted() {
    explore(|| {
        let world = World::new();
        world.set(0, 1, &["a"]);
        world.set(1, 1, &["a"]);
        world.run(vec![
            act(|world| world.withdraw("a")),
            act(|world| {
                for key in 0..2 {
                    let cause = RemovalCause::Removed;
                    let taken = world.store.remove(&world.engine, &world.node(), &key, cause, |_| true);
                    world.reported.fetch_add(matches!(taken, Taken::Value(_)).into(), SeqCst);
                }
            }),
        ]);
        assert_eq!(world.reported.load(SeqCst), 2);
        world.settle(2);
    });
}

#[test]
fn overwrites_with_other_tags_move_the_charge_whatever_is_withdrawn() {
    for sets in [[&["a"][..], &["b"]], [&["a"], &[]], [&[], &["b"]], [&["a", "b"], &["b"]]] {
        explore(move || {
            let world = World::new();
            world.set(KEY, 1, sets[0]);
            world.run(vec![
                act(move |world| world.set(KEY, 2, sets[1])),
                act(|world| world.withdraw("a")),
                act(|world| world.withdraw("b")),
                act(|world| {
                    // While one of them is there nobody finds nothing; what is found is one of them.
                    assert!(world.get(KEY).is_none_or(|value| value == 1 || value == 2));
                }),
            ]);
            world.settle(KEY);
        });
    }
}

#[test]
fn entry_that_is_only_overwritten_is_always_found() {
    explore(|| {
        let world = World::new();
        world.set(KEY, 1, &["a"]);
        world.run(vec![
            act(|world| {
                world.set(KEY, 2, &[]);
                // The cell of the first goes.
                world.withdraw("a");
                world.set(KEY, 3, &["a"]);
            }),
            act(|world| assert!(world.get(KEY).is_some(), "one of them was there all the time")),
            act(|world| assert!(world.get(KEY).is_some(), "one of them was there all the time")),
        ]);
        assert_eq!(world.get(KEY), Some(3));
        world.settle(KEY);
    });
}

#[test]
fn readers_find_nothing_withdrawn_while_slots_and_cells_are_used_again() {
    explore(|| {
        let world = World::new();
        world.set(KEY, 1, &["row"]);
        world.run(vec![
            act(|world| {
                for _ in 0..2 {
                    world.write();
                    world.engine.maintain();
                    // The same slot and the same number of a cell, very likely.
                    let version = world.version.load(SeqCst);
                    world.set(KEY, version, &["row"]);
                }
            }),
            act(|world| (0..3).for_each(|_| world.read())),
            act(|world| (0..3).for_each(|_| world.read())),
        ]);
        world.read();
        world.settle(KEY);
    });
}

#[test]
fn reader_of_a_dead_entry_is_not_misled_by_a_cell_that_has_its_number() {
    explore_one_moment(|| {
        let world = World::new();
        world.set(KEY, 1, &["row"]);
        world.version.store(2, SeqCst);
        world.withdraw("row");
        world.floor.store(2, SeqCst);
        world.run(vec![
            act(|world| {
                while world.engine.has_dead() {
                    world.engine.sweep_step(64);
                }
                world.set(KEY, 2, &["row"]);
            }),
            act(|world| world.read()),
        ]);
        world.settle(KEY);
    });
}

#[test]
fn write_over_an_entry_that_is_just_withdrawn_is_counted_by_one_of_them() {
    explore_one_moment(|| {
        let world = World::new();
        world.set(KEY, 1, &["a"]);
        world.run(vec![act(|world| world.withdraw("a")), act(|world| world.set(KEY, 2, &[]))]);
        let stats = world.engine.stats();
        assert_eq!(stats.replaced + world.reported.load(SeqCst), 1);
        assert_eq!(world.get(KEY), Some(2));
        world.settle(KEY);
    });
}

#[test]
fn loads_against_withdrawals_publish_and_serve_nothing_older() {
    for adds in [false, true] {
        explore(move || {
            let world = World::new();
            world.run(vec![
                act(move |world| world.load(adds)),
                act(move |world| {
                    world.load(adds);
                    world.read();
                }),
                act(|world| world.write()),
                act(move |world| {
                    world.read();
                    world.load(adds);
                }),
            ]);
            world.read();
            world.settle(KEY);
        });
    }
}

#[test]
fn loads_that_declare_and_loads_that_add_may_wait_for_one_another() {
    explore(|| {
        let world = World::new();
        world.run(vec![
            act(|world| world.load(true)),
            act(|world| world.load(false)),
            act(|world| {
                world.write();
                world.load(true);
            }),
            act(|world| {
                world.write();
                world.load(false);
            }),
        ]);
        world.read();
        world.settle(KEY);
    });
}

#[test]
fn loads_older_than_all_withdrawals_that_are_kept_are_not_published() {
    explore(|| {
        let world = World::new();
        world.run(vec![
            act(|world| world.load(true)),
            act(|world| {
                world.write();
                // In explored schedules three are kept.
                (0..3).for_each(|_| world.withdraw("other"));
                world.load(false);
            }),
        ]);
        world.read();
        world.settle(KEY);
    });
}
