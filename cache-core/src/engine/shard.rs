//! One shard of a region: entries, their order, their scopes and weights, and running loads, under one lock.
//!
//! (1) A live slot is in one domain, and who is charged for it, its scope or the cell of its tags, is in `spaces`. (2) Nothing here drops a value or runs user code, `Eq` of
//! keys and policies excepted; an `Eq` that panics does so before anything has changed. (3) Weights are kept one by one
//! only once two differ. Cost: O(1) expected a call.

use super::arena::{self, Arena, CHUNK, Entry, Header, Kept, Locked, View};
use super::domain::Domains;
use super::space::{Spaces, owner};
mod payers;

use super::Engine;
use crate::clock::{Deadline, Moment};
use crate::flight::{Flights, Setup};
use crate::policy::{Fault, HeatSource, Policy, SlotId, cut, grow};
use crate::scope::{Cell, CellWord, Node};
use crate::sync::Arc;

use payers::Homing;
pub(super) use payers::Wanted;

/// A shard of a region.
pub(super) type Shard<K, V> = Arena<K, V, Books<K, V>>;

/// The shards of a region.
pub(super) type Shards<K, V> = arena::Shards<K, V, Books<K, V>>;

/// A shard whose lock is held.
pub(super) type LockedShard<'a, K, V> = Locked<'a, K, V, Books<K, V>>;

/// What the holder of a shard's lock keeps beside the entries.
pub(super) struct Books<K, V> {
    domains: Domains,
    spaces: Spaces,
    weights: Weights,
    /// The deadlines of slots that uses may not put off, where entries go unused.
    last: Vec<Deadline>,
    /// Writes since the generation was last raised by this shard.
    writes: u64,
    homing: Homing,
    /// The loads that run for keys of this shard.
    pub(super) flights: Flights<Arc<Node>, K, V>,
}

impl<K, V: Send + Sync + 'static> Books<K, V> {
    /// With `separate`, each scope has a domain of its own.
    pub(super) fn new(policy: Policy, setup: Arc<Setup>, separate: bool) -> Self {
        let mut domains = Domains::new(policy);
        if !separate {
            domains.open(None);
        }
        let flights = Flights::new(setup);
        Self {
            domains,
            spaces: Spaces::new(separate),
            weights: Weights::default(),
            last: Vec::new(),
            writes: 0,
            homing: Homing::default(),
            flights,
        }
    }

    /// Counts a write; whether there have been so many since it last said so.
    pub(super) fn is_new_generation(&mut self, every: u64) -> bool {
        self.writes += 1;
        let new = self.writes >= every;
        if new {
            self.writes = 0;
        }
        new
    }

    /// Goes on looking for dead scopes, before the slots are visited: `None` if there are none, else where the next slice
    /// begins. Slots are counted behind the places of scopes.
    pub(super) fn look_for_dead(&mut self, from: usize, most: usize) -> Option<usize> {
        let places = self.spaces.places();
        let end = places.min(from.saturating_add(most));
        self.spaces.look_for_dead(from..end);
        (end < places || self.spaces.has_dead()).then_some(end)
    }

    /// Where slots begin to be counted.
    pub(super) fn places(&self) -> usize {
        self.spaces.places()
    }

    /// Whether a policy was set aside since the last call of [`take_fault`](Self::take_fault).
    #[inline]
    pub(super) fn has_fault(&self) -> bool {
        self.domains.has_fault()
    }

    /// The fault of a policy that was set aside since the last call.
    pub(super) fn take_fault(&mut self) -> Option<Fault> {
        self.domains.take_fault()
    }
}

/// What an entry is made of, before it has a slot.
pub(super) struct Draft<K, V> {
    pub(super) key: K,
    pub(super) value: V,
    pub(super) terms: Terms,
}

/// What a write asks for, as its entry will have it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    pub(super) weight: u64,
    pub(super) deadline: Deadline,
    /// The deadline that uses may not put off.
    pub(super) last: Deadline,
    /// The moment of the write, if a deadline was made from it.
    pub(super) now: Option<Moment>,
    /// Its times, if it is kept past the deadline.
    pub(super) kept: Option<Kept>,
}

/// Where an entry is to be found, and who is charged for it: its scope, or the cell of its tags there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Target<'a> {
    pub(super) node: &'a Arc<Node>,
    pub(super) cell: Option<&'a Cell>,
}

