//! Loads that fail or panic: who is told, and how many more are run.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, mpsc};

use strata_cache::{LoadError, cached, default_cache, scope};
use tokio::sync::oneshot;
use tokio::task::yield_now;

use super::*;

/// An error that is nobody's but its receiver's.
#[derive(Debug, PartialEq)]
struct Own(usize);

/// An error that can be shared.
#[derive(Debug, Clone, PartialEq)]
struct Common(usize);

/// Panics without a message on the terminal.
fn panic_quietly() -> ! {
    resume_unwind(Box::new("as told"))
}

#[test]
fn error_is_shared_with_all_who_wait_where_it_may_be() {
    let cache = cache();
    let (open, gate) = oneshot::channel::<Common>();
    let fail = || async { Err::<u8, _>(gate.await.expect("the gate opens")) };
    let mut leader = cache.get_or_load(scope!(org = 1), "k", fail).share_errors();
    parked(&mut leader);
    let unwanted = || async { Ok::<u8, Common>(0) };
    let mut waiters: Vec<_> =
        (0..10).map(|_| cache.get_or_load(scope!(org = 1), "k", unwanted).share_errors()).collect();
    waiters.iter_mut().for_each(parked);
    thread::scope(|threads| {
        let thread = threads.spawn(|| {
            let load = || Ok::<u8, Common>(0);
            cache.get_or_load_with(scope!(org = 1), "k", load).share_errors().wait()
        });
        until_waiting(&cache, 11);
        open.send(Common(1)).expect("its load runs");
        assert!(matches!(answer(&mut leader), Err(LoadError::Load(Common(1)))));
        let told = thread.join().expect("the thread comes home");
        assert!(matches!(told, Err(LoadError::Load(Common(1)))));
    });
    for waiter in &mut waiters {
        assert!(matches!(answer(waiter), Err(LoadError::Load(Common(1)))));
    }
    let stats = cache.stats();
    assert_eq!((stats.loads, stats.load_failures, stats.misses, stats.hits), (1, 1, 12, 0));
    assert_idle(&cache);
}

/// `share_errors` with a foreign error type: nothing is shared, nothing is confused.
#[test]
fn error_of_another_type_is_not_shared() {
    let cache = cache();
    let (open, gate) = oneshot::channel::<()>();
    let fail = || async {
        gate.await.expect("the gate opens");
        Err::<u8, _>(Common(1))
    };
    let mut leader = cache.get_or_load(scope!(org = 1), "k", fail).share_errors();
    parked(&mut leader);
    let mut other = cache.get_or_load(scope!(org = 1), "k", || async { Ok::<_, u32>(2_u8) }).share_errors();
    parked(&mut other);
    open.send(()).expect("its load runs");
    assert!(matches!(answer(&mut leader), Err(LoadError::Load(Common(1)))));
    assert!(matches!(answer(&mut other).as_deref(), Ok(2)), "it joins again, and leads");
    drop((leader, other));
    assert_idle(&cache);
}

#[test]
fn without_sharing_three_loads_fail_and_then_all_who_wait_are_told() {
    const CALLERS: usize = 50;
    let cache = cache();
    let loads = Arc::new(AtomicUsize::new(0));
    let answers = one_thread().block_on(async {
        let (open, gate) = oneshot::channel::<()>();
        let mut gate = Some(gate);
        let calls: Vec<_> = (0..CALLERS)
            .map(|_| {
                let (cache, loads, gate) = (cache.clone(), Arc::clone(&loads), gate.take());
                tokio::spawn(async move {
                    let load = || async move {
                        let number = loads.fetch_add(1, SeqCst);
                        match gate {
                            Some(gate) => gate.await.expect("the gate opens"),
                            // Long enough that all who were released have come.
                            None => yield_now().await,
                        }
                        Err::<u8, _>(Own(number))
                    };
                    cache.get_or_load(scope!(org = 1), "k", load).await
                })
            })
            .collect();
        while cache.stats().coalesced_waits < CALLERS as u64 - 1 {
            yield_now().await;
        }
        open.send(()).expect("the leader waits");
        let mut answers = Vec::new();
        for call in calls {
            answers.push(call.await.expect("no task fails"));
        }
        answers
    });
    assert_eq!(loads.load(SeqCst), 3);
    let mut own: Vec<usize> = Vec::new();
    for answer in &answers {
        match answer {
            Err(LoadError::Load(Own(number))) => own.push(*number),
            Err(LoadError::LeaderFailed) => {}
            other => panic!("not expected: {other:?}"),
        }
    }
    own.sort_unstable();
    assert_eq!(own, [0, 1, 2], "each leader got its own error");
    let stats = cache.stats();
    assert_eq!((stats.loads, stats.load_failures, stats.lookups()), (3, 3, CALLERS as u64));
    assert_idle(&cache);
}

