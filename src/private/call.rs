//! What a cached function does at a call.
//!
//! (1) A hit allocates nothing and clones the value once. (2) A call without a scope never falls back to another one:
//! it runs uncached, returns an error or panics, as declared. (3) Sync and async functions share all of it but the last
//! step, which waits or is awaited.

use std::future::{Future, poll_fn};
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;

use strata_cache_core::engine::{Early, Enough, Freshness, Key, Tolerance, Write};
use strata_cache_core::epoch;
use strata_cache_core::error::{Error, Result};
use strata_cache_core::scope::{Node, Tag, Tags};

use super::key::View;
use super::outcome::{Outcome, SharedError};
use super::place::Place;
use super::rules::Rules;
use super::site::{At, Opened};
use super::spec::{Coalesce, WithoutScope};
use super::tags::together;
use crate::along::along;
use crate::driver::{
    Answer, Body, Boxed, InPlace, Kind, Load, LoadTerms, Loader, Once, Uncached, detached, park_on, refresh,
    uncached,
};
use crate::exceptions::{Order, note_answer};
use crate::operation::{Found, SyncLoader, open};
use crate::place::ToScope;
use crate::plan::{Coalescing, WhenLeadersFail};

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
    /// What the call is served; what runs then runs in the background.
    served: Option<(O::Value, Freshness, Arc<Node>)>,
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
    let pending = |terms, served| {
        Start::Load(Pending { terms, at, kind, rules: Rules::default(), served, returns: PhantomData })
    };
    match look(at, place, view) {
        Looked::Hit(value, freshness) => {
            note_answer(at.address(), freshness);
            Start::Done(kind.ok(value))
        }
        Looked::Renewing(value, freshness, terms, node) => {
            pending(Some(terms), Some((value, freshness, node)))
        }
        Looked::Miss(terms) => pending(Some(terms), None),
        Looked::Past => pending(None, None),
        Looked::Nowhere(error) => kind.refuse(error).map_or_else(|| pending(None, None), Start::Done),
    }
}

