//! Do a thousand tenants keep what they would have alone, while one of them scans?
//!
//! (1) The working set of the tenant of rank r is 10,000 ÷ r^0.9 keys, at least 10, read zipf 0.9; all tenants read
//! equally often, and for each read the scanner writes a fresh key. (2) Every tenant has a reserve of a thousandth of the
//! cache: all of it is reserved. (3) A tenant alone has a cache of its own, as large as its reserve, with the same
//! policy, and the same reads. (4) Hits count after a third of the reads, when all are warm. (5) Demand is how many keys
//! a tenant asked for; Jain's index is that of min(1, held ÷ min(reserve, demand)), after Jain, Chiu, Hawe, "A
//! quantitative measure of fairness and discrimination", DEC-TR-301, 1984. It is 1 as well where all get the same tenth,
//! so the least share stands beside it.

use std::collections::HashSet;

use strata_cache::{Budget, Cache, CacheBuilder};

use super::{Moka, Ours, Quick, Shared, add, percent};
use crate::draw::{Draw, Rng};
use crate::report::{Judged, short};
use crate::run::Run;
use crate::stats::percentile;

const CAPACITY: u64 = 100_000;
const TENANTS: usize = 1_000;
const RESERVE: u64 = CAPACITY / TENANTS as u64;
/// The last one scans.
const SCANNER: usize = TENANTS - 1;

const ROWS: [&str; 4] = ["scan-worst", "scan-mean", "scan-jain", "scan-least"];

pub fn rows(run: &mut Run) {
    if !run.wants_any(&ROWS) {
        return;
    }
    let reads = run.either(600_000, 3_000_000);
    let trace = Trace::new(reads);
    let each = reads / SCANNER;
    run.note(format!(
        "scan ...: capacity {CAPACITY}, {TENANTS} tenants, {each} reads of each, two thirds of which count"
    ));
    let alone = trace.alone();
    let small = working_sets().filter(|keys| *keys as u64 <= RESERVE).count();
    run.note(format!("    {small} working sets fit into their reserve; {} % hit alone", short(mean(&alone))));
    let reserved = Cache::builder().capacity(CAPACITY).budget("org", Budget::unbounded().reserve("0.1%"));
    let plain = Cache::builder().capacity(CAPACITY);
    let contenders: [Box<dyn Shared>; 4] = [
        Box::new(Ours::new("strata-cache", reserved, TENANTS)),
        Box::new(Ours::new("strata, no budgets", plain, TENANTS)),
        Box::new(Quick::new(CAPACITY)),
        Box::new(Moka::new(CAPACITY)),
    ];
    let mut figures: [Vec<_>; 4] = Default::default();
    for cache in contenders {
        let ratios = trace.together(&*cache);
        let mut falls: Vec<f64> = alone.iter().zip(&ratios).map(|(alone, here)| alone - here).collect();
        let shares = trace.shares(&cache.held(SCANNER));
        let worst = (0..SCANNER).max_by(|a, b| falls[*a].total_cmp(&falls[*b])).expect("there are tenants");
        run.note(format!(
            "    {:<18} {} % hit; worst: rank {} of {} keys, {} % alone, {} % here",
            cache.name(),
            short(mean(&ratios)),
            worst + 1,
            trace.keys[worst],
            short(alone[worst]),
            short(ratios[worst]),
        ));
        let behind = falls.iter().filter(|fall| **fall > 1.0).count();
        let fall = mean(&falls);
        falls.sort_by(f64::total_cmp);
        run.note(format!(
            "    {:<18} {behind} fall by more than a point; 99 of 100 by at most {}",
            "",
            short(percentile(&falls, 0.99))
        ));
        let least = shares.iter().copied().fold(1.0, f64::min) * 100.0;
        let found = [falls[SCANNER - 1], fall, jain(&shares), least];
        figures.iter_mut().zip(found).for_each(|(row, figure)| row.push((cache.name(), figure)));
    }
    let [worst, fall, fairness, least] = figures;
    add(run, ROWS[0], &worst, Judged::Small, Some(1.0), "points");
    add(run, ROWS[1], &fall, Judged::Small, Some(1.0), "points");
    add(run, ROWS[2], &fairness, Judged::Large, Some(0.999), "");
    add(run, ROWS[3], &least, Judged::Large, Some(99.0), "%");
}

