//! Eviction order by frequency: what was used least often goes first, and old use counts for less.
//!
//! (1) A slot's heat is its frequency, 15 standing for 15 and more. List `f` holds members whose heat was `f` or more
//! when they were last looked at, and is since. (2) A member looked at moves to the front of the list of its heat; so
//! the back of the lowest list, once its heat is that list's number, is one of the least frequently used, and of
//! those the one that was put there first. (3) After one question per member, and `LEAST` at least,
//! all heat is halved. (4) In domains of up
//! to `EXACT` members both are done in one go, so (2) is exact; in larger ones a call looks at 64 members and
//! halves 8 at most.
//! Cost: no report of hits, one list move per insert, amortised one per hit.
//! Frequency lists after Shah, Mitra, Matani, "An O(1) Algorithm for Implementing the LFU Cache Eviction Scheme",
//! 2010, section 3, moved along lazily. Halving after the reset of Einziger, Friedman, Manes, "TinyLFU: A Highly
//! Efficient Cache Admission Policy", ACM ToS 13(4), 2017, section 3.3.

use super::{EvictionPolicy, Heat, LISTS, Order, SlotId, Weight};

/// The list of the most frequent, and the highest heat.
const TOP: u8 = LISTS as u8 - 1;
/// Members up to which the answer is exact.
const EXACT: usize = 1024;
/// Questions between two halvings, at least.
const LEAST: usize = 64;
/// Members looked at, and members halved, in one call of a larger domain.
const LOOKS: usize = 64;
const SLICE: usize = 8;

/// Least frequently used goes first.
#[derive(Debug, Clone, Copy)]
pub struct Lfu {
    /// Victims asked for since halving began last.
    asked: usize,
    /// The list being halved, or [`LISTS`], and how many of its members still are to be.
    list: u8,
    left: usize,
}

impl Default for Lfu {
    fn default() -> Self {
        Self { asked: 0, list: LISTS as u8, left: 0 }
    }
}

impl Lfu {
    /// Goes on halving, or begins when it is time.
    fn age(&mut self, order: &mut Order<'_>, heat: &Heat<'_>, most: usize) {
        if self.list > TOP {
            self.asked += 1;
            if self.asked <= order.members().max(LEAST) {
                return;
            }
            (self.asked, self.list, self.left) = (0, 0, order.len(0));
        }
        for _ in 0..most {
            while self.left == 0 {
                self.list += 1;
                if self.list > TOP {
                    return;
                }
                self.left = order.len(self.list);
            }
            self.left -= 1;
            // Into the list that it surely belongs into, which was halved before: the next look corrects that.
            if let Some(slot) = order.back(self.list) {
                heat.cool(slot, heat.of(slot) / 2);
                order.push_front(self.list / 2, slot);
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

    fn heat_limit(&self) -> u8 {
        TOP
    }

    fn on_remove(&mut self, order: &mut Order<'_>, slot: SlotId) {
        order.remove(slot);
    }

    fn victim(&mut self, order: &mut Order<'_>, heat: &Heat<'_>) -> Option<SlotId> {
        let exact = order.members() <= EXACT;
        let (mut looks, halved) = if exact { (usize::MAX, usize::MAX) } else { (LOOKS, SLICE) };
        self.age(order, heat, halved);
        let mut list = 0;
        while list < TOP {
            let Some(slot) = order.back(list) else {
                list += 1;
                continue;
            };
            let warmth = heat.of(slot).min(TOP);
            if warmth <= list || looks == 0 {
                return Some(slot);
            }
            looks -= 1;
            order.push_front(warmth, slot);
        }
        order.back(TOP)
    }
}
