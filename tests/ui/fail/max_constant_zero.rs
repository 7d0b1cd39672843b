//! A `max` that is computed is asked by the compiler.
#![allow(unused)]

use strata_cache::cached;

#[cached(scope = "org", max = NONE)]
fn load(org_id: u64, name: &str) -> String {
    format!("{org_id} {name}")
}

fn main() {}

const NONE: usize = 0;
