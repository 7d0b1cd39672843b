//! What the holder of a shard's lock may do: take entries in and out, write over them, and use memory again.
//!
//! The rules are those of the room. Everything here is short but the growth of a table or of memory, which stands beside.

use std::hash::Hash;

use equivalent::Equivalent;

use super::entry::Entry;
use super::header::{Fresh, Header};
use super::kept::Kept;
use super::slots::Node;
use super::state::State;
use super::view::{View, slots_of};
use super::{Arena, BATCH, CHUNK, FEWEST, STALLED, Writer, word};
use crate::clock::{Deadline, Moment};
use crate::engine::options::Glance;
use crate::epoch::Pin;
use crate::policy::SlotId;
use crate::prefetch::prefetch;
use crate::sync::{MutexGuard, Ordering};

/// A shard whose lock is held.
pub(in crate::engine) struct Locked<'a, K, V, B> {
    pub(super) arena: &'a Arena<K, V, B>,
    pub(super) writer: MutexGuard<'a, Writer<K, V, B>>,
}

impl<'a, K, V, B> Locked<'a, K, V, B> {
    /// What the writer keeps beside the entries.
    pub(in crate::engine) fn books(&mut self) -> &mut B {
        &mut self.writer.books
    }

    /// Lets others know something without the lock, which may be out of date when they do.
    pub(in crate::engine) fn show(&self, word: u32) {
        self.arena.writing.shown.store(word, Ordering::Relaxed);
    }

    /// Entries and books at the same time.
    pub(in crate::engine) fn parts(&mut self) -> (View<'_, K, V>, &mut B) {
        let Writer { state, books } = &mut *self.writer;
        (View { reader: &self.arena.reader, state }, books)
    }

