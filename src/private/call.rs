//! What a cached function and its companions do at a call.
//!
//! (1) A hit allocates nothing and clones the value once. (2) A call without a scope never falls back to another one:
//! it runs uncached, returns an error or panics, as declared. (3) Sync and async functions share all of it but the last
//! step, which waits or is awaited.

use std::future::Future;
use std::marker::PhantomData;
use std::sync::Arc;

use strata_cache_core::engine::{Key, Look, Taken, Write};
use strata_cache_core::epoch;
use strata_cache_core::error::{Error, ErrorKind, Result};
use strata_cache_core::event::RemovalCause;
use strata_cache_core::scope::{IdText, LevelId, Node, PathIds, ScopeId, Tags};
use strata_cache_core::stats::Stats;

use super::key::View;
use super::outcome::{Outcome, SharedError};
use super::site::{At, Opened, WithoutScope};
use crate::context::ambient_scope;
use crate::driver::{Answer, Load, LoadTerms, Loader, park_on};
use crate::operation::{Call, Done, Evicted};
use crate::place::ToScope;
use crate::plan::WhenLeadersFail;
use crate::region::invalidate_scope as invalidate_region_scope;
use crate::trace;

/// The report of a companion `invalidate`: whether a usable entry was there. It acted at the call.
pub type Invalidated = Done<bool>;
/// The report of a companion `invalidate_scope`. It acted at the call.
pub type Evicting = Done<Evicted>;
/// What the companion `stats` gives.
pub type RegionStats = Stats;

/// The text of an id, borrowed where it is text.
#[inline]
pub fn id<T: ScopeId + ?Sized>(id: &T) -> IdText<'_> {
    id.id_text()
}

/// Where a cached function keeps its values.
pub struct Place<'a, const N: usize> {
    levels: &'static [&'static str; N],
    /// `None`: out of the ambient scope.
    path: Option<PathIds<'a, N>>,
}

impl<'a, const N: usize> Place<'a, N> {
    /// The last of these levels, with all ids.
    #[inline]
    pub fn ids(levels: &'static [&'static str; N], ids: [IdText<'a>; N]) -> Self {
        Self { levels, path: Some(PathIds::new(levels, ids)) }
    }

    /// The last of these levels, out of the ambient scope.
    pub fn ambient(levels: &'static [&'static str; N]) -> Self {
        Self { levels, path: None }
    }

    /// Calls with the exact path. `level` is the site's, if it has been found.
    fn with<R>(self, level: Option<LevelId>, run: impl FnOnce(&PathIds<'_, N>) -> Result<R>) -> Result<R> {
        let at = |mut path: PathIds<'_, N>| {
            if let Some(level) = level {
                path.set_level(level);
            }
            run(&path)
        };
        if let Some(path) = self.path {
            return at(path);
        }
        let scope = ambient_scope().ok_or_else(|| {
            Error::new(ErrorKind::NoScope, "cached")
                .because("call it inside `scope.enter(..)`, or await it inside `future.in_scope(..)`; neither reaches a spawned task")
        })?;
        // Exactly the levels asked for, from the ids of just these levels.
        let fits = scope.path().parts().map(|(level, _)| level).take(N).eq(self.levels.iter().copied());
        if !fits {
            return Err(Error::new(ErrorKind::NoScope, "cached")
                .with("ambient", &scope)
                .with("wanted", self.levels.join("/"))
                .because("the ambient scope does not lie on the level asked for, or below it"));
        }
        let mut parts = scope.path().parts();
        let ids = std::array::from_fn(|_| IdText::borrowed(parts.next().map_or("", |(_, id)| id)));
        at(PathIds::new(self.levels, ids))
    }
}

impl Place<'static, 0> {
    /// The root scope.
    pub fn global() -> Self {
        Self { levels: &[], path: Some(PathIds::new(&[], [])) }
    }
}

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
    kind: O,
    returns: PhantomData<fn() -> R>,
}

/// Looks for the value of a call.
#[inline]
pub fn start<V: View, R, O: Outcome<R>, const N: usize>(
    at: At,
    mut place: Place<'_, N>,
    view: &V,
    kind: O,
) -> Start<R, Pending<V::Key, R, O>> {
    match glance(at, &mut place, view) {
        Some(value) => Start::Done(kind.ok(value)),
        None => start_slowly(at, place, view, kind),
    }
}

/// The value of a call, where one look tells it.
#[inline]
fn glance<V: View, T: crate::Value, const N: usize>(at: At, place: &mut Place<'_, N>, view: &V) -> Option<T> {
    let (site, path) = (at.site.opened()?, place.path.as_mut()?);
    let store = site.known_store::<V::Key, T>()?;
    if let Some(level) = site.level {
        path.set_level(level);
    }
    let engine = site.cache.engine();
    let pin = epoch::glimpse()?;
    let (found, count) = engine.registry().glance(&pin, &*path, |node| store.glance_hit(&pin, node, view))?;
    drop(pin);
    store.look_up_at(count);
    Some(found)
}

