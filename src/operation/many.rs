//! Several keys of one scope at once: got, or loaded by one loader.
//!
//! (1) Each key has an answer of its own, in the order in which they were asked for; one that is asked for twice is looked for once. (2) What
//! is missing is loaded by one call of the loader, beside what others load already.

use std::cell::RefCell;
use std::collections::HashMap;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use strata_cache_core::engine::{Engine, Enough, Key, Store, Value};
use strata_cache_core::error::{Error, ErrorKind, Result};
use strata_cache_core::expiry::IntoTtl;
use strata_cache_core::scope::{IntoTag, ScopePath};

use super::done::spent;
use super::keyed::Convert;
use super::load::LoadError;
use super::terms::{Said, Terms};
use crate::care::Asked;
use crate::driver::{Answer, Batch, LoadTerms, SharedError, park_on};
use crate::plan::{Coalescing, WhenLeadersFail};

/// Where, and which keys.
pub(crate) struct Wanted<K: Key, V: Value> {
    pub(crate) engine: Arc<Engine>,
    pub(crate) store: Arc<Store<K, V>>,
    pub(crate) place: Result<ScopePath>,
    pub(crate) keys: Result<Vec<K>>,
}

/// How a batch is loaded. Implemented by the library only.
pub trait LoadingMany {
    /// A value handed out.
    type Value;
    /// The loader's error.
    type Error;

    #[doc(hidden)]
    fn share_with(&mut self, share: fn(&Self::Error) -> Option<SharedError>);

    #[doc(hidden)]
    #[expect(clippy::type_complexity, reason = "an answer for each key")]
    fn poll_many(
        &mut self,
        said: Said<'_>,
        context: &mut Context<'_>,
    ) -> Poll<Result<Vec<Result<Self::Value, LoadError<Self::Error>>>>>;

    #[doc(hidden)]
    fn look_up(&self);
}

/// A get-or-load of several keys that has not happened yet. Dropping it midway cancels this call only: what it was loading for others too
/// is loaded by them.
#[must_use = "an operation does nothing unless it is awaited or waited for"]
pub struct LoadMany<L> {
    loading: L,
    terms: Terms,
}

/// An answer for each key.
type Answers<L> = Result<Vec<Result<<L as LoadingMany>::Value, LoadError<<L as LoadingMany>::Error>>>>;

impl<L: LoadingMany> LoadMany<L> {
    pub(crate) const fn new(loading: L) -> Self {
        Self { loading, terms: Terms::new() }
    }

    /// How long loaded values may be served: a `Duration`, whole seconds, or a text like `"90s"`, `"never"`.
    pub fn ttl(mut self, ttl: impl IntoTtl) -> Self {
        self.terms = self.terms.ttl(ttl);
        self
    }

    /// Marks the loaded entries with a tag; as [`GetOrLoad::tag`](crate::GetOrLoad::tag).
    pub fn tag(self, tag: impl IntoTag) -> Self {
        self.tags([tag])
    }

    /// As [`tag`](Self::tag), with several.
    pub fn tags(mut self, tags: impl IntoIterator<Item = impl IntoTag>) -> Self {
        self.terms = self.terms.tags(tags, "load_many");
        self
    }

    /// As [`GetOrLoad::stale_on_error`](crate::GetOrLoad::stale_on_error), for each key.
    pub fn stale_on_error(self, window: impl IntoTtl) -> Self {
        self.care(|asked| asked.stale_on_error(window))
    }

    /// As [`GetOrLoad::hard`](crate::GetOrLoad::hard): keys that are there by then are answered, the others end in
    /// [`ErrorKind::TimedOut`].
    pub fn hard(self, time: impl IntoTtl) -> Self {
        self.care(|asked| asked.hard(time))
    }

    /// As [`GetOrLoad::throttle`](crate::GetOrLoad::throttle).
    pub fn throttle(self, time: impl IntoTtl) -> Self {
        self.care(|asked| asked.throttle(time))
    }

    /// Gives the error of a key, cloned, to all who wait for it alone. Other batches load it themselves.
    pub fn share_errors(mut self) -> Self
    where
        L::Error: Clone + Send + Sync + 'static,
    {
        self.loading.share_with(|error| Some(Arc::new(error.clone())));
        self
    }

    fn care(mut self, ask: impl FnOnce(&mut Asked)) -> Self {
        self.terms = self.terms.care(ask);
        self
    }

    /// Performs it on this thread, as [`GetOrLoad::wait`](crate::GetOrLoad::wait) does.
    ///
    /// # Errors
    /// What is wrong with place, keys or options; each key has an answer, or a [`LoadError`], of its own.
    pub fn wait(mut self) -> Answers<L> {
        let this = RefCell::new(&mut self);
        park_on(std::future::poll_fn(|context| this.borrow_mut().poll_on(context)), || {
            this.borrow().loading.look_up();
        })
    }

    fn poll_on(&mut self, context: &mut Context<'_>) -> Poll<Answers<L>> {
        match self.terms.look() {
            Ok(said) => self.loading.poll_many(said, context),
            Err(error) => Poll::Ready(Err(error)),
        }
    }
}

// Nothing in here is pinned in place.
impl<L> Unpin for LoadMany<L> {}

impl<L: LoadingMany> Future for LoadMany<L> {
    type Output = Answers<L>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.poll_on(context)
    }
}

impl<L> std::fmt::Debug for LoadMany<L> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LoadMany").field("terms", &self.terms).finish_non_exhaustive()
    }
}

