//! The entries of a shard for who holds its lock, read-only.

use super::entry::Entry;
use super::kept::Kept;
use super::state::State;
use super::{CHUNK, Reader};
use crate::policy::SlotId;
use crate::prefetch::prefetch;
use crate::scope::CellWord;

/// The entries of a shard, read-only, beside its books.
pub(in crate::engine) struct View<'a, K, V> {
    pub(super) reader: &'a Reader<K, V>,
    pub(super) state: &'a State<K, V>,
}

impl<K, V> Clone for View<'_, K, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, V> Copy for View<'_, K, V> {}

impl<'a, K, V> View<'a, K, V> {
    /// The entry of a slot, if it is live.
    #[inline(always)]
    pub(in crate::engine) fn entry(self, slot: SlotId) -> Option<Entry<'a, K, V>> {
        if !self.state.is_live(slot.0) {
            return None;
        }
        // SAFETY: a live slot is filled (4) and its segment allocated; the lock is held for 'a.
        Some(Entry { node: unsafe { self.reader.slots.node(slot.0) }, slot })
    }

    /// What was kept beside a tagged entry that is live.
    pub(in crate::engine) fn cell_of(self, entry: Entry<'_, K, V>) -> Option<CellWord> {
        let word = || {
            let [word] = self.state.cells.at(entry.slot().0);
            CellWord::from_bits(word)
        };
        entry.header().state().is_tagged().then(word)
    }

    /// The times of a live entry, if it is kept past them.
    #[inline]
    pub(in crate::engine) fn kept_of(self, entry: Entry<'_, K, V>) -> Option<Kept> {
        self.state.kept_at(entry.slot().0)
    }

    /// The number of the node that a live entry is charged to: its scope, or the cell of its tags.
    #[inline]
    pub(in crate::engine) fn charged_of(self, entry: Entry<'_, K, V>) -> u32 {
        self.cell_of(entry).map_or(entry.header().scope(), CellWord::number)
    }

    /// Asks for the line of a slot ahead of its use.
    #[inline(always)]
    pub(in crate::engine) fn prefetch(self, slot: SlotId) {
        prefetch(self.reader.slots.line_of(slot.0));
    }

    /// Asks for the table's line of a hash ahead of its use.
    #[inline(always)]
    pub(in crate::engine) fn prefetch_home(self, hash: u32) {
        // SAFETY: the lock is held.
        unsafe { self.reader.table() }.prefetch(hash);
    }

    /// Lowers the heat of a live slot.
    #[inline]
    pub(in crate::engine) fn cool(self, slot: SlotId, to: u8) {
        if let Some(entry) = self.entry(slot) {
            let [limit, generation] = self.state.hints;
            entry.header().cool(to, limit, generation);
        }
    }

    /// No heat is above this.
    #[inline]
    pub(in crate::engine) fn heat_limit(self) -> u8 {
        let [limit, _] = self.state.hints;
        limit
    }

    /// Live slots.
    pub(in crate::engine) fn len(self) -> usize {
        self.state.len
    }

    /// Numbers in use or used before: those a scan has to visit.
    pub(in crate::engine) fn span(self) -> usize {
        self.state.chunks.len() * CHUNK
    }

    /// The live slots of a chunk, by rising number.
    pub(in crate::engine) fn live_in(self, chunk: usize) -> impl Iterator<Item = SlotId> + use<K, V> {
        let bits = self.state.chunks.get(chunk).map_or(0, |chunk| chunk.live);
        slots_of(chunk, bits)
    }
}

pub(super) fn slots_of(chunk: usize, mut bits: u64) -> impl Iterator<Item = SlotId> + use<> {
    std::iter::from_fn(move || {
        let bit = (bits != 0).then(|| bits.trailing_zeros())?;
        bits &= bits - 1;
        u32::try_from(chunk * CHUNK).ok().map(|first| SlotId(first + bit))
    })
}
