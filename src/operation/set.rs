//! Writes, with their options.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::done::spent;
use strata_cache_core::engine::Write;
use strata_cache_core::error::Result;
use strata_cache_core::expiry::IntoTtl;

/// A write that has not happened yet. A write that fails leaves the old value.
#[must_use = "an operation does nothing unless it is awaited or waited for"]
pub struct Set<F> {
    run: Option<F>,
    write: Result<Write>,
}

impl<F: FnOnce(Write) -> Result<()>> Set<F> {
    pub(crate) const fn new(run: F) -> Self {
        Self { run: Some(run), write: Ok(Write { ttl: None, weight: None }) }
    }

    /// How long the value may be served: a `Duration`, whole seconds, or a text like `"90s"`, `"1h30m"`, `"never"`.
    pub fn ttl(mut self, ttl: impl IntoTtl) -> Self {
        self.write = self.write.and_then(|write| Ok(Write { ttl: Some(ttl.into_ttl()?), ..write }));
        self
    }

    /// What the entry weighs, in place of what the region's weigher would say.
    pub fn weight(mut self, weight: u64) -> Self {
        self.write = self.write.map(|write| Write { weight: Some(weight), ..write });
        self
    }

    /// Performs it on this thread.
    ///
    /// # Errors
    /// What is wrong with place, key, ttl or weight; the old value stays.
    pub fn wait(mut self) -> Result<()> {
        self.perform()
    }

    fn perform(&mut self) -> Result<()> {
        let run = self.run.take();
        let write = std::mem::replace(&mut self.write, Ok(Write::default()))?;
        run.map_or_else(|| Err(spent("set")), |run| run(write))
    }
}

// The closure is called by value, never pinned.
impl<F> Unpin for Set<F> {}

impl<F: FnOnce(Write) -> Result<()>> Future for Set<F> {
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(self.perform())
    }
}

impl<F> std::fmt::Debug for Set<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Set").field("write", &self.write).finish_non_exhaustive()
    }
}
