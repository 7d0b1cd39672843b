//! What happens without a scope is one of three.
#![allow(unused)]

use strata_cache::cached;

#[cached(scope = "org", without_scope = bypas)]
fn load(org_id: u64, name: &str) -> String {
    format!("{org_id} {name}")
}

#[cached(scope = "org", without_scope = "panic")]
fn load1(org_id: u64, name: &str) -> String {
    format!("{org_id} {name}")
}

fn main() {}
