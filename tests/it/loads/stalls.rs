//! Leaders that do not come back: after a minute, or a second after they were woken and not polled.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use strata_cache::{ErrorKind, LoadError, scope};
use tokio::sync::oneshot;

use super::*;

type Never = std::convert::Infallible;

const LEASE: Duration = Duration::from_secs(60);
const A_MOMENT: Duration = Duration::from_millis(1);

#[test]
fn load_that_never_returns_is_taken_over_after_its_lease_and_its_late_value_is_refused() {
    let (cache, clock) = frozen();
    let (late, gate) = oneshot::channel::<u32>();
    let mut stalled = cache.get_or_load(scope!(org = 1), "k", || gate);
    parked(&mut stalled);
    let calls = Arc::new(Calls::default());
    let mut waiter = cache.get_or_load(scope!(org = 1), "k", || async { Ok::<_, Never>(2_u32) });
    parked_with(&mut waiter, &calls);

    clock.advance(LEASE - A_MOMENT);
    cache.maintain();
    assert_eq!(calls.0.load(SeqCst), 0, "its time is not over");
    parked_with(&mut waiter, &calls);

    clock.advance(A_MOMENT);
    cache.maintain();
    assert_eq!(calls.0.load(SeqCst), 1, "the waiter is invited");
    assert!(matches!(answer(&mut waiter).as_deref(), Ok(2)));
    assert_eq!(cache.stats().flights, 1, "the stalled one still runs");

    late.send(1).expect("it still listens");
    assert!(matches!(answer(&mut stalled).as_deref(), Ok(1)), "its caller gets what it loaded");
    assert_eq!(cache.get::<u32>(scope!(org = 1), "k").wait().expect("a good place").as_deref(), Some(&2));
    let stats = cache.stats();
    assert_eq!((stats.refused_stalled, stats.refused_detached), (1, 0));
    drop((stalled, waiter));
    assert_idle(&cache);
}

/// The value of the second leader was removed before the late one came: still it is not stored.
#[test]
fn late_value_is_refused_also_where_nothing_stands_in_its_way() {
    let (cache, clock) = frozen();
    let (late, gate) = oneshot::channel::<u32>();
    let mut stalled = cache.get_or_load(scope!(org = 1), "k", || gate);
    parked(&mut stalled);
    let mut waiter = cache.get_or_load(scope!(org = 1), "k", || async { Ok::<_, Never>(2_u32) });
    parked(&mut waiter);
    clock.advance(LEASE);
    cache.maintain();
    assert!(answer(&mut waiter).is_ok());
    cache.remove(scope!(org = 1), "k").wait().expect("a good place");
    late.send(1).expect("it still listens");
    assert!(answer(&mut stalled).is_ok());
    assert_eq!(cache.get::<u32>(scope!(org = 1), "k").wait().expect("a good place"), None);
    assert_eq!(cache.stats().refused_stalled, 1);
    drop((stalled, waiter));
    assert_idle(&cache);
}

/// Maintenance is the user's, and nobody does any: a thread that waits looks after itself.
#[test]
fn thread_takes_over_from_a_thread_that_never_returns() {
    let (cache, clock) = frozen();
    let (late, gate) = mpsc::channel::<u32>();
    let leader = {
        let cache = cache.clone();
        thread::spawn(move || {
            let load = || gate.recv();
            cache.get_or_load_with(scope!(org = 1), "k", load).wait().expect("it loads in the end")
        })
    };
    until("the leader loads", || cache.stats().loads == 1);
    let waiters: Vec<_> = (0..4)
        .map(|_| {
            let cache = cache.clone();
            thread::spawn(move || {
                let load = || Ok::<_, Never>(2_u32);
                cache.get_or_load_with(scope!(org = 1), "k", load).wait().expect("one of them loads")
            })
        })
        .collect();
    until_waiting(&cache, 4);
    clock.advance(LEASE);
    for waiter in waiters {
        assert_eq!(*in_time(|| waiter.join().expect("a waiter comes home")), 2);
    }
    late.send(1).expect("it still listens");
    assert_eq!(*leader.join().expect("the leader comes home"), 1);
    assert_eq!(cache.get::<u32>(scope!(org = 1), "k").wait().expect("a good place").as_deref(), Some(&2));
    let stats = cache.stats();
    assert_eq!((stats.loads, stats.refused_stalled), (2, 1));
    assert_idle(&cache);
}

