//! Maps and sets in random order are refused by their spelling.
#![allow(unused)]

use strata_cache::cached;

use std::collections::{HashMap, HashSet};

#[cached(scope = "org")]
fn load(org_id: u64, by_name: &HashMap<String, u64>, some: Option<HashSet<u64>>) -> u64 {
    org_id
}

fn main() {}
