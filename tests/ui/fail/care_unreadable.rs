//! Options of care that cannot be read, each with the form it has.
use strata_cache::cached;

#[cached(scope = "org", refresh = 1.0, on_error = never, breaker = 0, stale = "never")]
fn values(org_id: u64) -> u64 {
    org_id
}

#[cached(scope = "org", refresh = early(1, 2), on_error = stale("never"), breaker(cool_down = "1s"))]
fn lists(org_id: u64) -> u64 {
    org_id
}

#[cached(scope = "org", on_error = stale(), breaker(failures = 5, cooldown = "1s"), soft = 0)]
fn empty(org_id: u64) -> u64 {
    org_id
}

const FOR: u64 = 30;

#[cached(scope = "org", ttl = "5m", stale = FOR)]
fn of_another_type(org_id: u64) -> u64 {
    org_id
}

fn main() {}
