//! An eviction policy of one's own: the newest goes first, which suits scans that start over again and again.
#![allow(clippy::print_stdout, reason = "a program talks to its user")]

use strata_cache::policy::{EvictionPolicy, Heat, Order, Policy, SlotId, Weight};
use strata_cache::{Cache, Error, scope};

/// Evicts what came last. Knows slots, not keys or values; its list lives in the `Order` that it is given.
struct NewestFirst;

impl EvictionPolicy for NewestFirst {
    fn on_insert(&mut self, order: &mut Order<'_>, slot: SlotId, _hash: u32, _weight: Weight) {
        order.push_front(0, slot);
    }

    fn on_remove(&mut self, order: &mut Order<'_>, slot: SlotId) {
        order.remove(slot);
    }

    fn victim(&mut self, order: &mut Order<'_>, _heat: &Heat<'_>) -> Option<SlotId> {
        order.front(0)
    }
}

/// Reads 120 pages ten times in the same order through a cache that holds 100.
fn scan(policy: Policy) -> Result<f64, Error> {
    let cache = Cache::builder().capacity(100).policy(policy).build()?;
    let pages = cache.region::<u32, u64>("pages")?;
    let reader = cache.scope(scope!(org = "library"))?;
    for _ in 0..10 {
        for page in 0..120 {
            if pages.get(&reader, &page).wait()?.is_none() {
                pages.set(&reader, page, u64::from(page) * 1_000).wait()?;
            }
        }
    }
    Ok(cache.stats().hit_ratio())
}

fn main() -> Result<(), Error> {
    // The contract that every built-in policy passes, for policies of one's own.
    strata_cache::policy::contract::check(|| Box::new(NewestFirst));

    let lru = scan("lru".parse()?)?;
    let newest = scan(Policy::custom("newest-first", || Box::new(NewestFirst)))?;
    println!("least recently used: {lru:.2} · newest first: {newest:.2}");
    assert_eq!(lru, 0.0, "each page goes just before it is wanted again");
    assert!(newest > 0.7, "most pages stay");
    Ok(())
}
