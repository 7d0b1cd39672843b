//! How many bytes does an entry take, beside its key and value?
//!
//! Counted by the allocator: bytes asked for, once filled and once as many entries again have passed through. No
//! maintenance thread.

mod support;

use std::process::ExitCode;

use strata_cache::{Cache, Maintenance, Ttl, scope};
use support::{Report, alloc};

const ENTRIES: u64 = 1_000_000;

type Error = Box<dyn std::error::Error>;

/// Bytes an entry, filled and churned.
fn of_regions(scopes: u64, ttl: Ttl) -> Result<(f64, f64), Error> {
    let before = alloc::live();
    let cache = Cache::builder().capacity(ENTRIES).ttl(ttl).maintenance(Maintenance::Manual).build()?;
    let region = cache.region::<u64, u64>("things")?;
    let per_scope = ENTRIES / scopes;
    let fill = |from: u64| -> Result<f64, Error> {
        for org in 0..scopes {
            let scope = cache.scope(scope!(org = org))?;
            for key in from..from + per_scope {
                region.set(&scope, key, key).wait()?;
            }
        }
        cache.maintain();
        let held = cache.stats().entries;
        assert!(held >= ENTRIES * 99 / 100, "holds {held}");
        Ok((alloc::live() - before) as f64 / held as f64)
    };
    Ok((fill(0)?, fill(per_scope)?))
}

fn main() -> Result<ExitCode, Error> {
    let mut report = Report::new("How many bytes does an entry take?");
    report.head("1,000,000 entries, u64 → u64");
    for (name, scopes, ttl) in [
        ("one scope, no ttl", 1, Ttl::never()),
        ("10,000 scopes, no ttl", 10_000, Ttl::never()),
        ("one scope, ttl", 1, Ttl::parse("1h")?),
    ] {
        let (filled, churned) = of_regions(scopes, ttl)?;
        let line = format!(
            "filled {filled:.0}, churned {churned:.0} bytes; {:.0} and {:.0} beside the 16 of key and value",
            filled - 16.0,
            churned - 16.0
        );
        report.row(name, &line, "", None);
    }
    Ok(report.end())
}
