//! The ambient scope: what the code around a call says about where it acts.
//!
//! (1) It follows the call stack of a thread, or the polls of a future, never the thread a future happens to run on.
//! (2) Nothing reads it unless it says so.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::handle::Scope;
use crate::stack::{Inside, innermost};

thread_local!(static AMBIENT: RefCell<Vec<Scope>> = const { RefCell::new(Vec::new()) });

/// The innermost ambient scope, if there is one.
pub fn ambient_scope() -> Option<Scope> {
    innermost(&AMBIENT)
}

impl Scope {
    /// Runs code with this scope as the ambient one, on this thread. For async code use [`InScope::in_scope`]: a future made
    /// in here is polled elsewhere, without the scope.
    ///
    /// ```
    /// # use strata_cache::{Cache, ambient_scope, scope};
    /// # fn main() -> Result<(), strata_cache::Error> {
    /// let cache = Cache::builder().build()?;
    /// let acme = cache.scope(scope!(org = "acme"))?;
    /// let inside = acme.enter(|| ambient_scope().map(|scope| scope.to_string()));
    /// assert_eq!(inside.as_deref(), Some("org:acme"));
    /// assert!(ambient_scope().is_none());
    /// # Ok(())
    /// # }
    /// ```
    pub fn enter<T>(&self, run: impl FnOnce() -> T) -> T {
        let _inside = Inside::of(&AMBIENT, self.clone());
        run()
    }
}

/// Gives a future an ambient scope.
pub trait InScope: Future + Sized {
    /// Runs the future with this ambient scope, in each of its polls, on whatever thread. A task that the future spawns is
    /// another future: give it the scope as well, `tokio::spawn(work.in_scope(scope.clone()))`.
    fn in_scope(self, scope: Scope) -> Scoped<Self> {
        Scoped { future: self, scope }
    }
}

impl<F: Future> InScope for F {}

pin_project! {
    /// A future with an ambient scope; see [`InScope`].
    #[derive(Debug)]
    #[must_use = "a future does nothing unless it is polled"]
    pub struct Scoped<F> {
        #[pin]
        future: F,
        scope: Scope,
    }
}

impl<F: Future> Future for Scoped<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let _inside = Inside::of(&AMBIENT, this.scope.clone());
        this.future.poll(context)
    }
}
