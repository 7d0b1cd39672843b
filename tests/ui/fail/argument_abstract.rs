//! `impl Trait` cannot be a key.
#![allow(unused)]

use strata_cache::cached;

#[cached(scope = "org")]
fn load(org_id: u64, name: impl Into<String>) -> String {
    name.into()
}

fn main() {}
