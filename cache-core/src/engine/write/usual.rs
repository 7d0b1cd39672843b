//! The usual write: to a scope that is resolved, while nobody listens and no load runs, over an entry that is there, or in the
//! place of one of the same scope in a cache that is full.
//!
//! It does all or nothing: where the case is another, nothing has changed, and [`Store::insert`] goes its general way,
//! which comes to the same where both can go. (1) A write that is under way when its scope is evicted may come before
//! that: its entry is out of reach then, and swept. Where the word says under the lock that this happened, the general way
//! writes to the successor. (2) Newcomer and leaver are of one scope and weight, so its ledgers stay as they are.
//! (3) Values that are words are written over; all others move to another slot, which the general way does.
//! Cost: one lock, no other line that threads share.

use super::super::Engine;
use super::super::arena::{Header, Whereabouts};
use super::super::options::{Glance, Key, Value};
use super::super::removal::guarded;
use super::super::shard::LockedShard;
use super::super::store::{Store, short};
use super::Rest;
use crate::clock::{Deadline, Moment};
use crate::scope::Node;
use crate::stats::{Event, tally};

/// When an entry's time is over, and the moment from which that was made, if it was.
type Times = (Deadline, Option<Moment>);

impl<K: Key, V: Value> Store<K, V> {
    /// Writes, if it is a usual write, and answers what is left to be done; else key and value come back. The caller is
    /// pinned, and has asked for the key's line.
    #[inline(always)]
    pub(super) fn write_usually(
        &self,
        engine: &Engine,
        node: &Node,
        hash: u64,
        pair: (K, V),
        weight: u64,
        times: Times,
    ) -> Result<Option<Rest>, (K, V)> {
        let mut shard = self.shards.of(hash).lock();
        if !shard.books().flights.is_empty() || !node.is_verified_at(self.word()) {
            return Err(pair);
        }
        let found = match shard.glance(short(hash), node.number_above(), &pair.0) {
            Glance::Found(entry) => Some(entry),
            Glance::Absent => None,
            Glance::Unsure => shard.find(short(hash), node.number(), &pair.0),
        };
        let Some(entry) = found else {
            return self.exchange_usually(engine, shard, node, hash, pair, weight, times);
        };
        let (at, state) = (entry.whereabouts(), entry.header().state());
        // What a late clock takes for alive was so a moment ago, and nobody has seen it go.
        let now = || times.1.unwrap_or_else(|| engine.now());
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
        (at, heat): (Whereabouts, u8),
        pair: (K, V),
        weight: u64,
        (deadline, _): Times,
    ) -> Result<Option<Rest>, (K, V)> {
        if !LockedShard::<K, V>::can_write_over() || !shard.is_all_one(at.slot(), weight) {
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
        node: &Node,
        hash: u64,
        pair: (K, V),
        weight: u64,
        (deadline, now): Times,
    ) -> Result<Option<Rest>, (K, V)> {
        shard.expect_newcomer(short(hash));
        let (root, limits) = (node.root(), engine.limits());
        let (entries, held) = (root.entries(), root.weight());
        let is_full = limits.exceeded_by(entries.saturating_add(1), held.saturating_add(weight));
        if !is_full || !engine.is_alone() || engine.has_budgets() || engine.is_something_due(now) {
            return Err(pair);
        }
        let Some(leaving) = shard.next_alike(node, weight) else { return Err(pair) };
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
        let slot = shard.exchange_for(leaving, (header, due), weight, pair, leaves)?;
        let tired = shard.is_tired();
        shard.look_ahead();
        drop(shard);
        if !tally::try_count(self.tag, node.tag(), [Event::Evicted, Event::Insert]) {
            self.count(node, Event::Evicted);
            self.count(node, Event::Insert);
        }
        if let Some(dropped) = dropped {
            guarded("drop", || drop(dropped));
        }
        let over = engine.has_dead() || limits.exceeded_by(entries, held);
        Ok((tired || over).then_some(Rest { tired, over, of: None, hash, slot }))
    }
}
