//! A path has levels, each with a name of its own.
#![allow(unused)]

use strata_cache::cached;

#[cached(scope = "tenant//project")]
fn load(org_id: u64, name: &str) -> String {
    format!("{org_id} {name}")
}

#[cached(scope = "org/global")]
fn load1(org_id: u64, name: &str) -> String {
    format!("{org_id} {name}")
}

#[cached(scope = "org/org")]
fn load2(org_id: u64, name: &str) -> String {
    format!("{org_id} {name}")
}

#[cached(scope = org)]
fn load3(org_id: u64, name: &str) -> String {
    format!("{org_id} {name}")
}

fn main() {}
