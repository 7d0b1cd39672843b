//! The lists that policies keep their order in: doubly linked through an arena, a few per domain.
//!
//! (1) A slot belongs to at most one domain and stands in at most one of its lists, once. (2) Only the engine
//! changes membership ([`Orders`]); a policy sees one domain ([`Order`]) and reorders members. (3) Every method
//! is total: a slot out of range, of another domain or not linked, and a list above [`LISTS`], is refused with
//! `false` or `None`; nothing panics and no neighbour is harmed. (4) Two live domains of one [`Orders`] have
//! different numbers; [`Heads`] are dropped when they have no members.
//! Cost: 16 bytes per slot and 48 per domain that uses one list; every operation is O(1), none allocates but
//! `adopt` (a new slot) and the first use of a further list.

use super::SlotId;

/// How many lists a domain may use, numbered from 0.
pub const LISTS: usize = 16;

/// No slot, and no domain.
const NONE: u32 = u32::MAX;
/// Not in any list.
const UNLISTED: u8 = u8::MAX;

#[derive(Debug, Clone, Copy)]
struct Link {
    prev: u32,
    next: u32,
    domain: u32,
    list: u8,
}

// What the header promises per slot.
const _: () = assert!(size_of::<Link>() == 16);

impl Link {
    const FREE: Self = Self { prev: NONE, next: NONE, domain: NONE, list: UNLISTED };
}

#[derive(Debug, Clone, Copy)]
struct List {
    head: u32,
    tail: u32,
    len: u32,
}

impl List {
    const EMPTY: Self = Self { head: NONE, tail: NONE, len: 0 };
}

/// The ends of one domain's lists, and how many members the domain has.
#[derive(Debug)]
pub struct Heads {
    domain: u32,
    members: u32,
    first: List,
    further: Vec<List>,
}

impl Heads {
    /// A domain without members. Its number must be no other live domain's of the same [`Orders`];
    /// `u32::MAX` stands for no domain, and nothing can enter it.
    pub const fn new(domain: u32) -> Self {
        Self { domain, members: 0, first: List::EMPTY, further: Vec::new() }
    }

    /// The domain's number.
    pub const fn domain(&self) -> u32 {
        self.domain
    }

    /// How many slots were adopted and not released, linked or not.
    pub const fn members(&self) -> usize {
        self.members as usize
    }

    fn list(&self, list: u8) -> Option<&List> {
        match usize::from(list).checked_sub(1) {
            None => Some(&self.first),
            Some(at) => self.further.get(at),
        }
    }

    /// The list to write to; the caller has checked that it is below [`LISTS`].
    fn list_mut(&mut self, list: u8) -> &mut List {
        let Some(at) = usize::from(list).checked_sub(1) else {
            return &mut self.first;
        };
        if self.further.len() <= at {
            self.further.resize(at + 1, List::EMPTY);
        }
        &mut self.further[at]
    }
}

/// The links of all slots of a shard. The engine's side: who belongs where.
#[derive(Debug, Default)]
pub struct Orders {
    links: Vec<Link>,
}

impl Orders {
    /// An arena without slots.
    pub const fn new() -> Self {
        Self { links: Vec::new() }
    }

    /// Makes a slot a member of a domain, not yet linked. Refused (`false`) if it is a member of any domain
    /// already. The arena grows to the slot's number.
    pub fn adopt(&mut self, heads: &mut Heads, slot: SlotId) -> bool {
        if heads.domain == NONE || slot.0 == NONE {
            return false;
        }
        if self.links.len() <= slot.index() {
            self.links.resize(slot.index() + 1, Link::FREE);
        }
        let link = &mut self.links[slot.index()];
        if link.domain != NONE {
            return false;
        }
        link.domain = heads.domain;
        heads.members += 1;
        true
    }

    /// Ends a slot's membership, and takes it out of the list it may still be in. `false` if it was no member.
    pub fn release(&mut self, heads: &mut Heads, slot: SlotId) -> bool {
        let mut order = self.of(heads);
        if !order.owns(slot) {
            return false;
        }
        order.remove(slot);
        heads.members = heads.members.saturating_sub(1);
        self.links[slot.index()] = Link::FREE;
        true
    }

    /// The policy's view of one domain.
    pub fn of<'a>(&'a mut self, heads: &'a mut Heads) -> Order<'a> {
        Order { links: &mut self.links, heads }
    }

