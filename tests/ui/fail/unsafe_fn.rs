//! A function that is `unsafe` cannot be cached.
#![allow(unused)]

use strata_cache::cached;

#[cached(scope = "org")]
unsafe fn load(org_id: u64) -> u64 {
    org_id
}

fn main() {}
