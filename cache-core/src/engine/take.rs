//! Taking entries out of a region, and settling what they cost.
//!
//! (1) A removal detaches the load that runs for its key, under the same lock. (2) A release comes after the unlink,
//! under the shard's lock. (3) Each entry leaves for one cause, and is counted by one caller: what an eviction of its
//! scope counted is nobody else's.

use std::hash::Hash;

use equivalent::Equivalent;

use super::Engine;
use super::arena::Entry;
use super::options::{Key, Taken, Value};
use super::removal::Removals;
use super::shard::{Left, LockedShard, Shard};
use super::store::{SLICE, Store, short};
use crate::epoch;
use crate::event::RemovalCause;
use crate::flight::After;
use crate::policy::SlotId;
use crate::scope::Node;
use crate::stats::tally;
use crate::sync::Arc;

/// The scope an entry was taken out of, or the cell of its tags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// It lives: whoever took the entry counts it.
    Living,
    /// It was evicted, or withdrawn, and whoever did that has counted the entry.
    Evicted,
}

impl<K: Key, V: Value> Store<K, V> {
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
        let hash = self.hash(node, key);
        let pin = epoch::pin();
        let mut removals = Removals::new(self.is_heard(engine).then_some(&pin));
        let mut after = After::new();
        let entry = {
            let mut shard = self.shard(hash);
            let slot = shard.find(short(hash), node.number(), key).map(Entry::slot);
            // What has expired, belongs to an evicted scope or had its tags withdrawn is absent, whatever it was.
            let entry = slot.and_then(|slot| shard.hold(&pin, slot));
            let now = || engine.now();
            let expired = entry.is_some_and(|entry| shard.is_gone(entry, now));
            // What is kept past its time is there to be taken out, and not to be handed out.
            let stale = entry.is_some_and(|entry| !expired && shard.is_past(entry, now));
            let withdrawn = slot.is_some_and(|slot| self.is_withdrawn(&shard, slot));
            if !expired
                && !withdrawn
                && entry.is_some_and(|entry| !entry.with_value(&accept))
                && node.is_live()
            {
                return Taken::Refused;
            }
            let same = |other: &Arc<Node>, known: &K| other.same_path(node) && key.equivalent(known);
            shard.books().flights.detach(hash, same, &mut after);
            let taken = entry.filter(|entry| {
                let asked = if expired { RemovalCause::Expired } else { cause };
                // Whoever evicted the scope meanwhile has counted this entry; it is not taken twice.
                let origin = self.take(engine, &mut shard, entry.slot(), asked, &mut removals);
                !expired && origin == Some(Origin::Living)
            });
            taken.map(|entry| (entry, stale))
        };
        drop(after);
        let taken = match entry {
            None => Taken::Absent,
            Some((_, true)) => Taken::Stale,
            Some((entry, false)) => Taken::Value(entry.value()),
        };
        self.finish(engine, removals);
        drop(pin);
        self.drop_retired(engine, hash);
        taken
    }

    /// Unlinks a slot and settles its accounts, under the shard's lock. An entry of a scope that was evicted counts as
    /// invalidated, whatever found it.
    pub(super) fn take<'p>(
        &self,
        engine: &Engine,
        shard: &mut LockedShard<'p, K, V>,
        slot: SlotId,
        cause: RemovalCause,
        removals: &mut Removals<'p, K, V>,
    ) -> Option<Origin> {
        let release = |node: &Arc<Node>, weight| node.release(weight);
        let (weight, origin) = self.take_and(engine, shard, slot, cause, removals, release)?;
        // Whoever takes out what is not in the way of a newcomer wants it dropped soon, and raises the epoch next.
        shard.stamp();
        self.shrink_by(engine, 1, weight);
        Some(origin)
    }

    /// As [`take`](Self::take), but `release` settles with the ledgers, and says whether the scope lived.
    pub(super) fn take_and<'p>(
        &self,
        engine: &Engine,
        shard: &mut LockedShard<'p, K, V>,
        slot: SlotId,
        cause: RemovalCause,
        removals: &mut Removals<'p, K, V>,
        release: impl FnOnce(&Arc<Node>, u64) -> bool,
    ) -> Option<(u64, Origin)> {
        let told = removals.pin().and_then(|pin| shard.hold(pin, slot));
        let ((cause, origin, weight, heard), node) = shard.unlink(slot, |node, weight| {
            let (cause, origin) = if release(node, weight) {
                (cause, Origin::Living)
            } else {
                engine.forget_dead();
                (RemovalCause::Invalidated, Origin::Evicted)
            };
            tally::count(Some(&self.counters), Some(node.stats()), cause.into());
            (cause, origin, weight, told.map(|entry| (entry, Arc::clone(node))))
        })?;
        if let Some((entry, node)) = heard {
            removals.tell(entry, node, weight, cause);
        }
        removals.let_go(node);
        Some((weight, origin))
    }

    /// Unlinks those of some slots that are `wanted`, as [`take`](Self::take) each; how many. Books are settled once for those of one scope
    /// that come one after the other, where nobody listens.
    pub(super) fn take_many<'p>(
        &self,
        engine: &Engine,
        shard: &mut LockedShard<'p, K, V>,
        slots: impl Iterator<Item = SlotId>,
        mut wanted: impl FnMut(&mut LockedShard<'p, K, V>, SlotId) -> bool,
        cause: RemovalCause,
        removals: &mut Removals<'p, K, V>,
    ) -> usize {
        let mut taken = 0;
        if removals.pin().is_some() {
            for slot in slots {
                if wanted(shard, slot) {
                    taken += usize::from(self.take(engine, shard, slot, cause, removals).is_some());
                }
            }
            return taken;
        }
        let settle = |node: &Arc<Node>, left: Left| {
            let lived = node.release_many(left.entries, left.weight);
            let cause = if lived { cause } else { RemovalCause::Invalidated };
            for _ in 0..left.entries {
                if !lived {
                    engine.forget_dead();
                }
                tally::count(Some(&self.counters), Some(node.stats()), cause.into());
            }
            taken += left.entries as usize;
            self.shrink_by(engine, left.entries, left.weight);
        };
        shard.unlink_many(slots, wanted, settle, |node| removals.let_go(node));
        if taken > 0 {
            shard.stamp();
        }
        taken
    }

    /// After an explicit removal: drops what readers have passed, so that values do not outlive their removal without need.
    pub(super) fn drop_retired(&self, engine: &Engine, hash: u64) {
        let shard = &self.shards[self.shard_index(hash)];
        if shard.has_waiting() {
            epoch::advance();
            self.drop_past(engine, shard, SLICE);
        }
    }

    /// Drops what waits in a shard and readers have passed, so many at most; how many those were.
    pub(super) fn drop_past(&self, engine: &Engine, shard: &Shard<K, V>, most: usize) -> usize {
        let mut removals = Removals::new(None);
        let freed = shard.lock().reclaim(most, removals.reclaimed());
        engine.upkeep.note_gone(freed);
        self.finish(engine, removals);
        freed
    }
}
