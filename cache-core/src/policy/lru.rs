//! Eviction order by recency: what was not used for longest goes first.
//!
//! (1) Every member is in list 0, from the one used last to the one used least lately. (2) An overwrite is a use.
//! Cost: one list move per insert and per touch, O(1) per eviction; needs every hit reported, in order.
//! After Mattson, Gecsei, Slutz, Traiger, "Evaluation Techniques for Storage Hierarchies", IBM Systems Journal
//! 9(2), 1970. Exact as long as the engine reports all touches before it asks.

use super::{EvictionPolicy, Heat, Order, SlotId, Touches, Weight};

const ALL: u8 = 0;

/// Least recently used goes first.
#[derive(Debug, Clone, Copy, Default)]
pub struct Lru;

impl EvictionPolicy for Lru {
    fn on_insert(&mut self, order: &mut Order<'_>, slot: SlotId, _hash: u32, _weight: Weight) {
        order.push_front(ALL, slot);
    }

    fn touches(&self) -> Touches {
        Touches::Latest
    }

    fn on_touch(&mut self, order: &mut Order<'_>, batch: &[SlotId]) {
        for &slot in batch {
            order.move_to_front(ALL, slot);
        }
    }

    fn on_remove(&mut self, order: &mut Order<'_>, slot: SlotId) {
        order.remove(slot);
    }

    fn victim(&mut self, order: &mut Order<'_>, _heat: &Heat<'_>) -> Option<SlotId> {
        order.back(ALL)
    }
}
