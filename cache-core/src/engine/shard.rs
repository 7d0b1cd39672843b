//! One shard of a region: index, arena, order, deadlines and running loads, all under one lock of the store.
//!
//! (1) The index names exactly the occupied slots. (2) A slot in the index is in one domain, and in the deadlines
//! if its entry has one. (3) Touches are drained before a slot is freed, so a touch never reaches a later entry.
//! (4) Nothing here drops a value or runs user code, `Eq` of keys and policies excepted; an `Eq` that panics does
//! so before anything has changed. Cost: O(1) expected a call, O(log n) with a deadline.

use std::hash::Hash;

use equivalent::Equivalent;
use hashbrown::HashTable;

use super::domain::Domains;
use super::slab::{Entry, Slab};
use crate::clock::Moment;
use crate::expiry::Deadlines;
use crate::flight::{Flights, Setup};
use crate::policy::{Fault, Policy, SlotId, Touches};
use crate::scope::Node;
use crate::sync::Arc;

/// Touches held back before the policy is told.
const TOUCH_BATCH: usize = 64;

/// One shard. The store locks it.
pub(super) struct Shard<K, V> {
    index: HashTable<u32>,
    slab: Slab<K, V>,
    domains: Domains,
    deadlines: Deadlines,
    touches: Vec<SlotId>,
    /// The order has to be exact: the whole region is in this shard, or all entries of a scope with a limit.
    exact: bool,
    /// The loads that run for keys of this shard.
    pub(super) flights: Flights<Arc<Node>, K, V>,
}

