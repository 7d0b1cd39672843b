//! The eviction domains of a shard: who is ordered together.
//!
//! A region without a limit of its own has one domain a shard; with `max` per scope, one for each scope.
//! (1) An entry is in exactly one domain. (2) A domain of a scope lives while it has entries. (3) Whatever a policy
//! answers, `victim` returns a live slot of the domain, or `None` only if there is none besides the spared one.
//! Cost: O(1) a call; a policy that answers nonsense costs a scan of the shard.

use std::collections::HashMap;

use super::slab::Slab;
use crate::policy::{EvictionPolicy, Guarded, Heads, Heat, Order, Orders, Policy, SlotId, Weight};

/// Entries that one policy orders.
struct Domain {
    heads: Heads,
    policy: Guarded,
    wants_touches: bool,
    len: u64,
    /// The scope node this domain belongs to, in a region with a limit per scope.
    node: Option<u64>,
}

/// All domains of one shard, with the links of their entries.
pub(super) struct Domains {
    orders: Orders,
    domains: Vec<Option<Domain>>,
    of_node: HashMap<u64, u32, ahash::RandomState>,
    free: Vec<u32>,
    policy: Policy,
    /// Where the scan for a victim goes on when a policy has none to offer.
    hand: usize,
    /// Where the search for a domain that can pay goes on.
    turn: usize,
}

impl Domains {
    pub(super) fn new(policy: Policy) -> Self {
        Self {
            orders: Orders::new(),
            domains: Vec::new(),
            of_node: HashMap::with_hasher(ahash::RandomState::new()),
            free: Vec::new(),
            policy,
            hand: 0,
            turn: 0,
        }
    }

    /// The domain of a scope node, or the shard's one domain for `None`; made if it does not exist.
    pub(super) fn open(&mut self, node: Option<u64>) -> u32 {
        let known = match node {
            Some(id) => self.of_node.get(&id).copied(),
            None => self.domains.first().and_then(Option::as_ref).map(|_| 0),
        };
        if let Some(domain) = known {
            return domain;
        }
        let policy = Guarded::new(self.policy.build());
        let wants_touches = policy.wants_touches();
        let fresh = Domain { heads: Heads::new(), policy, wants_touches, len: 0, node };
        let domain = match self.free.pop() {
            Some(domain) => {
                self.domains[domain as usize] = Some(fresh);
                domain
            }
            None => {
                self.domains.push(Some(fresh));
                u32::try_from(self.domains.len() - 1).expect("a shard holds fewer than 2^32 domains")
            }
        };
        if let Some(id) = node {
            self.of_node.insert(id, domain);
        }
        domain
    }

    pub(super) fn len(&self, domain: u32) -> u64 {
        self.domains.get(domain as usize).and_then(Option::as_ref).map_or(0, |domain| domain.len)
    }

    pub(super) fn wants_touches(&self, domain: u32) -> bool {
        self.domains.get(domain as usize).and_then(Option::as_ref).is_some_and(|domain| domain.wants_touches)
    }

    pub(super) fn insert(&mut self, domain: u32, slot: SlotId, hash: u64, weight: Weight) {
        self.orders.adopt(slot, domain);
        self.with(domain, |domain, order| {
            domain.len += 1;
            domain.policy.on_insert(order, slot, hash, weight);
        });
    }

    /// Tells the policy of hits; all slots are of this domain.
    pub(super) fn touch(&mut self, domain: u32, batch: &[SlotId]) {
        self.with(domain, |domain, order| domain.policy.on_touch(order, batch));
    }

    pub(super) fn remove(&mut self, domain: u32, slot: SlotId) {
        let emptied = self.with(domain, |domain, order| {
            domain.policy.on_remove(order, slot);
            order.remove(slot);
            domain.len = domain.len.saturating_sub(1);
            (domain.len == 0).then_some(domain.node)
        });
        self.orders.release(slot);
        if let Some(Some(Some(node))) = emptied {
            self.of_node.remove(&node);
            self.domains[domain as usize] = None;
            self.free.push(domain);
        }
    }

    /// A live slot of the domain that should go next, never `spare`.
    pub(super) fn victim<K, V>(
        &mut self,
        domain: u32,
        slab: &Slab<K, V>,
        spare: Option<SlotId>,
    ) -> Option<SlotId> {
        let payers = self.len(domain).saturating_sub(u64::from(spare.is_some_and(|slot| {
            slab.get(slot).is_some_and(|entry| entry.domain == domain)
        })));
        if payers == 0 {
            return None;
        }
        let is_payer = |slot: &SlotId| {
            Some(*slot) != spare && slab.get(*slot).is_some_and(|entry| entry.domain == domain)
        };
        let proposed = self.with(domain, |domain, order| {
            let heat = Heat::new(slab);
            let first = domain.policy.victim(order, &heat);
            if spare.is_none() || first != spare {
                return first;
            }
            // The newcomer may not pay for itself: take it out of the order for the length of a question.
            let spared = spare?;
            let (hash, weight) = slab.get(spared).map(|entry| (entry.hash, entry.weight))?;
            domain.policy.on_remove(order, spared);
            let second = domain.policy.victim(order, &heat);
            domain.policy.on_insert(order, spared, hash, weight);
            second
        });
        proposed.flatten().filter(is_payer).or_else(|| self.scan(slab, is_payer))
    }

    /// The fallback for a policy that offers nothing usable: the next live slot in slot order.
    fn scan<K, V>(&mut self, slab: &Slab<K, V>, is_payer: impl Fn(&SlotId) -> bool) -> Option<SlotId> {
        let span = slab.span();
        (0..span).find_map(|_| {
            self.hand = (self.hand + 1) % span;
            let slot = SlotId(u32::try_from(self.hand).ok()?);
            is_payer(&slot).then_some(slot)
        })
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
            if self.domains[self.turn].as_ref().is_some_and(|domain| domain.len > 0) {
                found[taken] = u32::try_from(self.turn).ok();
                taken += 1;
            }
        }
        found.into_iter().flatten()
    }

    fn with<R>(&mut self, domain: u32, act: impl FnOnce(&mut Domain, &mut Order<'_>) -> R) -> Option<R> {
        let entry = self.domains.get_mut(domain as usize)?.as_mut()?;
        let mut heads = std::mem::take(&mut entry.heads);
        let result = act(entry, &mut self.orders.view(&mut heads, domain));
        entry.heads = heads;
        Some(result)
    }
}