fn working_sets() -> impl Iterator<Item = usize> {
    (1..=SCANNER).map(|rank| ((10_000.0 / (rank as f64).powf(0.9)) as usize).max(10))
}

/// Reads of all tenants but the scanner, in their order.
struct Trace {
    keys: Vec<usize>,
    reads: Vec<(u16, u16)>,
    demand: Vec<u64>,
}

impl Trace {
    fn new(reads: usize) -> Self {
        let keys: Vec<usize> = working_sets().collect();
        let draws: Vec<Draw> = keys.iter().map(|keys| Draw::zipf(*keys, 0.9)).collect();
        let mut rng = Rng::new(92);
        let mut read = |_| {
            let tenant = rng.below(SCANNER);
            (tenant as u16, draws[tenant].next(&mut rng) as u16)
        };
        let reads: Vec<(u16, u16)> = (0..reads).map(&mut read).collect();
        let mut demand = vec![0; SCANNER];
        let distinct: HashSet<&(u16, u16)> = reads.iter().collect();
        distinct.iter().for_each(|(tenant, _)| demand[usize::from(*tenant)] += 1);
        Self { keys, reads, demand }
    }

    fn is_warm(&self, read: usize) -> bool {
        read >= self.reads.len() / 3
    }

    /// The hit ratio of each tenant in a cache of its own.
    fn alone(&self) -> Vec<f64> {
        let small = || CacheBuilder::default().capacity(RESERVE);
        let caches: Vec<Ours> = (0..SCANNER).map(|_| Ours::new("alone", small(), 1)).collect();
        self.ratios(|tenant, key| caches[tenant].read(0, key))
    }

    /// The same in one that all share, while the scanner writes.
    fn together(&self, cache: &dyn Shared) -> Vec<f64> {
        let mut fresh = 0_u64..;
        self.ratios(|tenant, key| {
            cache.write(SCANNER, fresh.next().expect("it has no end"));
            cache.read(tenant, key)
        })
    }

    fn ratios(&self, mut is_hit: impl FnMut(usize, u64) -> bool) -> Vec<f64> {
        let mut counts = vec![[0, 0]; SCANNER];
        for (at, (tenant, key)) in self.reads.iter().enumerate() {
            let hit = is_hit(usize::from(*tenant), u64::from(*key));
            if self.is_warm(at) {
                let [hits, reads] = &mut counts[usize::from(*tenant)];
                *hits += u64::from(hit);
                *reads += 1;
            }
        }
        counts.iter().map(|[hits, reads]| percent(*hits, *reads)).collect()
    }

    /// What each holds of what it may rely on and can use.
    fn shares(&self, held: &[u64]) -> Vec<f64> {
        let share = |(held, demand): (&u64, &u64)| (*held as f64 / (*demand).min(RESERVE) as f64).min(1.0);
        held.iter().zip(&self.demand).map(share).collect()
    }
}

fn mean(figures: &[f64]) -> f64 {
    figures.iter().sum::<f64>() / figures.len() as f64
}

fn jain(shares: &[f64]) -> f64 {
    let (sum, squares) =
        shares.iter().fold((0.0, 0.0), |(sum, squares), share| (sum + share, squares + share * share));
    if squares == 0.0 { 0.0 } else { sum * sum / (shares.len() as f64 * squares) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jain_is_one_where_all_have_the_same_and_one_nth_where_one_has_all() {
        assert!((jain(&[0.5; 4]) - 1.0).abs() < 1e-9);
        assert!((jain(&[1.0, 0.0, 0.0, 0.0]) - 0.25).abs() < 1e-9);
    }
}
