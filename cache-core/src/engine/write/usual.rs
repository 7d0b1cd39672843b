//! The usual write: to a scope that is resolved, while nobody listens and no load runs, over an entry that is there, or in the
//! place of the next to go in a cache, or scope, that is full.
//!
//! It does all or nothing: where the case is another, nothing has changed, and [`Store::insert`] goes its general way,
//! which comes to the same where both can go. (1) A write that is under way when its scope is evicted may come before
//! that: its entry is out of reach then, and swept. Where the word says under the lock that this happened, the general way
//! writes to the successor. (2) Where newcomer and leaver are of one scope and weight, its ledgers stay as they are.
//! (3) Values that are words are written over; all others move to another slot, which the general way does.
//! (4) An entry with tags is not written over here; one that is next to go is released where it was charged.
//! Cost: one lock, and no other line that threads share where newcomer and leaver are of one scope.

use std::sync::atomic::Ordering::Relaxed;

use super::super::Engine;
use super::super::arena::Header;
use super::super::options::{Glance, Key, Value};
use super::super::removal::guarded;
use super::super::shard::{Leaving, LockedShard};
use super::super::store::{Store, short};
use super::Rest;
use crate::clock::{Deadline, Moment};
use crate::policy::SlotId;
use crate::scope::{Charge, Node};
use crate::stats::{Event, ScopeStats, tally};
use crate::sync::Arc;

/// When an entry's time is over, and the moment from which that was made, if it was.
type Times = (Deadline, Option<Moment>);

impl<K: Key, V: Value> Store<K, V> {
    /// Writes, if it is a usual write, and answers what is left to be done; else key and value come back. The caller is
    /// pinned, and has asked for the key's line.
    #[inline(always)]
    pub(super) fn write_usually(
        &self,
        engine: &Engine,
        node: &Arc<Node>,
        hash: u64,
        pair: (K, V),
        weight: u64,
        times: Times,
    ) -> Result<Option<Rest>, (K, V)> {
        let mut shard = self.shards.of(hash).lock();
        if !shard.books().flights.is_empty() || !node.is_verified_at(self.word()) {
            return Err(pair);
        }
        // Asked for while the key's line is waited for.
        let domain = if engine.has_budgets() { shard.domain_for(node) } else { Some(0) };
        let found = match shard.glance(short(hash), node.number_above(), &pair.0) {
            Glance::Found(entry) => Some(entry),
            Glance::Absent => None,
            Glance::Unsure => shard.find(short(hash), node.number(), &pair.0),
        };
        let Some(entry) = found else {
            let Some(domain) = domain else { return Err(pair) };
            return self.exchange_usually(engine, shard, node, (hash, domain), pair, weight, times);
        };
        let (at, state) = (entry.slot(), entry.header().state());
        if state.is_tagged() {
            return Err(pair);
        }
        // What a late clock takes for alive was so a moment ago, and nobody has seen it go.
        let now = || times.1.unwrap_or_else(|| engine.now());
        // Nor is one written over here that has to be looked after, kept or not.
        if !state.is_ahead_of(self.face()) && entry.header().is_expired(now) {
            return Err(pair);
        }
        self.overwrite_usually(engine, shard, node, (at, state.heat(self.heat_limit())), pair, weight, times)
    }

    #[inline(always)]
    #[allow(clippy::too_many_arguments, reason = "what a write knows when it has the lock")]
    fn overwrite_usually(
        &self,
        engine: &Engine,
        mut shard: LockedShard<'_, K, V>,
        node: &Node,
        (at, heat): (SlotId, u8),
        pair: (K, V),
        weight: u64,
        (deadline, _): Times,
    ) -> Result<Option<Rest>, (K, V)> {
        if !LockedShard::<K, V>::can_write_over() || !shard.is_all_one(at, weight) {
            return Err(pair);
        }
        let (key, value) = pair;
        let age = engine.tick(&mut shard, self.heat_limit());
        let hints = [heat.saturating_add(1).min(self.heat_limit()), age];
        let due = deadline.moment();
        engine.note_deadline(due);
        if let Err(value) = shard.write_over(at, value, (deadline, due), hints) {
            return Err((key, value));
        }
        drop(shard);
        if !tally::try_count(self.tag, node.tag(), [Event::Replaced]) {
            self.count(node, Event::Replaced);
        }
        if std::mem::needs_drop::<K>() {
            guarded("drop", || drop(key));
        }
        Ok(None)
    }

