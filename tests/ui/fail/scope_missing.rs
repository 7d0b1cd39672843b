//! The scope has no default.
#![allow(unused)]

use strata_cache::cached;

#[cached()]
fn load(org_id: u64, name: &str) -> String {
    format!("{org_id} {name}")
}

#[cached(ttl = 600)]
fn load1(org_id: u64, name: &str) -> String {
    format!("{org_id} {name}")
}

fn main() {}
