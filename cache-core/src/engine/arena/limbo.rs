//! Slots that left the table and wait for readers to pass, the oldest first.
//!
//! (1) A stamp is made after the table forgot every slot it stands for; it may stand for many, and be made late, for a stamp is
//! later than all that was unlinked before it. (2) A slot leaves only when the stamp that stands for it is past. Slots
//! without a stamp are the latest, and none of them leaves.
//! Cost: a stamp is a fence, so that in a large shard several slots share one.

use std::collections::VecDeque;

use crate::epoch::{self, Stamp};

/// Slots for which an empty ring keeps room.
const KEPT: usize = 1024;

/// Slots in limbo.
pub(super) struct Limbo {
    /// A ring of a power of two, or nothing; the first stands at `start`.
    ring: Box<[u32]>,
    start: usize,
    len: usize,
    /// For how many slots each stamp stands, behind those that are free to go.
    stamps: VecDeque<(Stamp, u32)>,
    /// How many of the first slots are free to go.
    past: u32,
    /// How many of the last slots have no stamp yet.
    fresh: u32,
}

impl Limbo {
    pub(super) fn new() -> Self {
        Self { ring: Box::default(), start: 0, len: 0, stamps: VecDeque::new(), past: 0, fresh: 0 }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        (0..self.len).filter_map(|place| self.at(place))
    }

    #[inline]
    fn at(&self, place: usize) -> Option<u32> {
        self.ring.get((self.start + place) & self.ring.len().wrapping_sub(1)).copied()
    }

    /// The slot that will leave next, or one that did.
    #[inline]
    pub(super) fn first(&self) -> Option<u32> {
        self.at(0)
    }

    /// Twice the ring, from its start.
    #[cold]
    fn grow(&mut self) {
        let room = (self.ring.len() * 2).max(8);
        let mut ring: Vec<u32> = self.iter().collect();
        ring.resize(room, 0);
        (self.ring, self.start) = (ring.into_boxed_slice(), 0);
    }

    /// Gives the memory of a long ring back, if nothing is in it.
    pub(super) fn give_back(&mut self) {
        if self.len == 0 && self.ring.len() > KEPT {
            *self = Self::new();
        }
    }

    /// A slot that the table names no longer. So many share a stamp.
    #[inline(always)]
    pub(super) fn push(&mut self, slot: u32, share: u32) {
        if self.len == self.ring.len() {
            self.grow();
        }
        let end = (self.start + self.len) & self.ring.len().wrapping_sub(1);
        if let Some(place) = self.ring.get_mut(end) {
            *place = slot;
        }
        self.len += 1;
        self.fresh += 1;
        if self.fresh >= share {
            self.stamp();
        }
    }

    /// Stamps what has no stamp yet.
    #[inline(never)]
    pub(super) fn stamp(&mut self) {
        if self.fresh > 0 {
            let count = std::mem::take(&mut self.fresh);
            self.stamps.push_back((epoch::stamp(), count));
        }
    }

    /// The slot that has waited for longest, if readers have passed it.
    #[inline]
    pub(super) fn pop(&mut self) -> Option<u32> {
        if !self.is_first_past() {
            return None;
        }
        let first = self.first();
        self.past -= 1;
        self.len -= 1;
        self.start = (self.start + 1) & self.ring.len().wrapping_sub(1);
        first
    }

    /// Whether readers are known to have passed the first slot.
    #[inline]
    pub(super) fn is_first_known_past(&self) -> bool {
        self.past > 0
    }

    /// Whether readers have passed the first slot.
    #[inline]
    pub(super) fn is_first_past(&mut self) -> bool {
        self.past > 0 || self.look()
    }

    #[inline(never)]
    fn look(&mut self) -> bool {
        while let Some(&(stamp, count)) = self.stamps.front()
            && epoch::is_past(stamp)
        {
            self.stamps.pop_front();
            self.past += count;
        }
        self.past > 0
    }
}

#[cfg(all(test, not(any(shuttle, loom))))]
mod tests {
    use super::*;
    use std::time::{Duration, Instant};

    /// Raises the epoch until so many slots have left; other tests of this process may be pinned for a moment.
    fn leave(limbo: &mut Limbo, slots: usize) -> Vec<u32> {
        let (began, mut left) = (Instant::now(), Vec::new());
        while left.len() < slots {
            assert!(began.elapsed() < Duration::from_secs(20), "slots stay: {left:?}");
            epoch::advance();
            left.extend((left.len()..slots).map_while(|_| limbo.pop()));
            std::thread::yield_now();
        }
        left
    }

    fn places(numbers: std::ops::Range<u32>) -> Vec<u32> {
        numbers.collect()
    }

    #[test]
    fn slots_leave_in_order_behind_a_stamp_that_is_past_and_never_without() {
        let mut limbo = Limbo::new();
        let pin = epoch::pin();
        (0..20).for_each(|slot| limbo.push(slot, 8));
        epoch::advance();
        assert_eq!(limbo.pop(), None, "a reader is pinned since before");
        drop(pin);
        assert_eq!(leave(&mut limbo, 16), places(0..16));
        (0..3).for_each(|_| epoch::advance());
        assert_eq!((limbo.pop(), limbo.len()), (None, 4), "four have no stamp");
        limbo.stamp();
        assert_eq!(leave(&mut limbo, 4), places(16..20));
        assert!(limbo.is_empty() && limbo.pop().is_none());
    }

    #[test]
    fn slots_are_kept_in_order_while_their_ring_grows_and_turns() {
        let mut limbo = Limbo::new();
        let (mut next, mut first) = (0, 0);
        for round in 0..40 {
            for _ in 0..round % 7 * 3 + 1 {
                limbo.push(next, 1 + round % 3);
                next += 1;
            }
            limbo.stamp();
            assert_eq!(limbo.iter().collect::<Vec<_>>(), places(first..next));
            let some = limbo.len() * 2 / 3;
            assert_eq!(leave(&mut limbo, some), places(first..first + some as u32));
            first += some as u32;
        }
    }
}
