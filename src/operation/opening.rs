//! The begin of a load that was no hit at first sight: what is stored, how the call is served, and what it takes to load.
//!
//! (1) A look-up that is served here is counted here, once. (2) Where neither call nor region says how loads are cared for, nothing is
//! looked for but a fresh value.

use std::hash::Hash;
use std::sync::Arc;

use equivalent::Equivalent;
use strata_cache_core::engine::{Aged, Beat, Care, Engine, Enough, Freshness, Key, Store, Value};
use strata_cache_core::epoch::Pin;
use strata_cache_core::error::Result;
use strata_cache_core::event::LoadEventKind;
use strata_cache_core::scope::{Node, ScopePath};

use super::terms::Said;
use crate::driver::{LoadTerms, fall_back};
use crate::plan::{Coalescing, Opening, Sight, WhenLeadersFail, opening};
use crate::trace;

/// What the begin of a load came to.
pub(crate) enum Started<K: Key, V: Value> {
    /// The value was there.
    Served(V, Freshness),
    /// It was, and is to be loaded anew in the background, if nobody does.
    Renewing(V, Freshness, LoadTerms<K, V>, Arc<Node>),
    /// It has to be loaded, or waited for.
    Miss(LoadTerms<K, V>),
}

/// What is stored.
pub(crate) enum Found<V> {
    /// It is served.
    Served(V, Freshness),
    /// It is served, and to be loaded anew.
    Renewing(V, Freshness),
    /// It is not served, or not yet.
    Miss { has_kept: bool },
}

/// Looks for the value of a key, of whatever age the call takes.
pub(crate) fn open<K: Key, V: Value, Q>(
    (pin, engine, store): (&Pin, &Engine, &Store<K, V>),
    node: Option<&Node>,
    key: &Q,
    care: &Care,
    has_background: bool,
) -> Found<V>
where
    Q: Hash + Equivalent<K> + ?Sized,
{
    let Some(node) = node else { return Found::Miss { has_kept: false } };
    if care.is_plain() && store.care().is_plain() {
        let Some(value) = store.hit_pinned(pin, engine, node, key) else {
            return Found::Miss { has_kept: false };
        };
        trace::lookup(store.name(), Some(node), true);
        return Found::Served(value, Freshness::Fresh);
    }
    let (sight, beat, value) = match store.look_aged(pin, engine, node, key, care.takes) {
        Aged::Absent => (Sight::Absent, Beat::Quiet, None),
        Aged::Fresh(value, beat) => (Sight::Fresh, beat, Some((value, Freshness::Fresh))),
        Aged::Stale(value, past, beat) => (Sight::Stale, beat, Some((value, Freshness::Stale(past)))),
        Aged::Kept(beat) => (Sight::Kept, beat, None),
    };
    let served = |is_stale: bool| {
        if is_stale {
            store.count_stale_hit(node);
            engine.tell(store.name(), node, LoadEventKind::StaleServed);
        } else {
            store.count_lookup(Some(node), true);
        }
        trace::lookup(store.name(), Some(node), true);
    };
    match (opening(sight, beat == Beat::Due, has_background), value) {
        (Opening::Serve { then_refresh }, Some((value, freshness)))
        | (Opening::ServeStale { then_refresh }, Some((value, freshness))) => {
            served(freshness.is_stale());
            if then_refresh { Found::Renewing(value, freshness) } else { Found::Served(value, freshness) }
        }
        (Opening::FallBack, _) => match fall_back(engine, store, node, key, care) {
            Some((value, freshness)) => Found::Served(value, freshness),
            None => Found::Miss { has_kept: false },
        },
        (Opening::Load { has_kept }, _) => Found::Miss { has_kept },
        // What is served has a value.
        (Opening::Serve { .. } | Opening::ServeStale { .. }, None) => Found::Miss { has_kept: false },
    }
}

impl<K: Key, V: Value> Started<K, V> {
    /// Of what was found, for a call that says this of its load.
    pub(crate) fn of(
        found: Found<V>,
        (engine, store): (&Arc<Engine>, &Arc<Store<K, V>>),
        said: &Said<'_>,
        care: Care,
        owned: impl FnOnce() -> Result<(ScopePath, K)>,
    ) -> Result<Self> {
        let terms = |has_kept| {
            let (place, key) = owned()?;
            let mut write = said.write;
            if said.asked.is_some() {
                (write.keep, write.early) = (Some(care.takes.longest()), Some(care.early));
            }
            Result::Ok(LoadTerms {
                engine: Arc::clone(engine),
                store: Arc::clone(store),
                place,
                key,
                write,
                tags: said.tags.clone(),
                when_leaders_fail: WhenLeadersFail::Report,
                coalescing: Coalescing::On(None),
                enough: Enough::Stored,
                care,
                has_kept,
            })
        };
        Ok(match found {
            Found::Served(value, freshness) => Self::Served(value, freshness),
            Found::Miss { has_kept } => Self::Miss(terms(has_kept)?),
            Found::Renewing(value, freshness) => {
                let terms = terms(true)?;
                match engine.registry().find(&terms.place, "load")? {
                    Some(node) => Self::Renewing(value, freshness, terms, node),
                    None => Self::Served(value, freshness),
                }
            }
        })
    }
}

impl Said<'_> {
    /// How the load is cared for, in a store.
    pub(crate) fn care<K: Key, V: Value>(&self, store: &Store<K, V>) -> Result<Care> {
        let Some(asked) = self.asked else { return Ok(*store.care()) };
        asked.clone().resolve(store.care(), Some(self.write.ttl.unwrap_or_else(|| store.ttl())))
    }
}
