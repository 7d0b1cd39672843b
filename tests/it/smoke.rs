use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use strata_cache::{Cache, cached, scope};

static RUNS: AtomicU32 = AtomicU32::new(0);
static LOADS: AtomicU32 = AtomicU32::new(0);

#[cached(scope = "user", ttl = 600)]
fn preferences(org_id: u64, user_id: u64, section: &str) -> Result<String, std::fmt::Error> {
    RUNS.fetch_add(1, Ordering::Relaxed);
    Ok(format!("{org_id}-{user_id}-{section}"))
}

#[cached(scope = "org", ttl = "5m")]
async fn limits(org_id: u64, plan: &str) -> Option<String> {
    LOADS.fetch_add(1, Ordering::Relaxed);
    tokio::task::yield_now().await;
    Some(format!("{org_id}-{plan}"))
}

#[test]
fn smoke() {
    assert_eq!(preferences(1, 2, "x").unwrap(), "1-2-x");
    assert_eq!(preferences(1, 2, "x").unwrap(), "1-2-x");
    assert_eq!(RUNS.load(Ordering::Relaxed), 1);
    assert!(preferences::invalidate(1, 2, "x").wait().unwrap());
    assert_eq!(preferences::peek(1, 2, "x"), None);
    preferences(1, 2, "x").unwrap();
    assert_eq!(RUNS.load(Ordering::Relaxed), 2);
    let e = strata_cache::default_cache().evict_by_scope(scope!(org = 1)).wait().unwrap();
    assert_eq!(e.entries, 1);
    preferences(1, 2, "x").unwrap();
    assert_eq!(RUNS.load(Ordering::Relaxed), 3);
    assert_eq!(preferences::invalidate_scope(1, 2).wait().unwrap().entries, 1);
    assert_eq!(preferences::stats().entries, 0);
}

#[tokio::test]
async fn smoke_async() {
    let before = LOADS.load(Ordering::Relaxed);
    assert_eq!(limits(77, "x").await.unwrap(), "77-x");
    assert_eq!(limits(77, "x").await.unwrap(), "77-x");
    assert!(before < LOADS.load(Ordering::Relaxed));
    let cache = Cache::builder().capacity(100).build().unwrap();
    let v: Arc<u32> = cache.get_or_load(scope!(org = 1), "k", || async { Ok::<_, ()>(7u32) }).await.unwrap();
    assert_eq!(*v, 7);
    let handle = {
        let cache = cache.clone();
        tokio::spawn(async move { cache.get::<u32>(scope!(org = 1), "k").await.unwrap() })
    };
    assert_eq!(handle.await.unwrap().as_deref(), Some(&7));
    let alice = cache.scope(scope!(org = "a", user = 1)).unwrap();
    let l = tokio::spawn(async move {
        alice
            .get_or_load("x", || async {
                tokio::task::yield_now().await;
                Ok::<_, ()>(8u32)
            })
            .ttl("10m")
            .await
            .unwrap()
    });
    assert_eq!(*l.await.unwrap(), 8);
}
