//! The lists that policies keep their order in: doubly linked through an arena, a few per domain.
//!
//! (1) A slot belongs to at most one domain and stands in at most one of its lists, once. (2) Only the engine
//! changes membership ([`Orders`]); a policy sees one domain ([`Order`]) and reorders members. (3) Every method
//! is total: a slot out of range, of another domain or not linked, and a list above [`LISTS`], is refused with
//! `false` or `None`; nothing panics and no neighbour is harmed. (4) Two live domains of one [`Orders`] have
//! different numbers; [`Heads`] are dropped when they have no members.
//! (5) `enter` and `leave` are short ways for the usual case, where nothing has to be made; they do all or nothing.
//! Cost: 8 bytes per slot, 12 once a second domain has members at the same time, and 40 per domain that uses two
//! lists at most; every operation is O(1), none allocates but `adopt` (a new slot, and once the table of domains)
//! and the first use of a third list.

use super::SlotId;
use super::heads::{Heads, LISTS, NOWHERE};
use super::link::{FREE, Link, NONE, SLOTS, UNLISTED};
use crate::prefetch::prefetch_at;

/// Slots whose links are kept when there are no members.
const KEPT: usize = 1024;

/// The links of all slots of a shard. The engine's side: who belongs where.
#[derive(Debug)]
pub struct Orders {
    links: Vec<Link>,
    /// The domain of each slot; empty as long as all members are of one domain, `sole`.
    domains: Vec<u32>,
    sole: u32,
    /// Members of all domains.
    members: usize,
    /// Slots to come, about; 0 if nobody knows.
    expected: usize,
}

impl Default for Orders {
    fn default() -> Self {
        Self::new()
    }
}

impl Orders {
    /// An arena without slots.
    pub const fn new() -> Self {
        Self { links: Vec::new(), domains: Vec::new(), sole: NOWHERE, members: 0, expected: 0 }
    }

    /// Says how many slots are to come, about, so that memory is taken in fitting steps.
    pub fn expect(&mut self, slots: usize) {
        self.expected = slots;
    }

    /// Makes a slot a member of a domain, not yet linked. Refused (`false`) if it is a member of any domain
    /// already, or its number is 2^28 − 1 or above. The arena grows to the slot's number.
    pub fn adopt(&mut self, heads: &mut Heads, slot: SlotId) -> bool {
        if heads.domain == NOWHERE || slot.index() >= SLOTS {
            return false;
        }
        if self.links.len() <= slot.index() {
            grow(&mut self.links, slot.index() + 1, self.expected, FREE);
        }
        if !self.links[slot.index()].is_free() {
            return false;
        }
        self.settle(heads.domain, slot);
        self.links[slot.index()] = UNLISTED;
        self.members += 1;
        heads.members += 1;
        true
    }

    /// [`Self::adopt`] and [`Order::push_front`] in one, where that is short: `false` if nothing was done.
    #[inline(always)]
    pub(super) fn enter(&mut self, heads: &mut Heads, list: u8, slot: SlotId) -> bool {
        let is_free = self.links.get(slot.index()).is_some_and(|link| link.is_free());
        if !is_free || !self.is_quick(heads, slot) {
            return false;
        }
        if let Some(domain) = self.domains.get_mut(slot.index()) {
            *domain = heads.domain;
        }
        let Some(ends) = heads.near_mut(list) else { return false };
        ends.len += 1;
        let next = std::mem::replace(&mut ends.head, slot.0);
        match self.links.get_mut(next as usize) {
            Some(link) => link.set_prev(slot.0),
            None => ends.tail = slot.0,
        }
        self.links[slot.index()] = Link::new(NONE, next, list);
        self.members += 1;
        heads.members += 1;
        true
    }

    /// Asks for what is kept of a slot ahead of its use.
    #[inline(always)]
    pub(crate) fn prefetch(&self, slot: SlotId) {
        prefetch_at(&self.links, slot.index());
        if !self.domains.is_empty() {
            prefetch_at(&self.domains, slot.index());
        }
    }

    /// Whether all members are of this domain.
    #[inline(always)]
    pub(crate) fn are_of(&self, heads: &Heads) -> bool {
        self.is_sole(heads)
    }

