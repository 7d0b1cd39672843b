//! Eviction order by SIEVE: one queue, one hand that walks from the oldest to the newest, one bit of heat.
//!
//! (1) Every member is in list 0, from the newest to the oldest; hits and overwrites move none. (2) The hand is a
//! linked member or absent, and absent stands for the oldest. (3) A member that was hit is passed over once, a
//! member that was not goes. (4) One call passes over `PATIENCE` members at most; the next one goes, hit or not.
//! Cost: no report of hits, one list move per insert, amortised O(1) slots looked at per eviction.
//! After Zhang et al., "SIEVE is Simpler than LRU: an Efficient Turn-Key Eviction Algorithm for Web Caches", NSDI
//! 2024, section 3. Rule (4) is ours: the paper walks on, however far.

use super::{EvictionPolicy, Heat, Order, SlotId, Weight};

const ALL: u8 = 0;
/// Members passed over in one call.
const PATIENCE: u32 = 64;

/// Lazy promotion and quick demotion in one queue.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sieve {
    hand: Option<SlotId>,
}

impl EvictionPolicy for Sieve {
    fn on_insert(&mut self, order: &mut Order<'_>, slot: SlotId, _hash: u32, _weight: Weight) {
        order.push_front(ALL, slot);
    }

    fn on_move(&mut self, order: &mut Order<'_>, from: SlotId, to: SlotId, _hash: u32, _weight: Weight) {
        order.replace(from, to);
        self.hand = self.hand.map(|hand| if hand == from { to } else { hand });
    }

    fn heat_limit(&self) -> u8 {
        1
    }

    fn on_remove(&mut self, order: &mut Order<'_>, slot: SlotId) {
        if self.hand == Some(slot) {
            self.hand = order.prev(slot);
        }
        order.remove(slot);
    }

    fn victim(&mut self, order: &mut Order<'_>, heat: &Heat<'_>) -> Option<SlotId> {
        let mut at = self.hand.or_else(|| order.back(ALL))?;
        for _ in 0..PATIENCE {
            if heat.of(at) == 0 {
                break;
            }
            heat.cool(at, 0);
            at = order.prev(at).or_else(|| order.back(ALL))?;
        }
        self.hand = Some(at);
        self.hand
    }
}
