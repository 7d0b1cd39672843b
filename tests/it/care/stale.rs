//! Values past their time-to-live: served at once, or in place of none.

use strata_cache::{ErrorKind, Freshness, LoadError, scope};

use super::*;
use crate::support::{Outcome, answer, kind, parked, seconds};

#[test]
fn value_within_its_stale_window_is_served_at_once_and_loaded_once_in_the_background() -> Outcome {
    let (builder, clock, background) = quiet();
    let cache = builder.build()?;
    let (region, source) = (numbers(&cache)?, Source::new(1));
    let get = || {
        region
            .get_or_load(scope!(org = 1), &7, {
                let source = source.clone();
                move || source.load()
            })
            .ttl("60s")
            .stale("30s")
            .marked()
            .wait()
            .expect("a value")
    };
    assert_eq!(get().freshness, Freshness::Fresh);
    source.says(Ok(2));
    clock.advance(seconds(70));
    for _ in 0..5 {
        let served = get();
        assert_eq!((served.value, served.freshness), (1, Freshness::Stale(seconds(10))));
    }
    assert_eq!((background.len(), source.asked()), (1, 1), "one load was begun, and has not run yet");
    background.go_on();
    let served = get();
    assert_eq!((served.value, served.freshness, source.asked()), (2, Freshness::Fresh, 2));
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.stale_hits, stats.misses, stats.refreshes, stats.loads), (1, 5, 1, 1, 2));
    assert_eq!(stats.lookups(), 7);
    Ok(())
}

#[test]
fn value_past_its_window_is_gone_and_its_memory_comes_back() -> Outcome {
    let (builder, clock, background) = quiet();
    let cache = builder.build()?;
    let (region, source) = (numbers(&cache)?, Source::new(1));
    let get = || {
        region
            .get_or_load(scope!(org = 1), &7, {
                let source = source.clone();
                move || source.load()
            })
            .ttl("60s")
            .stale("30s")
            .wait()
    };
    get().expect("it loads");
    clock.advance(seconds(89));
    cache.maintain();
    assert_eq!(cache.stats().entries, 1, "it is kept");
    clock.advance(seconds(1));
    cache.maintain();
    assert_eq!((cache.stats().entries, cache.stats().expired), (0, 1));
    source.says(Err(Down));
    assert!(matches!(get(), Err(LoadError::Load(Down))));
    assert_eq!(background.len(), 0);
    Ok(())
}

#[test]
fn stale_value_is_absent_for_whoever_does_not_ask_for_it() -> Outcome {
    let Numbers { cache, clock, region, here, .. } = Numbers::new()?;
    region.set(&here, 7, 1).ttl("60s").keep("30s").wait()?;
    clock.advance(seconds(70));
    assert_eq!(region.get(&here, &7).wait()?, None);
    assert_eq!(region.get_now(&here, &7)?, None);
    assert!(!region.contains(&here, &7).wait()?);
    assert_eq!(region.peek(&here, &7).wait()?, None);
    assert_eq!(region.pop(&here, &7).wait()?, None, "it is not handed out unmarked");
    assert_eq!(cache.stats().entries, 0, "but it is taken out");
    Ok(())
}

#[test]
fn stale_value_that_was_withdrawn_is_stale_to_nobody() -> Outcome {
    let Numbers { cache, clock, background, region, here } = Numbers::new()?;
    let withdrawals: [&dyn Fn(); 5] = [
        &|| assert!(region.invalidate(&here, &7).wait().expect("a place"), "it was there"),
        &|| assert!(region.remove(&here, &7).wait().expect("a place"), "it was there"),
        &|| assert_eq!(cache.evict_by_scope(&here).wait().expect("a place").entries, 1),
        &|| assert_eq!(cache.invalidate_tag(&here, "t").wait().expect("a tag").entries, 1),
        &|| assert_eq!(region.invalidate_scope(&here).wait().expect("a place").entries, 1),
    ];
    for (number, withdraw) in withdrawals.iter().enumerate() {
        region.set(&here, 7, 1).ttl("60s").keep("30s").tag("t").wait()?;
        clock.advance(seconds(70));
        withdraw();
        let down = || async { Err::<u32, _>(Down) };
        let get = region.get_or_load(&here, &7, down).ttl("60s").stale("30s").stale_on_error("30s");
        assert!(matches!(get.wait(), Err(LoadError::Load(Down))), "{number}");
    }
    assert_eq!(background.len(), 0);
    Ok(())
}