impl<K, V: Send + Sync + 'static> Shard<K, V> {
    /// With `exact`, every hit counts for the order.
    pub(super) fn new(policy: Policy, setup: Arc<Setup>, exact: bool) -> Self {
        Self {
            index: HashTable::new(),
            slab: Slab::new(),
            domains: Domains::new(policy),
            deadlines: Deadlines::new(),
            touches: Vec::new(),
            exact,
            flights: Flights::new(setup),
        }
    }

    /// Finds the entry of a key under one scope node. Compares node and key in full.
    pub(super) fn find<Q>(&self, hash: u64, node: u64, key: &Q) -> Option<SlotId>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let slab = &self.slab;
        let same = |&index: &u32| {
            slab.get(SlotId(index)).is_some_and(|entry| {
                entry.hash == hash && entry.node.id() == node && key.equivalent(&entry.key)
            })
        };
        self.index.find(hash, same).map(|&index| SlotId(index))
    }

    pub(super) fn get(&self, slot: SlotId) -> Option<&Entry<K, V>> {
        self.slab.get(slot)
    }

    /// Records a hit: heat, age, and the touch for policies that keep an order.
    ///
    /// Where the order need not be exact, an entry that was touched a short while ago is not moved again: it is among the
    /// youngest eighth, and moving it would touch three cold lines. Nothing ages while nothing is written.
    pub(super) fn hit(&mut self, slot: SlotId, stamp: u64) {
        let entries = self.slab.len();
        let Some(entry) = self.slab.get_mut(slot) else { return };
        entry.warm(self.domains.heat_limit(entry.domain));
        let age = stamp.wrapping_sub(std::mem::replace(&mut entry.stamp, stamp));
        let told = match self.domains.touches(entry.domain) {
            Touches::None => false,
            Touches::Latest => self.exact || age > entries as u64 / 8,
            Touches::Each => true,
        };
        if !told {
            // The age is that of the last touch the policy was told of.
            entry.stamp = stamp.wrapping_sub(age);
            return;
        }
        self.touches.push(slot);
        if self.touches.len() >= TOUCH_BATCH {
            self.drain_touches();
        }
    }

    /// Puts an entry in, under a domain of its scope if the region limits scopes. The key must be absent.
    pub(super) fn link(&mut self, mut entry: Entry<K, V>, domain_of: Option<u64>) -> SlotId {
        self.drain_touches();
        let domain = self.domains.open(domain_of);
        entry.domain = domain;
        let (hash, weight, deadline) = (entry.hash, entry.weight, entry.deadline);
        let slot = self.slab.insert(entry);
        let slab = &self.slab;
        // Stored hashes only: growing the index calls no user code.
        let hash_of = |&index: &u32| slab.get(SlotId(index)).map_or(0, |entry| entry.hash);
        self.index.insert_unique(hash, slot.0, hash_of);
        if deadline != Moment::NEVER {
            self.deadlines.insert(deadline, slot);
        }
        self.domains.insert(domain, slot, hash, weight);
        slot
    }

    /// Takes an entry out of everything.
    pub(super) fn unlink(&mut self, slot: SlotId) -> Option<Entry<K, V>> {
        self.drain_touches();
        let (hash, deadline, domain) = {
            let entry = self.slab.get(slot)?;
            (entry.hash, entry.deadline, entry.domain)
        };
        if let Ok(found) = self.index.find_entry(hash, |&index| index == slot.0) {
            found.remove();
        }
        if self.index.is_empty() {
            self.index = HashTable::new();
        }
        if deadline != Moment::NEVER {
            self.deadlines.remove(deadline, slot);
        }
        self.domains.remove(domain, slot);
        self.slab.remove(slot)
    }

    /// Gives an entry a new value, weight and deadline, and counts as a touch. Returns the old value and weight.
    pub(super) fn overwrite(
        &mut self,
        slot: SlotId,
        value: Arc<V>,
        weight: u64,
        deadline: Moment,
        stamp: u64,
    ) -> Option<(Arc<V>, u64)> {
        let entry = self.slab.get_mut(slot)?;
        let old_deadline = std::mem::replace(&mut entry.deadline, deadline);
        let old = (std::mem::replace(&mut entry.value, value), std::mem::replace(&mut entry.weight, weight));
        entry.stamp = stamp;
        let domain = entry.domain;
        entry.warm(self.domains.heat_limit(domain));
        if old_deadline != Moment::NEVER {
            self.deadlines.remove(old_deadline, slot);
        }
        if deadline != Moment::NEVER {
            self.deadlines.insert(deadline, slot);
        }
        self.drain_touches();
        self.domains.touch(domain, &[slot]);
        Some(old)
    }

    /// Whether the domain of a slot holds more than a limit.
    pub(super) fn is_over(&self, slot: SlotId, limit: u64) -> bool {
        self.slab.get(slot).is_some_and(|entry| self.domains.len(entry.domain) > limit)
    }

    /// The next to go in the domain of a slot, the slot itself excepted.
    pub(super) fn victim_beside(&mut self, spare: SlotId) -> Option<SlotId> {
        self.drain_touches();
        let domain = self.slab.get(spare)?.domain;
        self.domains.victim(domain, &self.slab, Some(spare))
    }

    /// The coldest next victim of a few domains, `spare` excepted.
    pub(super) fn victim(&mut self, spare: Option<SlotId>) -> Option<SlotId> {
        self.drain_touches();
        let mut coldest: Option<(u64, SlotId)> = None;
        for domain in self.domains.candidates(3) {
            let Some(slot) = self.domains.victim(domain, &self.slab, spare) else { continue };
            let Some(stamp) = self.slab.get(slot).map(|entry| entry.stamp) else { continue };
            if coldest.is_none_or(|(least, _)| stamp < least) {
                coldest = Some((stamp, slot));
            }
        }
        coldest.map(|(_, slot)| slot)
    }

    /// The fault of a policy that was set aside since the last call.
    pub(super) fn take_fault(&mut self) -> Option<Fault> {
        self.domains.take_fault()
    }

    /// The next slot whose deadline has come.
    pub(super) fn due(&mut self, now: Moment) -> Option<SlotId> {
        self.deadlines.next().filter(|&next| next <= now)?;
        self.deadlines.pop_due(now).map(|(_, slot)| slot)
    }

    /// The earliest deadline.
    pub(super) fn next_deadline(&self) -> Option<Moment> {
        self.deadlines.next()
    }

    /// Slots to visit in a scan.
    pub(super) fn span(&self) -> usize {
        self.slab.span()
    }

    fn drain_touches(&mut self) {
        if self.touches.is_empty() {
            return;
        }
        let touches = std::mem::take(&mut self.touches);
        let domain_of = |slot: &SlotId| self.slab.get(*slot).map(|entry| entry.domain);
        for run in touches.chunk_by(|a, b| domain_of(a) == domain_of(b)) {
            if let Some(domain) = run.first().and_then(domain_of) {
                self.domains.touch(domain, run);
            }
        }
        self.touches = touches;
        self.touches.clear();
    }
}