enum Looked<K: Key, V: crate::Value> {
    Hit(V, Freshness),
    /// It is to be loaded anew, in the background.
    Renewing(V, Freshness, LoadTerms<K, V>, Arc<Node>),
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
        let (engine, mut care) = (site.cache.engine(), *store.care());
        if is_renewed {
            // Whoever wants it anew wants to hear that it could not be had.
            (care.takes, care.soft) = (Tolerance::default(), None);
        }
        // Such functions are written so that they can run without their caller.
        let has_background = !care.takes.stale.is_zero() || care.early != Early::Never;
        let pin = epoch::pin();
        let look = |node: Option<&Node>| {
            let node = node.filter(|_| !is_renewed);
            open((&pin, engine, &store), node, view, &care, has_background)
        };
        let found = engine.registry().with(&pin, path, "cached", look)?;
        drop(pin);
        let terms = |has_kept| {
            Result::Ok(LoadTerms {
                engine: Arc::clone(engine),
                store: Arc::clone(&store),
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
                care,
                has_kept,
            })
        };
        Ok(match found {
            Found::Served(value, freshness) => Looked::Hit(value, freshness),
            Found::Miss { has_kept } => Looked::Miss(terms(has_kept)?),
            Found::Renewing(value, freshness) => match engine.registry().find(path, "cached")? {
                Some(node) => Looked::Renewing(value, freshness, terms(true)?, node),
                None => Looked::Hit(value, freshness),
            },
        })
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
        self.send(Boxed::<F, F>::New(load), Kind::Async, true)
    }

    /// Answers the call of an async function whose run may go on without its caller: where the value is served before, or is kept and the
    /// caller waits no longer.
    pub fn run_owned<F>(self, load: F) -> impl Future<Output = R>
    where
        R: Send + 'static,
        O: Send + 'static,
        O::Error: Send,
        F: Future<Output = R> + Send + 'static,
    {
        self.send(Boxed::<F, F>::New(load), Kind::Async, false)
    }

    /// As [`run_detached`](Self::run_detached), of a sync function.
    pub fn run_detached_sync<F>(self, load: F) -> R
    where
        R: Send + 'static,
        O: Send + 'static,
        O::Error: Send,
        F: FnOnce() -> R + Send + 'static,
    {
        self.send_sync(load, true)
    }

    /// As [`run_owned`](Self::run_owned), of a sync function.
    pub fn run_owned_sync<F>(self, load: F) -> R
    where
        R: Send + 'static,
        O: Send + 'static,
        O::Error: Send,
        F: FnOnce() -> R + Send + 'static,
    {
        self.send_sync(load, false)
    }

    fn send_sync<F>(self, load: F, is_detached: bool) -> R
    where
        R: Send + 'static,
        O: Send + 'static,
        O::Error: Send,
        F: FnOnce() -> R + Send + 'static,
    {
        if self.terms.is_none() {
            return self.run(load);
        }
        let engine = self.terms.as_ref().map(|terms| Arc::clone(&terms.engine));
        let answer = self.send(Boxed::<F, SyncLoader<F>>::New(load), Kind::Sync, is_detached);
        park_on(answer, || engine.iter().for_each(|engine| engine.look_after_waiters()))
    }

    /// Answers the call with what it is served, with a run of its own, or with one that goes on without it.
    fn send<B>(self, body: B, runs: Kind, is_detached: bool) -> impl Future<Output = R>
    where
        R: Send + 'static,
        O: Send + 'static,
        O::Error: Send,
        B: Body<R> + Unpin + Send + 'static,
    {
        enum Way<L, B, V> {
            Served(V, Freshness),
            Past(B),
            Alone(L),
            GoesOn(L),
        }
        let (kind, site, function) = (self.kind, self.at.address(), self.function());
        let way = match (self.terms, self.served) {
            (None, None) => Way::Past(body),
            (None, Some((value, freshness, _))) => Way::Served(value, freshness),
            (Some(terms), Some((value, freshness, node))) => {
                refresh(terms, node, runs, || (function, body), along);
                Way::Served(value, freshness)
            }
            (Some(mut terms), None) => {
                terms.care.is_detached = is_detached;
                let goes_on = is_detached || (terms.care.soft.is_some() && terms.has_kept);
                let load = Load::new(terms, function, body);
                if goes_on { Way::GoesOn(load) } else { Way::Alone(load) }
            }
        };
        async move {
            match way {
                Way::Served(value, freshness) => {
                    note_answer(site, freshness);
                    kind.ok(value)
                }
                Way::Past(mut body) => {
                    Uncached { run: poll_fn(move |context| Pin::new(&mut body).poll(context)) }.await
                }
                Way::Alone(load) => returned((kind, site), load.await),
                Way::GoesOn(load) => returned((kind, site), detached(load, along, runs).await),
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
        let (kind, site, function) = (self.kind, self.at.address(), self.function());
        if let Some((value, freshness, _)) = self.served {
            note_answer(site, freshness);
            return kind.ok(value);
        }
        let Some(terms) = self.terms else { return uncached(load) };
        let engine = Arc::clone(&terms.engine);
        let load = Load::new(terms, function, Once::new(load));
        returned((kind, site), park_on(load, || engine.look_after_waiters()))
    }

    fn function(&self) -> Function<R, O> {
        Function { kind: self.kind, rules: self.rules, returns: PhantomData }
    }

    /// Answers the call of an async function.
    pub fn run_async<F: Future<Output = R>>(self, load: F) -> impl Future<Output = R> {
        let (kind, site, function) = (self.kind, self.at.address(), self.function());
        let served = self.served.map(|(value, freshness, _)| (value, freshness));
        // Boxed, so that a call that is a hit moves nothing of it.
        let load = match self.terms {
            None => Err(Box::pin(load)),
            Some(terms) => Ok(Box::pin(Load::new(terms, function, InPlace::Here { future: load }))),
        };
        async move {
            if let Some((value, freshness)) = served {
                note_answer(site, freshness);
                return kind.ok(value);
            }
            match load {
                Ok(load) => returned((kind, site), load.await),
                Err(run) => Uncached { run }.await,
            }
        }
    }
}

fn returned<R, O: Outcome<R>>((kind, site): (O, usize), answer: Answer<O::Value, O::Error>) -> R {
    match answer {
        Answer::Value(value, freshness) => {
            note_answer(site, freshness);
            kind.ok(value)
        }
        Answer::Failed(error) => kind.err(error),
        // Only what has words for it is ever told.
        Answer::Refused(error) => match kind.refuse(error) {
            Some(refused) => refused,
            None => unreachable!("a function that cannot say why it brings no value waits for one"),
        },
        Answer::LeaderFailed | Answer::Stalled => {
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
