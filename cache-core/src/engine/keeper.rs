//! What every region does for the whole cache: offer a victim, expire, sweep, report, invalidate by scope.
//!
//! (1) Each hold of a shard's lock visits at most [`SLICE`] slots. (2) Values drop after the lock.

use std::any::Any;
use std::sync::atomic::Ordering::Relaxed;

use super::arena::CHUNK;
use super::claim::{Claim, Offer, Standing};
use super::options::{Key, Value};
use super::removal::Removals;
use super::shard::{LockedShard, Shard, Wanted};
use super::store::{SLICE, Store};
use super::take::Origin;
use super::{Detached, Engine, RegionId, RegionOps, Spare, Thoroughness};
use crate::clock::Moment;
use crate::epoch;
use crate::event::RemovalCause;
use crate::flight::After;
use crate::policy::SlotId;
use crate::scope::Node;
use crate::stats::{Counter, ScopeStats, Stats};
use crate::sync::Arc;

/// Slices of what expires before it is dropped: somebody has to wait for readers then, which costs as much as some twenty entries.
const SLICES: usize = 8;

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

    fn coldest(&self, shard: usize, spare: Spare, generation: u8) -> Option<u8> {
        let spared = spare.in_shard(self.id, shard);
        self.shards.get(shard)?.lock().victim(spared, generation).map(|(_, age)| age)
    }

    fn shown_age(&self, shard: usize, generation: u8) -> Option<u8> {
        let used = u8::try_from(self.shards.get(shard)?.shown()).ok()?;
        Some(generation.wrapping_sub(used))
    }

    fn evict_from(&self, engine: &Engine, shard: usize, spare: Spare, of: Option<&Node>) -> bool {
        let spared = spare.in_shard(self.id, shard);
        let Some(arena) = self.shards.get(shard) else { return false };
        let pin = self.listening(engine);
        let mut removals = Removals::new(pin.as_ref());
        let (found, tired) = {
            let mut shard = arena.lock();
            let victim = shard.victim(spared, engine.generation());
            removals.note(shard.books().take_fault());
            let taken =
                victim.and_then(|(slot, _)| self.evict_slot(engine, &mut shard, slot, of, &mut removals));
            (taken.is_some(), shard.is_tired())
        };
        self.finish(engine, removals);
        drop(pin);
        self.relieve(engine, arena, tired);
        found
    }

    fn furthest(&self, shard: usize, claim: &Claim<'_>) -> Option<Standing> {
        self.shards.get(shard)?.lock().furthest(claim, self.shards.len())
    }

    fn offer(&self, engine: &Engine, shard: usize, claim: &Claim<'_>, spare: Spare) -> Option<Offer> {
        let wanted = self.wanted(engine, shard, spare, Thoroughness::Few);
        let mut locked = self.shards.get(shard)?.lock();
        locked.offer(claim, &wanted, self.shards.len()).map(|(offer, _)| offer)
    }

    fn evict_for(
        &self,
        engine: &Engine,
        shard: usize,
        claim: &Claim<'_>,
        spare: Spare,
        how: Thoroughness,
    ) -> Option<Standing> {
        let arena = self.shards.get(shard)?;
        let wanted = self.wanted(engine, shard, spare, how);
        let pin = self.listening(engine);
        let mut removals = Removals::new(pin.as_ref());
        let (found, tired) = {
            // Nobody else makes others pay meanwhile: who is beyond its reserve now is so until this one has gone.
            let _turn = engine.take_turn();
            let mut shard = arena.lock();
            let offered = shard.offer(claim, &wanted, self.shards.len());
            removals.note(shard.books().take_fault());
            let can_pay = |offer: &Offer| how == Thoroughness::EvenOwn || !offer.standing.is_within_reserve();
            let paid = offered.filter(|(offer, _)| can_pay(offer)).and_then(|(offer, slot)| {
                let taken = self.evict_slot(engine, &mut shard, slot, Some(claim.of), &mut removals);
                taken.map(|()| offer.standing)
            });
            (paid, shard.is_tired())
        };
        self.finish(engine, removals);
        drop(pin);
        self.relieve(engine, arena, tired);
        found
    }

    fn bring_home(&self, engine: &Engine, shard: usize) {
        let Some(arena) = self.shards.get(shard) else { return };
        let structure = engine.structure();
        while !arena.lock().go_on_homing(structure, 1) {}
    }

    fn expire(&self, engine: &Engine, shard: usize, now: Moment) -> (u64, Option<Moment>) {
        let Some(arena) = self.shards.get(shard) else { return (0, None) };
        let (mut expired, mut slices) = (0, 0_usize);
        loop {
            slices += 1;
            let pin = self.listening(engine);
            let mut removals = Removals::new(pin.as_ref());
            let (done, next) = {
                let mut shard = arena.lock();
                if shard.earliest() > now {
                    (true, shard.earliest())
                } else {
                    let taken = self.take_due(engine, &mut shard, now, SLICE, &mut removals);
                    expired += taken as u64;
                    (taken < SLICE, shard.earliest())
                }
            };
            self.finish(engine, removals);
            drop(pin);
            if done || slices.is_multiple_of(SLICES) {
                self.drop_swept(engine, arena);
            }
            if done {
                return (expired, Some(next).filter(|&next| next != Moment::NEVER));
            }
        }
    }

    fn sweep(&self, engine: &Engine, shard: usize, from: usize, slots: usize) -> Option<usize> {
        let arena = self.shards.get(shard)?;
        let pin = self.listening(engine);
        let mut removals = Removals::new(pin.as_ref());
        let next = {
            let mut shard = arena.lock();
            let places = shard.books().places();
            let from = if from < places {
                // What was looked through may be all there is; then its slots are next.
                shard.books().look_for_dead(from, slots.min(SLICE))?
            } else {
                from
            };
            if from < places {
                return Some(from);
            }
            let chunks = shard.chunks(from - places, slots.min(SLICE));
            for chunk in chunks.clone() {
                let slots = shard.view().live_in(chunk);
                let is_dead = |shard: &mut LockedShard<'_, K, V>, slot| shard.is_dead(slot);
                let cause = RemovalCause::Invalidated;
                self.take_many(engine, &mut shard, slots, is_dead, cause, &mut removals);
            }
            let end = shard.view().span();
            // The places are fewer only when nothing is left.
            (chunks.end * CHUNK < end).then_some(places + chunks.end * CHUNK)
        };
        self.finish(engine, removals);
        drop(pin);
        self.drop_swept(engine, arena);
        next
    }

    fn reclaim(&self, engine: &Engine) -> bool {
        for arena in self.shards.iter() {
            while self.drop_past(engine, arena, SLICE) == SLICE {}
            // A sweep that is under way counts places, which would become fewer.
            if !engine.has_dead() {
                arena.lock().give_back_room();
            }
        }
        self.has_waiting()
    }

    fn has_waiting(&self) -> bool {
        self.shards.iter().any(Shard::has_waiting)
    }

    fn report(&self, into: &mut Stats) {
        self.counters.report(into);
        into.entries += self.entries();
        into.weight += self.weight();
        into.flights += self.flights();
    }

    fn flights(&self) -> u64 {
        self.shards.iter().map(|shard| shard.lock().books().flights.len() as u64).sum()
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
        for arena in self.shards.iter() {
            let mut after = After::new();
            let same = |other: &Arc<Node>, _: &K| other.same_path(node);
            arena.lock().books().flights.detach_where(same, &mut after);
            drop(after);
            let mut from = Some(0);
            while let Some(start) = from {
                let pin = self.listening(engine);
                let mut removals = Removals::new(pin.as_ref());
                from = {
                    let mut shard = arena.lock();
                    let chunks = shard.chunks(start, SLICE);
                    for chunk in chunks.clone() {
                        for slot in shard.view().live_in(chunk) {
                            self.invalidate(engine, &mut shard, slot, node, &mut removals, &mut gone);
                        }
                    }
                    (chunks.end * CHUNK < shard.view().span()).then_some(chunks.end * CHUNK)
                };
                self.finish(engine, removals);
            }
            self.drop_swept(engine, arena);
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

impl<K: Key, V: Value> Store<K, V> {
    fn wanted(&self, engine: &Engine, shard: usize, spare: Spare, how: Thoroughness) -> Wanted {
        let spare = spare.in_shard(self.id, shard);
        Wanted { spare, generation: engine.generation(), structure: engine.structure(), how }
    }

    /// After an eviction, and without a pin: where memory is short, gets back what readers have passed.
    fn relieve(&self, engine: &Engine, arena: &Shard<K, V>, tired: bool) {
        if tired {
            epoch::advance();
            self.drop_past(engine, arena, SLICE);
        }
    }

    /// Evicts a slot, and counts who had to pay for whom.
    fn evict_slot<'p>(
        &self,
        engine: &Engine,
        shard: &mut LockedShard<'p, K, V>,
        slot: SlotId,
        of: Option<&Node>,
        removals: &mut Removals<'p, K, V>,
    ) -> Option<()> {
        let release = |node: &Arc<Node>, weight| {
            let counted = node.release(weight);
            if counted && let Some(of) = of {
                ScopeStats::count_forced(of.stats(), node.stats());
            }
            counted
        };
        let (weight, _) = self.take_and(engine, shard, slot, RemovalCause::Evicted, removals, release)?;
        // Whoever takes out what is not in the way of a newcomer wants it dropped soon, and raises the epoch next.
        shard.stamp();
        self.shrink_by(engine, 1, weight);
        Some(())
    }

    /// Takes what is due in a shard, about so many at most; how many those were.
    pub(super) fn take_due<'p>(
        &self,
        engine: &Engine,
        shard: &mut LockedShard<'p, K, V>,
        now: Moment,
        most: usize,
        removals: &mut Removals<'p, K, V>,
    ) -> usize {
        let (mut taken, mut from) = (0, 0);
        while taken < most
            && let Some((chunk, due)) = shard.due(from, now)
        {
            taken += self.take_many(engine, shard, due, |_, _| true, RemovalCause::Expired, removals);
            from = chunk + 1;
        }
        taken
    }

    /// After a slice: drops what readers have passed.
    fn drop_swept(&self, engine: &Engine, arena: &Shard<K, V>) {
        if arena.has_waiting() {
            epoch::advance();
            while self.drop_past(engine, arena, SLICE) == SLICE {}
        }
    }

    /// Takes an entry if it is of this scope, and counts it unless it had expired or an eviction has counted it.
    fn invalidate<'p>(
        &self,
        engine: &Engine,
        shard: &mut LockedShard<'p, K, V>,
        slot: SlotId,
        node: &Node,
        removals: &mut Removals<'p, K, V>,
        gone: &mut Detached,
    ) {
        let Some(entry) = shard.view().entry(slot).filter(|entry| entry.header().scope() == node.number())
        else {
            return;
        };
        let expired = shard.is_gone(entry, || engine.now());
        let cause = if expired { RemovalCause::Expired } else { RemovalCause::Invalidated };
        let weight = shard.weight_of(slot);
        let origin = self.take(engine, shard, slot, cause, removals);
        if !expired && origin == Some(Origin::Living) {
            gone.entries += 1;
            gone.weight += weight;
        }
    }
}
