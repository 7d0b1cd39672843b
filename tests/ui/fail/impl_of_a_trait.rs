//! Impl blocks of traits come later.
#![allow(unused)]

use strata_cache::cached;

struct Reports;

trait Load {
    fn load(org_id: u64) -> u64;
}

#[cached]
impl Load for Reports {
    #[cached(scope = "org")]
    fn load(org_id: u64) -> u64 {
        org_id
    }
}

fn main() {}
