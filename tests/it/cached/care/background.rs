//! What runs while its caller is served what is there: `stale` and `refresh`.

use std::sync::atomic::AtomicU32;

use strata_cache::{InScope, ambient_scope, scope};

use super::*;
use crate::support::still;

#[cached(scope = "global", ttl = "1h")]
fn nested() -> u32 {
    1
}

// It says where it runs, and whether a nested function finds the same cache.
#[cached(scope = "org", ids(ambient), ttl = "60s", stale = "30s", skip(source), tags("name:{name}"))]
async fn rate(name: &str, source: &Source) -> Result<String, Down> {
    let ambient = ambient_scope().map(|scope| scope.to_string()).unwrap_or_default();
    nested();
    source.ask().map(|number| format!("{ambient} {name} {number}"))
}

#[test]
fn stale_value_is_served_at_once_and_loaded_once_in_the_background_of_its_scope_and_cache() -> Outcome {
    let (builder, clock, background) = quiet();
    let (cache, source) = (builder.build()?, Source::new(1));
    let acme = cache.scope(scope!(org = "acme"))?;
    let call = || {
        let name = String::from("eu");
        now(&cache, rate(&name, &source).in_scope(acme.clone()))
    };
    assert_eq!(call(), Ok("org:acme eu 1".into()));
    source.says(Ok(2));
    clock.advance(seconds(60));
    for _ in 0..5 {
        assert_eq!(call(), Ok("org:acme eu 1".into()));
    }
    assert_eq!((background.len(), source.asked()), (1, 1), "one load was begun, and has not run yet");
    assert_eq!(with_cache(&cache, || acme.enter(|| rate::peek("eu"))), None, "nobody sees that it is stale");
    background.go_on();
    assert_eq!(call(), Ok("org:acme eu 2".into()));
    assert_eq!((background.len(), source.asked()), (0, 2));
    let stats = with_cache(&cache, rate::stats);
    assert_eq!((stats.hits, stats.stale_hits, stats.misses, stats.refreshes, stats.loads), (1, 5, 1, 1, 2));
    assert_eq!(with_cache(&cache, nested::stats).lookups(), 2, "both runs have called it over this cache");
    Ok(())
}

#[test]
fn value_past_its_window_is_loaded_by_its_caller_and_an_error_is_the_callers() -> Outcome {
    let (builder, clock, background) = quiet();
    let (cache, source) = (builder.build()?, Source::new(1));
    let acme = cache.scope(scope!(org = "acme"))?;
    let call = || now(&cache, rate("eu", &source).in_scope(acme.clone()));
    call()?;
    source.says(Err(Down));
    clock.advance(seconds(89));
    assert_eq!(call(), Ok("org:acme eu 1".into()));
    background.go_on();
    assert_eq!(
        (call(), source.asked()),
        (Ok("org:acme eu 1".into()), 2),
        "it failed, and what is stored stays"
    );
    clock.advance(seconds(1));
    assert_eq!((call(), background.len()), (Err(Down), 0));
    Ok(())
}

#[test]
fn what_is_withdrawn_is_not_served_stale_and_a_run_that_began_before_stores_nothing() -> Outcome {
    let (builder, clock, background) = quiet();
    let (cache, source) = (builder.build()?, Source::new(1));
    let acme = cache.scope(scope!(org = "acme"))?;
    let call = || now(&cache, rate("eu", &source).in_scope(acme.clone()));
    let peek = || with_cache(&cache, || acme.enter(|| rate::peek("eu")));
    let withdrawals: [&dyn Fn() -> bool; 4] = [
        &|| {
            with_cache(&cache, || acme.enter(|| rate::invalidate("eu")))
                .wait()
                .is_ok_and(|was_there| was_there)
        },
        &|| {
            with_cache(&cache, || acme.enter(rate::invalidate_scope))
                .wait()
                .is_ok_and(|evicted| evicted.entries == 1)
        },
        &|| cache.invalidate_tag(&acme, "name:eu").wait().is_ok_and(|evicted| evicted.entries == 1),
        &|| cache.evict_by_scope(&acme).wait().is_ok_and(|evicted| evicted.entries == 1),
    ];
    for (number, withdraw) in withdrawals.iter().enumerate() {
        source.says(Ok(1));
        call()?;
        clock.advance(seconds(61));
        call()?;
        assert_eq!(background.len(), 1, "{number}");
        assert!(withdraw(), "{number}");
        source.says(Ok(2));
        background.go_on();
        assert_eq!((background.len(), peek()), (0, None), "{number}: it began before");
        assert_eq!(call(), Ok("org:acme eu 2".into()), "{number}");
        assert_eq!(peek(), Some(Ok("org:acme eu 2".into())), "{number}");
        assert!(withdraw(), "{number}");
    }
    let stats = cache.stats();
    assert_eq!((stats.refused_detached, stats.refused_tag), (3, 1));
    Ok(())
}