/// Loaders that fail before the others who were released have come back meet nobody: each of those may load once.
#[test]
fn without_sharing_loads_that_fail_at_once_are_three_for_any_number_of_callers() {
    const CALLERS: usize = 50;
    let cache = cache();
    let (open, gate) = oneshot::channel::<()>();
    let loads = AtomicUsize::new(0);
    let mut leader = cache.get_or_load(scope!(org = 1), "k", || async {
        loads.fetch_add(1, SeqCst);
        gate.await.expect("the gate opens");
        Err::<u8, _>(Own(0))
    });
    parked(&mut leader);
    let mut waiters: Vec<_> = (0..CALLERS)
        .map(|_| {
            cache
                .get_or_load(scope!(org = 1), "k", || async { Err::<u8, _>(Own(loads.fetch_add(1, SeqCst))) })
        })
        .collect();
    waiters.iter_mut().for_each(parked);
    open.send(()).expect("its load runs");
    assert!(matches!(answer(&mut leader), Err(LoadError::Load(Own(0)))));
    let mut waiting: Vec<_> = waiters.iter_mut().collect();
    while !waiting.is_empty() {
        let before = waiting.len();
        waiting.retain_mut(|waiter| poll(waiter).is_pending());
        assert!(waiting.len() < before, "nobody hangs");
    }
    assert_eq!(loads.load(SeqCst), 3);
    drop((leader, waiters));
    assert_idle(&cache);
}

#[test]
fn panic_is_seen_by_the_leader_alone() {
    let cache = cache();
    let (open, gate) = mpsc::channel::<()>();
    let gate = std::sync::Mutex::new(gate);
    thread::scope(|threads| {
        let leader = threads.spawn(|| {
            let load = || -> Result<u8, ()> {
                gate.lock().expect("one load").recv().expect("the gate opens");
                panic_quietly()
            };
            let call = || cache.get_or_load_with(scope!(org = 1), "k", load).wait();
            catch_unwind(AssertUnwindSafe(call)).map(|_| ())
        });
        until("the leader loads", || cache.stats().loads == 1);
        let waiters: Vec<_> = (0..6)
            .map(|_| {
                threads.spawn(|| {
                    cache.get_or_load_with(scope!(org = 1), "k", || Ok::<u8, ()>(4)).wait().expect("it loads")
                })
            })
            .collect();
        let mut task = cache.get_or_load(scope!(org = 1), "k", || async { Ok::<u8, ()>(4) });
        parked(&mut task);
        until_waiting(&cache, 7);
        open.send(()).expect("the leader waits");
        assert!(leader.join().expect("it caught the panic").is_err());
        for waiter in waiters {
            assert_eq!(*waiter.join().expect("no other panics"), 4);
        }
        assert!(matches!(answer(&mut task).as_deref(), Ok(4)));
    });
    let stats = cache.stats();
    assert_eq!((stats.loads, stats.load_failures), (2, 1));
    assert_idle(&cache);
}

#[test]
fn panic_in_an_async_loader_is_seen_by_its_task_alone() {
    let cache = cache();
    one_thread().block_on(async {
        let (open, gate) = oneshot::channel::<()>();
        let leader = {
            let cache = cache.clone();
            tokio::spawn(async move {
                let load = || async {
                    gate.await.expect("the gate opens");
                    if true {
                        panic_quietly();
                    }
                    Ok::<u8, ()>(0)
                };
                cache.get_or_load(scope!(org = 1), "k", load).await
            })
        };
        while cache.stats().loads == 0 {
            yield_now().await;
        }
        let waiters: Vec<_> = (0..10)
            .map(|_| {
                let cache = cache.clone();
                tokio::spawn(async move {
                    let load = || async {
                        yield_now().await;
                        Ok::<u8, ()>(4)
                    };
                    cache.get_or_load(scope!(org = 1), "k", load).await
                })
            })
            .collect();
        while cache.stats().coalesced_waits < 10 {
            yield_now().await;
        }
        open.send(()).expect("the leader waits");
        assert!(leader.await.expect_err("it panicked").is_panic());
        for waiter in waiters {
            assert!(matches!(waiter.await.expect("no other panics").as_deref(), Ok(4)));
        }
    });
    assert_eq!(cache.stats().loads, 2);
    assert_idle(&cache);
}

