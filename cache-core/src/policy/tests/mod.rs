//! Tests of the policies, against each other's contract and against naive models.

mod guard;
mod memory;
mod models;
mod names;
mod order;
mod quality;
mod rules;

use std::cell::Cell;

use super::{EvictionPolicy, Heads, Heat, HeatSource, Orders, SlotId, Touches};

/// Slots a bed may use.
const SLOTS: u32 = 4096;

/// Heat and hashes of a bed's slots.
struct Warmth(Vec<(Cell<u8>, Cell<u32>)>);

impl HeatSource for Warmth {
    fn heat(&self, slot: SlotId) -> u8 {
        self.0.get(slot.index()).map_or(0, |(heat, _)| heat.get())
    }

    fn cool(&self, slot: SlotId, to: u8) {
        let heat = &self.0[slot.index()].0;
        heat.set(heat.get().min(to));
    }

    fn hash(&self, slot: SlotId) -> u32 {
        self.0.get(slot.index()).map_or(0, |(_, hash)| hash.get())
    }
}

/// A policy with a domain of its own, driven the way the engine does.
struct Bed<P> {
    orders: Orders,
    heads: Heads,
    policy: P,
    warmth: Warmth,
}

impl<P: EvictionPolicy> Bed<P> {
    fn new(policy: P) -> Self {
        let warmth = Warmth((0..SLOTS).map(|_| Default::default()).collect());
        Self { orders: Orders::new(), heads: Heads::new(0), policy, warmth }
    }

    /// A domain with these members, inserted in this order.
    fn with(policy: P, slots: impl IntoIterator<Item = u32>) -> Self {
        let mut bed = Self::new(policy);
        slots.into_iter().for_each(|slot| assert!(bed.insert(slot)));
        bed
    }

    /// Inserts an entry whose hash is the slot's number.
    fn insert(&mut self, slot: u32) -> bool {
        self.insert_hashed(slot, slot)
    }

    fn insert_hashed(&mut self, slot: u32, hash: u32) -> bool {
        let adopted = self.orders.adopt(&mut self.heads, SlotId(slot));
        if adopted {
            self.warmth.0[slot as usize] = (Cell::new(0), Cell::new(hash));
            self.policy.on_insert(&mut self.orders.of(&mut self.heads), SlotId(slot), hash, 1);
        }
        adopted
    }

    /// The entry in one slot goes on in another.
    fn overwrite(&mut self, from: u32, to: u32) -> bool {
        if !self.orders.of(&mut self.heads).owns(SlotId(from))
            || !self.orders.adopt(&mut self.heads, SlotId(to))
        {
            return false;
        }
        let (heat, hash) = (self.warmth.heat(SlotId(from)), self.warmth.hash(SlotId(from)));
        self.warmth.0[to as usize] = (Cell::new(heat), Cell::new(hash));
        self.policy.on_move(&mut self.orders.of(&mut self.heads), SlotId(from), SlotId(to), hash, 1);
        self.orders.release(&mut self.heads, SlotId(from))
    }

    /// Hits: they raise heat, and are reported to a policy that wants it.
    fn touch(&mut self, batch: &[u32]) {
        for slot in batch.iter().filter(|slot| **slot < SLOTS) {
            let heat = &self.warmth.0[*slot as usize].0;
            heat.set(heat.get().saturating_add(1).min(self.policy.heat_limit()).max(heat.get()));
        }
        let batch: Vec<SlotId> = batch.iter().copied().map(SlotId).collect();
        if self.policy.touches() != Touches::None {
            self.policy.on_touch(&mut self.orders.of(&mut self.heads), &batch);
        }
    }

    fn remove(&mut self, slot: u32) {
        self.policy.on_remove(&mut self.orders.of(&mut self.heads), SlotId(slot));
        self.orders.release(&mut self.heads, SlotId(slot));
    }

    fn victim(&mut self) -> Option<u32> {
        let mut order = self.orders.of(&mut self.heads);
        self.policy.victim(&mut order, &Heat::new(&self.warmth)).map(|slot| slot.0)
    }

    fn evict(&mut self) -> Option<u32> {
        let victim = self.victim();
        victim.into_iter().for_each(|slot| self.remove(slot));
        victim
    }

    /// The order in which members go if nothing else happens; cut off where members would go twice.
    fn drain(&mut self) -> Vec<u32> {
        let most = self.heads.members() + 1;
        std::iter::from_fn(|| self.evict()).take(most).collect()
    }
}
