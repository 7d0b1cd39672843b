//! Who waits for a permit: turns among tenants, cancellations, refusals, stalls, and cached functions.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Mutex;
use std::time::Duration;

use strata_cache::{cached, default_cache};

use super::*;

async fn one() -> Result<u32, Never> {
    Ok(1)
}

/// As [`one_per_org`], on a clock that stands still.
fn still_one_per_org() -> (Cache, TestClock) {
    let clock = TestClock::new();
    let cache = Cache::builder().clock(clock.clone()).maintenance(Maintenance::Manual).load_limit("org", ONE);
    (cache.build().expect("the options are good"), clock)
}

/// The law: until it is its turn, each other tenant gets one permit at most.
#[test]
fn tenant_with_a_thousand_waiting_loads_delays_another_by_one_permit() {
    let cache = Cache::builder().load_limit("global", ONE).build().expect("the options are good");
    let order = Mutex::new(Vec::new());
    let keys: Vec<String> = (0..1_000).map(|number| number.to_string()).collect();
    let (open, gate) = oneshot::channel::<u32>();
    let mut runner = cache.get_or_load(scope!(org = "busy"), "first", || gate);
    parked(&mut runner);
    let call = |org: &'static str, user: usize, key| {
        let order = &order;
        let load = move || async move {
            order.lock().expect("nobody panics").push((org, user));
            one().await
        };
        Box::pin(cache.get_or_load(scope!(org = org, user = user), key, load))
    };
    // Of the busy org, one user has nearly all of the loads.
    let mut calls: Vec<_> = keys.iter().take(990).map(|key| call("busy", 1, key.as_str())).collect();
    calls.extend(keys.iter().skip(990).map(|key| call("busy", 2, key.as_str())));
    calls.iter_mut().for_each(parked);
    calls.push(call("quiet", 1, "k"));
    calls.iter_mut().for_each(parked);
    assert_eq!(cache.stats().queued, 1_001);

    open.send(0).expect("the runner waits");
    assert!(answer(&mut runner).is_ok());
    while !calls.is_empty() {
        let before = calls.len();
        calls.retain_mut(|call| poll(call).is_pending());
        assert!(calls.len() < before, "somebody has the permit");
    }
    drop(calls);
    let order = std::mem::take(&mut *order.lock().expect("nobody panics"));
    assert!(order[..2].contains(&("quiet", 1)), "{:?}", &order[..4]);
    let second = order.iter().position(|call| *call == ("busy", 2));
    assert!(second.is_some_and(|at| at <= 2), "users take turns too: {:?}", &order[..4]);
    let of_two = order.iter().take(23).filter(|(org, user)| (*org, *user) == ("busy", 2)).count();
    assert_eq!(of_two, 10, "{:?}", &order[..23]);
    drop(runner);
    assert_idle(&cache);
}

#[test]
fn call_that_is_dropped_while_it_waits_leaves_at_once_and_who_waited_for_it_leads() {
    let cache = one_per_org();
    let (open, gate) = oneshot::channel::<u32>();
    let mut runner = cache.get_or_load(scope!(org = 1), "first", || gate);
    parked(&mut runner);
    let mut leader = cache.get_or_load(scope!(org = 1), "k", one);
    parked(&mut leader);
    let mut follower = cache.get_or_load(scope!(org = 1), "k", || async { Ok::<_, Never>(2_u32) });
    parked(&mut follower);
    let mut other = cache.get_or_load(scope!(org = 1), "other", one);
    parked(&mut other);
    assert_eq!(cache.stats().queued, 2);
    drop(leader);
    assert_eq!(cache.stats().queued, 1);
    parked(&mut follower);
    assert_eq!(cache.stats().queued, 2, "it leads, and waits for a permit itself");

    open.send(0).expect("the runner waits");
    assert!(answer(&mut runner).is_ok());
    drop(other);
    assert!(matches!(answer(&mut follower).as_deref(), Ok(2)), "what the dropped one was offered");
    let stats = cache.stats();
    assert_eq!((stats.loads, stats.load_failures, stats.queued), (2, 0, 0));
    drop((runner, follower));
    assert_idle(&cache);
}

#[test]
fn load_that_panics_gives_its_permit_back() {
    let cache = one_per_org();
    for _ in 0..3 {
        let panics = || -> Result<u32, Never> { resume_unwind(Box::new("as told")) };
        let call = || cache.get_or_load_with(scope!(org = 1), "k", panics).wait().is_ok();
        assert!(catch_unwind(AssertUnwindSafe(call)).is_err());
        let (open, gate) = oneshot::channel::<u32>();
        let mut panics = cache.get_or_load(scope!(org = 1), "k", || async {
            let _gone = gate.await;
            if true { resume_unwind(Box::new("as told")) } else { one().await }
        });
        parked(&mut panics);
        let mut next = cache.get_or_load(scope!(org = 1), "next", one);
        parked(&mut next);
        drop(open);
        assert!(catch_unwind(AssertUnwindSafe(|| poll(&mut panics).is_ready())).is_err());
        assert!(answer(&mut next).is_ok());
        cache.remove(scope!(org = 1), "next").wait().expect("a good place");
    }
    assert_idle(&cache);
}

