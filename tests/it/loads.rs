//! One load per key, however many ask: for programmatic calls, regions and cached functions, in threads and tasks.
//!
//! Order is made with channels, barriers and single polls; time is a test clock's wherever time matters.

mod cached;
mod cycles;
mod failures;
mod limits;
mod stalls;
mod stampede;
mod withdrawn;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use strata_cache::{Cache, Maintenance, TestClock};

use crate::support::{answer, parked, poll};

/// More than any of these tests takes, however busy the machine.
const PATIENCE: Duration = Duration::from_secs(60);

fn cache() -> Cache {
    Cache::builder().build().expect("the default options are good")
}

/// A cache whose time stands still, and whose maintenance is the test's.
fn frozen() -> (Cache, TestClock) {
    let clock = TestClock::new();
    let cache = Cache::builder().clock(clock.clone()).maintenance(Maintenance::Manual).build();
    (cache.expect("the options are good"), clock)
}

/// A waker that counts its calls.
#[derive(Default)]
struct Calls(AtomicUsize);

impl Wake for Calls {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

/// Polls once with a waker that counts; the future must go on waiting.
#[track_caller]
fn parked_with<F: Future + Unpin>(future: &mut F, calls: &Arc<Calls>) {
    let waker = Waker::from(Arc::clone(calls));
    assert!(Pin::new(future).poll(&mut Context::from_waker(&waker)).is_pending(), "it should wait");
}

/// Waits for something that other threads are about to do.
#[track_caller]
fn until(what: &str, done: impl Fn() -> bool) {
    let begin = Instant::now();
    while !done() {
        assert!(begin.elapsed() < PATIENCE, "in vain: {what}");
        thread::yield_now();
    }
}

/// Waits until so many calls wait for somebody else's load.
#[track_caller]
fn until_waiting(cache: &Cache, calls: u64) {
    until("others wait", || cache.stats().coalesced_waits >= calls);
}

/// Runs something that must not hang.
fn in_time<T: Send + 'static>(run: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, told) = mpsc::channel();
    let runner = thread::spawn(move || {
        // Nobody listens any more only if this took too long.
        let _ = done.send(run());
    });
    match told.recv_timeout(PATIENCE) {
        Ok(value) => value,
        Err(RecvTimeoutError::Timeout) => panic!("it hangs"),
        Err(RecvTimeoutError::Disconnected) => match runner.join() {
            Err(panic) => std::panic::resume_unwind(panic),
            Ok(()) => unreachable!("the channel closes with its thread"),
        },
    }
}

/// A runtime of one thread.
fn one_thread() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime of one thread")
}

/// Nothing runs, and when the entries are gone nothing is left.
#[track_caller]
fn assert_idle(cache: &Cache) {
    let stats = cache.stats();
    assert_eq!(stats.flights, 0, "{stats:?}");
    assert_eq!(stats.hits + stats.misses, stats.lookups());
    let gone = stats.removed + stats.evicted + stats.expired + stats.invalidated;
    assert_eq!(stats.inserts, stats.entries + gone, "{stats:?}");
    cache.clear().wait().expect("clearing cannot fail");
    // The maintenance thread may be at the very collection that this would do.
    until("nothing is left", || {
        let stats = cache.stats();
        (stats.entries, stats.weight, stats.flights, stats.scopes) == (0, 0, 0, 0)
    });
}
