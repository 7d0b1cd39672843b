//! Options that cannot stand together, each under its name.
use strata_cache::cached;

#[cached(scope = "org", key = |name| name.len(), skip(db))]
fn key_and_skip(org_id: u64, name: &str, db: u8) -> usize {
    name.len()
}

#[cached(scope = "org", coalesce = off, wait = "1s")]
fn off_and_wait(org_id: u64) -> u64 {
    org_id
}

#[cached(scope = "org", ttl = "never", jitter = "5%")]
fn never_and_jitter(org_id: u64) -> u64 {
    org_id
}

#[cached(scope = "org", ttl = "never", stale = "30s", soft = "5s", hard = "1s")]
fn never_and_stale(org_id: u64) -> u64 {
    org_id
}

#[cached(scope = "org", idle = "5m", stale = "30s", on_error = stale, refresh = early)]
fn idle_and_kept(org_id: u64) -> u64 {
    org_id
}

#[cached(scope = "org", ttl = "5m", stale = "1h", on_error = stale("30m"), soft = "1s")]
fn soft_within_stale(org_id: u64) -> u64 {
    org_id
}

#[cached(scope = "org", throttle = "1s")]
fn throttle_alone(org_id: u64) -> u64 {
    org_id
}

fn main() {}
