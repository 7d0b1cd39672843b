//! An annotated block has something to cache.
#![allow(unused)]

use strata_cache::cached;

struct Reports {
    id: u64,
}

#[cached]
impl Reports {
    fn load(&self) -> u64 {
        self.id
    }
}

fn main() {}
