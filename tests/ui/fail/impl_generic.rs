//! Type parameters of an impl block come later.
#![allow(unused)]

use strata_cache::cached;

struct Reports<T>(T);

#[cached]
impl<T> Reports<T> {
    #[cached(scope = "org")]
    fn load(org_id: u64) -> u64 {
        org_id
    }
}

fn main() {}
