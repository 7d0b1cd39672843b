//! A function that is `extern` cannot be cached.
#![allow(unused)]

use strata_cache::cached;

#[cached(scope = "org")]
extern "C" fn load(org_id: u64) -> u64 {
    org_id
}

fn main() {}
