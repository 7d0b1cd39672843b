//! How long calls wait: for a fresh value, and at all.

use strata_cache::{ErrorKind, LoadError, scope};

use super::*;
use crate::support::{Outcome, alone, answer, parked, seconds, still};

fn is_timed_out<T: std::fmt::Debug>(result: Result<T, LoadError<Down>>) -> bool {
    matches!(result, Err(LoadError::Cache(error)) if error.kind() == ErrorKind::TimedOut)
}

#[test]
fn load_that_takes_too_long_is_cut_and_all_who_wait_so_long_are_told() -> Outcome {
    let Numbers { cache, clock, region, here, .. } = Numbers::new()?;
    let mut calls: Vec<_> =
        (0..10).map(|_| Box::pin(region.get_or_load(&here, &7, hang).hard("5s"))).collect();
    calls.iter_mut().for_each(parked);
    clock.advance(seconds(4));
    calls.iter_mut().for_each(parked);
    clock.advance(seconds(1));
    for call in &mut calls {
        assert!(is_timed_out(answer(call)));
    }
    let stats = cache.stats();
    assert_eq!((stats.loads, stats.load_failures, stats.flights), (1, 1, 0));
    assert_eq!((stats.misses, stats.lookups()), (10, 10));
    Ok(())
}

#[test]
fn who_has_no_limit_loads_after_one_that_was_cut() -> Outcome {
    let Numbers { clock, region, here, .. } = Numbers::new()?;
    let mut hasty = Box::pin(region.get_or_load(&here, &7, hang).hard("5s"));
    parked(&mut hasty);
    let mut patient = Box::pin(region.get_or_load(&here, &7, || async { Ok::<u32, Down>(3) }));
    parked(&mut patient);
    clock.advance(seconds(5));
    assert!(is_timed_out(answer(&mut hasty)));
    assert_eq!(answer(&mut patient).ok(), Some(3));
    Ok(())
}

#[test]
fn detached_load_goes_on_after_its_call_and_is_stored_if_nothing_has_changed() -> Outcome {
    for changes in [false, true] {
        let Numbers { cache, clock, background, region, here } = Numbers::new()?;
        let (open, gate) = tokio::sync::oneshot::channel::<u32>();
        let load = || async move { Ok::<u32, Down>(gate.await.expect("it is opened")) };
        let mut call = Box::pin(region.get_or_load(&here, &7, load).hard("5s").detached());
        parked(&mut call);
        background.go_on();
        clock.advance(seconds(5));
        assert!(is_timed_out(answer(&mut call)));
        if changes {
            region.invalidate(&here, &7).wait()?;
        }
        open.send(3).expect("the load runs on");
        background.go_on();
        assert_eq!(region.get(&here, &7).wait()?, (!changes).then_some(3));
        assert_eq!((cache.stats().refused_detached, cache.stats().flights), (u64::from(changes), 0));
    }
    Ok(())
}

#[test]
fn call_takes_what_is_kept_when_it_has_waited_softly_and_the_load_goes_on() -> Outcome {
    let Numbers { cache, clock, background, region, here } = Numbers::stale()?;
    let (open, gate) = tokio::sync::oneshot::channel::<u32>();
    let load = || async move { Ok::<u32, Down>(gate.await.expect("it is opened")) };
    let mut call =
        Box::pin(region.get_or_load(&here, &7, load).stale_on_error("1h").soft("1s").hard("9s").marked());
    parked(&mut call);
    background.go_on();
    clock.advance(seconds(1));
    let served = answer(&mut call).expect("what is kept");
    assert!(served.value == 1 && served.is_stale());
    open.send(2).expect("the load runs on");
    background.go_on();
    assert_eq!(region.get(&here, &7).wait()?, Some(2));
    let stats = cache.stats();
    assert_eq!((stats.soft_timeouts, stats.fallbacks, stats.stale_hits), (1, 1, 1));
    assert_eq!(stats.lookups(), 2, "one call, and the look at what it brought");
    Ok(())
}