#[test]
fn error_is_answered_with_what_is_kept_and_not_tried_again_at_once() -> Outcome {
    let (builder, clock, _) = quiet();
    let cache = builder.build()?;
    let (region, source) = (numbers(&cache)?, Source::new(1));
    let get = || {
        region
            .get_or_load_with(scope!(org = 1), &7, || source.ask())
            .ttl("60s")
            .stale_on_error("1h")
            .throttle("5s")
            .marked()
            .wait()
    };
    get().expect("it loads");
    source.says(Err(Down));
    clock.advance(seconds(61));
    for _ in 0..100 {
        assert_eq!(get().map(|served| (served.value, served.is_stale())).ok(), Some((1, true)));
    }
    assert_eq!(source.asked(), 2, "one attempt, and then none for five seconds");
    clock.advance(seconds(5));
    for _ in 0..100 {
        assert!(get().is_ok());
    }
    assert_eq!(source.asked(), 3);
    source.says(Ok(2));
    clock.advance(seconds(5));
    assert_eq!(get().map(|served| (served.value, served.is_stale())).ok(), Some((2, false)));
    let stats = cache.stats();
    assert_eq!((stats.fallbacks, stats.stale_hits, stats.hits, stats.misses), (200, 200, 0, 2));
    assert_eq!((stats.loads, stats.load_failures), (4, 2));
    Ok(())
}

#[test]
fn those_who_wait_for_a_load_that_fails_fall_back_together() -> Outcome {
    let Numbers { region, here, .. } = Numbers::stale()?;
    let (fail, failing) = tokio::sync::oneshot::channel::<()>();
    let mut leader = Box::pin(
        region
            .get_or_load(&here, &7, || async move {
                failing.await.expect("it is told");
                Err::<u32, _>(Down)
            })
            .stale_on_error("1h"),
    );
    parked(&mut leader);
    let runs = std::cell::Cell::new(0);
    let wait = || {
        let runs = &runs;
        Box::pin(
            region
                .get_or_load(&here, &7, move || async move {
                    runs.set(runs.get() + 1);
                    Ok::<u32, Down>(9)
                })
                .stale_on_error("1h"),
        )
    };
    let mut waiters: Vec<_> = (0..20).map(|_| wait()).collect();
    waiters.iter_mut().for_each(parked);
    fail.send(()).expect("the leader waits");
    assert_eq!(answer(&mut leader).ok(), Some(1));
    for waiter in &mut waiters {
        assert_eq!(answer(waiter).ok(), Some(1));
    }
    assert_eq!(runs.get(), 0, "nobody tried again");
    Ok(())
}

#[test]
fn background_load_that_fails_or_panics_leaves_the_entry_and_is_not_begun_again_at_once() -> Outcome {
    let Numbers { cache, clock, background, region, here } = Numbers::stale()?;
    let get = |fails: fn() -> Result<u32, Down>| {
        let load = region.get_or_load(&here, &7, move || async move { fails() });
        load.stale("1h").throttle("5s").wait().expect("a stale value")
    };
    assert_eq!(get(|| Err(Down)), 1);
    background.go_on();
    assert_eq!((get(|| Err(Down)), background.len()), (1, 0), "it is too early");
    clock.advance(seconds(5));
    assert_eq!(get(|| panic!("on purpose")), 1);
    background.go_on();
    assert_eq!((background.len(), cache.stats().entries), (0, 1));
    assert_eq!((get(|| Err(Down)), background.len()), (1, 0), "it is too early after a panic, too");
    let stats = cache.stats();
    assert_eq!((stats.refreshes, stats.load_failures, stats.panics, stats.flights), (2, 2, 1, 0));
    clock.advance(seconds(5));
    assert_eq!(get(|| Ok(2)), 1);
    background.go_on();
    assert_eq!(get(|| Err(Down)), 2);
    Ok(())
}

