//! Taking entries out of a region, and settling what they cost.
//!
//! (1) A removal detaches the load that runs for its key, under the same lock. (2) A release comes after the unlink,
//! under the shard's lock. (3) Each entry leaves for one cause, and is counted by one caller: what an eviction of its
//! scope counted is nobody else's.

use std::hash::Hash;
use std::sync::atomic::Ordering::Relaxed;

use equivalent::Equivalent;

use super::Engine;
use super::options::{Key, Taken, Value};
use super::removal::Removals;
use super::shard::Shard;
use super::store::Store;
use crate::event::RemovalCause;
use crate::flight::After;
use crate::policy::SlotId;
use crate::scope::Node;
use crate::sync::Arc;

/// The scope an entry was taken out of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// It lives: whoever took the entry counts it.
    Living,
    /// It was evicted, and that eviction has counted the entry.
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
        let hash = self.hash(engine, node, key);
        let mut removals = Removals::new();
        let mut after = After::new();
        let value = {
            let mut shard = self.shard(hash);
            let slot = shard.find(hash, node.id(), key);
            // What has expired, or belongs to an evicted scope, is absent, whatever it was.
            let entry = slot.and_then(|slot| shard.get(slot));
            let expired = entry.is_some_and(|entry| entry.is_expired(|| engine.now()));
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
}
