//! Values that say when they are gone: nobody reads one that was dropped, or one of somebody else; each is dropped once.
//!
//! Four threads insert, overwrite, get, load, remove, evict scopes, change the capacity and let entries expire, in a cache that
//! is too small. Whoever clones a value checks, before and after, that it was not dropped, and that its numbers belong together;
//! whoever gets one checks that it is what was asked for. At rest the bounds hold, the counts agree, and when the cache is gone
//! so is every value.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering::Relaxed, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use strata_cache::{Cache, Maintenance, Region, ScopePath, scope};

use super::{Dice, Run};

const THREADS: u64 = 4;
const ORGS: u64 = 5;
const USERS: u64 = 3;

const LIVES: u8 = 1;
const DROPPED: u8 = 2;

/// The state of every value there ever was. It outlives all of them.
struct Census {
    states: Box<[AtomicU8]>,
    next: AtomicUsize,
}

impl Census {
    fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { states: (0..most).map(|_| AtomicU8::new(0)).collect(), next: AtomicUsize::new(0) })
    }

    fn is_full(&self) -> bool {
        self.next.load(Relaxed) + 10_000 > self.states.len()
    }

    fn alive(&self) -> usize {
        self.states[..self.next.load(SeqCst)].iter().filter(|state| state.load(SeqCst) == LIVES).count()
    }
}

/// Where a value belongs: organisation, user, key.
type Place = (u64, u64, u64);

/// A value. What it owns is on the heap, so that memory checkers see a use after its drop.
struct Thing {
    place: Place,
    sum: u64,
    number: usize,
    text: Box<str>,
    census: Arc<Census>,
}

fn sum_of((org, user, key): Place, number: usize) -> u64 {
    [org, user, key, number as u64]
        .into_iter()
        .fold(7, |sum: u64, part| (sum ^ part).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29))
}

impl Thing {
    fn new(place: Place, census: &Arc<Census>) -> Self {
        let number = census.next.fetch_add(1, SeqCst);
        census.states[number].store(LIVES, SeqCst);
        let text = format!("{place:?}").into();
        Self { place, sum: sum_of(place, number), number, text, census: Arc::clone(census) }
    }

    #[track_caller]
    fn check(&self) {
        assert_eq!(self.sum, sum_of(self.place, self.number), "the parts of a value do not belong together");
        assert_eq!(self.census.states[self.number].load(SeqCst), LIVES, "a value that was dropped");
    }

    #[track_caller]
    fn check_at(&self, place: Place) {
        self.check();
        assert_eq!(self.place, place, "a foreign value");
        assert_eq!(&*self.text, format!("{place:?}"), "a foreign value");
    }
}

impl Clone for Thing {
    fn clone(&self) -> Self {
        self.check();
        let clone = Self::new(self.place, &self.census);
        if self.number.is_multiple_of(16) {
            thread::yield_now();
        }
        self.check();
        clone
    }
}

impl Drop for Thing {
    fn drop(&mut self) {
        assert_eq!(self.census.states[self.number].swap(DROPPED, SeqCst), LIVES, "dropped twice");
        self.sum = 0xdead;
    }
}

struct World {
    cache: Cache,
    region: Region<u64, Thing>,
    /// Of all organisations and, behind each, of its users.
    paths: Vec<ScopePath>,
    census: Arc<Census>,
    capacity: u64,
    keys: u64,
}

impl World {
    fn new(capacity: u64, maintenance: Maintenance, census: &Arc<Census>) -> Self {
        let cache =
            Cache::builder().capacity(capacity).maintenance(maintenance).build().expect("good options");
        let region = cache.region("things").expect("it opens");
        // Half as many places again as the cache holds.
        let keys = (capacity * 3 / 2).div_ceil(ORGS * (USERS + 1)).max(2);
        let path = |org: u64, user: u64| {
            let scope = if user == 0 {
                cache.scope(scope!(org = org))
            } else {
                cache.scope(scope!(org = org, user = user))
            };
            scope.expect("a path of the default tree").path().clone()
        };
        let users = |org| (0..=USERS).map(move |user| (org, user));
        let paths = (0..ORGS).flat_map(users).map(|(org, user)| path(org, user)).collect();
        Self { paths, cache, region, census: Arc::clone(census), capacity, keys }
    }

