//! A pattern is skipped whole.
#![allow(unused)]

use strata_cache::cached;

#[cached(scope = "org", skip(a))]
fn load(org_id: u64, (a, b): (u64, u64)) -> u64 {
    org_id + a + b
}

fn main() {}
