//! A stored value is handed out as clones.
#![allow(unused)]

use strata_cache::cached;

struct Report;

#[cached(scope = "org")]
fn load(org_id: u64) -> Report {
    Report
}

#[cached(scope = "org")]
async fn fallible(org_id: u64) -> Result<Report, String> {
    Ok(Report)
}

fn main() {}
