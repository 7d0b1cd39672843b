//! Does evicting a scope of 100 entries cost the same among 1,000 entries and among 1,000,000?
//!
//! Measured is the call alone; its entries were written just before, as in both caches. What is dead is swept
//! between the samples, off the clock. One thread, no maintenance thread; a second table has it.

mod support;

use std::process::ExitCode;
use std::time::Instant;

use strata_cache::{Cache, Maintenance, Region, scope};
use support::{Figures, Report};

const VICTIMS: u64 = 100;
const ROUNDS: u64 = 200;

type Error = Box<dyn std::error::Error>;

struct Side {
    region: Region<u64, u64>,
    samples: Vec<f64>,
}

impl Side {
    fn new(others: u64, maintenance: Maintenance) -> Result<Self, Error> {
        let cache = Cache::builder().capacity(2_000_000).maintenance(maintenance).build()?;
        let region = cache.region::<u64, u64>("things")?;
        for org in 0..others / VICTIMS {
            let scope = cache.scope(scope!(org = org, user = "u"))?;
            for key in 0..VICTIMS {
                region.set(&scope, key, key).wait()?;
            }
        }
        Ok(Self { region, samples: Vec::new() })
    }

    fn round(&mut self, round: u64) -> Result<(), Error> {
        let cache = self.region.cache();
        let victim = cache.scope(scope!(org = format!("victim {round}")))?;
        let user = cache.scope(scope!(org = format!("victim {round}"), user = "u"))?;
        for key in 0..VICTIMS {
            self.region.set(&user, key, key).wait()?;
        }
        let start = Instant::now();
        let evicted = victim.evict_by_scope().wait()?;
        self.samples.push(start.elapsed().as_nanos() as f64);
        assert_eq!(evicted.entries, VICTIMS);
        assert_eq!(self.region.get_now(&user, &1)?, None);
        if round.is_multiple_of(50) {
            cache.maintain();
        }
        Ok(())
    }
}

fn compare(report: &mut Report, maintenance: Maintenance, name: &str, judged: bool) -> Result<(), Error> {
    let mut few = Side::new(1_000, maintenance)?;
    let mut many = Side::new(1_000_000, maintenance)?;
    for round in 0..ROUNDS {
        few.round(round)?;
        many.round(round)?;
    }
    let (few, many) = (Figures::of(&mut few.samples), Figures::of(&mut many.samples));
    let ratio = many.median / few.median;
    let line = |figures: &Figures| {
        let Figures { median, min, low, high, .. } = figures;
        format!("median {median:.0} ns, min {min:.0}, middle half {low:.0}–{high:.0}")
    };
    report.row(&format!("among 1,000, {name}"), &line(&few), "", None);
    report.row(&format!("among 1,000,000, {name}"), &line(&many), "", None);
    let floor = if judged { "≤ 2" } else { "" };
    report.row(&format!("ratio, {name}"), &format!("{ratio:.2}"), floor, judged.then_some(ratio <= 2.0));
    Ok(())
}

fn main() -> Result<ExitCode, Error> {
    let mut report = Report::new("Does evicting a scope cost the same, whatever else is cached?");
    report.head("`evict_by_scope`, 100 entries");
    compare(&mut report, Maintenance::Manual, "no thread", true)?;
    compare(&mut report, Maintenance::Thread, "maintenance thread", false)?;
    Ok(report.end())
}
