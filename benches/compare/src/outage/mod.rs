//! What do callers notice while the loader is dead for three seconds, and what does the loader when it is back? Run with `--outage`.
//!
//! (1) Real time: 10 s, 5,000 requests a second, one each 200 µs, whatever becomes of those before; their times and keys are fixed before.
//! 500 keys, zipf 0.9; the first 500 requests are for one each, so that nothing is unknown when the loader dies. (2) A value may be served
//! for 1 s. The loader takes 5 ms and says when it was done; from second 3 to second 6 it ends in an error after 50 ms, or never. What
//! hangs does so for ever, also when the others work again. (3) A task a request, on a Tokio runtime of two threads; a third thread sends
//! them off. Latencies are from when a request was due to its answer. (4) Contenders run one after the other, each with a runtime
//! of its own; of several rounds ours is judged by the worst, the others by their median. (5) An answer is stale if its value was loaded more
//! than 1.05 s ago: that leaves out the flights that end as the time does, and clocks that step. Errors and latencies are of the bin in
//! which a request was due, attempts of that in which they began.

mod contenders;

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::Group;
use crate::draw::{Draw, Rng};
use crate::isolation::add;
use crate::plot::{Counts, Panel};
use crate::report::{Judged, short};
use crate::run::Run;
use crate::stats::{Figures, percentile_of};
use contenders::{CONTENDERS, UNSOFT};

pub const GROUPS: [Group; 1] = [("outage", rows)];

const KEYS: usize = 500;
const SECONDS: u64 = 10;
const EVERY: Duration = Duration::from_micros(200);
const REQUESTS: usize = SECONDS as usize * 5_000;
const DEAD: std::ops::Range<Duration> = Duration::from_secs(3)..Duration::from_secs(6);
const TTL: Duration = Duration::from_secs(1);
const THROTTLE: Duration = Duration::from_secs(1);
/// How long a call of those without time-outs is waited for, and how long ours waits.
const PATIENCE: Duration = Duration::from_millis(200);

const BIN: Duration = Duration::from_millis(100);
const BINS: usize = (SECONDS * 10) as usize;
/// Bins in which the loader is dead.
const DEAD_BINS: std::ops::Range<usize> = 30..60;
/// Bins of one throttle.
const WINDOW: usize = 10;
/// From here on, two seconds after, all is to be as before: no value older than its time and its stale window, 1 s each, and a bit.
const OVER: usize = 80;
const OLDEST: f64 = 2.05;

/// How the loader is dead.
#[derive(Clone, Copy, PartialEq)]
pub enum Fault {
    Errors,
    Hangs,
}

#[derive(Debug, Clone)]
pub struct Down;

/// The loader.
pub struct Source {
    pub run: u64,
    start: Instant,
    fault: Fault,
    attempts: Vec<AtomicU32>,
}

impl Source {
    fn new(fault: Fault) -> Arc<Self> {
        static RUNS: AtomicU64 = AtomicU64::new(0);
        let run = RUNS.fetch_add(1, Ordering::Relaxed);
        let attempts = (0..BINS).map(|_| AtomicU32::new(0)).collect();
        // A little later, so that whoever is asked first is ready.
        Arc::new(Self { run, start: Instant::now() + Duration::from_millis(200), fault, attempts })
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    /// A value: when it was loaded, in microseconds.
    pub async fn load(&self, _key: u64) -> Result<u64, Down> {
        let begun = self.now();
        if let Some(bin) = self.attempts.get(bin(begun)) {
            bin.fetch_add(1, Ordering::Relaxed);
        }
        match self.fault {
            _ if !DEAD.contains(&begun) => {
                tokio::time::sleep(Duration::from_millis(5)).await;
                Ok(self.now().as_micros() as u64)
            }
            Fault::Errors => {
                tokio::time::sleep(Duration::from_millis(50)).await;
                Err(Down)
            }
            Fault::Hangs => std::future::pending().await,
        }
    }
}

fn bin(time: Duration) -> usize {
    (time.as_micros() / BIN.as_micros()) as usize
}

/// What became of a request: microseconds until its answer, and how old its value was, or that there was none.
struct Outcome(AtomicU64);

const NONE: u32 = u32::MAX;

impl Outcome {
    fn set(&self, latency: Duration, age: Option<Duration>) {
        let age = age.map_or(NONE, |age| age.as_micros() as u32);
        self.0.store(u64::from(age) << 32 | latency.as_micros().max(1) as u64, Ordering::Release);
    }

