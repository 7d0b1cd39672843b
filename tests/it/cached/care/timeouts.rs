//! How long calls wait: `soft` for a fresh value, `hard` at all.

use std::cell::Cell;
use std::time::Duration;

use strata_cache::TestClock;

use super::*;
use crate::support::parked;

const TIMED_OUT: Bad = Bad::Cache(ErrorKind::TimedOut);

#[cached(scope = "org", ttl = "60s", on_error = stale("1h"), soft = "1s", hard = "9s", skip(source, gate))]
async fn patient(org_id: u64, source: &Source, gate: &Gate) -> Result<u32, Bad> {
    let _ = org_id;
    pass(gate).await;
    Ok(source.ask()?)
}

#[test]
fn call_takes_what_is_kept_when_it_has_waited_softly_and_the_load_goes_on() -> Outcome {
    let (builder, clock, background) = quiet();
    let (cache, source) = (builder.build()?, Source::new(1));
    assert_eq!(now(&cache, patient(1, &source, &Gate::default())), Ok(1));
    clock.advance(seconds(61));
    source.says(Ok(2));
    let (open, gate) = gate();
    {
        let gate = Arc::clone(&gate);
        let call = |gate| Box::pin(patient(1, &source, gate).in_cache(&cache));
        let mut calls = [call(&gate), call(&gate)];
        calls.iter_mut().for_each(parked);
        background.go_on();
        assert_eq!(background.len(), 1, "one load for both");
        clock.advance(seconds(1));
        assert_eq!(calls.each_mut().map(answer), [Ok(1), Ok(1)]);
    }
    open.send(()).expect("the load goes on");
    background.go_on();
    assert_eq!((background.len(), source.asked()), (0, 2));
    assert_eq!(with_cache(&cache, || patient::peek(1)), Some(Ok(2)));
    let stats = with_cache(&cache, patient::stats);
    assert_eq!((stats.soft_timeouts, stats.fallbacks, stats.loads), (2, 2, 2));
    Ok(())
}

#[test]
fn call_without_anything_kept_waits_beyond_its_soft_limit_and_is_cut_at_the_hard_one() -> Outcome {
    let (builder, clock, background) = quiet();
    let (cache, source) = (builder.build()?, Source::new(1));
    let (open, gate) = gate();
    let mut call = Box::pin(patient(1, &source, &gate).in_cache(&cache));
    parked(&mut call);
    clock.advance(seconds(8));
    parked(&mut call);
    clock.advance(seconds(1));
    assert_eq!(answer(&mut call), Err(TIMED_OUT));
    assert!(open.is_closed(), "what it ran was dropped");
    assert_eq!((background.len(), cache.stats().flights, source.asked()), (0, 0, 0));
    Ok(())
}

#[cached(scope = "global", hard = "5s", skip(gate))]
async fn hasty(id: u32, gate: &Gate) -> Result<u32, Bad> {
    pass(gate).await;
    Ok(id)
}

#[test]
fn load_that_takes_too_long_is_cut_and_all_who_wait_so_long_are_told() -> Outcome {
    let (builder, clock, _) = quiet();
    let cache = builder.build()?;
    let (open, gate) = gate();
    let mut calls = [(); 10].map(|()| Box::pin(hasty(1, &gate).in_cache(&cache)));
    calls.iter_mut().for_each(parked);
    clock.advance(seconds(4));
    calls.iter_mut().for_each(parked);
    clock.advance(seconds(1));
    for call in &mut calls {
        assert_eq!(answer(call), Err(TIMED_OUT));
    }
    assert!(open.is_closed(), "what ran was dropped");
    let stats = with_cache(&cache, hasty::stats);
    assert_eq!(stats.hard_timeouts, 10);
    assert_eq!((stats.loads, stats.load_failures, stats.flights, stats.misses), (1, 1, 0, 10));
    assert_eq!(now(&cache, hasty(1, &gate)), Ok(1), "and the next one loads");
    Ok(())
}

#[cached(scope = "global", ttl = "60s", hard = "5s", on_error = stale, skip(gate))]
async fn hasty_and_kept(id: u32, gate: &Gate) -> Result<u32, Bad> {
    pass(gate).await;
    Ok(id)
}

#[test]
fn time_out_is_answered_with_what_is_kept() -> Outcome {
    let (builder, clock, _) = quiet();
    let cache = builder.build()?;
    assert_eq!(now(&cache, hasty_and_kept(1, &Gate::default())), Ok(1));
    clock.advance(seconds(61));
    let (open, gate) = gate();
    let mut call = Box::pin(hasty_and_kept(1, &gate).in_cache(&cache));
    parked(&mut call);
    clock.advance(seconds(5));
    assert_eq!(answer(&mut call), Ok(1));
    assert!(open.is_closed(), "what it ran was dropped");
    Ok(())
}

