//! Get-or-load, with its options and its error.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use strata_cache_core::engine::Freshness;
use strata_cache_core::error::{Error, ErrorKind, Result};
use strata_cache_core::expiry::IntoTtl;
use strata_cache_core::scope::IntoTag;

use super::keyed::{Runs, SendOff, SendsOff};
use super::terms::{Said, Terms};
use crate::care::Asked;
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
    /// What loads.
    type Loader;
    /// What it brings.
    type Loaded: 'static;
    /// As what that is stored.
    #[doc(hidden)]
    type Stored: 'static;

    #[doc(hidden)]
    fn stored(loaded: Self::Loaded) -> Self::Stored;

    #[doc(hidden)]
    fn share_with(&mut self, sharing: fn() -> Sharing<Self::Error>);

    /// Says how what loads can be taken along to where nobody waits for it.
    #[doc(hidden)]
    fn send_with(&mut self, off: SendsOff<Self::Loader, Self::Loaded, Self::Error, Self::Stored>);

    /// The answer, where one look tells that the value is there.
    #[doc(hidden)]
    fn glance(&mut self) -> Option<Result<Self::Value, LoadError<Self::Error>>>;

    #[doc(hidden)]
    fn poll_load(
        &mut self,
        said: Said<'_>,
        context: &mut Context<'_>,
    ) -> Poll<Result<Self::Value, LoadError<Self::Error>>>;

    /// How the value stands that was handed out.
    #[doc(hidden)]
    fn freshness(&self) -> Freshness;

    #[doc(hidden)]
    fn look_up(&self);
}

/// How an error is shared with those who wait for the same load.
#[doc(hidden)]
#[derive(Debug)]
pub struct Sharing<E> {
    pub(super) share: fn(&E) -> SharedError,
    pub(super) unshare: fn(&SharedError) -> Option<E>,
    pub(super) knows: fn(&SharedError) -> bool,
}

impl<E> Clone for Sharing<E> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<E> Copy for Sharing<E> {}