    /// The slot in front of another in its list.
    #[inline(always)]
    pub(super) fn before(&self, slot: SlotId) -> Option<SlotId> {
        let link = self.links.get(slot.index())?;
        (link.prev() != NONE).then(|| SlotId(link.prev()))
    }

    /// Whether all members are of this domain. Where links are known, some domain was adopted for: it is no
    /// [`NOWHERE`].
    #[inline]
    fn is_sole(&self, heads: &Heads) -> bool {
        self.domains.is_empty() && self.sole == heads.domain
    }

    /// Whether nothing has to be made for a slot of this domain: it is alone, or the table of domains has a place for it.
    #[inline(always)]
    fn is_quick(&self, heads: &Heads, slot: SlotId) -> bool {
        self.is_sole(heads) || (heads.domain != NOWHERE && slot.index() < self.domains.len())
    }

    /// Writes down whose a slot is to be. The first member of a second domain makes the table of domains, which
    /// goes when there are no members.
    fn settle(&mut self, domain: u32, slot: SlotId) {
        if self.members == 0 {
            (self.sole, self.domains) = (domain, Vec::new());
        }
        if self.domains.is_empty() {
            if self.sole == domain {
                return;
            }
            self.domains = vec![self.sole; self.links.len()];
        }
        if self.domains.len() < self.links.len() {
            grow(&mut self.domains, self.links.len(), self.expected, NOWHERE);
        }
        self.domains[slot.index()] = domain;
    }

    /// [`Self::release`] where that is short: of one member of several, in one of the first lists. `false` if
    /// nothing was done.
    #[inline(always)]
    pub(super) fn leave(&mut self, heads: &mut Heads, slot: SlotId) -> bool {
        let Some(&link) = self.links.get(slot.index()) else { return false };
        if self.members < 2 || !(self.is_sole(heads) || self.domains.get(slot.index()) == Some(&heads.domain))
        {
            return false;
        }
        let Some(ends) = heads.near_mut(link.list()) else { return false };
        ends.len = ends.len.wrapping_sub(1);
        match self.links.get_mut(link.prev() as usize) {
            Some(before) => before.set_next(link.next()),
            None => ends.head = link.next(),
        }
        match self.links.get_mut(link.next() as usize) {
            Some(after) => after.set_prev(link.prev()),
            None => ends.tail = link.prev(),
        }
        self.links[slot.index()] = FREE;
        self.members -= 1;
        heads.members = heads.members.wrapping_sub(1);
        true
    }

    /// Ends a slot's membership, and takes it out of the list it may still be in. `false` if it was no member.
    pub fn release(&mut self, heads: &mut Heads, slot: SlotId) -> bool {
        let mut order = self.of(heads);
        let Some(link) = order.member(slot) else { return false };
        if link.is_linked() {
            order.cut(link);
        }
        heads.members = heads.members.saturating_sub(1);
        self.members = self.members.saturating_sub(1);
        self.links[slot.index()] = FREE;
        if self.members == 0 && self.links.len() > KEPT {
            (self.links, self.domains) = (Vec::new(), Vec::new());
        }
        true
    }

    /// No slot has a number of so many or above; gives back what was kept for them.
    pub(crate) fn give_back(&mut self, slots: usize) {
        cut(&mut self.links, slots);
        cut(&mut self.domains, slots);
    }

    /// The policy's view of one domain.
    #[inline]
    pub fn of<'a>(&'a mut self, heads: &'a mut Heads) -> Order<'a> {
        let alone = self.is_sole(heads);
        Order { links: &mut self.links, domains: &self.domains, alone, heads }
    }

    /// The domain a slot is a member of.
    pub fn domain_of(&self, slot: SlotId) -> Option<u32> {
        let link = self.links.get(slot.index())?;
        let domain = self.domains.get(slot.index()).copied().unwrap_or(self.sole);
        (!link.is_free()).then_some(domain)
    }
}

/// One domain's lists, as its policy sees them: [`LISTS`] lists that begin empty, each with a front and a back.
#[derive(Debug)]
pub struct Order<'a> {
    links: &'a mut [Link],
    domains: &'a [u32],
    /// All members of the arena are of this domain.
    alone: bool,
    heads: &'a mut Heads,
}

