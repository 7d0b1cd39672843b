//! Writing into a region: weigh, charge, link or overwrite, keep the bounds.
//!
//! (1) What is wrong with a write is found before anything changes. (2) A write detaches the load that runs for its
//! key, under the same lock. (3) A charge comes before the link, under the shard's lock. (4) A draft that was not
//! linked is handed back, to be dropped or tried again without the lock.

use std::sync::atomic::Ordering::Relaxed;

use super::arena::Stalled;
use super::options::{Key, Value, Write};
use super::removal::Removals;
use super::shard::{Draft, LockedShard};
use super::store::{Store, short};
use super::{Engine, Place, Spare};
use crate::clock::{Deadline, Moment};
use crate::epoch;
use crate::error::{Error, ErrorKind, Result};
use crate::event::RemovalCause;
use crate::expiry::Ttl;
use crate::flight::After;
use crate::policy::SlotId;
use crate::scope::{Charge, Node};
use crate::stats::{Event, tally};
use crate::sync::Arc;

/// What an entry may weigh at most, whatever the capacity.
const MOST_WEIGHT: u64 = 1 << 56;

/// What became of a draft under the lock.
pub(super) enum Fate<K, V> {
    /// It is linked.
    Linked(SlotId),
    /// It is as if it had been evicted at once: readers keep too much memory from being used again.
    Gone((K, V)),
    /// Its scope was evicted meanwhile.
    Dead(Draft<K, V>),
    /// There was none.
    Nothing,
}

impl<K: Key, V: Value> Store<K, V> {
    /// Stores a value. Detaches the load that runs for the key; evicts what the capacity asks for.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidWeight`] for a weight of zero or above the capacity, [`ErrorKind::InvalidTtl`] for a
    /// deadline that cannot be represented; the old value stays. What `place` reports.
    pub fn insert(&self, engine: &Engine, place: &impl Place, key: K, value: V, write: Write) -> Result<()> {
        let weight = self.weigh(engine, &key, &value, write.weight)?;
        let (deadline, last) = self.deadlines(engine, write.ttl)?;
        let mut draft = Some(Draft { key, value, weight, deadline, last });
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
        self.expire_before(engine, node, draft.weight);
        let mut draft = Some(draft);
        let Some(Draft { key, .. }) = &draft else { return Ok(()) };
        let hash = self.hash(node, key);
        let pin = epoch::pin();
        self.shards[self.shard_index(hash)].prefetch(&pin, short(hash));
        let mut removals = Removals::new(self.is_heard(engine).then_some(&pin));
        let mut after = None;
        let (fate, tired) = {
            let mut shard = self.shard(hash);
            let flights = &mut shard.books().flights;
            if !flights.is_empty() {
                let same = |other: &Arc<Node>, known: &K| other.same_path(node) && key == known;
                flights.detach(hash, same, after.insert(After::new()));
            }
            let fate = self.link(engine, &mut shard, node, hash, &mut draft, &mut removals);
            (fate, shard.is_tired())
        };
        drop(after);
        let linked = self.settle(engine, fate, removals);
        drop(pin);
        self.make_room(engine, node, hash, linked?, tired);
        Ok(())
    }

