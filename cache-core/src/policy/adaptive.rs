//! The default: a window and a main list, as in W-TinyLFU, with a window that victims who come back widen or narrow.
//!
//! (1) A domain that never evicted, or has fewer than `SMALL` members, keeps all in the main list: first in, first
//! out, but whoever was hit gets another round. It allocates nothing. (2) Else newcomers enter the window and are
//! chosen from as `duel.rs` says, by counts of a history that knows three keys per member. (3) A key that comes back
//! soon after it was rejected at the window's end widens the window, one that comes back soon after it left the main
//! list narrows it; the window is 2 % to 80 % of the members, 10 % at first. (4) The members there are when a victim is
//! asked for count as the capacity. (5) What is remembered of victims is written when they leave.
//! (6) At its first eviction a domain counts the members it has, 4,096 of them at most. (7) What depends on the members
//! there are is worked out again only when they have become more or fewer. (8) Of a domain with `SAMPLED` members only
//! every fourth run of victims is remembered, and each that comes back moves the window four times as far.
//! Cost: no report of hits; per insert with eviction 1.3 list moves, 4 buckets of the history, 2 of the ghosts. History 6
//! bytes per member and 3 KiB more, but no more than 24 per member; ghosts 0.8 per member, 0.2 where they are sampled; links.
//! After W-TinyLFU (see `duel.rs`); Einziger, Eytan, Friedman, Manes, "Adaptive Software Cache Management",
//! Middleware 2018 (windows that adapt); Megiddo, Modha, "ARC", FAST 2003 (ghosts that tell which way).

use super::duel::{self, Counts, Loser, MAIN, WINDOW};
use super::ghost::{Ghost, Kind, Mixed, mix};
use super::history::History;
use super::{EvictionPolicy, Heads, Heat, HeatSource, Order, Orders, SlotId, Weight};

/// Members at most that are counted when a domain evicts for the first time.
const RECALLED: usize = 4096;
/// Members below which nothing is remembered.
const SMALL: usize = 16;
/// Keys the history knows per member, how many more, and how many per member in small domains.
const KEYS: usize = 3;
const MORE_KEYS: usize = 1536;
const MOST_KEYS: usize = 12;
/// Shares of the members are in units of 2^-20.
const WHOLE: u32 = 1 << 20;
const START: u32 = WHOLE / 10;
const NARROWEST: u32 = WHOLE / 50;
const WIDEST: u32 = WHOLE / 5 * 4;
/// How far one victim who comes back moves the window's share, and in entries at least.
const STEP: u32 = WHOLE / 2000;
const LEAST_STEP: u32 = WHOLE / 5;

/// Members from which on victims are sampled, of how many runs of them one is remembered, and how many victims make a run; the
/// latter two as powers of two.
const SAMPLED: usize = 2048;
const SAMPLING: u32 = 2;
const RUN: u32 = 6;

/// Adapts to recency, frequency, loops and scans. The default.
#[derive(Debug, Default)]
pub struct Adaptive {
    memory: Option<Box<Memory>>,
}

/// What a domain remembers once it evicts.
#[derive(Debug)]
struct Memory {
    history: History,
    ghost: Ghost,
    /// Members it was made for, and members when a victim was last asked for.
    made_for: usize,
    capacity: usize,
    /// The window's share of the capacity, and how many entries that is.
    share: u32,
    room: usize,
    /// Who was named last.
    named: Loser,
    /// Victims so far, and of how many runs of victims one is remembered, as a power of two.
    turn: u32,
    sampling: u32,
}

impl Adaptive {
    /// A slot enters the domain, where that is short. `false` if nothing was done.
    #[inline(always)]
    pub(super) fn quick_enter(
        &mut self,
        orders: &mut Orders,
        heads: &mut Heads,
        slot: SlotId,
        hash: u32,
    ) -> bool {
        let Some(memory) = self.memory.as_deref_mut() else { return orders.enter(heads, MAIN, slot) };
        let is_in = orders.enter(heads, WINDOW, slot);
        if is_in {
            let key = mix(hash);
            if memory.learn(key) | (heads.len(WINDOW) > memory.most(heads.members())) {
                memory.settle(&mut orders.of(heads), key);
            }
        }
        is_in
    }

    /// A member leaves.
    #[inline(always)]
    pub(super) fn note_leaver(&mut self, slot: SlotId) {
        if let Some(memory) = self.memory.as_deref_mut()
            && memory.named.slot == slot
        {
            memory.remember_victim();
        }
    }