    pub(in crate::engine) fn view(&self) -> View<'_, K, V> {
        View { reader: &self.arena.reader, state: &self.writer.state }
    }

    /// Finds the entry of a key under one scope.
    pub(in crate::engine) fn find<Q>(&self, hash: u32, scope: u32, key: &Q) -> Option<Entry<'_, K, V>>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        // SAFETY: the lock is held while `self` is borrowed.
        unsafe { self.arena.reader.find(hash, scope, key) }
    }

    /// As [`Arena::glance`].
    #[inline(always)]
    pub(in crate::engine) fn glance<Q>(&self, hash: u32, scope_above: u64, key: &Q) -> Glance<Entry<'_, K, V>>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        // SAFETY: the lock is held while `self` is borrowed.
        unsafe { self.arena.reader.glance(hash, scope_above | u64::from(hash), key) }
    }

    /// The entry of a live slot, for as long as the caller is pinned: also after it was taken out.
    pub(in crate::engine) fn hold<'p>(&self, _pin: &'p Pin, slot: SlotId) -> Option<Entry<'p, K, V>>
    where
        'a: 'p,
    {
        if !self.writer.state.is_live(slot.0) {
            return None;
        }
        // SAFETY: it is live now, so whoever retires it does so after the caller pinned: (3).
        Some(Entry { node: unsafe { self.arena.reader.slots.node(slot.0) }, slot })
    }

    /// Takes an entry in, of a key that is absent, and whose deadline is `due`. `payload` is asked once there is a slot for
    /// it; what the slot held before goes to `leaves`, to be dropped without the lock. `None`, and nothing changed, if
    /// `payload` has none or readers have been held up for so long that there is no memory to use again.
    #[inline]
    pub(in crate::engine) fn insert(
        &mut self,
        fresh: impl Into<Fresh>,
        due: Moment,
        payload: impl FnOnce() -> Option<(K, V)>,
        leaves: impl FnMut((K, V)),
    ) -> Option<SlotId> {
        let fresh = fresh.into();
        let hash = fresh.header.hash();
        let state = &mut self.writer.state;
        let slot = self.arena.fill(state, fresh, payload, leaves)?;
        // SAFETY: the lock is held.
        let table = unsafe { self.arena.reader.table() };
        if state.len >= table.size().fill() || !table.insert(hash, slot) {
            self.arena.reader.insert_growing(state, hash, slot);
        }
        state.set_live(slot, due);
        Some(SlotId(slot))
    }

    /// Whether [`write_over`](Self::write_over) can be.
    #[inline(always)]
    pub(in crate::engine) fn can_write_over() -> bool
    where
        V: 'static,
    {
        word::is_word::<V>()
    }

    /// Gives the live entry of a slot another value and deadline, and heat and age (`hints`). Readers find the old value or
    /// the new one; who finds the new deadline finds the new value. The value comes back, and nothing is changed, if the
    /// slot is not live or its value no word, or entries of this shard are kept past their times.
    #[inline(always)]
    pub(in crate::engine) fn write_over(
        &mut self,
        slot: SlotId,
        value: V,
        (deadline, due): (Deadline, Moment),
        hints: [u8; 2],
    ) -> std::result::Result<(), V>
    where
        V: 'static,
    {
        let state = &mut self.writer.state;
        let Some(chunk) = state.chunks.get_mut(slot.index() / CHUNK) else { return Err(value) };
        let is_live = chunk.live >> (slot.index() % CHUNK) & 1 != 0;
        if !word::is_word::<V>() || !is_live || state.kept.is_in_use() {
            return Err(value);
        }
        chunk.earliest = chunk.earliest.min(due);
        state.earliest = state.earliest.min(due);
        // SAFETY: the slot is live, so it is filled (4).
        let node = unsafe { self.arena.reader.slots.node(slot.0) };
        // SAFETY: as above, and the lock is held: (8).
        unsafe { word::write(node.value(), value) };
        node.header.overwrite(deadline, hints);
        Ok(())
    }

    /// Takes a live entry out, and one in of a key that is absent, and whose deadline is `due`: [`retire`](Self::retire)
    /// and [`insert`](Self::insert) in one. The payload comes back, and nothing is changed, where it can not be taken in.
    #[inline(always)]
    pub(in crate::engine) fn exchange(
        &mut self,
        (leaving, leaving_hash): (SlotId, u32),
        header: Header,
        due: Moment,
        payload: (K, V),
        leaves: impl FnMut((K, V)),
    ) -> std::result::Result<SlotId, (K, V)> {
        let hash = header.hash();
        let state = &mut self.writer.state;
        let Some(slot) = self.arena.vacate(state, leaves) else { return Err(payload) };
        if state.kept.is_in_use() {
            state.kept.clear(slot);
        }
        // SAFETY: `vacate` handed out an empty slot that no reader knows.
        unsafe { self.arena.reader.slots.fill(slot, Node::new(header, payload)) };
        // SAFETY: the lock is held.
        let table = unsafe { self.arena.reader.table() };
        if table.remove(leaving_hash, leaving.0) {
            self.arena.bury(state, leaving.0);
        }
        if !table.insert(hash, slot) {
            self.arena.reader.insert_growing(state, hash, slot);
        }
        state.set_live(slot, due);
        Ok(SlotId(slot))
    }

    /// Puts a new entry in the place of the live one of the same scope and key. Readers find one of them at any moment.
    /// Otherwise as [`insert`](Self::insert); where nothing is taken in, the old entry stays.
    #[inline]
    pub(in crate::engine) fn replace(
        &mut self,
        slot: SlotId,
        fresh: impl Into<Fresh>,
        due: Moment,
        payload: impl FnOnce() -> Option<(K, V)>,
        leaves: impl FnMut((K, V)),
    ) -> Option<SlotId> {
        let fresh = fresh.into();
        let hash = fresh.header.hash();
        let state = &mut self.writer.state;
        let fresh = self.arena.fill(state, fresh, payload, leaves)?;
        // SAFETY: the lock is held.
        if !unsafe { self.arena.reader.table() }.replace(hash, slot.0, fresh) {
            self.arena.reader.replace_growing(state, hash, [slot.0, fresh]);
        }
        state.set_live(fresh, due);
        self.arena.bury(state, slot.0);
        Some(SlotId(fresh))
    }

    /// Takes a live slot out of the table, whose hash is this one; readers who have found it may go on reading it. `false` if it is not
    /// live, or the hash another's. It may share a stamp with what is retired after it: see [`stamp`](Self::stamp).
    #[inline]
    pub(in crate::engine) fn retire(&mut self, slot: SlotId, hash: u32) -> bool {
        let state = &mut self.writer.state;
        // SAFETY: the lock is held.
        if !unsafe { self.arena.reader.table() }.remove(hash, slot.0) {
            return false;
        }
        self.arena.bury(state, slot.0);
        true
    }

    /// Sees to it that the next raise of the epoch counts for all that was retired.
    pub(in crate::engine) fn stamp(&mut self) {
        self.writer.state.limbo.stamp();
    }

    /// The slot that will be filled next, probably; its line is asked for.
    #[inline(always)]
    pub(in crate::engine) fn prefetch_next(&self) -> Option<SlotId> {
        let slot = self.writer.state.limbo.first()?;
        prefetch(self.arena.reader.slots.line_of(slot));
        Some(SlotId(slot))
    }

    /// Asks for the table's line of a hash ahead of its use.
    #[inline]
    pub(in crate::engine) fn prefetch(&self, hash: u32) {
        // SAFETY: the lock is held.
        unsafe { self.arena.reader.table() }.prefetch(hash);
    }

    /// Frees slots that no reader can see any more, so many at most; how many those were. Their keys and values are to be
    /// dropped without the lock.
    pub(in crate::engine) fn reclaim(&mut self, most: usize, into: &mut Vec<(K, V)>) -> usize {
        let state = &mut self.writer.state;
        let mut freed = 0;
        while freed < most
            && let Some(slot) = self.arena.reclaim(state, |payload| into.push(payload))
        {
            state.free.push(slot);
            freed += 1;
        }
        state.limbo.stamp();
        if state.len == 0 && state.limbo.is_empty() && state.fresh > 0 {
            self.arena.reader.release(state);
        }
        freed
    }

    /// Gives back memory that was taken for many entries, if few are left. Answers how many numbers slots may have then.
    pub(in crate::engine) fn give_back(&mut self) -> usize {
        let state = &mut self.writer.state;
        state.limbo.give_back();
        self.arena.reader.give_back(state) as usize
    }

    /// Says at which heat uses leave no trace, and which generation it is.
    #[inline]
    pub(in crate::engine) fn set_hints(&mut self, limit: u8, generation: u8) {
        self.writer.state.hints = [limit, generation];
    }

    /// Says how many slots are expected at most; memory is taken in fitting steps from then on.
    pub(in crate::engine) fn expect(&mut self, slots: u32) {
        self.writer.state.expected = slots;
    }

    /// Whether it is time to raise the epoch: enough has been retired since. Says so once, and all that was retired counts.
    #[inline]
    pub(in crate::engine) fn is_tired(&mut self) -> bool {
        let state = &mut self.writer.state;
        let is_quiet = state.retired * 2 < FEWEST || state.limbo.is_first_known_past();
        if is_quiet && !state.outgrown {
            return false;
        }
        state.is_tired()
    }

    /// Gives a live entry other times. Readers find each of them as it was, or as it is.
    pub(in crate::engine) fn keep(&mut self, slot: SlotId, kept: Kept) {
        let Self { arena, writer } = self;
        let state = &mut writer.state;
        if !state.is_live(slot.0) {
            return;
        }
        state.kept.write(&arena.reader.kept, slot.0, kept.words());
        state.put_forward(slot.0, kept.gone);
        // SAFETY: a live slot is filled (4).
        unsafe { arena.reader.slots.node(slot.0) }.header.put_off(kept.attended());
    }

    /// Gives a live entry that is not kept past its time another deadline.
    pub(in crate::engine) fn renew(&mut self, slot: SlotId, deadline: Deadline) {
        let Self { arena, writer } = self;
        let state = &mut writer.state;
        if !state.is_live(slot.0) {
            return;
        }
        if state.kept.is_in_use() {
            state.kept.clear(slot.0);
        }
        state.put_forward(slot.0, deadline.moment());
        // SAFETY: a live slot is filled (4).
        unsafe { arena.reader.slots.node(slot.0) }.header.put_off(deadline);
    }

    /// No deadline is before this moment.
    pub(in crate::engine) fn earliest(&self) -> Moment {
        self.writer.state.earliest
    }

    /// The live slots of the next chunk, from `chunk` on, that holds what is due, and the number of that chunk. At the
    /// end `None`, and the earliest deadline is exact up to entries that were put off.
    pub(in crate::engine) fn due(
        &mut self,
        chunk: usize,
        now: Moment,
    ) -> Option<(usize, impl Iterator<Item = SlotId> + use<K, V, B>)> {
        let Self { arena, writer } = self;
        let state = &mut writer.state;
        let found = state.chunks.iter().skip(chunk).position(|chunk| chunk.earliest <= now);
        let Some(at) = found.map(|offset| chunk + offset) else {
            state.earliest = state.chunks.iter().map(|chunk| chunk.earliest).min().unwrap_or(Moment::NEVER);
            return None;
        };
        let (mut due, mut earliest) = (0, Moment::NEVER);
        for slot in slots_of(at, state.chunks[at].live) {
            let gone = state.kept_at(slot.0).map(|kept| kept.gone);
            // SAFETY: a live slot is filled (4).
            let node = unsafe { arena.reader.slots.node(slot.0) };
            let deadline = gone.unwrap_or_else(|| node.header.deadline().moment());
            if deadline <= now {
                due |= 1 << (slot.index() % CHUNK);
            } else {
                earliest = earliest.min(deadline);
            }
        }
        state.chunks[at].earliest = earliest;
        Some((at, slots_of(at, due)))
    }
}

