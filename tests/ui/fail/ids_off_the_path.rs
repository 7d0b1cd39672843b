//! `ids(..)` gives ids of levels on the path, once each.
#![allow(unused)]

use strata_cache::cached;

#[cached(scope = "org", ids(ogr = name))]
fn load(org_id: u64, name: &str) -> String {
    format!("{org_id} {name}")
}

#[cached(scope = "org", ids(org = name, org = name))]
fn load1(org_id: u64, name: &str) -> String {
    format!("{org_id} {name}")
}

#[cached(scope = "org", ids(ambient, org = name))]
fn load2(org_id: u64, name: &str) -> String {
    format!("{org_id} {name}")
}

#[cached(scope = "global", ids(ambient))]
fn load3(org_id: u64, name: &str) -> String {
    format!("{org_id} {name}")
}

#[cached(scope = "org", ids())]
fn load4(org_id: u64, name: &str) -> String {
    format!("{org_id} {name}")
}

fn main() {}
