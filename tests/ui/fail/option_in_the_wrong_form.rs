//! The right form of an option is shown.
#![allow(unused)]

use strata_cache::cached;

#[cached(scope("org"))]
fn load(org_id: u64, name: &str) -> String {
    format!("{org_id} {name}")
}

#[cached(scope = "org", skip = name)]
fn load1(org_id: u64, name: &str) -> String {
    format!("{org_id} {name}")
}

#[cached(scope = "org", ttl)]
fn load2(org_id: u64, name: &str) -> String {
    format!("{org_id} {name}")
}

#[cached(scope = "org", crate = "renamed")]
fn load3(org_id: u64, name: &str) -> String {
    format!("{org_id} {name}")
}

#[cached(scope = "org" ttl = 5)]
fn load4(org_id: u64, name: &str) -> String {
    format!("{org_id} {name}")
}

fn main() {}
