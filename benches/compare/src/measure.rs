//! Rounds that interleave contenders, threads that start together, and a clock of ticks.
//!
//! (1) Every round runs one slice of each contender, and each round begins with another one. (2) Threads are spawned
//! once a slice, prepare and warm up, and meet at a barrier that spins, so that nobody starts late because it slept; the
//! slice lasts from the first that starts to the last that ends. (3) A figure is wall time × threads ÷ operations.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::stats::Figures;

/// A contender in a row: its name and what gives one sample.
pub struct Case<'a> {
    pub name: &'static str,
    sample: Box<dyn FnMut(usize) -> f64 + 'a>,
}

impl Case<'_> {
    /// Takes a sample for nothing.
    pub fn warm(&mut self) {
        (self.sample)(0);
    }
}

/// A case: `sample` gets the number of the round and gives one figure.
pub fn case<'a>(name: &'static str, sample: impl FnMut(usize) -> f64 + 'a) -> Case<'a> {
    Case { name, sample: Box::new(sample) }
}

/// What a contender came to.
#[derive(Clone, Copy)]
pub struct Result {
    pub name: &'static str,
    pub figures: Figures,
}

/// Runs so many interleaved rounds.
pub fn interleave(rounds: usize, mut cases: Vec<Case<'_>>) -> Vec<Result> {
    let mut samples = vec![Vec::with_capacity(rounds); cases.len()];
    for round in 0..rounds {
        for turn in 0..cases.len() {
            let which = (round + turn) % cases.len();
            samples[which].push((cases[which].sample)(round));
        }
    }
    let figures = samples.iter().map(|samples| Figures::of(samples));
    cases.iter().zip(figures).map(|(case, figures)| Result { name: case.name, figures }).collect()
}

/// Nanoseconds an operation of `threads` threads that each `prepare` and then `work`, which reports its operations.
pub fn slice<P>(
    threads: usize,
    prepare: impl Fn(usize) -> P + Sync,
    work: impl Fn(P) -> usize + Sync,
) -> f64 {
    let arrived = AtomicUsize::new(0);
    let laps: Vec<(Instant, Instant, usize)> = std::thread::scope(|scope| {
        let (arrived, prepare, work) = (&arrived, &prepare, &work);
        let run = move |thread| {
            let prepared = prepare(thread);
            meet(arrived, threads);
            let start = Instant::now();
            let operations = work(prepared);
            (start, Instant::now(), operations)
        };
        let spawned: Vec<_> = (0..threads).map(|thread| scope.spawn(move || run(thread))).collect();
        spawned.into_iter().map(|thread| thread.join().expect("no thread panics")).collect()
    });
    let start = laps.iter().map(|lap| lap.0).min().expect("there is a thread");
    let end = laps.iter().map(|lap| lap.1).max().expect("there is a thread");
    let operations: usize = laps.iter().map(|lap| lap.2).sum();
    (end - start).as_nanos() as f64 * threads as f64 / operations as f64
}

/// Waits until all have arrived; gives the processor away now and then, in case there are fewer of them than threads.
fn meet(arrived: &AtomicUsize, threads: usize) {
    arrived.fetch_add(1, Ordering::AcqRel);
    let mut turns = 0_u32;
    while arrived.load(Ordering::Acquire) < threads {
        turns += 1;
        if turns.is_multiple_of(10_000) {
            std::thread::yield_now();
        }
        std::hint::spin_loop();
    }
}

/// The processor's tick counter; nanoseconds where there is none that we know.
#[inline]
pub fn ticks() -> u64 {
    #[cfg(target_arch = "x86_64")]
    {
        // SAFETY: the instruction reads a counter and touches no memory.
        unsafe { core::arch::x86_64::_rdtsc() }
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        static START: OnceLock<Instant> = OnceLock::new();
        START.get_or_init(Instant::now).elapsed().as_nanos() as u64
    }
}

/// How ticks become nanoseconds.
#[derive(Clone, Copy)]
pub struct Ticks {
    nanos: f64,
    /// What two readings one after the other differ by, at least: it is no part of what lies between them.
    empty: u64,
}

impl Ticks {
    /// Measured once, for 50 ms.
    pub fn get() -> Self {
        static TICKS: OnceLock<Ticks> = OnceLock::new();
        *TICKS.get_or_init(|| {
            let (from, start) = (ticks(), Instant::now());
            while start.elapsed() < Duration::from_millis(50) {
                std::hint::spin_loop();
            }
            let nanos = start.elapsed().as_nanos() as f64 / (ticks() - from) as f64;
            let empty = (0..10_000).map(|_| {
                let from = ticks();
                ticks() - from
            });
            Ticks { nanos, empty: empty.min().unwrap_or(0) }
        })
    }

    /// Nanoseconds between two readings, without the reading.
    #[inline]
    pub fn between(self, from: u64, to: u64) -> f64 {
        to.saturating_sub(from).saturating_sub(self.empty) as f64 * self.nanos
    }
}
