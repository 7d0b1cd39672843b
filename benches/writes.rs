//! What does a write cost: below the capacity, at it, and over a key that is there?
//!
//! One thread, u64 → u64, LRU, no maintenance thread. At the capacity each insert evicts one entry.

mod support;

use std::hint::black_box;
use std::process::ExitCode;

use strata_cache::{Cache, Maintenance, Region, cached, install, scope};
use support::{Draw, Report, case};

const ENTRIES: u64 = 100_000;

type Error = Box<dyn std::error::Error>;

fn full(capacity: u64) -> Result<Region<u64, u64>, Error> {
    let cache = Cache::builder().capacity(capacity).maintenance(Maintenance::Manual).build()?;
    let region = cache.region::<u64, u64>("full")?;
    let scope = cache.scope(scope!(org = "acme", user = "alice"))?;
    for key in 0..capacity {
        region.set(&scope, key, key).wait()?;
    }
    Ok(region)
}

#[cached(scope = "user")]
fn double(org_id: u64, user_id: u64, n: u64) -> u64 {
    org_id + user_id + 2 * n
}

fn main() -> Result<ExitCode, Error> {
    install(Cache::builder().capacity(ENTRIES).maintenance(Maintenance::Manual).build()?)?;
    let (large, timed, small) = (full(ENTRIES)?, full(ENTRIES)?, full(1000)?);
    let user = scope!(org = "acme", user = "alice");
    let of_large = large.cache().scope(&user)?;
    let of_timed = timed.cache().scope(&user)?;
    let of_small = small.cache().scope(&user)?;
    let mut overwritten = Draw::below(ENTRIES);
    let (mut next, mut next_timed, mut next_small, mut call, mut mixed) =
        (ENTRIES, ENTRIES, ENTRIES, 0, Draw(1));
    let over = full(ENTRIES)?;
    let of_over = over.cache().scope(&user)?;
    let mix = full(ENTRIES)?;
    let of_mix = mix.cache().scope(&user)?;

    let mut report = Report::new("What does a write cost?");
    report.times(vec![
        case("insert + evict, 100,000 entries", |runs| {
            for _ in 0..runs {
                next += 1;
                black_box(large.set(&of_large, next, next).wait()).expect("a plain write is accepted");
            }
        }),
        case("insert + evict, 1,000 entries", |runs| {
            for _ in 0..runs {
                next_small += 1;
                black_box(small.set(&of_small, next_small, next_small).wait())
                    .expect("a plain write is accepted");
            }
        }),
        case("insert + evict with a ttl, 100,000 entries", |runs| {
            for _ in 0..runs {
                next_timed += 1;
                black_box(timed.set(&of_timed, next_timed, next_timed).ttl(3600).wait())
                    .expect("a plain write is accepted");
            }
        }),
        case("overwrite", |runs| {
            for _ in 0..runs {
                let key = overwritten.next();
                black_box(over.set(&of_over, key, key).wait()).expect("a plain write is accepted");
            }
        }),
        case("get, insert on a miss, keys 4 × capacity", |runs| {
            for _ in 0..runs {
                let key = mixed.next() % (4 * ENTRIES);
                if mix.get_now(&of_mix, &key).is_ok_and(|found| found.is_none()) {
                    mix.set(&of_mix, key, key).wait().expect("a plain write is accepted");
                }
            }
        }),
        case("`#[cached]` miss: load, land, evict", |runs| {
            for _ in 0..runs {
                call += 1;
                black_box(double(7, call % 100, call));
            }
        }),
    ]);
    Ok(report.end())
}
