//! A run past the cache: it has no load to which tags could be added, and is not an error for that.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use strata_cache_core::flight::Chain;

/// Calls a function past the cache.
pub(crate) fn uncached<R>(run: impl FnOnce() -> R) -> R {
    let _inside = Chain::enter_uncached();
    run()
}

pin_project! {
    /// A future past the cache.
    pub(crate) struct Uncached<F> {
        #[pin]
        pub(crate) run: F,
    }
}

impl<F: Future> Future for Uncached<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let _inside = Chain::enter_uncached();
        self.project().run.poll(context)
    }
}
