//! Tests of the policies, against each other's contract and against naive models.

mod guard;
mod models;
mod order;
mod rules;

use super::{EvictionPolicy, Heads, Heat, Orders, SlotId};

/// A policy with a domain of its own, driven the way the engine does.
struct Bed<P> {
    orders: Orders,
    heads: Heads,
    policy: P,
}

impl<P: EvictionPolicy> Bed<P> {
    fn new(policy: P) -> Self {
        Self { orders: Orders::new(), heads: Heads::new(0), policy }
    }

    /// A domain with these members, inserted in this order.
    fn with(policy: P, slots: impl IntoIterator<Item = u32>) -> Self {
        let mut bed = Self::new(policy);
        slots.into_iter().for_each(|slot| assert!(bed.insert(slot)));
        bed
    }

    fn insert(&mut self, slot: u32) -> bool {
        let slot = SlotId(slot);
        let adopted = self.orders.adopt(&mut self.heads, slot);
        if adopted {
            self.policy.on_insert(&mut self.orders.of(&mut self.heads), slot, 0, 1);
        }
        adopted
    }

    /// The entry in one slot goes on in another.
    fn overwrite(&mut self, from: u32, to: u32) {
        let (from, to) = (SlotId(from), SlotId(to));
        assert!(self.orders.adopt(&mut self.heads, to));
        self.policy.on_move(&mut self.orders.of(&mut self.heads), from, to, 0, 1);
        assert!(self.orders.release(&mut self.heads, from));
    }

    fn touch(&mut self, batch: &[u32]) {
        let batch: Vec<SlotId> = batch.iter().copied().map(SlotId).collect();
        self.policy.on_touch(&mut self.orders.of(&mut self.heads), &batch);
    }

    fn remove(&mut self, slot: u32) {
        self.policy.on_remove(&mut self.orders.of(&mut self.heads), SlotId(slot));
        self.orders.release(&mut self.heads, SlotId(slot));
    }

    fn victim(&mut self) -> Option<u32> {
        let mut order = self.orders.of(&mut self.heads);
        self.policy.victim(&mut order, &Heat::cold()).map(|slot| slot.0)
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
