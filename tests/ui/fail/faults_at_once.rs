//! All faults come at once, each in its place.
#![allow(unused)]

use strata_cache::cached;

#[cached(scope = "usr", tll = 5, ttl = 0, max = 0, skip(nam), stale = 0, refresh = 2, breaker = 0)]
const fn load(ratio: f64, out: &mut u8) {}

fn main() {}
