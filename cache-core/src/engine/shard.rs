//! One shard of a region: entries, their order, their scopes and weights, and running loads, under one lock.
//!
//! (1) A live slot is in one domain, and its scope is in `spaces`. (2) Nothing here drops a value or runs user code, `Eq` of
//! keys and policies excepted; an `Eq` that panics does so before anything has changed. (3) Weights are kept one by one
//! only once two differ. Cost: O(1) expected a call.

use super::arena::{self, Arena, CHUNK, Header, Locked, Stalled, View};
use super::domain::Domains;
use super::space::Spaces;
use crate::clock::Deadline;
use crate::flight::{Flights, Setup};
use crate::policy::{Fault, HeatSource, Policy, SlotId, grow};
use crate::scope::Node;
use crate::sync::Arc;

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
    /// The loads that run for keys of this shard.
    pub(super) flights: Flights<Arc<Node>, K, V>,
}

impl<K, V: Send + Sync + 'static> Books<K, V> {
    /// With `separate`, each scope has a domain of its own.
    pub(super) fn new(policy: Policy, setup: Arc<Setup>, separate: bool) -> Self {
        let mut domains = Domains::new(policy);
        if !separate {
            domains.open(false);
        }
        let flights = Flights::new(setup);
        Self {
            domains,
            spaces: Spaces::new(separate),
            weights: Weights::default(),
            last: Vec::new(),
            writes: 0,
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

    /// The fault of a policy that was set aside since the last call.
    pub(super) fn take_fault(&mut self) -> Option<Fault> {
        self.domains.take_fault()
    }
}

/// What an entry is made of, before it has a slot.
pub(super) struct Draft<K, V> {
    pub(super) key: K,
    pub(super) value: V,
    pub(super) weight: u64,
    pub(super) deadline: Deadline,
    /// Where entries go unused: the deadline that uses may not put off.
    pub(super) last: Option<Deadline>,
}

/// What came of an entry that was to be linked.
pub(super) struct Linked<K, V> {
    pub(super) slot: SlotId,
    /// What its slot held before, to be dropped without the lock.
    pub(super) old: Option<(K, V)>,
}

impl<K, V: Send + Sync + 'static> LockedShard<'_, K, V> {
    /// Puts an entry in. The key must be absent.
    ///
    /// # Errors
    /// [`Stalled`].
    pub(super) fn link(
        &mut self,
        node: &Arc<Node>,
        hash: u32,
        age: u8,
        draft: Draft<K, V>,
    ) -> Result<Linked<K, V>, Stalled<K, V>> {
        let Draft { key, value, weight, deadline, last } = draft;
        let header = Header::new(node.number(), hash, deadline, age);
        let (slot, old) = self.insert(header, (key, value))?;
        self.note_last(slot, last);
        let Books { spaces, domains, weights, .. } = self.books();
        let domain = spaces.enter(node, || domains.open(true));
        weights.set(slot, weight);
        domains.insert(domain, slot, hash, weight);
        Ok(Linked { slot, old })
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

    /// Puts an entry in the place of the live one of its key, which keeps its heat and counts one use more. Answers
    /// what the old one weighed, too.
    ///
    /// # Errors
    /// [`Stalled`]; the old entry stays.
    pub(super) fn overwrite(
        &mut self,
        from: SlotId,
        age: u8,
        heat_limit: u8,
        draft: Draft<K, V>,
    ) -> Result<(Linked<K, V>, u64), Stalled<K, V>> {
        let Draft { key, value, weight, deadline, last } = draft;
        let Some((scope, hash, heat)) = self.view().entry(from).map(|old| {
            let header = old.header();
            (header.scope(), header.hash(), header.heat())
        }) else {
            return Err(Stalled((key, value))); // Not reached: it was found under this very lock.
        };
        let header = Header::new(scope, hash, deadline, age);
        header.set_heat(heat.saturating_add(1).min(heat_limit));
        let (to, old) = self.replace(from, header, (key, value))?;
        self.note_last(to, last);
        let Books { spaces, domains, weights, .. } = self.books();
        let old_weight = weights.of(from);
        weights.set(to, weight);
        domains.shift(spaces.domain_of(scope), [from, to], hash, weight);
        Ok((Linked { slot: to, old }, old_weight))
    }

    fn note_last(&mut self, slot: SlotId, last: Option<Deadline>) {
        let Some(last) = last else { return };
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

    /// Takes an entry out of everything, and lets `settle` see its scope's node and its weight. The node comes back where
    /// this was its last entry, to be dropped without the lock.
    pub(super) fn unlink<R>(
        &mut self,
        slot: SlotId,
        settle: impl FnOnce(&Arc<Node>, u64) -> R,
    ) -> Option<(R, Option<Arc<Node>>)> {
        let scope = self.view().entry(slot)?.header().scope();
        let Books { spaces, domains, weights, .. } = self.books();
        domains.remove(spaces.domain_of(scope), slot);
        let weight = weights.of(slot);
        let settled = settle(spaces.node(scope)?, weight);
        let node = spaces.leave(scope);
        self.retire(slot);
        Some((settled, node))
    }

    /// Whether an entry's scope is dead.
    pub(super) fn is_dead(&mut self, slot: SlotId) -> bool {
        let scope = self.view().entry(slot).map(|entry| entry.header().scope());
        scope.is_some_and(|scope| self.books().spaces.is_dead(scope))
    }

    /// What a live entry weighs.
    pub(super) fn weight_of(&mut self, slot: SlotId) -> u64 {
        self.books().weights.of(slot)
    }

    /// Tells the policy of a hit.
    pub(super) fn touch(&mut self, slot: SlotId) {
        let Some(scope) = self.view().entry(slot).map(|entry| entry.header().scope()) else { return };
        let Books { spaces, domains, .. } = self.books();
        domains.touch(spaces.domain_of(scope), &[slot]);
    }

    /// Whether the scope of a slot holds more than a limit.
    pub(super) fn is_over(&mut self, slot: SlotId, limit: u64) -> bool {
        let Some(scope) = self.view().entry(slot).map(|entry| entry.header().scope()) else { return false };
        let Books { spaces, domains, .. } = self.books();
        domains.len(spaces.domain_of(scope)) > limit
    }

    /// The next to go in the domain of a slot, the slot itself excepted.
    pub(super) fn victim_beside(&mut self, spare: SlotId) -> Option<SlotId> {
        let (view, Books { spaces, domains, .. }) = self.parts();
        let domain = spaces.domain_of(view.entry(spare)?.header().scope());
        domains.victim(domain, view, spaces, Some(spare))
    }

    /// The coldest next victim of a few domains, `spare` excepted, and its age in generations.
    pub(super) fn victim(&mut self, spare: Option<SlotId>, generation: u8) -> Option<(SlotId, u8)> {
        let (view, Books { spaces, domains, .. }) = self.parts();
        let age_of = |slot| view.entry(slot).map(|entry| generation.wrapping_sub(entry.header().age()));
        if !spaces.are_separate() {
            let slot = domains.victim(0, view, spaces, spare)?;
            return Some((slot, age_of(slot)?));
        }
        let offers = domains.candidates(3).filter_map(|domain| {
            let slot = domains.victim(domain, view, spaces, spare)?;
            Some((slot, age_of(slot)?))
        });
        // Of equally old ones the first: turns are taken.
        offers.min_by_key(|&(_, age)| u8::MAX - age)
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

    fn set(&mut self, slot: SlotId, weight: u64) {
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
        self.entry(slot).map_or(0, |entry| entry.header().heat())
    }

    fn cool(&self, slot: SlotId, to: u8) {
        if let Some(entry) = self.entry(slot) {
            entry.header().cool(to);
        }
    }

    fn hash(&self, slot: SlotId) -> u32 {
        self.entry(slot).map_or(0, |entry| entry.header().hash())
    }

    fn look(&self, slot: SlotId) -> (u8, u32) {
        self.entry(slot).map_or((0, 0), |entry| (entry.header().heat(), entry.header().hash()))
    }
}
