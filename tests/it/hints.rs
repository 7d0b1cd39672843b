//! Whatever a policy answers: random histories against a model that does not know who is evicted, only how many.
//!
//! A policy is a hint, so the model holds what may be there, and is exact about the rest: (1) what was removed, evicted with
//! its scope, overwritten or expired is never served; (2) an entry is missing only if it was evicted, and exactly as many are
//! evicted as the capacity asks for at that call, none below it; (3) a newcomer is there; (4) the counters say the same, and so
//! do listeners. Capacities change on the way; keys and values are of types with and without a drop.
//!
//! 10,000 histories. The seed is printed with a failure: `STRATA_MODEL_SEED` runs that history alone, `STRATA_MODEL_CASES` asks
//! for more.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use strata_cache::{Cache, Policy, Region, RemovalCause, ScopePath, TestClock, Value, scope};

use crate::support::still;

const CASES: u64 = 10_000;
const KEYS: u64 = 12;
const SCOPES: usize = 6;

/// Choices: SplitMix64 (Steele, Lea, Flood, OOPSLA 2014).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

/// Of two regions the first has values with a drop.
type Place = (usize, usize, u64);

/// A value that says what it is.
trait Content: Value {
    fn new(number: u64) -> Self;
    fn number(&self) -> u64;
}

impl Content for u64 {
    fn new(number: u64) -> Self {
        number
    }
    fn number(&self) -> u64 {
        *self
    }
}

impl Content for Box<str> {
    fn new(number: u64) -> Self {
        number.to_string().into()
    }
    fn number(&self) -> u64 {
        self.parse().expect("a whole value")
    }
}

#[derive(Debug, Clone, Copy)]
struct Held {
    value: u64,
    deadline: Option<u64>,
}

type Told = Arc<Mutex<Vec<(u64, RemovalCause)>>>;

struct Case {
    cache: Cache,
    clock: TestClock,
    texts: Region<u64, Box<str>>,
    numbers: Region<u64, u64>,
    paths: Vec<ScopePath>,
    regions: u64,
    told: Option<Told>,
    capacity: u64,
    now: u64,
    /// What may be there.
    held: HashMap<Place, Held>,
    /// How many of them are.
    count: u64,
    /// How many had to go, and how many were found missing so far.
    evicted: u64,
    missing: u64,
    values: u64,
    trace: Vec<String>,
}

/// Whether a scope is another one or below it: the global one, two organisations, and the users of the first.
fn is_within(scope: usize, above: usize) -> bool {
    scope == above || above == 0 || (above == 1 && matches!(scope, 3..=5))
}

fn open<V: Content>(cache: &Cache, name: &str, told: Option<&Told>) -> Region<u64, V> {
    let mut builder = cache.region_builder::<u64, V>(name);
    if let Some(told) = told {
        let told = Arc::clone(told);
        builder = builder.on_removal(move |_, value: &V, cause| {
            told.lock().unwrap_or_else(PoisonError::into_inner).push((value.number(), cause));
        });
    }
    builder.open().expect("it opens")
}

/// The same call for either region.
macro_rules! of {
    ($case:expr, $place:expr, |$region:ident, $path:ident| $body:expr) => {{
        let $path = &$case.paths[$place.1];
        if $place.0 == 0 {
            let $region = &$case.texts;
            $body
        } else {
            let $region = &$case.numbers;
            $body
        }
    }};
}

