//! Operations of one step: reads of the memory tier.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A read that has not happened yet. Ready at the first poll; needs no runtime.
#[must_use = "an operation does nothing unless it is awaited or waited for"]
pub struct Operation<F>(Option<F>);

impl<T, F: FnOnce() -> T> Operation<F> {
    pub(crate) const fn new(run: F) -> Self {
        Self(Some(run))
    }

    /// Performs it on this thread.
    pub fn wait(self) -> T {
        match self.0 {
            Some(run) => run(),
            // `wait` takes the operation, so nobody can have polled it to its end in between without breaking `Pin`.
            None => panic!("an operation was waited for after it had been awaited"),
        }
    }
}

// The closure is called by value, never pinned.
impl<F> Unpin for Operation<F> {}

impl<T, F: FnOnce() -> T> Future for Operation<F> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<T> {
        match self.0.take() {
            Some(run) => Poll::Ready(run()),
            None => Poll::Pending, // Polled after its end.
        }
    }
}

impl<F> std::fmt::Debug for Operation<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Operation").field("done", &self.0.is_none()).finish()
    }
}