    fn step(&self, dice: &mut Dice) {
        // The first organisation is the busy one.
        let org = dice.below(2 * ORGS).saturating_sub(ORGS);
        let (user, key) = (dice.below(USERS + 1), dice.below(self.keys));
        let place = (org, user, key);
        let path = &self.paths[(org * (USERS + 1) + user) as usize];
        let new = || Thing::new(place, &self.census);
        match dice.below(100) {
            0..50 => {
                if let Some(got) = self.region.get_now(path, &key).expect("a good place") {
                    got.check_at(place);
                }
            }
            50..75 => self.region.set(path, key, new()).wait().expect("a good write"),
            75..82 => {
                let write = self.region.set(path, key, new());
                write.ttl(Duration::from_micros(1 + dice.below(2_000))).wait().expect("a good write");
            }
            82..88 => {
                let load = || Ok::<_, ()>(new());
                let got = self.region.get_or_load_with(path, &key, load).wait().expect("it loads");
                got.check_at(place);
            }
            88..93 => drop(self.region.remove(path, &key).wait().expect("a good place")),
            93..96 => {
                if let Some(got) = self.region.pop(path, &key).wait().expect("a good place") {
                    got.check_at(place);
                }
            }
            96 => drop(self.region.invalidate_scope(path).wait().expect("a good place")),
            97 => drop(self.cache.evict_by_scope(path).wait().expect("a good place")),
            98 => {
                let capacity = 1 + dice.below(2 * self.capacity);
                self.cache.set_capacity(capacity).expect("a good capacity");
            }
            _ if dice.one_in(8) => self.cache.maintain(),
            _ => {}
        }
    }

    #[track_caller]
    fn check_at_rest(&self) {
        self.cache.set_capacity(self.capacity).expect("a good capacity");
        let stats = self.cache.stats();
        assert!(stats.entries <= self.capacity, "{stats:?}");
        let gone = stats.removed + stats.evicted + stats.expired + stats.invalidated;
        assert_eq!(stats.inserts, stats.entries + gone, "{stats:?}");
        assert_eq!(stats.flights, 0, "{stats:?}");
        // Other tests of this process may be pinned for a moment.
        let soon = Instant::now() + Duration::from_secs(20);
        while self.census.alive() as u64 != self.cache.stats().entries {
            assert!(Instant::now() < soon, "{} values live, {stats:?}", self.census.alive());
            self.cache.maintain();
            thread::yield_now();
        }
    }
}

fn torture(name: &str, capacity: u64, maintenance: Maintenance) {
    let census = Census::new(1_000_000);
    let world = World::new(capacity, maintenance, &census);
    let run = Run::begin(name, 1);
    thread::scope(|scope| {
        for worker in 0..THREADS {
            let (world, mut dice, run) = (&world, run.dice(worker), &run);
            scope.spawn(move || {
                while !run.is_over() && !world.census.is_full() {
                    (0..64).for_each(|_| world.step(&mut dice));
                }
            });
        }
    });
    world.check_at_rest();
    drop(world);
    // The maintenance thread may hold the cache for a moment.
    let soon = Instant::now() + Duration::from_secs(20);
    while census.alive() > 0 {
        assert!(Instant::now() < soon, "{} values outlive the cache", census.alive());
        thread::yield_now();
    }
    let made = census.next.load(SeqCst);
    assert!(made > 100, "the test did something");
    eprintln!("{name}: {made} values");
}

#[test]
fn nobody_reads_a_dropped_or_foreign_value_in_a_small_cache() {
    torture("values, 64 entries", 64, Maintenance::Thread);
}

#[test]
fn nobody_reads_a_dropped_or_foreign_value_in_a_cache_of_several_shards() {
    torture("values, 2,000 entries", 2_000, Maintenance::Manual);
}
