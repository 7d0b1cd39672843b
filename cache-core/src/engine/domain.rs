//! The eviction domains of a shard: who is ordered together.
//!
//! A region without a limit of its own has one domain a shard, and one for each scope below it that has a budget; with `max` per
//! scope, one for each scope. (1) An entry is in exactly one domain. (2) A domain of a scope lives while it has entries; domain 0
//! is nobody's, and stays. (3) Whatever a policy
//! answers, `victim` returns a live slot of the domain, or `None` only if there is none besides the spared one. The default
//! policy is believed what it names from lists that hold nobody else; that the slot is live is looked at.
//! Cost: O(1) a call; a policy that answers nonsense costs a scan of the shard.

use hashbrown::HashTable;

use super::arena::{ROOMY, View};
use super::space::{owner_number, spread};
use crate::policy::{
    EvictionPolicy as _, Fault, Guarded, Heads, Heat, Orders, Policy, SlotId, Touches, Weight,
};
use crate::prefetch::prefetch;
use crate::scope::Node;
use crate::sync::Arc;

/// Domains of a shard that are asked in turn.
const CANDIDATES: usize = 3;

/// Entries that one policy orders.
struct Domain {
    heads: Heads,
    policy: Guarded,
    /// The policy misbehaved, and this was said.
    fault_told: bool,
    /// The scope it belongs to; then it goes with its last entry.
    owner: Option<Arc<Node>>,
}

impl Domain {
    fn len(&self) -> u64 {
        self.heads.members() as u64
    }
}

/// All domains of one shard, with the links of their entries.
pub(super) struct Domains {
    orders: Orders,
    domains: Vec<Option<Domain>>,
    free: Vec<u32>,
    /// Domains of scopes, each behind the number of its scope.
    owned: HashTable<(u32, u32)>,
    /// A domain that had more entries than others when somebody last looked.
    largest: u32,
    policy: Policy,
    /// Where the scan for a victim goes on when a policy has none to offer.
    hand: usize,
    /// Where the search for a domain that can pay goes on.
    turn: usize,
    /// A policy was set aside, and nobody was told yet.
    fault: Option<Fault>,
}

impl Domains {
    pub(super) fn new(policy: Policy) -> Self {
        Self {
            orders: Orders::new(),
            domains: vec![None],
            free: Vec::new(),
            owned: HashTable::new(),
            largest: 0,
            policy,
            hand: 0,
            turn: 0,
            fault: None,
        }
    }

    /// Says how many entries are to come, about.
    pub(super) fn expect(&mut self, entries: usize) {
        self.orders.expect(entries);
    }

    /// Makes domain 0, of all scopes that have none of their own, or that of one scope.
    pub(super) fn open(&mut self, owner: Option<Arc<Node>>) -> u32 {
        let domain = match &owner {
            None => 0,
            Some(_) => self.free.pop().unwrap_or_else(|| {
                self.domains.push(None);
                u32::try_from(self.domains.len() - 1).expect("a shard holds fewer than 2^32 domains")
            }),
        };
        let policy = Guarded::build(&self.policy);
        if let Some(owner) = &owner {
            let owned = (owner.number(), domain);
            self.owned.insert_unique(spread(owned.0), owned, |&(number, _)| spread(number));
        }
        self.domains[domain as usize] =
            Some(Domain { heads: Heads::new(domain), policy, fault_told: false, owner });
        domain
    }

    /// The domain of a scope's entries, if there are any.
    pub(super) fn of_owner(&self, owner: Option<&Arc<Node>>) -> Option<u32> {
        owner.map_or(Some(0), |owner| self.of_number(owner.number()))
    }

    /// As [`of_owner`](Self::of_owner), by the owner's number.
    pub(super) fn of_number(&self, wanted: u32) -> Option<u32> {
        self.owned.find(spread(wanted), |&(number, _)| number == wanted).map(|&(_, domain)| domain)
    }

    /// The domain of a scope's entries, made for the first.
    pub(super) fn place(&mut self, owner: Option<&Arc<Node>>) -> u32 {
        self.of_owner(owner).unwrap_or_else(|| self.open(owner.cloned()))
    }

