//! A function without `self` has no receiver.
#![allow(unused)]

use strata_cache::cached;

struct Reports {
    id: u64,
}

#[cached]
impl Reports {
    #[cached(scope = "org", receiver = 1)]
    fn load(org_id: u64) -> u64 {
        org_id
    }
}

fn main() {}
