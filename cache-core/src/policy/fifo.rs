//! Eviction order by age: what was inserted first goes first, used or not.
//!
//! (1) Every member is in list 0, from the newest to the oldest. (2) Neither a hit nor an overwrite moves one.
//! Cost: one list move per insert, O(1) per eviction; needs no report of hits.
//! After Belady, "A Study of Replacement Algorithms for a Virtual-Storage Computer", IBM Systems Journal 5(2), 1966.

use super::{EvictionPolicy, Heat, Order, SlotId, Weight};

const ALL: u8 = 0;

/// First in goes first out.
#[derive(Debug, Clone, Copy, Default)]
pub struct Fifo;

impl EvictionPolicy for Fifo {
    fn on_insert(&mut self, order: &mut Order<'_>, slot: SlotId, _hash: u32, _weight: Weight) {
        order.push_front(ALL, slot);
    }

    fn on_move(&mut self, order: &mut Order<'_>, from: SlotId, to: SlotId, _hash: u32, _weight: Weight) {
        order.replace(from, to);
    }

    fn on_remove(&mut self, order: &mut Order<'_>, slot: SlotId) {
        order.remove(slot);
    }

    fn victim(&mut self, order: &mut Order<'_>, _heat: &Heat<'_>) -> Option<SlotId> {
        order.back(ALL)
    }
}
