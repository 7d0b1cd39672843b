//! The attribute goes on functions and impl blocks.
#![allow(unused)]

use strata_cache::cached;

#[cached(scope = "org")]
struct Load;

trait Reports {
    #[cached(scope = "org")]
    fn load(org_id: u64) -> u64;
}

fn main() {}
