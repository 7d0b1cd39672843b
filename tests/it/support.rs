//! What several files of promises need: caches on a clock that stands still, single polls, counted values, a process of one's own.

use std::error::Error as StdError;
use std::future::Future;
use std::pin::Pin;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use strata_cache::{Cache, CacheBuilder, Error, ErrorKind, Maintenance, TestClock};

/// What a test returns that asks more than it asserts.
pub(crate) type Outcome = Result<(), Box<dyn StdError>>;

/// A description of a cache that does nothing by itself, and its clock.
pub(crate) fn still() -> (CacheBuilder, TestClock) {
    let clock = TestClock::new();
    (Cache::builder().clock(clock.clone()).maintenance(Maintenance::Manual), clock)
}

/// A cache of so many entries that does nothing by itself, and whose order of eviction is easy to foresee.
pub(crate) fn small(entries: u64) -> Result<(Cache, TestClock), Error> {
    let (builder, clock) = still();
    Ok((builder.capacity(entries).policy("lru").build()?, clock))
}

pub(crate) const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Polls once.
pub(crate) fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}

/// Polls once; the future must go on waiting.
#[track_caller]
pub(crate) fn parked<F: Future + Unpin>(future: &mut F) {
    assert!(poll(future).is_pending(), "it should wait");
}

/// Polls once; the future must be ready.
#[track_caller]
pub(crate) fn answer<F: Future + Unpin>(future: &mut F) -> F::Output {
    match poll(future) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("it should be ready"),
    }
}

/// The kind of error that a call ended in.
pub(crate) fn kind<T>(result: Result<T, Error>) -> Option<ErrorKind> {
    result.err().map(|error| error.kind())
}

/// How many values of a kind exist.
#[derive(Clone, Default)]
pub(crate) struct Census(Arc<AtomicUsize>);

impl Census {
    pub(crate) fn count(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    /// A new value, counted until it is dropped.
    pub(crate) fn member(&self) -> Member {
        self.0.fetch_add(1, Ordering::SeqCst);
        Member(self.clone())
    }
}

/// One counted value.
pub(crate) struct Member(Census);

impl Clone for Member {
    fn clone(&self) -> Self {
        self.0.member()
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Runs a test's body in a process of its own, in which no other test's cache lives; `test` is the test's full name.
pub(crate) fn alone(test: &str, body: impl FnOnce() -> Outcome) -> Outcome {
    const ALONE: &str = "STRATA_TEST_ALONE";
    if std::env::var_os(ALONE).is_some() {
        return body();
    }
    let output = Command::new(std::env::current_exe()?)
        .args(["--exact", test, "--nocapture"])
        .env(ALONE, "1")
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{errors}");
    assert!(said.contains("1 passed"), "no test is called {test}:\n{said}");
    Ok(())
}
