//! Loads inside of loads under a limit: a permit covers its call chain, and nobody waits in a circle.

use std::sync::Barrier;

use super::*;

#[test]
fn load_inside_of_another_of_its_scope_needs_no_second_permit() {
    in_time(|| {
        let cache = one_per_org();
        let deep = || {
            let middle = || {
                let inner = || Ok::<_, Never>(1_u32);
                let inner = cache.get_or_load_with(scope!(org = 1, user = 2), "c", inner).wait();
                Ok::<_, Never>(*inner.expect("it loads") + 10)
            };
            let middle = cache.get_or_load_with(scope!(org = 1), "b", middle).wait();
            Ok::<_, Never>(*middle.expect("it loads") + 100)
        };
        let value = cache.get_or_load_with(scope!(org = 1, user = 1), "a", deep).wait();
        assert!(matches!(value.as_deref(), Ok(111)));
        assert_eq!((cache.stats().loads, cache.stats().over_limit), (3, 0));
        assert_idle(&cache);
    });
}

#[test]
fn async_load_inside_of_another_needs_no_second_permit() {
    in_time(|| {
        let cache = one_per_org();
        let value = one_thread().block_on(async {
            let outer = || async {
                tokio::task::yield_now().await;
                let inner = || async {
                    tokio::task::yield_now().await;
                    Ok::<_, Never>(1_u32)
                };
                let inner = cache.get_or_load(scope!(org = 1), "b", inner).await.expect("it loads");
                Ok::<_, Never>(*inner + 10)
            };
            cache.get_or_load(scope!(org = 1), "a", outer).await.expect("it loads")
        });
        assert_eq!(*value, 11);
        assert_eq!(cache.stats().over_limit, 0);
        assert_idle(&cache);
    });
}

/// Each holds the only permit of one org and wants the other's.
#[test]
fn two_loads_that_want_a_permit_of_the_others_org_run_over_the_limit() {
    in_time(|| {
        let cache = one_per_org();
        let both_run = Barrier::new(2);
        thread::scope(|threads| {
            for (mine, other) in [(1, 2), (2, 1)] {
                let (cache, both_run) = (&cache, &both_run);
                threads.spawn(move || {
                    let load = || {
                        both_run.wait();
                        let inner = || Ok::<_, Never>(1_u32);
                        let inner = cache.get_or_load_with(scope!(org = other), "inner", inner).wait();
                        both_run.wait();
                        Ok::<_, Never>(*inner.expect("it loads") + 1)
                    };
                    let value = cache.get_or_load_with(scope!(org = mine), "outer", load).wait();
                    assert!(matches!(value.as_deref(), Ok(2)));
                });
            }
        });
        assert_eq!((cache.stats().loads, cache.stats().over_limit), (4, 2));
        assert_idle(&cache);
    });
}

/// The one who runs waits for the load of one who waits until it has run.
#[test]
fn load_that_waits_for_a_permit_runs_when_the_holder_of_it_waits_for_that_load() {
    in_time(|| {
        let cache = one_per_org();
        thread::scope(|threads| {
            let load = || {
                threads.spawn(|| {
                    let load = || Ok::<_, Never>(1_u32);
                    cache.get_or_load_with(scope!(org = 1), "k", load).wait().expect("it loads");
                });
                until("the other one waits for a permit", || cache.stats().queued == 1);
                let inner = cache.get_or_load_with(scope!(org = 1), "k", || Ok::<_, Never>(9_u32)).wait();
                Ok::<_, Never>(*inner.expect("the other one loads it") + 10)
            };
            let value = cache.get_or_load_with(scope!(org = 1), "outer", load).wait();
            assert!(matches!(value.as_deref(), Ok(11)));
        });
        let stats = cache.stats();
        assert_eq!((stats.loads, stats.over_limit, stats.coalesced_waits), (2, 1, 1));
        assert_idle(&cache);
    });
}

/// As above, but the load that waits is evicted meanwhile, twice, so that the holder has to wait for a place.
#[test]
fn holder_of_a_permit_that_waits_for_a_place_lets_those_run_who_have_it() {
    in_time(|| {
        let cache = one_per_org();
        let one = || async { Ok::<_, Never>(1_u32) };
        let mut queued = Vec::new();
        let (open, gate) = oneshot::channel::<()>();
        let outer = || async {
            gate.await.expect("the gate opens");
            let inner = cache.get_or_load(scope!(org = 1), "k", one).await;
            Ok::<_, Never>(*inner.expect("it loads"))
        };
        let mut runner = cache.get_or_load(scope!(org = 1), "outer", outer);
        parked(&mut runner);
        for _ in 0..2 {
            queued.push(cache.get_or_load(scope!(org = 1), "k", one));
            parked(queued.last_mut().expect("just pushed"));
            cache.invalidate(scope!(org = 1), "k").wait().expect("a good place");
        }
        open.send(()).expect("the runner waits");
        parked(&mut runner);
        for waiting in &mut queued {
            assert!(matches!(answer(waiting).as_deref(), Ok(1)));
        }
        assert!(matches!(answer(&mut runner).as_deref(), Ok(1)));
        assert_eq!(cache.stats().over_limit, 2);
        drop((runner, queued));
        assert_idle(&cache);
    });
}