/// A value whose clone panics ends its load like a loader that panics.
#[test]
fn panic_in_the_clone_of_a_value_strands_nobody() {
    struct Fragile(bool);
    impl Clone for Fragile {
        fn clone(&self) -> Self {
            if self.0 { Self(self.0) } else { panic_quietly() }
        }
    }
    let cache = cache();
    let region = cache.region::<u8, Fragile>("fragile").expect("it opens");
    let (open, gate) = oneshot::channel::<Fragile>();
    let mut leader = region.get_or_load(scope!(org = 1), &1, || gate);
    parked(&mut leader);
    let fine = || async { Ok::<_, ()>(Fragile(true)) };
    let mut waiter = region.get_or_load(scope!(org = 1), &1, fine);
    parked(&mut waiter);
    let sent = open.send(Fragile(false));
    assert!(sent.is_ok());
    assert!(catch_unwind(AssertUnwindSafe(|| poll(&mut leader).is_ready())).is_err());
    assert!(answer(&mut waiter).is_ok_and(|value| value.0));
    drop((leader, waiter));
    assert_idle(&cache);
}

static RUNNING: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);
static RUNS: AtomicUsize = AtomicUsize::new(0);

#[cached(scope = "org")]
async fn always_fails(org_id: u64, yields: usize) -> Result<u8, Own> {
    let number = RUNS.fetch_add(1, SeqCst);
    MOST.fetch_max(RUNNING.fetch_add(1, SeqCst) + 1, SeqCst);
    for _ in 0..yields {
        yield_now().await;
    }
    RUNNING.fetch_sub(1, SeqCst);
    Err(Own(number))
}

/// It cannot say that somebody else's run failed, so it runs itself: three leaders one by one, then four at a time.
#[test]
fn cached_function_whose_leaders_fail_runs_itself_four_at_a_time() {
    const CALLERS: usize = 40;
    let mut numbers: Vec<usize> = one_thread().block_on(async {
        let calls: Vec<_> = (0..CALLERS).map(|_| tokio::spawn(always_fails(7_001, 3))).collect();
        let mut numbers = Vec::new();
        for call in calls {
            numbers.push(call.await.expect("no task fails").expect_err("it always fails").0);
        }
        numbers
    });
    numbers.sort_unstable();
    assert_eq!(numbers, (0..CALLERS).collect::<Vec<_>>(), "each got the error of its own run");
    assert_eq!(MOST.load(SeqCst), 4);
    let stats = always_fails::stats();
    assert_eq!((stats.loads, stats.load_failures), (CALLERS as u64, CALLERS as u64));
    assert_eq!((stats.entries, stats.flights), (0, 0));
}

static SHARED_RUNS: AtomicUsize = AtomicUsize::new(0);
static SHARED_GATE: std::sync::Mutex<Option<mpsc::Receiver<()>>> = std::sync::Mutex::new(None);

#[cached(scope = "org")]
fn fails_for_all(org_id: u64) -> Result<u8, Common> {
    let number = SHARED_RUNS.fetch_add(1, SeqCst);
    if let Some(gate) = SHARED_GATE.lock().expect("nobody panics").take() {
        gate.recv().expect("the gate opens");
    }
    Err(Common(number))
}

#[test]
fn cached_function_shares_an_error_that_clones_with_all_who_wait() {
    let (open, gate) = mpsc::channel();
    *SHARED_GATE.lock().expect("nobody panics") = Some(gate);
    thread::scope(|threads| {
        let callers: Vec<_> = (0..8).map(|_| threads.spawn(|| fails_for_all(7_002))).collect();
        until("all others wait", || fails_for_all::stats().coalesced_waits == 7);
        open.send(()).expect("the leader waits");
        for caller in callers {
            assert_eq!(caller.join().expect("no thread panics"), Err(Common(0)));
        }
    });
    assert_eq!(fails_for_all(7_002), Err(Common(1)), "an error is not stored");
    assert_eq!(fails_for_all::stats().flights, 0);
    assert_eq!(default_cache().stats_of(scope!(org = 7_002)).expect("a good place").entries, 0);
}

static PANICS: AtomicUsize = AtomicUsize::new(0);

#[cached(scope = "org")]
fn panics_first(org_id: u64) -> u64 {
    if PANICS.fetch_add(1, SeqCst) == 0 {
        until("others wait", || panics_first::stats().coalesced_waits == 4);
        panic_quietly()
    }
    org_id
}

#[test]
fn cached_function_that_panics_does_so_for_its_leader_alone() {
    let outcomes: Vec<bool> = thread::scope(|threads| {
        let callers: Vec<_> =
            (0..5).map(|_| threads.spawn(|| catch_unwind(|| panics_first(7_003)).is_ok())).collect();
        callers.into_iter().map(|caller| caller.join().expect("panics are caught")).collect()
    });
    assert_eq!(outcomes.iter().filter(|ended| !**ended).count(), 1, "{outcomes:?}");
    assert_eq!(PANICS.load(SeqCst), 2);
    assert_eq!(panics_first(7_003), 7_003);
    assert_eq!(panics_first::stats().flights, 0);
}