#[test]
fn no_more_background_loads_run_than_may_and_none_after_the_last_handle() -> Outcome {
    let (builder, clock, background) = quiet();
    let cache = builder.background_loads(2).build()?;
    let region = numbers(&cache)?;
    let here = cache.scope(scope!(org = 1))?;
    for key in 0..5 {
        region.set(&here, key, key).ttl("60s").keep("1h").wait()?;
    }
    clock.advance(seconds(61));
    for key in 0..5 {
        assert_eq!(region.get_or_load(&here, &key, hang).stale("1h").wait().ok(), Some(key));
    }
    background.go_on();
    let stats = cache.stats();
    assert_eq!((background.len(), stats.refreshes, stats.postponed, stats.flights), (2, 2, 3, 2));
    drop((here, region, cache));
    background.go_on();
    assert_eq!(background.len(), 0, "what hangs ends with the cache");
    Ok(())
}

#[test]
fn sync_loader_runs_in_the_background_on_a_thread_of_its_own() -> Outcome {
    let Numbers { region, here, .. } = Numbers::stale()?;
    let (tell, told) = std::sync::mpsc::channel();
    let this = std::thread::current().id();
    let load = move || {
        tell.send(std::thread::current().id()).expect("the test listens");
        Ok::<u32, Down>(2)
    };
    assert_eq!(region.get_or_load_with(&here, &7, load).stale("1h").wait().ok(), Some(1));
    assert_ne!(told.recv_timeout(seconds(60))?, this);
    let begun = std::time::Instant::now();
    while region.get(&here, &7).wait()? != Some(2) {
        assert!(begun.elapsed() < seconds(60), "it is never stored");
        std::thread::yield_now();
    }
    Ok(())
}

#[test]
fn stale_window_without_a_time_to_live_is_an_error_and_nothing_runs() -> Outcome {
    let (builder, _, _) = quiet();
    let cache = builder.build()?;
    let region = cache.region::<u32, u32>("r")?;
    let load = || async { panic!("it is not to run") };
    let Err(LoadError::<Down>::Cache(error)) =
        region.get_or_load(scope!(global), &1, load).stale("1m").wait()
    else {
        panic!("it has no end");
    };
    assert!(error.kind() == ErrorKind::InvalidConfig && error.to_string().contains("`ttl`"), "{error}");
    assert_eq!(kind(region.set(scope!(global), 1, 1).keep("1m").wait()), Some(ErrorKind::InvalidConfig));
    assert_eq!(cache.stats().entries, 0);
    Ok(())
}

#[test]
fn region_is_told_all_faults_of_its_description_at_once() -> Outcome {
    let (builder, _, _) = quiet();
    let cache = builder.build()?;
    let region =
        cache.region_builder::<u32, u32>("r").ttl("never").stale("1m").refresh(2.0).soft("2s").hard("1s");
    let error =
        region.breaker(0, "1s").max_per_scope(0).open().expect_err("nothing of it is right").to_string();
    for fault in ["breaker", "max_per_scope", "refresh", "shorter than `hard`", "give it a `ttl`"] {
        assert!(error.contains(fault), "{fault}: {error}");
    }
    assert_eq!(cache.stats().regions, 1);
    Ok(())
}

#[test]
fn slot_that_is_used_again_has_none_of_the_times_of_before() -> Outcome {
    let (builder, clock, _) = quiet();
    // One shard for all of them.
    let cache = builder.capacity(100).build()?;
    let region = numbers(&cache)?;
    let here = cache.scope(scope!(org = 1))?;
    region.set(&here, 0, 0).ttl("1d").keep("1d").wait()?;
    for round in 0..20 {
        // What leaves is used again by what comes, once no reader can know it any more.
        region.set(&here, 1, 1).ttl("60s").keep("1h").wait()?;
        region.remove(&here, &1).wait()?;
        cache.maintain();
        region.set(&here, 2, 2).ttl("60s").wait()?;
        clock.advance(seconds(60));
        let down = || Err::<u32, _>(Down);
        let get = region.get_or_load_with(&here, &2, down).stale_on_error("1h").wait();
        assert!(get.is_err(), "round {round}: it is kept as another entry was");
        cache.maintain();
        assert_eq!(cache.stats().entries, 1, "round {round}");
    }
    Ok(())
}