impl Order<'_> {
    /// Puts a member at the front of a list, out of wherever it is linked now. `false` if it is no member or
    /// there is no such list.
    pub fn push_front(&mut self, list: u8, slot: SlotId) -> bool {
        self.place(list, slot, true)
    }

    /// Puts a member at the back of a list, out of wherever it is linked now. `false` if it is no member or there
    /// is no such list.
    pub fn push_back(&mut self, list: u8, slot: SlotId) -> bool {
        self.place(list, slot, false)
    }

    /// Moves a linked member to the front of a list, its own or another. `false` if it is not linked.
    pub fn move_to_front(&mut self, list: u8, slot: SlotId) -> bool {
        self.linked(slot).is_some() && self.place(list, slot, true)
    }

    /// Puts a member where another is linked, which is linked nowhere then but stays a member. `false` if one of
    /// them is no member, the first is not linked, or both are one.
    pub fn replace(&mut self, from: SlotId, to: SlotId) -> bool {
        if from == to || !self.owns(to) || self.linked(from).is_none() {
            return false;
        }
        self.remove(to);
        // Read after the removal: the two may have been neighbours.
        let Some(link) = self.linked(from) else { return false };
        self.links[from.index()] = UNLISTED;
        self.links[to.index()] = link;
        self.join(link.list(), link.prev(), to.0);
        self.join(link.list(), to.0, link.next());
        true
    }

    /// Takes a member out of its list; it stays a member. `false` if it was not linked.
    pub fn remove(&mut self, slot: SlotId) -> bool {
        let Some(link) = self.linked(slot) else { return false };
        self.cut(link);
        self.links[slot.index()] = UNLISTED;
        true
    }

    /// The first slot of a list.
    #[inline]
    pub fn front(&self, list: u8) -> Option<SlotId> {
        self.heads.list(list).and_then(|ends| some(ends.head))
    }

    /// The last slot of a list.
    #[inline]
    pub fn back(&self, list: u8) -> Option<SlotId> {
        self.heads.back(list)
    }

    /// The neighbour of a linked member towards the back.
    pub fn next(&self, slot: SlotId) -> Option<SlotId> {
        self.linked(slot).and_then(|link| some(link.next()))
    }

    /// The neighbour of a linked member towards the front.
    pub fn prev(&self, slot: SlotId) -> Option<SlotId> {
        self.linked(slot).and_then(|link| some(link.prev()))
    }

    /// The list a member is linked in.
    pub fn list_of(&self, slot: SlotId) -> Option<u8> {
        self.linked(slot).map(Link::list)
    }

    /// How many slots a list links.
    #[inline]
    pub fn len(&self, list: u8) -> usize {
        self.heads.len(list)
    }

    /// Whether no list links any slot.
    pub fn is_empty(&self) -> bool {
        self.heads.are_empty()
    }

    /// Whether a slot is a member of this domain, linked or not.
    pub fn owns(&self, slot: SlotId) -> bool {
        self.member(slot).is_some()
    }

    /// How many members the domain has, linked or not.
    #[inline]
    pub fn members(&self) -> usize {
        self.heads.members()
    }

    /// Puts every member that is in no list at the front of one, by rising number. Reads every link of the
    /// shard: for repair only.
    pub(super) fn gather(&mut self, list: u8) {
        for at in (0..NONE).take(self.links.len()) {
            // Numbers of other domains and of none are refused by the push.
            if self.list_of(SlotId(at)).is_none() {
                self.push_front(list, SlotId(at));
            }
        }
    }

    #[inline]
    fn member(&self, slot: SlotId) -> Option<Link> {
        let link = *self.links.get(slot.index())?;
        let ours = !link.is_free() && (self.alone || self.named(slot));
        ours.then_some(link)
    }

    /// Whether the table of domains says that a slot is of this one.
    fn named(&self, slot: SlotId) -> bool {
        self.heads.domain != NOWHERE && self.domains.get(slot.index()) == Some(&self.heads.domain)
    }

    #[inline]
    fn linked(&self, slot: SlotId) -> Option<Link> {
        self.member(slot).filter(|link| link.is_linked())
    }

    #[inline]
    fn place(&mut self, list: u8, slot: SlotId, front: bool) -> bool {
        if usize::from(list) >= LISTS {
            return false;
        }
        let Some(link) = self.member(slot) else { return false };
        if link.is_linked() {
            self.cut(link);
        }
        let ends = self.heads.list_mut(list);
        ends.len += 1;
        let (prev, next) = if front {
            (NONE, std::mem::replace(&mut ends.head, slot.0))
        } else {
            (std::mem::replace(&mut ends.tail, slot.0), NONE)
        };
        let neighbour = if front { next } else { prev };
        match self.links.get_mut(neighbour as usize) {
            Some(link) if front => link.set_prev(slot.0),
            Some(link) => link.set_next(slot.0),
            None => (ends.head, ends.tail) = (slot.0, slot.0),
        }
        self.links[slot.index()] = Link::new(prev, next, list);
        true
    }

    /// Joins the neighbours of a link that leaves its list.
    #[inline]
    fn cut(&mut self, link: Link) {
        self.join(link.list(), link.prev(), link.next());
        let ends = self.heads.list_mut(link.list());
        ends.len = ends.len.saturating_sub(1);
    }

    /// Makes two slots of a list neighbours; an absent one stands for that end of the list.
    #[inline]
    fn join(&mut self, list: u8, before: u32, after: u32) {
        match self.links.get_mut(before as usize) {
            Some(link) => link.set_next(after),
            None => self.heads.list_mut(list).head = after,
        }
        match self.links.get_mut(after as usize) {
            Some(link) => link.set_prev(before),
            None => self.heads.list_mut(list).tail = before,
        }
    }
}

