//! An argument that cannot be a key by its type.
#![allow(unused)]

use strata_cache::cached;

struct Db;

#[derive(Clone, PartialEq)]
struct Filter {
    most: f64,
}

#[cached(scope = "org")]
fn load(org_id: u64, db: &Db, filter: Option<&Filter>) -> u64 {
    org_id
}

fn main() {}
