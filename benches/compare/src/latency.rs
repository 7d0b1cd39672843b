//! How long may a get take while somebody else writes? u64 → u64, zipf, 100,000 entries; a second thread inserts new
//! keys, 200,000 a second.
//!
//! (1) Each get is timed by itself, by two readings of the tick counter; what two readings alone cost is taken off.
//! (2) Only hits count; the reader puts what the inserts have evicted back, off the clock, and how much is printed. (3) A row is the median
//! over rounds of the round's percentile. (4) The last contender is ours without a maintenance thread; it is printed.

use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use strata_cache::Maintenance;

use crate::contenders::{Cached, Contender, Quick, Strata, TTL};
use crate::draw::{Draw, Rng, mix};
use crate::measure::{Result, Ticks, ticks};
use crate::report::{Judged, Row, short, spread};
use crate::run::Run;
use crate::stats::{Figures, percentile_of};

const ENTRIES: usize = 100_000;
const GETS: usize = 1 << 18;
/// Nanoseconds from one insert to the next.
const PACE: f64 = 5_000.0;

pub fn rows(run: &mut Run) {
    if !run.wants_any(&["latency-get-p99", "latency-get-p999"]) {
        return;
    }
    let (draw, mut rng) = (Draw::zipf(ENTRIES, 0.99), Rng::new(51));
    let keys: Vec<u64> = (0..GETS).map(|_| mix(draw.next(&mut rng) as u64)).collect();
    let ours = Strata::<u64, u64>::with_capacity(ENTRIES);
    let quick = Quick::<u64, u64>::with_capacity(ENTRIES);
    let cached = Cached::<u64, u64>::with_capacity(ENTRIES);
    let quiet = Strata::<u64, u64>::with(ENTRIES, TTL, Maintenance::Manual);
    run.note(format!("latency-get ...: {ENTRIES} entries, percentiles of {GETS} gets"));
    let mut rounds: [Vec<[f64; 4]>; 4] = Default::default();
    for round in 0..run.either(5, 11) {
        let fresh = (round + 1) << 32;
        rounds[0].push(percentiles(&ours, &keys, fresh));
        rounds[1].push(percentiles(&quick, &keys, fresh));
        rounds[2].push(percentiles(&cached, &keys, fresh));
        rounds[3].push(percentiles(&quiet, &keys, fresh));
    }
    let names = ["strata-cache", "quick_cache", "cached", "strata, manual"];
    let of = |part: usize| -> Vec<Result> {
        let figures = rounds.iter().map(|rounds| rounds.iter().map(|round| round[part]).collect::<Vec<_>>());
        figures.zip(names).map(|(figures, name)| Result { name, figures: Figures::of(&figures) }).collect()
    };
    let misses = of(3).into_iter().map(|result| format!("{} {}", result.name, short(result.figures.median)));
    run.note(format!("    misses, %: {}", misses.collect::<Vec<_>>().join(", ")));
    run.note(format!("    p50\n{}", spread(&of(0))));
    for (row, part, bound) in [("latency-get-p99", 1, 60.0), ("latency-get-p999", 2, 150.0)] {
        let results = of(part);
        run.note(format!("{row}\n{}", spread(&results)));
        run.add(Row {
            row: row.into(),
            ours: results[0].figures.median,
            rival: Some((results[1].name, results[1].figures.median)),
            judged: Judged::Small,
            commit: Some(bound),
            goal: None,
            unit: "ns",
        });
    }
}

/// p50, p99, p99.9 in nanoseconds, and the percentage of misses.
fn percentiles<C: Contender<u64, u64>>(cache: &C, keys: &[u64], fresh: u64) -> [f64; 4] {
    for index in 0..ENTRIES as u64 {
        let key = mix(index);
        if cache.get(&key).is_none() {
            cache.insert(key, 7);
        }
    }
    let clock = Ticks::get();
    let done = AtomicBool::new(false);
    let (mut samples, misses) = std::thread::scope(|threads| {
        threads.spawn(|| {
            let mut next = fresh;
            let mut last = ticks();
            while !done.load(Ordering::Relaxed) {
                if clock.between(last, ticks()) < PACE {
                    std::hint::spin_loop();
                    continue;
                }
                last = ticks();
                cache.insert(mix(next), 7);
                next += 1;
            }
        });
        std::thread::sleep(Duration::from_millis(5));
        let mut samples = Vec::with_capacity(keys.len());
        let mut misses = 0;
        for key in keys {
            let from = ticks();
            let found = black_box(cache.get(black_box(key)));
            let to = ticks();
            if found.is_some() {
                samples.push((clock.between(from, to) * 10.0) as u32);
            } else {
                misses += 1;
                cache.insert(*key, 7);
            }
        }
        done.store(true, Ordering::Relaxed);
        (samples, misses)
    });
    let [p50, p99, p999] = [0.5, 0.99, 0.999].map(|part| percentile_of(&mut samples, part) / 10.0);
    [p50, p99, p999, f64::from(misses) / keys.len() as f64 * 100.0]
}