    /// The domain a slot is a member of.
    pub fn domain_of(&self, slot: SlotId) -> Option<u32> {
        self.links.get(slot.index()).map(|link| link.domain).filter(|&domain| domain != NONE)
    }
}

/// One domain's lists, as its policy sees them: [`LISTS`] lists that begin empty, each with a front and a back.
#[derive(Debug)]
pub struct Order<'a> {
    links: &'a mut [Link],
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

    /// Takes a member out of its list; it stays a member. `false` if it was not linked.
    pub fn remove(&mut self, slot: SlotId) -> bool {
        let Some(Link { prev, next, list, .. }) = self.linked(slot) else {
            return false;
        };
        self.join(list, prev, next);
        let ends = self.heads.list_mut(list);
        ends.len = ends.len.saturating_sub(1);
        if let Some(link) = self.links.get_mut(slot.index()) {
            *link = Link { domain: link.domain, ..Link::FREE };
        }
        true
    }

    /// The first slot of a list.
    pub fn front(&self, list: u8) -> Option<SlotId> {
        self.heads.list(list).and_then(|ends| some(ends.head))
    }

    /// The last slot of a list.
    pub fn back(&self, list: u8) -> Option<SlotId> {
        self.heads.list(list).and_then(|ends| some(ends.tail))
    }

    /// The neighbour of a linked member towards the back.
    pub fn next(&self, slot: SlotId) -> Option<SlotId> {
        self.linked(slot).and_then(|link| some(link.next))
    }

    /// The neighbour of a linked member towards the front.
    pub fn prev(&self, slot: SlotId) -> Option<SlotId> {
        self.linked(slot).and_then(|link| some(link.prev))
    }

    /// The list a member is linked in.
    pub fn list_of(&self, slot: SlotId) -> Option<u8> {
        self.linked(slot).map(|link| link.list)
    }

    /// How many slots a list links.
    pub fn len(&self, list: u8) -> usize {
        self.heads.list(list).map_or(0, |ends| ends.len as usize)
    }

    /// Whether no list links any slot.
    pub fn is_empty(&self) -> bool {
        self.heads.first.len == 0 && self.heads.further.iter().all(|ends| ends.len == 0)
    }

    /// Whether a slot is a member of this domain, linked or not.
    pub fn owns(&self, slot: SlotId) -> bool {
        self.heads.domain != NONE
            && self.links.get(slot.index()).is_some_and(|link| link.domain == self.heads.domain)
    }

    /// How many members the domain has, linked or not.
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

    fn linked(&self, slot: SlotId) -> Option<Link> {
        if !self.owns(slot) {
            return None;
        }
        self.links.get(slot.index()).copied().filter(|link| link.list != UNLISTED)
    }

    fn place(&mut self, list: u8, slot: SlotId, front: bool) -> bool {
        if usize::from(list) >= LISTS || !self.owns(slot) {
            return false;
        }
        self.remove(slot);
        let ends = self.heads.list_mut(list);
        ends.len += 1;
        let (prev, next) = if front { (NONE, ends.head) } else { (ends.tail, NONE) };
        self.links[slot.index()] = Link { prev, next, domain: self.heads.domain, list };
        self.join(list, prev, slot.0);
        self.join(list, slot.0, next);
        true
    }

    /// Makes two slots of a list neighbours; an absent one stands for that end of the list.
    fn join(&mut self, list: u8, before: u32, after: u32) {
        match self.links.get_mut(before as usize) {
            Some(link) => link.next = after,
            None => self.heads.list_mut(list).head = after,
        }
        match self.links.get_mut(after as usize) {
            Some(link) => link.prev = before,
            None => self.heads.list_mut(list).tail = before,
        }
    }
}

/// A slot number read from a link.
fn some(number: u32) -> Option<SlotId> {
    (number != NONE).then_some(SlotId(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domain_that_uses_one_list_allocates_nothing() {
        let (mut orders, mut heads) = (Orders::new(), Heads::new(1));
        assert!(orders.adopt(&mut heads, SlotId(0)) && orders.of(&mut heads).push_front(0, SlotId(0)));
        assert_eq!((heads.further.capacity(), size_of::<Heads>()), (0, 48));
    }
}
