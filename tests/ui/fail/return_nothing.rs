//! There must be something to cache.
#![allow(unused)]

use strata_cache::cached;

#[cached(scope = "org")]
fn load(org_id: u64) {}

#[cached(scope = "org")]
fn again(org_id: u64) -> () {}

#[cached(scope = "org")]
fn never(org_id: u64) -> ! {
    panic!()
}

fn main() {}
