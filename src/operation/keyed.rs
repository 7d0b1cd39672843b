//! Loading one key of one store: programmatic, or of a typed region.
//!
//! (1) A hit allocates nothing, and nothing is made before the first look: the key is owned, the loader's run and the driver
//! are made, on a miss. (2) The loader runs inside a poll of
//! the driver, never while the driver is made.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use strata_cache_core::engine::{Engine, Key, Value, Write};
use strata_cache_core::error::{Error, ErrorKind, Result};
use strata_cache_core::scope::Tags;

use super::done::spent;
use super::load::{LoadError, Loading, Sharing};
use crate::driver::{Answer, Boxed, Load, LoadTerms, Loader, SharedError};

/// What the first look came to.
pub(crate) enum Started<K: Key, V: Value> {
    /// The value was there.
    Hit(V),
    /// It has to be loaded, or waited for.
    Miss(LoadTerms<K, V>),
}

/// How a load is begun. The first look of all comes before anything is made.
pub(crate) trait Begin<K: Key, V: Value> {
    /// The value, where one look tells it. Counted, if so; `None` says nothing.
    fn glance(&self) -> Option<V>;

    /// Looks in full; where the value is not there, the terms of its load.
    fn begin(self, terms: (Write, &Tags)) -> Result<Started<K, V>>;
}

/// Between what the loader gives (`U`), what the store holds (`V`) and what callers get (`T`).
pub(crate) trait Convert<U, V, T> {
    fn store(value: U) -> V;
    fn serve(value: V) -> Result<T>;
}

/// A load of one key. `B` looks for the first time, `F` makes the loader's run `R`, `C` converts.
pub(crate) struct KeyedLoad<U, E, T, K: Key, V: Value, C, B, F, R: Future<Output = Result<U, E>>> {
    stage: Stage<U, E, T, K, V, C, B, F, R>,
    sharing: Option<Sharing<E>>,
}

type Types<U, T, C, R> = PhantomData<fn(U, C) -> (T, R)>;

enum Stage<U, E, T, K: Key, V: Value, C, B, F, R: Future<Output = Result<U, E>>> {
    New {
        begin: B,
        loader: F,
        types: Types<U, T, C, R>,
    },
    /// Boxed, so that a hit, which never gets here, moves little.
    #[expect(clippy::type_complexity, reason = "every parameter is named where it is bound")]
    Loading(Box<Running<U, E, T, K, V, C, F, R>>),
    Done,
}

#[expect(clippy::type_complexity, reason = "every parameter is named where it is bound")]
struct Running<U, E, T, K: Key, V: Value, C, F, R: Future<Output = Result<U, E>>> {
    load: Load<K, V, Run<U, E, T, C>, Boxed<F, R>>,
    look_up: Weak<Engine>,
}

impl<U, E, T, K, V, C, B, F, R> KeyedLoad<U, E, T, K, V, C, B, F, R>
where
    K: Key,
    V: Value,
    C: Convert<U, V, T>,
    B: Begin<K, V>,
    R: Future<Output = Result<U, E>> + From<F>,
{
    #[inline]
    pub(crate) fn new(_: C, begin: B, loader: F) -> Self {
        Self { stage: Stage::New { begin, loader, types: PhantomData }, sharing: None }
    }

    fn begin(&mut self, terms: (Write, &Tags)) -> Result<Option<T>> {
        let Stage::New { begin, loader, .. } = std::mem::replace(&mut self.stage, Stage::Done) else {
            return Ok(None);
        };
        match begin.begin(terms)? {
            Started::Hit(value) => C::serve(value).map(Some),
            Started::Miss(terms) => {
                let look_up = Arc::downgrade(&terms.engine);
                let run = Run { sharing: self.sharing.take(), types: PhantomData };
                let load = Load::new(terms, run, Boxed::New(loader));
                self.stage = Stage::Loading(Box::new(Running { load, look_up }));
                Ok(None)
            }
        }
    }
}

