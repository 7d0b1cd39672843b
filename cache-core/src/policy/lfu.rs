//! Eviction order by frequency: what was used least often goes first, and old use counts for less.
//!
//! (1) A slot's heat is its frequency, 15 standing for 15 and more. List `f` holds members whose heat was `f` when they
//! were last looked at; it is at least `f` now. (2) A member looked at moves to the front of the list of its heat; so
//! the back of the lowest list, once its heat is that list's number, is one of the least frequently used, and of
//! those the one that has been so for longest, as far as looked at. (3) After [`PERIOD`] inserts per member all heat
//! is halved, which keeps the order of what it merges. (4) In domains of up to [`EXACT`] members both are done in one
//! go, so (2) is exact; in larger ones a call looks at 64 members and halves 8 at most.
//! Cost: no report of hits, one list move per insert, amortised one per hit.
//! Frequency lists after Shah, Mitra, Matani, "An O(1) Algorithm for Implementing the LFU Cache Eviction Scheme",
//! 2010, section 3, moved along lazily. Halving after the reset of Einziger, Friedman, Manes, "TinyLFU: A Highly
//! Efficient Cache Admission Policy", ACM ToS 13(4), 2017, section 3.3.

use super::{EvictionPolicy, Heat, LISTS, Order, SlotId, Weight};

/// The list of the most frequent, and the highest heat.
const TOP: u8 = LISTS as u8 - 1;
/// Inserts per member between two halvings.
const PERIOD: usize = 8;
/// Members up to which the answer is exact.
const EXACT: usize = 1024;
/// Members looked at, and members halved, in one call of a larger domain.
const LOOKS: usize = 64;
const SLICE: usize = 8;

/// Least frequently used goes first.
#[derive(Debug, Clone, Copy, Default)]
pub struct Lfu {
    inserts: usize,
    /// The list being halved, 0 if none is, and how many of its members still are to be.
    list: u8,
    left: usize,
}

impl Lfu {
    /// Goes on halving, or begins when it is time.
    fn age(&mut self, order: &mut Order<'_>, heat: &Heat<'_>, mut most: usize) {
        if self.list == 0 {
            if self.inserts < PERIOD * order.members() {
                return;
            }
            (self.inserts, self.list, self.left) = (0, 1, order.len(1));
        }
        while most > 0 {
            if self.left == 0 {
                if self.list == TOP {
                    self.list = 0;
                    return;
                }
                self.list += 1;
                self.left = order.len(self.list);
                continue;
            }
            (self.left, most) = (self.left - 1, most - 1);
            let Some(slot) = order.back(self.list) else {
                self.left = 0;
                continue;
            };
            // What could not be cooled is put where its heat should be; the next look at it corrects that.
            let half = heat.of(slot).clamp(self.list, TOP) / 2;
            heat.cool(slot, half);
            order.push_front(half, slot);
        }
    }
}

impl EvictionPolicy for Lfu {
    fn on_insert(&mut self, order: &mut Order<'_>, slot: SlotId, _hash: u32, _weight: Weight) {
        self.inserts = self.inserts.saturating_add(1);
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
        self.age(order, heat, if exact { usize::MAX } else { SLICE });
        let mut looks = if exact { usize::MAX } else { LOOKS };
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
