//! What does a million scopes cost: bytes a live one, time to find one, and what stays when they are gone?
//!
//! Bytes are those asked of the allocator, index included, by a registry of nothing but scopes. Looks are at a path of two text
//! ids; among many of them it is mostly the memory's time. Waves are a million sessions that come with an entry or a handle
//! each, and go; resident memory is the kernel's, what was asked of the allocator is ours, and both are judged by how much of the peak
//! above the start is left. The cache has the heap trimmed (`CacheBuilder::trim_heap`). Another thread looks up a scope that stays, all the time: its
//! slowest calls are by the clock: those of some milliseconds are the scheduler's.

mod support;

use std::hint::black_box;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use strata_cache::{Cache, Maintenance, Region, Scope, ScopeTree, scope};
use strata_cache_core::epoch;
use strata_cache_core::scope::{Node, Registry, TrackedLevels};
use support::{Draw, Report, alloc, case, resident};

const SCOPES: u64 = 1_000_000;
const WAVES: u64 = 4;

type Error = Box<dyn std::error::Error>;

/// 16 bytes.
fn id(number: u64) -> String {
    format!("user-{number:011}")
}

fn registry() -> Registry {
    Registry::new(ScopeTree::default(), TrackedLevels::First)
}

/// Users of so many orgs, and the bytes that each takes.
fn fill(orgs: u64) -> Result<(Registry, f64), Error> {
    let registry = registry();
    for org in 0..orgs {
        registry.find_or_create(&scope!(org = org), "bench")?;
    }
    let before = alloc::live();
    for user in 0..SCOPES {
        registry.find_or_create(&scope!(org = user % orgs, user = id(user)), "bench")?;
    }
    // Outgrown tables go when readers have passed, and somebody collects; a few of the scopes go with them.
    registry.collect_idle(64);
    let left = registry.len() as u64 - orgs;
    assert!(left > SCOPES - 100, "{left}");
    Ok((registry, (alloc::live() - before) as f64 / left as f64))
}

fn bytes(report: &mut Report) -> Result<(), Error> {
    report.head("bytes a live scope, 1,000,000 users with ids of 16 bytes");
    for (name, orgs) in [("in one org", 1), ("in 1,000 orgs", 1_000)] {
        let (_registry, bytes) = fill(orgs)?;
        report.row(name, &format!("{bytes:.1}"), "≤ 200", Some(bytes <= 200.0));
    }
    Ok(())
}

/// Paths drawn from all users, and from users that are not.
fn paths(org: impl Fn(u64) -> String) -> Vec<(String, String)> {
    let mut draw = Draw(1);
    (0..1 << 16).map(|_| draw.next() % SCOPES).map(|user| (org(user % 1_000), id(user))).collect()
}

fn looks(report: &mut Report) -> Result<(), Error> {
    let (registry, _) = fill(1_000)?;
    let present = paths(|org| org.to_string());
    let absent = paths(|org| format!("no {org}"));
    // One of those that went with the tables would be no present path.
    let is_present = |(org, user): &&(String, String)| {
        registry.find_or_create(&scope!(org = org.as_str(), user = user.as_str()), "bench").is_ok()
    };
    assert!(present.iter().all(|path| is_present(&path)));
    let scopes = registry.len();
    let looked_up = |(org, user): &(String, String)| {
        let place = scope!(org = org.as_str(), user = user.as_str());
        let pin = epoch::pin();
        registry.with(&pin, &place, "bench", |node| node.map(Node::id)).ok().flatten()
    };
    let held = |(org, user): &(String, String)| {
        let place = scope!(org = org.as_str(), user = user.as_str());
        registry.find(&place, "bench").ok().flatten()
    };
    let ring = |paths: &[(String, String)], runs: u64, look: &dyn Fn(&(String, String))| {
        (0..runs).for_each(|run| look(&paths[run as usize & (paths.len() - 1)]));
    };
    let (one, some) = (&present[..1], &present[..1 << 10]);
    report.times(vec![
        case("looked up, one path", |runs| {
            ring(one, runs, &|path| assert!(black_box(looked_up(path)).is_some()))
        })
        .at_most(60.0)
        .without_allocation(),
        case("looked up, 1,024 paths", |runs| {
            ring(some, runs, &|path| assert!(black_box(looked_up(path)).is_some()));
        })
        .without_allocation(),
        case("held, one path", |runs| ring(one, runs, &|path| assert!(black_box(held(path)).is_some())))
            .at_most(60.0)
            .without_allocation(),
        case("looked up, 65,536 paths among 1,000,000", |runs| {
            ring(&present, runs, &|path| assert!(black_box(looked_up(path)).is_some()));
        })
        .without_allocation(),
        case("absent, 65,536 paths", |runs| {
            ring(&absent, runs, &|path| assert!(black_box(looked_up(path)).is_none()));
        })
        .without_allocation(),
    ]);
    let made = registry.len() - scopes;
    report.head("looks at absent paths");
    report.row("scopes made", &made.to_string(), "0", Some(made == 0));
    Ok(())
}

/// Scopes that stay, with an entry each, where a wave passes over many.
const STAYING: u64 = 10_000;

