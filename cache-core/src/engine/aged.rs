//! Entries past their time-to-live, or near its end: what a caller may have of them, and who loads them anew.
//!
//! (1) A stale value is handed out only to who says so, and only while its entry can be found: what was withdrawn is stale to nobody.
//! (2) An attempt to load an entry anew is begun under the shard's lock by one caller at most, and not before the last one's moment has
//! come. (3) A look takes no lock. Cost: nothing before an entry has to be [looked after](Kept::attended); from then on one look beside it.

use std::hash::Hash;
use std::time::Duration;

use equivalent::Equivalent;

use super::Engine;
use super::arena::{Entry, Kept};
use super::lease::Lease;
use super::options::{Key, Value};
use super::store::{Store, short};
use crate::clock::Moment;
use crate::epoch::{self, Pin};
use crate::flight::{After, Ask, Condition, Joined};
use crate::scope::{Node, Tag, Tags};
use crate::stats::Counter;
use crate::sync::Arc;

/// What a caller takes in place of a fresh value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tolerance {
    /// A value is served at once for so long past its time-to-live.
    pub stale: Duration,
    /// It is served for so long past its time-to-live where a load brings no other.
    pub on_error: Duration,
}

impl Tolerance {
    /// For how long an entry is of use to somebody.
    pub fn longest(self) -> Duration {
        self.stale.max(self.on_error)
    }
}

/// How old a value is that is handed out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Freshness {
    /// Within its time-to-live.
    Fresh,
    /// Past it by so much.
    Stale(Duration),
}

impl Freshness {
    /// Whether the value's time-to-live is over.
    pub fn is_stale(self) -> bool {
        matches!(self, Self::Stale(_))
    }
}

/// Whether it is time to load an entry anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beat {
    /// It is.
    Due,
    /// Not yet, or not again so soon.
    Quiet,
}

/// What a look for a value of whatever age comes to.
#[derive(Debug)]
pub enum Aged<V> {
    /// Nothing that could ever be served.
    Absent,
    /// It is within its time-to-live.
    Fresh(V, Beat),
    /// It is past it, and is to be served at once.
    Stale(V, Duration, Beat),
    /// It is past it, and is to be served if a load brings no other.
    Kept(Beat),
}

/// What is known of one key, and what a look-up would do with it.
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub struct Explained {
    /// Whether an entry is there, and how it stands by its time-to-live.
    pub entry: Option<Freshness>,
    /// Since when it has been there, or was last found unchanged; known of entries that are kept past their time, or loaded anew before it.
    pub age: Option<Duration>,
    /// How much of its time-to-live is left; none for one without an end.
    pub time_left: Option<Duration>,
    /// How long it will be kept, if it is kept past its time-to-live.
    pub kept_for: Option<Duration>,
    /// In how long it may be tried to load it anew.
    pub next_attempt: Option<Duration>,
    /// Its tags.
    pub tags: Vec<Tag>,
    /// Whether a load of the key runs, or is about to.
    pub is_loading: bool,
    /// How the region's breaker stands, if it has one.
    pub breaker: Option<Condition>,
}