    /// The next to go where that is soon found; the answer is that of [`EvictionPolicy::victim`], which is to be asked where
    /// there is none.
    #[inline]
    pub(super) fn quick_victim(&mut self, heads: &Heads, heat: &impl HeatSource) -> Option<SlotId> {
        let Some(memory) = self.memory.as_deref_mut() else {
            return (heads.members() < SMALL).then(|| duel::oldest_cold(heads, heat)).flatten();
        };
        if memory.capacity != heads.members() {
            return None;
        }
        memory.named = duel::choose_cold(heads, heat, &memory.history, memory.room)?;
        Some(memory.named.slot)
    }

    /// Asks for what a key that comes in will need.
    #[inline(always)]
    pub(super) fn expect(&self, hash: u32) {
        if let Some(memory) = self.memory.as_deref() {
            let key = mix(hash);
            memory.history.prefetch(key);
            memory.ghost.prefetch(key);
        }
    }

    /// Whom a next victim will be chosen from, and who comes after: asks for what the choice will need, and answers the slot
    /// and the hash of the one and the slot of the other.
    #[inline(always)]
    pub(super) fn look_ahead(
        &self,
        orders: &Orders,
        heads: &Heads,
        heat: &impl HeatSource,
    ) -> Option<(u32, Option<SlotId>)> {
        let memory = self.memory.as_deref()?;
        let list = if heads.len(WINDOW) < memory.room { MAIN } else { WINDOW };
        let next = heads.back(list)?;
        let after = orders.before(next);
        if let Some(after) = after {
            orders.prefetch(after);
        }
        let (_, hash) = heat.look(next)?;
        self.expect(hash);
        Some((hash, after))
    }

    /// Makes the memory fit a domain whose members have become more or fewer, if it is large enough for one.
    #[inline(never)]
    fn fit(&mut self, order: &Order<'_>, heat: &Heat<'_>) -> Option<&mut Memory> {
        let (members, is_new) = (order.members(), self.memory.is_none());
        let memory = self.memory(members)?;
        memory.capacity = members;
        memory.resize();
        if is_new {
            memory.recall(order, heat);
        }
        Some(memory)
    }

    /// The memory for a domain that evicts, if it is large enough for one.
    fn memory(&mut self, members: usize) -> Option<&mut Memory> {
        let fits = |memory: &Memory| {
            members <= memory.made_for + memory.made_for / 2 && members * 4 >= memory.made_for
        };
        if !self.memory.as_deref().is_some_and(fits) {
            let share = self.memory.as_ref().map_or(START, |memory| memory.share);
            self.memory = (members >= SMALL).then(|| Box::new(Memory::new(members, share)));
        }
        self.memory.as_deref_mut()
    }

    /// Bytes of what is remembered.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.memory.as_ref().map_or(0, |memory| memory.history.bytes() + memory.ghost.bytes())
    }

    /// The window's share, in units of 2^-20.
    #[cfg(test)]
    pub(super) fn share(&self) -> u32 {
        self.memory.as_ref().map_or(START, |memory| memory.share)
    }
}

impl Memory {
    fn new(members: usize, share: u32) -> Self {
        let keys = (members * KEYS + MORE_KEYS).min(members * MOST_KEYS);
        let ghosts = (members / 5).max(64.min(members));
        let sampling = if members < SAMPLED { 0 } else { SAMPLING };
        let (history, ghost) = (History::new(keys), Ghost::new(ghosts >> sampling, ghosts));
        let mut new = Self {
            history,
            ghost,
            made_for: members,
            capacity: members,
            share,
            room: 1,
            named: Loser::NOBODY,
            turn: 0,
            sampling,
        };
        new.resize();
        new
    }

    /// Who was named last has left.
    #[inline(always)]
    fn remember_victim(&mut self) {
        self.turn = self.turn.wrapping_add(1);
        if self.turn >> RUN & ((1 << self.sampling) - 1) == 0 {
            self.ghost.add(self.named.key, self.named.kind);
        } else {
            self.ghost.pass(self.named.kind);
        }
        self.named = Loser::NOBODY;
    }

    /// A key comes in: counts it. Whether it is to be settled, too.
    #[inline]
    fn learn(&mut self, key: Mixed) -> bool {
        self.history.add(key, 1) | self.ghost.holds(key)
    }

    /// What is rarely to be done once a newcomer is in its list.
    #[inline(never)]
    fn settle(&mut self, order: &mut Order<'_>, key: Mixed) {
        if self.history.is_due() {
            self.history.halve();
        }
        if let Some((kind, age)) = self.ghost.take(key) {
            self.adapt(kind, age);
        }
        self.even(order);
    }