#[test]
fn what_the_background_loaded_has_its_tags() -> Outcome {
    let (builder, clock, background) = quiet();
    let (cache, source) = (builder.build()?, Source::new(1));
    let acme = cache.scope(scope!(org = "acme"))?;
    let call = || now(&cache, rate("eu", &source).in_scope(acme.clone()));
    call()?;
    clock.advance(seconds(61));
    call()?;
    background.go_on();
    assert_eq!(source.asked(), 2);
    assert_eq!(cache.invalidate_tag(&acme, "name:eu").wait()?.entries, 1);
    call()?;
    assert_eq!(source.asked(), 3);
    Ok(())
}

#[test]
fn companions_that_run_a_stale_function_run_it_now_and_a_run_that_began_before_gives_way() -> Outcome {
    let (builder, clock, background) = quiet();
    let (cache, source) = (builder.build()?, Source::new(1));
    let acme = cache.scope(scope!(org = "acme"))?;
    let call = || now(&cache, rate("eu", &source).in_scope(acme.clone()));
    call()?;
    clock.advance(seconds(61));
    call()?;
    source.says(Ok(2));
    let uncached = now(&cache, rate::uncached("eu", &source).in_scope(acme.clone()));
    assert_eq!((uncached, background.len()), (Ok("org:acme eu 2".into()), 1), "nothing else was begun");
    source.says(Ok(3));
    let refreshed = now(&cache, rate::refresh("eu", &source).in_scope(acme.clone()));
    assert_eq!((refreshed, call()), (Ok("org:acme eu 3".into()), Ok("org:acme eu 3".into())));
    source.says(Ok(4));
    background.go_on();
    assert_eq!((background.len(), call()), (0, Ok("org:acme eu 3".into())), "it began before");
    Ok(())
}

#[cached(scope = "org", ttl = "60s", stale = "30s", skip(source, told))]
fn on_a_thread(org_id: u64, name: &str, source: &Source, told: Teller) -> Result<String, Down> {
    let ambient = ambient_scope().map(|scope| scope.to_string()).unwrap_or_default();
    nested();
    // The test may not listen.
    _ = told.send(format!("{ambient} {:?}", std::thread::current().id()));
    source.ask().map(|number| format!("{org_id} {name} {number}"))
}

#[test]
fn sync_function_is_loaded_anew_on_a_thread_of_its_own() -> Outcome {
    let (builder, clock, _) = quiet();
    let (cache, source) = (builder.build()?, Source::new(1));
    let acme = cache.scope(scope!(org = "acme"))?;
    let (tell, told) = mpsc::channel();
    let call = || {
        let name = String::from("eu");
        with_cache(&cache, || acme.enter(|| on_a_thread(1, &name, &source, tell.clone())))
    };
    assert_eq!(call(), Ok("1 eu 1".into()));
    let here = format!("org:acme {:?}", std::thread::current().id());
    assert_eq!(heard(&told), here, "its caller waits, and runs it itself");
    source.says(Ok(2));
    clock.advance(seconds(70));
    assert_eq!(call(), Ok("1 eu 1".into()));
    let there = heard(&told);
    assert!(there.starts_with("org:acme ") && there != here, "{there}");
    until("it is never stored", || {
        with_cache(&cache, || on_a_thread::peek(1, "eu")) == Some(Ok("1 eu 2".into()))
    });
    assert_eq!((call(), source.asked()), (Ok("1 eu 2".into()), 2));
    assert_eq!(with_cache(&cache, nested::stats).lookups(), 2, "both runs have called it over this cache");
    Ok(())
}

static WITHDRAWN: Stop = Stop::new();
static RUNS: AtomicU32 = AtomicU32::new(0);

// Its second run waits until it is let go.
#[cached(scope = "global", ttl = "60s", stale = "30s", coalesce = off)]
fn withdrawn_meanwhile(id: u32) -> u32 {
    let run = RUNS.fetch_add(1, SeqCst);
    if run == 1 {
        WITHDRAWN.hold();
    }
    id + run
}