    #[inline(always)]
    #[allow(clippy::too_many_arguments, reason = "what a write knows when it has the lock")]
    fn exchange_usually(
        &self,
        engine: &Engine,
        mut shard: LockedShard<'_, K, V>,
        node: &Arc<Node>,
        (hash, domain): (u64, u32),
        pair: (K, V),
        weight: u64,
        (deadline, now): Times,
    ) -> Result<Option<Rest>, (K, V)> {
        shard.expect_newcomer(domain, short(hash));
        let Some(claim) = engine.claim_with(node, [1, weight]) else { return Err(pair) };
        // Whoever has a shard's lock asks no other: that is the general way's.
        let pays =
            if engine.has_budgets() { engine.pays_itself(&claim, hash, |_| true) } else { engine.is_alone() };
        if !pays || engine.is_something_due(now) {
            return Err(pair);
        }
        let structure = engine.structure();
        let Some(leaving) = shard.next_of(domain, structure) else { return Err(pair) };
        let age = engine.tick(&mut shard, self.heat_limit());
        let due = deadline.moment();
        engine.note_deadline(due);
        let header = Header::new(node.number(), short(hash), deadline, age);
        let mut dropped = None;
        let leaves = |old| {
            if std::mem::needs_drop::<(K, V)>() {
                dropped = Some(old);
            }
        };
        let slot = shard.exchange_for(domain, leaving, (header, due), weight, pair, leaves)?;
        let is_of_another = leaving.charged != node.number() || leaving.weight != weight;
        let let_go =
            if is_of_another { self.hand_over(engine, &mut shard, node, leaving, weight) } else { None };
        let tired = shard.is_tired();
        shard.look_ahead(domain);
        drop(shard);
        if is_of_another {
            self.count(node, Event::Insert);
        } else if !tally::try_count(self.tag, node.tag(), [Event::Evicted, Event::Insert]) {
            self.count(node, Event::Evicted);
            self.count(node, Event::Insert);
        }
        if let Some(dropped) = dropped {
            guarded("drop", || drop(dropped));
        }
        drop(let_go);
        // Where one takes the place of its like, no more is held than before.
        let over =
            if is_of_another || engine.has_budgets() { engine.is_over_at(node) } else { engine.has_dead() };
        let of = over.then(|| Arc::clone(node));
        Ok((tired || over).then_some(Rest { tired, over, of, hash, slot }))
    }

    /// The place of an entry that was exchanged goes over from one scope, or weight, to another, in all books. Answers the node that
    /// is to be let go without the lock. A charge that comes too late is that of an entry whose scope was evicted right after.
    #[inline(never)]
    fn hand_over(
        &self,
        engine: &Engine,
        shard: &mut LockedShard<'_, K, V>,
        node: &Arc<Node>,
        leaving: Leaving,
        weight: u64,
    ) -> Option<Arc<Node>> {
        let settle = |left: &Arc<Node>| {
            let (charge, counted) = node.exchange(left, [weight, leaving.weight]);
            if charge == Charge::Dead {
                engine.note_dead();
            }
            if !counted {
                engine.forget_dead();
                self.count(left, Event::Invalidated);
                return;
            }
            if left.id() != node.id() {
                ScopeStats::count_forced(node.stats(), left.stats());
            }
            self.count(left, Event::Evicted);
        };
        let let_go = shard.hand_over(node, engine.structure(), leaving.charged, settle);
        let change = weight.cast_signed().wrapping_sub(leaving.weight.cast_signed());
        if change != 0 {
            self.weight.fetch_add(change, Relaxed);
        }
        let_go
    }
}