    /// None while there is no answer; then latency and age.
    fn get(&self) -> Option<(u32, Option<u32>)> {
        let both = self.0.load(Ordering::Acquire);
        let age = (both >> 32) as u32;
        (both != 0).then_some((both as u32, (age != NONE).then_some(age)))
    }
}

/// What became of one contender in one round.
#[derive(Clone)]
struct Seen {
    errors: Vec<f64>,
    attempts: Vec<f64>,
    stale: Vec<f64>,
    /// Milliseconds.
    p99: Vec<f64>,
    /// Requests without an answer a second after the end.
    unanswered: usize,
    /// Seconds, and those of requests from [`OVER`] on.
    age: f64,
    age_after: f64,
    /// Milliseconds, of requests while the loader was dead.
    dead_p99: f64,
    dead_max: f64,
    late: f64,
}

fn observe<F>(source: &Arc<Source>, keys: &[usize], call: impl Fn(u64) -> F) -> Seen
where
    F: Future<Output = Result<u64, Down>> + Send + 'static,
{
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build();
    let runtime = runtime.expect("the system gives a runtime what it needs");
    let outcomes: Arc<Vec<Outcome>> = Arc::new(keys.iter().map(|_| Outcome(AtomicU64::new(0))).collect());
    let open = Arc::new(AtomicUsize::new(keys.len()));
    let mut lateness: Vec<u32> = Vec::with_capacity(keys.len());
    for (at, key) in keys.iter().enumerate() {
        let due = source.start + EVERY * at as u32;
        while let Some(rest) = due.checked_duration_since(Instant::now()).filter(|rest| !rest.is_zero()) {
            std::thread::sleep(rest);
        }
        lateness.push(due.elapsed().as_micros() as u32);
        let (outcomes, open, source) = (Arc::clone(&outcomes), Arc::clone(&open), Arc::clone(source));
        let call = call(*key as u64);
        runtime.spawn(async move {
            let answer = call.await.ok();
            let age = answer.map(|loaded| source.now().saturating_sub(Duration::from_micros(loaded)));
            outcomes[at].set(due.elapsed(), age);
            open.fetch_sub(1, Ordering::Release);
        });
    }
    let end = Instant::now();
    while open.load(Ordering::Acquire) > 0 && end.elapsed() < Duration::from_secs(1) {
        std::thread::sleep(Duration::from_millis(10));
    }
    runtime.shutdown_timeout(Duration::from_secs(1));
    seen(source, &outcomes, percentile_of(&mut lateness, 0.99) / 1e3)
}

fn seen(source: &Source, outcomes: &[Outcome], late: f64) -> Seen {
    let attempts = source.attempts.iter().map(|bin| f64::from(bin.load(Ordering::Relaxed))).collect();
    let mut seen = Seen {
        errors: vec![0.0; BINS],
        attempts,
        stale: vec![0.0; BINS],
        p99: vec![0.0; BINS],
        unanswered: 0,
        age: 0.0,
        age_after: 0.0,
        dead_p99: 0.0,
        dead_max: 0.0,
        late,
    };
    let mut latencies: Vec<Vec<u32>> = vec![Vec::new(); BINS];
    for (at, outcome) in outcomes.iter().enumerate() {
        let bin = bin(EVERY * at as u32);
        let Some((latency, age)) = outcome.get() else {
            seen.unanswered += 1;
            continue;
        };
        latencies[bin].push(latency);
        let Some(age) = age else {
            seen.errors[bin] += 1.0;
            continue;
        };
        let age = f64::from(age) / 1e6;
        seen.stale[bin] += f64::from(age > TTL.as_secs_f64() + 0.05);
        seen.age = seen.age.max(age);
        if bin >= OVER {
            seen.age_after = seen.age_after.max(age);
        }
    }
    for (p99, latencies) in seen.p99.iter_mut().zip(&mut latencies) {
        *p99 = percentile_of(latencies, 0.99) / 1e3;
    }
    let mut dead: Vec<u32> = latencies[DEAD_BINS].concat();
    seen.dead_p99 = percentile_of(&mut dead, 0.99) / 1e3;
    seen.dead_max = dead.iter().copied().max().map_or(f64::NAN, f64::from) / 1e3;
    seen
}

impl Seen {
    fn errors(&self) -> f64 {
        self.errors.iter().sum::<f64>() + self.unanswered as f64
    }

    fn attempts(&self) -> f64 {
        self.attempts[DEAD_BINS].iter().sum()
    }

    fn stale(&self) -> f64 {
        self.stale.iter().sum()
    }

    /// The most in one bin after the loader is back.
    fn stampede(&self) -> f64 {
        self.attempts[DEAD_BINS.end..].iter().copied().fold(0.0, f64::max)
    }

