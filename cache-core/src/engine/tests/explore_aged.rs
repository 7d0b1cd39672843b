//! Stale values, and who loads them anew, against whatever may run beside that; explored by shuttle as in `explore`.
//!
//! (1) Who begins after a withdrawal, an eviction or a newer write returned is handed nothing from before, stale or not. (2) Of those who find
//! an entry due, one at most begins to load it. (3) What a look finds beside an entry is of that entry. (4) At quiescence nothing is left.

use std::time::Duration;

use shuttle::{check_pct, check_random};

use super::support;
use crate::clock::TestClock;
use crate::engine::*;
use crate::epoch;
use crate::event::RemovalCause;
use crate::expiry::Ttl;
use crate::flight::Chain;
use crate::scope;
use crate::scope::{Node, ScopePath, Tag, Tags};
use crate::sync::{AtomicU64, Ordering::SeqCst, thread};

const RUNS: usize = 400;
const KEY: u32 = 7;
const TTL: Duration = Duration::from_secs(60);
const KEPT: Duration = Duration::from_secs(600);

fn explore(test: impl Fn() + Send + Sync + Clone + 'static) {
    check_random(test.clone(), RUNS);
    check_pct(test, RUNS, 3);
}

struct World {
    engine: Arc<Engine>,
    clock: TestClock,
    store: Arc<Store<u32, Box<u64>>>,
    org: ScopePath,
    version: AtomicU64,
    floor: AtomicU64,
    attempts: AtomicU64,
}

fn takes() -> Tolerance {
    Tolerance { stale: KEPT, on_error: KEPT }
}

fn write() -> Write {
    let ttl = Ttl::try_from(TTL).expect("above zero");
    Write { ttl: Some(ttl), keep: Some(KEPT), ..Write::default() }
}

fn tags() -> Tags {
    let mut tags = Tags::none();
    tags.add(Tag::new("row").expect("a good tag"), 0, "test").expect("few enough");
    tags
}

impl World {
    fn new() -> Arc<Self> {
        let clock = TestClock::new();
        let engine = support::small(&clock, 1_000);
        let store = engine.regions().open(&engine, RegionKey::Programmatic, "rows", support::options);
        let store = store.expect("it is the first");
        let org = ScopePath::of(engine.registry().tree(), &scope!(org = 1), "test").expect("a good path");
        let [version, floor, attempts] = [1, 0, 0].map(AtomicU64::new);
        Arc::new(Self { engine, clock, store, org, version, floor, attempts })
    }

    /// One whose entry is stale.
    fn stale() -> Arc<Self> {
        let world = Self::new();
        world.set(1);
        world.clock.advance(TTL + Duration::from_secs(1));
        world
    }

    fn node(&self) -> Arc<Node> {
        self.org.create(self.engine.registry()).expect("a good path")
    }

    fn set(&self, version: u64) {
        let pair = (KEY, Box::new(version));
        self.store.insert_tagged(&self.engine, &self.org, pair, write(), &tags()).expect("a good write");
    }

    /// A row changes, and then what is stored of it is withdrawn; then this is made known.
    fn change(&self, withdraw: impl FnOnce()) {
        let version = self.version.fetch_add(1, SeqCst) + 1;
        withdraw();
        self.floor.fetch_max(version, SeqCst);
        self.read();
    }

    fn invalidate(&self) {
        let taken = self.store.remove(&self.engine, &self.node(), &KEY, RemovalCause::Invalidated, |_| true);
        assert!(!matches!(taken, Taken::Refused));
    }

    fn look(&self) -> Aged<Box<u64>> {
        let Some(node) = self.org.find(self.engine.registry()).expect("a good path") else {
            return Aged::Absent;
        };
        self.store.look_aged(&epoch::pin(), &self.engine, &node, &KEY, takes())
    }

    /// Stale or not, it is not from before what was made known.
    fn read(&self) {
        let floor = self.floor.load(SeqCst);
        let (value, beat) = match self.look() {
            Aged::Fresh(value, beat) | Aged::Stale(value, _, beat) => (value, beat),
            Aged::Absent => return,
            Aged::Kept(_) => panic!("it is within what is served at once"),
        };
        assert!(*value >= floor, "read {value} after {floor} was made known");
        if beat == Beat::Due {
            self.attempt();
        }
    }