impl<K: Key, V: Value> Store<K, V> {
    /// Looks for a value of whatever age. Counts nothing.
    pub fn look_aged<Q>(&self, pin: &Pin, engine: &Engine, node: &Node, key: &Q, takes: Tolerance) -> Aged<V>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let hash = self.hash(node, key);
        let Some(entry) = self.find(pin, hash, node, key) else { return Aged::Absent };
        if !engine.is_over_for(entry.header()) {
            self.note_use(engine, hash, entry, node, key);
            return Aged::Fresh(entry.value(), Beat::Quiet);
        }
        let Some(kept) = self.kept_of(pin, hash, entry) else { return Aged::Absent };
        let (now, beat) = (engine.now(), engine.beat(kept));
        if kept.fresh > now {
            self.note_use(engine, hash, entry, node, key);
            return Aged::Fresh(entry.value(), beat);
        }
        let past = now.since(kept.fresh);
        if kept.gone <= now || past >= takes.longest() {
            return Aged::Absent;
        }
        if past < takes.stale {
            self.note_use(engine, hash, entry, node, key);
            return Aged::Stale(entry.value(), past, beat);
        }
        Aged::Kept(beat)
    }

    /// The value of an entry that is kept, for who got no other: fresh, or past its time by so much.
    pub fn fall_back<Q>(
        &self,
        engine: &Engine,
        node: &Node,
        key: &Q,
        takes: Tolerance,
    ) -> Option<(V, Freshness)>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let takes = Tolerance { stale: takes.longest(), ..takes };
        match self.look_aged(&epoch::pin(), engine, node, key, takes) {
            Aged::Fresh(value, _) => Some((value, Freshness::Fresh)),
            Aged::Stale(value, past, _) => Some((value, Freshness::Stale(past))),
            Aged::Absent | Aged::Kept(_) => None,
        }
    }

    /// Begins to load an entry anew, if it is time, and if nobody does. No other attempt is begun for so long.
    pub fn attempt(
        self: &Arc<Self>,
        engine: &Arc<Engine>,
        node: Arc<Node>,
        key: &K,
        tags: &Tags,
        throttle: Duration,
    ) -> Option<Lease<K, V>> {
        let hash = self.hash(&node, key);
        let since = engine.fences().count();
        let fence = engine.fence_of(&node, tags);
        let mut owned = Some(key.clone());
        let eq = |other: &Arc<Node>, known: &K| other.same_path(&node) && known == key;
        let mut after = After::new();
        let now = engine.now();
        let joined = {
            let mut shard = self.shard(hash);
            let slot = shard.find(short(hash), node.number(), key).map(Entry::slot)?;
            let kept = shard.view().entry(slot).and_then(|entry| shard.view().kept_of(entry))?;
            let is_due =
                kept.next <= now && now < kept.gone && node.is_live() && !self.is_withdrawn(&shard, slot);
            if !is_due || shard.books().flights.has_current(hash, now, eq) {
                return None;
            }
            shard.keep(slot, Kept { next: later(now, throttle), ..kept });
            let ask = Ask { hash, now, node: &node, fence, key: &mut owned };
            shard.books().flights.join(ask, eq, |node| node.is_live(), &mut after)
        };
        drop(after);
        match joined {
            Joined::Lead(ticket) => {
                let previous = self.previous(engine, &node, key);
                let node = Arc::clone(&node);
                Some(Lease::new(self, engine, node, ticket, since, previous))
            }
            _ => None,
        }
    }

    /// A load of the key has failed: what is kept of it is not tried again so soon.
    pub fn put_off_attempts<Q>(&self, engine: &Engine, node: &Node, key: &Q, throttle: Duration)
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let hash = self.hash(node, key);
        let next = later(engine.now(), throttle);
        let mut shard = self.shard(hash);
        let Some(entry) = shard.find(short(hash), node.number(), key) else { return };
        let slot = entry.slot();
        if let Some(kept) = shard.view().kept_of(entry).filter(|kept| kept.next < next) {
            shard.keep(slot, Kept { next, ..kept });
        }
    }

    /// What is stored of a key, and its tags, for the loader that is to bring it anew.
    pub(super) fn previous(&self, engine: &Engine, node: &Node, key: &K) -> Option<(V, Tags)> {
        let pin = epoch::pin();
        let hash = self.hash(node, key);
        let entry = self.find(&pin, hash, node, key)?;
        let is_gone = |kept: Option<Kept>| kept.is_none_or(|kept| kept.gone <= engine.now());
        if engine.is_over_for(entry.header()) && is_gone(self.kept_of(&pin, hash, entry)) {
            return None;
        }
        let tags = if entry.header().state().is_tagged() {
            // One that has none by now was withdrawn since it was found.
            engine.registry().tags_of(self.cell_of(&pin, hash, entry))?
        } else {
            Tags::none()
        };
        Some((entry.value(), tags))
    }

    /// A lookup was answered with a value past its time.
    pub fn count_stale_hit(&self, node: &Node) {
        self.counters().count(Counter::StaleHits);
        node.stats().count_stale_hit();
    }

    /// What is known of a key, and what a look-up would do. Counts nothing, and is no use of the entry.
    pub fn explain<Q>(&self, engine: &Engine, node: Option<&Node>, key: &Q) -> Explained
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let now = engine.now();
        let mut told = Explained {
            breaker: self.breaker().map(|breaker| breaker.condition(now)),
            ..Explained::default()
        };
        let Some(node) = node else { return told };
        let (pin, hash) = (epoch::pin(), self.hash(node, key));
        let same = |other: &Arc<Node>, known: &K| other.same_path(node) && key.equivalent(known);
        told.is_loading = self.shard(hash).books().flights.has_current(hash, now, same);
        let Some(entry) = self.find(&pin, hash, node, key) else { return told };
        let deadline = entry.header().deadline().moment();
        let kept = self.kept_of(&pin, hash, entry);
        let [fresh, gone]: [Moment; 2] = kept.map_or([deadline; 2], |kept| [kept.fresh, kept.gone]);
        if gone <= now {
            return told;
        }
        let until = |moment: Moment| (moment != Moment::NEVER).then(|| moment.since(now));
        told.entry = Some(if fresh > now { Freshness::Fresh } else { Freshness::Stale(now.since(fresh)) });
        told.time_left = until(fresh);
        told.age = kept.map(|kept| now.since(kept.written));
        told.kept_for = kept.and_then(|kept| until(kept.gone));
        told.next_attempt = kept.map(|kept| kept.next.since(now));
        if entry.header().state().is_tagged() {
            let tags = engine.registry().tags_of(self.cell_of(&pin, hash, entry));
            told.tags = tags.unwrap_or_default().as_slice().to_vec();
        }
        told
    }
}

impl Engine {
    /// Whether it is time to load an entry anew.
    fn beat(&self, kept: Kept) -> Beat {
        let now = self.now();
        if kept.next > now {
            return Beat::Quiet;
        }
        let left = kept.fresh.since(now);
        if kept.early.is_zero() || left.is_zero() {
            return Beat::Due;
        }
        let threshold = left.as_secs_f64() / kept.early.as_secs_f64();
        if -self.chance().ln() >= threshold { Beat::Due } else { Beat::Quiet }
    }
}

fn later(now: Moment, time: Duration) -> Moment {
    now.checked_add(time).unwrap_or(Moment::from_nanos(u64::MAX - 1))
}