impl Case {
    fn new(dice: &mut Dice) -> Self {
        let (builder, clock) = still();
        let policies = [
            Policy::Adaptive,
            Policy::Lru,
            Policy::Lfu,
            Policy::Fifo,
            Policy::Sieve,
            Policy::S3Fifo,
            Policy::WTinyLfu,
        ];
        let policy = policies[dice.below(policies.len() as u64) as usize].clone();
        let capacity = 1 + dice.below(40);
        let trace = vec![format!("{policy:?}, capacity {capacity}")];
        let cache = builder.capacity(capacity).policy(policy).build().expect("good options");
        let told = (dice.below(2) == 0).then(Told::default);
        let handles = [
            cache.scope(scope!(global)),
            cache.scope(scope!(org = 1)),
            cache.scope(scope!(org = 2)),
            cache.scope(scope!(org = 1, user = 1)),
            cache.scope(scope!(org = 1, user = 2)),
            cache.scope(scope!(org = 1, user = 3)),
        ];
        Self {
            texts: open(&cache, "texts", told.as_ref()),
            numbers: open(&cache, "numbers", told.as_ref()),
            paths: handles.map(|scope| scope.expect("a place").path().clone()).to_vec(),
            cache,
            clock,
            regions: 1 + dice.below(2),
            told,
            capacity,
            now: 0,
            held: HashMap::new(),
            count: 0,
            evicted: 0,
            missing: 0,
            values: 0,
            trace,
        }
    }

    fn place(&self, dice: &mut Dice) -> Place {
        (dice.below(self.regions) as usize, dice.below(SCOPES as u64) as usize, dice.below(KEYS))
    }

    fn is_there(&self, place: Place) -> bool {
        of!(self, place, |region, path| region.contains(path, &place.2).wait().expect("a good place"))
    }

    /// Looks whether what may be there is there; if not it was evicted.
    fn look(&mut self, place: Place) -> bool {
        let there = self.is_there(place);
        if there {
            assert!(self.held.contains_key(&place), "{place:?} is served, and was taken out");
        } else if self.held.remove(&place).is_some() {
            self.missing += 1;
        }
        there
    }

    /// Finds out who was evicted; afterwards the model is exact.
    fn settle(&mut self) {
        let places: Vec<Place> = self.held.keys().copied().collect();
        for place in places {
            self.look(place);
        }
        assert_eq!(self.held.len() as u64, self.count, "entries are missing, or were evicted without need");
        assert_eq!(self.missing, self.evicted, "as many are missing as had to go");
    }

    /// One entry more, or a lower bound: as many go as have to, and no more.
    fn keep_bound(&mut self) {
        let gone = self.count.saturating_sub(self.capacity);
        self.count -= gone;
        self.evicted += gone;
    }

    fn wrote(&mut self, place: Place, was_there: bool, held: Held) {
        self.held.insert(place, held);
        if !was_there {
            self.count += 1;
        }
        self.keep_bound();
        assert!(self.is_there(place), "a newcomer does not pay for itself");
    }

    fn new_value(&mut self, dice: &mut Dice) -> Held {
        self.values += 1;
        let ttl = (dice.below(4) == 0).then(|| 1 + dice.below(30));
        Held { value: self.values, deadline: ttl.map(|ttl| self.now + ttl) }
    }

    fn set(&mut self, place: Place, dice: &mut Dice) {
        let (new, there) = (self.new_value(dice), self.look(place));
        let ttl = new.deadline.map(|deadline| Duration::from_millis(deadline - self.now));
        of!(self, place, |region, path| {
            let mut set = region.set(path, place.2, Content::new(new.value));
            if let Some(ttl) = ttl {
                set = set.ttl(ttl);
            }
            set.wait().expect("a good write");
        });
        self.wrote(place, there, new);
    }

