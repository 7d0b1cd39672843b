//! A cached value has a type with a name.
#![allow(unused)]

use strata_cache::cached;

#[cached(scope = "org")]
fn load(org_id: u64) -> impl Clone {
    org_id
}

fn main() {}