    /// Moves the window's share for a victim that came back.
    fn adapt(&mut self, kind: Kind, age: usize) {
        if age > (self.capacity / 20).max(4) {
            return;
        }
        let capacity = u32::try_from(self.capacity).unwrap_or(u32::MAX).max(1);
        let step = STEP.max(LEAST_STEP / capacity) << self.sampling;
        let share = match kind {
            Kind::Rejected => self.share.saturating_add(step),
            Kind::Evicted => self.share.saturating_sub(step),
        };
        self.share = share.clamp(NARROWEST.max(WHOLE / capacity).min(WIDEST), WIDEST);
        self.resize();
    }

    /// Counts those who came before anything was remembered: once each, the newest of them only where they are many.
    fn recall(&mut self, order: &Order<'_>, heat: &Heat<'_>) {
        let members = std::iter::successors(order.front(MAIN), |&slot| order.next(slot));
        members.take(RECALLED).for_each(|slot| self.history.bump(mix(heat.hash(slot)), 1));
    }

    /// Works out how many entries the window is to have.
    fn resize(&mut self) {
        let room = (self.capacity as u64 * u64::from(self.share)) >> WHOLE.trailing_zeros();
        self.room = (room as usize).max(1);
    }

    /// How many entries the window keeps. While the domain fills up no more than it is to have.
    #[inline]
    fn most(&self, members: usize) -> usize {
        let slack = self.capacity / 16;
        self.room + if members + slack < self.capacity { 0 } else { slack }
    }

    /// Moves members out of a window that grew while there was room, so that they need not compete for it.
    fn even(&self, order: &mut Order<'_>) {
        let most = self.most(order.members());
        for _ in 0..2 {
            let Some(slot) = order.back(WINDOW).filter(|_| order.len(WINDOW) > most) else { return };
            order.push_front(MAIN, slot);
        }
    }
}

impl EvictionPolicy for Adaptive {
    fn on_insert(&mut self, order: &mut Order<'_>, slot: SlotId, hash: u32, _weight: Weight) {
        let Some(memory) = self.memory.as_deref_mut() else {
            order.push_front(MAIN, slot);
            return;
        };
        let key = mix(hash);
        memory.learn(key);
        order.push_front(WINDOW, slot);
        memory.settle(order, key);
    }

    fn on_move(&mut self, order: &mut Order<'_>, from: SlotId, to: SlotId, _hash: u32, _weight: Weight) {
        order.replace(from, to);
    }

    fn on_remove(&mut self, order: &mut Order<'_>, slot: SlotId) {
        order.remove(slot);
        self.note_leaver(slot);
    }

    fn victim(&mut self, order: &mut Order<'_>, heat: &Heat<'_>) -> Option<SlotId> {
        let members = order.members();
        let memory = match self.memory.as_deref_mut().is_some_and(|memory| memory.capacity == members) {
            true => self.memory.as_deref_mut(),
            false => self.fit(order, heat),
        };
        let Some(memory) = memory else { return without_memory(order, heat) };
        let named = duel::choose(order, heat, &mut memory.history, memory.room);
        memory.named = named.unwrap_or(Loser::NOBODY);
        named.map(|named| named.slot)
    }
}

/// The next to go in a domain that remembers nothing.
#[inline(never)]
fn without_memory(order: &mut Order<'_>, heat: &Heat<'_>) -> Option<SlotId> {
    duel::choose(order, heat, &mut Nothing, usize::MAX).map(|loser| loser.slot)
}

/// Counts for domains that remember nothing.
struct Nothing;

impl Counts for Nothing {
    fn count(&self, _key: Mixed) -> u8 {
        0
    }

    fn bump(&mut self, _key: Mixed, _by: u8) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_run_of_victims_in_four_is_remembered_in_a_large_domain_and_all_in_a_small_one() {
        for (members, runs) in [(SAMPLED - 1, 4), (SAMPLED, 1), (SAMPLED * 8, 1)] {
            let mut memory = Memory::new(members, START);
            for victim in 0..4 << RUN {
                memory.named = Loser { slot: SlotId(victim), kind: Kind::Evicted, key: mix(victim) };
                memory.remember_victim();
                assert_eq!(memory.named, Loser::NOBODY);
            }
            let held = (0..4 << RUN).filter(|&victim| memory.ghost.holds(mix(victim))).count();
            // Some may have taken the place of others.
            let all = runs << RUN;
            assert!((all * 9 / 10..=all).contains(&held), "{held} of {all}");
            let ages = (0..4 << RUN).filter_map(|victim| memory.ghost.take(mix(victim)));
            assert!(ages.map(|(_, age)| age).max() >= Some(3 << RUN), "ages count all victims");
        }
    }
}