    /// The scope that a domain belongs to.
    pub(super) fn owner(&self, domain: u32) -> Option<&Arc<Node>> {
        self.domains.get(domain as usize)?.as_ref()?.owner.as_ref()
    }

    /// The number of the scope that a domain belongs to, if it is open.
    #[inline]
    pub(super) fn number_of(&self, domain: u32) -> Option<u32> {
        number_of(&self.domains, domain)
    }

    /// The domain that an entry is in.
    pub(super) fn of(&self, slot: SlotId) -> Option<u32> {
        self.orders.domain_of(slot)
    }

    pub(super) fn len(&self, domain: u32) -> u64 {
        self.domains.get(domain as usize).and_then(Option::as_ref).map_or(0, Domain::len)
    }

    #[inline(always)]
    pub(super) fn insert(&mut self, domain: u32, slot: SlotId, hash: u32, weight: Weight) {
        let Some(Some(into)) = self.domains.get_mut(domain as usize) else { return };
        if !into.policy.quick_enter(&mut self.orders, &mut into.heads, slot, hash) {
            self.insert_any(domain, slot, hash, weight);
        } else if domain != self.largest {
            self.note_largest(domain);
        }
    }

    #[inline(never)]
    fn insert_any(&mut self, domain: u32, slot: SlotId, hash: u32, weight: Weight) {
        let Some(Some(owner)) = self.domains.get_mut(domain as usize) else { return };
        owner.policy.enter(&mut self.orders, &mut owner.heads, slot, hash, weight);
        self.note_largest(domain);
    }

    fn note_largest(&mut self, domain: u32) {
        if self.len(domain) > self.len(self.largest) {
            self.largest = domain;
        }
    }

    /// Tells the policy of hits; all slots are of this domain.
    pub(super) fn touch(&mut self, domain: u32, batch: &[SlotId]) {
        if let Some(Some(owner)) = self.domains.get_mut(domain as usize) {
            owner.policy.on_touch(&mut self.orders.of(&mut owner.heads), batch);
        }
    }

    #[inline(always)]
    pub(super) fn remove(&mut self, domain: u32, slot: SlotId) {
        self.take_out(domain, slot);
        if domain != 0 {
            self.close_if_empty(domain);
        }
    }

    /// As [`remove`](Self::remove), but the domain stays, for one that comes in next.
    #[inline(always)]
    pub(super) fn take_out(&mut self, domain: u32, slot: SlotId) {
        let Some(Some(from)) = self.domains.get_mut(domain as usize) else { return };
        if !from.policy.quick_leave(&mut self.orders, &mut from.heads, slot) {
            self.take_out_any(domain, slot);
        }
    }

    #[inline(never)]
    fn take_out_any(&mut self, domain: u32, slot: SlotId) {
        if let Some(Some(from)) = self.domains.get_mut(domain as usize) {
            from.policy.leave(&mut self.orders, &mut from.heads, slot);
        }
    }

    /// The domain of a scope goes with its last entry.
    pub(super) fn close_if_empty(&mut self, domain: u32) {
        let Some(Some(from)) = self.domains.get(domain as usize) else { return };
        if from.len() == 0
            && let Some(owner) = &from.owner
        {
            // Whoever has its entries in it holds the owner, too.
            if let Ok(owned) = self.owned.find_entry(spread(owner.number()), |&(_, owned)| owned == domain) {
                owned.remove();
            }
            self.domains[domain as usize] = None;
            self.free.push(domain);
        }
    }

    /// No slot has a number of so many or above: gives back what was kept for them, and for domains that have gone.
    pub(super) fn give_back(&mut self, slots: usize) {
        self.orders.give_back(slots);
        let left = self.domains.iter().rposition(Option::is_some).map_or(1, |last| last + 1);
        if self.domains.capacity() / ROOMY >= left {
            self.domains.truncate(left);
            self.domains.shrink_to_fit();
            self.free.retain(|&domain| (domain as usize) < left);
            self.free.shrink_to_fit();
        }
        if self.owned.capacity() / ROOMY >= self.owned.len().max(1) {
            self.owned.shrink_to(self.owned.len() * 2, |&(number, _)| spread(number));
        }
    }

