//! A misspelled option is pointed at; far from all, the known ones are listed.
#![allow(unused)]

use strata_cache::cached;

#[cached(scope = "org", tll = 5)]
fn load(org_id: u64, name: &str) -> String {
    format!("{org_id} {name}")
}

#[cached(scope = "org", expires = 5)]
fn load1(org_id: u64, name: &str) -> String {
    format!("{org_id} {name}")
}

fn main() {}