impl<'a> Target<'a> {
    /// An entry without tags.
    pub(super) const fn plain(node: &'a Arc<Node>) -> Self {
        Self { node, cell: None }
    }

    /// Who is charged.
    #[inline]
    pub(super) fn charged(self) -> &'a Arc<Node> {
        self.cell.map_or(self.node, Cell::node)
    }

    /// What stands beside the entry.
    #[inline]
    pub(super) fn word(self) -> Option<CellWord> {
        self.cell.map(Cell::word)
    }
}

/// Who goes next, for a newcomer that takes its place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Leaving {
    at: SlotId,
    hash: u32,
    /// The number of the node that it is charged to.
    pub(super) charged: u32,
    pub(super) weight: u64,
}

/// Entries that were charged to one node, and have left.
#[derive(Debug, Clone, Copy)]
pub(super) struct Left {
    /// Its number.
    charged: u32,
    pub(super) entries: u32,
    /// Of all of them.
    pub(super) weight: u64,
}

/// Who goes next.
#[derive(Debug, Clone, Copy)]
pub(super) struct Next {
    pub(super) slot: SlotId,
    pub(super) hash: u32,
    /// The generation of its last use.
    pub(super) used: u8,
    /// It is of the newcomer's scope and weight.
    pub(super) is_same: bool,
}

impl Terms {
    /// Those of an entry that never expires.
    pub(super) const fn for_ever(weight: u64) -> Self {
        Self { weight, deadline: Deadline::NEVER, last: Deadline::NEVER, now: None, kept: None }
    }

    /// When the entry is gone.
    pub(super) fn due(&self) -> Moment {
        self.kept.map_or_else(|| self.deadline.moment(), |kept| kept.gone)
    }

    /// The moment of the write.
    pub(super) fn now(&self, engine: &Engine) -> Moment {
        self.now.unwrap_or_else(|| engine.now())
    }
}

impl<K, V: Send + Sync + 'static> LockedShard<'_, K, V> {
    /// Puts a draft in, whose key must be absent. `seat` is the domain where its scope has been told of it: it takes the place of one
    /// that was [displaced](Self::displace) there. `structure` is that of budgets, `due` is its deadline. What the slot held before goes to `leaves`. `None`, and the draft stays, if
    /// readers keep too much memory from being used again.
    #[inline]
    #[allow(clippy::too_many_arguments, reason = "what a write knows when it has the lock")]
    pub(super) fn link(
        &mut self,
        target: Target<'_>,
        hash: u32,
        age: u8,
        due: Moment,
        draft: &mut Option<Draft<K, V>>,
        (seat, structure): (Option<u32>, u64),
        leaves: impl FnMut((K, V)),
    ) -> Option<SlotId> {
        let Terms { weight, deadline, kept, .. } = draft.as_ref()?.terms;
        let header = Header::new(target.node.number(), hash, deadline, age).of_cell(target.word()).kept(kept);
        let slot = self.insert(header, due, || draft.take().map(|draft| (draft.key, draft.value)), leaves)?;
        let Books { spaces, domains, weights, .. } = self.books();
        let domain = seat.unwrap_or_else(|| spaces.enter(target.charged(), structure, domains));
        weights.set(slot, weight);
        domains.insert(domain, slot, hash, weight);
        Some(slot)
    }

    /// Whether memory may have to be taken for one entry more, so that somebody should say how many are to come.
    pub(super) fn is_at_a_step(&self) -> bool {
        let len = self.view().len();
        len >= 64 && len.is_power_of_two()
    }

    /// Says how many entries are to come, about.
    pub(super) fn expect_entries(&mut self, entries: u32) {
        self.expect(entries);
        let Books { domains, weights, .. } = self.books();
        domains.expect(entries as usize);
        weights.expected = entries as usize;
    }

