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
fn later(org_id: u64) -> u64 {
    org_id
}

fn main() {}