impl<K, V, B> Arena<K, V, B> {
    /// Fills an empty slot that no reader knows; what it held goes to `leaves`.
    #[inline]
    pub(super) fn fill(
        &self,
        state: &mut State<K, V>,
        Fresh { header, cell, kept }: Fresh,
        payload: impl FnOnce() -> Option<(K, V)>,
        leaves: impl FnMut((K, V)),
    ) -> Option<u32> {
        let slot = self.vacate(state, leaves)?;
        let Some(payload) = payload() else {
            state.free.push(slot);
            return None;
        };
        if let Some(cell) = cell {
            state.cells.write(&self.reader.cells, slot, [cell.bits()]);
        }
        match kept {
            Some(kept) => state.kept.write(&self.reader.kept, slot, kept.words()),
            None if state.kept.is_in_use() => state.kept.clear(slot),
            None => {}
        }
        // SAFETY: `vacate` handed out an empty slot that no reader knows.
        unsafe { self.reader.slots.fill(slot, Node::new(header, payload)) };
        Some(slot)
    }

    /// An empty slot that no reader knows; `None` while readers keep too much from being reused.
    #[inline(always)]
    pub(super) fn vacate(&self, state: &mut State<K, V>, leaves: impl FnMut((K, V))) -> Option<u32> {
        if let Some(slot) = state.free.pop() {
            return Some(slot);
        }
        if let Some(slot) = self.reclaim(state, leaves) {
            return Some(slot);
        }
        self.take_fresh(state)
    }

