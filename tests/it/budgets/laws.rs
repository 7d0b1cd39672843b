//! The laws of budgets under random operations, against counts that are taken anew each time.
//!
//! After each operation of one thread: (1) no scope holds more than its capacity, nor the cache more than its own. (2) A scope that
//! was within its reserve lost nothing to a write elsewhere. (3) A scope that holds less than its reserve grows with each new key, unless
//! a capacity on the way is used up: what is lent comes back. (5) A write takes no more than the one place it needs. (4) Counts are those of what can be read.
//!
//! The seed is printed with a failure: `PROPTEST_RNG_SEED` runs it again, `PROPTEST_CASES` asks for more cases.

use std::time::SystemTime;

use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestCaseError, TestRunner};
use strata_cache::{Budget, Cache, Region, Scope, scope};

use super::POLICIES;
use crate::support::still;

const CASES: u32 = 10_000;
const ORGS: usize = 3;
const USERS: usize = 3;
const KEYS: u64 = 24;

/// Place 0 is the root; then come orgs, then users, by org.
const PLACES: usize = 1 + ORGS + ORGS * USERS;

fn above(place: usize) -> Option<usize> {
    match place {
        0 => None,
        org if org <= ORGS => Some(0),
        user => Some((user - ORGS - 1) / USERS + 1),
    }
}

fn path(place: usize) -> impl Iterator<Item = usize> {
    std::iter::successors(Some(place), |&place| above(place))
}

#[derive(Debug, Clone)]
enum Step {
    Write {
        region: usize,
        place: usize,
        key: u64,
    },
    Read {
        region: usize,
        place: usize,
        key: u64,
    },
    Remove {
        region: usize,
        place: usize,
        key: u64,
    },
    Evict {
        place: usize,
    },
    /// Capacity and reserve; 0 for none.
    Set {
        place: usize,
        capacity: u64,
        reserve: u64,
    },
    Reset {
        place: usize,
    },
    Level {
        is_org: bool,
        capacity: u64,
        reserve: u64,
    },
    Resize {
        capacity: u64,
    },
    Maintain,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let place = || 0..PLACES;
    let amount = || prop_oneof![Just(0u64), 1..20u64];
    let step = prop_oneof![
        60 => (0..3usize, place(), 0..KEYS).prop_map(|(region, place, key)| Step::Write { region, place, key }),
        8 => (0..3usize, place(), 0..KEYS).prop_map(|(region, place, key)| Step::Read { region, place, key }),
        4 => (0..3usize, place(), 0..KEYS).prop_map(|(region, place, key)| Step::Remove { region, place, key }),
        1 => place().prop_map(|place| Step::Evict { place }),
        8 => (1..PLACES, amount(), amount())
            .prop_map(|(place, capacity, reserve)| Step::Set { place, capacity, reserve }),
        2 => (1..PLACES).prop_map(|place| Step::Reset { place }),
        2 => (any::<bool>(), amount(), amount())
            .prop_map(|(is_org, capacity, reserve)| Step::Level { is_org, capacity, reserve }),
        1 => (20..60u64).prop_map(|capacity| Step::Resize { capacity }),
        1 => Just(Step::Maintain),
    ];
    proptest::collection::vec(step, 1..80)
}

fn budget(capacity: u64, reserve: u64) -> Budget {
    let budget = if capacity > 0 { Budget::entries(capacity) } else { Budget::unbounded() };
    if reserve > 0 { budget.reserve(reserve) } else { budget }
}

struct World {
    cache: Cache,
    regions: [Region<u64, u64>; 3],
    scopes: Vec<Scope>,
    capacity: u64,
}

impl World {
    fn new(policy: &str) -> Result<Self, strata_cache::Error> {
        let (builder, _) = still();
        let cache = builder.capacity(40).policy(policy).build()?;
        let mut scopes = vec![cache.scope(scope!(global))?];
        for org in 0..ORGS {
            scopes.push(cache.scope(scope!(org = org))?);
        }
        for user in 0..ORGS * USERS {
            scopes.push(cache.scope(scope!(org = user / USERS, user = user % USERS))?);
        }
        let open = |name: &str| cache.region::<u64, u64>(name);
        let limited = cache.region_builder::<u64, u64>("limited").max_per_scope(5).open()?;
        Ok(Self { regions: [open("a")?, open("b")?, limited], scopes, capacity: 40, cache })
    }

    /// What can be read of each scope alone.
    fn contents(&self) -> Result<Vec<u64>, strata_cache::Error> {
        let mut held = vec![0; PLACES];
        for region in &self.regions {
            for (place, scope) in self.scopes.iter().enumerate() {
                for key in 0..KEYS {
                    held[place] += u64::from(region.peek(scope, &key).wait()?.is_some());
                }
            }
        }
        Ok(held)
    }

    /// What is counted for each scope with all below it.
    fn counts(&self) -> Result<Vec<u64>, strata_cache::Error> {
        self.scopes.iter().map(|scope| Ok(scope.preview_evict().wait()?.entries)).collect()
    }