    /// The most in as many bins as the throttle lasts.
    fn recovery(&self) -> f64 {
        let windows = self.attempts[DEAD_BINS.end..].windows(WINDOW);
        windows.map(|bins| bins.iter().sum::<f64>()).fold(0.0, f64::max)
    }
}

/// A figure of what was seen: the end of a row's name, its unit and its bound.
type Told = (&'static str, fn(&Seen) -> f64, &'static str, Option<f64>);

fn told() -> [Told; 9] {
    let tries = DEAD.end.abs_diff(DEAD.start).as_secs_f64() / THROTTLE.as_secs_f64() + 1.0;
    [
        ("errors", Seen::errors, "calls", Some(0.0)),
        ("attempts", Seen::attempts, "loads", Some(KEYS as f64 * tries)),
        ("recovery", Seen::recovery, "loads", Some(KEYS as f64)),
        ("stampede", Seen::stampede, "loads", None),
        ("stale", Seen::stale, "calls", None),
        ("age", |seen| seen.age, "s", None),
        ("age-after", |seen| seen.age_after, "s", Some(OLDEST)),
        ("p99", |seen| seen.dead_p99, "ms", None),
        ("max", |seen| seen.dead_max, "ms", None),
    ]
}

pub fn rows(run: &mut Run) {
    let faults = [(Fault::Errors, "outage-errors"), (Fault::Hangs, "outage-hangs")];
    let mut panels = [Vec::new(), Vec::new()];
    for (fault, stem) in faults {
        let told = told().map(|told| (format!("{stem}-{}", told.0), told));
        if !told.iter().any(|(row, _)| run.wants(row)) {
            continue;
        }
        run.note(format!("{stem}-...: {REQUESTS} requests in {SECONDS} s, {KEYS} keys, zipf 0.9"));
        let keys = requests();
        let mut rounds: Vec<Vec<Seen>> = vec![Vec::new(); CONTENDERS.len()];
        for _ in 0..run.either(1, 3) {
            for ((name, contender), rounds) in CONTENDERS.iter().zip(&mut rounds) {
                let seen = contender(&Source::new(fault), &keys);
                run.note(line(name, &seen));
                rounds.push(seen);
            }
        }
        for (row, (_, of, unit, bound)) in told {
            let figures: Vec<(&'static str, f64)> = CONTENDERS
                .iter()
                .zip(&rounds)
                .map(|((name, _), rounds)| {
                    let samples: Vec<f64> = rounds.iter().map(of).collect();
                    (*name, Figures::of(&samples).median)
                })
                .collect();
            let worst = rounds[0].iter().map(of).fold(0.0, f64::max);
            let figures = [&[(figures[0].0, worst)], &figures[1..]].concat();
            add(run, &row, &figures, Judged::Small, bound, unit);
        }
        let of = |bins: fn(&Seen) -> &Vec<f64>| {
            let last = rounds.iter().filter_map(|rounds| rounds.last());
            let lines = CONTENDERS.iter().zip(last).map(|((name, _), seen)| (*name, bins(seen).clone()));
            lines.filter(|(name, _)| *name != UNSOFT).collect::<Vec<_>>()
        };
        let title = match fault {
            Fault::Errors => "the loader fails after 50 ms, from second 3 to second 6",
            Fault::Hangs => "the loader hangs for ever, from second 3 to second 6",
        };
        let panel = |what: &str, lines| Panel {
            title: format!("{what} in each 100 ms; {title}"),
            seconds: BIN.as_secs_f64(),
            marks: vec![DEAD.start.as_secs_f64(), DEAD.end.as_secs_f64()],
            lines,
        };
        panels[0].push(panel("Errors to callers", of(|seen| &seen.errors)));
        panels[1].push(panel("Attempts to load", of(|seen| &seen.attempts)));
    }
    let [errors, attempts] = panels;
    if !errors.is_empty() {
        run.counts.push(Counts { file: "outage-errors.svg", panels: errors });
        run.counts.push(Counts { file: "outage-attempts.svg", panels: attempts });
    }
}

/// The key of each request.
fn requests() -> Vec<usize> {
    let (draw, mut rng) = (Draw::zipf(KEYS, 0.9), Rng::new(61));
    let drawn = std::iter::repeat_with(|| draw.next(&mut rng));
    (0..KEYS).chain(drawn).take(REQUESTS).collect()
}

fn line(name: &str, seen: &Seen) -> String {
    let figures = told().map(|(what, of, unit, _)| format!("{what} {} {unit}", short(of(seen))));
    let part = |bins: &[f64], at: usize| short(bins[at]);
    format!(
        "    {name:<15} {}; unanswered {}; sent off late by {} ms at p99; p99 of the bins at 2, 4, 6 and 8 s {}, {}, {}, {} ms",
        figures.join(", "),
        seen.unanswered,
        short(seen.late),
        part(&seen.p99, 20),
        part(&seen.p99, 40),
        part(&seen.p99, 60),
        part(&seen.p99, 80),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcome_tells_error_from_age_and_from_no_answer() {
        let outcome = Outcome(AtomicU64::new(0));
        assert_eq!(outcome.get(), None);
        outcome.set(Duration::from_micros(7), None);
        assert_eq!(outcome.get(), Some((7, None)));
        outcome.set(Duration::ZERO, Some(Duration::ZERO));
        assert_eq!(outcome.get(), Some((1, Some(0))));
    }

    #[test]
    fn every_key_is_asked_for_before_the_loader_dies() {
        let keys = requests();
        assert_eq!(keys.len(), REQUESTS);
        assert!((0..KEYS).all(|key| keys[..KEYS].contains(&key)));
    }
}
