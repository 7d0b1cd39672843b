//! Arguments are the same everywhere.
#![allow(unused)]

use strata_cache::cached;

#[cached(scope = "org")]
fn load(org_id: u64, #[cfg(all())] name: u64) -> u64 {
    org_id
}

fn main() {}
