//! How many requests does the default policy serve? 15 cells, five traces by three sizes, through the real caches.
//!
//! (1) get, and on a miss insert, one thread a cell. (2) Capacity is the cell's size; a contender that holds more than
//! asked for, as sharded ones may when small, is served so. (3) Worst cell: points that ours is below the best rival of
//! a cell, at most. (4) No time is taken, so cells run beside one another.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use cached::Cached as _;
use foyer_memory::{CacheBuilder, EvictionConfig, LfuConfig, LruConfig, S3FifoConfig, SieveConfig};

use crate::contenders::{Contender, Foyer, Moka, Quick, Strata};
use crate::report::{Judged, Row, short};
use crate::run::Run;
use crate::traces::{Trace, real, synthetic};

type Ratio = fn(usize, &[u64]) -> f64;

const CONTENDERS: [(&str, Ratio); 8] = [
    ("strata-cache", |size, keys| hits(&Strata::<u64, u64>::with_capacity(size), keys)),
    ("quick_cache", |size, keys| hits(&Quick::<u64, u64>::with_capacity(size), keys)),
    ("moka", |size, keys| hits(&Moka::<u64, u64>::with_capacity(size), keys)),
    ("foyer LFU", |size, keys| foyer(size, keys, LfuConfig::default())),
    ("foyer S3-FIFO", |size, keys| foyer(size, keys, S3FifoConfig::default())),
    ("cached LRU", lru),
    // Never the best of a cell, and left out with `--quick`.
    ("foyer LRU", |size, keys| foyer(size, keys, LruConfig::default())),
    ("foyer SIEVE", |size, keys| foyer(size, keys, SieveConfig {})),
];

pub fn rows(run: &mut Run) {
    if !run.wants_any(&["hit-ratio-mean", "hit-ratio-worst-cell"]) {
        return;
    }
    let given = run.traces.as_deref().map(real).transpose().unwrap_or_else(|fault| {
        run.note(format!("hit-ratio ...: {fault}"));
        None
    });
    let is_real = given.is_some();
    let traces = given.unwrap_or_else(synthetic);
    run.note(format!("hit-ratio ...: {} traces", if is_real { "real" } else { "synthetic" }));
    let cells: Vec<(&Trace, usize)> =
        traces.iter().flat_map(|trace| trace.sizes.map(|size| (trace, size))).collect();
    let count = run.either(CONTENDERS.len() - 2, CONTENDERS.len());
    let table = filled(&cells, count);

    let means: Vec<f64> = (0..count)
        .map(|which| table.iter().map(|cell| cell[which]).sum::<f64>() / cells.len() as f64)
        .collect();
    let best = |figures: &[f64]| {
        let rivals = (1..count).map(|which| (CONTENDERS[which].0, figures[which]));
        rivals.max_by(|a, b| a.1.total_cmp(&b.1)).expect("there are rivals")
    };
    let mut worst = (f64::MIN, "");
    for ((trace, size), cell) in cells.iter().zip(&table) {
        let (name, rival) = best(cell);
        if rival - cell[0] > worst.0 {
            worst = (rival - cell[0], name);
        }
        run.note(format!("    {:<17} {size:>6}  {}", trace.name, figures(cell)));
    }
    run.note(format!("    {:<17} {:>6}  {}", "mean", "", figures(&means)));
    let row = |row: &str, ours, rival, judged, commit, goal, unit| Row {
        row: row.into(),
        ours,
        rival,
        judged,
        commit,
        goal,
        unit,
    };
    // The bounds of the mean are those of the real traces.
    let bound = |bound| is_real.then_some(bound);
    let mean =
        row("hit-ratio-mean", means[0], Some(best(&means)), Judged::Large, bound(57.0), bound(57.8), "%");
    let rival = Some((worst.1, 0.0));
    let worst = row("hit-ratio-worst-cell", worst.0, rival, Judged::Small, Some(2.0), Some(1.0), "points");
    run.add(mean);
    run.add(worst);
}

/// For each cell the ratio of each contender, in per cent.
fn filled(cells: &[(&Trace, usize)], count: usize) -> Vec<Vec<f64>> {
    let next = AtomicUsize::new(0);
    let table = Mutex::new(vec![vec![0.0; count]; cells.len()]);
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|threads| {
        for _ in 0..workers {
            threads.spawn(|| {
                loop {
                    let job = next.fetch_add(1, Ordering::Relaxed);
                    let (cell, which) = (job / count, job % count);
                    let Some((trace, size)) = cells.get(cell) else { return };
                    let ratio = CONTENDERS[which].1(*size, &trace.keys);
                    table.lock().expect("no thread panics with it")[cell][which] = ratio;
                }
            });
        }
    });
    table.into_inner().expect("no thread panics with it")
}

fn figures(ratios: &[f64]) -> String {
    let named = CONTENDERS.iter().zip(ratios).map(|((name, _), ratio)| format!("{name} {}", short(*ratio)));
    named.collect::<Vec<_>>().join(", ")
}

fn percent(hits: usize, of: usize) -> f64 {
    hits as f64 / of as f64 * 100.0
}

fn hits<C: Contender<u64, u64>>(cache: &C, keys: &[u64]) -> f64 {
    let is_hit = |key: &&u64| {
        let found = cache.get(key).is_some();
        if !found {
            cache.insert(**key, 0);
        }
        found
    };
    percent(keys.iter().filter(is_hit).count(), keys.len())
}

fn foyer(size: usize, keys: &[u64], policy: impl Into<EvictionConfig>) -> f64 {
    hits(&Foyer::<u64, u64>(CacheBuilder::new(size).with_eviction_config(policy).build()), keys)
}

/// cached's exact LRU, which is not for threads.
fn lru(size: usize, keys: &[u64]) -> f64 {
    let mut cache = cached::LruCache::<u64, u64>::new(size);
    let is_hit = |key: &&u64| {
        let found = cache.cache_get(*key).is_some();
        if !found {
            cache.cache_set(**key, 0);
        }
        found
    };
    percent(keys.iter().filter(is_hit).count(), keys.len())
}