    /// An entry goes over to another domain.
    pub(super) fn rehome(&mut self, [from, to]: [u32; 2], slot: SlotId, hash: u32, weight: Weight) {
        if from != to {
            self.remove(from, slot);
            self.insert_any(to, slot, hash, weight);
        }
    }

    /// The entry of a slot was overwritten and lives in another.
    pub(super) fn shift(&mut self, domain: u32, [from, to]: [SlotId; 2], hash: u32, weight: Weight) {
        let Some(Some(owner)) = self.domains.get_mut(domain as usize) else { return };
        self.orders.adopt(&mut owner.heads, to);
        let mut order = self.orders.of(&mut owner.heads);
        owner.policy.on_move(&mut order, from, to, hash, weight);
        if owner.policy.touches() != Touches::None {
            owner.policy.on_touch(&mut order, &[to]);
        }
        self.orders.release(&mut owner.heads, from);
    }

    /// A live slot of the domain that should go next, never `spare`.
    #[inline(always)]
    pub(super) fn victim<K, V>(
        &mut self,
        domain: u32,
        entries: View<'_, K, V>,
        spare: Option<SlotId>,
    ) -> Option<SlotId> {
        if let Some(Some(owner)) = self.domains.get_mut(domain as usize)
            && let Some(slot) = owner.policy.quick_victim(&owner.heads, &entries)
            && Some(slot) != spare
        {
            return Some(slot);
        }
        self.careful_victim(domain, entries, spare)
    }

    /// Asks for what is kept of a domain ahead of its use.
    #[inline]
    pub(super) fn prefetch(&self, domain: u32) {
        let place = self.domains.as_ptr().wrapping_add(domain as usize);
        prefetch(place);
        prefetch(place.wrapping_add(1).cast::<u8>().wrapping_sub(1));
    }

    /// A newcomer of this hash is about to be written to a domain: asks for what the default policy will need. What was not asked for
    /// when the last one was written, for there are other domains, is asked for now.
    #[inline(always)]
    pub(super) fn expect_newcomer<K, V>(&self, domain: u32, hash: u32, entries: View<'_, K, V>) {
        let Some(Some(owner)) = self.domains.get(domain as usize) else { return };
        owner.policy.expect(hash);
        if !self.orders.are_of(&owner.heads) {
            for slot in owner.heads.ends() {
                entries.prefetch(slot);
                self.orders.prefetch(slot);
            }
        }
    }

    /// Between two writes: asks for what the next one will need, to which this slot will go, and which will be to the same domain if
    /// there is no other.
    #[inline(always)]
    pub(super) fn look_ahead<K, V>(&self, domain: u32, entries: View<'_, K, V>, newcomer: Option<SlotId>) {
        let Some(Some(owner)) = self.domains.get(domain as usize) else { return };
        if let Some(slot) = newcomer {
            self.orders.prefetch(slot);
        }
        if !self.orders.are_of(&owner.heads) {
            return;
        }
        if let Some((hash, after)) = owner.policy.look_ahead(&self.orders, &owner.heads, &entries) {
            entries.prefetch_home(hash);
            if let Some(after) = after {
                entries.prefetch(after);
            }
        }
    }

    /// Whether overwrites are nothing to the policy of domain 0 but a hit, of which it wants to know nothing.
    #[inline(always)]
    pub(super) fn ignores_overwrites(&self) -> bool {
        self.domains
            .first()
            .is_some_and(|owner| owner.as_ref().is_some_and(|owner| owner.policy.is_default()))
    }

