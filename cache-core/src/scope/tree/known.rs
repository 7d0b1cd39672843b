//! The level that a place in the code means, found once.
//!
//! (1) What is remembered is a level of one tree, and the number of that tree, in one word: it serves that tree alone.
//! (2) The first tree that a place meets is remembered for good, so the word is written once, by whoever comes first.
//! Cost: one load and one comparison.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{LevelId, ScopeTree};

/// Bits of the word that say the level.
const LEVEL: u32 = 16;

/// A level of the first tree that asked, beside names that never change.
#[derive(Debug)]
pub struct Known(AtomicU64);

impl Known {
    /// Nothing is known yet.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "it stands beside a place in the code, as a static")]
    pub const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// The level, if it is known for this tree.
    #[inline]
    pub(in crate::scope) fn level(&self, tree: &ScopeTree) -> Option<LevelId> {
        let word = self.0.load(Ordering::Relaxed);
        (word >> LEVEL == tree.number).then_some(LevelId(word as u16))
    }

    /// What the names are in this tree.
    pub(in crate::scope) fn remember(&self, tree: &ScopeTree, level: LevelId) {
        let word = tree.number << LEVEL | u64::from(level.0);
        // Whoever was first stays.
        let _ = self.0.compare_exchange(0, word, Ordering::Relaxed, Ordering::Relaxed);
    }
}
