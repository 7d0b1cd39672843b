//! Get-or-load, with its options and its error.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use strata_cache_core::engine::Write;
use strata_cache_core::error::{Error, ErrorKind, Result};
use strata_cache_core::expiry::IntoTtl;
use strata_cache_core::scope::{IntoTag, Tags};

use super::terms::Terms;
use crate::driver::{SharedError, park_on};

/// Why a get-or-load brought no value.
#[derive(Debug)]
#[non_exhaustive]
pub enum LoadError<E> {
    /// The loader's own error: this call's, or one shared by the call that loaded (see `share_errors`).
    Load(E),
    /// The loads this call waited for failed, for those who ran them, three times. With `share_errors` it would have got
    /// the error instead.
    LeaderFailed,
    /// The cache could not ask: what is wrong with place, key or options, loads that have stalled, or a load limit with as
    /// many waiting as may ([`ErrorKind::Overloaded`], to be tried again later).
    Cache(Error),
}

impl<E: std::fmt::Display> std::fmt::Display for LoadError<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Load(error) => write!(f, "load failed: {error}"),
            Self::LeaderFailed => f.write_str(
                "the loads waited for failed for those who ran them; `share_errors` would tell how",
            ),
            Self::Cache(error) => error.fmt(f),
        }
    }
}

impl<E: std::error::Error + 'static> std::error::Error for LoadError<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Load(error) => Some(error),
            Self::LeaderFailed => None,
            Self::Cache(error) => Some(error),
        }
    }
}

impl<E> From<Error> for LoadError<E> {
    fn from(error: Error) -> Self {
        Self::Cache(error)
    }
}

impl<E> LoadError<E> {
    /// The loader's error, or one made of what went wrong instead: for callers with one error type.
    ///
    /// ```
    /// # use strata_cache::{Cache, scope};
    /// # #[derive(Debug)] enum Failed { Cache(strata_cache::Error) }
    /// # impl From<strata_cache::Error> for Failed { fn from(e: strata_cache::Error) -> Self { Self::Cache(e) } }
    /// # fn main() -> Result<(), Failed> {
    /// # let cache = Cache::builder().build()?;
    /// use strata_cache::LoadError;
    ///
    /// let load = || Ok::<u64, Failed>(7);
    /// let seven = cache.get_or_load_with(scope!(global), "seven", load).wait().map_err(LoadError::flatten)?;
    /// # assert_eq!(*seven, 7);
    /// # Ok(())
    /// # }
    /// ```
    pub fn flatten(self) -> E
    where
        E: From<Error>,
    {
        match self {
            Self::Load(error) => error,
            Self::LeaderFailed => E::from(
                Error::new(ErrorKind::LeaderFailed, "get_or_load")
                    .because("`share_errors` would tell how the load failed"),
            ),
            Self::Cache(error) => E::from(error),
        }
    }

    /// The loader's error, if that is what this is.
    pub fn into_load(self) -> Option<E> {
        match self {
            Self::Load(error) => Some(error),
            _ => None,
        }
    }
}

/// How a load is begun and asked for. Implemented by the library only.
pub trait Loading {
    /// The value handed out.
    type Value;
    /// The loader's error.
    type Error;

    #[doc(hidden)]
    fn share_with(&mut self, sharing: Sharing<Self::Error>);

    /// The answer, where one look tells that the value is there.
    #[doc(hidden)]
    fn glance(&mut self) -> Option<Result<Self::Value, LoadError<Self::Error>>>;

    #[doc(hidden)]
    fn poll_load(
        &mut self,
        terms: (Write, &Tags),
        context: &mut Context<'_>,
    ) -> Poll<Result<Self::Value, LoadError<Self::Error>>>;

    #[doc(hidden)]
    fn look_up(&self);
}

/// How an error is shared with those who wait for the same load.
#[doc(hidden)]
#[derive(Debug)]
pub struct Sharing<E> {
    pub(super) share: fn(&E) -> SharedError,
    pub(super) unshare: fn(&SharedError) -> Option<E>,
}

impl<E: Clone + Send + Sync + 'static> Sharing<E> {
    pub(crate) fn by_clone() -> Self {
        Self { share: |error| Arc::new(error.clone()), unshare: |shared| shared.downcast_ref::<E>().cloned() }
    }
}

