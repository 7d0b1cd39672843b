//! Many callers, one load.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Barrier, mpsc};
use std::time::{Duration, Instant};

use strata_cache::{LoadError, scope};
use tokio::sync::oneshot;

use super::*;

type Never = std::convert::Infallible;

/// The error of a load that should not have run.
#[derive(Debug)]
struct Second;

/// How long this thread has been running on a processor, where the system tells; else the time of the day.
fn time_of_this_thread() -> Duration {
    static BEGIN: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let nanos = told.and_then(|told| told.split(' ').next()?.parse().ok());
    nanos.map_or_else(|| BEGIN.get_or_init(Instant::now).elapsed(), Duration::from_nanos)
}

#[test]
fn ten_thousand_tasks_on_one_thread_cause_one_load_in_under_a_second() {
    const CALLERS: usize = 10_000;
    let attempt = || {
        let cache = cache();
        let loads = Arc::new(AtomicUsize::new(0));
        let begin = time_of_this_thread();
        one_thread().block_on(async {
            let (open, gate) = oneshot::channel::<()>();
            let mut gate = Some(gate);
            let calls: Vec<_> = (0..CALLERS)
                .map(|_| {
                    let (cache, loads, gate) = (cache.clone(), Arc::clone(&loads), gate.take());
                    tokio::spawn(async move {
                        let load = || async move {
                            loads.fetch_add(1, SeqCst);
                            // Only the first one may get here, and it has the gate.
                            gate.expect("one load").await.expect("the gate opens");
                            Ok::<_, Never>(7_u32)
                        };
                        cache.get_or_load(scope!(org = "acme", user = 42), "k", load).await
                    })
                })
                .collect();
            while cache.stats().coalesced_waits < CALLERS as u64 - 1 {
                tokio::task::yield_now().await;
            }
            open.send(()).expect("the leader waits");
            for call in calls {
                assert_eq!(*call.await.expect("no task fails").expect("the load does not fail"), 7);
            }
        });
        let took = time_of_this_thread() - begin;
        assert_eq!(loads.load(SeqCst), 1);
        let stats = cache.stats();
        assert_eq!((stats.loads, stats.misses, stats.hits), (1, 1, CALLERS as u64 - 1));
        assert_idle(&cache);
        took
    };
    // Other tests disturb: one of a few attempts has to make it.
    let mut took = Vec::new();
    while took.len() < 5 && took.last().is_none_or(|took| *took >= Duration::from_secs(1)) {
        took.push(attempt());
    }
    assert!(took.iter().any(|took| *took < Duration::from_secs(1)), "{took:?}");
}

#[test]
fn threads_and_tasks_join_one_flight_of_a_programmatic_key() {
    let cache = cache();
    let loads = AtomicUsize::new(0);
    let (open, gate) = mpsc::channel::<()>();
    let gate = std::sync::Mutex::new(Some(gate));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime");
    let load = || {
        loads.fetch_add(1, SeqCst);
        let gate = gate.lock().expect("nobody panics here").take().expect("one load");
        gate.recv().expect("the gate opens");
        Ok::<_, Never>("value".to_string())
    };
    thread::scope(|threads| {
        let leader = threads
            .spawn(|| cache.get_or_load_with(scope!(org = 1, user = 2), "k", load).wait().expect("it loads"));
        until("the leader loads", || loads.load(SeqCst) == 1);
        let waiters: Vec<_> = (0..6)
            .map(|_| {
                threads.spawn(|| {
                    cache.get_or_load_with(scope!(org = 1, user = 2), "k", load).wait().expect("it waits")
                })
            })
            .collect();
        let tasks: Vec<_> = (0..6)
            .map(|_| {
                let cache = cache.clone();
                runtime.spawn(async move {
                    let unwanted = || async { Err::<String, _>(Second) };
                    cache.get_or_load(scope!(org = 1, user = 2), "k", unwanted).await.expect("it waits")
                })
            })
            .collect();
        until_waiting(&cache, 12);
        open.send(()).expect("the leader waits");
        let value = leader.join().expect("the leader lands");
        for waiter in waiters {
            assert!(Arc::ptr_eq(&waiter.join().expect("a thread comes home"), &value));
        }
        for task in tasks {
            assert!(Arc::ptr_eq(&runtime.block_on(task).expect("a task comes home"), &value));
        }
    });
    assert_eq!(cache.stats().loads, 1);
    assert_idle(&cache);
}

