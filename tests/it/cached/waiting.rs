//! Whose run is whose answer: `coalesce` and `wait`.

use std::future::Future;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Barrier, mpsc};
use std::task::{Context, Waker};
use std::thread;
use std::time::{Duration, Instant};

use strata_cache::{Cache, Clock, InCache, TestClock, cached, with_cache};

use crate::support::{Outcome, answer, parked, still};

static INSIDE: Barrier = Barrier::new(3);
static RUNS: AtomicU32 = AtomicU32::new(0);

// Three runs at once: each waits until all of them are inside.
#[cached(scope = "org", coalesce = off)]
fn each(org_id: u64) -> u32 {
    INSIDE.wait();
    RUNS.fetch_add(1, SeqCst) + org_id as u32
}

#[test]
fn without_coalescing_each_runs_for_itself_and_one_stores() -> Outcome {
    let cache = Cache::builder().build()?;
    let call = || with_cache(&cache, || each(7));
    let mut all = thread::scope(|threads| {
        let calls = [(); 3].map(|()| threads.spawn(call));
        calls.map(|call| call.join().expect("no run panics"))
    });
    all.sort_unstable();
    assert_eq!(all, [7, 8, 9]);
    let stats = with_cache(&cache, each::stats);
    assert_eq!((stats.loads, stats.misses, stats.inserts, stats.coalesced_waits), (3, 3, 1, 0));
    assert!(all.contains(&call()));
    Ok(())
}

// A run with a gate hangs until that opens; others do not.
#[cached(scope = "global", wait = "30s", skip(gate))]
async fn hanging(id: u32, gate: Option<tokio::sync::oneshot::Receiver<()>>) -> u32 {
    match gate {
        Some(gate) => gate.await.map_or(0, |()| id + 1),
        None => id,
    }
}

#[test]
fn call_waits_so_long_by_the_caches_clock_and_then_runs_by_itself() -> Outcome {
    let (builder, clock) = still();
    let cache = builder.build()?;
    let (open, gate) = tokio::sync::oneshot::channel();
    let mut leader = Box::pin(hanging(10, Some(gate)).in_cache(&cache));
    parked(&mut leader);
    let mut waiter = Box::pin(hanging(10, None).in_cache(&cache));
    parked(&mut waiter);
    clock.advance(Duration::from_secs(29));
    cache.maintain();
    parked(&mut waiter);
    clock.advance(Duration::from_secs(1));
    assert_eq!(answer(&mut waiter), 10);
    assert_eq!(with_cache(&cache, || hanging::peek(10)), None, "it is not the one that stores");
    open.send(()).expect("the leader waits");
    assert_eq!(answer(&mut leader), 11);
    assert_eq!(with_cache(&cache, || hanging::peek(10)), Some(11));
    assert_eq!(cache.stats().flights, 0);
    Ok(())
}

/// A clock that tells nobody when it has moved.
struct Silent(TestClock);

impl Clock for Silent {
    fn now(&self) -> Duration {
        self.0.now()
    }
}

#[test]
fn call_that_waited_long_enough_is_woken_by_maintenance() -> Outcome {
    let (builder, clock) = still();
    let cache = builder.clock(Silent(clock.clone())).build()?;
    let (open, gate) = tokio::sync::oneshot::channel();
    let mut leader = Box::pin(hanging(20, Some(gate)).in_cache(&cache));
    parked(&mut leader);
    let (tell, told) = mpsc::channel();
    struct Tell(mpsc::Sender<()>);
    impl std::task::Wake for Tell {
        fn wake(self: std::sync::Arc<Self>) {
            // Nobody may listen any more.
            let _ = self.0.send(());
        }
    }
    let waker = Waker::from(std::sync::Arc::new(Tell(tell)));
    let mut waiter = Box::pin(hanging(20, None).in_cache(&cache));
    assert!(waiter.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    clock.advance(Duration::from_secs(30));
    assert!(told.try_recv().is_err());
    cache.maintain();
    assert!(told.try_recv().is_ok());
    drop(waiter);
    open.send(()).expect("the leader waits");
    answer(&mut leader);
    Ok(())
}

static GATE: Barrier = Barrier::new(2);

#[cached(scope = "global", wait = "20ms", skip(hangs))]
fn sync_hanging(id: u32, hangs: bool) -> u32 {
    if hangs {
        GATE.wait();
        GATE.wait();
    }
    id
}

#[test]
fn thread_does_not_wait_longer_than_it_said() -> Outcome {
    let cache = Cache::builder().build()?;
    thread::scope(|threads| {
        let leader = threads.spawn(|| with_cache(&cache, || sync_hanging(1, true)));
        GATE.wait();
        let begun = Instant::now();
        let answer = with_cache(&cache, || sync_hanging(1, false));
        let waited = begun.elapsed();
        GATE.wait();
        assert_eq!((answer, leader.join().ok()), (1, Some(1)));
        // The clock may be read a few milliseconds late.
        assert!(waited >= Duration::from_millis(10), "it waited for {waited:?}");
    });
    Ok(())
}
