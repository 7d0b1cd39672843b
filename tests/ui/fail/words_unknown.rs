//! Options of one word, and parts.
use strata_cache::cached;

#[cached(scope = "org", coalesce = of)]
fn coalesced(org_id: u64) -> u64 {
    org_id
}

#[cached(scope = "org", jitter = "150%", idle = "never", wait = 0)]
fn parts(org_id: u64) -> u64 {
    org_id
}

#[cached(scope = "org", allow(units))]
fn allowed(org_id: u64) {}

fn main() {}