#[cached(scope = "global", hard = "5s", coalesce = detached, skip(gate))]
async fn hasty_and_detached(id: u32, gate: &Gate) -> Result<u32, Bad> {
    pass(gate).await;
    Ok(id)
}

#[test]
fn detached_run_goes_on_after_its_callers_time_and_is_stored_if_nothing_has_changed() -> Outcome {
    for changes in [false, true] {
        let (builder, clock, background) = quiet();
        let cache = builder.build()?;
        let (open, gate) = gate();
        let mut call = Box::pin(hasty_and_detached(1, &gate).in_cache(&cache));
        parked(&mut call);
        background.go_on();
        clock.advance(seconds(5));
        assert_eq!(answer(&mut call), Err(TIMED_OUT));
        if changes {
            with_cache(&cache, || hasty_and_detached::invalidate(1)).wait()?;
        }
        open.send(()).expect("the run goes on");
        background.go_on();
        let stored = with_cache(&cache, || hasty_and_detached::peek(1));
        assert_eq!(stored, (!changes).then_some(Ok(1)));
        assert_eq!((cache.stats().refused_detached, cache.stats().flights), (u64::from(changes), 0));
    }
    Ok(())
}

#[cached(scope = "global", hard = "5s", coalesce = off, skip(gate))]
async fn each_by_itself(id: u32, gate: &Gate) -> Result<u32, Bad> {
    pass(gate).await;
    Ok(id)
}

#[test]
fn calls_that_run_each_by_itself_are_cut_each() -> Outcome {
    let (builder, clock, _) = quiet();
    let cache = builder.build()?;
    let gates = [gate(), gate()];
    let mut calls = gates.each_ref().map(|(_, gate)| Box::pin(each_by_itself(1, gate).in_cache(&cache)));
    calls.iter_mut().for_each(parked);
    clock.advance(seconds(5));
    for call in &mut calls {
        assert_eq!(answer(call), Err(TIMED_OUT));
    }
    assert!(gates.iter().all(|(open, _)| open.is_closed()), "what they ran was dropped");
    Ok(())
}

#[cached(scope = "global", ttl = "60s", on_error = stale, hard = "5s", coalesce = off, skip(gate, source))]
async fn each_and_kept(id: u32, gate: &Gate, source: &Source) -> Result<u32, Bad> {
    pass(gate).await;
    Ok(id + source.ask()?)
}

#[cached(scope = "global", ttl = "60s", on_error = stale, hard = "5s", wait = "1s", skip(gate, source))]
async fn beside_and_kept(id: u32, gate: &Gate, source: &Source) -> Result<u32, Bad> {
    pass(gate).await;
    Ok(id + source.ask()?)
}

#[test]
fn calls_that_run_each_by_itself_are_answered_each_with_what_is_kept() -> Outcome {
    for fails in [false, true] {
        let (builder, clock, _) = quiet();
        let (cache, source) = (builder.build()?, Source::new(1));
        assert_eq!(now(&cache, each_and_kept(1, &Gate::default(), &source)), Ok(2));
        clock.advance(seconds(61));
        source.says(Err(Down));
        let (opens, gates): (Vec<_>, Vec<_>) = [gate(), gate()].into_iter().unzip();
        let call = |gate| Box::pin(each_and_kept(1, gate, &source).in_cache(&cache));
        let mut calls: Vec<_> = gates.iter().map(call).collect();
        calls.iter_mut().for_each(parked);
        if fails {
            opens.into_iter().for_each(|open| open.send(()).expect("it waits"));
        } else {
            clock.advance(seconds(5));
        }
        for call in &mut calls {
            assert_eq!(answer(call), Ok(2), "{fails}");
        }
        let stats = with_cache(&cache, each_and_kept::stats);
        let timeouts = if fails { 0 } else { 2 };
        assert_eq!((stats.lookups(), stats.stale_hits, stats.hard_timeouts), (3, 2, timeouts));
    }
    Ok(())
}

#[test]
fn call_that_runs_beside_another_is_answered_with_what_is_kept() -> Outcome {
    let (builder, clock, _) = quiet();
    let (cache, source) = (builder.build()?, Source::new(1));
    assert_eq!(now(&cache, beside_and_kept(1, &Gate::default(), &source)), Ok(2));
    clock.advance(seconds(61));
    source.says(Err(Down));
    let (open, hangs) = gate();
    let mut first = Box::pin(beside_and_kept(1, &hangs, &source).in_cache(&cache));
    parked(&mut first);
    let free = Gate::default();
    let mut second = Box::pin(beside_and_kept(1, &free, &source).in_cache(&cache));
    parked(&mut second);
    clock.advance(seconds(1));
    assert_eq!((answer(&mut second), source.asked()), (Ok(2), 2));
    open.send(()).expect("it waits");
    assert_eq!(answer(&mut first), Ok(2));
    assert_eq!(with_cache(&cache, beside_and_kept::stats).lookups(), 3);
    Ok(())
}

