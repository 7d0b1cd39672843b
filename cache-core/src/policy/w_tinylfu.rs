//! Eviction order by W-TinyLFU: a window in front of a main list that admits only what is seen more often.
//!
//! (1) A domain that never evicted keeps all in the main list and allocates nothing. (2) Else newcomers enter the
//! window, a tenth of the members, and are chosen from as `duel.rs` says, by the counts of a sketch. (3) The members
//! there are when a victim is asked for count as the capacity.
//! Cost: no report of hits, 1.3 list moves per insert; sketch 8 bytes per member, and links.
//! After Einziger, Friedman, Manes, "TinyLFU: A Highly Efficient Cache Admission Policy", ACM ToS 13(4), 2017. A lazy
//! variant: the paper's segmented LRU needs each hit reported; here both lists learn of hits when they evict, and
//! the sketch with them. The paper's window is 1 %, which loses where recency counts.

use super::duel::Counts as _;
use super::duel::{self, MAIN, WINDOW};
use super::ghost::mix;
use super::sketch::Sketch;
use super::{EvictionPolicy, Heat, Order, SlotId, Weight};

/// The window's part of the members.
const PART: usize = 10;

/// Admission by frequency.
#[derive(Debug, Default)]
pub struct WTinyLfu {
    sketch: Option<Sketch>,
    /// Members the sketch was made for.
    made_for: usize,
}

impl EvictionPolicy for WTinyLfu {
    fn on_insert(&mut self, order: &mut Order<'_>, slot: SlotId, hash: u32, _weight: Weight) {
        let Some(sketch) = &mut self.sketch else {
            order.push_front(MAIN, slot);
            return;
        };
        sketch.bump(mix(hash), 1);
        order.push_front(WINDOW, slot);
    }

    fn on_move(&mut self, order: &mut Order<'_>, from: SlotId, to: SlotId, _hash: u32, _weight: Weight) {
        order.replace(from, to);
    }

    fn on_remove(&mut self, order: &mut Order<'_>, slot: SlotId) {
        order.remove(slot);
    }

    fn victim(&mut self, order: &mut Order<'_>, heat: &Heat<'_>) -> Option<SlotId> {
        let members = order.members();
        let fits = members <= self.made_for + self.made_for / 2 && members * 4 >= self.made_for;
        if !fits {
            (self.sketch, self.made_for) = (None, members);
        }
        let sketch = self.sketch.get_or_insert_with(|| Sketch::new(members));
        let room = (members / PART).max(1);
        // A window that grew while there was room for all gives back what is too much, two at a time.
        for _ in 0..2 {
            if let Some(slot) = order.back(WINDOW).filter(|_| order.len(WINDOW) > room + members / 16) {
                order.push_front(MAIN, slot);
            }
        }
        duel::choose(order, heat, sketch, room).map(|loser| loser.slot)
    }
}