    /// Links a draft, or overwrites the value of its key, under the shard's lock; the draft is the caller's until no `Eq` can
    /// panic any more, so that it is not dropped under the lock. Where the cache is full, and this region
    /// all there is in it, the newcomer takes the place of the next to go.
    pub(super) fn link<'p>(
        &self,
        engine: &Engine,
        shard: &mut LockedShard<'p, K, V>,
        node: &Arc<Node>,
        hash: u64,
        draft: &mut Option<Draft<K, V>>,
        removals: &mut Removals<'p, K, V>,
    ) -> Fate<K, V> {
        let found = draft.as_ref().and_then(|draft| shard.find(short(hash), node.number(), &draft.key));
        let found = found.map(|entry| (entry.slot(), entry.header().is_expired(|| engine.now())));
        let Some(draft) = draft.take() else { return Fate::Nothing };
        match found {
            None => {}
            Some((slot, true)) => {
                self.take(engine, shard, slot, RemovalCause::Expired, removals);
            }
            Some((slot, false)) if node.is_live() => {
                return self.overwrite(engine, shard, slot, node, draft, removals);
            }
            Some(_) => return Fate::Dead(draft),
        }
        let charged = match self.displace(engine, shard, node, draft.weight, removals) {
            Some(charge) => charge,
            None => {
                let charge = node.charge(draft.weight);
                if charge == Charge::Live {
                    self.grow_by(engine, draft.weight);
                }
                charge
            }
        };
        if charged == Charge::Dead {
            node.release(draft.weight);
            return Fate::Dead(draft);
        }
        engine.note_deadline(draft.deadline.moment());
        let weight = draft.weight;
        let age = engine.tick(shard.books());
        if shard.is_at_a_step() && self.options.max_per_scope.is_none() {
            self.tell_expected(engine, shard);
        }
        let linked = shard.link(node, short(hash), age, draft);
        tally::count(Some(&self.counters), Some(node.stats()), Event::Insert);
        let slot = match linked {
            Ok(linked) => {
                removals.drop_later(linked.old);
                linked.slot
            }
            Err(Stalled(payload)) => {
                if !node.release(weight) {
                    engine.forget_dead();
                }
                self.shrink_by(engine, weight);
                tally::count(Some(&self.counters), Some(node.stats()), Event::Evicted);
                return Fate::Gone(payload);
            }
        };
        if let Some(limit) = self.options.max_per_scope.filter(|&limit| shard.is_over(slot, limit)) {
            self.keep_limit(engine, shard, slot, limit, removals);
        }
        removals.note(shard.books().take_fault());
        Fate::Linked(slot)
    }

    /// In a full cache that has no other region: evicts the next to go in this shard and charges the newcomer in its
    /// place, which leaves alone what their scopes have in common. `None` if there is room, or nobody here can pay.
    fn displace<'p>(
        &self,
        engine: &Engine,
        shard: &mut LockedShard<'p, K, V>,
        node: &Arc<Node>,
        weight: u64,
        removals: &mut Removals<'p, K, V>,
    ) -> Option<Charge> {
        if self.options.max_per_scope.is_some() || !engine.is_full_for(node, weight) || !engine.is_alone() {
            return None;
        }
        if !node.is_live() {
            return None;
        }
        let (victim, _) = shard.victim(None, engine.generation())?;
        let mut charge = Charge::Dead;
        let exchange = |leaving: &Arc<Node>, left| {
            let (charged, counted) = node.exchange(leaving, [weight, left]);
            charge = charged;
            counted
        };
        let (left, _) = self.take_and(engine, shard, victim, RemovalCause::Evicted, removals, exchange)?;
        if charge == Charge::Live {
            let change = weight.cast_signed().wrapping_sub(left.cast_signed());
            if change != 0 {
                self.weight.fetch_add(change, Relaxed);
            }
        } else {
            self.shrink_by(engine, left);
        }
        Some(charge)
    }

    /// Keeps the limit of a scope after an insert: what has expired goes first, then whom the policy names.
    fn keep_limit<'p>(
        &self,
        engine: &Engine,
        shard: &mut LockedShard<'p, K, V>,
        newcomer: SlotId,
        limit: u64,
        removals: &mut Removals<'p, K, V>,
    ) {
        if shard.earliest() != Moment::NEVER {
            let now = engine.now();
            if shard.earliest() <= now {
                self.take_due(engine, shard, now, usize::MAX, removals);
            }
        }
        while shard.is_over(newcomer, limit)
            && let Some(victim) = shard.victim_beside(newcomer)
        {
            self.take(engine, shard, victim, RemovalCause::Evicted, removals);
        }
    }

    fn overwrite<'p>(
        &self,
        engine: &Engine,
        shard: &mut LockedShard<'p, K, V>,
        slot: SlotId,
        node: &Arc<Node>,
        draft: Draft<K, V>,
        removals: &mut Removals<'p, K, V>,
    ) -> Fate<K, V> {
        engine.note_deadline(draft.deadline.moment());
        let told = removals.pin().and_then(|pin| shard.hold(pin, slot));
        let weight = draft.weight;
        let age = engine.tick(shard.books());
        match shard.overwrite(slot, age, self.heat_limit(), draft) {
            Ok((linked, old_weight)) => {
                let change = weight.cast_signed().wrapping_sub(old_weight.cast_signed());
                if change != 0 {
                    node.reweigh(change);
                    self.weight.fetch_add(change, Relaxed);
                }
                tally::count(Some(&self.counters), Some(node.stats()), Event::Replaced);
                removals.drop_later(linked.old);
                removals.note(shard.books().take_fault());
                if let Some(entry) = told {
                    removals.tell(entry, Arc::clone(node), old_weight, RemovalCause::Replaced);
                }
                Fate::Linked(linked.slot)
            }
            Err(Stalled(payload)) => {
                // The old value may not be served again.
                self.take(engine, shard, slot, RemovalCause::Evicted, removals);
                Fate::Gone(payload)
            }
        }
    }

    /// After the lock: tells and drops what left. Answers the newcomer's slot.
    pub(super) fn settle(
        &self,
        engine: &Engine,
        fate: Fate<K, V>,
        mut removals: Removals<'_, K, V>,
    ) -> Result<Option<SlotId>, Draft<K, V>> {
        let result = match fate {
            Fate::Linked(slot) => Ok(Some(slot)),
            Fate::Gone(payload) => {
                removals.drop_later(Some(payload));
                Ok(None)
            }
            Fate::Dead(draft) => Err(draft),
            Fate::Nothing => Ok(None),
        };
        self.finish(engine, removals);
        result
    }

    /// After the lock and the pin, which would keep what goes from being dropped: keeps the bounds of the cache, at the cost
    /// of anybody but the newcomer.
    pub(super) fn make_room(
        &self,
        engine: &Engine,
        node: &Node,
        hash: u64,
        slot: Option<SlotId>,
        tired: bool,
    ) {
        if tired {
            epoch::advance();
        }
        if let Some(slot) = slot {
            let spare = Spare { region: self.id, shard: self.shard_index(hash), slot };
            engine.make_room_for(node, spare);
        }
    }

    /// Before the lock: where the cache is full, or scopes have limits, what has expired goes first, so that it displaces
    /// nothing that lives.
    pub(super) fn expire_before(&self, engine: &Engine, node: &Node, weight: u64) {
        if self.options.max_per_scope.is_some() || engine.is_full_for(node, weight) {
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

    /// The deadline of an entry written now, and the one that uses may not put off where entries go unused.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidTtl`] if the clock cannot represent it.
    pub(super) fn deadlines(
        &self,
        engine: &Engine,
        given: Option<Ttl>,
    ) -> Result<(Deadline, Option<Deadline>)> {
        let ttl = given.or(self.options.ttl).unwrap_or_else(|| engine.ttl());
        let idle = self.options.idle;
        if ttl.is_never() && idle.is_none() {
            return Ok((Deadline::NEVER, None));
        }
        let now = engine.now();
        let full = ttl.deadline(now)?;
        let last = if full == Moment::NEVER { full } else { engine.shorten(now, full, self.options.jitter) };
        let last = Deadline::pack(last);
        let Some(idle) = idle else { return Ok((last, None)) };
        Ok((Deadline::pack(idle.deadline(now)?).min(last), Some(last)))
    }
}
