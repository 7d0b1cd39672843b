//! A region's entries: typed, sharded; read without a lock. Writing and taking out stand beside.
//!
//! (1) An entry is served only to the node, and the key, it was stored under. (2) User code runs under a shard's lock in
//! these cases only: `Eq` of keys, policies, and the clock. Readers run `Eq`, and `Clone` of values, while they are
//! pinned: a clone that blocks holds back memory, not other callers. Lock order: shard, then flight. No lock of another
//! shard, region or the registry is taken under a shard's. (3) A reader takes a lock only for a policy that asks to be
//! told of hits. (4) An entry whose tags were withdrawn is served to nobody, though it is found until it is swept; what is looked
//! at to tell that costs entries without tags nothing once they are hot.

use std::hash::Hash;
use std::sync::atomic::Ordering::{Acquire, Relaxed};
use std::sync::atomic::{AtomicI64, AtomicU64};

use crossbeam_utils::CachePadded;
use equivalent::Equivalent;

use super::arena::{Entry, Header, HeaderState, Kept};
use super::options::{Care, Glance, Key, Look, Sight, StoreOptions, Value};
use super::removal::Removals;
use super::shard::{Books, LockedShard, Shard, Shards};
use super::{Engine, RegionId};
use crate::clock::{Deadline, REREAD, TimeSource};
use crate::epoch::{self, Pin};
use crate::expiry::Ttl;
use crate::flight::{Breaker, Reaper};
use crate::policy::{EvictionPolicy as _, Guarded, SlotId, Touches};
use crate::scope::{CellWord, Live, Node, Word};
use crate::stats::{Counters, Event, Tag, tally};
use crate::sync::{Arc, AtomicU32, Weak};

/// Slots visited, or entries removed, during one hold of a shard's lock.
pub(super) const SLICE: usize = 64;

/// A region's entries.
pub struct Store<K, V> {
    pub(super) id: RegionId,
    pub(super) name: Box<str>,
    pub(super) shards: Shards<K, V>,
    /// What a hit does for the policy.
    hits: Hits,
    /// What the clock shows without being read.
    face: &'static AtomicU64,
    time: TimeSource,
    /// The word of the registry, and the generation, of the engine.
    word: Arc<Word>,
    generation: Arc<CachePadded<AtomicU32>>,
    /// Which tags were not withdrawn.
    cells: Arc<Live>,
    hasher: ahash::RandomState,
    /// The bits of a key's hash that count: not those that choose the shard where a scope's entries are together.
    hashed: u64,
    pub(super) options: StoreOptions<K, V>,
    /// Time-to-live of entries written without one.
    pub(super) ttl: Ttl,
    breaker: Option<Arc<Breaker>>,
    /// Nobody listens, all entries of a shard are in one domain, and nothing counts for deadlines but times-to-live.
    is_plain: bool,
    pub(super) counters: Arc<Counters>,
    pub(super) tag: Tag,
    pub(super) entries: AtomicI64,
    pub(super) weight: AtomicI64,
}

/// What the policy wants of a hit.
#[derive(Debug)]
struct Hits {
    heat_limit: u8,
    touches: Touches,
    /// The order has to be exact: the whole region is in one shard, or all entries of a scope with a limit.
    exact: bool,
    /// The policy is not told of hits, and no deadline depends on them. Only then may a heat be written as being at its limit.
    leave_traces_only: bool,
}

/// The hash of a scope's path and a key: its low half is kept by entries, its high half chooses the shard.
#[inline]
#[allow(clippy::cast_possible_truncation, reason = "the half that does not choose the shard")]
pub(super) const fn short(hash: u64) -> u32 {
    hash as u32
}

