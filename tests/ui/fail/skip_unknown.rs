//! Only parameters can be skipped, each once, and only those of the key.
#![allow(unused)]

use strata_cache::cached;

#[cached(scope = "org", skip(nam))]
fn load(org_id: u64, name: &str) -> String {
    format!("{org_id} {name}")
}

#[cached(scope = "org", skip(org_id))]
fn load1(org_id: u64, name: &str) -> String {
    format!("{org_id} {name}")
}

#[cached(scope = "org", skip(name, name))]
fn load2(org_id: u64, name: &str) -> String {
    format!("{org_id} {name}")
}

#[cached(scope = "org", skip())]
fn load3(org_id: u64, name: &str) -> String {
    format!("{org_id} {name}")
}

#[cached(scope = "org", skip("name"))]
fn load4(org_id: u64, name: &str) -> String {
    format!("{org_id} {name}")
}

fn main() {}
