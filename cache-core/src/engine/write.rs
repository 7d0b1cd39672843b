//! Writing into a region: weigh, charge, link or overwrite, keep the bounds.
//!
//! (1) What is wrong with a write is found before anything changes. (2) A write detaches the load that runs for its
//! key, under the same lock. (3) A charge comes before the link, under the shard's lock. (4) A draft that was not
//! linked is handed back, to be dropped or tried again without the lock.

use std::sync::atomic::AtomicU8;
use std::sync::atomic::Ordering::Relaxed;

use super::options::{Key, Value, Write};
use super::removal::Removals;
use super::shard::Shard;
use super::slab::Entry;
use super::store::Store;
use super::{Engine, Place, Spare};
use crate::clock::Moment;
use crate::error::{Error, ErrorKind, Result};
use crate::event::RemovalCause;
use crate::expiry::Ttl;
use crate::flight::After;
use crate::policy::SlotId;
use crate::scope::{Charge, Node};
use crate::stats::Counter;
use crate::sync::Arc;

/// What an entry may weigh at most, whatever the capacity.
const MOST_WEIGHT: u64 = 1 << 56;

/// An entry ready to be linked.
pub(super) struct Draft<K, V> {
    pub(super) key: K,
    pub(super) value: Arc<V>,
    pub(super) weight: u64,
    pub(super) deadline: Moment,
}

impl<K: Key, V: Value> Store<K, V> {
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
            let expired = shard.get(slot).is_some_and(|entry| entry.is_expired(|| engine.now()));
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
}