#[test]
fn sync_run_in_the_background_stores_nothing_after_a_withdrawal() -> Outcome {
    let (builder, clock, _) = quiet();
    let cache = builder.build()?;
    let call = || with_cache(&cache, || withdrawn_meanwhile(10));
    assert_eq!(call(), 10);
    clock.advance(seconds(61));
    assert_eq!((call(), call()), (10, 10));
    WITHDRAWN.reached();
    assert!(with_cache(&cache, || withdrawn_meanwhile::invalidate(10)).wait()?);
    WITHDRAWN.let_go();
    until("it is not refused", || cache.stats().refused_detached == 1);
    assert_eq!(with_cache(&cache, || withdrawn_meanwhile::peek(10)), None);
    assert_eq!((call(), RUNS.load(SeqCst)), (12, 3));
    Ok(())
}

#[cached(scope = "org", ttl = "100s", refresh = 0.8, skip(source))]
async fn renewed(org_id: u64, source: Source) -> Option<u32> {
    let _ = org_id;
    source.ask().ok()
}

#[test]
fn value_is_loaded_anew_after_its_part_of_the_time_and_not_before() -> Outcome {
    let (builder, clock, background) = quiet();
    let (cache, source) = (builder.build()?, Source::new(1));
    let call = || now(&cache, renewed(1, source.clone()));
    call();
    source.says(Ok(2));
    clock.advance(seconds(79));
    assert_eq!((call(), background.len()), (Some(1), 0));
    clock.advance(seconds(1));
    assert_eq!(
        (call(), call(), background.len()),
        (Some(1), Some(1), 1),
        "it is fresh, and one load was begun"
    );
    background.go_on();
    assert_eq!((call(), source.asked(), cache.stats().stale_hits), (Some(2), 2, 0));
    clock.advance(seconds(99));
    assert_eq!((call(), background.len()), (Some(2), 1), "its time began anew");
    clock.advance(seconds(1));
    assert_eq!(with_cache(&cache, || renewed::peek(1)), None, "and it is over in time");
    Ok(())
}

#[cached(scope = "global", ttl = "60s", stale = "30s", allow(unit), skip(told))]
async fn on_the_runtime(told: Teller) {
    tokio::task::yield_now().await;
    // The test may not listen.
    _ = told.send(tokio::runtime::Handle::try_current().is_ok().to_string());
}

#[tokio::test]
async fn without_a_spawner_the_run_is_a_task_of_the_callers_runtime() -> Outcome {
    let (builder, clock) = still();
    let cache = builder.build()?;
    let (tell, told) = mpsc::channel();
    let next = async || {
        loop {
            match told.try_recv() {
                Ok(told) => break told,
                Err(_) => tokio::task::yield_now().await,
            }
        }
    };
    let call = || on_the_runtime(tell.clone()).in_cache(&cache);
    call().await;
    assert_eq!(next().await, "true");
    clock.advance(seconds(61));
    call().await;
    assert_eq!(next().await, cfg!(feature = "tokio").to_string());
    Ok(())
}

#[derive(Clone)]
struct Reports {
    name: String,
    source: Source,
}

#[cached]
impl Reports {
    #[cached(scope = "org", ttl = "60s", receiver = self.name, stale = "1h", when = |text| !text.ends_with('0'))]
    async fn monthly(&self, org_id: u64, (month, _): (u8, u8)) -> Result<String, Down> {
        self.source.ask().map(|number| format!("{} {org_id} {month} {number}", self.name))
    }
}

#[test]
fn method_takes_a_receiver_of_its_own_along_and_its_rules_count() -> Outcome {
    let (builder, clock, background) = quiet();
    let (cache, source) = (builder.build()?, Source::new(1));
    let call = || {
        let reports = Reports { name: "r".into(), source: source.clone() };
        now(&cache, reports.monthly(7, (5, 0)))
    };
    assert_eq!(call(), Ok("r 7 5 1".into()));
    clock.advance(seconds(61));
    source.says(Ok(10));
    assert_eq!(call(), Ok("r 7 5 1".into()));
    background.go_on();
    assert_eq!((call(), source.asked()), (Ok("r 7 5 1".into()), 2), "what does not pass is not stored");
    source.says(Ok(2));
    clock.advance(seconds(1));
    call()?;
    background.go_on();
    assert_eq!((call(), source.asked()), (Ok("r 7 5 2".into()), 3));
    Ok(())
}

#[test]
fn call_without_a_scope_runs_past_the_cache_and_nothing_in_the_background() -> Outcome {
    let (builder, _, background) = quiet();
    let (cache, source) = (builder.build()?, Source::new(1));
    for _ in 0..2 {
        assert_eq!(now(&cache, rate("eu", &source)), Ok(" eu 1".into()));
    }
    assert_eq!((source.asked(), background.len(), with_cache(&cache, rate::stats).bypassed), (2, 0, 2));
    Ok(())
}
