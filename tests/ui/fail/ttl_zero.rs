//! A time-to-live is greater than zero.
#![allow(unused)]

use strata_cache::cached;

#[cached(scope = "org", ttl = 0)]
fn load(org_id: u64, name: &str) -> String {
    format!("{org_id} {name}")
}

#[cached(scope = "org", ttl = "0s")]
fn load1(org_id: u64, name: &str) -> String {
    format!("{org_id} {name}")
}

#[cached(scope = "org", ttl = -1)]
fn load2(org_id: u64, name: &str) -> String {
    format!("{org_id} {name}")
}

fn main() {}
