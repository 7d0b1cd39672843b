//! The cache against a naive model: a list of entries from the coldest to the newest, whole paths as scopes, deadlines,
//! limits. Every answer, every count and every counter has to agree.
//!
//! The seed is printed with a failure: `PROPTEST_RNG_SEED` runs it again, `PROPTEST_CASES` asks for more cases.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestCaseError, TestRunner};
use strata_cache::{
    Cache, ErrorKind, Ids, LoadError, Policy, Region, RemovalCause, Scope, ScopePath, ScopeTree, Stats,
    TestClock,
};

use crate::support::still;

const CASES: u32 = 2_000;

type Agreed = Result<(), TestCaseError>;

/// Level and ids of every scope in play; level names are those of the ids without `_id`.
const SCOPES: [&[(&str, &str)]; 10] = [
    &[],
    &[("org", "a")],
    &[("org", "a"), ("user", "1")],
    &[("org", "a"), ("user", "1"), ("session", "x")],
    &[("org", "a"), ("user", "2")],
    &[("org", "a"), ("team", "1")],
    &[("org", "b")],
    &[("org", "b"), ("user", "1")],
    &[("org", "a/user:1")],
    &[("zone", "a")],
];

fn tree() -> ScopeTree {
    ScopeTree::builder()
        .level("org", "org_id")
        .child("org", "user", "user_id")
        .child("user", "session", "session_id")
        .child("org", "team", "team_id")
        .level("zone", "zone_id")
        .build()
        .expect("the tree obeys the rules")
}

