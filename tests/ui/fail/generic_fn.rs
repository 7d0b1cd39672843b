//! Type and const parameters come later.
#![allow(unused)]

use strata_cache::cached;

#[cached(scope = "org")]
fn load<T: Clone, const N: usize>(org_id: u64, of: T) -> T {
    of
}

fn main() {}
