//! A region's entries: typed, sharded, one lock a shard.
//!
//! (1) An entry is served only to the node, and the key, it was stored under. (2) A write detaches the load that
//! runs for its key, under the same lock. (3) A charge comes before the link, a release after the unlink, both
//! under the shard's lock. (4) User code runs under the lock in two cases only: `Eq` of keys, and policies.
//! Lock order: shard, then flight. No lock of another shard, region or the registry is taken under a shard's.

use std::hash::Hash;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicI64, AtomicU8};

use crossbeam_utils::CachePadded;
use equivalent::Equivalent;

use super::removal::{RegionListener, Removals};
use super::shard::Shard;
use super::slab::Entry;
use super::{Engine, Landing, Place, RegionId, Spare};
use crate::clock::Moment;
use crate::error::{Error, ErrorKind, Result};
use crate::event::RemovalCause;
use crate::expiry::Ttl;
use crate::flight::{After, Reaper};
use crate::policy::SlotId;
use crate::scope::{Charge, Node};
use crate::stats::{Counter, Counters};
use crate::sync::{Arc, Mutex, MutexGuard, Weak};

/// Slots visited, or entries removed, during one hold of a shard's lock.
pub(super) const SLICE: usize = 1024;

/// The table inside a shard uses the high and the low bits of a hash; the shard is chosen by some from between.
const SHARD_SHIFT: u32 = 24;

/// What an entry may weigh at most, whatever the capacity.
const MOST_WEIGHT: u64 = 1 << 56;

/// What a key of a region must be.
pub trait Key: Hash + Eq + Clone + Send + Sync + 'static {}
impl<T: Hash + Eq + Clone + Send + Sync + 'static> Key for T {}

/// What a region can hold.
pub trait Value: Clone + Send + Sync + 'static {}
impl<T: Clone + Send + Sync + 'static> Value for T {}

/// Weighs an entry; see [`StoreOptions::weigher`].
pub type Weigher<K, V> = Arc<dyn Fn(&K, &V) -> u64 + Send + Sync>;

/// How a region differs from its cache.
pub struct StoreOptions<K, V> {
    /// Weighs an entry; runs outside of locks, once a write.
    pub weigher: Weigher<K, V>,
    /// Time-to-live of entries written without one; the cache's if absent.
    pub ttl: Option<Ttl>,
    /// Entries at most in one scope.
    pub max_per_scope: Option<u64>,
    /// Told of each removal, outside of locks.
    pub listener: Option<RegionListener<K, V>>,
}

impl<K, V> std::fmt::Debug for StoreOptions<K, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoreOptions")
            .field("ttl", &self.ttl)
            .field("max_per_scope", &self.max_per_scope)
            .finish_non_exhaustive()
    }
}

/// What one write asks for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Write {
    /// Time-to-live; the region's if absent.
    pub ttl: Option<Ttl>,
    /// Weight; the weigher's if absent.
    pub weight: Option<u64>,
}

/// How a look is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// A lookup: counted, and a touch for the policy.
    Lookup,
    /// A peek: counted apart, and no touch.
    Peek,
}

/// What taking a key out comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken<V> {
    /// There was nothing that could have been served.
    Absent,
    /// The value was not accepted; it stays.
    Refused,
    /// The value, which is in the cache no more.
    Value(V),
}

/// The scope an entry was taken out of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// It lives: whoever took the entry counts it.
    Living,
    /// It was evicted, and that eviction has counted the entry.
    Evicted,
}

/// A shard and its lock, on cache lines of their own.
type Locked<K, V> = CachePadded<Mutex<Shard<K, V>>>;

/// A region's entries.
pub struct Store<K, V> {
    pub(super) id: RegionId,
    pub(super) name: Box<str>,
    pub(super) shards: Box<[Locked<K, V>]>,
    pub(super) options: StoreOptions<K, V>,
    pub(super) counters: Counters,
    pub(super) entries: AtomicI64,
    pub(super) weight: AtomicI64,
}

