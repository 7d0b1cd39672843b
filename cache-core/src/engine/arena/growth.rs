//! How a shard gets larger tables and more memory, and gives memory back.
//!
//! For the holder of the shard's lock. Readers go on in what they found: (3) and (6) of the room.

use super::slots::{SEGMENTS, first_of, numbers_of};
use super::state::State;
use super::table::{Size, Table};
use super::view::slots_of;
use super::{BEYOND, CHUNK, FEW, ROOMY, Reader};
use crate::epoch;
use crate::sync::Ordering;

impl<K, V> Reader<K, V> {
    /// # Safety
    /// The caller holds the lock.
    pub(super) unsafe fn table(&self) -> &Table {
        // SAFETY: only the holder of the lock replaces the table, and old ones live on for readers only.
        unsafe { &*self.table.load(Ordering::Relaxed) }
    }

    /// Adds a slot, in as large a table as that takes.
    #[cold]
    pub(super) fn insert_growing(&self, state: &mut State<K, V>, hash: u32, slot: u32) {
        // More buckets while it is dense, then more seats, so this ends.
        loop {
            self.grow(state);
            state.outgrown = true;
            // SAFETY: the lock is held.
            if unsafe { self.table() }.insert(hash, slot) {
                return;
            }
        }
    }

    /// Puts a slot in the place of another, in a table that can name it.
    #[cold]
    pub(super) fn replace_growing(&self, state: &mut State<K, V>, hash: u32, [from, to]: [u32; 2]) {
        self.grow(state);
        state.outgrown = true;
        // SAFETY: the lock is held.
        let is_replaced = unsafe { self.table() }.replace(hash, from, to);
        debug_assert!(is_replaced, "a live slot is in the table");
    }

    /// Moves to a table with room for one entry more, of whatever hash.
    pub(super) fn grow(&self, state: &State<K, V>) {
        // SAFETY: whoever has the state holds the lock.
        let old = unsafe { self.table() }.size();
        let (mut fill, wanted) = (old.fill(), state.expected as usize);
        let is_full = state.len >= fill;
        // A full table gets more buckets. One with room elsewhere had bad luck, has many keys of one hash, or a slot that it can not name.
        let is_crowded = old.crowd * 8 >= old.buckets && state.len >= fill / 2;
        if is_full || is_crowded {
            fill += match wanted {
                _ if wanted > fill && wanted <= fill * 2 => wanted - fill,
                // What is expected is not exceeded by much, so in small steps.
                _ if is_full && wanted <= fill && fill < wanted + wanted / 2 => fill / 16 + 1,
                _ => fill,
            };
        }
        let mut size = Size { crowd: old.crowd, ..Size::of(fill, state.fresh) };
        if size == old {
            size.crowd = (size.crowd * 2).max(16);
        }
        self.exchange(self.table_of(state, size));
    }

    /// A table of all that is live, of this size, or with as many more seats beside its buckets as that takes.
    fn table_of(&self, state: &State<K, V>, mut size: Size) -> Table {
        loop {
            let fresh = Table::new(size);
            let live = (0..state.chunks.len()).flat_map(|chunk| slots_of(chunk, state.chunks[chunk].live));
            let moved = live.map(|slot| slot.0).all(|slot| {
                // SAFETY: a live slot is filled (4).
                let hash = unsafe { self.slots.node(slot) }.header.hash();
                fresh.insert(hash, slot)
            });
            if moved {
                return fresh;
            }
            size.crowd = (size.crowd * 2).max(16);
        }
    }

    pub(super) fn exchange(&self, table: Table) {
        let old = self.table.swap(Box::into_raw(Box::new(table)), Ordering::AcqRel);
        // SAFETY: the pointer came from a box, and was taken out just now.
        epoch::defer(unsafe { Box::from_raw(old) });
    }

    /// Sees to it that there is a fresh slot; `false` if there are no more numbers.
    pub(super) fn extend(&self, state: &mut State<K, V>) -> bool {
        if state.fresh < state.fresh_end {
            return true;
        }
        let Some(segment) = state.allocated.iter().position(|&nodes| nodes == 0) else { return false };
        let (first, numbers) = (first_of(segment), numbers_of(segment));
        let missing = state.expected.saturating_sub(first);
        let nodes = if state.expected == 0 {
            numbers
        } else if missing > 0 {
            numbers.min(missing)
        } else if first_of(segment.saturating_sub(BEYOND)) < state.expected {
            // What is expected is not exceeded by much, so in small steps.
            numbers.min((state.expected / 16).clamp(16, 256))
        } else {
            // It was too little, as when the capacity was raised: segments are few, so twice as many each time.
            numbers.min(state.allocated.iter().sum::<u32>().max(256))
        };
        self.slots.allocate(segment, nodes);
        state.allocated[segment] = nodes;
        (state.fresh, state.fresh_end) = (first, first + nodes);
        true
    }

    /// Gives back what few entries keep that was taken for many: a table, and the last segments if nothing lives or waits there.
    /// Answers how many numbers there are then.
    pub(super) fn give_back(&self, state: &mut State<K, V>) -> u32 {
        // SAFETY: whoever has the state holds the lock.
        let (size, wanted) = (unsafe { self.table() }.size(), Size::of(state.len * 2, state.fresh));
        if size.buckets / ROOMY >= wanted.buckets {
            self.exchange(self.table_of(state, wanted));
            state.outgrown = true;
        }
        let numbers = state.allocated.iter().zip(0..).map(|(&nodes, segment)| (segment, nodes));
        let ends = numbers.filter(|&(_, nodes)| nodes > 0).map(|(segment, nodes)| first_of(segment) + nodes);
        let end = ends.max().unwrap_or(0);
        if (end as usize) < FEW || end as usize / ROOMY < state.len {
            return end;
        }
        let waits = state.limbo.iter().map(|slot| slot + 1).max().unwrap_or(0);
        let last = state.chunks.iter().rposition(|chunk| chunk.live != 0);
        let lives =
            last.map_or(0, |chunk| (chunk + 1) * CHUNK - state.chunks[chunk].live.leading_zeros() as usize);
        let used = waits.max(u32::try_from(lives).unwrap_or(u32::MAX));
        let mut left = end;
        for segment in (0..SEGMENTS).rev().take_while(|&segment| first_of(segment) >= used) {
            let nodes = std::mem::take(&mut state.allocated[segment]);
            if nodes > 0 {
                left = first_of(segment);
                // SAFETY: nothing is filled (4); a reader who knew a number would keep it in limbo (3).
                unsafe { self.slots.free(segment, nodes) };
            }
        }
        if left < end {
            // Numbers that were never used are in the last segment.
            (state.fresh, state.fresh_end) = (left, left);
            state.free.retain(|slot| *slot < left);
            state.free.shrink_to_fit();
            state.chunks.truncate((left as usize).div_ceil(CHUNK));
            state.chunks.shrink_to_fit();
        }
        left
    }

    /// Gives all memory back. Nothing is live and nothing in limbo.
    pub(super) fn release(&self, state: &mut State<K, V>) {
        self.exchange(Table::new(Size::of(0, 0)));
        state.cells.release(&self.cells);
        state.kept.release(&self.kept);
        for segment in 0..SEGMENTS {
            let nodes = std::mem::take(&mut state.allocated[segment]);
            if nodes > 0 {
                // SAFETY: nothing is filled (4); a reader who knew a number would keep it in limbo (3).
                unsafe { self.slots.free(segment, nodes) };
            }
        }
        *state = State { hints: state.hints, ..State::new(state.expected) };
    }
}
