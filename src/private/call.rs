//! What a cached function does at a call.
//!
//! (1) A hit allocates nothing and clones the value once. (2) A call without a scope never falls back to another one:
//! it runs uncached, returns an error or panics, as declared. (3) Sync and async functions share all of it but the last
//! step, which waits or is awaited.

use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;

use strata_cache_core::engine::{Enough, Key, Write};
use strata_cache_core::epoch;
use strata_cache_core::error::{Error, Result};
use strata_cache_core::scope::{Tag, Tags};

use super::key::View;
use super::outcome::{Outcome, SharedError};
use super::place::Place;
use super::rules::Rules;
use super::site::{At, Opened};
use super::spec::{Coalesce, WithoutScope};
use super::tags::together;
use crate::context::{InScope, ambient_scope};
use crate::driver::{
    Answer, Boxed, InPlace, Load, LoadTerms, Loader, Once, Run, Uncached, detached, park_on, uncached,
};
use crate::exceptions::{self, InCache, Order};
use crate::place::ToScope;
use crate::plan::{Coalescing, WhenLeadersFail};
use crate::trace;

/// What the first look of a call comes to.
pub enum Start<R, P> {
    /// The function's answer.
    Done(R),
    /// The function has to run, or somebody else's run has to be waited for.
    Load(P),
}

/// A call that was no hit. It borrows nothing.
pub struct Pending<K: Key, R, O: Outcome<R>> {
    /// `None`: the call runs past the cache.
    terms: Option<LoadTerms<K, O::Value>>,
    at: At,
    kind: O,
    rules: Rules<O::Value>,
    returns: PhantomData<fn() -> R>,
}

/// Looks for the value of a call.
#[inline(always)]
pub fn start<V: View, R, O: Outcome<R>, const N: usize>(
    at: At,
    place: Place<'_, N>,
    view: &V,
    kind: O,
) -> Start<R, Pending<V::Key, R, O>> {
    match glance(at, &place, view) {
        Some(value) => Start::Done(kind.ok(value)),
        // Packed anew, so that only this way needs the place in memory.
        None => start_slowly((at, place), view, kind),
    }
}

/// The value of a call, where one look tells it.
#[inline(always)]
fn glance<V: View, T: crate::Value, const N: usize>(at: At, place: &Place<'_, N>, view: &V) -> Option<T> {
    let (site, path) = (at.if_plain()?.known()?, place.path()?);
    let store = site.known_store::<V::Key, T>()?;
    let engine = site.cache.engine();
    let pin = epoch::glimpse()?;
    let (found, count) = engine.registry().glance_path(
        &pin,
        (site.level, path),
        #[inline(always)]
        |node| store.glance_hit(&pin, node, view),
    )?;
    drop(pin);
    store.look_up_at(count);
    Some(found)
}