impl<K: Key, V: Value> Store<K, V> {
    pub(super) fn new(
        engine: &Engine,
        id: RegionId,
        name: Box<str>,
        options: StoreOptions<K, V>,
        reaper: Weak<dyn Reaper>,
    ) -> Self {
        let shards = engine.shards_for(options.max_per_scope);
        let setup = Arc::new(engine.flight_setup(reaper));
        let separate = options.max_per_scope.is_some();
        let sample = Guarded::build(&engine.policy());
        let hits = Hits {
            heat_limit: sample.heat_limit(),
            touches: sample.touches(),
            exact: shards == 1 || separate,
            leave_traces_only: sample.touches() == Touches::None && options.idle.is_none(),
        };
        let expected = if separate { 0 } else { engine.expected_in(shards, 0, 0) };
        let counters = Arc::<Counters>::default();
        let shard = |_| Shard::new(expected, Books::new(engine.policy(), Arc::clone(&setup), separate));
        Self {
            id,
            name,
            shards: Shards::new(shards, shard),
            hits,
            face: engine.time().face(),
            time: engine.time().clone(),
            word: Arc::clone(engine.registry().words()),
            generation: Arc::clone(engine.generations()),
            hasher: engine.hasher().clone(),
            hashed: if separate { u64::from(u32::MAX) } else { u64::MAX },
            ttl: options.ttl.unwrap_or_else(|| engine.default_ttl()),
            is_plain: !separate
                && options.idle.is_none()
                && options.jitter == 0
                && options.care.is_plain()
                && options.listener.is_none()
                && engine.listener().is_none(),
            cells: Arc::clone(engine.registry().live_cells()),
            breaker: options.breaker.map(Breaker::new),
            options,
            tag: counters.tag(),
            counters,
            entries: AtomicI64::new(0),
            weight: AtomicI64::new(0),
        }
    }

    /// The region's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The present word of the registry.
    #[inline]
    pub fn word(&self) -> u64 {
        self.word.read()
    }

    /// What the clock shows without being read.
    #[inline]
    pub(super) fn face(&self) -> u64 {
        self.face.load(Acquire)
    }

    /// The present generation.
    #[inline]
    fn generation(&self) -> u8 {
        let [generation, ..] = self.generation.load(Relaxed).to_le_bytes();
        generation
    }