/// A get-or-load that has not happened yet. It needs no runtime; dropping it midway cancels this call only.
#[must_use = "an operation does nothing unless it is awaited or waited for"]
pub struct GetOrLoad<L> {
    loading: L,
    terms: Terms,
}

impl<L: Loading> GetOrLoad<L> {
    #[inline]
    pub(crate) const fn new(loading: L) -> Self {
        Self { loading, terms: Terms::new() }
    }

    /// How long a loaded value may be served: a `Duration`, whole seconds, or a text like `"90s"`, `"1h30m"`, `"never"`.
    pub fn ttl(mut self, ttl: impl IntoTtl) -> Self {
        self.terms = self.terms.ttl(ttl);
        self
    }

    /// What a loaded entry weighs, in place of what the region's weigher would say. Zero, or more than the capacity,
    /// serves the value and does not store it.
    pub fn weight(mut self, weight: u64) -> Self {
        self.terms = self.terms.weight(weight);
        self
    }

    /// Marks a loaded entry with a tag, as [`Set::tag`](crate::Set::tag) does; one that is there already stays as it is. If the tag is
    /// invalidated while the load runs, its value is not stored, and nobody who asks after that gets it. What is known only
    /// while loading is added by [`tag_load`](crate::tag_load).
    pub fn tag(self, tag: impl IntoTag) -> Self {
        self.tags([tag])
    }

    /// As [`tag`](Self::tag), with several: 16 at most, each once.
    pub fn tags(mut self, tags: impl IntoIterator<Item = impl IntoTag>) -> Self {
        self.terms = self.terms.tags(tags, "get_or_load");
        self
    }

    /// Gives a failed load's error, cloned, to all who waited for it. Without this one of them loads
    /// next, at most twice, and then all get [`LoadError::LeaderFailed`]. Callers of one key should agree on it.
    pub fn share_errors(mut self) -> Self
    where
        L::Error: Clone + Send + Sync + 'static,
    {
        self.loading.share_with(Sharing::by_clone());
        self
    }

    /// Performs it on this thread, which parks while somebody else loads, for as long as that load's lease lasts (60 s by
    /// default; it is counted on the cache's clock).
    ///
    /// Not for a thread that drives async tasks: parked, it does not poll the task that loads. In a task, await.
    ///
    /// # Errors
    /// [`LoadError`].
    #[inline]
    pub fn wait(mut self) -> Result<L::Value, LoadError<L::Error>> {
        match self.glance() {
            Some(answer) => answer,
            None => self.park(),
        }
    }

    #[inline]
    fn glance(&mut self) -> Option<Result<L::Value, LoadError<L::Error>>> {
        if self.terms.are_good() { self.loading.glance() } else { None }
    }

    /// Polls on, where the first look did not tell it.
    #[cold]
    #[inline(never)]
    fn poll_on(&mut self, context: &mut Context<'_>) -> Poll<Result<L::Value, LoadError<L::Error>>> {
        match self.terms.look() {
            Ok((write, tags)) => self.loading.poll_load((write, &tags), context),
            Err(error) => Poll::Ready(Err(error.into())),
        }
    }

    #[cold]
    #[inline(never)]
    fn park(mut self) -> Result<L::Value, LoadError<L::Error>> {
        let (write, tags) = self.terms.take()?;
        // Whoever parks looks after stalled leaders, so shared and mutable access must not overlap.
        let loading = std::cell::RefCell::new(self.loading);
        park_on(
            std::future::poll_fn(|context| loading.borrow_mut().poll_load((write, &tags), context)),
            || loading.borrow().look_up(),
        )
    }
}

// The loader's future is boxed when it runs; nothing here is pinned in place.
impl<L> Unpin for GetOrLoad<L> {}

impl<L: Loading> Future for GetOrLoad<L> {
    type Output = Result<L::Value, LoadError<L::Error>>;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.glance() {
            Some(answer) => Poll::Ready(answer),
            None => self.poll_on(context),
        }
    }
}

impl<L> std::fmt::Debug for GetOrLoad<L> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GetOrLoad").field("terms", &self.terms).finish_non_exhaustive()
    }
}