    /// Loads it anew, if nobody does.
    fn attempt(&self) {
        let lease = self.store.attempt(&self.engine, self.node(), &KEY, &tags(), Duration::from_secs(1));
        let Some(mut lease) = lease else { return };
        self.attempts.fetch_add(1, SeqCst);
        lease.declare(&tags());
        lease.begin(None);
        let inside = lease.enter();
        let version = self.version.load(SeqCst);
        thread::yield_now();
        lease.leave(inside);
        lease.land(KEY, &Box::new(version), Some(write()));
    }

    fn end(&self) {
        self.read();
        assert_eq!(self.store.stats(&self.engine).flights, 0);
        self.clock.advance(TTL + KEPT);
        assert!(matches!(self.look(), Aged::Absent));
        self.engine.maintain();
        let stats = self.engine.stats();
        assert_eq!((stats.entries, self.engine.registry().root().entries()), (0, 0));
    }
}

fn beside(acts: &[fn(&World)], world: &Arc<World>) {
    let threads: Vec<_> = acts
        .iter()
        .map(|act| {
            let (world, act) = (Arc::clone(world), *act);
            thread::spawn(move || act(&world))
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().expect("no thread panics"));
}

#[test]
fn shuttle_stale_value_and_its_refresh_against_an_invalidation() {
    explore(|| {
        let world = World::stale();
        beside(&[World::read, World::read, |world| world.change(|| world.invalidate())], &world);
        world.end();
    });
}

#[test]
fn shuttle_stale_value_and_its_refresh_against_an_eviction_of_the_scope() {
    explore(|| {
        let world = World::stale();
        let evicts = |world: &World| world.change(|| _ = world.engine.evict(&world.node()));
        beside(&[World::read, World::read, evicts], &world);
        world.end();
    });
}

#[test]
fn shuttle_stale_value_and_its_refresh_against_a_withdrawal_of_its_tag() {
    explore(|| {
        let world = World::stale();
        let withdraws = |world: &World| {
            world.change(|| {
                _ = world.engine.invalidate_tag(&world.node(), &Tag::new("row").expect("a good tag"))
            });
        };
        beside(&[World::read, World::read, withdraws], &world);
        world.end();
    });
}

#[test]
fn shuttle_stale_value_and_its_refresh_against_a_newer_write() {
    explore(|| {
        let world = World::stale();
        let writes = |world: &World| {
            let version = world.version.fetch_add(1, SeqCst) + 1;
            world.set(version);
            world.floor.fetch_max(version, SeqCst);
            world.read();
        };
        beside(&[World::read, World::read, writes], &world);
        world.end();
    });
}

#[test]
fn shuttle_of_many_who_find_an_entry_due_one_loads_it() {
    explore(|| {
        let world = World::stale();
        beside(&[World::read, World::read, World::read], &world);
        assert_eq!(world.attempts.load(SeqCst), 1);
        world.end();
    });
}

#[test]
fn shuttle_slot_that_is_used_again_has_the_times_of_its_new_entry() {
    explore(|| {
        let world = World::stale();
        let plain = |world: &World| {
            world.invalidate();
            // Without a word about being kept: it is gone when its time is over, whatever stood in its slot before.
            let terms = Write { ttl: write().ttl, ..Write::default() };
            world.store.insert(&world.engine, &world.org, KEY, Box::new(9), terms).expect("a good write");
        };
        let looks = |world: &World| {
            if let Aged::Fresh(value, _) = world.look() {
                assert_eq!(*value, 9, "the stale one was handed out as fresh");
            }
        };
        beside(&[plain, looks, looks], &world);
        world.clock.advance(TTL);
        assert!(matches!(world.look(), Aged::Absent));
        world.engine.maintain();
        assert_eq!(world.engine.stats().entries, 0);
    });
}

#[test]
fn shuttle_entry_found_unchanged_against_its_invalidation() {
    explore(|| {
        let world = World::stale();
        let renews = |world: &World| {
            let node = world.node();
            let lease = world.store.attempt(&world.engine, node, &KEY, &tags(), Duration::from_secs(1));
            let Some(mut lease) = lease else { return };
            lease.declare(&tags());
            lease.begin(None);
            let inside = lease.enter();
            let version = world.version.load(SeqCst);
            Chain::answer("test", |adding| adding.answer.is_unchanged = true).expect("it is a load");
            lease.leave(inside);
            lease.land(KEY, &Box::new(version), Some(write()));
        };
        beside(&[renews, World::read, |world| world.change(|| world.invalidate())], &world);
        world.end();
    });
}
