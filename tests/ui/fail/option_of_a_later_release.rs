//! Options of later releases are known, and refused.
#![allow(unused)]

use strata_cache::cached;

#[cached(scope = "org", limit = 8, tags("plan:{name}"), key = |name| name.len())]
fn load(org_id: u64, name: &str) -> String {
    format!("{org_id} {name}")
}

fn main() {}