fn is_within(scope: usize, ancestor: usize) -> bool {
    SCOPES[scope].starts_with(SCOPES[ancestor])
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Held {
    Number(u64),
    Text(String),
}

#[derive(Debug, Clone, Copy)]
enum Way {
    Bag,
    Path,
    Handle,
}

#[derive(Debug, Clone)]
struct Step {
    scope: usize,
    way: Way,
    key: u8,
    act: Act,
}

/// What a write says beside its value.
#[derive(Debug, Clone, Copy)]
struct Terms {
    ttl: Option<u64>,
    weight: Option<u64>,
}

#[derive(Debug, Clone)]
enum Act {
    Get { text: bool },
    Peek { text: bool },
    Contains,
    Set { value: Held, terms: Terms },
    Load { value: Option<Held>, terms: Terms },
    Remove,
    Invalidate,
    Pop { text: bool },
    Evict,
    Preview,
    InvalidateScope,
    Clear,
    Advance(u64),
    Maintain,
    SetCapacity(u64),
    SetBytes(u64),
    Check,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Answer {
    Value(Option<Held>),
    Flag(bool),
    Counted(u64, u64),
    LoadFailed,
    Done,
    Refused(ErrorKind),
}

#[derive(Debug, Clone)]
struct Setup {
    entries: Option<u64>,
    weight: Option<u64>,
    fifo: bool,
    ttl: Option<u64>,
    /// A typed region with this limit in place of programmatic keys.
    max_per_scope: Option<u64>,
}

// ---------------------------------------------------------------------------------------------------- the model

#[derive(Debug, Clone)]
struct Entry {
    scope: usize,
    key: u8,
    value: Held,
    weight: u64,
    deadline: Option<u64>,
}

struct Model {
    setup: Setup,
    now: u64,
    /// From the next to go to the last.
    entries: Vec<Entry>,
    tally: Stats,
    lookups: u64,
}

impl Model {
    fn new(setup: Setup) -> Self {
        Self { setup, now: 0, entries: Vec::new(), tally: Stats::default(), lookups: 0 }
    }

    fn place(&self, step: &Step) -> Option<usize> {
        self.entries.iter().position(|entry| entry.scope == step.scope && entry.key == step.key)
    }

    fn weight(&self) -> u64 {
        self.entries.iter().map(|entry| entry.weight).sum()
    }

    fn lookup(&mut self, step: &Step) -> Option<Held> {
        self.lookups += 1;
        let Some(place) = self.place(step) else {
            self.tally.misses += 1;
            return None;
        };
        self.tally.hits += 1;
        let value = self.entries[place].value.clone();
        if !self.setup.fifo {
            let entry = self.entries.remove(place);
            self.entries.push(entry);
        }
        Some(value)
    }

    fn weigh(&self, key: u8, value: &Held, terms: Terms) -> Option<u64> {
        let own = match (self.setup.max_per_scope, value) {
            (Some(_), _) => (size_of::<String>() + size_of::<u64>()) as u64,
            (None, Held::Number(_)) => (key_text(key).len() + size_of::<u64>()) as u64,
            (None, Held::Text(_)) => (key_text(key).len() + size_of::<String>()) as u64,
        };
        let weight = terms.weight.unwrap_or(own);
        (weight > 0 && weight <= self.setup.weight.unwrap_or(u64::MAX >> 8)).then_some(weight)
    }

    fn write(&mut self, step: &Step, value: Held, weight: u64, terms: Terms) {
        let deadline = terms.ttl.or(self.setup.ttl).map(|ttl| self.now + ttl);
        let entry = Entry { scope: step.scope, key: step.key, value, weight, deadline };
        match self.place(step) {
            Some(place) => {
                self.tally.replaced += 1;
                if self.setup.fifo {
                    self.entries[place] = entry;
                } else {
                    self.entries.remove(place);
                    self.entries.push(entry);
                }
            }
            None => {
                self.tally.inserts += 1;
                self.entries.push(entry);
                let max = self.setup.max_per_scope.unwrap_or(u64::MAX);
                while self.entries.iter().filter(|entry| entry.scope == step.scope).count() as u64 > max {
                    self.push_out(|entry| entry.scope == step.scope && entry.key != step.key);
                }
            }
        }
        let (scope, key) = (step.scope, step.key);
        self.keep_bounds(|entry| (entry.scope, entry.key) != (scope, key));
    }

    fn keep_bounds(&mut self, may_pay: impl Fn(&Entry) -> bool) {
        loop {
            let over_entries = self.setup.entries.is_some_and(|most| self.entries.len() as u64 > most);
            let over_weight = self.setup.weight.is_some_and(|most| self.weight() > most);
            if !(over_entries || over_weight) || !self.push_out(&may_pay) {
                return;
            }
        }
    }

    fn push_out(&mut self, may_pay: impl Fn(&Entry) -> bool) -> bool {
        let Some(victim) = self.entries.iter().position(may_pay) else { return false };
        self.entries.remove(victim);
        self.tally.evicted += 1;
        true
    }

    fn withdraw(&mut self, goes: impl Fn(&Entry) -> bool) -> Answer {
        let (before, weight) = (self.entries.len(), self.weight());
        self.entries.retain(|entry| !goes(entry));
        let gone = (before - self.entries.len()) as u64;
        self.tally.invalidated += gone;
        Answer::Counted(gone, weight - self.weight())
    }

    fn act(&mut self, step: &Step) -> Answer {
        match &step.act {
            Act::Get { text } => match self.lookup(step) {
                Some(value) => typed(value, *text),
                None => Answer::Value(None),
            },
            Act::Peek { text } => {
                self.tally.peeks += 1;
                match self.place(step) {
                    Some(place) => typed(self.entries[place].value.clone(), *text),
                    None => Answer::Value(None),
                }
            }
            Act::Contains => {
                self.tally.peeks += 1;
                Answer::Flag(self.place(step).is_some())
            }
            Act::Set { value, terms } => match self.weigh(step.key, value, *terms) {
                Some(weight) => {
                    self.write(step, value.clone(), weight, *terms);
                    Answer::Done
                }
                None => Answer::Refused(ErrorKind::InvalidWeight),
            },
            Act::Load { value, terms } => self.load(step, value.clone(), *terms),
            Act::Remove | Act::Invalidate => {
                let Some(place) = self.place(step) else { return Answer::Flag(false) };
                self.entries.remove(place);
                match step.act {
                    Act::Remove => self.tally.removed += 1,
                    _ => self.tally.invalidated += 1,
                }
                Answer::Flag(true)
            }
            Act::Pop { text } => {
                let Some(place) = self.place(step) else { return Answer::Value(None) };
                let answer = typed(self.entries[place].value.clone(), *text);
                if matches!(answer, Answer::Value(_)) {
                    self.entries.remove(place);
                    self.tally.removed += 1;
                }
                answer
            }
            Act::Evict => self.withdraw(|entry| is_within(entry.scope, step.scope)),
            Act::Preview => {
                let inside = || self.entries.iter().filter(|entry| is_within(entry.scope, step.scope));
                Answer::Counted(inside().count() as u64, inside().map(|entry| entry.weight).sum())
            }
            Act::InvalidateScope if self.setup.max_per_scope.is_none() => Answer::Done,
            Act::InvalidateScope => self.withdraw(|entry| entry.scope == step.scope),
            Act::Clear => self.withdraw(|_| true),
            Act::Advance(time) => {
                self.now += time;
                let before = self.entries.len();
                let now = self.now;
                self.entries.retain(|entry| entry.deadline.is_none_or(|deadline| deadline > now));
                self.tally.expired += (before - self.entries.len()) as u64;
                Answer::Done
            }
            Act::SetCapacity(entries) => {
                self.setup.entries = Some(*entries);
                self.keep_bounds(|_| true);
                Answer::Done
            }
            Act::SetBytes(weight) => {
                self.setup.weight = Some(*weight);
                self.keep_bounds(|_| true);
                Answer::Done
            }
            Act::Maintain | Act::Check => Answer::Done,
        }
    }

    fn load(&mut self, step: &Step, value: Option<Held>, terms: Terms) -> Answer {
        if let Some(found) = self.lookup(step) {
            // The loader's type is the one that is asked for.
            return typed(found, matches!(value, Some(Held::Text(_))));
        }
        self.tally.loads += 1;
        let Some(value) = value else {
            self.tally.load_failures += 1;
            return Answer::LoadFailed;
        };
        match self.weigh(step.key, &value, terms) {
            Some(weight) => self.write(step, value.clone(), weight, terms),
            None => self.tally.refused_weight += 1,
        }
        Answer::Value(Some(value))
    }
}

/// A value as the type that was asked for.
fn typed(value: Held, text: bool) -> Answer {
    if matches!(value, Held::Text(_)) == text {
        Answer::Value(Some(value))
    } else {
        Answer::Refused(ErrorKind::TypeMismatch)
    }
}

fn key_text(key: u8) -> String {
    format!("key {key}")
}

// -------------------------------------------------------------------------------------------------- the subject

struct Spot {
    level: &'static str,
    ids: Ids,
    path: ScopePath,
    handle: Scope,
}

struct Subject {
    cache: Cache,
    clock: TestClock,
    spots: Vec<Spot>,
    region: Option<Region<String, u64>>,
    loader_runs: AtomicU64,
    told: Arc<[AtomicU64; RemovalCause::ALL.len()]>,
}

/// Calls with the place of a step, said in the way of the step.
macro_rules! placed {
    ($subject:expr, $step:expr, |$place:ident| $body:expr) => {{
        let spot = &$subject.spots[$step.scope];
        match $step.way {
            Way::Bag => {
                let $place = (spot.level, &spot.ids);
                $body
            }
            Way::Path => {
                let $place = &spot.path;
                $body
            }
            Way::Handle => {
                let $place = &spot.handle;
                $body
            }
        }
    }};
}

/// Gives a write its terms and performs it.
macro_rules! perform {
    ($operation:expr, $terms:expr) => {{
        let mut operation = $operation;
        if let Some(ttl) = $terms.ttl {
            operation = operation.ttl(Duration::from_millis(ttl));
        }
        if let Some(weight) = $terms.weight {
            operation = operation.weight(weight);
        }
        operation.wait()
    }};
}

impl Subject {
    fn new(setup: &Setup) -> Self {
        let (mut builder, clock) = still();
        let told: Arc<[AtomicU64; RemovalCause::ALL.len()]> = Arc::default();
        let heard = Arc::clone(&told);
        builder = builder.scopes(tree()).on_removal(move |removal| {
            heard[removal.cause.index()].fetch_add(1, Ordering::Relaxed);
        });
        builder = setup.entries.into_iter().fold(builder, |builder, entries| builder.capacity(entries));
        builder = setup.weight.into_iter().fold(builder, |builder, weight| builder.capacity_bytes(weight));
        builder = setup.ttl.into_iter().fold(builder, |builder, ttl| builder.ttl(Duration::from_millis(ttl)));
        let policy = if setup.fifo { Policy::Fifo } else { Policy::Lru };
        let cache = builder.policy(policy).build().expect("the setups are good");
        let region = setup.max_per_scope.map(|max| {
            let region = cache.region_builder("limited").max_per_scope(max).open();
            region.expect("the limits are above zero")
        });
        let spots = SCOPES.iter().map(|parts| Spot::new(&cache, parts)).collect();
        Self { cache, clock, spots, region, loader_runs: AtomicU64::new(0), told }
    }

    fn act(&self, step: &Step) -> Answer {
        let key = key_text(step.key);
        match &self.region {
            Some(region) => self.act_in_region(region, step, key),
            None => self.act_on_keys(step, &key),
        }
    }

    /// What has to do with the whole cache.
    fn act_on_cache(&self, step: &Step) -> Answer {
        let cache = &self.cache;
        let counted = |evicted: strata_cache::Evicted| Answer::Counted(evicted.entries, evicted.weight);
        match &step.act {
            Act::Evict => answer(placed!(self, step, |place| cache.evict_by_scope(place).wait()), counted),
            Act::Preview => answer(placed!(self, step, |place| cache.preview_evict(place).wait()), counted),
            Act::Clear => answer(cache.clear().wait(), counted),
            Act::Advance(time) => {
                self.clock.advance(Duration::from_millis(*time));
                Answer::Done
            }
            Act::Maintain => {
                cache.maintain();
                Answer::Done
            }
            Act::SetCapacity(entries) => answer(cache.set_capacity(*entries), |()| Answer::Done),
            Act::SetBytes(weight) => answer(cache.set_capacity_bytes(*weight), |()| Answer::Done),
            _ => Answer::Done,
        }
    }

    fn act_on_keys(&self, step: &Step, key: &str) -> Answer {
        let cache = &self.cache;
        let number = |value: Option<Arc<u64>>| Answer::Value(value.map(|value| Held::Number(*value)));
        let words =
            |value: Option<Arc<String>>| Answer::Value(value.map(|value| Held::Text((*value).clone())));
        match &step.act {
            Act::Get { text: true } => {
                answer(placed!(self, step, |place| cache.get(place, key).wait()), words)
            }
            Act::Get { text: false } => {
                answer(placed!(self, step, |place| cache.get(place, key).wait()), number)
            }
            Act::Peek { text: true } => {
                answer(placed!(self, step, |place| cache.peek(place, key).wait()), words)
            }
            Act::Peek { text: false } => {
                answer(placed!(self, step, |place| cache.peek(place, key).wait()), number)
            }
            Act::Pop { text: true } => {
                answer(placed!(self, step, |place| cache.pop(place, key).wait()), words)
            }
            Act::Pop { text: false } => {
                answer(placed!(self, step, |place| cache.pop(place, key).wait()), number)
            }
            Act::Contains => {
                answer(placed!(self, step, |place| cache.contains(place, key).wait()), Answer::Flag)
            }
            Act::Remove => answer(placed!(self, step, |place| cache.remove(place, key).wait()), Answer::Flag),
            Act::Invalidate => {
                answer(placed!(self, step, |place| cache.invalidate(place, key).wait()), Answer::Flag)
            }
            Act::Set { value: Held::Number(value), terms } => {
                answer(placed!(self, step, |place| perform!(cache.set(place, key, *value), terms)), |()| {
                    Answer::Done
                })
            }
            Act::Set { value: Held::Text(value), terms } => {
                let value = || value.clone();
                answer(placed!(self, step, |place| perform!(cache.set(place, key, value()), terms)), |()| {
                    Answer::Done
                })
            }
            Act::Load { value: Some(Held::Text(value)), terms } => {
                let load = || self.run(Some(value.clone()));
                loaded(
                    placed!(self, step, |place| perform!(cache.get_or_load_with(place, key, load), terms)),
                    |value: Arc<String>| Held::Text((*value).clone()),
                )
            }
            Act::Load { value, terms } => {
                let load = || self.run(value.as_ref().map(Held::number));
                loaded(
                    placed!(self, step, |place| perform!(cache.get_or_load_with(place, key, load), terms)),
                    |value: Arc<u64>| Held::Number(*value),
                )
            }
            _ => self.act_on_cache(step),
        }
    }

    fn act_in_region(&self, region: &Region<String, u64>, step: &Step, key: String) -> Answer {
        let number = |value: Option<u64>| Answer::Value(value.map(Held::Number));
        match &step.act {
            Act::Get { .. } if step.key == 0 => {
                answer(placed!(self, step, |place| region.get(place, key.as_str()).wait()), number)
            }
            Act::Get { .. } => {
                answer(placed!(self, step, |place| region.get_now(place, key.as_str())), number)
            }
            Act::Peek { .. } => {
                answer(placed!(self, step, |place| region.peek(place, key.as_str()).wait()), number)
            }
            Act::Pop { .. } => {
                answer(placed!(self, step, |place| region.pop(place, key.as_str()).wait()), number)
            }
            Act::Contains => {
                answer(placed!(self, step, |place| region.contains(place, &key).wait()), Answer::Flag)
            }
            Act::Remove => {
                answer(placed!(self, step, |place| region.remove(place, &key).wait()), Answer::Flag)
            }
            Act::Invalidate => {
                answer(placed!(self, step, |place| region.invalidate(place, &key).wait()), Answer::Flag)
            }
            Act::Set { value, terms } => answer(
                placed!(self, step, |place| perform!(region.set(place, key.clone(), value.number()), terms)),
                |()| Answer::Done,
            ),
            Act::Load { value, terms } => {
                let load = || self.run(value.as_ref().map(Held::number));
                loaded(
                    placed!(self, step, |place| perform!(
                        region.get_or_load_with(place, key.as_str(), load),
                        terms
                    )),
                    Held::Number,
                )
            }
            Act::InvalidateScope => {
                answer(placed!(self, step, |place| region.invalidate_scope(place).wait()), |evicted| {
                    Answer::Counted(evicted.entries, evicted.weight)
                })
            }
            _ => self.act_on_cache(step),
        }
    }

    fn run<T>(&self, value: Option<T>) -> Result<T, &'static str> {
        self.loader_runs.fetch_add(1, Ordering::Relaxed);
        value.ok_or("the loader was told to fail")
    }

    fn told(&self, cause: RemovalCause) -> u64 {
        self.told[cause.index()].load(Ordering::Relaxed)
    }
}

impl Spot {
    fn new(cache: &Cache, parts: &[(&'static str, &'static str)]) -> Self {
        let level = parts.last().map_or("global", |(level, _)| level);
        let ids = parts.iter().fold(Ids::new(), |ids, (level, id)| ids.with(format!("{level}_id"), *id));
        let handle = cache.scope((level, &ids)).expect("the scopes are of the tree");
        Self { level, ids, path: handle.path().clone(), handle }
    }
}

impl Held {
    fn number(&self) -> u64 {
        match self {
            Self::Number(number) => *number,
            Self::Text(text) => text.len() as u64,
        }
    }
}

fn answer<T>(result: Result<T, strata_cache::Error>, read: impl FnOnce(T) -> Answer) -> Answer {
    result.map_or_else(|error| Answer::Refused(error.kind()), read)
}

fn loaded<T>(result: Result<T, LoadError<&'static str>>, read: impl FnOnce(T) -> Held) -> Answer {
    match result {
        Ok(value) => Answer::Value(Some(read(value))),
        Err(LoadError::Cache(error)) => Answer::Refused(error.kind()),
        Err(_) => Answer::LoadFailed,
    }
}

// ------------------------------------------------------------------------------------------------ the comparison

fn compare(mut setup: Setup, mut steps: Vec<Step>) -> Agreed {
    if setup.max_per_scope.is_some() {
        // A typed region has one type; its shards share the bounds, so that the order across scopes is not promised.
        setup = Setup { entries: Some(2_000), weight: None, fifo: false, ..setup };
        for step in &mut steps {
            in_region(&mut step.act);
        }
    }
    if setup.fifo {
        // An overwrite never makes room then: a queue has no place for who is spared.
        (setup.entries, setup.weight) = (setup.entries.or(Some(6)), None);
        steps.retain(|step| !matches!(step.act, Act::SetBytes(_)));
    }
    let (subject, mut model) = (Subject::new(&setup), Model::new(setup));
    for (place, step) in steps.iter().enumerate() {
        let expected = model.act(step);
        prop_assert_eq!(subject.act(step), expected, "step {}: {:?}", place, step);
        if matches!(step.act, Act::Check) {
            check(&subject, &model)?;
        }
    }
    check(&subject, &model)?;
    check_rest(subject, &model)
}

/// The step a typed region can do in place of one that it cannot.
fn in_region(act: &mut Act) {
    match act {
        Act::Set { value, .. } | Act::Load { value: Some(value), .. } => {
            *value = Held::Number(value.number())
        }
        Act::Get { text } | Act::Peek { text } | Act::Pop { text } => *text = false,
        Act::SetCapacity(_) | Act::SetBytes(_) => *act = Act::Check,
        _ => {}
    }
}

/// Counters, gauges, laws.
fn check(subject: &Subject, model: &Model) -> Agreed {
    let stats = subject.cache.stats();
    let mut expected = model.tally;
    expected.entries = model.entries.len() as u64;
    expected.weight = model.weight();
    (expected.scopes, expected.regions) = (stats.scopes, stats.regions);
    prop_assert_eq!(stats, expected);
    prop_assert_eq!(stats.lookups(), model.lookups);
    prop_assert_eq!(
        stats.inserts,
        stats.entries + stats.removed + stats.evicted + stats.expired + stats.invalidated
    );
    prop_assert_eq!(
        subject.loader_runs.load(Ordering::Relaxed),
        stats.loads,
        "each load is one run of a loader"
    );
    let told = RemovalCause::ALL.map(|cause| subject.told(cause));
    let counted = [stats.expired, stats.evicted, stats.invalidated, stats.removed, stats.replaced];
    prop_assert_eq!(told, counted, "the listener hears of every removal, by cause");
    for (scope, spot) in subject.spots.iter().enumerate() {
        let report = subject.cache.stats_of(&spot.path).expect("the scope is of the tree");
        let inside = || model.entries.iter().filter(|entry| is_within(entry.scope, scope));
        let weight: u64 = inside().map(|entry| entry.weight).sum();
        prop_assert_eq!((report.entries, report.weight), (inside().count() as u64, weight), "{}", spot.path);
    }
    Ok(())
}

/// The scopes that are left, once readers of other tests of this process have passed.
fn scopes(cache: &Cache, wanted: usize) -> u64 {
    let limit = std::time::Instant::now() + Duration::from_secs(10);
    loop {
        let scopes = cache.stats().scopes;
        if scopes == wanted as u64 || std::time::Instant::now() > limit {
            return scopes;
        }
        std::thread::yield_now();
    }
}

/// What is left when handles go, and when everything goes.
fn check_rest(subject: Subject, model: &Model) -> Agreed {
    let Subject { cache, spots, region, .. } = subject;
    drop((spots, region));
    let nodes: HashSet<_> = model
        .entries
        .iter()
        .flat_map(|entry| (1..=SCOPES[entry.scope].len()).map(|length| &SCOPES[entry.scope][..length]))
        .collect();
    prop_assert_eq!(scopes(&cache, nodes.len()), nodes.len() as u64, "scopes are those that hold something");
    let gone = cache.clear().wait().expect("a cache of memory alone can be cleared");
    prop_assert_eq!((gone.entries, gone.weight), (model.entries.len() as u64, model.weight()));
    prop_assert_eq!(scopes(&cache, 0), 0);
    let stats = cache.stats();
    prop_assert_eq!((stats.entries, stats.weight, stats.flights, stats.regions), (0, 0, 0, 1));
    Ok(())
}

fn held() -> impl Strategy<Value = Held> {
    prop_oneof![
        4 => (0u64..100).prop_map(Held::Number),
        1 => "[a-c]{0,4}".prop_map(Held::Text),
    ]
}

fn terms() -> impl Strategy<Value = Terms> {
    let ttl = prop::option::weighted(0.4, 1u64..60);
    let weight = prop_oneof![6 => Just(None), 3 => (1u64..40).prop_map(Some), 1 => Just(Some(0)), 1 => Just(Some(5_000))];
    (ttl, weight).prop_map(|(ttl, weight)| Terms { ttl, weight })
}

fn act() -> impl Strategy<Value = Act> {
    let text = || prop::bool::weighted(0.15);
    prop_oneof![
        8 => text().prop_map(|text| Act::Get { text }),
        2 => text().prop_map(|text| Act::Peek { text }),
        1 => Just(Act::Contains),
        14 => (held(), terms()).prop_map(|(value, terms)| Act::Set { value, terms }),
        5 => (prop::option::weighted(0.8, held()), terms()).prop_map(|(value, terms)| Act::Load { value, terms }),
        2 => Just(Act::Remove),
        2 => Just(Act::Invalidate),
        2 => text().prop_map(|text| Act::Pop { text }),
        2 => Just(Act::Evict),
        1 => Just(Act::Preview),
        1 => Just(Act::InvalidateScope),
        3 => (1u64..40).prop_map(Act::Advance),
        1 => Just(Act::Maintain),
        1 => (1u64..12).prop_map(Act::SetCapacity),
        1 => (20u64..200).prop_map(Act::SetBytes),
        1 => Just(Act::Check),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let scope = prop_oneof![9 => 1..SCOPES.len(), 1 => Just(0)];
    let way = prop_oneof![Just(Way::Bag), Just(Way::Path), Just(Way::Handle)];
    (scope, way, 0u8..4, act()).prop_map(|(scope, way, key, act)| {
        // The root scope with everything in it goes rarely, or little else would be seen.
        let act = if scope == 0 && matches!(act, Act::Evict) && key == 0 { Act::Clear } else { act };
        Step { scope, way, key, act }
    })
}

fn setup() -> impl Strategy<Value = Setup> {
    let bounds = prop_oneof![
        3 => (1u64..12).prop_map(|entries| (Some(entries), None)),
        2 => (20u64..200).prop_map(|weight| (None, Some(weight))),
        1 => (1u64..12, 20u64..200).prop_map(|(entries, weight)| (Some(entries), Some(weight))),
    ];
    let ttl = prop::option::weighted(0.3, 5u64..80);
    let max = prop::option::weighted(0.3, 1u64..4);
    (bounds, prop::bool::weighted(0.25), ttl, max).prop_map(
        |((entries, weight), fifo, ttl, max_per_scope)| Setup { entries, weight, fifo, ttl, max_per_scope },
    )
}

#[test]
fn cache_agrees_with_a_naive_model() {
    let seed =
        std::env::var("PROPTEST_RNG_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| {
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            now.as_nanos() as u64
        });
    eprintln!("seed: PROPTEST_RNG_SEED={seed}");
    let asked = ProptestConfig::default();
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { asked.cases.max(CASES) } else { CASES };
    let config = ProptestConfig { cases, rng_seed: RngSeed::Fixed(seed), failure_persistence: None, ..asked };
    let cases = (setup(), prop::collection::vec(step(), 1..60));
    let result = TestRunner::new(config).run(&cases, |(setup, steps)| compare(setup, steps));
    if let Err(failure) = result {
        panic!("{failure}\nPROPTEST_RNG_SEED={seed}");
    }
}
