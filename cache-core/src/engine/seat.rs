//! Whose place a newcomer takes: nobody's, the next to go in its own shard, or somebody else's, who is asked after the write.
//!
//! (1) A charge comes before the link, a release after the unlink, under the shard's lock; of an exchange both are as if they had
//! happened at one look. (2) What has expired goes before anything that lives. (3) A newcomer pays at once, out of its own shard,
//! unless another region is known to have somebody colder, or nobody knows. Cost: no atomic addition where newcomer and victim
//! are of one scope and weight; two for each level that their paths do not share otherwise.

use std::sync::atomic::Ordering::Relaxed;

use super::Engine;
use super::claim::Claim;
use super::options::{Key, Value};
use super::removal::Removals;
use super::shard::{LockedShard, Next, Terms};
use super::store::Store;
use crate::clock::Moment;
use crate::event::RemovalCause;
use crate::policy::SlotId;
use crate::scope::{Charge, Node};
use crate::stats::{Event, ScopeStats};
use crate::sync::Arc;

/// The age of the next to go in a newcomer's own shard from which on that one pays for it, at once. `None` if there is room, or
/// others have to be asked.
pub(super) type Pays = Option<u8>;

/// How a newcomer is charged.
pub(super) enum Seat {
    /// By itself.
    Own,
    /// It has the place of one that left this domain, of the same scope and weight.
    Left(u32),
    /// Not: its scope is dead, and the charge is to be released.
    Dead,
}

impl<K: Key, V: Value> Store<K, V> {
    #[inline(never)]
    pub(super) fn charge(&self, engine: &Engine, node: &Node, weight: u64) -> Seat {
        match node.charge(weight) {
            Charge::Live => {
                self.grow_by(engine, weight);
                Seat::Own
            }
            Charge::Dead => Seat::Dead,
        }
    }

    /// A charged newcomer found no memory.
    #[cold]
    pub(super) fn link_none<'p>(
        &self,
        engine: &Engine,
        shard: &mut LockedShard<'p, K, V>,
        node: &Arc<Node>,
        weight: u64,
        left: Option<u32>,
        removals: &mut Removals<'p, K, V>,
    ) {
        if let Some(domain) = left {
            removals.let_go(shard.vacate(domain, node));
        }
        if !node.release(weight) {
            engine.forget_dead();
        }
        self.shrink_by(engine, 1, weight);
        self.count(node, Event::Evicted);
    }

    /// In a full cache: evicts the next to go in this shard, if it is this old, and charges the newcomer in its place, which
    /// leaves alone what their scopes have in common. `None` if nobody here can pay.
    #[inline]
    pub(super) fn displace<'p>(
        &self,
        engine: &Engine,
        shard: &mut LockedShard<'p, K, V>,
        node: &Arc<Node>,
        weight: u64,
        age: u8,
        removals: &mut Removals<'p, K, V>,
    ) -> Option<Seat> {
        if !node.is_live() {
            return None;
        }
        let structure = engine.structure();
        let domain = if !engine.has_budgets() && !self.is_separate() { 0 } else { shard.domain_for(node)? };
        let next = shard.next_to_go(domain, structure, node, weight)?;
        if !engine.is_alone() && !self.is_old(engine, shard, next, age) {
            return None;
        }
        if !next.is_same {
            return self.exchange(engine, shard, next.slot, node, weight, removals);
        }
        // As in `Node::exchange`: release and charge are as if both had happened at the look at the node above.
        if let Some(pin) = removals.pin() {
            removals.tell_live(pin, shard, next.slot, node, weight);
        }
        shard.displace(domain, next.slot, next.hash);
        Some(Seat::Left(domain))
    }

    /// Whether the next to go is as old as those of other regions are; shows its age to them.
    #[cold]
    pub(super) fn is_old(
        &self,
        engine: &Engine,
        shard: &LockedShard<'_, K, V>,
        next: Next,
        least: u8,
    ) -> bool {
        shard.show(next.used.into());
        engine.generation().wrapping_sub(next.used) >= least
    }

    #[inline(never)]
    pub(super) fn exchange<'p>(
        &self,
        engine: &Engine,
        shard: &mut LockedShard<'p, K, V>,
        victim: SlotId,
        node: &Arc<Node>,
        weight: u64,
        removals: &mut Removals<'p, K, V>,
    ) -> Option<Seat> {
        let mut charge = Charge::Dead;
        let exchange = |leaving: &Arc<Node>, left| {
            let (charged, counted) = node.exchange(leaving, [weight, left]);
            if counted && node.id() != leaving.id() {
                ScopeStats::count_forced(node.stats(), leaving.stats());
            }
            charge = charged;
            counted
        };
        let (left, _) = self.take_and(engine, shard, victim, RemovalCause::Evicted, removals, exchange)?;
        if charge == Charge::Dead {
            self.shrink_by(engine, 1, left);
            return Some(Seat::Dead);
        }
        let change = weight.cast_signed().wrapping_sub(left.cast_signed());
        if change != 0 {
            self.weight.fetch_add(change, Relaxed);
        }
        Some(Seat::Own)
    }

    /// Keeps the limit of a scope after an insert: what has expired goes first, then whom the policy names.
    #[inline(never)]
    pub(super) fn keep_limit<'p>(
        &self,
        engine: &Engine,
        shard: &mut LockedShard<'p, K, V>,
        newcomer: SlotId,
        limit: u64,
        removals: &mut Removals<'p, K, V>,
    ) {
        if shard.is_over(newcomer, limit) && shard.earliest() != Moment::NEVER {
            let now = engine.now();
            if shard.earliest() <= now {
                self.take_due(engine, shard, now, usize::MAX, removals);
            }
        }
        while shard.is_over(newcomer, limit)
            && let Some(victim) = shard.victim_beside(newcomer)
        {
            self.take(engine, shard, victim, RemovalCause::Evicted, removals);
        }
    }

    /// Who pays for a newcomer; `None` if something has to expire first, so that it displaces nothing that lives.
    #[inline]
    pub(super) fn who_pays(
        &self,
        engine: &Engine,
        node: &Arc<Node>,
        terms: Terms,
        hash: u64,
    ) -> Option<Pays> {
        let claim = engine.claim_with(node, [1, terms.weight]);
        if (claim.is_some() || self.is_separate()) && engine.is_something_due(terms.now) {
            return None;
        }
        Some(claim.and_then(|claim| self.who_pays_for(engine, &claim, hash)))
    }

    #[inline]
    fn who_pays_for(&self, engine: &Engine, claim: &Claim<'_>, hash: u64) -> Pays {
        if engine.has_budgets() {
            engine.pays_itself(claim, hash, |own| engine.has_somebody_further(claim, own)).then_some(0)
        } else if self.is_separate() {
            None
        } else {
            engine.age_to_pay(self.id)
        }
    }

    /// Whether each scope has a domain of its own.
    fn is_separate(&self) -> bool {
        self.options.max_per_scope.is_some()
    }

    /// Before the lock: where the cache is full, or scopes have limits, what has expired goes first, so that it displaces
    /// nothing that lives. Answers who pays after that.
    pub(super) fn expire_before(&self, engine: &Engine, node: &Arc<Node>, terms: Terms, hash: u64) -> Pays {
        self.who_pays(engine, node, terms, hash).unwrap_or_else(|| {
            engine.expire_due();
            let claim = engine.claim_with(node, [1, terms.weight]);
            claim.and_then(|claim| self.who_pays_for(engine, &claim, hash))
        })
    }
}
