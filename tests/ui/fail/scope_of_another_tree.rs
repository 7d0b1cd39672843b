//! A level of another tree is written as a whole path.
#![allow(unused)]

use strata_cache::cached;

#[cached(scope = "tenant")]
fn load(org_id: u64, name: &str) -> String {
    format!("{org_id} {name}")
}

fn main() {}
