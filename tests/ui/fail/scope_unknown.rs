//! A misspelled scope is pointed at.
#![allow(unused)]

use strata_cache::cached;

#[cached(scope = "usr")]
fn load(org_id: u64, name: &str) -> String {
    format!("{org_id} {name}")
}

fn main() {}
