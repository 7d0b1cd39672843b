//! One slot's place in a list, in 8 bytes: both neighbours and the number of the list.
//!
//! (1) A neighbour's number is below [`SLOTS`], or [`NONE`]. (2) The number of the list tells lists (below 16),
//! members in no list ([`UNLISTED`]) and slots that are no members ([`FREE`]) apart.
//! Layout: bits 0–27 the neighbour to the front, 28–55 the one to the back, 56–60 the list.

const WIDTH: u32 = 28;
const MASK: u64 = (1 << WIDTH) - 1;

/// No slot: the end of a list.
pub(super) const NONE: u32 = MASK as u32;
/// Slots a shard may have: numbers below this one.
pub(super) const SLOTS: usize = NONE as usize;
/// A member that stands in no list.
pub(super) const UNLISTED: Link = Link::new(NONE, NONE, 16);
/// A slot that is no member.
pub(super) const FREE: Link = Link::new(NONE, NONE, 31);

/// The link of one slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Link(u64);

impl Link {
    #[inline]
    pub(super) const fn new(prev: u32, next: u32, list: u8) -> Self {
        Self(prev as u64 & MASK | (next as u64 & MASK) << WIDTH | (list as u64) << (2 * WIDTH))
    }

    #[inline]
    pub(super) const fn prev(self) -> u32 {
        (self.0 & MASK) as u32
    }

    #[inline]
    pub(super) const fn next(self) -> u32 {
        (self.0 >> WIDTH & MASK) as u32
    }

    #[inline]
    pub(super) const fn list(self) -> u8 {
        (self.0 >> (2 * WIDTH)) as u8
    }

    /// Whether it stands in a list.
    #[inline]
    pub(super) const fn is_linked(self) -> bool {
        self.0 < 16 << (2 * WIDTH)
    }

    /// Whether its slot is no member.
    #[inline]
    pub(super) const fn is_free(self) -> bool {
        self.list() == FREE.list()
    }

    #[inline]
    pub(super) const fn set_prev(&mut self, slot: u32) {
        self.0 = self.0 & !MASK | slot as u64 & MASK;
    }

    #[inline]
    pub(super) const fn set_next(&mut self, slot: u32) {
        self.0 = self.0 & !(MASK << WIDTH) | (slot as u64 & MASK) << WIDTH;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_link_do_not_touch_each_other() {
        let (mut link, top) = (Link::new(0, 0, 0), NONE - 1);
        link.set_prev(top);
        assert_eq!(link, Link::new(top, 0, 0));
        link.set_next(top);
        assert_eq!((link.prev(), link.next(), link.list()), (top, top, 0));
        link.set_prev(1);
        assert_eq!(link, Link::new(1, top, 0));
        assert_eq!([UNLISTED, FREE, Link::new(1, 2, 15)].map(Link::list), [16, 31, 15]);
        assert_eq!([UNLISTED, FREE, Link::new(1, 2, 15)].map(Link::is_linked), [false, false, true]);
        assert_eq!((UNLISTED.prev(), UNLISTED.next(), size_of::<Link>()), (NONE, NONE, 8));
    }
}
