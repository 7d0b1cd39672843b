//! A long run that must not go wrong: `cargo xtask soak` (ten minutes), or `cargo run --release --example soak -- --minutes N`.
//!
//! Four threads read, write, load, remove and evict for 500 organisations, one of which is as busy as a thousand others, while
//! the capacity changes, entries expire and some clones are slow. (1) Nobody is served a value of another place, one that is
//! older than a write that had returned, one that was dropped, or one that expired long ago. (2) Every second all pause: then the
//! bounds hold, the counters agree, and exactly the values in the cache are alive. While they run, the bound is exceeded by no more
//! than the entries being written. (3) Memory stays flat. A line is printed each second; the exit code is 1 if any of this failed.
#![allow(clippy::print_stdout, reason = "it reports on the terminal")]

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use strata_cache::{Cache, Region, ScopePath, scope};

const THREADS: u64 = 4;
const ORGS: u64 = 500;
/// Scopes of an organisation: its own and those of its users.
const SCOPES: u64 = 4;
const KEYS: u64 = 50;
const CAPACITY: u64 = 20_000;
/// An expired value may be served for as long as a thread's reading of the clock may be old, and the machine be busy.
const LATE: Duration = Duration::from_millis(500);

/// Values in memory now.
static ALIVE: AtomicI64 = AtomicI64::new(0);
static VIOLATIONS: AtomicU64 = AtomicU64::new(0);

fn violation(what: &str) {
    if VIOLATIONS.fetch_add(1, SeqCst) < 20 {
        eprintln!("VIOLATION: {what}");
    }
}

/// A value knows where it belongs, how new it is, and whether it lives.
struct Thing {
    place: u64,
    version: u64,
    until: Option<Instant>,
    /// On the heap, for memory to be worth something.
    text: Box<[u64; 8]>,
    lives: bool,
}

impl Thing {
    fn new(place: u64, version: u64, until: Option<Instant>) -> Self {
        ALIVE.fetch_add(1, SeqCst);
        Self { place, version, until, text: Box::new([place; 8]), lives: true }
    }
}

impl Clone for Thing {
    fn clone(&self) -> Self {
        if self.version % 4096 == 77 {
            thread::sleep(Duration::from_millis(1));
        }
        if !self.lives || *self.text != [self.place; 8] {
            violation("a value that was dropped");
        }
        Self::new(self.place, self.version, self.until)
    }
}

impl Drop for Thing {
    fn drop(&mut self) {
        if !std::mem::replace(&mut self.lives, false) {
            violation("a value was dropped twice");
        }
        self.text.fill(u64::MAX);
        ALIVE.fetch_sub(1, SeqCst);
    }
}

/// What is stored at a place outside of the cache: a version that rises, and the last one that was made known.
#[derive(Default)]
struct Row {
    version: AtomicU64,
    floor: AtomicU64,
    writer: Mutex<()>,
}

impl Row {
    /// A write, by one at a time; made known when `act` has returned.
    fn write(&self, act: impl FnOnce(u64)) {
        let _one = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let version = self.version.fetch_add(1, SeqCst) + 1;
        act(version);
        self.floor.store(version, SeqCst);
    }
}

/// SplitMix64 (Steele, Lea, Flood, OOPSLA 2014).
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

    /// A rank below `end`, about inversely to its number.
    fn zipf(&mut self, end: u64) -> u64 {
        let unit = (self.next() >> 11) as f64 / (1u64 << 53) as f64;
        ((end as f64).powf(unit) as u64 - 1).min(end - 1)
    }
}

/// Times by powers of two and eighths of them.
struct Times([AtomicU64; 512]);

impl Times {
    fn note(&self, time: Duration) {
        let nanos = (time.as_nanos() as u64).max(8);
        let power = u64::from(nanos.ilog2());
        self.0[((power * 8) + ((nanos >> (power - 3)) & 7)) as usize].fetch_add(1, Relaxed);
    }

    /// Nanoseconds below which so many of a thousand were, of those since the last call.
    fn take<const N: usize>(&self, thousandths: [u64; N]) -> [u64; N] {
        let counts: Vec<u64> = self.0.iter().map(|count| count.swap(0, Relaxed)).collect();
        let all: u64 = counts.iter().sum();
        thousandths.map(|part| {
            let mut left = all * part / 1000;
            let place = counts.iter().position(|&count| {
                let here = count > left;
                left = left.saturating_sub(count);
                here
            });
            place.map_or(0, |place| (9 + place as u64 % 8) << (place as u64 / 8) >> 3)
        })
    }
}

struct World {
    cache: Cache,
    region: Region<u64, Thing>,
    paths: Vec<ScopePath>,
    rows: Vec<Row>,
    gate: RwLock<()>,
    over: AtomicBool,
    gets: AtomicU64,
    steps: AtomicU64,
    times: Times,
}

