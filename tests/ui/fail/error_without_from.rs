//! `without_scope = error`, `hard` and `breaker` need an error that can be made.
#![allow(unused)]

use strata_cache::cached;

#[cached(scope = "org", without_scope = error)]
fn load(org_id: u64) -> Result<u64, String> {
    Ok(org_id)
}

#[cached(scope = "org", without_scope = error)]
fn plain(org_id: u64) -> u64 {
    org_id
}

#[cached(scope = "org", hard = "5s")]
fn hard(org_id: u64) -> Option<u64> {
    Some(org_id)
}

#[cached(scope = "org", breaker = 5)]
async fn breaker(org_id: u64) -> Result<u64, std::fmt::Error> {
    Ok(org_id)
}

fn main() {}
