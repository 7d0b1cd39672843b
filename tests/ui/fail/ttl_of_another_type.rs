//! A time-to-live that is computed is a `Duration`.
#![allow(unused)]

use strata_cache::cached;

#[cached(scope = "org", ttl = name_of_a_constant())]
fn load(org_id: u64, name: &str) -> String {
    format!("{org_id} {name}")
}

fn main() {}

const fn name_of_a_constant() -> u64 {
    5
}
