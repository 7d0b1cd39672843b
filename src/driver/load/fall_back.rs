//! What a call is served that gets no fresh value.
//!
//! (1) It is looked for when it is needed, and not before: what was withdrawn meanwhile is not there. (2) A call that is served so is
//! counted as a stale hit, or as a hit if somebody else has brought a fresh value by then. (3) After a load that brought none, nobody tries
//! again for a while.

use std::hash::Hash;
use std::sync::Arc;

use equivalent::Equivalent;
use strata_cache_core::engine::{Care, Engine, Freshness, Key, Place, Store, Value};
use strata_cache_core::error::{Error, ErrorKind};
use strata_cache_core::event::LoadEventKind;
use strata_cache_core::flight::Trial;
use strata_cache_core::scope::{Node, ScopePath};
use strata_cache_core::stats::Counter;

use super::{Answer, Drive, LoadTerms, Loader};
use crate::trace;

/// In the place of an error that those who wait may not have.
pub(crate) struct NotShared;

/// Why a key of a batch has no value.
pub(crate) enum Failing<E> {
    /// The loader said so.
    Loader(E),
    /// It did not do as it should.
    Cache(Error),
}

impl<E> Failing<E> {
    pub(crate) fn into_answer<V>(self) -> Answer<V, E> {
        match self {
            Self::Loader(error) => Answer::Failed(error),
            Self::Cache(error) => Answer::Refused(error),
        }
    }
}

impl<K: Key, V: Value> LoadTerms<K, V> {
    /// A load has taken longer than it may.
    pub(crate) fn timed_out(&self) -> Error {
        timed_out(&self.store, &self.care)
    }

    /// A call has waited for as long as it may.
    pub(crate) fn count_hard_timeout(&self) {
        count_timeout(&self.engine, &self.store, &self.place, LoadEventKind::HardTimeout);
    }
}

/// What a call falls back on.
pub(crate) struct FallBack<K: Key, V: Value> {
    pub(crate) engine: Arc<Engine>,
    store: Arc<Store<K, V>>,
    place: ScopePath,
    key: Option<K>,
    care: Care,
}

impl<K: Key, V: Value> FallBack<K, V> {
    /// What is kept, where the call takes it. It is counted as one that was served then.
    pub(crate) fn look<E>(&self) -> Option<Answer<V, E>> {
        let key = self.key.as_ref()?;
        let node = self.engine.registry().find(&self.place, "load").ok().flatten()?;
        look(&self.engine, &self.store, &node, key, &self.care)
    }

    /// What a call is answered whose run went on by itself and brought this: the value, what is kept, or why there is neither.
    pub(crate) fn or_look<E>(&self, answer: Answer<V, E>) -> Answer<V, E> {
        let kept = if matches!(answer, Answer::Value(..)) { None } else { self.look() };
        kept.unwrap_or_else(|| {
            // Where there is nothing to fall back on, it was counted when it began.
            if self.key.is_some()
                && let Ok(Some(node)) = self.engine.registry().find(&self.place, "load")
            {
                self.store.count_lookup(Some(&node), false);
                trace::lookup(self.store.name(), Some(&node), false);
            }
            answer
        })
    }

    /// What is kept in place of a value that took too long, or that it did.
    pub(crate) fn late<E>(&self) -> Answer<V, E> {
        count_timeout(&self.engine, &self.store, &self.place, LoadEventKind::HardTimeout);
        self.or_look(Answer::Refused(timed_out(&self.store, &self.care)))
    }

    /// What is kept, for who would rather have that than wait on. Who comes next is not to wait so long again.
    pub(crate) fn soft<E>(&self) -> Option<Answer<V, E>> {
        let answer = self.look()?;
        if let (Some(key), Ok(Some(node))) = (&self.key, self.engine.registry().find(&self.place, "load")) {
            self.store.put_off_attempts(&self.engine, &node, key, self.care.throttle());
        }
        count_timeout(&self.engine, &self.store, &self.place, LoadEventKind::SoftTimeout);
        Some(answer)
    }
}

/// What is kept of a key, counted as served.
pub(crate) fn fall_back<K: Key, V: Value, Q>(
    engine: &Engine,
    store: &Store<K, V>,
    node: &Node,
    key: &Q,
    care: &Care,
) -> Option<(V, Freshness)>
where
    Q: Hash + Equivalent<K> + ?Sized,
{
    let (value, freshness) = store.fall_back(engine, node, key, care.takes)?;
    if freshness == Freshness::Fresh {
        store.count_lookup(Some(node), true);
    } else {
        store.count_stale_hit(node);
        store.counters().count(Counter::Fallbacks);
        engine.tell(store.name(), node, LoadEventKind::FellBack);
    }
    trace::lookup(store.name(), Some(node), true);
    Some((value, freshness))
}

