//! Each level of the path needs an id.
#![allow(unused)]

use strata_cache::cached;

#[cached(scope = "session")]
fn load(org_id: u64, name: &str) -> String {
    format!("{org_id} {name}")
}

fn main() {}