    fn step(&mut self, dice: &mut Dice) {
        let place = self.place(dice);
        let act = dice.below(60);
        self.trace.push(format!("{act} at {place:?}"));
        match act {
            0..16 => {
                let there = self.look(place);
                let got = of!(self, place, |region, path| {
                    region.get_now(path, &place.2).expect("a good place").map(|value| value.number())
                });
                let held = self.held.get(&place).map(|held| held.value);
                assert_eq!(got, held.filter(|_| there), "what is served at {place:?}");
            }
            16..36 => self.set(place, dice),
            36..42 => {
                let (mut new, there) = (self.new_value(dice), self.look(place));
                new.deadline = None;
                let got = of!(self, place, |region, path| {
                    let load = || Ok::<_, ()>(Content::new(new.value));
                    region.get_or_load_with(path, &place.2, load).wait().expect("it loads").number()
                });
                if there {
                    assert_eq!(got, self.held[&place].value, "what is served at {place:?}");
                } else {
                    assert_eq!(got, new.value);
                    self.wrote(place, false, new);
                }
            }
            42..46 => {
                let there = self.look(place);
                let gone = of!(self, place, |region, path| {
                    if act == 42 {
                        region.pop(path, &place.2).wait().expect("a good place").is_some()
                    } else {
                        region.remove(path, &place.2).wait().expect("a good place")
                    }
                });
                assert_eq!(gone, there);
                self.forget(|other| other == place);
            }
            46 | 47 => {
                self.settle();
                let before = self.count;
                let gone = self.cache.evict_by_scope(&self.paths[place.1]).wait().expect("a good place");
                self.forget(|(_, scope, _)| is_within(scope, place.1));
                assert_eq!(gone.entries, before - self.count, "what an eviction took");
            }
            48 => {
                self.settle();
                let before = self.count;
                let gone = of!(self, place, |region, path| region.invalidate_scope(path).wait());
                self.forget(|(region, scope, _)| (region, scope) == (place.0, place.1));
                assert_eq!(gone.expect("a good place").entries, before - self.count);
            }
            49..52 => {
                self.settle();
                let time = 1 + dice.below(20);
                self.now += time;
                self.clock.advance(Duration::from_millis(time));
                let now = self.now;
                self.held.retain(|_, held| held.deadline.is_none_or(|deadline| deadline > now));
                self.count = self.held.len() as u64;
            }
            52..55 => {
                self.capacity = 1 + dice.below(if act == 52 { 150 } else { 40 });
                self.trace.push(format!("capacity {}", self.capacity));
                self.cache.set_capacity(self.capacity).expect("a good capacity");
                self.keep_bound();
            }
            55 => self.cache.maintain(),
            // Many at once, so that tables and segments grow.
            56 => (0..KEYS).for_each(|key| self.set((place.0, place.1, key), dice)),
            _ => self.check(),
        }
    }

    fn forget(&mut self, goes: impl Fn(Place) -> bool) {
        let before = self.held.len();
        self.held.retain(|&place, _| !goes(place));
        self.count -= (before - self.held.len()) as u64;
    }

    fn check(&mut self) {
        self.settle();
        let stats = self.cache.stats();
        assert_eq!((stats.entries, stats.evicted), (self.count, self.evicted), "{stats:?}");
        assert!(stats.entries <= self.capacity, "{stats:?}");
        let gone = stats.removed + stats.evicted + stats.expired + stats.invalidated;
        assert_eq!(stats.inserts, stats.entries + gone, "{stats:?}");
        if let Some(told) = &self.told {
            let told = told.lock().unwrap_or_else(PoisonError::into_inner);
            let of = |cause| told.iter().filter(|&&(_, other)| other == cause).count() as u64;
            assert_eq!(of(RemovalCause::Evicted), stats.evicted);
            assert_eq!(of(RemovalCause::Expired), stats.expired);
            assert_eq!(of(RemovalCause::Replaced), stats.replaced);
            let values: std::collections::HashSet<u64> = told.iter().map(|&(value, _)| value).collect();
            assert_eq!(values.len(), told.len(), "each leaves once");
            assert!(self.held.values().all(|held| !values.contains(&held.value)), "who is told of has left");
        }
    }
}

fn play(seed: u64) {
    let mut dice = Dice(seed);
    let mut case = Case::new(&mut dice);
    let steps = 1 + dice.below(60);
    let played = catch_unwind(AssertUnwindSafe(|| {
        (0..steps).for_each(|_| case.step(&mut dice));
        case.check();
    }));
    if let Err(panic) = played {
        eprintln!("STRATA_MODEL_SEED={seed}\n{}", case.trace.join("\n"));
        resume_unwind(panic);
    }
}

#[test]
fn cache_agrees_with_a_model_that_does_not_know_who_is_evicted() {
    let given = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    if let Some(seed) = given("STRATA_MODEL_SEED") {
        return play(seed);
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let mut seeds = Dice(now.as_nanos() as u64);
    (0..given("STRATA_MODEL_CASES").unwrap_or(CASES)).for_each(|_| play(seeds.next()));
}
