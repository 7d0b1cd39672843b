//! Eviction order by frequency: what was used least often goes first, and old use counts for less.
//!
//! (1) List `f` holds the members touched `f` times, 15 standing for 15 and more; within a list the one that
//! entered it or was touched last is in front. (2) The back of the lowest list that is not empty goes first, so a
//! tie is lost by the member that was longest without a touch. (3) A new member enters list 0. (4) After
//! 8 touches per member all frequencies are halved, which keeps the order of what they merge.
//! Cost: one list move per insert and touch, at most 16 list heads read per eviction; halving moves every member
//! once, so 1/8 of a move per touch, but in one go. Needs hits reported.
//! Frequency lists after Shah, Mitra, Matani, "An O(1) Algorithm for Implementing the LFU Cache Eviction Scheme",
//! 2010, section 3, capped at 15 so that lists need no allocation. Halving after the reset of Einziger, Friedman,
//! Manes, "TinyLFU: A Highly Efficient Cache Admission Policy", ACM ToS 13(4), 2017, section 3.3.

use super::{EvictionPolicy, Heat, LISTS, Order, SlotId, Touches, Weight};

/// The list of the most frequent.
const TOP: u8 = LISTS as u8 - 1;
/// Touches per member between two halvings.
const PERIOD: u64 = 8;

/// Least frequently used goes first.
#[derive(Debug, Clone, Copy, Default)]
pub struct Lfu {
    touches: u64,
}

impl Lfu {
    /// Halves every frequency: lists 2k and 2k+1 become list k, the more frequent in front.
    fn halve(&mut self, order: &mut Order<'_>) {
        self.touches = 0;
        for from in 1..=TOP {
            while let Some(slot) = order.back(from) {
                order.push_front(from / 2, slot);
            }
        }
    }
}

impl EvictionPolicy for Lfu {
    fn on_insert(&mut self, order: &mut Order<'_>, slot: SlotId, _hash: u32, _weight: Weight) {
        order.push_front(0, slot);
    }

    fn on_move(&mut self, order: &mut Order<'_>, from: SlotId, to: SlotId, _hash: u32, _weight: Weight) {
        order.replace(from, to);
    }

    fn touches(&self) -> Touches {
        Touches::Each
    }

    fn on_touch(&mut self, order: &mut Order<'_>, batch: &[SlotId]) {
        for &slot in batch {
            let Some(frequency) = order.list_of(slot) else {
                continue;
            };
            order.push_front(TOP.min(frequency + 1), slot);
            self.touches += 1;
            if self.touches >= PERIOD * order.members() as u64 {
                self.halve(order);
            }
        }
    }

    fn on_remove(&mut self, order: &mut Order<'_>, slot: SlotId) {
        order.remove(slot);
    }

    fn victim(&mut self, order: &mut Order<'_>, _heat: &Heat<'_>) -> Option<SlotId> {
        (0..=TOP).find_map(|frequency| order.back(frequency))
    }
}
