//! Do budgets keep their word while 100,000 of them change under load?
//!
//! (1) Users in orgs, each with a budget of its own, set by path: a capacity of half to three times an even share, and a
//! reserve up to that; orgs have one and a half of their share by their level. Users, orgs and the cache are all asked
//! for more than they may hold. `storm-…` has 100,000 users of some ten entries, `storm-few-…` 1,000 of some hundred, for
//! the cost of an insert is another matter there. (2) Two threads read keys of random users, load what is not there, and
//! at every 32nd turn change the budget of a random user; what does not fit is refused. (3) Every second both halt, and
//! the laws are checked: nobody of a sample above its capacity, reserves within the cache and within their orgs, and
//! nothing lost by guards, which stay within their reserve and are not removed from. (4) While both run, fences, whose
//! capacity nobody changes, are at most one for each of them above it. (5) The slowest insert is taken by the wall, with
//! whatever else got the processor meanwhile; operations a second are those between halts.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use strata_cache::{Budget, Cache, Region, Scope, ScopeBudget, scope};

use crate::draw::Rng;
use crate::measure::{Ticks, ticks};
use crate::report::{Judged, Row, short};
use crate::run::Run;
use crate::stats::percentile_of;

const THREADS: usize = 2;
/// Turns between two changes of budgets.
const EVERY: usize = 32;
/// The reserve of a guard, and the capacity of a fence; there are ten of each.
const KEPT: u64 = 50;

struct Size {
    name: &'static str,
    orgs: u64,
    /// Users of an org.
    users: u64,
    /// Entries of a user, if all had the same.
    share: u64,
}

const SIZES: [Size; 2] = [
    Size { name: "storm", orgs: 1_000, users: 100, share: 10 },
    Size { name: "storm-few", orgs: 100, users: 10, share: 100 },
];

impl Size {
    fn capacity(&self) -> u64 {
        self.orgs * self.org()
    }

    fn org(&self) -> u64 {
        self.users * self.share
    }

    /// A capacity for a user.
    fn drawn(&self, rng: &mut Rng) -> u64 {
        self.share / 2 + rng.below(self.share as usize * 5 / 2 + 1) as u64
    }

    fn org_capacity(&self) -> u64 {
        self.org() * 3 / 2
    }
}

pub fn rows(run: &mut Run) {
    SIZES.iter().for_each(|size| rage(run, size));
}

fn rage(run: &mut Run, size: &Size) {
    let rows = ["violations", "operations", "changes", "slowest-insert"];
    let rows = rows.map(|what| format!("{}-{what}", size.name));
    if !rows.iter().any(|row| run.wants(row)) {
        return;
    }
    let seconds = run.either(5, 60);
    let (users, capacity) = (size.orgs * size.users, size.capacity());
    run.note(format!(
        "{} ...: capacity {capacity}, {users} budgets, {THREADS} threads, {seconds} s",
        size.name
    ));
    let start = Instant::now();
    let storm = Storm::new(size);
    run.note(format!(
        "    set in {} s; {} entries to begin with",
        short(start.elapsed().as_secs_f64()),
        storm.cache.stats().entries
    ));
    let (done, busy, faults) = storm.rage(seconds);
    faults.iter().take(10).for_each(|fault| run.note(format!("    violated: {fault}")));
    let sum = |of: fn(&Done) -> u64| done.iter().map(of).sum::<u64>();
    let mut sampled: Vec<u32> = done.iter().flat_map(|done| done.sampled.iter().copied()).collect();
    let worst = |of: fn(&Done) -> f64| done.iter().map(of).fold(0.0, f64::max);
    let (slowest, slowest_change) = (worst(|done| done.slowest), worst(|done| done.slowest_change));
    run.note(format!(
        "    {} reads, {} inserts, {} changes, {} of them refused; inserts p50 {} ns, p99.9 {} µs; {} took above 1 ms, \
         the slowest change {} ms; at last {} entries",
        sum(|done| done.reads),
        sum(|done| done.inserts),
        sum(|done| done.changes),
        sum(|done| done.refused),
        short(percentile_of(&mut sampled, 0.5)),
        short(percentile_of(&mut sampled, 0.999) / 1e3),
        sum(|done| done.slow),
        short(slowest_change / 1e6),
        storm.cache.stats().entries,
    ));
    let row = |at: usize, ours, commit, unit| Row {
        row: rows[at].clone(),
        ours,
        rival: None,
        judged: Judged::Small,
        commit,
        goal: None,
        unit,
    };
    let (operations, changes) = (sum(|done| done.reads + done.inserts), sum(|done| done.changes));
    run.add(row(0, faults.len() as f64, Some(0.0), ""));
    run.add(row(1, operations as f64 / busy / 1e3, None, "k/s"));
    run.add(row(2, changes as f64 / busy, None, "1/s"));
    run.add(row(3, slowest / 1e6, None, "ms"));
}

