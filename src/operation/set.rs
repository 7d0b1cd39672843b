//! Writes, with their options.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::done::spent;
use super::terms::Terms;
use strata_cache_core::engine::Write;
use strata_cache_core::error::Result;
use strata_cache_core::expiry::IntoTtl;
use strata_cache_core::scope::{IntoTag, Tags};

/// A write that has not happened yet. A write that fails leaves the old value.
#[must_use = "an operation does nothing unless it is awaited or waited for"]
pub struct Set<F> {
    run: Option<F>,
    terms: Terms,
}

impl<F: FnOnce(Write, Tags) -> Result<()>> Set<F> {
    pub(crate) const fn new(run: F) -> Self {
        Self { run: Some(run), terms: Terms::new() }
    }

    /// How long the value may be served: a `Duration`, whole seconds, or a text like `"90s"`, `"1h30m"`, `"never"`.
    pub fn ttl(mut self, ttl: impl IntoTtl) -> Self {
        self.terms = self.terms.ttl(ttl);
        self
    }

    /// For how long past its time-to-live the value is kept, for those calls of `get_or_load` that take it stale; as its region says, if this is
    /// not said. It takes a time-to-live with an end.
    pub fn keep(mut self, window: impl IntoTtl) -> Self {
        self.terms = self.terms.keep(window);
        self
    }

    /// What the entry weighs, in place of what the region's weigher would say.
    pub fn weight(mut self, weight: u64) -> Self {
        self.terms = self.terms.weight(weight);
        self
    }

    /// Marks the entry with a tag, which belongs to its scope, or to the root if it is a [global](crate::Tag::global) one:
    /// [`invalidate_tag`](crate::Cache::invalidate_tag) withdraws all that have it. A value written without tags has none, whatever the
    /// old one had.
    pub fn tag(self, tag: impl IntoTag) -> Self {
        self.tags([tag])
    }

    /// As [`tag`](Self::tag), with several: 16 at most, each once.
    pub fn tags(mut self, tags: impl IntoIterator<Item = impl IntoTag>) -> Self {
        self.terms = self.terms.tags(tags, "set");
        self
    }

    /// Performs it on this thread.
    ///
    /// # Errors
    /// What is wrong with place, key, ttl, weight or tags; the old value stays.
    #[inline]
    pub fn wait(mut self) -> Result<()> {
        self.perform()
    }

    #[inline]
    fn perform(&mut self) -> Result<()> {
        let Some(run) = self.run.take() else { return Err(spent("set")) };
        match self.terms.plain() {
            Some(write) => run(write, Tags::none()),
            None => self.terms.take().and_then(|(write, tags)| run(write, tags)),
        }
    }
}

// The closure is called by value, never pinned.
impl<F> Unpin for Set<F> {}

impl<F: FnOnce(Write, Tags) -> Result<()>> Future for Set<F> {
    type Output = Result<()>;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(self.perform())
    }
}

impl<F> std::fmt::Debug for Set<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Set").field("terms", &self.terms).finish_non_exhaustive()
    }
}