    /// Puts a draft in the place of the live entry of its key, which keeps its heat and counts one use more. Answers what the
    /// old one weighed, too. Otherwise as [`link`](Self::link); where the draft stays, so does the old entry. The books of scopes
    /// are told of it by [`hand_over`](Self::hand_over), where another node is charged now.
    #[inline]
    #[allow(clippy::too_many_arguments, reason = "what a write knows when it has the lock")]
    pub(super) fn overwrite(
        &mut self,
        from: SlotId,
        cell: Option<CellWord>,
        age: u8,
        due: Moment,
        heat_limit: u8,
        draft: &mut Option<Draft<K, V>>,
        leaves: impl FnMut((K, V)),
    ) -> Option<(SlotId, u64)> {
        let Terms { weight, deadline, kept, .. } = draft.as_ref()?.terms;
        let old = self.view().entry(from)?.header();
        let (scope, hash, heat) = (old.scope(), old.hash(), old.heat(heat_limit));
        let header = Header::new(scope, hash, deadline, age);
        header.set_heat(heat.saturating_add(1).min(heat_limit));
        let header = header.of_cell(cell).kept(kept);
        let to =
            self.replace(from, header, due, || draft.take().map(|draft| (draft.key, draft.value)), leaves)?;
        let Books { domains, weights, .. } = self.books();
        let old_weight = weights.of(from);
        weights.set(to, weight);
        if let Some(domain) = domains.of(from) {
            domains.shift(domain, [from, to], hash, weight);
        }
        Some((to, old_weight))
    }

    /// Where entries go unused: keeps the deadline that uses of an entry may not put off.
    #[cold]
    pub(super) fn note_last(&mut self, slot: SlotId, last: Deadline) {
        let table = &mut self.books().last;
        if table.len() <= slot.index() {
            table.resize(slot.index() + 1, Deadline::NEVER);
        }
        table[slot.index()] = last;
    }

    /// Puts the deadline of a live entry off, as far as it may be.
    pub(super) fn put_off(&mut self, slot: SlotId, deadline: Deadline) {
        let last = self.books().last.get(slot.index()).copied().unwrap_or(Deadline::NEVER);
        if let Some(entry) = self.view().entry(slot) {
            entry.header().put_off(deadline.min(last));
        }
    }

    /// Whether a live entry's time is over, and it is not kept any longer. The clock is read only where there is a deadline.
    #[inline]
    pub(super) fn is_gone(&self, entry: Entry<'_, K, V>, now: impl Fn() -> Moment) -> bool {
        entry.header().is_expired(&now) && self.view().kept_of(entry).is_none_or(|kept| kept.gone <= now())
    }

    /// Whether the time-to-live of a live entry is over, kept or not.
    #[inline]
    pub(super) fn is_past(&self, entry: Entry<'_, K, V>, now: impl Fn() -> Moment) -> bool {
        entry.header().is_expired(&now) && self.view().kept_of(entry).is_none_or(|kept| kept.fresh <= now())
    }

    /// Takes an entry out of everything, and lets `settle` see its scope's node and its weight. The node comes back where
    /// this was its last entry, to be dropped without the lock.
    pub(super) fn unlink<R>(
        &mut self,
        slot: SlotId,
        settle: impl FnOnce(&Arc<Node>, u64) -> R,
    ) -> Option<(R, Option<Arc<Node>>)> {
        let left = self.take_out(slot)?;
        self.books().spaces.leave(left.charged, 1, |node| settle(node, left.weight))
    }

    /// Takes an entry out of everything but the books of scopes, which are to be told of it before the lock is let go.
    fn take_out(&mut self, slot: SlotId) -> Option<Left> {
        let entry = self.view().entry(slot)?;
        let (charged, hash) = (self.view().charged_of(entry), entry.header().hash());
        self.prefetch(hash);
        let Books { domains, weights, .. } = self.books();
        if let Some(domain) = domains.of(slot) {
            domains.remove(domain, slot);
        }
        let weight = weights.of(slot);
        self.retire(slot, hash);
        Some(Left { charged, entries: 1, weight })
    }

    /// Takes out those of some slots that are `wanted`, as [`unlink`](Self::unlink), but `settle` sees the node of several at once: of
    /// those that come one after the other.
    pub(super) fn unlink_many(
        &mut self,
        slots: impl Iterator<Item = SlotId>,
        mut wanted: impl FnMut(&mut Self, SlotId) -> bool,
        mut settle: impl FnMut(&Arc<Node>, Left),
        mut let_go: impl FnMut(Option<Arc<Node>>),
    ) {
        let mut settle_all = |shard: &mut Self, left: Left| {
            let told = shard.books().spaces.leave(left.charged, left.entries, |node| settle(node, left));
            let_go(told.and_then(|((), node)| node));
        };
        let mut run: Option<Left> = None;
        for slot in slots {
            if !wanted(self, slot) {
                continue;
            }
            let Some(next) = self.take_out(slot) else { continue };
            match &mut run {
                Some(run) if run.charged == next.charged => {
                    run.entries += 1;
                    run.weight = run.weight.wrapping_add(next.weight);
                }
                _ => {
                    if let Some(left) = run.replace(next) {
                        settle_all(self, left);
                    }
                }
            }
        }
        if let Some(left) = run {
            settle_all(self, left);
        }
    }

