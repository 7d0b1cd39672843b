//! Writing into a region: weigh, charge, link or overwrite, keep the bounds.
//!
//! (1) What is wrong with a write is found before anything changes. (2) A write detaches the load that runs for its
//! key, under the same lock. (3) A charge comes before the link, under the shard's lock. (4) A draft that was not
//! linked stays with the caller, to be dropped or tried again without the lock. An entry with tags is charged to their cell; a write
//! with other tags, or none, moves the charge. (5) The clock is read once a write, before
//! anything else; only what is due is looked for by what look-ups read.

use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

mod usual;

use super::arena::Kept;
use super::options::{Early, Key, Value, Write};
use super::removal::Removals;
use super::seat::{Pays, Seat};
use super::shard::{Draft, LockedShard, Target, Terms};
use super::store::{Store, short};
use super::{Engine, Place, Spare};
use crate::clock::{Deadline, Moment};
use crate::epoch::{self, Pin};
use crate::error::{Error, ErrorKind, Result};
use crate::event::RemovalCause;
use crate::expiry::Ttl;
use crate::flight::After;
use crate::policy::SlotId;
use crate::scope::{Charge, Node, Tags};
use crate::stats::{Event, tally};
use crate::sync::Arc;

/// What an entry may weigh at most, whatever the capacity.
const MOST_WEIGHT: u64 = 1 << 56;

/// What became of a draft under the lock. It stays with the caller unless it was linked.
#[derive(Debug, Clone, Copy)]
pub(super) enum Fate {
    /// It is linked.
    Linked(SlotId),
    /// It is as if it had been evicted at once: readers keep too much memory from being used again.
    Gone,
    /// Its scope was evicted meanwhile.
    Dead,
    /// There was none.
    Nothing,
}

/// What is left to be done when a write has let go of its pin, which would keep what goes from being dropped.
#[derive(Debug)]
pub(super) struct Rest {
    /// The epoch has to be raised.
    tired: bool,
    /// The cache is too full, or a scope on the path of this one.
    over: bool,
    of: Option<Arc<Node>>,
    hash: u64,
    /// The newcomer, which does not pay for its own place.
    slot: SlotId,
}

impl Rest {
    pub(super) fn new(fate: Fate, hash: u64, tired: bool, (over, of): (bool, Option<Arc<Node>>)) -> Self {
        let slot = if let Fate::Linked(slot) = fate { slot } else { Spare::NOBODY.slot };
        Self { tired, over, of, hash, slot }
    }
}

impl<K: Key, V: Value> Store<K, V> {
    /// Stores a value. Detaches the load that runs for the key; evicts what the capacity asks for.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidWeight`] for a weight of zero or above the capacity, [`ErrorKind::InvalidTtl`] for a
    /// deadline that cannot be represented; the old value stays. What `place` reports.
    pub fn insert(&self, engine: &Engine, place: &impl Place, key: K, value: V, write: Write) -> Result<()> {
        let weight = self.weigh(engine, &key, &value, write)?;
        let ttl = write.ttl.unwrap_or(self.ttl);
        let mut pair = (key, value);
        if write.is_plain() && self.may_be_usual() {
            let pin = epoch::pin();
            if let Some(node) = place.resolved(&pin, self.word()) {
                let hash = self.hash(&node, &pair.0);
                // Long before it is looked at: the clock is read meanwhile.
                self.shards.of(hash).prefetch(&pin, short(hash));
                node.prefetch_account();
                let (deadline, now) = self.plain_times(engine, ttl)?;
                match self.write_usually(engine, &node, hash, pair, weight, (deadline, now)) {
                    Ok(rest) => {
                        drop(pin);
                        if let Some(rest) = rest {
                            self.complete(engine, rest);
                        }
                        return Ok(());
                    }
                    Err(back) => pair = back,
                }
            }
        }
        let terms = self.terms_of(engine, weight, write)?;
        self.insert_in_full(engine, place, pair, terms)
    }

