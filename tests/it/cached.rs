//! Cached functions, sync and async, over the default cache: one way through everything they offer.

mod caches;
mod care;
mod companions;
mod detached;
mod marked;
mod options;
mod tags;
mod waiting;

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use strata_cache::{cached, default_cache, scope};

use crate::support::Outcome;

static RUNS: AtomicU32 = AtomicU32::new(0);

#[cached(scope = "user", ttl = 600)]
fn preferences(org_id: &str, user_id: u64, section: &str) -> Result<String, std::fmt::Error> {
    RUNS.fetch_add(1, Relaxed);
    Ok(format!("{org_id}-{user_id}-{section}"))
}

#[test]
fn sync_function_runs_once_until_its_value_is_withdrawn_in_any_way() -> Outcome {
    // No other test uses this organisation of the default cache.
    let call = || preferences("cached-sync", 2, "theme");
    let runs = || RUNS.load(Relaxed);
    assert_eq!((call()?, call()?, runs()), ("cached-sync-2-theme".into(), "cached-sync-2-theme".into(), 1));

    assert!(preferences::invalidate("cached-sync", 2, "theme").wait()?);
    assert_eq!(preferences::peek("cached-sync", 2, "theme"), None, "withdrawn at the call");
    call()?;
    assert_eq!(runs(), 2);

    assert_eq!(default_cache().evict_by_scope(scope!(org = "cached-sync")).wait()?.entries, 1);
    call()?;
    assert_eq!(runs(), 3);

    assert_eq!(preferences::invalidate_scope("cached-sync", 2).wait()?.entries, 1);
    let stats = preferences::stats();
    assert_eq!((stats.entries, stats.loads, stats.hits, stats.misses), (0, 3, 1, 3));
    Ok(())
}

static LOADS: AtomicU32 = AtomicU32::new(0);

#[cached(scope = "org", ttl = "5m")]
async fn plan(org_id: &str, region: &str) -> Option<String> {
    LOADS.fetch_add(1, Relaxed);
    tokio::task::yield_now().await;
    (region != "nowhere").then(|| format!("{org_id}-{region}"))
}

#[tokio::test]
async fn async_function_runs_once_in_whatever_task_and_keeps_none_as_a_value() -> Outcome {
    let call = |region: &'static str| tokio::spawn(plan("cached-async", region));
    assert_eq!(call("eu").await?.as_deref(), Some("cached-async-eu"));
    assert_eq!(call("eu").await?.as_deref(), Some("cached-async-eu"));
    assert_eq!((call("nowhere").await?, call("nowhere").await?), (None, None));
    assert_eq!(LOADS.load(Relaxed), 2);
    assert_eq!(plan::peek("cached-async", "nowhere"), Some(None), "a stored `None` is not absence");
    Ok(())
}