#[test]
fn threads_and_tasks_join_one_flight_of_a_region() {
    let cache = cache();
    let region = cache.region::<u32, u64>("numbers").expect("it opens");
    let (open, gate) = oneshot::channel::<()>();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime");
    let leader = {
        let region = region.clone();
        runtime.spawn(async move {
            let load = || async {
                gate.await.expect("the gate opens");
                Ok::<_, Never>(11)
            };
            region.get_or_load(scope!(org = 1), &5, load).await.expect("it loads")
        })
    };
    until("the leader loads", || region.stats().loads == 1);
    let unwanted = || Err::<u64, _>(Second);
    thread::scope(|threads| {
        let waiters: Vec<_> = (0..4)
            .map(|_| threads.spawn(|| region.get_or_load_with(scope!(org = 1), &5, unwanted).wait()))
            .collect();
        let tasks: Vec<_> = (0..4)
            .map(|_| {
                let region = region.clone();
                runtime.spawn(async move {
                    region
                        .get_or_load(scope!(org = 1), &5, || async { Err::<u64, _>(Second) })
                        .await
                        .expect("it waits")
                })
            })
            .collect();
        until_waiting(&cache, 8);
        open.send(()).expect("the leader waits");
        for waiter in waiters {
            assert_eq!(waiter.join().expect("a thread comes home").expect("it waited"), 11);
        }
        for task in tasks {
            assert_eq!(runtime.block_on(task).expect("a task comes home"), 11);
        }
    });
    assert_eq!(runtime.block_on(leader).expect("the leader lands"), 11);
    assert_eq!(region.stats().loads, 1);
    assert_idle(&cache);
}

/// The leader is a thread that goes on only when a task of the very runtime on which all others wait tells it to.
#[test]
fn waiting_tasks_leave_their_thread_to_others() {
    in_time(|| {
        let cache = cache();
        let (open, gate) = mpsc::channel::<()>();
        let leader = {
            let cache = cache.clone();
            thread::spawn(move || {
                let load = || {
                    gate.recv().expect("the gate opens");
                    Ok::<_, Never>(3_u8)
                };
                cache.get_or_load_with(scope!(global), "k", load).wait().expect("it loads")
            })
        };
        until("the leader loads", || cache.stats().loads == 1);
        one_thread().block_on(async {
            let waiters: Vec<_> = (0..100)
                .map(|_| {
                    let cache = cache.clone();
                    tokio::spawn(async move {
                        let unwanted = || async { Err::<u8, _>(Second) };
                        cache.get_or_load(scope!(global), "k", unwanted).await.expect("it waits")
                    })
                })
                .collect();
            while cache.stats().coalesced_waits < 100 {
                tokio::task::yield_now().await;
            }
            tokio::spawn(async move { open.send(()).expect("the leader waits") }).await.expect("it is told");
            for waiter in waiters {
                assert_eq!(*waiter.await.expect("a task comes home"), 3);
            }
        });
        assert_eq!(*leader.join().expect("the leader lands"), 3);
        assert_idle(&cache);
    });
}

#[test]
fn keys_and_scopes_and_regions_of_one_text_load_apart() {
    let cache = cache();
    let region = cache.region::<String, u32>("k").expect("it opens");
    let runs = AtomicU64::new(0);
    let load = || {
        runs.fetch_add(1, SeqCst);
        async { std::future::pending::<Result<u32, Never>>().await }
    };
    let mut calls = (
        cache.get_or_load(scope!(org = 1), "k", load),
        cache.get_or_load(scope!(org = 2), "k", load),
        cache.get_or_load(scope!(org = 1, user = 2), "k", load),
        cache.get_or_load(scope!(org = 1), "l", load),
        region.get_or_load(scope!(org = 1), "k", load),
    );
    parked(&mut calls.0);
    parked(&mut calls.1);
    parked(&mut calls.2);
    parked(&mut calls.3);
    parked(&mut calls.4);
    assert_eq!((runs.load(SeqCst), cache.stats().flights), (5, 5));
    drop(calls);
    assert_idle(&cache);
}