    /// Takes an entry out of a domain for a newcomer of the same scope and weight, whose place in the books of its scope it leaves
    /// to it.
    #[inline]
    pub(super) fn displace(&mut self, domain: u32, slot: SlotId, hash: u32) {
        self.books().domains.take_out(domain, slot);
        self.retire(slot, hash);
    }

    /// A place in a domain that was left to a newcomer stays empty.
    pub(super) fn vacate(&mut self, domain: u32, node: &Arc<Node>) -> Option<Arc<Node>> {
        self.books().domains.close_if_empty(domain);
        self.books().spaces.leave(node.number(), 1, |_| ()).and_then(|((), node)| node)
    }

    /// The domain that a newcomer to a scope will be in, if it has entries; what is kept of it is asked for.
    pub(super) fn domain_for(&mut self, node: &Arc<Node>) -> Option<u32> {
        let Books { spaces, domains, .. } = self.books();
        let domain = domains.of_owner(owner(node, spaces.are_separate()));
        domain.inspect(|&domain| domains.prefetch(domain))
    }

    /// The next to go of a domain.
    #[inline]
    pub(super) fn next_to_go(
        &mut self,
        domain: u32,
        structure: u64,
        node: &Node,
        weight: u64,
    ) -> Option<Next> {
        let slot = self.victim_of(domain, structure, None)?;
        let (view, Books { weights, .. }) = self.parts();
        let entry = view.entry(slot)?;
        let header = entry.header();
        let is_same = view.charged_of(entry) == node.number() && weights.of(slot) == weight;
        let next = Next { slot, hash: header.hash(), used: header.age(), is_same };
        self.prefetch(next.hash);
        Some(next)
    }

    /// The next to go of a domain, with what its leaving changes.
    #[inline(always)]
    pub(super) fn next_of(&mut self, domain: u32, structure: u64) -> Option<Leaving> {
        let (view, Books { domains, homing, .. }) = self.parts();
        let slot = match homing.done == structure {
            true => domains.victim(domain, view, None)?,
            false => self.victim_of(domain, structure, None)?,
        };
        let (view, Books { weights, .. }) = self.parts();
        let entry = view.entry(slot)?;
        let (at, header) = (entry.slot(), entry.header());
        Some(Leaving { at, hash: header.hash(), charged: view.charged_of(entry), weight: weights.of(slot) })
    }

    /// A newcomer of this hash is about to be written to a domain.
    #[inline(always)]
    pub(super) fn expect_newcomer(&mut self, domain: u32, hash: u32) {
        let (view, books) = self.parts();
        books.domains.expect_newcomer(domain, hash, view);
    }

    /// Asks for what the next newcomer to this shard will need.
    #[inline(always)]
    pub(super) fn look_ahead(&mut self, domain: u32) {
        let slot = self.prefetch_next();
        let (view, books) = self.parts();
        books.domains.look_ahead(domain, view, slot);
    }

    /// Puts an entry in the place of the [next to go](Self::next_of) of its domain. Otherwise as [`link`](Self::link), but says
    /// nothing to the books of scopes.
    #[inline(always)]
    pub(super) fn exchange_for(
        &mut self,
        domain: u32,
        leaving: Leaving,
        (header, due): (Header, Moment),
        weight: u64,
        payload: (K, V),
        leaves: impl FnMut((K, V)),
    ) -> Result<SlotId, (K, V)> {
        let hash = header.hash();
        let slot = self.exchange((leaving.at, leaving.hash), header, due, payload, leaves)?;
        let Books { domains, weights, .. } = self.books();
        domains.take_out(domain, leaving.at);
        weights.set(slot, weight);
        domains.insert(domain, slot, hash, weight);
        Ok(slot)
    }

    /// The place of an entry goes over from the scope of a number to a node, in the books of scopes, which `settle` is told of. With
    /// the last entry of a scope goes its node, to be dropped without the lock.
    pub(super) fn hand_over(
        &mut self,
        node: &Arc<Node>,
        structure: u64,
        from: u32,
        settle: impl FnOnce(&Arc<Node>),
    ) -> Option<Arc<Node>> {
        let Books { domains, spaces, .. } = self.books();
        spaces.enter(node, structure, domains);
        spaces.leave(from, 1, settle).and_then(|((), node)| node)
    }