struct Storm<'a> {
    size: &'a Size,
    cache: Cache,
    region: Region<u64, u64>,
    users: Vec<Scope>,
    budgets: Vec<ScopeBudget>,
    orgs: Vec<Scope>,
    guards: Vec<Scope>,
    fences: Vec<Scope>,
}

/// What one thread has done; times in ns.
#[derive(Default)]
struct Done {
    reads: u64,
    inserts: u64,
    changes: u64,
    refused: u64,
    slow: u64,
    slowest: f64,
    slowest_change: f64,
    /// Every 64th insert.
    sampled: Vec<u32>,
}

impl<'a> Storm<'a> {
    fn new(size: &'a Size) -> Self {
        let cache =
            Cache::builder().capacity(size.capacity()).budget("org", Budget::entries(size.org_capacity()));
        let cache = cache.build().expect("the options are valid");
        let region = cache.region::<u64, u64>("storm").expect("the name is valid");
        let user = |org: u64, user: u64| {
            let scope = cache.scope(scope!(org = org, user = user));
            scope.expect("the path is valid")
        };
        let users: Vec<Scope> =
            (0..size.orgs * size.users).map(|at| user(at / size.users, at % size.users)).collect();
        let budget = |scope: &Scope| cache.budget(scope).expect("the scope is this cache's");
        let budgets: Vec<ScopeBudget> = users.iter().map(budget).collect();
        let guards: Vec<Scope> = (0..10).map(|at| user(size.orgs + at, 0)).collect();
        let fences: Vec<Scope> = (10..20).map(|at| user(size.orgs + at, 0)).collect();
        for guard in &guards {
            budget(guard).set(Budget::unbounded().reserve(KEPT)).expect("it fits");
            (0..KEPT).for_each(|key| region.set(guard, key, key).wait().expect("it fits"));
        }
        for fence in &fences {
            budget(fence).set(Budget::entries(KEPT)).expect("it fits");
        }
        let mut rng = Rng::new(94);
        for budget in &budgets {
            // Nothing is refused yet: reserves of a third on average leave room.
            let capacity = size.drawn(&mut rng);
            budget.set(Budget::entries(capacity).reserve(capacity.div_ceil(3))).expect("it fits");
        }
        let org = |org: u64| cache.scope(scope!(org = org)).expect("the path is valid");
        let orgs = (0..size.orgs).map(org).collect();
        let storm = Self { size, users, budgets, orgs, guards, fences, region, cache };
        let mut done = Done::default();
        for user in 0..storm.users.len() {
            // As much as all may hold.
            (0..size.share / 2).for_each(|key| storm.insert(&storm.users[user], key, &mut done));
        }
        storm
    }

    /// What each thread has done, the seconds between halts, and what was violated.
    fn rage(&self, seconds: usize) -> (Vec<Done>, f64, Vec<String>) {
        let (is_over, halt, halted) = (AtomicBool::new(false), AtomicBool::new(false), AtomicUsize::new(0));
        let (is_over, halt, halted) = (&is_over, &halt, &halted);
        let (mut busy, mut faults) = (0.0, Vec::new());
        let done = std::thread::scope(|threads| {
            let work = move |thread: usize| {
                let (mut done, mut rng) = (Done::default(), Rng::new(95 + thread as u64));
                while !is_over.load(Ordering::Acquire) {
                    if halt.load(Ordering::Acquire) {
                        halted.fetch_add(1, Ordering::AcqRel);
                        while halt.load(Ordering::Acquire) {
                            std::thread::sleep(Duration::from_micros(200));
                        }
                        halted.fetch_sub(1, Ordering::AcqRel);
                    }
                    (0..EVERY).for_each(|_| self.turn(&mut rng, &mut done));
                    self.change(&mut rng, &mut done);
                }
                done
            };
            let spawned: Vec<_> = (0..THREADS).map(|thread| threads.spawn(move || work(thread))).collect();
            let mut rng = Rng::new(97);
            for second in 0..seconds {
                let start = Instant::now();
                while start.elapsed() < Duration::from_secs(1) {
                    std::thread::sleep(Duration::from_millis(10));
                    self.check_fences(KEPT + THREADS as u64, &mut faults);
                }
                halt.store(true, Ordering::Release);
                while halted.load(Ordering::Acquire) < THREADS {
                    std::thread::sleep(Duration::from_micros(200));
                }
                busy += start.elapsed().as_secs_f64();
                self.check(second, &mut rng, &mut faults);
                halt.store(false, Ordering::Release);
                while halted.load(Ordering::Acquire) > 0 {
                    std::thread::sleep(Duration::from_micros(200));
                }
            }
            is_over.store(true, Ordering::Release);
            spawned.into_iter().map(|thread| thread.join().expect("no thread panics")).collect()
        });
        (done, busy, faults)
    }

