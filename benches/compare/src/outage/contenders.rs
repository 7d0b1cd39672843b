//! Who is there when the loader dies, each as its users use it.
//!
//! (1) Whoever has no time-outs of its own gets one of [`PATIENCE`] around each call. (2) cached has one option for single flights and one
//! for values that are there when a load fails, and they cannot be had together; so it is here twice.

use std::future::Future;
use std::sync::Arc;

use cached::macros::cached;
use strata_cache::{Cache, RegionBuilder, scope};

use super::{Down, PATIENCE, Seen, Source, THROTTLE, TTL, observe};

/// Fail-safe without a soft time-out; in no plot.
pub const UNSOFT: &str = "strata, no soft";

type Contender = fn(&Arc<Source>, &[usize]) -> Seen;

pub const CONTENDERS: [(&str, Contender); 7] = [
    ("strata-cache", fail_safe),
    (UNSOFT, unsoft),
    ("strata, plain", plain),
    ("moka", moka),
    ("cached", cached_by_key),
    ("fallback", cached_fallback),
    ("no cache", uncached),
];

type Builder = RegionBuilder<u64, u64>;

/// More than there are keys.
const MOST: u64 = 10_000;

fn fail_safe(source: &Arc<Source>, keys: &[usize]) -> Seen {
    safe(source, keys, |region| region.soft("20ms"))
}

fn unsoft(source: &Arc<Source>, keys: &[usize]) -> Seen {
    safe(source, keys, |region| region)
}

fn safe(source: &Arc<Source>, keys: &[usize], soft: impl Fn(Builder) -> Builder) -> Seen {
    let cache = Cache::builder().capacity(MOST).build().expect("the options are valid");
    let region = cache.region_builder::<u64, u64>("dead").ttl(TTL).stale("1s").stale_on_error("30s");
    let region = soft(region.hard(PATIENCE).throttle(THROTTLE)).open();
    let region = Arc::new(region.expect("the options are valid"));
    let scope = cache.scope(scope!(global)).expect("the path is valid");
    observe(source, keys, |key| {
        let (region, scope, source) = (Arc::clone(&region), scope.clone(), Arc::clone(source));
        let load = move || async move { source.load(key).await };
        async move { region.get_or_load(&scope, &key, load).background().await.map_err(|_| Down) }
    })
}

fn plain(source: &Arc<Source>, keys: &[usize]) -> Seen {
    let cache = Cache::builder().capacity(MOST).ttl(TTL).build().expect("the options are valid");
    let region = Arc::new(cache.region::<u64, u64>("dead").expect("the name is valid"));
    let scope = cache.scope(scope!(global)).expect("the path is valid");
    observe(source, keys, |key| {
        let (region, scope, source) = (Arc::clone(&region), scope.clone(), Arc::clone(source));
        let load = move || async move { source.load(key).await };
        patient(async move { region.get_or_load(&scope, &key, load).await.map_err(|_| Down) })
    })
}

fn moka(source: &Arc<Source>, keys: &[usize]) -> Seen {
    let cache = moka::future::Cache::<u64, u64>::builder().max_capacity(MOST).time_to_live(TTL).build();
    observe(source, keys, |key| {
        let (cache, source) = (cache.clone(), Arc::clone(source));
        patient(async move {
            let load = async { source.load(key).await };
            cache.try_get_with(key, load).await.map_err(|_| Down)
        })
    })
}

#[cached(max_size = 10_000, ttl_secs = 1, sync_writes = "by_key", key = "(u64, u64)", convert = { (source.run, key) })]
async fn by_key(source: &Source, key: u64) -> Result<u64, Down> {
    source.load(key).await
}

fn cached_by_key(source: &Arc<Source>, keys: &[usize]) -> Seen {
    observe(source, keys, |key| {
        let source = Arc::clone(source);
        patient(async move { by_key(&source, key).await })
    })
}

#[cached(max_size = 10_000, ttl_secs = 1, result_fallback = true, key = "(u64, u64)", convert = { (source.run, key) })]
async fn fallback(source: &Source, key: u64) -> Result<u64, Down> {
    source.load(key).await
}

fn cached_fallback(source: &Arc<Source>, keys: &[usize]) -> Seen {
    observe(source, keys, |key| {
        let source = Arc::clone(source);
        patient(async move { fallback(&source, key).await })
    })
}

fn uncached(source: &Arc<Source>, keys: &[usize]) -> Seen {
    observe(source, keys, |key| {
        let source = Arc::clone(source);
        patient(async move { source.load(key).await })
    })
}

async fn patient(call: impl Future<Output = Result<u64, Down>>) -> Result<u64, Down> {
    tokio::time::timeout(PATIENCE, call).await.unwrap_or(Err(Down))
}