#[cold]
#[inline(never)]
fn start_slowly<V: View, R, O: Outcome<R>, const N: usize>(
    at: At,
    place: Place<'_, N>,
    view: &V,
    kind: O,
) -> Start<R, Pending<V::Key, R, O>> {
    let site = at.open::<V::Key, O::Value>();
    match look(site, place, view) {
        Ok(Looked::Hit(value)) => Start::Done(kind.ok(value)),
        Ok(Looked::Miss(terms)) => Start::Load(Pending { terms: Some(terms), kind, returns: PhantomData }),
        Err(error) => match site.without_scope {
            WithoutScope::Panic => panic!("{error}"),
            WithoutScope::Error => {
                site.bypassed(&error);
                match kind.no_scope(error) {
                    Some(returned) => Start::Done(returned),
                    None => Start::Load(Pending { terms: None, kind, returns: PhantomData }),
                }
            }
            WithoutScope::Bypass => {
                site.bypassed(&error);
                Start::Load(Pending { terms: None, kind, returns: PhantomData })
            }
        },
    }
}

enum Looked<K: Key, V: crate::Value> {
    Hit(V),
    Miss(LoadTerms<K, V>),
}

fn look<V: View, T: crate::Value, const N: usize>(
    site: &Opened,
    place: Place<'_, N>,
    view: &V,
) -> Result<Looked<V::Key, T>> {
    let store = site.store::<V::Key, T>()?;
    place.with(site.level, |path| {
        let engine = site.cache.engine();
        let pin = epoch::pin();
        let found = engine.registry().with(&pin, path, "cached", |node| {
            let node = node?;
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
            store: Arc::clone(store),
            place: path.path(&site.cache, "cached")?,
            key: view.to_key(),
            write: Write::default(),
            tags: Tags::none(),
            when_leaders_fail: WhenLeadersFail::RunAlone,
        }))
    })
}

impl<K: Key, R, O: Outcome<R>> Pending<K, R, O> {
    /// Answers the call of a sync function; parks while somebody else runs it.
    pub fn run(self, load: impl FnOnce() -> R) -> R {
        let Some(terms) = self.terms else { return load() };
        let engine = Arc::clone(&terms.engine);
        let run = Function { future: Some(Call::new(load)), kind: self.kind, returns: PhantomData };
        let answer = park_on(Load::new(terms, run), || engine.look_after_waiters());
        returned(self.kind, answer)
    }

    /// Answers the call of an async function.
    pub fn run_async<F: Future<Output = R>>(self, load: F) -> impl Future<Output = R> {
        let kind = self.kind;
        let load = match self.terms {
            None => Err(load),
            Some(terms) => Ok(Load::new(terms, Function { future: Some(load), kind, returns: PhantomData })),
        };
        async move {
            match load {
                Ok(load) => returned(kind, load.await),
                Err(load) => load.await,
            }
        }
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
struct Function<R, O, F> {
    future: Option<F>,
    kind: O,
    returns: PhantomData<fn() -> R>,
}

impl<R, O: Outcome<R>, F: Future<Output = R>> Loader<O::Value> for Function<R, O, F> {
    type Output = R;
    type Error = O::Error;
    type Future = F;

    fn start(&mut self) -> Option<F> {
        self.future.take()
    }

    fn split(&self, output: R) -> Result<O::Value, O::Error> {
        self.kind.split(output)
    }

    fn share(&self, error: &O::Error) -> Option<SharedError> {
        self.kind.share(error)
    }

    fn unshare(&self, shared: &SharedError) -> Option<O::Error> {
        self.kind.unshare(shared)
    }
}

/// The value of a call if it is stored; nothing runs, nothing is counted as a lookup. `None` also without a scope.
pub fn peek<V: View, R, O: Outcome<R>, const N: usize>(
    at: At,
    place: Place<'_, N>,
    view: &V,
    kind: O,
) -> Option<R> {
    let site = at.open::<V::Key, O::Value>();
    let store = site.store::<V::Key, O::Value>().ok()?;
    let found = place.with(site.level, |path| {
        let (engine, pin) = (site.cache.engine(), epoch::pin());
        let peek = |node: Option<&Node>| store.get_pinned(&pin, engine, node, view, Look::Peek);
        engine.registry().with(&pin, path, "peek", peek)
    });
    found.ok().flatten().map(|value| kind.ok(value))
}

/// Withdraws the value of a call, at this call.
pub fn invalidate<V: View, R, O: Outcome<R>, const N: usize>(
    at: At,
    place: Place<'_, N>,
    view: &V,
    _kind: O,
) -> Invalidated {
    let site = at.open::<V::Key, O::Value>();
    Done::new(site.store::<V::Key, O::Value>().and_then(|store| {
        place.with(site.level, |path| {
            let engine = site.cache.engine();
            let Some(node) = engine.registry().find(path, "invalidate")? else { return Ok(false) };
            let taken = store.remove(engine, &node, view, RemovalCause::Invalidated, |_| true);
            Ok(matches!(taken, Taken::Value(_)))
        })
    }))
}

/// Withdraws the function's values in one scope, at this call.
pub fn invalidate_scope<const N: usize>(at: At, place: Place<'_, N>) -> Evicting {
    let Some(site) = at.site.opened() else { return Done::new(Ok(Evicted::default())) };
    let Some(region) = &site.region else { return Done::new(Ok(Evicted::default())) };
    Done::new(place.with(site.level, |path| {
        let path = path.path(&site.cache, "invalidate_scope")?;
        invalidate_region_scope(&site.cache, &**region, &path)
    }))
}

/// What the function's region has done and holds.
pub fn stats(at: At) -> RegionStats {
    let region = at.site.opened().and_then(|site| Some((site.region.as_ref()?, &site.cache)));
    region.map(|(region, cache)| region.stats(cache.engine())).unwrap_or_default()
}
