//! Operations that have acted on memory already, and report.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use strata_cache_core::engine::Detached;
use strata_cache_core::error::{Error, Result};

/// The report of a verb that acted at its call. A forgotten `.await` leaves no stale data: it only loses the report. A verb
/// that could *not* act, for a place that is no path of the tree say, reports an error; dropped unread, it is logged as a
/// warning.
///
/// In a cache of memory alone there is nothing left to do: it is ready at once.
pub struct Done<T>(Option<Result<T>>);

impl<T> Done<T> {
    pub(crate) const fn new(result: Result<T>) -> Self {
        Self(Some(result))
    }

    /// The report.
    ///
    /// # Errors
    /// Why the verb did not act; then nothing has changed.
    pub fn wait(mut self) -> Result<T> {
        self.0.take().unwrap_or_else(|| Err(spent("wait")))
    }
}

impl<T> Drop for Done<T> {
    fn drop(&mut self) {
        if let Some(Err(error)) = &self.0 {
            tracing::warn!(target: "strata_cache", %error, "nothing was removed, and nobody asked");
        }
    }
}

// The result is moved out, never pinned.
impl<T> Unpin for Done<T> {}

impl<T> Future for Done<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<T>> {
        Poll::Ready(self.0.take().unwrap_or_else(|| Err(spent("wait"))))
    }
}

/// Somebody asks an operation that has given its answer.
pub(super) fn spent(operation: &'static str) -> Error {
    Error::new(strata_cache_core::error::ErrorKind::InvalidConfig, operation)
        .because("the answer was taken before")
}

impl<T: std::fmt::Debug> std::fmt::Debug for Done<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Done").field(&self.0).finish()
    }
}

/// What an eviction of a scope took, or would take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Evicted {
    /// Entries in this process's memory. Exact: those whose insert had completed and whose time was not over; an entry
    /// inserted meanwhile counts at most once over all evictions.
    pub entries: u64,
    /// Their weight.
    pub weight: u64,
    /// Entries on the tiers below memory.
    pub below: Below,
}

/// How many entries a lower tier gave up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Below {
    /// So many; none, in a cache of memory alone.
    Known(u64),
    /// The tier cannot count them.
    Unknown,
}

impl Default for Below {
    fn default() -> Self {
        Self::Known(0)
    }
}

impl From<Detached> for Evicted {
    fn from(detached: Detached) -> Self {
        Self { entries: detached.entries, weight: detached.weight, below: Below::default() }
    }
}
