//! Eviction order by S3-FIFO: a small queue that lets go fast, a main queue, and ghosts of whom the small one let go.
//!
//! (1) A newcomer enters the small queue, or the main queue if it is a ghost. (2) The small queue has about a tenth of
//! the members. Its oldest goes on to the main queue if it was hit, else it goes and becomes a ghost. (3) The main
//! queue's oldest gets another round, one heat poorer, if it was hit. (4) There are as many ghosts as members.
//! (5) One call looks at 32 slots at most; then the oldest goes, hit or not. (6) A domain that never evicted
//! allocates nothing.
//! Cost: no report of hits, about 1.2 list moves per insert; ghosts 4 bytes per member, and links.
//! After Yang, Zhang, Qiu, Yue, Rashmi, "FIFO Queues are All You Need for Cache Eviction", SOSP 2023, section 4. We
//! move on to the main queue after one hit, the paper after two: better on the traces we have seen.

use super::ghost::{Ghost, Kind, mix};
use super::{EvictionPolicy, Heat, Order, SlotId, Weight};

const SMALL: u8 = 0;
const MAIN: u8 = 1;
/// The small queue's part of the members.
const PART: usize = 10;
/// Slots looked at in one call.
const PATIENCE: u32 = 32;

/// Three queues, quick demotion.
#[derive(Debug, Default)]
pub struct S3Fifo {
    ghost: Option<Ghost>,
    /// Members the ghosts were made for.
    made_for: usize,
    /// Members when a victim was last asked for.
    capacity: usize,
    /// Named last, out of the small queue, and its hash.
    named: Option<(SlotId, u32)>,
}

impl S3Fifo {
    /// Notes the members there are, and makes the ghosts fit.
    fn fit(&mut self, members: usize) {
        self.capacity = members;
        let fits = members <= self.made_for + self.made_for / 2 && members * 4 >= self.made_for;
        if self.ghost.is_none() || !fits {
            self.ghost = Some(Ghost::new(members, members));
            self.made_for = members;
        }
    }
}

impl EvictionPolicy for S3Fifo {
    fn on_insert(&mut self, order: &mut Order<'_>, slot: SlotId, hash: u32, _weight: Weight) {
        let ghost = self.ghost.as_mut().and_then(|ghost| ghost.take(mix(hash)));
        let known = ghost.is_some_and(|(_, age)| age <= self.capacity);
        order.push_front(if known { MAIN } else { SMALL }, slot);
    }

    fn on_move(&mut self, order: &mut Order<'_>, from: SlotId, to: SlotId, _hash: u32, _weight: Weight) {
        order.replace(from, to);
    }

    fn on_remove(&mut self, order: &mut Order<'_>, slot: SlotId) {
        order.remove(slot);
        if let Some((_, hash)) = self.named.take_if(|(named, _)| *named == slot)
            && let Some(ghost) = &mut self.ghost
        {
            ghost.add(mix(hash), Kind::Rejected);
        }
    }

    fn victim(&mut self, order: &mut Order<'_>, heat: &Heat<'_>) -> Option<SlotId> {
        self.fit(order.members());
        self.named = None;
        let part = self.capacity / PART;
        let mut patience = PATIENCE;
        loop {
            let list = if order.len(SMALL) > part || order.len(MAIN) == 0 { SMALL } else { MAIN };
            let slot = order.back(list)?;
            let (warmth, hash) = heat.look(slot);
            if warmth == 0 || patience == 0 {
                self.named = (list == SMALL).then_some((slot, hash));
                return Some(slot);
            }
            patience -= 1;
            // A move to the main queue starts the count again; a further round there costs one.
            heat.cool(slot, if list == SMALL { 0 } else { warmth - 1 });
            order.push_front(MAIN, slot);
        }
    }
}