    /// As [`insert`](Self::insert), whatever has to be done for it.
    #[inline(never)]
    fn insert_in_full(
        &self,
        engine: &Engine,
        place: &impl Place,
        (key, value): (K, V),
        terms: Terms,
    ) -> Result<()> {
        let mut draft = Some(Draft { key, value, terms });
        let pin = epoch::pin();
        if let Some(node) = place.resolved(&pin, self.word())
            && let hash = draft.as_ref().map_or(0, |draft| self.hash(&node, &draft.key))
            && let Some(pays) = self.who_pays(engine, &node, terms, hash)
        {
            let rest = self.insert_under(engine, &pin, Target::plain(&node), hash, &mut draft, pays);
            drop(pin);
            self.complete(engine, rest);
        } else {
            drop(pin);
        }
        if draft.is_some() { self.insert_anew(engine, place, draft, terms, &Tags::none()) } else { Ok(()) }
    }

    /// As [`insert`](Self::insert), of an entry that may have tags; it is slower where there are none. Where one of them is withdrawn meanwhile, the write comes after that.
    ///
    /// # Errors
    /// As there.
    #[inline(never)]
    pub fn insert_tagged(
        &self,
        engine: &Engine,
        place: &impl Place,
        (key, value): (K, V),
        write: Write,
        tags: &Tags,
    ) -> Result<()> {
        let terms = self.terms(engine, &key, &value, write)?;
        self.insert_anew(engine, place, Some(Draft { key, value, terms }), terms, tags)
    }

    /// As [`insert`](Self::insert) where the scope has to be looked up, or something has to expire first, or there are tags.
    #[cold]
    #[inline(never)]
    fn insert_anew(
        &self,
        engine: &Engine,
        place: &impl Place,
        mut draft: Option<Draft<K, V>>,
        terms: Terms,
        tags: &Tags,
    ) -> Result<()> {
        while draft.is_some() {
            let node = place.create(engine.registry())?;
            engine.note_scope();
            let cell = (!tags.is_empty()).then(|| engine.registry().cell(&node, tags));
            let target = Target { node: &node, cell: cell.as_ref() };
            let hash = draft.as_ref().map_or(0, |draft| self.hash(&node, &draft.key));
            let pays = self.expire_before(engine, &node, terms, hash);
            let pin = epoch::pin();
            let rest = self.insert_under(engine, &pin, target, hash, &mut draft, pays);
            drop(pin);
            self.complete(engine, rest);
        }
        Ok(())
    }

    /// Stores under one node. The draft stays if the node was evicted meanwhile, or the cell of the tags withdrawn.
    #[inline(always)]
    fn insert_under(
        &self,
        engine: &Engine,
        pin: &Pin,
        target: Target<'_>,
        hash: u64,
        draft: &mut Option<Draft<K, V>>,
        pays: Pays,
    ) -> Rest {
        let node = target.node;
        let arena = &self.shards[self.shard_index(hash)];
        arena.prefetch(pin, short(hash));
        let mut removals = Removals::new(self.is_heard(engine).then_some(pin));
        let mut after = None;
        let (fate, tired) = {
            let mut shard = arena.lock();
            shard.prefetch_next();
            if !shard.books().flights.is_empty() {
                self.detach_load(&mut shard, node, hash, draft, after.insert(After::new()));
            }
            let fate = self.link(engine, &mut shard, target, hash, draft, pays, &mut removals);
            (fate, shard.is_tired())
        };
        if after.is_some() {
            drop(after);
        }
        let over = self.settle(engine, node, fate, draft, removals);
        if matches!(fate, Fate::Dead) && !node.is_live() {
            // Whoever evicts the scope may have stopped halfway: finish it, rather than find the dead node again.
            engine.registry().detach(node);
        }
        Rest::new(fate, hash, tired, over)
    }

    /// Detaches the load that runs for the key of a draft, if there is one.
    #[cold]
    fn detach_load(
        &self,
        shard: &mut LockedShard<'_, K, V>,
        node: &Arc<Node>,
        hash: u64,
        draft: &Option<Draft<K, V>>,
        after: &mut After<Arc<Node>, K>,
    ) {
        let key = draft.as_ref().map(|draft| &draft.key);
        let same = |other: &Arc<Node>, known: &K| other.same_path(node) && key == Some(known);
        shard.books().flights.detach(hash, same, after);
    }

