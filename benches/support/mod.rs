//! A small harness: interleaved rounds, median, minimum and spread, and floors that fail the run.
//!
//! (1) Every round runs one slice of each case, so that what disturbs the machine disturbs all alike. (2) Before each
//! slice half as many runs bring the case's memory back into the processor's caches. (3) Time is the thread's own
//! processor time: what the scheduler gives to others does not count, what others do to the caches does. (4) A floor
//! is judged by the median; the minimum is printed beside it.
//! `cargo bench --bench hits -- --count <part of a name> <runs>` runs one case that often and nothing else, for
//! instruction counts: the difference of two such runs under callgrind is free of set-up.
#![allow(clippy::print_stdout, reason = "a bench prints")]
#![allow(dead_code, unreachable_pub, reason = "each bench uses a part")]

pub mod alloc;

use std::process::ExitCode;
use std::time::Duration;

use cpu_time::ThreadTime;

const SLICE: Duration = Duration::from_millis(10);
const ROUNDS: usize = 31;

/// Something to measure.
pub struct Case<'a> {
    name: &'static str,
    floor: Option<f64>,
    no_allocation: bool,
    run: Box<dyn FnMut(u64) + 'a>,
}

/// A case: `run` does its work so many times.
pub fn case<'a>(name: &'static str, run: impl FnMut(u64) + 'a) -> Case<'a> {
    Case { name, floor: None, no_allocation: false, run: Box::new(run) }
}

impl Case<'_> {
    /// Nanoseconds that the median may not exceed.
    pub fn at_most(mut self, nanos: f64) -> Self {
        self.floor = Some(nanos);
        self
    }

    /// The work may not allocate.
    pub fn without_allocation(mut self) -> Self {
        self.no_allocation = true;
        self
    }
}

/// The table, and whether a floor was missed.
pub struct Report {
    missed: bool,
}

impl Report {
    /// Prints what the table is about.
    pub fn new(question: &str) -> Self {
        println!("\n{question}\n");
        Self { missed: false }
    }

    /// Measures cases against one another, in nanoseconds a run.
    pub fn times(&mut self, mut cases: Vec<Case<'_>>) {
        if count_only(&mut cases) {
            return;
        }
        println!("| ns a call | median | min | middle half | allocations | floor | |");
        println!("|---|---|---|---|---|---|---|");
        let sizes: Vec<u64> = cases.iter_mut().map(|case| calibrate(&mut case.run)).collect();
        let mut samples = vec![Vec::with_capacity(ROUNDS); cases.len()];
        for _ in 0..ROUNDS {
            for ((case, size), samples) in cases.iter_mut().zip(&sizes).zip(&mut samples) {
                (case.run)(*size / 2);
                let start = ThreadTime::now();
                (case.run)(*size);
                samples.push(start.elapsed().as_nanos() as f64 / *size as f64);
            }
        }
        for (case, mut samples) in cases.iter_mut().zip(samples) {
            const RUNS: u64 = 1000;
            let allocations = alloc::count(|| (case.run)(RUNS));
            let figures = Figures::of(&mut samples);
            let mut verdict = case.floor.map(|floor| figures.median <= floor);
            if case.no_allocation {
                verdict = Some(verdict.unwrap_or(true) && allocations == 0);
            }
            let allocations = allocations as f64 / RUNS as f64;
            let floor = match (case.floor, case.no_allocation) {
                (Some(floor), true) => format!("≤ {floor}, none allocated"),
                (Some(floor), false) => format!("≤ {floor}"),
                (None, true) => "none allocated".to_owned(),
                (None, false) => String::new(),
            };
            let Figures { median, min, low, high, .. } = figures;
            println!(
                "| {} | {median:.1} | {min:.1} | {low:.1}–{high:.1} | {allocations:.2} | {floor} | {} |",
                case.name,
                self.verdict(verdict)
            );
        }
    }

    /// One row of another unit. `met` says whether its floor was met, if it has one.
    pub fn row(&mut self, name: &str, figures: &str, floor: &str, met: Option<bool>) {
        let verdict = self.verdict(met);
        println!("| {name} | {figures} | {floor} | {verdict} |");
    }

    /// The head of a table for [`row`](Self::row).
    pub fn head(&self, unit: &str) {
        println!("| {unit} | figures | floor | |");
        println!("|---|---|---|---|");
    }

    fn verdict(&mut self, met: Option<bool>) -> &'static str {
        match met {
            Some(true) => "met",
            Some(false) => {
                self.missed = true;
                "missed"
            }
            None => "",
        }
    }

    /// The exit code: failure if a floor was missed.
    pub fn end(self) -> ExitCode {
        if self.missed {
            println!("\na floor was missed");
        }
        ExitCode::from(u8::from(self.missed))
    }
}

/// What many samples come to.
pub struct Figures {
    pub median: f64,
    pub min: f64,
    /// The lower quartile.
    pub low: f64,
    /// The upper quartile.
    pub high: f64,
    /// Only a twentieth of the samples is larger.
    pub best: f64,
}

impl Figures {
    pub fn of(samples: &mut [f64]) -> Self {
        samples.sort_by(f64::total_cmp);
        let at = |part: f64| samples[((samples.len() - 1) as f64 * part) as usize];
        Self { median: at(0.5), min: at(0.0), low: at(0.25), high: at(0.75), best: at(0.95) }
    }
}

/// Runs that fill a slice.
fn calibrate(run: &mut dyn FnMut(u64)) -> u64 {
    let mut runs = 16;
    loop {
        let start = ThreadTime::now();
        run(runs);
        let time = start.elapsed();
        if time >= SLICE / 2 {
            return ((runs as f64 * SLICE.as_secs_f64() / time.as_secs_f64()) as u64).max(1);
        }
        runs *= 2;
    }
}

/// `--count <part of a name> <runs>`: runs one case and measures nothing.
fn count_only(cases: &mut [Case<'_>]) -> bool {
    let arguments: Vec<String> = std::env::args().collect();
    let Some(at) = arguments.iter().position(|argument| argument == "--count") else { return false };
    let (Some(name), Some(runs)) = (arguments.get(at + 1), arguments.get(at + 2)) else { return false };
    let runs = runs.parse().expect("`--count` is followed by a name and a number");
    for case in cases.iter_mut().filter(|case| case.name.contains(name.as_str())) {
        (case.run)(runs);
    }
    true
}

/// Bytes of the process that are in memory, as the kernel counts them; 0 where it does not say.
pub fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok()).unwrap_or(0) << 10
}

/// A stream of numbers that does not repeat: SplitMix64.
pub struct Draw(pub u64);

impl Draw {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    /// So many numbers below a bound, drawn before the clock starts. The count is a power of two.
    pub fn below(bound: u64) -> Drawn {
        let mut draw = Self(bound);
        Drawn { numbers: (0..1 << 16).map(|_| draw.next() % bound).collect(), at: 0 }
    }
}

/// Numbers drawn before, handed out in a ring.
pub struct Drawn {
    numbers: Vec<u64>,
    at: usize,
}

impl Drawn {
    pub fn next(&mut self) -> u64 {
        self.at = self.at.wrapping_add(1);
        self.numbers[self.at & (self.numbers.len() - 1)]
    }
}
