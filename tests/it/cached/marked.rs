//! How the value of a cached function stands that a call was answered with.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};

use strata_cache::{Freshness, InCache, cached, with_cache};

use crate::care::Background;
use crate::support::{Outcome, answer, seconds, still};

static RUNS: AtomicU32 = AtomicU32::new(0);

#[cached(scope = "org", ttl = "60s", stale = "30s", on_error = stale("1h"), throttle = "5s")]
async fn rates(org_id: u64) -> Result<u32, String> {
    match RUNS.fetch_add(1, SeqCst) {
        0 => Ok(1),
        1 => Err("down".into()),
        _ => Ok(2),
    }
}

#[cached(scope = "org", ttl = "60s", on_error = stale)]
fn sync_rates(org_id: u64, fails: bool) -> Result<u32, String> {
    if fails { Err("down".into()) } else { Ok(org_id as u32) }
}

#[test]
fn companion_says_whether_a_call_was_answered_with_a_stale_value() -> Outcome {
    let (builder, clock) = still();
    let background = Background::default();
    let cache = builder.spawner(background.spawner()).build()?;
    let marked = || answer(&mut Box::pin(rates::marked(7).in_cache(&cache)));
    assert_eq!((marked().freshness, marked().freshness), (Freshness::Fresh, Freshness::Fresh));
    clock.advance(seconds(70));
    let served = marked();
    assert_eq!((served.value, served.freshness), (Ok(1), Freshness::Stale(seconds(10))));
    background.go_on();
    clock.advance(seconds(40));
    let served = marked();
    assert_eq!((served.value, served.freshness, RUNS.load(SeqCst)), (Ok(2), Freshness::Fresh, 3));
    Ok(())
}

#[test]
fn sync_function_that_falls_back_says_so() -> Outcome {
    let (builder, clock) = still();
    let cache = builder.build()?;
    with_cache(&cache, || {
        // The flag is a part of the key, so both calls are of one that fails from the second minute on.
        assert!(sync_rates::prime(7, true, Ok(7)).wait().is_ok_and(|stored| stored));
        clock.advance(seconds(61));
        let served = sync_rates::marked(7, true);
        assert_eq!((served.value, served.freshness), (Ok(7), Freshness::Stale(seconds(1))));
        assert!(!sync_rates::marked(7, false).is_stale());
        let told = sync_rates::explain(7, true).expect("it has a scope");
        assert_eq!((told.entry, told.is_loading), (Some(Freshness::Stale(seconds(1))), false));
        assert_eq!(sync_rates::explain(8, true).expect("it has a scope").entry, None);
    });
    Ok(())
}