/// Lets time go by, second by second, until the calls have ended; how much that was. A thread's time begins when it waits, and nobody
/// sees that.
#[track_caller]
fn seconds_until_the_end<T>(clock: &TestClock, calls: &[JoinHandle<T>]) -> u64 {
    let gone_by = Cell::new(0);
    until("a call waits on", || {
        if calls.iter().all(JoinHandle::is_finished) {
            return true;
        }
        clock.advance(seconds(1));
        gone_by.set(gone_by.get() + 1);
        false
    });
    gone_by.get()
}

/// Longer than time could go by.
const LONG: Duration = seconds(86_400_000);

static BLOCKS: Stop = Stop::new();

#[cached(scope = "global", hard = "5s")]
fn blocking(id: u32) -> Result<u32, Bad> {
    BLOCKS.hold();
    Ok(id)
}

#[test]
fn sync_call_waits_so_long_for_anothers_run_and_the_one_that_runs_ends_it() -> Outcome {
    let (builder, clock, _) = quiet();
    let cache = builder.load_lease(LONG).build()?;
    let leader = apart(&cache, || blocking(1));
    BLOCKS.reached();
    let followers = [(); 3].map(|()| apart(&cache, || blocking(1)));
    let waited = seconds_until_the_end(&clock, &followers);
    assert!(waited >= 5, "{waited}");
    for follower in followers {
        assert_eq!(follower.join().ok(), Some(Err(TIMED_OUT)));
    }
    assert_eq!((cache.stats().flights, leader.is_finished()), (1, false), "the run goes on");
    BLOCKS.let_go();
    assert_eq!(leader.join().ok(), Some(Ok(1)));
    assert_eq!(with_cache(&cache, || (blocking(1), blocking::stats().loads)), (Ok(1), 1), "and was stored");
    assert_eq!(with_cache(&cache, blocking::stats).hard_timeouts, 3);
    Ok(())
}

static DETACHED: Stop = Stop::new();

#[cached(scope = "global", hard = "5s", coalesce = detached)]
fn blocking_and_detached(name: &str) -> Result<String, Bad> {
    DETACHED.hold();
    Ok(name.into())
}

#[test]
fn sync_call_of_a_detached_run_goes_when_its_time_is_over_and_the_run_is_stored() -> Outcome {
    let (builder, clock, _) = quiet();
    let cache = builder.load_lease(LONG).build()?;
    let call = || blocking_and_detached(&String::from("n"));
    let calls = [apart(&cache, call), apart(&cache, call)];
    DETACHED.reached();
    let waited = seconds_until_the_end(&clock, &calls);
    assert!(waited >= 5, "{waited}");
    for call in calls {
        assert_eq!(call.join().ok(), Some(Err(TIMED_OUT)));
    }
    assert_eq!(cache.stats().flights, 1, "one run for both, which goes on");
    DETACHED.let_go();
    let stored = || with_cache(&cache, || blocking_and_detached::peek("n"));
    until("it is never stored", || stored() == Some(Ok("n".into())));
    assert_eq!(with_cache(&cache, call), Ok("n".into()));
    Ok(())
}

static SOFTLY: Stop = Stop::new();

// A run that finds a first number ends at once.
#[cached(scope = "global", ttl = "60s", on_error = stale("1000d"), soft = "2s", skip(source))]
fn blocking_and_kept(id: u32, source: &Source) -> Result<u32, Down> {
    let number = source.ask()?;
    if number > 1 {
        SOFTLY.hold();
    }
    Ok(id + number)
}

#[test]
fn sync_call_takes_what_is_kept_when_it_has_waited_softly() -> Outcome {
    let (builder, clock, _) = quiet();
    let (cache, source) = (builder.load_lease(LONG).build()?, Source::new(1));
    assert_eq!(with_cache(&cache, || blocking_and_kept(10, &source)), Ok(11));
    source.says(Ok(2));
    clock.advance(seconds(61));
    let calls = [(); 2].map(|()| {
        let source = source.clone();
        apart(&cache, move || blocking_and_kept(10, &source))
    });
    SOFTLY.reached();
    // Who comes after the first was served would not wait at all.
    until("nobody waits for the run", || cache.stats().coalesced_waits == 1);
    let waited = seconds_until_the_end(&clock, &calls);
    assert!(waited >= 2, "{waited}");
    for call in calls {
        assert_eq!(call.join().ok(), Some(Ok(11)));
    }
    SOFTLY.let_go();
    let stored = || with_cache(&cache, || blocking_and_kept::peek(10));
    until("it is never stored", || stored() == Some(Ok(12)));
    let stats = with_cache(&cache, blocking_and_kept::stats);
    assert_eq!((stats.soft_timeouts, stats.loads, source.asked()), (2, 2, 2));
    Ok(())
}