impl<U, E, T, K, V, C, B, F, R> Loading for KeyedLoad<U, E, T, K, V, C, B, F, R>
where
    K: Key,
    V: Value,
    C: Convert<U, V, T>,
    B: Begin<K, V>,
    R: Future<Output = Result<U, E>> + From<F>,
{
    type Value = T;
    type Error = E;

    fn share_with(&mut self, sharing: Sharing<E>) {
        self.sharing = Some(sharing);
    }

    #[inline]
    fn glance(&mut self) -> Option<Result<T, LoadError<E>>> {
        let Stage::New { begin, .. } = &self.stage else { return None };
        let value = begin.glance()?;
        // Taken apart, so that only what this stage has is dropped.
        if let Stage::New { begin, loader, .. } = std::mem::replace(&mut self.stage, Stage::Done) {
            drop((begin, loader));
        }
        Some(C::serve(value).map_err(LoadError::Cache))
    }

    fn poll_load(
        &mut self,
        terms: (Write, &Tags),
        context: &mut Context<'_>,
    ) -> Poll<Result<T, LoadError<E>>> {
        if matches!(self.stage, Stage::New { .. }) {
            match self.begin(terms) {
                Ok(Some(value)) => return Poll::Ready(Ok(value)),
                Ok(None) => {}
                Err(error) => return Poll::Ready(Err(error.into())),
            }
        }
        let Stage::Loading(running) = &mut self.stage else {
            return Poll::Ready(Err(spent("get_or_load").into()));
        };
        let answer = ready!(Pin::new(&mut running.load).poll(context));
        self.stage = Stage::Done;
        Poll::Ready(match answer {
            Answer::Value(value) => C::serve(value).map_err(LoadError::Cache),
            Answer::Failed(error) => Err(LoadError::Load(error)),
            Answer::LeaderFailed => Err(LoadError::LeaderFailed),
            Answer::Stalled => Err(LoadError::Cache(
                Error::new(ErrorKind::Stalled, "get_or_load")
                    .because("two loads of this key run past their lease; no third is started"),
            )),
            Answer::Refused(error) => Err(LoadError::Cache(error)),
        })
    }

    fn look_up(&self) {
        if let Stage::Loading(running) = &self.stage
            && let Some(engine) = running.look_up.upgrade()
        {
            engine.look_after_waiters();
        }
    }
}

/// How the outcome, a `Result`, of a loader is read.
struct Run<U, E, T, C> {
    sharing: Option<Sharing<E>>,
    types: PhantomData<fn(U, C) -> T>,
}

impl<U, E, T, V, C: Convert<U, V, T>> Loader<V> for Run<U, E, T, C> {
    type Output = Result<U, E>;
    type Error = E;

    fn split(&self, output: Result<U, E>) -> Result<V, E> {
        output.map(C::store)
    }

    fn share(&self, error: &E) -> Option<SharedError> {
        self.sharing.as_ref().map(|sharing| (sharing.share)(error))
    }

    fn unshare(&self, shared: &SharedError) -> Option<E> {
        self.sharing.as_ref().and_then(|sharing| (sharing.unshare)(shared))
    }
}

pin_project! {
    /// An async loader that is called at the first poll of its run.
    #[project = LazyStage]
    pub(crate) enum Lazy<F, R> {
        Uncalled { loader: Option<F> },
        Running { #[pin] future: R },
    }
}

impl<F, R> From<F> for Lazy<F, R> {
    fn from(loader: F) -> Self {
        Self::Uncalled { loader: Some(loader) }
    }
}

impl<F: FnOnce() -> R, R: Future> Future for Lazy<F, R> {
    type Output = R::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<R::Output> {
        loop {
            match self.as_mut().project() {
                LazyStage::Uncalled { loader } => match loader.take() {
                    Some(loader) => self.set(Self::Running { future: loader() }),
                    None => return Poll::Pending, // The loader panicked before it gave a future.
                },
                LazyStage::Running { future } => return future.poll(context),
            }
        }
    }
}

/// A sync loader as a run that is over at its first poll.
pub(crate) struct Call<F>(Option<F>);

impl<F> Call<F> {
    pub(crate) const fn new(loader: F) -> Self {
        Self(Some(loader))
    }
}

impl<F> From<F> for Call<F> {
    fn from(loader: F) -> Self {
        Self::new(loader)
    }
}

// The function is called by value, never pinned.
impl<F> Unpin for Call<F> {}

impl<T, F: FnOnce() -> T> Future for Call<F> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<T> {
        self.0.take().map_or(Poll::Pending, |loader| Poll::Ready(loader()))
    }
}
