//! Loading one key of one store: programmatic, or of a typed region.
//!
//! (1) A hit allocates nothing: the key is owned, and the driver made, on a miss. (2) The loader runs inside a poll of
//! the driver, never while the driver is made.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use strata_cache_core::engine::{Engine, Key, Value, Write};
use strata_cache_core::error::{Error, ErrorKind, Result};

use super::done::spent;
use super::load::{LoadError, Loading, Sharing};
use crate::driver::{Answer, Load, LoadTerms, Loader, SharedError};

/// What the first look came to.
pub(crate) enum Started<K: Key, V: Value> {
    /// The value was there.
    Hit(V),
    /// It has to be loaded, or waited for.
    Miss(LoadTerms<K, V>),
}

/// Between what the loader gives (`U`), what the store holds (`V`) and what callers get (`T`).
pub(crate) struct Convert<U, V, T> {
    pub(crate) store: fn(U) -> V,
    pub(crate) serve: fn(V) -> Result<T>,
}

/// A load of one key. `B` looks for the first time, `R` is the loader's run.
pub(crate) struct KeyedLoad<U, E, T, K: Key, V: Value, B, R: Future<Output = Result<U, E>>> {
    serve: fn(V) -> Result<T>,
    stage: Stage<U, E, K, V, B, R>,
}

enum Stage<U, E, K: Key, V: Value, B, R: Future<Output = Result<U, E>>> {
    New { begin: B, run: Run<U, E, V, R> },
    Loading { load: Load<K, V, Run<U, E, V, R>, R>, look_up: std::sync::Weak<Engine> },
    Done,
}

impl<U, E, T, K, V, B, R> KeyedLoad<U, E, T, K, V, B, R>
where
    K: Key,
    V: Value,
    B: FnOnce(Write) -> Result<Started<K, V>>,
    R: Future<Output = Result<U, E>>,
{
    pub(crate) fn new(convert: Convert<U, V, T>, begin: B, future: R) -> Self {
        let Convert { store, serve } = convert;
        Self { serve, stage: Stage::New { begin, run: Run { store, future: Some(future), sharing: None } } }
    }

    fn begin(&mut self, write: Write) -> Result<Option<T>> {
        let Stage::New { begin, run } = std::mem::replace(&mut self.stage, Stage::Done) else {
            return Ok(None);
        };
        match begin(write)? {
            Started::Hit(value) => (self.serve)(value).map(Some),
            Started::Miss(terms) => {
                let look_up = std::sync::Arc::downgrade(&terms.engine);
                self.stage = Stage::Loading { load: Load::new(terms, run), look_up };
                Ok(None)
            }
        }
    }
}

impl<U, E, T, K, V, B, R> Loading for KeyedLoad<U, E, T, K, V, B, R>
where
    K: Key,
    V: Value,
    B: FnOnce(Write) -> Result<Started<K, V>>,
    R: Future<Output = Result<U, E>>,
{
    type Value = T;
    type Error = E;

    fn share_with(&mut self, sharing: Sharing<E>) {
        if let Stage::New { run, .. } = &mut self.stage {
            run.sharing = Some(sharing);
        }
    }

    fn poll_load(&mut self, write: Write, context: &mut Context<'_>) -> Poll<Result<T, LoadError<E>>> {
        if matches!(self.stage, Stage::New { .. }) {
            match self.begin(write) {
                Ok(Some(value)) => return Poll::Ready(Ok(value)),
                Ok(None) => {}
                Err(error) => return Poll::Ready(Err(error.into())),
            }
        }
        let Stage::Loading { load, .. } = &mut self.stage else {
            return Poll::Ready(Err(spent("get_or_load").into()));
        };
        let answer = ready!(Pin::new(load).poll(context));
        self.stage = Stage::Done;
        Poll::Ready(match answer {
            Answer::Value(value) => (self.serve)(value).map_err(LoadError::Cache),
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
        if let Stage::Loading { look_up, .. } = &self.stage
            && let Some(engine) = look_up.upgrade()
        {
            engine.look_after_waiters();
        }
    }
}

/// A loader of which the outcome is a `Result`.
pub(crate) struct Run<U, E, V, R> {
    store: fn(U) -> V,
    future: Option<R>,
    sharing: Option<Sharing<E>>,
}

impl<U, E, V, R: Future<Output = Result<U, E>>> Loader<V> for Run<U, E, V, R> {
    type Output = Result<U, E>;
    type Error = E;
    type Future = R;

    fn start(&mut self) -> Option<R> {
        self.future.take()
    }

    fn split(&self, output: Result<U, E>) -> Result<V, E> {
        output.map(self.store)
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

impl<F, R> Lazy<F, R> {
    pub(crate) const fn new(loader: F) -> Self {
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

// The function is called by value, never pinned.
impl<F> Unpin for Call<F> {}

impl<T, F: FnOnce() -> T> Future for Call<F> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<T> {
        self.0.take().map_or(Poll::Pending, |loader| Poll::Ready(loader()))
    }
}