impl World {
    fn new() -> Result<Self, strata_cache::Error> {
        let cache = Cache::builder().capacity(CAPACITY).trim_heap(true).build()?;
        let region = cache.region("things")?;
        let mut paths = Vec::new();
        for org in 0..ORGS {
            paths.push(cache.scope(scope!(org = org))?.path().clone());
            for user in 1..SCOPES {
                paths.push(cache.scope(scope!(org = org, user = user))?.path().clone());
            }
        }
        Ok(Self {
            cache,
            region,
            paths,
            rows: (0..ORGS * SCOPES * KEYS).map(|_| Row::default()).collect(),
            gate: RwLock::new(()),
            over: AtomicBool::new(false),
            gets: AtomicU64::new(0),
            steps: AtomicU64::new(0),
            times: Times([const { AtomicU64::new(0) }; 512]),
        })
    }

    fn work(&self, mut dice: Dice) {
        while !self.over.load(Relaxed) {
            let running = self.gate.read().unwrap_or_else(PoisonError::into_inner);
            for _ in 0..256 {
                if self.step(&mut dice).is_err() {
                    violation("a call that was refused");
                }
            }
            drop(running);
            self.steps.fetch_add(256, Relaxed);
        }
    }

    /// What was served to a caller who knew of this floor when it asked at that moment.
    fn check(&self, got: &Thing, place: u64, floor: u64, asked: Instant) {
        if got.place != place {
            violation("a foreign value");
        }
        if got.version < floor {
            violation("a stale value");
        }
        if got.until.is_some_and(|until| asked > until + LATE) {
            violation("an expired value");
        }
    }

    fn step(&self, dice: &mut Dice) -> Result<(), strata_cache::Error> {
        // Two calls of three are for the busy organisation, a thousand times as many as for each other on average.
        let org = if dice.below(3) < 2 { 0 } else { 1 + dice.zipf(ORGS - 1) };
        let scope = org * SCOPES + dice.below(SCOPES);
        let key = dice.zipf(KEYS);
        let place = scope * KEYS + key;
        let (path, row) = (&self.paths[scope as usize], &self.rows[place as usize]);
        match dice.below(10_000) {
            0..7_500 => {
                let (floor, asked) = (row.floor.load(SeqCst), Instant::now());
                let got = self.region.get_now(path, &key)?;
                self.times.note(asked.elapsed());
                self.gets.fetch_add(1, Relaxed);
                if let Some(got) = got {
                    self.check(&got, place, floor, asked);
                }
            }
            7_500..9_000 => {
                let (floor, asked) = (row.floor.load(SeqCst), Instant::now());
                let load = || Ok::<_, ()>(Thing::new(place, row.version.load(SeqCst), None));
                if let Ok(got) = self.region.get_or_load_with(path, &key, load).wait() {
                    self.check(&got, place, floor, asked);
                }
            }
            9_000..9_500 => row.write(|version| {
                let set = self.region.set(path, key, Thing::new(place, version, None));
                set.wait().unwrap_or_else(|_| violation("a write that was refused"));
            }),
            9_500..9_700 => row.write(|version| {
                let ttl = Duration::from_millis(1 + dice.below(3_000));
                let thing = Thing::new(place, version, Some(Instant::now() + ttl));
                let set = self.region.set(path, key, thing).ttl(ttl);
                set.wait().unwrap_or_else(|_| violation("a write that was refused"));
            }),
            9_700..9_990 => row.write(|_| {
                if self.region.remove(path, &key).wait().is_err() {
                    violation("a removal that was refused");
                }
            }),
            9_990..9_995 => drop(self.region.invalidate_scope(path).wait()?),
            // The busy organisation goes as rarely as any other.
            _ if org > 0 || dice.below(500) == 0 => drop(self.cache.evict_by_scope(path).wait()?),
            _ => {}
        }
        Ok(())
    }

    /// While all others run.
    fn check_running(&self, capacity: u64) -> Result<(), strata_cache::Error> {
        let held = self.cache.preview_evict(scope!(global)).wait()?.entries;
        if held > capacity + THREADS {
            violation(&format!("{held} entries where {capacity} may be"));
        }
        Ok(())
    }