/// A batch of one store. `F` makes the loader's run `R`, `C` converts.
pub(crate) struct KeyedMany<U, E, T, K: Key, V: Value, C, F, R> {
    stage: Stage<E, K, V, F, R>,
    share: fn(&E) -> Option<SharedError>,
    /// For each key that was asked for, its place among those that are different.
    places: Vec<usize>,
    types: PhantomData<fn(U, C) -> T>,
}

enum Stage<E, K: Key, V: Value, F, R> {
    New(Wanted<K, V>, F),
    Loading(Box<Batch<K, V, E, F, R>>, std::sync::Weak<Engine>),
    Done,
}

impl<U, E, T, K: Key, V: Value, C: Convert<U, V, T>, F, R> KeyedMany<U, E, T, K, V, C, F, R> {
    pub(crate) fn new(_: C, wanted: Wanted<K, V>, loader: F) -> Self {
        Self { stage: Stage::New(wanted, loader), share: |_| None, places: Vec::new(), types: PhantomData }
    }
}

impl<U, E, T, K, V, C, F, R> KeyedMany<U, E, T, K, V, C, F, R>
where
    K: Key,
    V: Value,
    F: Fn(Vec<K>) -> R,
    R: Future<Output = Vec<Result<V, E>>>,
{
    fn begin(&mut self, said: &Said<'_>) -> Result<()> {
        let Stage::New(wanted, loader) = std::mem::replace(&mut self.stage, Stage::Done) else {
            return Ok(());
        };
        let Wanted { engine, store, place, keys } = wanted;
        let (place, care) = (place?, said.care(&*store)?);
        let mut different: Vec<K> = Vec::new();
        let mut known: HashMap<K, usize> = HashMap::new();
        for key in keys? {
            let at = *known.entry(key.clone()).or_insert(different.len());
            if at == different.len() {
                different.push(key);
            }
            self.places.push(at);
        }
        let Some(any) = different.first().cloned() else { return Ok(()) };
        let mut write = said.write;
        if said.asked.is_some() {
            (write.keep, write.early) = (Some(care.takes.longest()), Some(care.early));
        }
        let look_up = Arc::downgrade(&engine);
        let terms = LoadTerms {
            engine,
            store,
            place,
            key: any,
            write,
            tags: said.tags.clone(),
            when_leaders_fail: WhenLeadersFail::Report,
            coalescing: Coalescing::On(None),
            enough: Enough::Stored,
            care,
            has_kept: false,
        };
        self.stage = Stage::Loading(Box::new(Batch::new(terms, different, loader, self.share)), look_up);
        Ok(())
    }
}

impl<U, E, T: Clone, K, V, C, F, R> LoadingMany for KeyedMany<U, E, T, K, V, C, F, R>
where
    K: Key,
    V: Value,
    C: Convert<U, V, T>,
    F: Fn(Vec<K>) -> R,
    R: Future<Output = Vec<Result<V, E>>>,
{
    type Value = T;
    type Error = E;

    fn share_with(&mut self, share: fn(&E) -> Option<SharedError>) {
        self.share = share;
    }

    fn poll_many(
        &mut self,
        said: Said<'_>,
        context: &mut Context<'_>,
    ) -> Poll<Result<Vec<Result<T, LoadError<E>>>>> {
        if matches!(self.stage, Stage::New(..)) {
            self.begin(&said)?;
            if matches!(self.stage, Stage::Done) {
                return Poll::Ready(Ok(Vec::new()));
            }
        }
        let Stage::Loading(batch, _) = &mut self.stage else { return Poll::Ready(Err(spent("load_many"))) };
        let answers = ready!(batch.poll(context));
        self.stage = Stage::Done;
        let answers = answers?.into_iter().map(answered::<U, E, T, V, C>).collect();
        Poll::Ready(Ok(in_order(answers, &self.places)))
    }

    fn look_up(&self) {
        if let Stage::Loading(_, engine) = &self.stage
            && let Some(engine) = engine.upgrade()
        {
            engine.look_after_waiters();
        }
    }
}

fn answered<U, E, T, V, C: Convert<U, V, T>>(answer: Answer<V, E>) -> Result<T, LoadError<E>> {
    match answer {
        Answer::Value(value, _) => C::serve(value).map_err(LoadError::Cache),
        Answer::Failed(error) => Err(LoadError::Load(error)),
        Answer::LeaderFailed => Err(LoadError::LeaderFailed),
        Answer::Stalled => Err(LoadError::Cache(Error::new(ErrorKind::Stalled, "load_many"))),
        Answer::Refused(error) => Err(LoadError::Cache(error)),
    }
}

/// Answers as they were asked for. One that is asked for again is a clone, or says that the first one has the error.
fn in_order<T: Clone, E>(
    answers: Vec<Result<T, LoadError<E>>>,
    places: &[usize],
) -> Vec<Result<T, LoadError<E>>> {
    let mut left: Vec<Option<Result<T, LoadError<E>>>> = answers.into_iter().map(Some).collect();
    let mut last = vec![0; left.len()];
    places.iter().enumerate().for_each(|(at, place)| last[*place] = at);
    let answer = |(at, place): (usize, &usize)| {
        let place = *place;
        if last[place] == at {
            return left[place].take();
        }
        Some(match left[place].as_ref()? {
            Ok(value) => Ok(value.clone()),
            Err(LoadError::Cache(error)) => Err(LoadError::Cache(error.clone())),
            Err(_) => Err(LoadError::LeaderFailed),
        })
    };
    places.iter().enumerate().filter_map(answer).collect()
}
