//! Which cache a function's values are in: its own, by `cache = …`, or one that stands in for it.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use strata_cache::{Cache, InCache, InScope, cached, default_cache, scope, with_cache};

use crate::support::{Outcome, still};

static OWN: LazyLock<Cache> = LazyLock::new(|| Cache::builder().capacity(100).build().expect("good options"));
static RUNS: AtomicU32 = AtomicU32::new(0);

#[cached(scope = "org", cache = OWN)]
fn in_own(org_id: u64) -> u32 {
    RUNS.fetch_add(1, SeqCst);
    org_id as u32
}

fn own() -> &'static Cache {
    &OWN
}

#[cached(scope = "org", cache = own())]
fn in_own_by_a_call(org_id: u64) -> u32 {
    org_id as u32
}

#[cached(scope = "org")]
fn plan(org_id: u64) -> u64 {
    org_id
}

#[test]
fn function_with_a_cache_of_its_own_leaves_the_default_one_alone() -> Outcome {
    assert_eq!((in_own(881), in_own(881), in_own_by_a_call(881)), (881, 881, 881));
    assert_eq!(
        OWN.stats_of_region(concat!(module_path!(), "::in_own")).map(|stats| (stats.entries, stats.hits)),
        Some((1, 1))
    );
    assert_eq!(OWN.evict_by_scope(scope!(org = 881)).wait()?.entries, 2);
    assert_eq!(in_own::peek(881), None);
    assert_eq!(default_cache().preview_evict(scope!(org = 881)).wait()?.entries, 0);
    Ok(())
}

#[test]
fn two_tests_with_a_cache_each_see_nothing_of_one_another() -> Outcome {
    let [one, two] = [still().0.build()?, still().0.build()?];
    with_cache(&one, || {
        assert_eq!((plan(1), plan(2), in_own(1)), (1, 2, 1));
        with_cache(&two, || {
            assert_eq!((plan::peek(1), in_own::peek(1)), (None, None));
            plan(1);
            assert_eq!(plan::invalidate_scope(1).wait()?.entries, 1);
            Ok::<_, strata_cache::Error>(())
        })?;
        assert_eq!((plan::peek(1), plan::stats().entries), (Some(1), 2));
        assert_eq!(in_own::stats().entries, 1);
        Ok::<_, strata_cache::Error>(())
    })?;
    assert_eq!((one.stats().entries, two.stats().entries), (3, 0));
    assert_eq!(two.stats().invalidated, 1);
    Ok(())
}

#[test]
fn cache_that_stood_in_is_let_go() -> Outcome {
    let cache = Cache::builder().build()?;
    let value = std::sync::Arc::new(5);
    #[cached(scope = "global", skip(value))]
    fn held(value: &std::sync::Arc<i32>) -> std::sync::Arc<i32> {
        value.clone()
    }
    with_cache(&cache, || held(&value));
    assert_eq!(std::sync::Arc::strong_count(&value), 2);
    drop(cache);
    assert_eq!(std::sync::Arc::strong_count(&value), 1);
    Ok(())
}

#[cached(scope = "tenant/project")]
fn of_project(tenant_id: u64, project_id: u64) -> u64 {
    tenant_id + project_id
}

#[test]
fn levels_are_those_of_the_cache_that_stands_in() -> Outcome {
    let tree = strata_cache::ScopeTree::builder()
        .level("tenant", "tenant_id")
        .child("tenant", "project", "project_id")
        .build()?;
    let cache = Cache::builder().scopes(tree).build()?;
    with_cache(&cache, || {
        assert_eq!((of_project(1, 2), of_project::peek(1, 2)), (3, Some(3)));
        assert_eq!((plan(1), plan::peek(1)), (1, None), "it has no such level");
    });
    assert_eq!((of_project(1, 2), of_project::peek(1, 2)), (3, None), "nor has the default one this");
    Ok(())
}

#[cached(scope = "org", ids(ambient))]
async fn here() -> u32 {
    tokio::task::yield_now().await;
    RUNS.fetch_add(1, SeqCst)
}

#[tokio::test]
async fn future_takes_its_cache_and_its_scope_along() -> Outcome {
    let cache = Cache::builder().build()?;
    let acme = cache.scope(scope!(org = "acme"))?;
    let call = || here().in_scope(acme.clone()).in_cache(&cache);
    assert_eq!(call().await, tokio::spawn(call()).await?);
    assert_eq!(cache.stats().entries, 1);
    Ok(())
}
