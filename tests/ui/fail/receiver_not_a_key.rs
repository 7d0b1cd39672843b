//! The receiver is a part of the key.
#![allow(unused)]

use strata_cache::cached;

struct Reports {
    id: u64,
}

#[cached]
impl Reports {
    #[cached(scope = "org", receiver = self)]
    fn load(&self, org_id: u64) -> u64 {
        self.id + org_id
    }
}

fn main() {}
