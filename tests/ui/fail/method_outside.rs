//! Methods are cached inside an annotated impl block.
#![allow(unused)]

use strata_cache::cached;

struct Reports;

impl Reports {
    #[cached(scope = "org")]
    fn load(&self, org_id: u64) -> u64 {
        org_id
    }

    #[cached(scope = "org")]
    fn open(org_id: u64) -> Option<Self> {
        None
    }
}

fn main() {}