#[test]
fn leader_that_is_woken_and_not_polled_is_taken_over_after_a_second() {
    let (cache, clock) = frozen();
    let (wake, gate) = oneshot::channel::<u32>();
    let mut stalled = cache.get_or_load(scope!(org = 1), "k", || gate);
    parked(&mut stalled);
    let calls = Arc::new(Calls::default());
    let mut waiter = cache.get_or_load(scope!(org = 1), "k", || async { Ok::<_, Never>(2_u32) });
    parked_with(&mut waiter, &calls);

    // Nobody woke it: it may wait for what it waits for.
    clock.advance(Duration::from_secs(10));
    cache.maintain();
    assert_eq!(calls.0.load(SeqCst), 0);

    wake.send(1).expect("it listens");
    clock.advance(Duration::from_secs(1) - A_MOMENT);
    cache.maintain();
    assert_eq!(calls.0.load(SeqCst), 0, "it may be polled yet");
    clock.advance(A_MOMENT);
    cache.maintain();
    assert_eq!(calls.0.load(SeqCst), 1, "it was woken a second ago");
    assert!(matches!(answer(&mut waiter).as_deref(), Ok(2)));
    assert!(matches!(answer(&mut stalled).as_deref(), Ok(1)));
    assert_eq!(cache.get::<u32>(scope!(org = 1), "k").wait().expect("a good place").as_deref(), Some(&2));
    assert_eq!(cache.stats().refused_stalled, 1);
    drop((stalled, waiter));
    assert_idle(&cache);
}

#[test]
fn leader_that_is_polled_in_time_keeps_its_lease() {
    let (cache, clock) = frozen();
    let (wake, gate) = oneshot::channel::<u32>();
    let mut slow = cache.get_or_load(scope!(org = 1), "k", || async {
        gate.await.expect("the gate opens");
        std::future::pending::<Result<u32, Never>>().await
    });
    parked(&mut slow);
    let calls = Arc::new(Calls::default());
    let mut waiter = cache.get_or_load(scope!(org = 1), "k", || async { Ok::<_, Never>(2_u32) });
    parked_with(&mut waiter, &calls);
    wake.send(1).expect("it listens");
    clock.advance(Duration::from_secs(1) - A_MOMENT);
    parked(&mut slow);
    clock.advance(Duration::from_secs(30));
    cache.maintain();
    assert_eq!(calls.0.load(SeqCst), 0, "it was polled, and waits for something else now");
    drop(slow);
    assert!(matches!(answer(&mut waiter).as_deref(), Ok(2)));
    drop(waiter);
    assert_idle(&cache);
}

#[test]
fn times_of_a_lease_can_be_chosen() {
    let clock = strata_cache::TestClock::new();
    let cache = Cache::builder()
        .clock(clock.clone())
        .maintenance(Maintenance::Manual)
        .load_lease(Duration::from_secs(5))
        .load_patience(Duration::from_millis(50))
        .build()
        .expect("good options");
    let never = || std::future::pending::<Result<u32, Never>>();
    let mut stalled = cache.get_or_load(scope!(org = 1), "k", never);
    parked(&mut stalled);
    let mut waiter = cache.get_or_load(scope!(org = 1), "k", || async { Ok::<_, Never>(2_u32) });
    parked(&mut waiter);
    clock.advance(Duration::from_secs(5));
    // A newcomer finds the lease over; it needs no maintenance.
    let load = || Ok::<_, Never>(3_u32);
    let newcomer = cache.get_or_load_with(scope!(org = 1), "k", load).wait();
    assert!(matches!(newcomer.as_deref(), Ok(3)));
    assert!(matches!(answer(&mut waiter).as_deref(), Ok(3)));
    drop((stalled, waiter));
    assert_idle(&cache);
}

#[test]
fn two_stalled_loads_are_an_error_and_never_a_third_run() {
    let (cache, clock) = frozen();
    let never = || std::future::pending::<Result<u32, Never>>();
    let mut first = cache.get_or_load(scope!(org = 1), "k", never);
    parked(&mut first);
    clock.advance(LEASE);
    let mut second = cache.get_or_load(scope!(org = 1), "k", never);
    parked(&mut second);
    let mut waiter = cache.get_or_load(scope!(org = 1), "k", never);
    parked(&mut waiter);
    clock.advance(LEASE);
    cache.maintain();
    let is_stalled = |error: LoadError<Never>| matches!(error, LoadError::Cache(error) if error.kind() == ErrorKind::Stalled);
    assert!(answer(&mut waiter).is_err_and(is_stalled));
    let mut third = cache.get_or_load(scope!(org = 1), "k", never);
    assert!(answer(&mut third).is_err_and(is_stalled));
    assert_eq!(cache.stats().loads, 2);
    drop(first);
    // There is a place again.
    let load = || Ok::<_, Never>(4_u32);
    let fourth = cache.get_or_load_with(scope!(org = 1), "k", load).wait();
    assert!(matches!(fourth.as_deref(), Ok(4)));
    drop((second, third, waiter));
    assert_idle(&cache);
}