/// How the sessions of a wave come and go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// With an entry each; their orgs are evicted.
    Entries,
    /// The same, while others stay.
    Among,
    /// With a handle each; all handles are dropped.
    Handles,
}

/// Session of some user: 1,000 users in 10 orgs.
fn session(cache: &Cache, wave: u64, number: u64) -> Result<Scope, Error> {
    let (org, user) = (number % 10, number % 1_000);
    Ok(cache.scope(scope!(org = org, user = user, session = format!("{wave:04}-{number:011}")))?)
}

/// A wave comes and goes; answers bytes in between, resident and asked for.
fn wave(region: &Region<u64, u64>, number: u64, kind: Kind) -> Result<(u64, u64), Error> {
    let cache = region.cache();
    let mut handles = Vec::new();
    for session in (0..SCOPES).map(|at| self::session(cache, number, at)) {
        let session = session?;
        region.set(&session, 1, 1).wait()?;
        if kind == Kind::Handles {
            region.remove(&session, &1).wait()?;
            handles.push(session);
        }
    }
    // Beside the root, and the org and the user of whoever stands by.
    let others = if kind == Kind::Among { STAYING } else { 0 };
    assert!(cache.stats().scopes > SCOPES + others);
    let peak = (resident(), alloc::live() as u64);
    drop(handles);
    if kind != Kind::Handles {
        for org in 0..10 {
            cache.evict_by_scope(scope!(org = org)).wait()?;
        }
    }
    let limit = Instant::now() + Duration::from_secs(20);
    while cache.stats().scopes > others + 3 {
        assert!(Instant::now() < limit, "{} scopes stay", cache.stats().scopes);
    }
    Ok(peak)
}

/// Calls and has it remembered if it was the slowest so far.
fn timed<R>(slowest: &mut Duration, call: impl FnOnce() -> R) -> R {
    let start = Instant::now();
    let result = call();
    *slowest = start.elapsed().max(*slowest);
    result
}

/// Looks up, and writes to, a scope that stays, until told to end. Leaves the processor to others in between. Answers its slowest
/// calls, and the bytes that it asked for and did not free: below zero, for it frees what others leave.
fn bystander(region: &Region<u64, u64>, over: &AtomicBool) -> ([Duration; 2], i64) {
    let [mut look, mut write] = [Duration::ZERO; 2];
    while !over.load(Ordering::Relaxed) {
        let place = || scope!(org = "stays", user = "stays");
        timed(&mut look, || region.get_now(place(), &1)).expect("the scope can be read");
        timed(&mut write, || region.set(place(), 1, 1).wait()).expect("the scope can be written");
        std::thread::sleep(Duration::from_micros(100));
    }
    ([look, write], alloc::live())
}

/// What is left of a peak, both above the start, in percent.
fn left(start: u64, peak: u64, end: u64) -> f64 {
    end.saturating_sub(start) as f64 / peak.saturating_sub(start).max(1) as f64 * 100.0
}

fn waves(report: &mut Report, kind: Kind, name: &str) -> Result<(), Error> {
    let cache = Cache::builder().capacity(2 * SCOPES).maintenance(Maintenance::Manual).trim_heap(true);
    let cache = cache.build()?;
    let region = cache.region::<u64, u64>("things")?;
    region.set(scope!(org = "stays", user = "stays"), 1, 1).wait()?;
    for number in (0..STAYING).filter(|_| kind == Kind::Among) {
        region.set(scope!(org = "stays", user = format!("stays {number}")), 1, 1).wait()?;
    }
    let start = (resident(), alloc::live() as u64);
    let mut elsewhere = 0;
    for number in 0..WAVES {
        let (over, began) = (AtomicBool::new(false), Instant::now());
        let (peak, ([look, write], bytes)) = std::thread::scope(|threads| {
            let bystander = threads.spawn(|| bystander(&region, &over));
            let peak = wave(&region, number, kind);
            over.store(true, Ordering::Relaxed);
            let slowest = bystander.join().expect("the bystander does not panic");
            peak.map(|peak| (peak, slowest))
        })?;
        // What another thread freed of it, in this wave and before.
        let peak = (peak.0, (peak.1 as i64 + elsewhere).max(0) as u64);
        elsewhere += bytes;
        let asked = left(start.1, peak.1, (alloc::live() + elsewhere).max(0) as u64);
        let resident = left(start.0, peak.0, resident());
        let line = format!(
            "peak {} MiB resident, {} MiB asked for; left {resident:.1} % and {asked:.1} %; slowest look {look:.1?}, \
             write {write:.1?}; took {:.1?}",
            peak.0 >> 20,
            peak.1 >> 20,
            began.elapsed()
        );
        let met = resident <= 5.0 && asked <= 5.0;
        report.row(&format!("wave {number}, {name}"), &line, "≤ 5 % left", Some(met));
    }
    Ok(())
}

fn main() -> Result<ExitCode, Error> {
    let mut report = Report::new("What does a million scopes cost?");
    bytes(&mut report)?;
    looks(&mut report)?;
    report.head("1,000,000 sessions come and go");
    waves(&mut report, Kind::Handles, "a handle each")?;
    waves(&mut report, Kind::Entries, "an entry each")?;
    waves(&mut report, Kind::Among, "an entry each, among 10,000 that stay")?;
    Ok(report.end())
}