#[test]
fn call_that_finds_the_queue_full_is_refused_and_so_is_who_waits_for_it() {
    let limit = LoadLimit::at_most(1).queue(1);
    let cache = Cache::builder().load_limit("org", limit).build().expect("the options are good");
    let (open, gate) = oneshot::channel::<u32>();
    let mut runner = cache.get_or_load(scope!(org = 1), "first", || gate);
    parked(&mut runner);
    let mut leader = cache.get_or_load(scope!(org = 1), "k", one);
    parked(&mut leader);
    let mut followers = [0, 1, 2].map(|_| cache.get_or_load(scope!(org = 1), "k", one));
    followers.iter_mut().for_each(parked);

    let refused = cache.get_or_load(scope!(org = 1), "more", one);
    let mut refused = Box::pin(refused);
    let error = match answer(&mut refused) {
        Err(LoadError::Cache(error)) => error,
        other => panic!("expected a refusal, got {other:?}"),
    };
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Overloaded, true));
    assert!(error.context().any(|fact| fact == ("scope", "org:1")), "{error}");

    // Another load takes the place that the leader leaves, before one of its followers can.
    drop(leader);
    let mut quick = cache.get_or_load(scope!(org = 1), "quick", one);
    parked(&mut quick);
    let [mut first, mut second, mut third] = followers;
    assert_eq!(refusal(answer(&mut first)), Some(ErrorKind::Overloaded));
    assert_eq!(refusal(answer(&mut second)), Some(ErrorKind::Overloaded));
    assert_eq!(refusal(answer(&mut third)), Some(ErrorKind::Overloaded));

    let stats = cache.stats();
    assert_eq!((stats.overloaded, stats.loads, stats.load_failures), (2, 1, 0), "{stats:?}");
    assert_eq!(cache.stats_of_region("strata_cache::keys").map(|stats| stats.overloaded), Some(2));
    open.send(0).expect("the runner waits");
    assert!(answer(&mut runner).is_ok());
    assert!(answer(&mut quick).is_ok());
    assert!(cache.get_or_load_with(scope!(org = 1), "k", || Ok::<u32, Never>(3)).wait().is_ok());
    drop((runner, quick, first, second, third, refused));
    assert_idle(&cache);
}

/// However long it waits; its time begins with its run. (A permit counts for a lease at most, so it takes two others to wait
/// for longer.)
#[test]
fn waiting_for_a_permit_is_no_stall() {
    let (cache, clock) = still_one_per_org();
    let gates: [_; 3] = std::array::from_fn(|_| oneshot::channel::<u32>());
    let [(first, gate), (second, second_gate), (late, last_gate)] = gates;
    let mut runners: Vec<_> = [("first", gate), ("second", second_gate)]
        .into_iter()
        .map(|(key, gate)| cache.get_or_load(scope!(org = 1), key, || gate))
        .collect();
    runners.iter_mut().for_each(parked);
    let mut leader = cache.get_or_load(scope!(org = 1), "k", || last_gate);
    parked(&mut leader);
    let calls = Arc::new(Calls::default());
    let mut follower =
        cache.get_or_load(scope!(org = 1), "k", || async { Ok::<_, oneshot::error::RecvError>(2_u32) });
    parked_with(&mut follower, &calls);
    for (runner, open) in runners.iter_mut().zip([first, second]) {
        parked(runner);
        clock.advance(Duration::from_secs(59));
        cache.maintain();
        open.send(0).expect("the runner waits");
        assert!(answer(runner).is_ok());
    }
    assert_eq!(calls.0.load(SeqCst), 0, "two minutes, and its leader is not stalled");
    parked(&mut leader);
    clock.advance(Duration::from_secs(59));
    cache.maintain();
    assert_eq!(calls.0.load(SeqCst), 0, "it has a minute from when it runs");
    clock.advance(Duration::from_secs(1));
    cache.maintain();
    assert_eq!(calls.0.load(SeqCst), 1, "and no more");
    assert!(matches!(answer(&mut follower).as_deref(), Ok(2)), "it need not wait for a permit again");
    late.send(1).expect("it still listens");
    assert!(matches!(answer(&mut leader).as_deref(), Ok(1)));
    assert_eq!(cache.stats().refused_stalled, 1);
    drop((runners, leader, follower));
    assert_idle(&cache);
}

