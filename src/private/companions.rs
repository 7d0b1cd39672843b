//! What the companions of a cached function do.
//!
//! (1) Those that take trust away act at the call. (2) None of them runs the function but `refresh` and `uncached`, which call
//! it with an order that its first look takes.

use std::future::Future;

use strata_cache_core::engine::{Explained, Look, Taken, Write};
use strata_cache_core::epoch;
use strata_cache_core::error::Result;
use strata_cache_core::event::RemovalCause;
use strata_cache_core::scope::{Node, Tag};
use strata_cache_core::stats::Stats;

use super::key::View;
use super::outcome::Outcome;
use super::place::Place;
use super::rules::Rules;
use super::site::At;
use super::tags::together;
use crate::exceptions::{Answered, Order, Ordered, with_answer, with_order};
use crate::operation::{Done, Evicted, Served};
use crate::place::ToScope;
use crate::region::invalidate_scope as invalidate_region_scope;

/// The report of a companion `invalidate`: whether an entry was there that could have been served, be it stale. It acted at the call.
pub type Invalidated = Done<bool>;
/// The report of a companion `invalidate_scope`. It acted at the call.
pub type Evicting = Done<Evicted>;
/// The report of a companion `prime`: whether the value is one that is stored. It acted at the call.
pub type Primed = Done<bool>;
/// What the companion `explain` gives, or why it cannot be told.
pub type Explaining = Result<Explained>;
/// What the companion `marked` gives.
pub type Marked<R> = Served<R>;
/// What the companion `stats` gives.
pub type RegionStats = Stats;

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

/// How what is stored of a call stands.
pub fn explain<V: View, R, O: Outcome<R>, const N: usize>(
    at: At,
    place: Place<'_, N>,
    view: &V,
    _kind: O,
) -> Explaining {
    let site = at.open::<V::Key, O::Value>();
    let store = site.store::<V::Key, O::Value>()?;
    place.with(site.level, |path| {
        let engine = site.cache.engine();
        let node = engine.registry().find(path, "explain")?;
        Ok(store.explain(engine, node.as_deref(), view))
    })
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
            Ok(matches!(taken, Taken::Value(_) | Taken::Stale))
        })
    }))
}

/// Stores what the function is to have returned, at this call, by its rules and with its tags.
pub fn prime<V: View, R, O: Outcome<R>, const N: usize, const TAGS: usize>(
    at: At,
    place: Place<'_, N>,
    view: &V,
    (kind, rules, tags): (O, Rules<O::Value>, [Result<Tag>; TAGS]),
    returned: R,
) -> Primed {
    if let Err(error) = rules.check() {
        return Done::new(Err(error));
    }
    let Ok(value) = kind.split(returned) else { return Done::new(Ok(false)) };
    let Some(write) = rules.write(&value, Write::default()) else { return Done::new(Ok(false)) };
    let site = at.open::<V::Key, O::Value>();
    Done::new(site.store::<V::Key, O::Value>().and_then(|store| {
        place.with(site.level, |path| {
            let (tags, path) = (together(tags)?, path.path(&site.cache, "prime")?);
            store.insert_tagged(site.cache.engine(), &path, (view.to_key(), value), write, &tags)?;
            Ok(true)
        })
    }))
}

/// Withdraws the function's values in one scope, at this call.
pub fn invalidate_scope<const N: usize>(at: At, place: Place<'_, N>) -> Evicting {
    let Some((cache, region)) = at.region() else { return Done::new(Ok(Evicted::default())) };
    Done::new(place.with(at.level_in(&cache), |path| {
        let path = path.path(&cache, "invalidate_scope")?;
        invalidate_region_scope(&cache, &*region, &path)
    }))
}

/// What the function's region has done and holds.
pub fn stats(at: At) -> RegionStats {
    at.region().map(|(cache, region)| region.stats(cache.engine())).unwrap_or_default()
}

/// A call that runs past the cache.
pub fn uncached<R>(at: At, call: impl FnOnce() -> R) -> R {
    with_order(at.address(), Order::Bypass, call).0
}

/// As [`uncached`], of an async function.
pub fn uncached_async<R>(at: At, call: impl Future<Output = R>) -> impl Future<Output = R> {
    Ordered::new(at.address(), Order::Bypass, call)
}

/// A call that runs anew, and whose value takes the place of what is stored.
pub fn refresh<R>(at: At, call: impl FnOnce() -> R) -> R {
    with_order(at.address(), Order::Renew, call).0
}

/// As [`refresh`], of an async function.
pub fn refresh_async<R>(at: At, call: impl Future<Output = R>) -> impl Future<Output = R> {
    Ordered::new(at.address(), Order::Renew, call)
}

/// A call, and how the value stood that it was answered with.
pub fn marked<R>(at: At, call: impl FnOnce() -> R) -> Served<R> {
    with_answer(at.address(), call)
}

/// As [`marked`], of an async function.
pub fn marked_async<R>(at: At, call: impl Future<Output = R>) -> impl Future<Output = Served<R>> {
    Answered::new(at.address(), call)
}
