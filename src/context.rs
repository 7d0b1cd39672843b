//! The ambient scope: what the code around a call says about where it acts.
//!
//! (1) It follows the call stack of a thread, or the polls of a future, never the thread a future happens to run on.
//! (2) Nested scopes restore the outer one, also when the inner code panics. (3) Nothing reads it unless it says so.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::handle::Scope;

thread_local!(static AMBIENT: RefCell<Vec<Scope>> = const { RefCell::new(Vec::new()) });

/// The innermost ambient scope, if there is one.
pub fn ambient_scope() -> Option<Scope> {
    AMBIENT.try_with(|scopes| scopes.borrow().last().cloned()).ok().flatten()
}

/// Leaves the innermost scope when dropped.
struct Entered;

impl Entered {
    fn new(scope: Scope) -> Option<Self> {
        AMBIENT.try_with(|scopes| scopes.borrow_mut().push(scope)).ok().map(|()| Self)
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        // A scope may be the last handle of its cache: it is dropped after the borrow.
        let left = AMBIENT.try_with(|scopes| scopes.borrow_mut().pop());
        drop(left);
    }
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
        let _entered = Entered::new(self.clone());
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
        let _entered = Entered::new(this.scope.clone());
        this.future.poll(context)
    }
}
