//! What does a cache cost that works: 90 % gets, with an insert on a miss, 10 % writes, over four times as many keys as
//! it holds?
//!
//! (1) u64 → u64, zipf 0.99, each contender's own default policy; hit ratios are printed, for who misses less inserts
//! less. (2) Every thread walks its own sequence, and every round the next part of it. (3) The lowest bit of a drawn
//! key says whether it is written.

use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::contenders::{Cached, Contender, Foyer, Moka, Quick, Strata};
use crate::draw::{Draw, Rng, mix};
use crate::measure::{Case, case, interleave, slice};
use crate::run::{Run, named};

const CAPACITY: usize = 100_000;
const KEYS: usize = 4 * CAPACITY;
const OPERATIONS: usize = 1 << 16;
/// Slices in a sequence.
const PARTS: usize = 24;

pub fn rows(run: &mut Run) {
    let names = ["mixed-zipf-1t", "mixed-zipf-2t"];
    if !run.wants_any(&names) {
        return;
    }
    run.note(format!("mixed-zipf ...: capacity {CAPACITY}, {KEYS} keys"));
    let draw = Draw::zipf(KEYS, 0.99);
    let sequences = [21, 22].map(|seed| {
        let mut rng = Rng::new(seed);
        let operation = |_| (mix(draw.next(&mut rng) as u64) & !1) | u64::from(rng.below(10) == 0);
        (0..OPERATIONS * PARTS).map(operation).collect::<Vec<u64>>()
    });
    let hits: [AtomicUsize; 5] = Default::default();
    let ours: Strata<u64, u64> = warm(run, &sequences);
    let quick: Quick<u64, u64> = warm(run, &sequences);
    let cached: Cached<u64, u64> = warm(run, &sequences);
    let moka: Option<Moka<u64, u64>> = run.unless_quick(|| warm(run, &sequences));
    let foyer: Option<Foyer<u64, u64>> = run.unless_quick(|| warm(run, &sequences));
    let bounds = [(Some(0.75), Some(0.60)), (Some(0.40), Some(0.30))];
    for threads in [1, 2] {
        if !run.wants(names[threads - 1]) {
            continue;
        }
        hits.iter().for_each(|hits| hits.store(0, Ordering::Relaxed));
        let mut cases = vec![
            operations(&ours, &sequences, threads, &hits[0]),
            operations(&quick, &sequences, threads, &hits[1]),
            operations(&cached, &sequences, threads, &hits[2]),
        ];
        cases.extend(moka.iter().map(|moka| operations(moka, &sequences, threads, &hits[3])));
        cases.extend(foyer.iter().map(|foyer| operations(foyer, &sequences, threads, &hits[4])));
        let rounds = run.either(9, 21);
        let results = interleave(rounds, cases);
        let gets = (rounds * threads * OPERATIONS) as f64 * 0.9;
        let ratio = |hits: &AtomicUsize| hits.load(Ordering::Relaxed) as f64 / gets * 100.0;
        let ratios =
            results.iter().zip(&hits).map(|(result, hits)| format!("{} {:.1}", result.name, ratio(hits)));
        run.note(format!("    hits of gets, %: {}", ratios.collect::<Vec<_>>().join(", ")));
        run.compare(names[threads - 1], &results, named(&results, "quick_cache"), bounds[threads - 1]);
    }
}

/// A cache that has seen the whole first sequence.
fn warm<C: Contender<u64, u64>>(run: &Run, sequences: &[Vec<u64>]) -> C {
    let cache = C::with_capacity(CAPACITY);
    walk(&cache, &sequences[0]);
    run.resident(C::NAME, cache.resident(), CAPACITY);
    cache
}

/// Performs them; returns how many gets were hits.
fn walk<C: Contender<u64, u64>>(cache: &C, operations: &[u64]) -> usize {
    let mut hits = 0;
    for &operation in operations {
        let key = operation & !1;
        if operation & 1 == 1 {
            cache.insert(key, operation);
        } else if black_box(cache.get(&key)).is_some() {
            hits += 1;
        } else {
            cache.insert(key, operation);
        }
    }
    hits
}

fn operations<'a, C: Contender<u64, u64>>(
    cache: &'a C,
    sequences: &'a [Vec<u64>],
    threads: usize,
    hits: &'a AtomicUsize,
) -> Case<'a> {
    case(C::NAME, move |round| {
        let prepare = |thread: usize| {
            let part = |round: usize| {
                let from = round % PARTS * OPERATIONS;
                &sequences[thread][from..from + OPERATIONS]
            };
            walk(cache, part(round + PARTS - 1));
            part(round)
        };
        slice(threads, prepare, |operations| {
            hits.fetch_add(walk(cache, operations), Ordering::Relaxed);
            operations.len()
        })
    })
}
