//! The eviction domains of a shard: who is ordered together.
//!
//! A region without a limit of its own has one domain a shard; with `max` per scope, one for each scope.
//! (1) An entry is in exactly one domain. (2) A domain of a scope lives while it has entries. (3) Whatever a policy
//! answers, `victim` returns a live slot of the domain, or `None` only if there is none besides the spared one. The default
//! policy is believed what it names from lists that hold nobody else; that the slot is live is looked at.
//! Cost: O(1) a call; a policy that answers nonsense costs a scan of the shard.

use super::arena::View;
use super::space::Spaces;
use crate::policy::{
    EvictionPolicy as _, Fault, Guarded, Heads, Heat, Orders, Policy, SlotId, Touches, Weight,
};

/// Entries that one policy orders.
struct Domain {
    heads: Heads,
    policy: Guarded,
    /// The policy misbehaved, and this was said.
    fault_told: bool,
    /// It belongs to one scope, and goes with its last entry.
    of_scope: bool,
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
            domains: Vec::new(),
            free: Vec::new(),
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

    /// A new domain, of one scope or of all the shard.
    pub(super) fn open(&mut self, of_scope: bool) -> u32 {
        let domain = self.free.pop().unwrap_or_else(|| {
            self.domains.push(None);
            u32::try_from(self.domains.len() - 1).expect("a shard holds fewer than 2^32 domains")
        });
        let policy = Guarded::build(&self.policy);
        self.domains[domain as usize] =
            Some(Domain { heads: Heads::new(domain), policy, fault_told: false, of_scope });
        domain
    }

    pub(super) fn len(&self, domain: u32) -> u64 {
        self.domains.get(domain as usize).and_then(Option::as_ref).map_or(0, Domain::len)
    }

    #[inline(always)]
    pub(super) fn insert(&mut self, domain: u32, slot: SlotId, hash: u32, weight: Weight) {
        if let Some(Some(owner)) = self.domains.get_mut(domain as usize)
            && !owner.policy.quick_enter(&mut self.orders, &mut owner.heads, slot, hash)
        {
            self.insert_any(domain, slot, hash, weight);
        }
    }

    #[inline(never)]
    fn insert_any(&mut self, domain: u32, slot: SlotId, hash: u32, weight: Weight) {
        let Some(Some(owner)) = self.domains.get_mut(domain as usize) else { return };
        owner.policy.enter(&mut self.orders, &mut owner.heads, slot, hash, weight);
    }

    /// Tells the policy of hits; all slots are of this domain.
    pub(super) fn touch(&mut self, domain: u32, batch: &[SlotId]) {
        if let Some(Some(owner)) = self.domains.get_mut(domain as usize) {
            owner.policy.on_touch(&mut self.orders.of(&mut owner.heads), batch);
        }
    }

    #[inline(always)]
    pub(super) fn remove(&mut self, domain: u32, slot: SlotId) {
        let Some(Some(owner)) = self.domains.get_mut(domain as usize) else { return };
        if owner.of_scope || !owner.policy.quick_leave(&mut self.orders, &mut owner.heads, slot) {
            self.remove_any(domain, slot);
        }
    }

    #[inline(never)]
    fn remove_any(&mut self, domain: u32, slot: SlotId) {
        let Some(place) = self.domains.get_mut(domain as usize) else { return };
        let Some(owner) = place else { return };
        owner.policy.leave(&mut self.orders, &mut owner.heads, slot);
        if owner.of_scope && owner.len() == 0 {
            *place = None;
            self.free.push(domain);
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
        spaces: &Spaces,
        spare: Option<SlotId>,
    ) -> Option<SlotId> {
        if let Some(Some(owner)) = self.domains.get_mut(domain as usize)
            && let Some(slot) = owner.policy.quick_victim(&owner.heads, &entries)
            && Some(slot) != spare
        {
            return Some(slot);
        }
        self.careful_victim(domain, entries, spaces, spare)
    }

    /// A newcomer of this hash is about to be written: asks for what the default policy will need.
    #[inline(always)]
    pub(super) fn expect_newcomer(&self, hash: u32) {
        if let Some(Some(owner)) = self.domains.first() {
            owner.policy.expect(hash);
        }
    }

    /// Between two writes: asks for what the next one will need, to which this slot will go.
    #[inline(always)]
    pub(super) fn look_ahead<K, V>(&self, entries: View<'_, K, V>, newcomer: Option<SlotId>) {
        if let Some(slot) = newcomer {
            self.orders.prefetch(slot);
        }
        let Some(Some(owner)) = self.domains.first() else { return };
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
        spaces: &Spaces,
        spare: Option<SlotId>,
    ) -> Option<SlotId> {
        let owner = self.domains.get_mut(domain as usize)?.as_mut()?;
        let is_member = |slot: SlotId| {
            entries.entry(slot).is_some_and(|entry| spaces.domain_of(entry.header().scope()) == domain)
        };
        let len = owner.len();
        if len == 0 || (len == 1 && spare.is_some_and(is_member)) {
            return None;
        }
        let named = owner.policy.victim(&mut self.orders.of(&mut owner.heads), &Heat::new(&entries));
        if let Some(fault) = owner.policy.fault().filter(|_| !owner.fault_told) {
            owner.fault_told = true;
            self.fault = Some(fault);
        }
        if named != spare
            && let Some(slot) = named
            && is_member(slot)
        {
            return Some(slot);
        }
        let is_payer = |slot: &SlotId| Some(*slot) != spare && is_member(*slot);
        let other = spare.filter(|_| named == spare).and_then(|spared| self.beside(domain, entries, spared));
        other.filter(is_payer).or_else(|| self.scan(entries, is_payer))
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
    fn scan<K, V>(&mut self, entries: View<'_, K, V>, is_payer: impl Fn(&SlotId) -> bool) -> Option<SlotId> {
        let span = entries.span();
        (0..span).find_map(|_| {
            self.hand = (self.hand + 1) % span;
            let slot = SlotId(u32::try_from(self.hand).ok()?);
            is_payer(&slot).then_some(slot)
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

    /// The next few domains, in turn, that have entries.
    pub(super) fn candidates(&mut self, most: usize) -> impl Iterator<Item = u32> + use<> {
        let count = self.domains.len();
        let mut found = [None; 4];
        let mut taken = 0;
        for _ in 0..count {
            if taken == most.min(found.len()) {
                break;
            }
            self.turn = (self.turn + 1) % count;
            if self.domains[self.turn].as_ref().is_some_and(|domain| domain.len() > 0) {
                found[taken] = u32::try_from(self.turn).ok();
                taken += 1;
            }
        }
        found.into_iter().flatten()
    }
}
