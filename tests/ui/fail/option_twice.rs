//! An option is written once.
#![allow(unused)]

use strata_cache::cached;

#[cached(scope = "org", ttl = 5, ttl = 6)]
fn load(org_id: u64, name: &str) -> String {
    format!("{org_id} {name}")
}

fn main() {}
