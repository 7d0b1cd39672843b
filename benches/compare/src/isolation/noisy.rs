//! By how much does a tenant's hit ratio fall when a neighbour writes a thousand times as fast?
//!
//! (1) A's working set is as large as its reserve and was loaded as a whole before. (2) B writes fresh keys, 1,000 for
//! each read of A; in `noisy-fall` it reads none of them again, in `noisy-twice-fall` each of them twice, soon after, so
//! that policies which let pass what is not asked for again take them for worth keeping. (3) The fall is that of A's last
//! third of reads, against the same reads of another cache of the kind in which B never writes.

use strata_cache::{Budget, Cache, CacheBuilder, scope};

use super::{Moka, Ours, Quick, Shared, add, percent};
use crate::draw::{Draw, Rng};
use crate::plot::Timeline;
use crate::report::{Judged, short};
use crate::run::Run;

const CAPACITY: u64 = 100_000;
const WORKING_SET: u64 = 10_000;
const RATE: u64 = 1_000;
/// Points of the plot, and the one at which B begins.
const POINTS: u64 = 60;
const BEGIN: u64 = POINTS / 3;
/// From this point on, hits count for the row.
const STEADY: u64 = 2 * POINTS / 3;

/// How many writes later B reads what it wrote.
const SOON: u64 = 1_000;

pub fn rows(run: &mut Run) {
    once(run, "noisy-fall", "noisy-tenant.svg", 0);
    once(run, "noisy-twice-fall", "noisy-tenant-twice.svg", 2);
}

fn once(run: &mut Run, row: &str, file: &'static str, again: u64) {
    if !run.wants(row) {
        return;
    }
    let reads = run.either(50, 200);
    run.note(format!(
        "{row}: capacity {CAPACITY}, A reads {WORKING_SET} keys (zipf 0.9), {reads} reads a point, \
         B writes {RATE} for each, reads each {again} times"
    ));
    let pairs: [fn() -> Box<dyn Shared>; 4] = [
        || Box::new(Ours::new("strata-cache", reserved(), 2)),
        || Box::new(Ours::new("strata, no budgets", Cache::builder().capacity(CAPACITY), 2)),
        || Box::new(Quick::new(CAPACITY)),
        || Box::new(Moka::new(CAPACITY)),
    ];
    let (mut falls, mut lines) = (Vec::new(), Vec::new());
    for make in pairs {
        let (alone, beside) = (make(), make());
        let without = ratios(&*alone, reads, None);
        let with = ratios(&*beside, reads, Some(again));
        let steady =
            |ratios: &[f64]| ratios[STEADY as usize..].iter().sum::<f64>() / (POINTS - STEADY) as f64;
        let (name, held) = (beside.name(), beside.held(2));
        run.note(format!(
            "    {name:<18} A hits {} % alone, {} % beside B; holds {} of its {WORKING_SET}, B {}",
            short(steady(&without)),
            short(steady(&with)),
            held[0],
            held[1]
        ));
        falls.push((name, steady(&without) - steady(&with)));
        lines.push((name, (0..POINTS).map(|point| point as f64).zip(with).collect()));
    }
    run.timelines.push(Timeline {
        file,
        title: match again {
            0 => "Hit ratio of A; B writes 1,000 fresh keys for each of A's reads",
            _ => "Hit ratio of A; B writes 1,000 fresh keys for each of A's reads, and reads them twice",
        },
        across: format!("time, in {reads} reads of A; B begins at {BEGIN}"),
        marks: vec![BEGIN as f64],
        lines,
    });
    add(run, row, &falls, Judged::Small, Some(1.0), "points");
}

fn reserved() -> CacheBuilder {
    let reserve = Budget::unbounded().reserve(WORKING_SET);
    Cache::builder().capacity(CAPACITY).budget_at(scope!(org = 0_u64), reserve)
}

/// A's hit ratio at each point; `noise` is how often B reads what it wrote.
fn ratios(cache: &dyn Shared, reads: u64, noise: Option<u64>) -> Vec<f64> {
    (0..WORKING_SET).for_each(|key| _ = cache.read(0, key));
    let (draw, mut rng) = (Draw::zipf(WORKING_SET as usize, 0.9), Rng::new(91));
    let mut fresh = 0_u64..;
    let mut point = |point: u64| {
        let mut hits = 0;
        for _ in 0..reads {
            hits += u64::from(cache.read(0, draw.next(&mut rng) as u64));
            let Some(again) = noise.filter(|_| point >= BEGIN) else { continue };
            for key in fresh.by_ref().take(RATE as usize) {
                cache.write(1, key);
                (0..again).filter(|_| key >= SOON).for_each(|_| _ = cache.read(1, key - SOON));
            }
        }
        percent(hits, reads)
    };
    (0..POINTS).map(&mut point).collect()
}