    /// The region's counters.
    pub fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// The value of a key, where one look without a lock and without a read of the clock tells it: nearly always. The look-up is
    /// counted then, and its count goes to [`look_up_at`](Self::look_up_at), once the caller is not pinned any more.
    #[inline(always)]
    pub fn glance<Q>(&self, pin: &Pin, node: &Node, key: &Q, sight: Sight) -> Option<(Option<V>, u32)>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let count = |event| tally::try_count_look(self.tag, node.tag(), event);
        match self.glance_entry(pin, node, key, sight) {
            Glance::Found(entry) => count(Event::Hit).map(|count| (Some(entry.value()), count)),
            Glance::Absent => count(Event::Miss).map(|count| (None, count)),
            Glance::Unsure => None,
        }
    }

    /// As [`glance`](Self::glance), but tells and counts hits only. `None` says nothing.
    #[inline(always)]
    pub fn glance_hit<Q>(&self, pin: &Pin, node: &Node, key: &Q) -> Option<(V, u32)>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let Glance::Found(entry) = self.glance_entry(pin, node, key, Sight::Home) else { return None };
        let count = tally::try_count_look(self.tag, node.tag(), Event::Hit)?;
        Some((entry.value(), count))
    }

    #[inline(always)]
    fn glance_entry<'p, Q>(
        &'p self,
        pin: &'p Pin,
        node: &Node,
        key: &Q,
        sight: Sight,
    ) -> Glance<Entry<'p, K, V>>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let hash = self.hash(node, key);
        let shard = self.shards.of(hash);
        let found = match sight {
            Sight::Home => shard.glance(pin, short(hash), node.number_above(), key),
            Sight::All => {
                shard.find(pin, short(hash), node.number(), key).map_or(Glance::Absent, Glance::Found)
            }
        };
        let Glance::Found(entry) = found else { return found };
        let (state, face) = (entry.header().state(), self.face());
        if !state.is_hot_and_ahead_of(face) {
            if !self.hits.leave_traces_only || !state.is_ahead_of(face) {
                return Glance::Unsure;
            }
            if !state.is_hot() {
                if state.is_tagged() {
                    // The way of a hit at home is free of calls.
                    return match sight {
                        Sight::Home => Glance::Unsure,
                        Sight::All => self.glance_tagged(pin, shard, entry, state),
                    };
                }
                entry.header().note_use(state, self.hits.heat_limit, self.generation());
            }
        }
        found
    }

    /// As [`glance_entry`](Self::glance_entry), of an entry with tags that was found and whose time is not over.
    #[inline(never)]
    fn glance_tagged<'p>(
        &self,
        pin: &'p Pin,
        shard: &Shard<K, V>,
        entry: Entry<'p, K, V>,
        state: HeaderState,
    ) -> Glance<Entry<'p, K, V>> {
        if !self.cells.is_live(shard.cell_of(pin, entry)) {
            // It may have been overwritten meanwhile, by one that is there.
            return Glance::Unsure;
        }
        entry.header().note_tagged_use(state, self.hits.heat_limit, self.generation());
        Glance::Found(entry)
    }

    /// Finds an entry whose tags, if it has any, were not withdrawn. Says nothing of its time.
    #[inline]
    pub(super) fn find<'p, Q>(
        &'p self,
        pin: &'p Pin,
        hash: u64,
        node: &Node,
        key: &Q,
    ) -> Option<Entry<'p, K, V>>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let shard = self.shards.of(hash);
        let entry = shard.find(pin, short(hash), node.number(), key)?;
        if !entry.header().state().is_tagged() { Some(entry) } else { self.find_tagged(pin, hash, node, key) }
    }

    #[cold]
    fn find_tagged<'p, Q>(&'p self, pin: &'p Pin, hash: u64, node: &Node, key: &Q) -> Option<Entry<'p, K, V>>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let shard = self.shards.of(hash);
        let mut dead = None;
        loop {
            let entry = shard.find(pin, short(hash), node.number(), key)?;
            if !entry.header().state().is_tagged() || self.cells.is_live(shard.cell_of(pin, entry)) {
                return Some(entry);
            }
            // One that was overwritten before its tags were withdrawn says nothing of the one that is there. While the caller is
            // pinned no slot is used again, so the same slot is the same entry.
            if dead == Some(entry.slot()) {
                return None;
            }
            dead = Some(entry.slot());
        }
    }

    /// The times of an entry that was found under this pin, if it is kept past them.
    #[inline]
    pub(super) fn kept_of(&self, pin: &Pin, hash: u64, entry: Entry<'_, K, V>) -> Option<Kept> {
        self.shards.of(hash).kept_of(pin, entry)
    }

    /// What stands beside a tagged entry that was found under this pin.
    pub(super) fn cell_of(&self, pin: &Pin, hash: u64, entry: Entry<'_, K, V>) -> CellWord {
        self.shards.of(hash).cell_of(pin, entry)
    }

    /// Whether an entry that has to be looked after is within its time-to-live.
    #[cold]
    fn is_still_fresh(&self, pin: &Pin, engine: &Engine, hash: u64, entry: Entry<'_, K, V>) -> bool {
        self.kept_of(pin, hash, entry).is_some_and(|kept| kept.fresh > engine.present())
    }

    /// How loads of the region are cared for that say nothing of it.
    pub fn care(&self) -> &Care {
        &self.options.care
    }

    /// How long entries may be served that are written without a time-to-live.
    pub fn ttl(&self) -> Ttl {
        self.ttl
    }

    /// What keeps loads from being begun while they fail.
    pub fn breaker(&self) -> Option<&Arc<Breaker>> {
        self.breaker.as_ref()
    }

    /// Whether the tags of a live entry were withdrawn, so that it counts as absent.
    #[inline]
    pub(super) fn is_withdrawn(&self, shard: &LockedShard<'_, K, V>, slot: SlotId) -> bool {
        shard.cell_of(slot).is_some_and(|cell| !self.cells.is_live(cell))
    }

    /// Now and then between look-ups, by the thread's count of them: reads the clock for all, and heeds whether somebody wants to
    /// be told of look-ups.
    #[inline(always)]
    pub fn look_up_at(&self, count: u32) {
        if count.is_multiple_of(REREAD) {
            self.look_up(count);
        }
    }

    #[cold]
    #[inline(never)]
    fn look_up(&self, count: u32) {
        self.time.reread();
        tally::settle_at(count);
        if tracing::level_filters::LevelFilter::current() == tracing::level_filters::LevelFilter::TRACE {
            epoch::permit_glimpses(false);
        }
    }

    /// The value of a key under a scope node, if it is there and its time is not over. No lock, unless the policy asks to be
    /// told of hits.
    #[inline]
    pub fn get<Q>(&self, engine: &Engine, node: Option<&Node>, key: &Q, look: Look) -> Option<V>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        self.get_pinned(&epoch::pin(), engine, node, key, look)
    }

    /// As [`get`](Self::get), for a caller who is pinned.
    #[inline]
    pub fn get_pinned<Q>(
        &self,
        pin: &Pin,
        engine: &Engine,
        node: Option<&Node>,
        key: &Q,
        look: Look,
    ) -> Option<V>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let value = node.and_then(|node| self.read(pin, engine, node, key, look));
        let count = match look {
            Look::Lookup => self.count_lookup(node, value.is_some()),
            Look::Peek => tally::count_up(Some(&self.counters), None, Event::Peek),
        };
        engine.after(count);
        value
    }

    /// As a lookup of [`get`](Self::get), but counts only if it hits: what else comes of the call is counted later.
    #[inline]
    pub fn hit<Q>(&self, engine: &Engine, node: &Node, key: &Q) -> Option<V>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        self.hit_pinned(&epoch::pin(), engine, node, key)
    }

    /// As [`hit`](Self::hit), for a caller who is pinned.
    #[inline]
    pub fn hit_pinned<Q>(&self, pin: &Pin, engine: &Engine, node: &Node, key: &Q) -> Option<V>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        if let Some((value, count)) = self.glance_hit(pin, node, key) {
            self.look_up_at(count);
            return Some(value);
        }
        let value = self.read(pin, engine, node, key, Look::Lookup)?;
        engine.after(self.count_lookup(Some(node), true));
        Some(value)
    }

    #[inline]
    fn read<Q>(&self, pin: &Pin, engine: &Engine, node: &Node, key: &Q, look: Look) -> Option<V>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let hash = self.hash(node, key);
        let entry = self.find(pin, hash, node, key)?;
        if engine.is_over_for(entry.header()) && !self.is_still_fresh(pin, engine, hash, entry) {
            return None;
        }
        if look == Look::Lookup {
            self.note_use(engine, hash, entry, node, key);
        }
        Some(entry.value())
    }

    /// What a look-up that is served leaves.
    #[inline]
    pub(super) fn note_use<Q>(&self, engine: &Engine, hash: u64, entry: Entry<'_, K, V>, node: &Node, key: &Q)
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        self.use_entry(engine, entry.header());
        if self.hits.touches != Touches::None {
            self.report_touch(engine, hash, entry, node, key);
        }
        if self.options.idle.is_some() {
            self.put_off(engine, hash, entry, node, key);
        }
    }

    /// What a use leaves in an entry: nothing, once it is hot and of this generation.
    #[inline]
    pub(super) fn use_entry(&self, engine: &Engine, header: &Header) {
        header.warm(self.hits.heat_limit);
        if self.hits.touches == Touches::None {
            header.refresh(engine.generation());
        }
    }

    /// Tells the policy of a hit. Where the order need not be exact, an entry that was touched a short while ago is not
    /// moved again: it is among the youngest eighth.
    #[cold]
    fn report_touch<Q>(&self, engine: &Engine, hash: u64, entry: Entry<'_, K, V>, node: &Node, key: &Q)
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let generation = engine.generation();
        let age = generation.wrapping_sub(entry.header().age());
        entry.header().refresh(generation);
        if self.hits.touches == Touches::Latest && !self.hits.exact && age < 2 {
            return;
        }
        let mut shard = self.shard(hash);
        // It may have left, or been overwritten, since it was found.
        let slot = shard.find(short(hash), node.number(), key).map(Entry::slot);
        if slot == Some(entry.slot()) {
            shard.touch(entry.slot());
        }
    }

    /// Puts off the deadline of an entry that goes when it is unused, unless that was done a short while ago.
    #[cold]
    fn put_off<Q>(&self, engine: &Engine, hash: u64, entry: Entry<'_, K, V>, node: &Node, key: &Q)
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let Some(deadline) = self.later(engine, entry.header()) else { return };
        let mut shard = self.shard(hash);
        if shard.find(short(hash), node.number(), key).map(Entry::slot) == Some(entry.slot()) {
            shard.put_off(entry.slot(), deadline);
        }
    }

    /// The deadline that a use now gives an entry, if it is later by an eighth of the time it may go unused.
    fn later(&self, engine: &Engine, header: &Header) -> Option<Deadline> {
        let idle = self.options.idle?;
        let later = idle.deadline(engine.now()).ok()?;
        let gained = later.since(header.deadline().moment());
        (gained >= idle.duration()? / 8).then(|| Deadline::pack(later))
    }

    /// Looks under the lock; a use if there is something.
    pub(super) fn usable<'p, Q>(
        &self,
        engine: &Engine,
        shard: &mut LockedShard<'p, K, V>,
        pin: &'p Pin,
        hash: u64,
        node: &Node,
        key: &Q,
    ) -> Option<Entry<'p, K, V>>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let slot = shard.find(short(hash), node.number(), key)?.slot();
        let entry = shard.hold(pin, slot)?;
        if shard.is_past(entry, || engine.now()) || self.is_withdrawn(shard, slot) {
            return None;
        }
        self.use_entry(engine, entry.header());
        entry.header().refresh(engine.generation());
        if self.hits.touches != Touches::None {
            shard.touch(slot);
        }
        if let Some(deadline) = self.later(engine, entry.header()) {
            shard.put_off(slot, deadline);
        }
        Some(entry)
    }

    pub(super) fn heat_limit(&self) -> u8 {
        self.hits.heat_limit
    }

    /// Counts a lookup for the region and for the scopes that are tracked. Answers the thread's own count.
    #[inline]
    pub fn count_lookup(&self, node: Option<&Node>, hit: bool) -> u32 {
        let event = if hit { Event::Hit } else { Event::Miss };
        tally::count_up(Some(&self.counters), node.map(Node::stats), event)
    }

    /// Tells a shard how many entries are to come.
    #[cold]
    pub(super) fn tell_expected(&self, engine: &Engine, shard: &mut LockedShard<'_, K, V>) {
        // Counts that others are changing may for a moment be below zero.
        let [entries, weight] =
            [&self.entries, &self.weight].map(|held| held.load(Relaxed).max(0).unsigned_abs());
        shard.expect_entries(engine.expected_in(self.shards.len(), entries, weight));
    }

    /// One entry more, of this weight.
    pub(super) fn grow_by(&self, engine: &Engine, weight: u64) {
        if self.entries.fetch_add(1, Relaxed) == 0 {
            engine.count_populated(1);
        }
        self.weight.fetch_add(weight.cast_signed(), Relaxed);
    }

    /// One entry less.
    pub(super) fn shrink_by(&self, engine: &Engine, entries: u32, weight: u64) {
        if self.entries.fetch_sub(i64::from(entries), Relaxed) == i64::from(entries) {
            engine.count_populated(-1);
        }
        self.weight.fetch_sub(weight.cast_signed(), Relaxed);
    }

    /// After the lock: tells listeners and drops what left.
    pub(super) fn finish(&self, engine: &Engine, removals: Removals<'_, K, V>) {
        removals.finish(&self.name, engine.listener(), self.options.listener.as_ref());
    }

    /// Whether a deadline depends on nothing but a time-to-live.
    #[inline]
    pub(super) fn has_plain_times(&self) -> bool {
        let StoreOptions { idle, jitter, care, .. } = &self.options;
        idle.is_none() && *jitter == 0 && care.is_plain()
    }

    /// Whether a write may be a usual one.
    #[inline]
    pub(super) fn may_be_usual(&self) -> bool {
        use tracing::level_filters::LevelFilter;
        self.is_plain && LevelFilter::current() < LevelFilter::DEBUG
    }

    /// Whether anybody wants to be told of removals.
    pub(super) fn is_heard(&self, engine: &Engine) -> bool {
        engine.listener().is_some()
            || self.options.listener.is_some()
            || tracing::enabled!(target: "strata_cache", tracing::Level::DEBUG)
    }

    /// A pin for the removals of a write, if anybody wants to be told of them.
    pub(super) fn listening(&self, engine: &Engine) -> Option<Pin> {
        self.is_heard(engine).then(epoch::pin)
    }

    /// The process-keyed hash of scope path and key, the same for every incarnation of the path. With a limit per scope its
    /// high half is the path's, so that a scope's entries are together.
    #[inline]
    pub(super) fn hash<Q: Hash + ?Sized>(&self, node: &Node, key: &Q) -> u64 {
        // Both are keyed and spread over all bits, so that one may simply shift the other.
        self.hasher.hash_one(key) & self.hashed ^ node.path_hash()
    }

    #[inline]
    pub(super) fn shard_index(&self, hash: u64) -> usize {
        self.shards.index(hash)
    }

    pub(super) fn shard(&self, hash: u64) -> LockedShard<'_, K, V> {
        self.shards.of(hash).lock()
    }
}

impl<K, V> std::fmt::Debug for Store<K, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("name", &self.name).finish_non_exhaustive()
    }
}
