//! The ends of one domain's lists: where each begins and ends, and how long it is.
//!
//! (1) The first two lists lie in the heads; the others are allocated together when one of them is first used.
//! Cost: 40 bytes a domain, 168 more once it uses a third list; one branch to find a list.

use super::SlotId;
use super::link::NONE;

/// How many lists a domain may use, numbered from 0.
pub const LISTS: usize = 16;

/// Lists whose ends lie in the domain's heads; those of the others are allocated together.
const NEAR: usize = 2;
/// No domain.
pub(super) const NOWHERE: u32 = u32::MAX;

#[derive(Debug, Clone, Copy)]
pub(super) struct List {
    pub(super) head: u32,
    pub(super) tail: u32,
    pub(super) len: u32,
}

impl List {
    const EMPTY: Self = Self { head: NONE, tail: NONE, len: 0 };
}

/// The ends of one domain's lists, and how many members the domain has.
#[derive(Debug)]
pub struct Heads {
    pub(super) domain: u32,
    pub(super) members: u32,
    near: [List; NEAR],
    far: Option<Box<[List; LISTS - NEAR]>>,
}

impl Heads {
    /// A domain without members. Its number must be no other live domain's of the same [`Orders`](super::Orders);
    /// `u32::MAX` stands for no domain, and nothing can enter it.
    pub const fn new(domain: u32) -> Self {
        Self { domain, members: 0, near: [List::EMPTY; NEAR], far: None }
    }

    /// The domain's number.
    pub const fn domain(&self) -> u32 {
        self.domain
    }

    /// How many slots were adopted and not released, linked or not.
    #[inline]
    pub const fn members(&self) -> usize {
        self.members as usize
    }

    #[inline]
    pub(super) fn list(&self, list: u8) -> Option<&List> {
        let at = usize::from(list);
        self.near.get(at).or_else(|| self.far.as_deref()?.get(at - NEAR))
    }

    /// The list to write to; one above [`LISTS`], which callers refuse, stands for the last.
    #[inline]
    pub(super) fn list_mut(&mut self, list: u8) -> &mut List {
        let at = usize::from(list);
        if at < NEAR { &mut self.near[at] } else { self.far_mut(at.min(LISTS - 1) - NEAR) }
    }

    /// A list that lies in the heads.
    #[inline]
    pub(super) fn near_mut(&mut self, list: u8) -> Option<&mut List> {
        self.near.get_mut(usize::from(list))
    }

    /// How many slots a list links.
    #[inline]
    pub(super) fn len(&self, list: u8) -> usize {
        self.list(list).map_or(0, |ends| ends.len as usize)
    }

    /// The last slot of a list.
    #[inline]
    pub(super) fn back(&self, list: u8) -> Option<SlotId> {
        let ends = self.list(list)?;
        (ends.tail != NONE).then_some(SlotId(ends.tail))
    }

    /// The last slots of the first lists; some may be no slots.
    #[inline(always)]
    pub(crate) fn ends(&self) -> [SlotId; NEAR] {
        self.near.map(|ends| SlotId(ends.tail))
    }

    /// Whether no list links any slot.
    pub(super) fn are_empty(&self) -> bool {
        let far = self.far.as_deref().into_iter().flatten();
        self.near.iter().chain(far).all(|ends| ends.len == 0)
    }

    #[cold]
    #[inline(never)]
    fn far_mut(&mut self, at: usize) -> &mut List {
        &mut self.far.get_or_insert_with(|| Box::new([List::EMPTY; LISTS - NEAR]))[at]
    }
}

#[cfg(test)]
mod tests {
    use super::super::Orders;
    use super::*;

    #[test]
    fn domain_that_uses_two_lists_allocates_nothing() {
        let (mut orders, mut heads) = (Orders::new(), Heads::new(1));
        assert!(orders.adopt(&mut heads, SlotId(0)) && orders.of(&mut heads).push_front(1, SlotId(0)));
        assert_eq!((heads.far.is_some(), size_of::<Heads>()), (false, 40));
        assert!(orders.of(&mut heads).push_front(2, SlotId(0)) && heads.far.is_some());
    }
}
