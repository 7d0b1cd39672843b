//! Floats are refused by their spelling.
#![allow(unused)]

use strata_cache::cached;

#[cached(scope = "org")]
fn load(org_id: u64, ratio: f64, all: &[f32]) -> u64 {
    org_id
}

fn main() {}
