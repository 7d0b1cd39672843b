//! What every region does for the whole cache: offer a victim, expire, sweep, report, invalidate by scope.
//!
//! (1) Each hold of a shard's lock visits at most [`SLICE`] slots. (2) Values drop after the lock.

use std::any::Any;
use std::sync::atomic::Ordering::Relaxed;

use super::options::{Key, Value};
use super::removal::Removals;
use super::store::{SLICE, Store};
use super::take::Origin;
use super::{Detached, Engine, RegionId, RegionOps, Spare};
use crate::clock::Moment;
use crate::event::RemovalCause;
use crate::flight::After;
use crate::policy::SlotId;
use crate::scope::Node;
use crate::stats::{Counter, Stats};
use crate::sync::Arc;

impl<K: Key, V: Value> RegionOps for Store<K, V> {
    fn id(&self) -> RegionId {
        self.id
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn entries(&self) -> u64 {
        u64::try_from(self.entries.load(Relaxed)).unwrap_or(0)
    }

    fn weight(&self) -> u64 {
        u64::try_from(self.weight.load(Relaxed)).unwrap_or(0)
    }

    fn shards(&self) -> usize {
        self.shards.len()
    }

    fn coldest(&self, shard: usize, spare: Spare) -> Option<u64> {
        let spared = spare.in_shard(self.id, shard);
        let mut shard = self.shards.get(shard)?.lock();
        let victim = shard.victim(spared)?;
        shard.get(victim).map(|entry| entry.stamp)
    }

    fn evict_from(&self, engine: &Engine, shard: usize, spare: Spare) -> bool {
        let spared = spare.in_shard(self.id, shard);
        let Some(shard) = self.shards.get(shard) else { return false };
        let mut removals = Removals::new();
        let found = {
            let mut shard = shard.lock();
            let victim = shard.victim(spared);
            removals.note(shard.take_fault());
            victim
                .and_then(|slot| self.take(engine, &mut shard, slot, RemovalCause::Evicted, &mut removals))
                .is_some()
        };
        self.finish(engine, removals);
        found
    }

    fn expire(&self, engine: &Engine, shard: usize, now: Moment) -> (u64, Option<Moment>) {
        let Some(shard) = self.shards.get(shard) else { return (0, None) };
        let mut expired = 0;
        loop {
            let mut removals = Removals::new();
            let (done, next) = {
                let mut shard = shard.lock();
                let mut left = SLICE;
                while left > 0
                    && let Some(slot) = shard.due(now)
                {
                    self.take(engine, &mut shard, slot, RemovalCause::Expired, &mut removals);
                    left -= 1;
                }
                expired += (SLICE - left) as u64;
                (left > 0, shard.next_deadline())
            };
            self.finish(engine, removals);
            if done {
                return (expired, next);
            }
        }
    }

    fn sweep(&self, engine: &Engine, shard: usize, from: usize, slots: usize) -> Option<usize> {
        let shard = self.shards.get(shard)?;
        let mut removals = Removals::new();
        let next = {
            let mut shard = shard.lock();
            let end = shard.span().min(from.saturating_add(slots.min(SLICE)));
            for index in from..end {
                let slot = SlotId(u32::try_from(index).unwrap_or(u32::MAX));
                if shard.get(slot).is_some_and(|entry| !entry.node.is_live()) {
                    self.take(engine, &mut shard, slot, RemovalCause::Invalidated, &mut removals);
                }
            }
            (end < shard.span()).then_some(end)
        };
        self.finish(engine, removals);
        next
    }

    fn report(&self, into: &mut Stats) {
        self.counters.report(into);
        into.entries += self.entries();
        into.weight += self.weight();
        into.flights += self.flights();
    }

    fn flights(&self) -> u64 {
        self.shards.iter().map(|shard| shard.lock().flights.len() as u64).sum()
    }

    fn as_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}

/// A region whose types are not known.
pub trait AnyRegion: Send + Sync {
    /// The region's name.
    fn region_name(&self) -> &str;

    /// What the region has done and holds. Does first what maintenance is owed, so that it is exact.
    fn stats(&self, engine: &Engine) -> Stats;

    /// Withdraws every entry of the region in one scope, not below it, and detaches the loads that run there. Exact:
    /// counts the entries whose insert had completed. Visits the slots of the region, a slice a lock.
    fn invalidate_scope(&self, engine: &Engine, node: &Node) -> Detached;

    /// Counts a call that ran past the cache.
    fn count_bypass(&self);
}

impl<K: Key, V: Value> AnyRegion for Store<K, V> {
    fn region_name(&self) -> &str {
        &self.name
    }

    fn count_bypass(&self) {
        self.counters.count(Counter::Bypassed);
    }

    fn invalidate_scope(&self, engine: &Engine, node: &Node) -> Detached {
        let mut gone = Detached::default();
        for shard in &self.shards {
            let mut after = After::new();
            shard.lock().flights.detach_where(|other: &Arc<Node>, _| other.same_path(node), &mut after);
            drop(after);
            let mut from = Some(0);
            while let Some(start) = from {
                let mut removals = Removals::new();
                from = {
                    let mut shard = shard.lock();
                    let end = shard.span().min(start + SLICE);
                    for index in start..end {
                        let slot = SlotId(u32::try_from(index).unwrap_or(u32::MAX));
                        let Some(entry) = shard.get(slot).filter(|entry| entry.node.id() == node.id()) else {
                            continue;
                        };
                        let weight = entry.weight;
                        let expired = entry.is_expired(|| engine.now());
                        let cause = if expired { RemovalCause::Expired } else { RemovalCause::Invalidated };
                        let origin = self.take(engine, &mut shard, slot, cause, &mut removals);
                        // What an eviction of the scope counted meanwhile is not counted here.
                        if !expired && origin == Some(Origin::Living) {
                            gone.entries += 1;
                            gone.weight += weight;
                        }
                    }
                    (end < shard.span()).then_some(end)
                };
                self.finish(engine, removals);
            }
        }
        gone
    }

    fn stats(&self, engine: &Engine) -> Stats {
        engine.maintain();
        let mut stats = Stats { regions: 1, ..Stats::default() };
        self.report(&mut stats);
        stats
    }
}