fn look<K: Key, V: Value, E>(
    engine: &Engine,
    store: &Store<K, V>,
    node: &Node,
    key: &K,
    care: &Care,
) -> Option<Answer<V, E>> {
    let (value, freshness) = fall_back(engine, store, node, key, care)?;
    Some(Answer::Value(value, freshness))
}

fn count_timeout<K: Key, V: Value>(
    engine: &Engine,
    store: &Store<K, V>,
    place: &ScopePath,
    kind: LoadEventKind,
) {
    let is_soft = kind == LoadEventKind::SoftTimeout;
    store.counters().count(if is_soft { Counter::SoftTimeouts } else { Counter::HardTimeouts });
    if let Ok(Some(node)) = engine.registry().find(place, "load") {
        engine.tell(store.name(), &node, kind);
    }
}

fn timed_out<K: Key, V: Value>(store: &Store<K, V>, care: &Care) -> Error {
    let error = Error::new(ErrorKind::TimedOut, "load").with("region", store.name());
    let after = care.hard.unwrap_or_default();
    error.with("after", format_args!("{after:?}")).because("`hard` is for how long a call waits")
}

/// An answer, if the call ends with this.
pub(super) type Ended<V, E> = Result<Option<Answer<V, E>>, Error>;

impl<K: Key, V: Value, L: Loader<V>> Drive<K, V, L> {
    /// Whether the call takes a stale value where there is no other.
    pub(super) fn falls_back(&self) -> bool {
        !self.is_background && !self.terms.care.takes.longest().is_zero()
    }

    /// What the call falls back on, for who goes on without its load.
    pub(super) fn fall_back_of(&self) -> FallBack<K, V> {
        let terms = &self.terms;
        FallBack {
            engine: Arc::clone(&terms.engine),
            store: Arc::clone(&terms.store),
            place: terms.place.clone(),
            key: self.falls_back().then(|| terms.key.clone()),
            care: terms.care,
        }
    }

    /// What is kept, where the call takes it.
    pub(super) fn fall_back(&self, node: &Node) -> Option<Answer<V, L::Error>> {
        let terms = &self.terms;
        self.falls_back().then(|| look(&terms.engine, &terms.store, node, &terms.key, &terms.care)).flatten()
    }

    /// What is kept, or else this answer, which brings no value.
    pub(super) fn or_fall_back(&mut self, node: &Node, answer: Answer<V, L::Error>) -> Answer<V, L::Error> {
        match self.fall_back(node) {
            Some(kept) => kept,
            None => {
                self.count(node, false);
                answer
            }
        }
    }

    /// The call ends without a value of its own.
    pub(super) fn end_with(&mut self, answer: Answer<V, L::Error>) -> Ended<V, L::Error> {
        if !self.falls_back() {
            return Ok(Some(answer));
        }
        let node = self.terms.place.create(self.terms.engine.registry())?;
        Ok(Some(self.or_fall_back(&node, answer)))
    }

    /// The call has waited for as long as it may.
    pub(super) fn end_late(&mut self) -> Result<Answer<V, L::Error>, Error> {
        let node = self.terms.place.create(self.terms.engine.registry())?;
        self.count_late();
        let error = self.timed_out();
        Ok(self.or_fall_back(&node, Answer::Refused(error)))
    }

    /// A call, if it is one, stops waiting.
    pub(super) fn count_late(&self) {
        let terms = &self.terms;
        if !self.is_background {
            count_timeout(&terms.engine, &terms.store, &terms.place, LoadEventKind::HardTimeout);
        }
    }

    /// The call would rather have a stale value by now. None: it waits on, for there is none any more.
    pub(super) fn fall_back_softly(&self) -> Option<Answer<V, L::Error>> {
        self.fall_back_of().soft()
    }

    /// After a load that brought no value: nobody tries again for a while, where something is kept. Whether there is something that calls
    /// like this one would take.
    pub(super) fn put_off_attempts(&self, node: &Node) -> bool {
        let LoadTerms { engine, store, key, care, .. } = &self.terms;
        if care.is_plain() {
            return false;
        }
        store.put_off_attempts(engine, node, key, care.throttle());
        store.fall_back(engine, node, key, care.takes).is_some()
    }

    pub(super) fn timed_out(&self) -> Error {
        timed_out(&self.terms.store, &self.terms.care)
    }

    /// Tells the region's breaker how a run past the cache has ended.
    pub(super) fn conclude(&self, trial: Option<Trial>, went_well: bool) {
        let Some(trial) = trial else { return };
        let terms = &self.terms;
        match terms.engine.registry().find(&terms.place, "load") {
            Ok(Some(node)) => terms.store.conclude(&terms.engine, &node, trial, went_well),
            _ => drop(trial),
        }
    }
}
