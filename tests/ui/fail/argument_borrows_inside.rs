//! A key keeps nothing that borrows.
#![allow(unused)]

use strata_cache::cached;

#[cached(scope = "org")]
fn load(org_id: u64, pair: (&str, u64), of: std::borrow::Cow<'_, str>) -> u64 {
    org_id
}

fn main() {}