    /// While all others pause.
    fn check_paused(&self, capacity: u64) {
        let stats = self.cache.stats();
        if stats.entries > capacity {
            violation(&format!("{} entries where {capacity} may be, at rest", stats.entries));
        }
        let gone = stats.removed + stats.evicted + stats.expired + stats.invalidated;
        if stats.inserts != stats.entries + gone || stats.flights != 0 {
            violation(&format!("counts that do not agree: {stats:?}"));
        }
        if stats.hits + stats.misses < self.gets.load(Relaxed) {
            violation("fewer look-ups counted than were made");
        }
        let soon = Instant::now() + Duration::from_secs(5);
        while ALIVE.load(SeqCst).unsigned_abs() != self.cache.stats().entries {
            if Instant::now() > soon {
                violation(&format!("{} values live, {stats:?}", ALIVE.load(SeqCst)));
                break;
            }
            self.cache.maintain();
        }
    }
}

/// Resident memory in MiB, where it can be read.
fn resident() -> u64 {
    let pages = std::fs::read_to_string("/proc/self/statm")
        .ok()
        .and_then(|text| text.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok()));
    (pages.unwrap_or(0) * 4096) >> 20
}

fn watch(world: &World, time: Duration) -> Result<(), strata_cache::Error> {
    let begun = Instant::now();
    let (mut capacity, mut usual, mut dice) = (CAPACITY, 0, Dice(time.as_nanos() as u64));
    let (mut steps, mut last) = (0, Instant::now());
    while begun.elapsed() < time {
        for _ in 0..5 {
            thread::sleep(Duration::from_millis(190));
            world.check_running(capacity)?;
        }
        let pause = world.gate.write().unwrap_or_else(PoisonError::into_inner);
        let (done, took) = (world.steps.load(Relaxed), last.elapsed());
        let [half, most] = world.times.take([500, 990]);
        world.check_paused(capacity);
        let (stats, memory) = (world.cache.stats(), resident());
        // Nothing is compared before a third of the time, and no less than ten seconds, has passed.
        if begun.elapsed() < (time / 3).max(Duration::from_secs(10)) {
            usual = memory.max(usual);
        } else if memory > usual + usual / 4 + 16 {
            violation(&format!("{memory} MiB where {usual} were enough"));
        }
        println!(
            "{:>5} s  {:>6.0} k steps/s  hits {:>5.1} %  entries {:>6} of {capacity:>6}  evicted {:>9}  expired {:>8}  scopes {:>5}  \
             get p50 {half} ns, p99 {most} ns  {memory} MiB  violations {}",
            begun.elapsed().as_secs(),
            (done - steps) as f64 / took.as_secs_f64() / 1e3,
            stats.hit_ratio() * 100.0,
            stats.entries,
            stats.evicted,
            stats.expired,
            stats.scopes,
            VIOLATIONS.load(SeqCst),
        );
        steps = done;
        if dice.below(5) == 0 {
            // Now and then so few that memory is given back while they are read.
            capacity = match dice.below(4) {
                0 => CAPACITY / 100 + dice.below(CAPACITY / 100),
                _ => CAPACITY / 4 + dice.below(CAPACITY * 7 / 4),
            };
            world.cache.set_capacity(capacity)?;
        }
        last = Instant::now();
        drop(pause);
    }
    Ok(())
}

/// `--minutes N`, `--seconds N`; two seconds without.
fn time_asked() -> Option<Duration> {
    let mut arguments = std::env::args().skip(1);
    let Some(name) = arguments.next() else { return Some(Duration::from_secs(2)) };
    let number: u64 = arguments.next()?.parse().ok()?;
    match name.as_str() {
        "--minutes" => Some(Duration::from_secs(number * 60)),
        "--seconds" => Some(Duration::from_secs(number)),
        _ => None,
    }
}

fn main() -> ExitCode {
    let Some(time) = time_asked() else {
        eprintln!("usage: soak [--minutes N | --seconds N]");
        return ExitCode::from(2);
    };
    let world = match World::new() {
        Ok(world) => Arc::new(world),
        Err(error) => {
            eprintln!("{error}");
            return ExitCode::FAILURE;
        }
    };
    let workers: Vec<_> = (0..THREADS)
        .map(|worker| {
            let world = Arc::clone(&world);
            thread::spawn(move || world.work(Dice(worker.wrapping_mul(0xd6e8_feb8_6659_fd93))))
        })
        .collect();
    if let Err(error) = watch(&world, time) {
        violation(&error.to_string());
    }
    world.over.store(true, Relaxed);
    for worker in workers {
        if worker.join().is_err() {
            violation("a thread panicked");
        }
    }
    let steps = world.steps.load(Relaxed);
    drop(world);
    let soon = Instant::now() + Duration::from_secs(5);
    while ALIVE.load(SeqCst) != 0 && Instant::now() < soon {
        thread::yield_now();
    }
    if ALIVE.load(SeqCst) != 0 {
        violation("values that outlive the cache");
    }
    let violations = VIOLATIONS.load(SeqCst);
    println!("{steps} steps, {violations} violations");
    if violations == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