    /// The place that was written to, and whether that must have grown but for budgets: the key was absent, and no other
    /// limit holds there.
    fn step(&mut self, step: &Step) -> Result<Option<(usize, bool)>, strata_cache::Error> {
        match *step {
            Step::Write { region, place, key } => {
                let was_absent = self.regions[region].peek(&self.scopes[place], &key).wait()?.is_none();
                self.regions[region].set(&self.scopes[place], key, key).wait()?;
                return Ok(Some((place, was_absent && region < 2)));
            }
            Step::Read { region, place, key } => {
                self.regions[region].get_now(&self.scopes[place], &key)?;
            }
            Step::Remove { region, place, key } => {
                self.regions[region].remove(&self.scopes[place], &key).wait()?;
            }
            Step::Evict { place } => {
                self.cache.evict_by_scope(&self.scopes[place]).wait()?;
            }
            // What does not fit is refused.
            Step::Set { place, capacity, reserve } => {
                _ = self.cache.budget(&self.scopes[place])?.set(budget(capacity, reserve));
            }
            Step::Reset { place } => _ = self.cache.budget(&self.scopes[place])?.reset(),
            Step::Level { is_org, capacity, reserve } => {
                let budget = (capacity + reserve > 0).then(|| budget(capacity, reserve));
                _ = self.cache.set_budget_of_level(if is_org { "org" } else { "user" }, budget);
            }
            Step::Resize { capacity } => {
                if self.cache.set_capacity(capacity).is_ok() {
                    self.capacity = capacity;
                }
            }
            Step::Maintain => self.cache.maintain(),
        }
        Ok(None)
    }
}

/// What each place holds with all below it.
fn sums(alone: &[u64]) -> Vec<u64> {
    let mut sums = vec![0; PLACES];
    for (place, held) in alone.iter().enumerate() {
        path(place).for_each(|upper| sums[upper] += held);
    }
    sums
}

fn check(policy: &str, steps: &[Step]) -> Result<(), TestCaseError> {
    let fail = |error: strata_cache::Error| TestCaseError::fail(error.to_string());
    let mut world = World::new(policy).map_err(fail)?;
    let mut before = vec![0; PLACES];
    for step in steps {
        let granted = |place: usize| world.cache.budget(&world.scopes[place]).map(|budget| budget.granted());
        let grants: Vec<_> = (0..PLACES).map(granted).collect::<Result<_, _>>().map_err(fail)?;
        let has_room = |place: usize| grants[place].max_entries.is_none_or(|most| before[place] < most);
        let written = world.step(step).map_err(fail)?;
        let after = world.counts().map_err(fail)?;
        if let Some((_, true)) = written {
            prop_assert!(
                after[0] >= before[0],
                "{:?} took more than one place: {:?} to {:?}",
                step,
                before,
                after
            );
        }
        for (place, scope) in world.scopes.iter().enumerate() {
            let most = match place {
                0 => Some(world.capacity),
                _ => world.cache.budget(scope).map_err(fail)?.granted().max_entries,
            };
            prop_assert!(
                most.is_none_or(|most| after[place] <= most),
                "{} above {:?} after {:?}",
                scope,
                most,
                step
            );
            if let Some((writer, true)) = written
                && place > 0
                && path(writer).any(|upper| upper == place)
                && before[place] < grants[place].reserved_entries
                && path(writer).all(has_room)
            {
                prop_assert!(
                    after[place] == before[place] + 1,
                    "{} below its reserve after {:?}",
                    scope,
                    step
                );
            }
            if let Some((writer, _)) = written
                && place > 0
                && path(writer).all(|upper| upper != place)
                && before[place] <= grants[place].reserved_entries
            {
                // A limit of a function in a scope is the scope's own.
                prop_assert!(
                    after[place] >= before[place],
                    "{} paid for {:?}: {:?} to {:?}",
                    scope,
                    step,
                    before,
                    after
                );
            }
        }
        before = after;
    }
    prop_assert_eq!(sums(&world.contents().map_err(fail)?), before, "counts are of what can be read");
    Ok(())
}

#[test]
fn laws_of_budgets_hold_whatever_happens() {
    let asked = ProptestConfig::default();
    let cases = if asked.cases == ProptestConfig::with_cases(256).cases { CASES } else { asked.cases };
    let seed = match asked.rng_seed {
        RngSeed::Fixed(seed) => seed,
        RngSeed::Random => SystemTime::UNIX_EPOCH.elapsed().map_or(1, |age| age.as_nanos() as u64),
    };
    let config = ProptestConfig { cases, rng_seed: RngSeed::Fixed(seed), failure_persistence: None, ..asked };
    let worlds = (proptest::sample::select(&POLICIES[..]), steps());
    let result = TestRunner::new(config).run(&worlds, |(policy, steps)| check(policy, &steps));
    if let Err(failure) = result {
        panic!("{failure}\nPROPTEST_RNG_SEED={seed}");
    }
}