    /// Whether it is all one to the books if a live entry is written over by one of this weight.
    #[inline(always)]
    pub(super) fn is_all_one(&mut self, slot: SlotId, weight: u64) -> bool {
        let Books { domains, weights, .. } = self.books();
        domains.ignores_overwrites() && weights.of(slot) == weight
    }

    /// Whether an entry's scope is dead, or the cell of its tags.
    pub(super) fn is_dead(&mut self, slot: SlotId) -> bool {
        let charged = self.charged_of(slot);
        charged.is_some_and(|charged| self.books().spaces.is_dead(charged))
    }

    /// The number of the node that a live entry is charged to.
    pub(super) fn charged_of(&self, slot: SlotId) -> Option<u32> {
        self.view().entry(slot).map(|entry| self.view().charged_of(entry))
    }

    /// The cell of a live entry with tags.
    pub(super) fn cell_of(&self, slot: SlotId) -> Option<CellWord> {
        self.view().entry(slot).and_then(|entry| self.view().cell_of(entry))
    }

    /// What a live entry weighs.
    pub(super) fn weight_of(&mut self, slot: SlotId) -> u64 {
        self.books().weights.of(slot)
    }

    /// Tells the policy of a hit.
    pub(super) fn touch(&mut self, slot: SlotId) {
        let domains = &mut self.books().domains;
        if let Some(domain) = domains.of(slot) {
            domains.touch(domain, &[slot]);
        }
    }

    /// Gives back memory that was taken for many entries and scopes, where few are left. No sweep is under way.
    pub(super) fn give_back_room(&mut self) {
        let slots = self.give_back();
        let Books { domains, spaces, weights, last, .. } = self.books();
        spaces.give_back();
        domains.give_back(slots);
        cut(&mut weights.of, slots);
        cut(last, slots);
    }

    /// Whether the domain of a slot holds more than a limit.
    pub(super) fn is_over(&mut self, slot: SlotId, limit: u64) -> bool {
        let domains = &self.books().domains;
        domains.of(slot).is_some_and(|domain| domains.len(domain) > limit)
    }

    /// The next to go in the domain of a slot, the slot itself excepted.
    pub(super) fn victim_beside(&mut self, spare: SlotId) -> Option<SlotId> {
        let (view, Books { domains, .. }) = self.parts();
        domains.victim(domains.of(spare)?, view, Some(spare))
    }

    /// The first chunk that a scan from this slot on visits, and the one behind its end.
    pub(super) fn chunks(&self, from: usize, slots: usize) -> std::ops::Range<usize> {
        let end = self.view().span() / CHUNK;
        let first = (from / CHUNK).min(end);
        first..end.min(first.saturating_add(slots.div_ceil(CHUNK)))
    }
}

/// Weights of slots; a table of them once two differ.
#[derive(Default)]
struct Weights {
    /// What all weigh as long as there is no table.
    common: u64,
    of: Vec<u64>,
    expected: usize,
}

impl Weights {
    fn of(&self, slot: SlotId) -> u64 {
        self.of.get(slot.index()).copied().unwrap_or(self.common)
    }

    #[inline]
    fn set(&mut self, slot: SlotId, weight: u64) {
        if weight != self.common || !self.of.is_empty() {
            self.set_apart(slot, weight);
        }
    }

    #[inline(never)]
    fn set_apart(&mut self, slot: SlotId, weight: u64) {
        if self.common == 0 {
            // No weight is 0, so this is the first.
            self.common = weight;
        }
        if let Some(known) = self.of.get_mut(slot.index()) {
            *known = weight;
        } else if weight != self.common {
            grow(&mut self.of, slot.index() + 1, self.expected, self.common);
            self.of[slot.index()] = weight;
        }
    }
}

impl<K, V> HeatSource for View<'_, K, V> {
    fn heat(&self, slot: SlotId) -> u8 {
        self.look(slot).map_or(0, |(heat, _)| heat)
    }

    fn cool(&self, slot: SlotId, to: u8) {
        View::cool(*self, slot, to);
    }

    fn hash(&self, slot: SlotId) -> u32 {
        self.entry(slot).map_or(0, |entry| entry.header().hash())
    }

    #[inline(always)]
    fn look(&self, slot: SlotId) -> Option<(u8, u32)> {
        self.entry(slot).map(|entry| (entry.header().heat(self.heat_limit()), entry.header().hash()))
    }
}