/// Woken and not polled for a second while it runs: who takes it over has its permit at once.
#[test]
fn load_that_is_taken_over_takes_its_permit_along() {
    let (cache, clock) = still_one_per_org();
    let (wake, gate) = oneshot::channel::<u32>();
    let mut stalled = cache.get_or_load(scope!(org = 1), "k", || gate);
    parked(&mut stalled);
    let mut follower =
        cache.get_or_load(scope!(org = 1), "k", || async { Ok::<_, oneshot::error::RecvError>(2_u32) });
    parked(&mut follower);
    let mut other = cache.get_or_load(scope!(org = 1), "other", one);
    parked(&mut other);
    wake.send(1).expect("it listens");
    clock.advance(Duration::from_secs(1));
    cache.maintain();
    assert!(matches!(answer(&mut follower).as_deref(), Ok(2)));
    assert!(answer(&mut other).is_ok(), "the stalled one has no permit any more");
    assert!(matches!(answer(&mut stalled).as_deref(), Ok(1)));
    assert_eq!((cache.stats().refused_stalled, cache.stats().over_limit), (1, 0));
    drop((stalled, follower, other));
    assert_idle(&cache);
}

/// Offered a permit, a call is not polled: the next gets it, and somebody else leads.
#[test]
fn leader_that_does_not_take_its_permit_is_passed_over_and_taken_over() {
    let (cache, clock) = still_one_per_org();
    let (open, gate) = oneshot::channel::<u32>();
    let mut runner = cache.get_or_load(scope!(org = 1), "first", || gate);
    parked(&mut runner);
    let mut sleeper = cache.get_or_load(scope!(org = 1), "k", one);
    parked(&mut sleeper);
    let mut follower = cache.get_or_load(scope!(org = 1), "k", || async { Ok::<_, Never>(2_u32) });
    parked(&mut follower);
    let mut next = cache.get_or_load(scope!(org = 1), "next", one);
    parked(&mut next);
    open.send(0).expect("the runner waits");
    assert!(answer(&mut runner).is_ok());
    clock.advance(Duration::from_secs(1));
    cache.maintain();
    assert!(answer(&mut next).is_ok());
    parked(&mut follower);
    clock.advance(Duration::from_secs(1));
    cache.maintain();
    assert!(matches!(answer(&mut follower).as_deref(), Ok(2)));
    assert!(matches!(answer(&mut sleeper).as_deref(), Ok(1)));
    drop((runner, sleeper, follower, next));
    assert_idle(&cache);
}

static GAUGE: Gauge = Gauge { running: AtomicUsize::new(0), most: AtomicUsize::new(0) };

#[cached(scope = "org")]
fn limited(org_id: u64, number: u64) -> u64 {
    let _inside = GAUGE.enter();
    until("all others wait", || number > 0 || default_cache().stats().queued == 7);
    org_id + number
}

#[test]
fn cached_function_waits_in_a_full_queue_for_it_cannot_be_refused() {
    in_time(|| {
        default_cache()
            .set_load_limit(scope!(org = 7_301), Some(LoadLimit::at_most(1).queue(0)))
            .expect("a good place");
        thread::scope(|threads| {
            threads.spawn(|| limited(7_301, 0));
            until("it runs", || GAUGE.running.load(SeqCst) == 1);
            for number in 1..8 {
                threads.spawn(move || assert_eq!(limited(7_301, number), 7_301 + number));
            }
        });
        assert_eq!(GAUGE.most(), 1);
        assert_eq!((limited::stats().loads, limited::stats().overloaded), (8, 0));
        default_cache().set_load_limit(scope!(org = 7_301), None).expect("a good place");
    });
}

static FAILING: Gauge = Gauge { running: AtomicUsize::new(0), most: AtomicUsize::new(0) };

/// An error that cannot be shared.
#[derive(Debug)]
struct Own;

#[cached(scope = "org")]
async fn fails_limited(org_id: u64) -> Result<u8, Own> {
    let _inside = FAILING.enter();
    tokio::task::yield_now().await;
    Err(Own)
}

#[test]
fn runs_alone_of_a_cached_function_keep_the_limit_too() {
    in_time(|| {
        default_cache().set_load_limit(scope!(org = 7_302), Some(ONE)).expect("a good place");
        one_thread().block_on(async {
            let calls: Vec<_> = (0..40).map(|_| tokio::spawn(fails_limited(7_302))).collect();
            for call in calls {
                assert!(call.await.expect("no task fails").is_err());
            }
        });
        assert_eq!(FAILING.most(), 1);
        let stats = fails_limited::stats();
        assert_eq!((stats.loads, stats.load_failures, stats.over_limit), (40, 40, 0));
        default_cache().set_load_limit(scope!(org = 7_302), None).expect("a good place");
    });
}