#[cold]
#[inline(never)]
fn start_slowly<V: View, R, O: Outcome<R>, const N: usize>(
    (at, place): (At, Place<'_, N>),
    view: &V,
    kind: O,
) -> Start<R, Pending<V::Key, R, O>> {
    let pending = |terms| Pending { terms, at, kind, rules: Rules::default(), returns: PhantomData };
    match look(at, place, view) {
        Looked::Hit(value) => Start::Done(kind.ok(value)),
        Looked::Miss(terms) => Start::Load(pending(Some(terms))),
        Looked::Past => Start::Load(pending(None)),
        Looked::Nowhere(error) => {
            kind.no_scope(error).map_or_else(|| Start::Load(pending(None)), Start::Done)
        }
    }
}

enum Looked<K: Key, V: crate::Value> {
    Hit(V),
    Miss(LoadTerms<K, V>),
    /// The call is to run past the cache.
    Past,
    /// There is no scope, and the function would rather have an error, if it has one for that.
    Nowhere(Error),
}

/// Looks in full. Knows nothing of what the function returns.
fn look<V: View, T: crate::Value, const N: usize>(
    at: At,
    place: Place<'_, N>,
    view: &V,
) -> Looked<V::Key, T> {
    let site = at.open::<V::Key, T>();
    let order = at.order();
    if order == Some(Order::Bypass) {
        site.count_bypass();
        return Looked::Past;
    }
    look_in(&site, place, view, order == Some(Order::Renew)).unwrap_or_else(|error| site.nowhere(error))
}

impl Opened {
    /// The call cannot be looked for.
    #[cold]
    fn nowhere<K: Key, T: crate::Value>(&self, error: Error) -> Looked<K, T> {
        match self.without_scope {
            WithoutScope::Panic => panic!("{error}"),
            WithoutScope::Error => {
                self.bypassed(&error);
                Looked::Nowhere(error)
            }
            WithoutScope::Bypass => {
                self.bypassed(&error);
                Looked::Past
            }
        }
    }
}

fn look_in<V: View, T: crate::Value, const N: usize>(
    site: &Opened,
    place: Place<'_, N>,
    view: &V,
    is_renewed: bool,
) -> Result<Looked<V::Key, T>> {
    let store = site.store::<V::Key, T>()?;
    place.with(site.level, |path| {
        let engine = site.cache.engine();
        let pin = epoch::pin();
        let found = engine.registry().with(&pin, path, "cached", |node| {
            let node = node.filter(|_| !is_renewed)?;
            let found = store.hit_pinned(&pin, engine, node, view)?;
            trace::lookup(store.name(), Some(node), true);
            Some(found)
        })?;
        drop(pin);
        if let Some(value) = found {
            return Ok(Looked::Hit(value));
        }
        Ok(Looked::Miss(LoadTerms {
            engine: Arc::clone(site.cache.engine()),
            store,
            place: path.path(&site.cache, "cached")?,
            key: view.to_key(),
            write: Write::default(),
            tags: Tags::none(),
            when_leaders_fail: WhenLeadersFail::RunAlone,
            coalescing: match site.coalesce {
                // A run beside others would store nothing, and this one is to.
                _ if is_renewed => Coalescing::On(None),
                Coalesce::On { wait } => Coalescing::On(wait),
                Coalesce::Off => Coalescing::Off,
            },
            enough: if is_renewed { Enough::LoadFromNow } else { Enough::Stored },
        }))
    })
}

impl<K: Key, R, O: Outcome<R>> Pending<K, R, O> {
    /// What comes of the call is stored by these rules.
    #[must_use]
    pub fn by(mut self, rules: Rules<O::Value>) -> Self {
        self.rules = rules;
        match rules.check() {
            Ok(()) => self,
            Err(error) => self.past(&error),
        }
    }

    /// What comes of the call has these tags. They are made where it may be stored, and only there.
    #[must_use]
    pub fn tagged<const N: usize>(mut self, tags: impl FnOnce() -> [Result<Tag>; N]) -> Self {
        if let Some(terms) = &mut self.terms {
            match together(tags()) {
                Ok(tags) => terms.tags = tags,
                Err(error) => return self.past(&error),
            }
        }
        self
    }

    /// It cannot be stored as it is to be: the call runs past the cache.
    #[cold]
    fn past(mut self, why: &Error) -> Self {
        if let Some(terms) = self.terms.take() {
            self.at.bypassed(&*terms.store, why);
        }
        self
    }

    /// Whether the run can go on without its caller: not where it runs past the cache, for nobody else has a use for it then.
    pub fn can_be_detached(&self) -> bool {
        self.terms.is_some()
    }

    /// Answers the call of an async function whose run goes on if its caller goes away. Past the cache it is one like others.
    pub fn run_detached<F>(self, load: F) -> impl Future<Output = R>
    where
        R: Send + 'static,
        O: Send + 'static,
        O::Error: Send,
        F: Future<Output = R> + Send + 'static,
    {
        let (kind, function) = (self.kind, self.function());
        let load = match self.terms {
            None => Err(load),
            Some(terms) => Ok(Load::new(terms, function, Boxed::<F, F>::New(load))),
        };
        async move {
            match load {
                Ok(load) => returned(kind, detached(load, along).await),
                Err(run) => Uncached { run }.await,
            }
        }
    }

    /// Answers the call of a sync function; parks while somebody else runs it.
    pub fn run(self, load: impl FnOnce() -> R) -> R {
        let mut load = Some(load);
        self.run_any(&mut || load.take().expect("a body runs once")())
    }

    /// As [`run`](Self::run), compiled once for all bodies.
    #[inline(never)]
    fn run_any(self, load: &mut dyn FnMut() -> R) -> R {
        let (kind, function) = (self.kind, self.function());
        let Some(terms) = self.terms else { return uncached(load) };
        let engine = Arc::clone(&terms.engine);
        let load = Load::new(terms, function, Once::new(load));
        returned(kind, park_on(load, || engine.look_after_waiters()))
    }

    fn function(&self) -> Function<R, O> {
        Function { kind: self.kind, rules: self.rules, returns: PhantomData }
    }

    /// Answers the call of an async function.
    pub fn run_async<F: Future<Output = R>>(self, load: F) -> impl Future<Output = R> {
        let (kind, function) = (self.kind, self.function());
        // Boxed, so that a call that is a hit moves nothing of it.
        let load = match self.terms {
            None => Err(Box::pin(load)),
            Some(terms) => Ok(Box::pin(Load::new(terms, function, InPlace::Here { future: load }))),
        };
        async move {
            match load {
                Ok(load) => returned(kind, load.await),
                Err(run) => Uncached { run }.await,
            }
        }
    }
}

/// What goes on without its caller keeps the ambient scope, and the cache that stands in.
fn along(run: Run) -> Run {
    let run = match ambient_scope() {
        Some(scope) => Box::pin(run.in_scope(scope)),
        None => run,
    };
    match exceptions::stand_in() {
        Some(cache) => Box::pin(run.in_cache(&cache)),
        None => run,
    }
}

fn returned<R, O: Outcome<R>>(kind: O, answer: Answer<O::Value, O::Error>) -> R {
    match answer {
        Answer::Value(value) => kind.ok(value),
        Answer::Failed(error) => kind.err(error),
        Answer::LeaderFailed | Answer::Stalled | Answer::Refused(_) => {
            unreachable!("a cached function runs by itself where others report")
        }
    }
}

/// The user's function as a loader.
struct Function<R, O: Outcome<R>> {
    kind: O,
    rules: Rules<O::Value>,
    returns: PhantomData<fn() -> R>,
}

impl<R, O: Outcome<R>> Loader<O::Value> for Function<R, O> {
    type Output = R;
    type Error = O::Error;

    fn split(&self, output: R) -> Result<O::Value, O::Error> {
        self.kind.split(output)
    }

    fn share(&self, error: &O::Error) -> Option<SharedError> {
        self.kind.share(error)
    }

    fn unshare(&self, shared: &SharedError) -> Option<O::Error> {
        self.kind.unshare(shared)
    }

    fn write(&self, value: &O::Value, write: Write) -> Option<Write> {
        self.rules.write(value, write)
    }
}
