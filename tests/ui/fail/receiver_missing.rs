//! What identifies `self` is written down.
#![allow(unused)]

use strata_cache::cached;

struct Reports {
    id: u64,
}

#[cached]
impl Reports {
    #[cached(scope = "org")]
    fn load(&self, org_id: u64) -> u64 {
        self.id + org_id
    }
}

fn main() {}
