//! A refused function stands in for itself: its callers report nothing, and neither does its type.
#![allow(unused)]

use strata_cache::cached;

#[cached(scope = "usr")]
fn load(org_id: u64) -> u64 {
    org_id
}

struct Reports;

#[cached]
impl Reports {
    #[cached(scope = "org")]
    fn monthly(&self, org_id: u64) -> u64 {
        load(org_id)
    }
}

fn main() {
    let _: u64 = Reports.monthly(load(1));
    let _: Option<load> = None;
}