#[test]
fn who_waits_for_another_load_is_softly_served_too() -> Outcome {
    let Numbers { cache, clock, background, region, here } = Numbers::stale()?;
    let call = || Box::pin(region.get_or_load(&here, &7, hang).stale_on_error("1h").soft("1s"));
    let mut calls = [call(), call(), call()];
    calls.iter_mut().for_each(parked);
    assert_eq!(background.len(), 1, "one load for all");
    clock.advance(seconds(1));
    for call in &mut calls {
        assert_eq!(answer(call).ok(), Some(1));
    }
    assert_eq!(cache.stats().lookups(), 3);
    Ok(())
}

#[test]
fn call_without_anything_kept_waits_beyond_its_soft_limit() -> Outcome {
    let (builder, clock, _) = quiet();
    let cache = builder.build()?;
    let region = numbers(&cache)?;
    let load =
        region.get_or_load(scope!(org = 1), &7, hang).ttl("1m").stale_on_error("1h").soft("1s").hard("9s");
    let mut call = Box::pin(load);
    parked(&mut call);
    clock.advance(seconds(2));
    parked(&mut call);
    clock.advance(seconds(7));
    assert!(is_timed_out(answer(&mut call)));
    Ok(())
}

#[test]
fn time_out_is_answered_with_what_is_kept() -> Outcome {
    let Numbers { clock, region, here, .. } = Numbers::stale()?;
    let mut call = Box::pin(region.get_or_load(&here, &7, hang).stale_on_error("1h").hard("2s"));
    parked(&mut call);
    clock.advance(seconds(2));
    assert_eq!(answer(&mut call).ok(), Some(1));
    let again = region.get_or_load(&here, &7, hang).stale_on_error("1h").hard("2s");
    assert_eq!(again.wait().ok(), Some(1), "and it is not tried again at once");
    Ok(())
}

#[test]
fn call_whose_run_goes_on_by_itself_is_counted_once_however_it_ends() -> Outcome {
    let Numbers { cache, clock, background, region, here } = Numbers::stale()?;
    let counts = || (cache.stats().hits, cache.stats().stale_hits, cache.stats().misses);
    let call = |key: &'static u32, outcome: Result<u32, Down>| {
        let load = region.get_or_load(&here, key, move || async move { outcome });
        let mut call = Box::pin(load.stale_on_error("1h").hard("5s").detached());
        parked(&mut call);
        background.go_on();
        answer(&mut call).ok()
    };
    assert_eq!((call(&7, Err(Down)), counts()), (Some(1), (0, 1, 0)));
    assert_eq!((call(&8, Err(Down)), counts()), (None, (0, 1, 1)));
    clock.advance(seconds(2));
    assert_eq!((call(&7, Ok(2)), counts()), (Some(2), (0, 1, 2)));
    let mut late = Box::pin(region.get_or_load(&here, &9, hang).stale_on_error("1h").hard("5s").detached());
    parked(&mut late);
    clock.advance(seconds(5));
    assert!(is_timed_out(answer(&mut late)));
    assert_eq!(counts(), (0, 1, 3));
    Ok(())
}

#[test]
fn background_load_that_hangs_is_cut_by_the_limit_of_its_call_or_taken_over_after_its_lease() -> Outcome {
    for limit in [Some("5s"), None] {
        let Numbers { clock, background, region, here, .. } = Numbers::stale()?;
        let load = region.get_or_load(&here, &7, hang).stale("1h");
        let load = if let Some(limit) = limit { load.hard(limit) } else { load };
        assert_eq!(load.wait().ok(), Some(1));
        background.go_on();
        clock.advance(seconds(if limit.is_some() { 6 } else { 61 }));
        background.go_on();
        clock.advance(seconds(2));
        let again = || async { Ok::<u32, Down>(2) };
        assert_eq!(region.get_or_load(&here, &7, again).stale("1h").wait().ok(), Some(1));
        background.go_on();
        assert_eq!(region.get(&here, &7).wait()?, Some(2), "{limit:?}");
    }
    Ok(())
}

