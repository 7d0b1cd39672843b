//! The arena of a shard: entries in numbered slots, freed slots used again.
//!
//! (1) A slot holds an entry or is on the free list, never both. (2) Heat belongs to the entry and starts at zero.
//! Cost: O(1) each; 4 bytes per slot beside the entry.

use crate::clock::Moment;
use crate::policy::{HeatSource, SlotId};
use crate::scope::Node;
use crate::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// One cached value with everything that decides whether it may be served, and who pays for it.
pub(super) struct Entry<K, V> {
    /// Of path and key; the same for every incarnation of the scope.
    pub(super) hash: u64,
    /// The scope's node at the time of the insert. A hit compares its number.
    pub(super) node: Arc<Node>,
    pub(super) key: K,
    /// Shared, so that a reader can clone the value after it let go of the lock.
    pub(super) value: Arc<V>,
    pub(super) weight: u64,
    /// Not served from this moment on.
    pub(super) deadline: Moment,
    /// The engine's write count when the entry was last written or read; smaller is colder.
    pub(super) stamp: u64,
    /// The eviction domain that orders this entry.
    pub(super) domain: u32,
    /// Hits, until it saturates; policies may cool it.
    pub(super) heat: AtomicU8,
}

impl<K, V> Entry<K, V> {
    /// Whether the entry's time is over. The clock is read only for an entry that has a deadline.
    pub(super) fn is_expired(&self, now: impl FnOnce() -> Moment) -> bool {
        self.deadline != Moment::NEVER && self.deadline <= now()
    }

    /// Raises the heat, up to a limit.
    pub(super) fn warm(&mut self, limit: u8) {
        let heat = self.heat.get_mut();
        *heat = (*heat).max(limit.min(heat.saturating_add(1)));
    }
}

/// The part of an entry's hash that policies see.
pub(super) const fn short(hash: u64) -> u32 {
    (hash >> 32) as u32
}

/// Numbered slots.
pub(super) struct Slab<K, V> {
    slots: Vec<Option<Entry<K, V>>>,
    free: Vec<u32>,
}

impl<K, V> Slab<K, V> {
    pub(super) const fn new() -> Self {
        Self { slots: Vec::new(), free: Vec::new() }
    }

    /// Moves an entry in. `None`, with the entry dropped, is impossible below 2^32 slots a shard.
    pub(super) fn insert(&mut self, entry: Entry<K, V>) -> SlotId {
        if let Some(index) = self.free.pop() {
            self.slots[index as usize] = Some(entry);
            return SlotId(index);
        }
        let index = u32::try_from(self.slots.len()).expect("a shard holds fewer than 2^32 entries");
        self.slots.push(Some(entry));
        SlotId(index)
    }

    /// Moves an entry out. An empty arena gives its memory back.
    pub(super) fn remove(&mut self, slot: SlotId) -> Option<Entry<K, V>> {
        let entry = self.slots.get_mut(slot.index())?.take()?;
        self.free.push(slot.0);
        if self.free.len() == self.slots.len() {
            *self = Self::new();
        }
        Some(entry)
    }

    pub(super) fn get(&self, slot: SlotId) -> Option<&Entry<K, V>> {
        self.slots.get(slot.index())?.as_ref()
    }

    pub(super) fn get_mut(&mut self, slot: SlotId) -> Option<&mut Entry<K, V>> {
        self.slots.get_mut(slot.index())?.as_mut()
    }

    /// Entries held.
    pub(super) fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Slots, free ones included: the numbers a scan has to visit.
    pub(super) fn span(&self) -> usize {
        self.slots.len()
    }
}

impl<K, V> HeatSource for Slab<K, V> {
    fn heat(&self, slot: SlotId) -> u8 {
        self.get(slot).map_or(0, |entry| entry.heat.load(Ordering::Relaxed))
    }

    fn cool(&self, slot: SlotId, to: u8) {
        if let Some(entry) = self.get(slot) {
            entry.heat.store(to.min(entry.heat.load(Ordering::Relaxed)), Ordering::Relaxed);
        }
    }

    fn hash(&self, slot: SlotId) -> u32 {
        self.get(slot).map_or(0, |entry| short(entry.hash))
    }
}
