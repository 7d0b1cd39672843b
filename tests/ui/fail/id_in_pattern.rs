//! An id inside a pattern is not a parameter.
#![allow(unused)]

use strata_cache::cached;

#[cached(scope = "org")]
fn load((org_id, name): (u64, u64)) -> u64 {
    org_id + name
}

fn main() {}