impl<E: Clone + Send + Sync + 'static> Sharing<E> {
    pub(crate) fn by_clone() -> Self {
        Self {
            share: |error| Arc::new(error.clone()),
            unshare: |shared| shared.downcast_ref::<E>().cloned(),
            knows: |shared| shared.is::<E>(),
        }
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

    /// Serves a value for so long past its time-to-live, at once, and loads it anew in the background: one load, however many ask, and
    /// the next one not before the [`throttle`](Self::throttle) is over. The loaded entry is kept for that long.
    ///
    /// The loader may run after this call has ended: it borrows nothing, and can be sent to another thread. An async one runs on the
    /// runtime of the call that finds the value stale, a sync one on a thread of its own. It keeps the ambient scope.
    ///
    /// ```
    /// # use strata_cache::{Cache, Error, TestClock, scope};
    /// # use std::time::Duration;
    /// # fn main() -> Result<(), Error> {
    /// # let clock = TestClock::new();
    /// let cache = Cache::builder().clock(clock.clone()).build()?;
    /// let get = || cache.get_or_load_with(scope!(global), "rates", || Ok::<u64, Error>(7)).ttl("1m").stale("30s").marked();
    /// assert!(!get().wait().expect("it loads").is_stale());
    /// clock.advance(Duration::from_secs(80));
    /// assert!(get().wait().expect("it is there").is_stale(), "and is being loaded anew");
    /// # Ok(())
    /// # }
    /// ```
    pub fn stale(self, window: impl IntoTtl) -> Self
    where
        L::Loader: Runs<Output = Result<L::Loaded, L::Error>> + Send + 'static,
        L::Error: Send + 'static,
    {
        self.background().care(|asked| asked.stale(window))
    }

    /// Serves a value for so long past its time-to-live where a load ends in an error, or takes too long; where one has just done so,
    /// without another try: there is one each [`throttle`](Self::throttle). The loaded entry is kept for that long. A value past its
    /// [`stale`](Self::stale) window is loaded while the call waits.
    pub fn stale_on_error(self, window: impl IntoTtl) -> Self {
        self.care(|asked| asked.stale_on_error(window))
    }

    /// Loads a value anew, in the background, once this part of its time-to-live is over (`0.8`), when it is asked for then.
    pub fn refresh(self, part: f64) -> Self
    where
        L::Loader: Runs<Output = Result<L::Loaded, L::Error>> + Send + 'static,
        L::Error: Send + 'static,
    {
        self.background().care(|asked| asked.refresh(part))
    }

    /// Loads a value anew, in the background, by chance before its time is over: the nearer the end, and the longer its load took, the
    /// likelier. `factor` is usually 1.0; more is earlier. So a fleet that loaded together does not load together again.
    ///
    /// After Vattani, Chierichetti, Lowenstein, "Optimal Probabilistic Cache Stampede Prevention", VLDB 2015, section 4. The cost is
    /// measured on the cache's clock, which steps by some milliseconds: loads that take less are not begun early.
    pub fn refresh_early(self, factor: f64) -> Self
    where
        L::Loader: Runs<Output = Result<L::Loaded, L::Error>> + Send + 'static,
        L::Error: Send + 'static,
    {
        self.background().care(|asked| asked.refresh_early(factor))
    }

    /// How long the call waits for a load where a stale value is there that [`stale_on_error`](Self::stale_on_error) lets it have: then it is
    /// served that, and the load goes on in the background. Shorter than [`hard`](Self::hard).
    pub fn soft(self, time: impl IntoTtl) -> Self
    where
        L::Loader: Runs<Output = Result<L::Loaded, L::Error>> + Send + 'static,
        L::Error: Send + 'static,
    {
        self.background().care(|asked| asked.soft(time))
    }

    /// How long the call waits at all: then it ends in [`ErrorKind::TimedOut`], or with a stale value where it may have one. Its own
    /// load is cut: an async loader is dropped; a [`detached`](Self::detached) one goes on, and is stored if nothing has changed
    /// meanwhile. One that this call begins in the background is cut, too, so that it does not hang for ever. A sync loader that runs on
    /// this very thread cannot be cut; who waits for it goes.
    pub fn hard(self, time: impl IntoTtl) -> Self {
        self.care(|asked| asked.hard(time))
    }

    /// How long nobody tries to load a stale value anew after one has begun to in the background, or has failed. Default: 1 second.
    pub fn throttle(self, time: impl IntoTtl) -> Self {
        self.care(|asked| asked.throttle(time))
    }

    /// Lets the load go on, and be stored, though this call is dropped or has waited for as long as it would. Where nobody can run it (1,024 that go on
    /// are under way already, and the cache has neither a spawner nor a runtime), the call runs it by itself, and it ends with the call.
    pub fn detached(self) -> Self
    where
        L::Loader: Runs<Output = Result<L::Loaded, L::Error>> + Send + 'static,
        L::Error: Send + 'static,
    {
        self.background().care(Asked::detached)
    }

    /// Says that the loader may run in the background, as its [region](crate::RegionBuilder) says: where that has a stale window, say. It is
    /// said with [`stale`](Self::stale), [`refresh`](Self::refresh), [`soft`](Self::soft) and [`detached`](Self::detached). Calls that do
    /// not say so wait for their loads.
    pub fn background(mut self) -> Self
    where
        L::Loader: Runs<Output = Result<L::Loaded, L::Error>> + Send + 'static,
        L::Error: Send + 'static,
    {
        self.loading.send_with(|| SendOff::new(L::stored));
        self
    }

    /// Answers with the value and how it stands by its time-to-live: fresh or stale.
    pub fn marked(self) -> Marked<L> {
        Marked(self)
    }

    fn care(mut self, ask: impl FnOnce(&mut Asked)) -> Self {
        self.terms = self.terms.care(ask);
        self
    }

    /// Gives a failed load's error, cloned, to all who waited for it. Without this one of them loads
    /// next, at most twice, and then all get [`LoadError::LeaderFailed`]. Callers of one key should agree on it.
    pub fn share_errors(mut self) -> Self
    where
        L::Error: Clone + Send + Sync + 'static,
    {
        self.loading.share_with(Sharing::by_clone);
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
            // By value: what is lent to another function has to be in memory, on the way of a hit, too.
            None => self.park().0,
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
            Ok(said) => self.loading.poll_load(said, context),
            Err(error) => Poll::Ready(Err(error.into())),
        }
    }

    #[cold]
    #[inline(never)]
    fn park(self) -> (Result<L::Value, LoadError<L::Error>>, Freshness) {
        // Whoever parks looks after stalled leaders, so shared and mutable access must not overlap.
        let this = std::cell::RefCell::new(self);
        let answer = park_on(std::future::poll_fn(|context| this.borrow_mut().poll_on(context)), || {
            this.borrow().loading.look_up();
        });
        let freshness = this.borrow().loading.freshness();
        (answer, freshness)
    }
}

/// A value, and how it stands by its time-to-live.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Served<T> {
    /// The value.
    pub value: T,
    /// Whether it is past its time-to-live, and by how much.
    pub freshness: Freshness,
}

impl<T> Served<T> {
    pub(crate) const fn new(value: T, freshness: Freshness) -> Self {
        Self { value, freshness }
    }

    /// Whether the value's time-to-live is over.
    pub fn is_stale(&self) -> bool {
        self.freshness.is_stale()
    }
}

/// A [`GetOrLoad`] that answers with the value and how it stands.
#[must_use = "an operation does nothing unless it is awaited or waited for"]
#[derive(Debug)]
pub struct Marked<L>(GetOrLoad<L>);

impl<L: Loading> Marked<L> {
    /// As [`GetOrLoad::wait`].
    ///
    /// # Errors
    /// [`LoadError`].
    pub fn wait(mut self) -> Result<Served<L::Value>, LoadError<L::Error>> {
        let (answer, freshness) = match self.0.glance() {
            Some(answer) => (answer, Freshness::Fresh),
            None => self.0.park(),
        };
        answer.map(|value| Served { value, freshness })
    }
}

impl<L: Loading> Future for Marked<L> {
    type Output = Result<Served<L::Value>, LoadError<L::Error>>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let polled = Pin::new(&mut self.0).poll(context);
        polled.map_ok(|value| Served { value, freshness: self.0.loading.freshness() })
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
