//! A time-to-live is whole seconds or text with units.
#![allow(unused)]

use strata_cache::cached;

#[cached(scope = "org", ttl = "5 minutes")]
fn load(org_id: u64, name: &str) -> String {
    format!("{org_id} {name}")
}

#[cached(scope = "org", ttl = 0.5)]
fn load1(org_id: u64, name: &str) -> String {
    format!("{org_id} {name}")
}

#[cached(scope = "org", ttl = never)]
fn load2(org_id: u64, name: &str) -> String {
    format!("{org_id} {name}")
}

#[cached(scope = "org", ttl = 99999999999)]
fn load3(org_id: u64, name: &str) -> String {
    format!("{org_id} {name}")
}

fn main() {}
