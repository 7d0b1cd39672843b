//! A window in front of a main list, and who of the two lists' oldest goes: what lazy W-TinyLFU variants share.
//!
//! (1) What is new enters the window's front and is readable at once; what admission refuses leaves later. (2) The
//! window is first in, first out. Its oldest goes on to the main list if it was hit; if not, it meets the main list's
//! victim, and stays only if it was seen strictly more often: where ties are admitted, loops get no hits.
//! (3) The main list is a clock: whoever was hit goes to the front again, one heat poorer. (4) Heat spent here is
//! added to the counts; hits themselves count nowhere else. (5) One call looks at 16 slots of each list at most.
//! Cost: 1.3 list moves and 3 counts per eviction.
//! After Einziger, Friedman, Manes, "TinyLFU", ACM ToS 13(4), 2017 (admission, window); Yang et al., "FIFO can be
//! Better than LRU", HotOS 2023 (lazy promotion).

use super::ghost::Kind;
use super::{Heat, Order, SlotId};

pub(super) const WINDOW: u8 = 0;
pub(super) const MAIN: u8 = 1;

/// Slots looked at before the next one goes, hit or not.
const PATIENCE: u32 = 16;

/// How often keys were seen, by hash.
pub(super) trait Counts {
    /// How often, roughly.
    fn count(&self, hash: u32) -> u8;

    /// Counts a key as seen some times more.
    fn bump(&mut self, hash: u32, by: u8);
}

/// Who goes, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Loser {
    pub(super) slot: SlotId,
    pub(super) hash: u32,
    pub(super) kind: Kind,
}

/// The next to go, with a window of `room` entries once the newcomer is in it; none if both lists are empty.
pub(super) fn choose(
    order: &mut Order<'_>,
    heat: &Heat<'_>,
    counts: &mut impl Counts,
    room: usize,
) -> Option<Loser> {
    if order.len(WINDOW) < room
        && let Some(loser) = main_victim(order, heat, counts)
    {
        return Some(loser);
    }
    for _ in 0..PATIENCE {
        let Some(candidate) = order.back(WINDOW) else { return main_victim(order, heat, counts) };
        let warmth = heat.of(candidate);
        if warmth == 0 {
            return duel(order, heat, counts, candidate);
        }
        counts.bump(heat.hash(candidate), warmth);
        heat.cool(candidate, 0);
        order.push_front(MAIN, candidate);
        if order.len(WINDOW) < room {
            return main_victim(order, heat, counts);
        }
    }
    order.back(WINDOW).map_or_else(
        || main_victim(order, heat, counts),
        |slot| Some(Loser { slot, hash: heat.hash(slot), kind: Kind::Rejected }),
    )
}

/// The window's oldest against the main list's victim.
fn duel(
    order: &mut Order<'_>,
    heat: &Heat<'_>,
    counts: &mut impl Counts,
    candidate: SlotId,
) -> Option<Loser> {
    let hash = heat.hash(candidate);
    let rejected = Loser { slot: candidate, hash, kind: Kind::Rejected };
    let Some(victim) = main_victim(order, heat, counts) else { return Some(rejected) };
    let seen = counts.count(victim.hash).saturating_add(heat.of(victim.slot));
    if counts.count(hash) <= seen {
        return Some(rejected);
    }
    order.push_front(MAIN, candidate);
    Some(victim)
}

/// The next to go of the main list.
fn main_victim(order: &mut Order<'_>, heat: &Heat<'_>, counts: &mut impl Counts) -> Option<Loser> {
    for _ in 0..PATIENCE {
        let slot = order.back(MAIN)?;
        let warmth = heat.of(slot);
        if warmth == 0 {
            break;
        }
        counts.bump(heat.hash(slot), 1);
        heat.cool(slot, warmth - 1);
        order.push_front(MAIN, slot);
    }
    order.back(MAIN).map(|slot| Loser { slot, hash: heat.hash(slot), kind: Kind::Evicted })
}