/// However often the key is invalidated: one current and one detached load at a time.
#[test]
fn at_most_two_loads_of_a_key_run_while_it_is_invalidated_again_and_again() {
    let acts: [fn(&Cache); 4] = [
        |cache| drop(cache.invalidate(scope!(org = 1), "k")),
        |cache| drop(cache.evict_by_scope(scope!(org = 1))),
        |cache| drop(cache.clear()),
        |cache| {
            cache
                .set(scope!(org = 1), "k", 0_u32)
                .wait()
                .map(|()| drop(cache.remove(scope!(org = 1), "k")))
                .expect("good")
        },
    ];
    for withdraw in acts {
        at_most_two(withdraw);
    }
}

fn at_most_two(withdraw: fn(&Cache)) {
    let cache = cache();
    let (running, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let mut gates = Vec::new();
    let mut calls = Vec::new();
    for _ in 0..6 {
        let (open, gate) = oneshot::channel::<u32>();
        gates.push(Some(open));
        let (running, most) = (&running, &most);
        let load = move || async move {
            most.fetch_max(running.fetch_add(1, SeqCst) + 1, SeqCst);
            let value = gate.await;
            running.fetch_sub(1, SeqCst);
            value
        };
        calls.push(cache.get_or_load(scope!(org = 1), "k", load));
        parked(calls.last_mut().expect("it was pushed"));
        withdraw(&cache);
    }
    // Two run; four wait for a place, and would lead one after the other.
    assert_eq!((running.load(SeqCst), cache.stats().flights), (2, 2));
    for round in 0..6 {
        let gate = gates.get_mut(round).and_then(Option::take).expect("each is opened once");
        gate.send(round as u32).expect("its load runs");
        let value = answer(&mut calls[round]).expect("it loads");
        assert_eq!(*value, round as u32, "each its own: an invalidation lies between all of them");
        // The place goes to the next one, and the others stand in line again.
        for call in &mut calls[round + 1..] {
            if cache.stats().flights < 2 {
                parked(call);
                withdraw(&cache);
            }
        }
        assert!(most.load(SeqCst) <= 2);
    }
    drop(calls);
    assert_eq!(cache.get::<u32>(scope!(org = 1), "k").wait().expect("a good place"), None);
    assert_idle(&cache);
}

#[test]
fn at_most_two_loads_of_a_key_run_under_a_storm_of_invalidations() {
    let cache = cache();
    let (running, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let start = Barrier::new(6);
    thread::scope(|threads| {
        for _ in 0..5 {
            threads.spawn(|| {
                start.wait();
                for _ in 0..400 {
                    let load = || {
                        most.fetch_max(running.fetch_add(1, SeqCst) + 1, SeqCst);
                        thread::yield_now();
                        running.fetch_sub(1, SeqCst);
                        Ok::<_, Never>(1_u8)
                    };
                    cache.get_or_load_with(scope!(org = 1), "k", load).wait().expect("it loads");
                }
            });
        }
        threads.spawn(|| {
            start.wait();
            for round in 0..4_000 {
                if round % 2 == 0 {
                    cache.invalidate(scope!(org = 1), "k").wait().expect("a good place");
                } else {
                    cache.evict_by_scope(scope!(org = 1)).wait().expect("a good place");
                }
            }
        });
    });
    assert!(most.load(SeqCst) <= 2, "{} at a time", most.load(SeqCst));
    assert_idle(&cache);
}

#[test]
fn cancelled_waiter_leaves_no_trace() {
    let cache = cache();
    let (open, gate) = oneshot::channel::<u32>();
    let mut leader = cache.get_or_load(scope!(org = 1), "k", || gate);
    parked(&mut leader);
    for _ in 0..100 {
        let mut waiter = cache.get_or_load(scope!(org = 1), "k", || async { Err::<u32, _>("unwanted") });
        parked(&mut waiter);
    }
    let mut stays = cache.get_or_load(scope!(org = 1), "k", || async { Err::<u32, _>("unwanted") });
    parked(&mut stays);
    assert_eq!(cache.stats().flights, 1);
    open.send(5).expect("its load runs");
    assert_eq!(*answer(&mut leader).expect("it loads"), 5);
    assert_eq!(*answer(&mut stays).expect("it waited"), 5);
    assert_eq!(cache.stats().loads, 1);
    drop((leader, stays));
    assert_idle(&cache);
}

#[test]
fn cancelled_leader_hands_over_to_a_task_and_to_a_thread() {
    let cache = cache();
    let never = std::future::pending::<Result<u32, Never>>;
    let mut leader = cache.get_or_load(scope!(org = 1), "k", never);
    parked(&mut leader);
    let calls = Arc::new(Calls::default());
    let mut waiter = cache.get_or_load(scope!(org = 1), "k", never);
    parked_with(&mut waiter, &calls);
    thread::scope(|threads| {
        let thread = threads.spawn(|| {
            let load = || Ok::<_, Never>(9_u32);
            cache.get_or_load_with(scope!(org = 1), "k", load).wait().expect("it leads in the end")
        });
        until_waiting(&cache, 2);
        drop(leader);
        assert_eq!(calls.0.load(SeqCst), 1, "one is invited");
        parked(&mut waiter);
        assert_eq!((cache.stats().loads, cache.stats().flights), (2, 1), "the task leads");
        drop(waiter);
        assert_eq!(*thread.join().expect("the thread comes home"), 9);
    });
    let stats = cache.stats();
    assert_eq!((stats.loads, stats.load_failures), (3, 2), "a cancelled load counts as a failure");
    assert_idle(&cache);
}

#[test]
fn cancelled_leader_without_waiters_leaves_nothing() {
    let cache = cache();
    let mut leader = cache.get_or_load(scope!(org = 1), "k", std::future::pending::<Result<u32, Never>>);
    parked(&mut leader);
    assert_eq!(cache.stats().flights, 1);
    drop(leader);
    assert_idle(&cache);
    let fresh = cache.get_or_load_with(scope!(org = 1), "k", || Ok::<_, Never>(1_u32)).wait();
    assert!(matches!(fresh.as_deref(), Ok(1)));
}

#[test]
fn load_of_a_weight_that_cannot_be_stored_is_served_to_all_and_not_stored() {
    let cache = Cache::builder().capacity_bytes(100_u64).build().expect("good options");
    for (number, weight) in [0, 101].into_iter().enumerate() {
        let name = format!("weighed {weight}");
        let region = cache.region_builder::<u8, u32>(&name).weigher(move |_, _| weight).open();
        let region = region.expect("it opens");
        let (open, gate) = oneshot::channel::<u32>();
        let mut leader = region.get_or_load(scope!(org = 1), &1, || gate);
        parked(&mut leader);
        let mut waiter = region.get_or_load(scope!(org = 1), &1, || async { Err("unwanted") });
        parked(&mut waiter);
        open.send(7).expect("its load runs");
        assert!(matches!(answer(&mut leader), Ok(7)));
        assert!(matches!(answer(&mut waiter), Ok(7)));
        assert_eq!(region.get_now(scope!(org = 1), &1).expect("a good place"), None);
        assert_eq!((region.stats().refused_weight, region.stats().entries), (1, 0), "{number}");
        assert!(region.set(scope!(org = 1), 1, 7).wait().is_err(), "a set says so");
        // The weight given with the call counts.
        let fits = region.get_or_load_with(scope!(org = 1), &1, || Ok::<_, Never>(8_u32)).weight(5).wait();
        assert!(matches!(fits, Ok(8)));
        assert_eq!(region.get_now(scope!(org = 1), &1).expect("a good place"), Some(8));
    }
    assert_idle(&cache);
}

#[test]
fn bad_options_of_a_load_are_errors_and_nothing_runs() {
    let cache = cache();
    let load = || -> Result<u8, &str> { panic!("it must not run") };
    let zero = cache.get_or_load_with(scope!(org = 1), "k", load).ttl(0).wait();
    assert!(matches!(zero, Err(LoadError::Cache(_))));
    let lost = cache.get_or_load_with(scope!(nowhere = 1), "k", load).wait();
    assert!(matches!(lost, Err(LoadError::Cache(_))));
    let long = "k".repeat(5_000);
    let long = cache.get_or_load_with(scope!(org = 1), &long, load).wait();
    assert!(matches!(long, Err(LoadError::Cache(_))));
    assert_idle(&cache);
}