    /// Links a draft, or overwrites the value of its key, under the shard's lock; the draft is the caller's until no `Eq` can
    /// panic any more, so that it is not dropped under the lock. Where the cache is full, and nobody is
    /// known to be colder, the newcomer takes the place of the next to go.
    #[allow(clippy::too_many_arguments, reason = "what a write knows when it has the lock")]
    pub(super) fn link<'p>(
        &self,
        engine: &Engine,
        shard: &mut LockedShard<'p, K, V>,
        target: Target<'_>,
        hash: u64,
        draft: &mut Option<Draft<K, V>>,
        mut pays: Pays,
        removals: &mut Removals<'p, K, V>,
    ) -> Fate {
        let Some(Draft { key, terms, .. }) = &draft else { return Fate::Nothing };
        let (weight, last, due) = (terms.weight, terms.last, terms.due());
        let node = target.charged();
        if let Some(entry) = shard.find(short(hash), target.node.number(), key) {
            let slot = entry.slot();
            let (expired, withdrawn) =
                (shard.is_gone(entry, || terms.now(engine)), self.is_withdrawn(shard, slot));
            if !expired && !withdrawn {
                if !node.is_live() {
                    return Fate::Dead;
                }
                return self.overwrite(engine, shard, slot, target, draft, removals);
            }
            // What was withdrawn is counted so, whatever is said here.
            self.take(engine, shard, slot, RemovalCause::Expired, removals);
            pays = pays.filter(|_| engine.is_full_for(node, weight));
        }
        let displaced = pays.and_then(|age| self.displace(engine, shard, node, weight, age, removals));
        let seat = displaced.unwrap_or_else(|| self.charge(engine, node, weight));
        if matches!(seat, Seat::Dead) {
            node.release(weight);
            return Fate::Dead;
        }
        engine.note_deadline(due);
        let age = engine.tick(shard, self.heat_limit());
        if shard.is_at_a_step() && self.options.max_per_scope.is_none() {
            self.tell_expected(engine, shard);
        }
        let left = if let Seat::Left(domain) = seat { Some(domain) } else { None };
        let structure = engine.structure();
        let linked = shard
            .link(target, short(hash), age, due, draft, (left, structure), |old| removals.drop_later(old));
        if structure != 0 {
            shard.go_on_homing(structure, 1);
        }
        if left.is_none() {
            self.count(node, Event::Insert);
        } else if !tally::try_count(self.tag, node.tag(), [Event::Evicted, Event::Insert]) {
            self.count(node, Event::Evicted);
            self.count(node, Event::Insert);
        }
        let Some(slot) = linked else {
            self.link_none(engine, shard, node, weight, left, removals);
            return Fate::Gone;
        };
        if self.options.idle.is_some() {
            shard.note_last(slot, last);
        }
        if let Some(limit) = self.options.max_per_scope {
            self.keep_limit(engine, shard, slot, limit, removals);
        }
        if shard.books().has_fault() {
            self.note_fault(shard, removals);
        }
        Fate::Linked(slot)
    }

    #[cold]
    fn note_fault<'p>(&self, shard: &mut LockedShard<'p, K, V>, removals: &mut Removals<'p, K, V>) {
        removals.note(shard.books().take_fault());
    }

    #[inline(never)]
    pub(super) fn count(&self, node: &Node, event: Event) {
        tally::count(Some(&self.counters), Some(node.stats()), event);
    }

    #[inline(never)]
    fn overwrite<'p>(
        &self,
        engine: &Engine,
        shard: &mut LockedShard<'p, K, V>,
        slot: SlotId,
        target: Target<'_>,
        draft: &mut Option<Draft<K, V>>,
        removals: &mut Removals<'p, K, V>,
    ) -> Fate {
        let Some(terms) = draft.as_ref().map(|draft| draft.terms) else { return Fate::Nothing };
        let Terms { weight, last, .. } = terms;
        let (node, due) = (target.charged(), terms.due());
        engine.note_deadline(due);
        let told = removals.pin().and_then(|pin| shard.hold(pin, slot));
        let age = engine.tick(shard, self.heat_limit());
        let was_charged = shard.charged_of(slot);
        let heat_limit = self.heat_limit();
        let leaves = |old| removals.drop_later(old);
        let written = shard.overwrite(slot, target.word(), age, due, heat_limit, draft, leaves);
        let Some((fresh, old_weight)) = written else {
            // The old value may not be served again.
            self.take(engine, shard, slot, RemovalCause::Evicted, removals);
            return Fate::Gone;
        };
        if self.options.idle.is_some() {
            shard.note_last(fresh, last);
        }
        let change = weight.cast_signed().wrapping_sub(old_weight.cast_signed());
        if change != 0 {
            self.weight.fetch_add(change, Relaxed);
        }
        let cause = match was_charged.filter(|charged| *charged != node.number()) {
            Some(charged) => self.recharge(engine, shard, (charged, old_weight), (node, weight), removals),
            None => {
                if change != 0 {
                    node.reweigh(change);
                }
                if !tally::try_count(self.tag, node.tag(), [Event::Replaced]) {
                    self.count(node, Event::Replaced);
                }
                RemovalCause::Replaced
            }
        };
        if shard.books().has_fault() {
            self.note_fault(shard, removals);
        }
        if let Some(entry) = told {
            removals.tell(entry, Arc::clone(node), old_weight, cause);
        }
        Fate::Linked(fresh)
    }

    /// An entry was overwritten by one with other tags: the charge goes over, from the node of a number. Answers why the old one left:
    /// where its tags, or its scope, were withdrawn in this moment, that one has counted it. A charge that comes too late is that of
    /// an entry that was withdrawn right after.
    #[cold]
    fn recharge(
        &self,
        engine: &Engine,
        shard: &mut LockedShard<'_, K, V>,
        (from, old_weight): (u32, u64),
        (node, weight): (&Arc<Node>, u64),
        removals: &mut Removals<'_, K, V>,
    ) -> RemovalCause {
        let mut cause = RemovalCause::Replaced;
        let settle = |left: &Arc<Node>| {
            let (charge, counted) = node.exchange(left, [weight, old_weight]);
            if charge == Charge::Dead {
                engine.note_dead();
            }
            if !counted {
                engine.forget_dead();
                self.count(node, Event::Insert);
                cause = RemovalCause::Invalidated;
            }
            self.count(node, cause.into());
        };
        removals.let_go(shard.hand_over(node, engine.structure(), from, settle));
        cause
    }

    /// After the lock: tells and drops what left. Answers whether the cache is too full now, or a scope on a path.
    #[inline]
    pub(super) fn settle(
        &self,
        engine: &Engine,
        node: &Arc<Node>,
        fate: Fate,
        draft: &mut Option<Draft<K, V>>,
        mut removals: Removals<'_, K, V>,
    ) -> (bool, Option<Arc<Node>>) {
        if matches!(fate, Fate::Gone)
            && let Some(Draft { key, value, .. }) = draft.take()
        {
            removals.drop_later((key, value));
        }
        self.finish(engine, removals);
        let over = matches!(fate, Fate::Linked(_)) && engine.is_over_at(node);
        (over, over.then(|| Arc::clone(node)))
    }

    /// After the pin of a write: keeps the bounds of the cache, at the cost of anybody but the newcomer.
    pub(super) fn complete(&self, engine: &Engine, rest: Rest) {
        if rest.tired {
            epoch::advance();
        }
        if rest.over {
            let spare = Spare { region: self.id, shard: self.shard_index(rest.hash), slot: rest.slot };
            engine.make_room(spare, rest.of.as_ref());
        }
    }

    /// What a write asks for, as its entry will have it.
    ///
    /// # Errors
    /// Those of [`insert`](Self::insert).
    pub(super) fn terms(&self, engine: &Engine, key: &K, value: &V, write: Write) -> Result<Terms> {
        let weight = self.weigh(engine, key, value, write)?;
        self.terms_of(engine, weight, write)
    }

    /// What an entry weighs.
    #[inline(always)]
    fn weigh(&self, engine: &Engine, key: &K, value: &V, write: Write) -> Result<u64> {
        let plain = (size_of::<K>() + size_of::<V>()).max(1) as u64;
        let weigh = || self.options.weigher.as_ref().map_or(plain, |weigh| weigh(key, value));
        let weight = write.weight.unwrap_or_else(weigh);
        let capacity = engine.limits().max_weight();
        if weight == 0 || weight > capacity.unwrap_or(u64::MAX).min(MOST_WEIGHT) {
            return Err(self.refuse(weight, capacity));
        }
        Ok(weight)
    }

    /// The deadline of an entry of which nothing counts but its time-to-live, and the moment from which it was made.
    #[inline(always)]
    fn plain_times(&self, engine: &Engine, ttl: Ttl) -> Result<(Deadline, Option<Moment>)> {
        if ttl.is_never() {
            return Ok((Deadline::NEVER, None));
        }
        let now = engine.now();
        Ok((Deadline::pack(ttl.deadline(now)?), Some(now)))
    }

    fn terms_of(&self, engine: &Engine, weight: u64, write: Write) -> Result<Terms> {
        if !self.has_plain_times() || !write.is_plain() {
            return self.terms_in_full(engine, weight, write);
        }
        let (deadline, now) = self.plain_times(engine, write.ttl.unwrap_or(self.ttl))?;
        Ok(Terms { weight, deadline, last: deadline, now, kept: None })
    }

    /// As [`terms`](Self::terms), where deadlines depend on more than a time-to-live.
    #[inline(never)]
    fn terms_in_full(&self, engine: &Engine, weight: u64, write: Write) -> Result<Terms> {
        let ttl = write.ttl.unwrap_or(self.ttl);
        let keep = write.keep.unwrap_or(self.options.care.takes.longest());
        let early = match write.early.unwrap_or(self.options.care.early) {
            Early::ByCost(_) => Early::Never,
            early => early,
        };
        let idle = self.options.idle;
        if ttl.is_never() && idle.is_none() {
            // What the region says counts for entries that end; what the call says cannot be.
            return if write.keep.is_some_and(|keep| !keep.is_zero())
                || matches!(write.early, Some(Early::After(_)))
            {
                Err(self.endless())
            } else {
                Ok(Terms::for_ever(weight))
            };
        }
        let now = engine.now();
        let mut full = ttl.deadline(now)?;
        if self.options.jitter != 0 && full != Moment::NEVER {
            full = engine.shorten(now, full, self.options.jitter);
        }
        let last = Deadline::pack(full);
        let deadline = match idle {
            Some(idle) => Deadline::pack(idle.deadline(now)?).min(last),
            None => last,
        };
        if keep.is_zero() && early == Early::Never {
            return Ok(Terms { weight, deadline, last, now: Some(now), kept: None });
        }
        if idle.is_some() {
            return Err(Error::new(ErrorKind::InvalidConfig, "set")
                .with("region", &self.name)
                .because("entries that go when they are unused are not kept past their time: leave out `idle`, or the stale window"));
        }
        let kept = kept(now, full, keep, early);
        Ok(Terms { weight, deadline: kept.attended(), last, now: Some(now), kept: Some(kept) })
    }

    #[cold]
    fn endless(&self) -> Error {
        Error::new(ErrorKind::InvalidConfig, "set")
            .with("region", &self.name)
            .because("an entry without an end is never stale, and has no time of which a part could be taken: give it a `ttl`")
    }

    #[cold]
    fn refuse(&self, weight: u64, capacity: Option<u64>) -> Error {
        let mut error = Error::new(ErrorKind::InvalidWeight, "set").with("region", &self.name);
        error = error.with("weight", weight);
        if let Some(capacity) = capacity {
            error = error.with("capacity", capacity);
        }
        error.because("a weight is at least 1 and at most the capacity")
    }
}

/// The times of an entry that is written now, fresh until a moment, and kept so much longer.
fn kept(now: Moment, fresh: Moment, keep: Duration, early: Early) -> Kept {
    let ttl = fresh.since(now);
    let ahead = match early {
        Early::Never | Early::ByCost(_) => Duration::ZERO,
        Early::After(part) => ttl.saturating_sub(ttl.mul_f64(part.clamp(0.0, 1.0))),
        Early::Within(mean) => mean.saturating_mul(MEANS).min(ttl),
    };
    Kept {
        written: now,
        fresh,
        gone: fresh.checked_add(keep).unwrap_or(fresh),
        next: Moment::from_nanos(fresh.nanos().saturating_sub(u64::try_from(ahead.as_nanos()).unwrap_or(0))),
        early: if let Early::Within(mean) = early { mean } else { Duration::ZERO },
    }
}

/// So many means before its end nobody asks whether an entry is to be loaded anew by chance: it would be one in nine million.
const MEANS: u32 = 16;
