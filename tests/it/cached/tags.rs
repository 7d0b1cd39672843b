//! `tags(..)`, and tags that the body of a cached function adds.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use strata_cache::{Cache, cached, scope, tag_load, with_cache};

use crate::support::Outcome;

static RUNS: AtomicU32 = AtomicU32::new(0);

struct Db;

#[cached(scope = "org", ttl = "5m", tags("plan:{plan}", "month:{month:02}", global("prices")), skip(db))]
fn limits(db: &Db, org_id: u64, plan: &str, month: u8) -> Result<u32, std::fmt::Error> {
    let Db = db;
    assert!(org_id > 0 && !plan.is_empty() && month > 0);
    Ok(RUNS.fetch_add(1, SeqCst))
}

#[test]
fn values_with_a_tag_go_together_in_their_scope_or_everywhere() -> Outcome {
    let cache = Cache::builder().build()?;
    with_cache(&cache, || {
        let call = |org, plan, month| limits(&Db, org, plan, month);
        let is_there = |org, plan, month| limits::peek(org, plan, month).is_some();
        for org in [1, 2] {
            assert_eq!(
                (call(org, "gold", 1)?, call(org, "gold", 2)?),
                (call(org, "gold", 1)?, call(org, "gold", 2)?)
            );
            call(org, "free", 1)?;
        }
        assert_eq!(cache.invalidate_tag(scope!(org = 1), "plan:gold").wait()?.entries, 2);
        assert_eq!(
            [is_there(1, "gold", 1), is_there(1, "gold", 2), is_there(1, "free", 1)],
            [false, false, true]
        );
        assert!(is_there(2, "gold", 1), "another organisation's plan");
        assert_eq!(cache.invalidate_tag(scope!(org = 2), "month:01").wait()?.entries, 2);
        assert!(is_there(2, "gold", 2));
        assert_eq!(cache.invalidate_tag(scope!(global), "prices").wait()?.entries, 2);
        assert!(!is_there(2, "gold", 2) && !is_there(1, "free", 1));
        let stats = limits::stats();
        assert_eq!((stats.invalidated, stats.entries), (6, 0));
        Ok(())
    })
}

#[cached(scope = "user", tags("owner:{owner}"), key = |id| *id)]
fn document(org_id: u64, user_id: u64, id: u32, owner: &str) -> String {
    format!("{org_id} {user_id} {id} {owner}")
}

#[test]
fn primed_value_has_the_tags_too_and_takes_what_they_are_made_of() -> Outcome {
    let cache = Cache::builder().build()?;
    with_cache(&cache, || {
        assert!(document::prime(1, 2, 3, "ada", "primed".into()).wait()?);
        assert_eq!(document(1, 2, 3, "eve"), "primed", "the owner is not in the key");
        assert_eq!(cache.invalidate_tag(scope!(org = 1, user = 2), "owner:ada").wait()?.entries, 1);
        assert_eq!(document::peek(1, 2, 3), None);
        Ok(())
    })
}

#[test]
fn value_is_not_stored_without_a_tag_that_cannot_be_made() -> Outcome {
    let cache = Cache::builder().build()?;
    with_cache(&cache, || {
        assert_eq!(document(1, 2, 4, "a\nb"), "1 2 4 a\nb");
        assert_eq!(document(1, 2, 5, "x"), "1 2 5 x");
        assert_eq!(document::peek(1, 2, 4), None);
        assert!(document::prime(1, 2, 4, &"x".repeat(300), String::new()).wait().is_err());
        let stats = document::stats();
        assert_eq!((stats.bypassed, stats.entries, stats.loads), (1, 1, 1));
        Ok(())
    })
}

#[cached(scope = "org")]
async fn report(org_id: u64, name: &str) -> Result<u32, strata_cache::Error> {
    assert!(org_id > 0);
    tokio::task::yield_now().await;
    for table in ["orders", name] {
        tag_load(format!("table:{table}"))?;
    }
    tokio::task::yield_now().await;
    Ok(RUNS.fetch_add(1, SeqCst))
}

#[cached(scope = "org", ids(ambient))]
fn of_nobody(name: &str) -> Result<usize, strata_cache::Error> {
    tag_load(format!("name:{name}"))?;
    Ok(name.len())
}

#[tokio::test]
async fn body_that_adds_tags_runs_past_the_cache_too() -> Outcome {
    let cache = Cache::builder().build()?;
    assert_eq!(with_cache(&cache, || of_nobody("abc"))?, 3, "there is no scope");
    assert_eq!(with_cache(&cache, || of_nobody::uncached("abc"))?, 3);
    strata_cache::InCache::in_cache(report::uncached(1, "sales"), &cache).await?;
    assert_eq!(cache.stats().tag_sets, 0);
    Ok(())
}

#[tokio::test]
async fn body_of_a_function_adds_tags_that_it_finds_out() -> Outcome {
    let cache = Cache::builder().build()?;
    let call = |name| strata_cache::InCache::in_cache(report(1, name), &cache);
    let (sales, stock) = (call("sales").await?, call("stock").await?);
    assert_eq!((call("sales").await?, call("stock").await?), (sales, stock));
    assert_eq!(cache.invalidate_tag(scope!(org = 1), "table:stock").await?.entries, 1);
    assert_eq!(call("sales").await?, sales);
    assert_ne!(call("stock").await?, stock);
    assert_eq!(cache.invalidate_tag(scope!(org = 1), "table:orders").await?.entries, 2);
    Ok(())
}
