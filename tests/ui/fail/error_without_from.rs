//! `without_scope = error` needs an error that can be made.
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

fn main() {}
