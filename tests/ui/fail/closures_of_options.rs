//! `when` and `weigh` look at the value, `cache` names a cache.
use strata_cache::cached;

#[cached(scope = "org", when = |value| *value > least)]
fn captures(org_id: u64, least: u64) -> u64 {
    org_id + least
}

#[cached(scope = "org", weigh = |value| value.len())]
fn weighs_otherwise(org_id: u64) -> String {
    org_id.to_string()
}

static NO_CACHE: u8 = 1;

#[cached(scope = "org", cache = NO_CACHE)]
fn elsewhere(org_id: u64) -> u64 {
    org_id
}

fn main() {}