    fn turn(&self, rng: &mut Rng, done: &mut Done) {
        let key = rng.below(self.size.share as usize * 6) as u64;
        // One in a hundred goes to a fence.
        let scope = match rng.below(100) {
            0 => &self.fences[rng.below(self.fences.len())],
            _ => &self.users[rng.below(self.users.len())],
        };
        let hit = self.region.get_now(scope, &key).expect("the scope is this cache's");
        done.reads += 1;
        if hit.is_none() {
            self.insert(scope, key, done);
        }
    }

    fn insert(&self, scope: &Scope, key: u64, done: &mut Done) {
        let from = ticks();
        self.region.set(scope, key, key).wait().expect("an entry weighs less than the capacity");
        let nanos = Ticks::get().between(from, ticks());
        done.inserts += 1;
        done.slowest = done.slowest.max(nanos);
        done.slow += u64::from(nanos > 1e6);
        if done.inserts.is_multiple_of(64) {
            done.sampled.push(nanos as u32);
        }
    }

    fn change(&self, rng: &mut Rng, done: &mut Done) {
        let budget = &self.budgets[rng.below(self.budgets.len())];
        let capacity = self.size.drawn(rng);
        let reserve = rng.below(capacity as usize) as u64 + 1;
        let from = ticks();
        let set = budget.set(Budget::entries(capacity).reserve(reserve));
        done.slowest_change = done.slowest_change.max(Ticks::get().between(from, ticks()));
        done.changes += 1;
        done.refused += u64::from(set.is_err());
    }

    fn check_fences(&self, most: u64, faults: &mut Vec<String>) {
        for fence in &self.fences {
            let held = entries(fence);
            if held > most {
                faults.push(format!("{fence} holds {held}, above {most}"));
            }
        }
    }

    /// The laws, while nobody writes.
    fn check(&self, second: usize, rng: &mut Rng, faults: &mut Vec<String>) {
        let mut fault = |what: String| faults.push(format!("after {} s: {what}", second + 1));
        let held = self.cache.stats().entries;
        if held > self.size.capacity() {
            fault(format!("the cache holds {held}"));
        }
        for _ in 0..5_000 {
            let at = rng.below(self.users.len());
            let (held, most) = (entries(&self.users[at]), self.budgets[at].granted().max_entries);
            if most.is_none_or(|most| held > most) {
                fault(format!("{} holds {held} of {most:?}", self.users[at]));
            }
        }
        let mut reserved = 10 * KEPT;
        for (org, budgets) in self.orgs.iter().zip(self.budgets.chunks(self.size.users as usize)) {
            let held = entries(org);
            let promised: u64 = budgets.iter().map(|budget| budget.granted().reserved_entries).sum();
            let most = self.size.org_capacity();
            if held > most || promised > most {
                fault(format!("{org} holds {held} and has promised {promised} of {most}"));
            }
            reserved += promised;
        }
        if reserved > self.size.capacity() {
            fault(format!("{reserved} are reserved"));
        }
        for guard in &self.guards {
            let is_there = |key: &u64| self.region.peek(guard, key).wait().is_ok_and(|value| value.is_some());
            let there = (0..KEPT).filter(is_there).count() as u64;
            if there < KEPT {
                fault(format!("{guard} has {there} left of {KEPT}"));
            }
        }
        self.check_fences(KEPT, faults);
    }
}

fn entries(scope: &Scope) -> u64 {
    scope.stats().expect("the scope is this cache's").entries
}