#[test]
fn load_that_hangs_behind_a_soft_limit_is_cut_by_the_hard_one_and_nobody_waits_again_meanwhile() -> Outcome {
    let Numbers { cache, clock, background, region, here } = Numbers::stale()?;
    let call = || {
        let load = region.get_or_load(&here, &7, hang).stale_on_error("1h").throttle("5s");
        Box::pin(load.soft("1s").hard("3s"))
    };
    let mut first = call();
    parked(&mut first);
    background.go_on();
    clock.advance(seconds(1));
    assert_eq!(answer(&mut first).ok(), Some(1));
    for _ in 0..5 {
        assert_eq!(answer(&mut call()).ok(), Some(1), "at once, though the load still hangs");
    }
    clock.advance(seconds(2));
    background.go_on();
    assert_eq!((background.len(), cache.stats().flights), (0, 0), "it was cut");
    clock.advance(seconds(5));
    let works = region.get_or_load(&here, &7, || async { Ok::<u32, Down>(2) }).stale_on_error("1h");
    assert_eq!(works.wait().ok(), Some(2));
    Ok(())
}

#[test]
fn ten_thousand_calls_of_a_load_that_hangs_are_answered_when_their_time_is_over() -> Outcome {
    let Numbers { cache, clock, background, region, here } = Numbers::stale()?;
    let call = |key: &'static u32| {
        Box::pin(region.get_or_load(&here, key, hang).stale_on_error("1h").soft("1s").hard("5s"))
    };
    let mut kept: Vec<_> = (0..5_000).map(|_| call(&7)).collect();
    let mut absent: Vec<_> = (0..5_000).map(|_| call(&8)).collect();
    kept.iter_mut().chain(&mut absent).for_each(parked);
    assert_eq!(
        (cache.stats().loads, background.len()),
        (2, 1),
        "one load each, one of them without its call"
    );
    background.go_on();
    clock.advance(seconds(1));
    kept.iter_mut().for_each(|call| assert_eq!(answer(call).ok(), Some(1)));
    absent.iter_mut().for_each(parked);
    clock.advance(seconds(4));
    absent.iter_mut().for_each(|call| assert!(is_timed_out(answer(call))));
    background.go_on();
    let stats = cache.stats();
    assert_eq!((stats.flights, stats.stale_hits, stats.misses, stats.loads), (0, 5_000, 5_000, 2));
    Ok(())
}

#[test]
fn detached_load_that_nobody_has_room_for_waits_no_longer_than_others() -> Outcome {
    alone("care::timeouts::detached_load_that_nobody_has_room_for_waits_no_longer_than_others", || {
        let (builder, clock) = still();
        let cache = builder.build()?;
        let region = numbers(&cache)?;
        let here = cache.scope(scope!(org = 1))?;
        let call = |key| Box::pin(region.get_or_load(&here, key, hang).hard("5s").detached());
        let keys: Vec<u32> = (100..1124).collect();
        let mut calls: Vec<_> = keys.iter().map(call).collect();
        calls.iter_mut().for_each(parked);
        drop(calls);
        assert_eq!(cache.stats().flights, 1024, "all of them go on without their calls");
        region.set(&here, 8, 1).ttl("60s").keep("1h").wait()?;
        clock.advance(seconds(61));
        let soft = region.get_or_load(&here, &8, hang).stale_on_error("1h").soft("1s").detached();
        let (mut hard, mut soft) = (call(&7), Box::pin(soft));
        parked(&mut hard);
        parked(&mut soft);
        assert_eq!(cache.stats().flights, 1026, "each is run by its call");
        clock.advance(seconds(1));
        parked(&mut hard);
        assert_eq!(answer(&mut soft).ok(), Some(1));
        clock.advance(seconds(4));
        assert!(is_timed_out(answer(&mut hard)));
        drop((hard, soft));
        assert_eq!(cache.stats().flights, 1024);
        Ok(())
    })
}
