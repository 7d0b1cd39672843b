//! A window in front of a main list, and who of the two lists' oldest goes: what lazy W-TinyLFU variants share.
//!
//! (1) What is new enters the window's front and is readable at once; what admission refuses leaves later. (2) The
//! window is first in, first out. Its oldest goes on to the main list if it was hit; if not, it meets the main list's
//! victim, and stays only if it was seen strictly more often: where ties are admitted, loops get no hits.
//! (3) The main list is a clock: whoever was hit goes to the front again, one heat poorer. (4) Heat spent here is
//! added to the counts; hits themselves count nowhere else. (5) One call looks at 16 slots of each list at most.
//! (6) Where nobody has to move, `choose_cold` finds the same with two looks.
//! Cost: 1.3 list moves and 3 counts per eviction.
//! After Einziger, Friedman, Manes, "TinyLFU", ACM ToS 13(4), 2017 (admission, window); Yang et al., "FIFO can be
//! Better than LRU", HotOS 2023 (lazy promotion).

use super::ghost::{Kind, Mixed, mix};
use super::{Heads, Heat, HeatSource, Order, SlotId};

pub(super) const WINDOW: u8 = 0;
pub(super) const MAIN: u8 = 1;

/// Slots looked at before the next one goes, hit or not.
const PATIENCE: u32 = 16;

/// How often keys were seen, by hash.
pub(super) trait Counts {
    /// How often, roughly.
    fn count(&self, key: Mixed) -> u8;

    /// Counts a key as seen some times more.
    fn bump(&mut self, key: Mixed, by: u8);
}

/// Who goes, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Loser {
    pub(super) slot: SlotId,
    pub(super) kind: Kind,
    pub(super) key: Mixed,
}

impl Loser {
    /// No slot has this number.
    pub(super) const NOBODY: Self = Self { slot: SlotId(u32::MAX), kind: Kind::Rejected, key: Mixed(0) };
}

/// What [`choose`] answers if it need not move anybody: if whom it looks at is cold, and the window's oldest is refused.
/// Whom it names is live.
#[inline]
pub(super) fn choose_cold(
    heads: &Heads,
    heat: &impl HeatSource,
    counts: &impl Counts,
    room: usize,
) -> Option<Loser> {
    let slot = heads.back(MAIN)?;
    let (warmth, hash) = heat.look(slot)?;
    if warmth > 0 {
        return None;
    }
    let victim = Loser { slot, kind: Kind::Evicted, key: mix(hash) };
    if heads.len(WINDOW) < room {
        return Some(victim);
    }
    let slot = heads.back(WINDOW)?;
    let (warmth, hash) = heat.look(slot)?;
    let candidate = Loser { slot, kind: Kind::Rejected, key: mix(hash) };
    (warmth == 0 && counts.count(candidate.key) <= counts.count(victim.key)).then_some(candidate)
}

/// The same without a window: what [`choose`] answers if the main list's oldest is cold.
#[inline]
pub(super) fn oldest_cold(heads: &Heads, heat: &impl HeatSource) -> Option<SlotId> {
    let slot = heads.back(MAIN)?;
    let (warmth, _) = heat.look(slot)?;
    (warmth == 0).then_some(slot)
}

/// The next to go, with a window of `room` entries once the newcomer is in it; none if both lists are empty.
pub(super) fn choose(
    order: &mut Order<'_>,
    heat: &Heat<'_>,
    counts: &mut impl Counts,
    room: usize,
) -> Option<Loser> {
    let mut candidate = None;
    if order.len(WINDOW) >= room || order.len(MAIN) == 0 {
        let mut patience = PATIENCE;
        while let Some(slot) = order.back(WINDOW) {
            let (warmth, hash) = heat.look(slot);
            let key = mix(hash);
            let rejected = Loser { slot, kind: Kind::Rejected, key };
            if patience == 0 {
                return Some(rejected);
            }
            if warmth == 0 {
                candidate = Some(rejected);
                break;
            }
            patience -= 1;
            counts.bump(key, warmth);
            heat.cool(slot, 0);
            order.push_front(MAIN, slot);
            if order.len(WINDOW) < room {
                break;
            }
        }
    }
    let Some((victim, warmth)) = main_victim(order, heat, counts) else { return candidate };
    let Some(candidate) = candidate else { return Some(victim) };
    // The window's oldest against the main list's victim.
    let seen = counts.count(candidate.key);
    if seen == 0 || seen <= counts.count(victim.key).saturating_add(warmth) {
        return Some(candidate);
    }
    order.push_front(MAIN, candidate.slot);
    Some(victim)
}

/// The next to go of the main list, and its heat.
#[inline]
fn main_victim(order: &mut Order<'_>, heat: &Heat<'_>, counts: &mut impl Counts) -> Option<(Loser, u8)> {
    let mut patience = PATIENCE;
    loop {
        let slot = order.back(MAIN)?;
        let (warmth, hash) = heat.look(slot);
        let key = mix(hash);
        if warmth == 0 || patience == 0 {
            return Some((Loser { slot, kind: Kind::Evicted, key }, warmth));
        }
        patience -= 1;
        counts.bump(key, 1);
        heat.cool(slot, warmth - 1);
        order.push_front(MAIN, slot);
    }
}