    /// A slot that was never used, unless too many wait for readers.
    #[inline(never)]
    pub(super) fn take_fresh(&self, state: &mut State<K, V>) -> Option<u32> {
        if state.limbo.len() > state.len + STALLED || !self.reader.extend(state) {
            // Nothing may be retired for a while, but somebody has to look whether the readers have gone.
            state.retired = BATCH;
            return None;
        }
        state.fresh += 1;
        Some(state.fresh - 1)
    }

    /// The slot that has been in limbo for longest, if readers have passed it; what it held goes to `leaves`.
    #[inline(always)]
    pub(super) fn reclaim(&self, state: &mut State<K, V>, mut leaves: impl FnMut((K, V))) -> Option<u32> {
        let slot = state.limbo.pop()?;
        if state.limbo.is_empty() {
            self.writing.waiting.store(false, Ordering::Relaxed);
        }
        if std::mem::needs_drop::<(K, V)>() {
            // SAFETY: the slot is filled (4).
            let node = unsafe { self.reader.slots.node(slot) };
            // SAFETY: it is filled, and no reader can still know it (3).
            leaves(unsafe { node.take() });
        }
        Some(slot)
    }

    /// Puts a slot that the table names no longer into limbo.
    #[inline(always)]
    pub(super) fn bury(&self, state: &mut State<K, V>, slot: u32) {
        state.clear_live(slot);
        state.retired += 1;
        if state.limbo.is_empty() {
            self.writing.waiting.store(true, Ordering::Relaxed);
        }
        // After the table's store, as (3) asks.
        state.limbo.push(slot, state.share());
    }
}
