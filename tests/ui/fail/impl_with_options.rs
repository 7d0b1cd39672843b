//! Options belong on the functions.
#![allow(unused)]

use strata_cache::cached;

struct Reports {
    id: u64,
}

#[cached(scope = "org", ttl = 5)]
impl Reports {
    #[cached(scope = "org", receiver = self.id)]
    fn load(&self, org_id: u64) -> u64 {
        org_id
    }
}

fn main() {}
