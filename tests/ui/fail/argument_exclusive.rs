//! `&mut` cannot be a key.
#![allow(unused)]

use strata_cache::cached;

#[cached(scope = "org")]
fn load(org_id: u64, out: &mut u64) -> u64 {
    org_id
}

#[cached(scope = "org")]
fn id(org_id: &mut u64) -> u64 {
    *org_id
}

fn main() {}