    /// As [`Self::victim`], of any policy, which is not believed.
    #[inline(never)]
    fn careful_victim<K, V>(
        &mut self,
        domain: u32,
        entries: View<'_, K, V>,
        spare: Option<SlotId>,
    ) -> Option<SlotId> {
        let spare_is_in = spare.is_some_and(|spare| self.is_member(domain, entries, spare));
        let owner = self.domains.get_mut(domain as usize)?.as_mut()?;
        let len = owner.len();
        if len == 0 || (len == 1 && spare_is_in) {
            return None;
        }
        let named = owner.policy.victim(&mut self.orders.of(&mut owner.heads), &Heat::new(&entries));
        if let Some(fault) = owner.policy.fault().filter(|_| !owner.fault_told) {
            owner.fault_told = true;
            self.fault = Some(fault);
        }
        if named != spare
            && let Some(slot) = named
            && self.is_member(domain, entries, slot)
        {
            return Some(slot);
        }
        let other = spare.filter(|_| named == spare).and_then(|spared| self.beside(domain, entries, spared));
        let other = other.filter(|&slot| Some(slot) != spare && self.is_member(domain, entries, slot));
        other.or_else(|| self.scan(domain, entries, spare))
    }

    /// Whether a slot has a live entry of a domain.
    fn is_member<K, V>(&self, domain: u32, entries: View<'_, K, V>, slot: SlotId) -> bool {
        entries.entry(slot).is_some() && self.of(slot) == Some(domain)
    }

    /// Asks the policy again, with the spared slot out of the order.
    #[cold]
    fn beside<K, V>(&mut self, domain: u32, entries: View<'_, K, V>, spared: SlotId) -> Option<SlotId> {
        let owner = self.domains.get_mut(domain as usize)?.as_mut()?;
        let hash = entries.entry(spared)?.header().hash();
        let mut order = self.orders.of(&mut owner.heads);
        owner.policy.on_remove(&mut order, spared);
        let second = owner.policy.victim(&mut order, &Heat::new(&entries));
        owner.policy.on_insert(&mut order, spared, hash, 1);
        second
    }

    /// The fallback for a policy that offers nothing usable: the next live slot in slot order.
    fn scan<K, V>(&mut self, domain: u32, entries: View<'_, K, V>, spare: Option<SlotId>) -> Option<SlotId> {
        let span = entries.span();
        (0..span).find_map(|_| {
            self.hand = (self.hand + 1) % span;
            let slot = SlotId(u32::try_from(self.hand).ok()?);
            (Some(slot) != spare && self.is_member(domain, entries, slot)).then_some(slot)
        })
    }

    /// Whether [`take_fault`](Self::take_fault) has one.
    #[inline]
    pub(super) fn has_fault(&self) -> bool {
        self.fault.is_some()
    }

    /// The fault of a policy that was set aside since the last call.
    pub(super) fn take_fault(&mut self) -> Option<Fault> {
        self.fault.take()
    }

    /// The next few domains, in turn, that have entries, and the largest that somebody has met.
    pub(super) fn candidates(&mut self) -> impl Iterator<Item = u32> + use<> {
        let count = self.domains.len();
        let mut found = [None; CANDIDATES + 1];
        let mut taken = 0;
        for _ in 0..count {
            if taken == CANDIDATES {
                break;
            }
            self.turn = (self.turn + 1) % count;
            let len = self.domains[self.turn].as_ref().map_or(0, Domain::len);
            if len > 0
                && let Ok(domain) = u32::try_from(self.turn)
            {
                found[taken] = Some(domain);
                taken += 1;
                if len > self.len(self.largest) {
                    self.largest = domain;
                }
            }
        }
        let largest = self.largest;
        if self.len(largest) > 0 && !found.contains(&Some(largest)) {
            found[CANDIDATES] = Some(largest);
        }
        found.into_iter().flatten()
    }

    /// All domains that have entries.
    pub(super) fn all(&self) -> impl Iterator<Item = u32> + use<> {
        let filled = |(at, domain): (usize, &Option<Domain>)| {
            domain.as_ref().filter(|domain| domain.len() > 0).and_then(|_| u32::try_from(at).ok())
        };
        self.domains.iter().enumerate().filter_map(filled).collect::<Vec<_>>().into_iter()
    }
}

fn number_of(domains: &[Option<Domain>], domain: u32) -> Option<u32> {
    let domain = domains.get(domain as usize)?.as_ref()?;
    Some(owner_number(domain.owner.as_ref()))
}