/// A slot number read from a link.
fn some(number: u32) -> Option<SlotId> {
    (number != NONE).then_some(SlotId(number))
}

/// Lengthens a table of slots: to twice its room where it has to move, or to what is expected if that comes first.
pub(crate) fn grow<T: Clone>(table: &mut Vec<T>, len: usize, expected: usize, fill: T) {
    if len > table.capacity() {
        let doubled = len.max(table.capacity() * 2).max(16);
        let room = if (len..=doubled).contains(&expected) { expected } else { doubled };
        table.reserve_exact(room - table.len());
    }
    table.resize(len, fill);
}

/// Shortens a table of slots, and gives back what that leaves.
pub(crate) fn cut<T>(table: &mut Vec<T>, len: usize) {
    if table.len() > len {
        table.truncate(len);
        table.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_of_slots_that_are_not_any_more_are_given_back() {
        let (mut orders, mut ours, mut theirs) = (Orders::new(), Heads::new(1), Heads::new(2));
        assert!(orders.adopt(&mut theirs, SlotId(3)));
        assert!((4..100).all(|slot| orders.adopt(&mut ours, SlotId(slot))));
        assert!((4..100).all(|slot| orders.release(&mut ours, SlotId(slot))));
        orders.give_back(4);
        assert_eq!([orders.links.capacity(), orders.domains.capacity()], [4; 2]);
        assert!(orders.adopt(&mut ours, SlotId(50)));
        assert_eq!([3, 4, 50].map(|slot| orders.domain_of(SlotId(slot))), [Some(2), None, Some(1)]);
    }

    #[test]
    fn table_of_domains_exists_only_for_several() {
        let (mut orders, mut ours, mut theirs) = (Orders::new(), Heads::new(1), Heads::new(2));
        assert!(orders.adopt(&mut ours, SlotId(3)) && orders.release(&mut ours, SlotId(3)));
        assert!(orders.adopt(&mut theirs, SlotId(2)), "one after the other");
        assert!(orders.domains.is_empty());
        assert!(orders.adopt(&mut ours, SlotId(9)) && orders.domains.len() == 10);
        assert_eq!([2, 3, 9].map(|slot| orders.domain_of(SlotId(slot))), [Some(2), None, Some(1)]);
        assert!(orders.release(&mut ours, SlotId(9)) && orders.release(&mut theirs, SlotId(2)));
        assert!(orders.adopt(&mut ours, SlotId(0)) && orders.domains.is_empty());
    }
}
