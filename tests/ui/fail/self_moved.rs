//! A cached method takes `&self`.
#![allow(unused)]

use strata_cache::cached;

struct Reports {
    id: u64,
}

#[cached]
impl Reports {
    #[cached(scope = "org", receiver = self.id)]
    fn load(self, org_id: u64) -> u64 {
        org_id
    }
    
    #[cached(scope = "org", receiver = self.id)]
    fn change(&mut self, org_id: u64) -> u64 {
        org_id
    }
}

fn main() {}
