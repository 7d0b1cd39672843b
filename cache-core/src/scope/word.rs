//! The word of a registry: it moves whenever a detachment completes.
//!
//! (1) No two words of a process are the same number, whosever they are and whenever: what was found live at a word was found in
//! the registry whose word it was, before it moved. (2) A word never falls. (3) Who reads a number sees what was killed before
//! a move drew that number, or one below it: all moves draw from one counter, one after the other.
//! Cost: a load to read; two additions on shared lines to move.

use crossbeam_utils::CachePadded;

use crate::sync::{AtomicU64, Ordering};

/// A registry's word.
#[derive(Debug)]
pub struct Word(CachePadded<AtomicU64>);

impl Word {
    pub(super) fn new() -> Self {
        Self(CachePadded::new(AtomicU64::new(draw())))
    }

    /// The present number.
    #[inline]
    pub fn read(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    /// A detachment completes.
    pub(super) fn moves(&self) {
        self.0.fetch_max(draw(), Ordering::AcqRel);
    }
}

/// A number that was never drawn before. 2^64 are not drawn in a lifetime.
fn draw() -> u64 {
    // Explorers need not see it: what it orders is ordered by the word, in their schedules, too.
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::AcqRel)
}
