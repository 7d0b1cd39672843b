//! What the writer of a shard knows of its slots: which are live, which are free, when the next is due.
//!
//! Kept under the shard's lock. Of (1) and (4) of the room it holds the writer's side. Cost: 16 bytes for 64 slots.

use super::beside::Written;
use super::kept::{self, Kept};
use super::limbo::Limbo;
use super::slots::SEGMENTS;
use super::{BATCH, CHUNK, FEWEST, SHARE};
use crate::clock::Moment;

/// What the writer knows of the slots.
pub(super) struct State<K, V> {
    pub(super) chunks: Vec<Chunk>,
    pub(super) free: Vec<u32>,
    pub(super) limbo: Limbo,
    /// The next number that was never used, and the end of what is allocated for it.
    pub(super) fresh: u32,
    pub(super) fresh_end: u32,
    /// Nodes allocated in each segment.
    pub(super) allocated: [u32; SEGMENTS],
    pub(super) len: usize,
    /// Slots expected at most, or 0.
    pub(super) expected: u32,
    /// No deadline is before this.
    pub(super) earliest: Moment,
    /// Retirements since the epoch was last raised.
    pub(super) retired: usize,
    /// A table was replaced since, which waits to be dropped.
    pub(super) outgrown: bool,
    /// The heat at which uses leave no trace, and the present generation, as the writer was told last.
    pub(super) hints: [u8; 2],
    /// The words of tagged entries.
    pub(super) cells: Written<1>,
    /// The times of entries that are kept past them.
    pub(super) kept: Written<{ kept::WORDS }>,
    pub(super) payload: std::marker::PhantomData<(K, V)>,
}

#[derive(Clone, Copy)]
pub(super) struct Chunk {
    pub(super) live: u64,
    /// No deadline in the chunk is before this.
    pub(super) earliest: Moment,
}

impl<K, V> State<K, V> {
    pub(super) fn new(expected: u32) -> Self {
        Self {
            chunks: Vec::new(),
            free: Vec::new(),
            limbo: Limbo::new(),
            fresh: 0,
            fresh_end: 0,
            allocated: [0; SEGMENTS],
            len: 0,
            expected,
            earliest: Moment::NEVER,
            retired: 0,
            outgrown: false,
            hints: [u8::MAX, 0],
            cells: Written::default(),
            kept: Written::default(),
            payload: std::marker::PhantomData,
        }
    }

    pub(super) fn is_live(&self, slot: u32) -> bool {
        self.chunks
            .get(slot as usize / CHUNK)
            .is_some_and(|chunk| chunk.live >> (slot as usize % CHUNK) & 1 != 0)
    }

    /// The times of a live slot, if it is kept past them.
    #[inline]
    pub(super) fn kept_at(&self, slot: u32) -> Option<Kept> {
        if self.kept.is_in_use() { Kept::of(self.kept.at(slot)) } else { None }
    }

    /// A slot is live from now on, and the deadline of its entry is this one.
    #[inline(always)]
    pub(super) fn set_live(&mut self, slot: u32, due: Moment) {
        let at = slot as usize / CHUNK;
        if self.chunks.len() <= at {
            self.add_chunks(at);
        }
        let chunk = &mut self.chunks[at];
        chunk.live |= 1 << (slot as usize % CHUNK);
        chunk.earliest = chunk.earliest.min(due);
        self.earliest = self.earliest.min(due);
        self.len += 1;
    }

    /// The deadline of a live slot may be as early as this.
    pub(super) fn put_forward(&mut self, slot: u32, due: Moment) {
        if let Some(chunk) = self.chunks.get_mut(slot as usize / CHUNK) {
            chunk.earliest = chunk.earliest.min(due);
            self.earliest = self.earliest.min(due);
        }
    }

    #[cold]
    pub(super) fn add_chunks(&mut self, at: usize) {
        self.chunks.resize(at + 1, Chunk { live: 0, earliest: Moment::NEVER });
    }

    #[inline(never)]
    pub(super) fn is_tired(&mut self) -> bool {
        let batch = self.batch();
        let waits = self.retired >= batch / 2 && self.limbo.len() >= batch && !self.limbo.is_first_past();
        let tired = std::mem::take(&mut self.outgrown) || waits;
        if tired {
            self.retired = 0;
            self.limbo.stamp();
        }
        tired
    }

    /// Retired slots that wait before the writer looks whether readers have passed.
    pub(super) fn batch(&self) -> usize {
        // What has to be dropped may be large, so little of it waits.
        let share = if std::mem::needs_drop::<(K, V)>() { self.len / 64 } else { self.len / 16 };
        share.clamp(FEWEST, BATCH)
    }

    /// How many retired slots share a stamp: one in a small shard, where each of them counts.
    #[inline]
    pub(super) fn share(&self) -> u32 {
        let many = if std::mem::needs_drop::<(K, V)>() { 64 * 2 * SHARE } else { 16 * 2 * SHARE };
        if self.len >= many as usize { SHARE } else { 1 }
    }

    #[inline(always)]
    pub(super) fn clear_live(&mut self, slot: u32) {
        let chunk = &mut self.chunks[slot as usize / CHUNK];
        chunk.live &= !(1 << (slot as usize % CHUNK));
        if chunk.live == 0 {
            chunk.earliest = Moment::NEVER;
        }
        self.len -= 1;
    }
}