/// An entry ready to be linked.
pub(super) struct Draft<K, V> {
    pub(super) key: K,
    pub(super) value: Arc<V>,
    pub(super) weight: u64,
    pub(super) deadline: Moment,
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
        let shard = |_| CachePadded::new(Mutex::new(Shard::new(engine.policy(), Arc::clone(&setup))));
        Self {
            id,
            name,
            shards: (0..shards).map(shard).collect(),
            options,
            counters: Counters::default(),
            entries: AtomicI64::new(0),
            weight: AtomicI64::new(0),
        }
    }

    /// The region's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The region's counters.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The value of a key under a scope node, if it is there and its time is not over. Locks one shard; the value
    /// is cloned after the lock.
    pub fn get<Q>(&self, engine: &Engine, node: Option<&Node>, key: &Q, look: Look) -> Option<V>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let found = node.and_then(|node| {
            let hash = self.hash(engine, node, key);
            let mut shard = self.shard(hash);
            self.usable(engine, &mut shard, hash, node, key, look)
        });
        match look {
            Look::Lookup => self.count_lookup(node, found.is_some()),
            Look::Peek => self.counters.count(Counter::Peeks),
        }
        found.map(|value| V::clone(&value))
    }

    /// As a lookup of [`get`](Self::get), but counts only if it hits: what else comes of the call is counted later.
    pub fn hit<Q>(&self, engine: &Engine, node: &Node, key: &Q) -> Option<V>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let hash = self.hash(engine, node, key);
        let value = self.usable(engine, &mut self.shard(hash), hash, node, key, Look::Lookup)?;
        self.count_lookup(Some(node), true);
        Some(V::clone(&value))
    }

    /// Looks under the lock and shares what may be served.
    pub(super) fn usable<Q>(
        &self,
        engine: &Engine,
        shard: &mut Shard<K, V>,
        hash: u64,
        node: &Node,
        key: &Q,
        look: Look,
    ) -> Option<Arc<V>>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let slot = shard.find(hash, node.id(), key)?;
        let entry = shard.get(slot)?;
        if entry.deadline != Moment::NEVER && entry.is_expired(engine.now()) {
            return None;
        }
        let value = Arc::clone(&entry.value);
        if look == Look::Lookup {
            shard.hit(slot, engine.stamp());
        }
        Some(value)
    }

    /// Counts a lookup for the region and for the scopes that are tracked.
    pub fn count_lookup(&self, node: Option<&Node>, hit: bool) {
        self.counters.count(if hit { Counter::Hits } else { Counter::Misses });
        match node {
            Some(node) if hit => node.count_hit(),
            Some(node) => node.count_miss(),
            None => {}
        }
    }

    /// Stores a value. Detaches the load that runs for the key; evicts what the capacity asks for.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidWeight`] for a weight of zero or above the capacity, [`ErrorKind::InvalidTtl`] for a
    /// deadline that cannot be represented; the old value stays. What `place` reports.
    pub fn insert(&self, engine: &Engine, place: &impl Place, key: K, value: V, write: Write) -> Result<()> {
        let weight = self.weigh(engine, &key, &value, write.weight)?;
        let deadline = self.deadline(engine, write.ttl)?;
        let mut draft = Some(Draft { key, value: Arc::new(value), weight, deadline });
        while let Some(unlinked) = draft.take() {
            let node = place.create(engine.registry())?;
            engine.note_scope();
            draft = self.insert_under(engine, &node, unlinked).err();
            if draft.is_some() {
                // Whoever evicts the scope may have stopped halfway: finish it, rather than find the dead node again.
                engine.registry().detach(&node);
            }
        }
        Ok(())
    }

    /// Stores under one node. Hands the draft back if the node was evicted meanwhile.
    fn insert_under(&self, engine: &Engine, node: &Arc<Node>, draft: Draft<K, V>) -> Result<(), Draft<K, V>> {
        self.expire_before_limit(engine);
        let hash = self.hash(engine, node, &draft.key);
        let mut removals = Removals::new();
        let mut after = After::new();
        let linked = {
            let mut shard = self.shard(hash);
            let same = |other: &Arc<Node>, key: &K| other.same_path(node) && draft.key == *key;
            shard.flights.detach(hash, same, &mut after);
            self.link(engine, &mut shard, node, hash, draft, &mut removals)
        };
        drop(after);
        self.finish(engine, removals);
        self.settle(engine, hash, linked?);
        Ok(())
    }

    /// Links a draft, or overwrites the value of its key, under the shard's lock.
    pub(super) fn link(
        &self,
        engine: &Engine,
        shard: &mut Shard<K, V>,
        node: &Arc<Node>,
        hash: u64,
        draft: Draft<K, V>,
        removals: &mut Removals<K, V>,
    ) -> Result<SlotId, Draft<K, V>> {
        if let Some(slot) = shard.find(hash, node.id(), &draft.key) {
            let expired = shard
                .get(slot)
                .is_some_and(|entry| entry.deadline != Moment::NEVER && entry.is_expired(engine.now()));
            if expired {
                self.take(engine, shard, slot, RemovalCause::Expired, removals);
            } else if node.is_live() {
                self.replace(engine, shard, slot, node, draft, removals);
                return Ok(slot);
            } else {
                return Err(draft);
            }
        }
        if node.charge(draft.weight) == Charge::Dead {
            node.release(draft.weight);
            return Err(draft);
        }
        engine.note_deadline(draft.deadline);
        let Draft { key, value, weight, deadline } = draft;
        let stamp = engine.next_stamp();
        let entry = Entry {
            hash,
            node: Arc::clone(node),
            key,
            value,
            weight,
            deadline,
            stamp,
            domain: 0,
            heat: AtomicU8::new(0),
        };
        let limit = self.options.max_per_scope;
        let slot = shard.link(entry, limit.map(|_| node.id()));
        self.entries.fetch_add(1, Relaxed);
        self.weight.fetch_add(weight.cast_signed(), Relaxed);
        self.counters.count(Counter::Inserts);
        if let Some(limit) = limit.filter(|&limit| shard.is_over(slot, limit)) {
            self.keep_limit(engine, shard, slot, limit, removals);
        }
        removals.note(shard.take_fault());
        Ok(slot)
    }

    /// Keeps the limit of a scope after an insert: what has expired goes first, then whom the policy names.
    fn keep_limit(
        &self,
        engine: &Engine,
        shard: &mut Shard<K, V>,
        newcomer: SlotId,
        limit: u64,
        removals: &mut Removals<K, V>,
    ) {
        let now = engine.now();
        while shard.is_over(newcomer, limit)
            && let Some(expired) = shard.due(now)
        {
            self.take(engine, shard, expired, RemovalCause::Expired, removals);
        }
        while shard.is_over(newcomer, limit)
            && let Some(victim) = shard.victim_beside(newcomer)
        {
            self.take(engine, shard, victim, RemovalCause::Evicted, removals);
        }
    }

    fn replace(
        &self,
        engine: &Engine,
        shard: &mut Shard<K, V>,
        slot: SlotId,
        node: &Arc<Node>,
        draft: Draft<K, V>,
        removals: &mut Removals<K, V>,
    ) {
        let Draft { key, value, weight, deadline } = draft;
        engine.note_deadline(deadline);
        let Some((old, old_weight)) = shard.overwrite(slot, value, weight, deadline, engine.next_stamp())
        else {
            return; // Not reached: the slot was found under this very lock.
        };
        let change = weight.cast_signed().wrapping_sub(old_weight.cast_signed());
        node.reweigh(change);
        self.weight.fetch_add(change, Relaxed);
        self.counters.count(Counter::Replaced);
        node.count_removal(RemovalCause::Replaced, 1);
        removals.push_replaced(Arc::clone(node), key, old, old_weight);
    }

    /// Takes a key out of a scope and detaches its load. `accept` sees the value first, under the lock: if it says
    /// no, the entry and its load stay.
    pub fn remove<Q>(
        &self,
        engine: &Engine,
        node: &Arc<Node>,
        key: &Q,
        cause: RemovalCause,
        accept: impl Fn(&V) -> bool,
    ) -> Taken<V>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let hash = self.hash(engine, node, key);
        let mut removals = Removals::new();
        let mut after = After::new();
        let value = {
            let mut shard = self.shard(hash);
            let slot = shard.find(hash, node.id(), key);
            // What has expired, or belongs to an evicted scope, is absent, whatever it was.
            let entry = slot.and_then(|slot| shard.get(slot));
            let expired =
                entry.is_some_and(|entry| entry.deadline != Moment::NEVER && entry.is_expired(engine.now()));
            if !expired && entry.is_some_and(|entry| !accept(&entry.value)) && node.is_live() {
                return Taken::Refused;
            }
            let same = |other: &Arc<Node>, known: &K| other.same_path(node) && key.equivalent(known);
            shard.flights.detach(hash, same, &mut after);
            slot.and_then(|slot| {
                let value = Arc::clone(&shard.get(slot)?.value);
                let asked = if expired { RemovalCause::Expired } else { cause };
                // Whoever evicted the scope meanwhile has counted this entry; it is not taken twice.
                let origin = self.take(engine, &mut shard, slot, asked, &mut removals);
                (!expired && origin == Some(Origin::Living)).then_some(value)
            })
        };
        drop(after);
        let taken = value.map_or(Taken::Absent, |value| Taken::Value(V::clone(&value)));
        self.finish(engine, removals);
        taken
    }

    /// Unlinks a slot and settles its accounts, under the shard's lock. An entry of a scope that was evicted counts as
    /// invalidated, whatever found it.
    pub(super) fn take(
        &self,
        engine: &Engine,
        shard: &mut Shard<K, V>,
        slot: SlotId,
        cause: RemovalCause,
        removals: &mut Removals<K, V>,
    ) -> Option<Origin> {
        let entry = shard.unlink(slot)?;
        let (cause, origin) = if entry.node.release(entry.weight) {
            (cause, Origin::Living)
        } else {
            engine.forget_dead();
            (RemovalCause::Invalidated, Origin::Evicted)
        };
        self.entries.fetch_sub(1, Relaxed);
        self.weight.fetch_sub(entry.weight.cast_signed(), Relaxed);
        self.counters.count(cause.into());
        entry.node.count_removal(cause, 1);
        removals.push(entry, cause);
        Some(origin)
    }

    /// After the lock: tells listeners and drops what left.
    pub(super) fn finish(&self, engine: &Engine, removals: Removals<K, V>) {
        removals.finish(&self.name, engine.listener(), self.options.listener.as_ref());
    }

    /// After the lock: keeps the bounds of the cache, at the cost of anybody but the newcomer.
    pub(super) fn settle(&self, engine: &Engine, hash: u64, slot: SlotId) {
        engine.make_room(Spare { region: self.id, shard: self.shard_index(hash), slot });
    }

    /// Before the lock: where scopes have limits, what has expired goes first, so that it displaces nothing that lives.
    pub(super) fn expire_before_limit(&self, engine: &Engine) {
        if self.options.max_per_scope.is_some() {
            engine.expire_due();
        }
    }

    pub(super) fn count_landing(&self, landing: Landing) {
        match landing {
            Landing::Published => {}
            Landing::RefusedDetached => self.counters.count(Counter::RefusedDetached),
            Landing::RefusedStalled => self.counters.count(Counter::RefusedStalled),
            Landing::RefusedWeight => self.counters.count(Counter::RefusedWeight),
        }
    }

    /// The weight of an entry.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidWeight`] for zero, or for more than the cache can hold.
    pub(super) fn weigh(&self, engine: &Engine, key: &K, value: &V, given: Option<u64>) -> Result<u64> {
        let weight = given.unwrap_or_else(|| (self.options.weigher)(key, value));
        let capacity = engine.limits().max_weight();
        if weight == 0 || weight > capacity.unwrap_or(u64::MAX).min(MOST_WEIGHT) {
            let mut error = Error::new(ErrorKind::InvalidWeight, "set").with("region", &self.name);
            error = error.with("weight", weight);
            if let Some(capacity) = capacity {
                error = error.with("capacity", capacity);
            }
            return Err(error.because("a weight is at least 1 and at most the capacity"));
        }
        Ok(weight)
    }

    /// The deadline of an entry written now.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidTtl`] if the clock cannot represent it.
    pub(super) fn deadline(&self, engine: &Engine, given: Option<Ttl>) -> Result<Moment> {
        let ttl = given.or(self.options.ttl).unwrap_or_else(|| engine.ttl());
        if ttl.is_never() { Ok(Moment::NEVER) } else { ttl.deadline(engine.now()) }
    }

    /// The hash of scope path and key. With a limit per scope its shard bits are the path's, so that a scope's
    /// entries are together.
    pub(super) fn hash<Q: Hash + ?Sized>(&self, engine: &Engine, node: &Node, key: &Q) -> u64 {
        let hash = engine.hash(node, key);
        if self.options.max_per_scope.is_none() {
            return hash;
        }
        let shard_bits = (self.shards.len() as u64 - 1) << SHARD_SHIFT;
        (hash & !shard_bits) | (node.path_hash() & shard_bits)
    }

    fn shard_index(&self, hash: u64) -> usize {
        (hash >> SHARD_SHIFT) as usize & (self.shards.len() - 1)
    }

    pub(super) fn shard(&self, hash: u64) -> MutexGuard<'_, Shard<K, V>> {
        self.shards[self.shard_index(hash)].lock()
    }
}

impl<K, V> std::fmt::Debug for Store<K, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("name", &self.name).finish_non_exhaustive()
    }
}
