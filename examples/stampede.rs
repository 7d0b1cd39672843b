//! Stampedes that do not happen: ten thousand callers of one key, a fleet of keys that expire together, a value that is hot when it expires.
#![allow(clippy::print_stdout, reason = "a program talks to its user")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use strata_cache::{Cache, Error, TestClock, scope};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let clock = TestClock::new();
    let cache = Cache::builder().clock(clock.clone()).build()?;
    let reports = cache.region_builder::<&str, u32>("reports").ttl("10m").stale("1m").refresh(0.9).open()?;
    let acme = cache.scope(scope!(org = "acme"))?;
    let queries = Arc::new(AtomicU32::new(0));
    let ask = || {
        let queries = Arc::clone(&queries);
        let query = move || async move {
            tokio::task::yield_now().await; // stands for a query
            Ok::<u32, Error>(queries.fetch_add(1, Ordering::Relaxed))
        };
        reports.get_or_load(&acme, &"sales", query).background()
    };
    let count = || queries.load(Ordering::Relaxed);

    // Ten thousand ask at once: one loads, the others wait without a thread.
    let all = (0..10_000).map(|_| ask());
    let answers = futures_util::future::join_all(all).await;
    assert!(answers.iter().all(|answer| matches!(answer, Ok(0))));
    assert_eq!(count(), 1);

    // Late in its time a value is loaded anew behind the back of those who ask: they are served at once.
    clock.advance(Duration::from_secs(9 * 60));
    for _ in 0..1_000 {
        assert!(ask().await.is_ok());
    }
    until(|| count() == 2 && cache.stats().flights == 0).await; // one load, in the background

    // Nobody asked in time: it is stale, is served all the same, and loaded once.
    clock.advance(Duration::from_secs(10 * 60 + 30));
    assert!(ask().marked().await.is_ok_and(|served| served.is_stale()), "at once");
    for _ in 0..1_000 {
        assert!(ask().await.is_ok());
    }
    until(|| count() == 3 && cache.stats().flights == 0).await;
    assert!(ask().marked().await.is_ok_and(|served| !served.is_stale()));
    println!("{} answers, {} queries", cache.stats().lookups(), count());
    Ok(())
}

/// Lets what runs in the background go on.
async fn until(done: impl Fn() -> bool) {
    while !done() {
        tokio::task::yield_now().await;
    }
}
