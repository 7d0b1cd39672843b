//! Operations of one step: reads of the memory tier.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use strata_cache_core::error::Result;

use super::done::spent;

/// A read that has not happened yet. Ready at the first poll; needs no runtime.
#[must_use = "an operation does nothing unless it is awaited or waited for"]
pub struct Operation<F>(Option<F>);

impl<T, F: FnOnce() -> Result<T>> Operation<F> {
    #[inline]
    pub(crate) const fn new(run: F) -> Self {
        Self(Some(run))
    }

    /// Performs it on this thread.
    ///
    /// # Errors
    /// What the verb says; [`ErrorKind::InvalidConfig`](crate::ErrorKind::InvalidConfig) if it was awaited before.
    #[inline]
    pub fn wait(mut self) -> Result<T> {
        self.perform()
    }

    #[inline]
    fn perform(&mut self) -> Result<T> {
        self.0.take().map_or_else(|| Err(spent("wait")), |run| run())
    }
}

// The closure is called by value, never pinned.
impl<F> Unpin for Operation<F> {}

impl<T, F: FnOnce() -> Result<T>> Future for Operation<F> {
    type Output = Result<T>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<T>> {
        Poll::Ready(self.perform())
    }
}

impl<F> std::fmt::Debug for Operation<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Operation").field("done", &self.0.is_none()).finish()
    }
}
