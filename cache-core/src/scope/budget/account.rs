//! What one path has got: its bounds and its reserve, shared by the incarnations of its scope.
//!
//! (1) What is read here is what was granted; only the table changes it, under its lock. (2) An account that has no terms of
//! its own stands for those below it: nothing is ordered in it. (3) Who drops the last hold returns the reserve.
//! Cost: 160 bytes a path with a budget at or below it; a read is one relaxed load.

use super::asked::{Terms, UNBOUNDED};
use super::table::Book;
use crate::prefetch::prefetch;
use crate::scope::tree::LevelId;
use crate::sync::{Arc, AtomicBool, AtomicU64, Ordering, Weak};

/// What is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Unit {
    /// Entries.
    Entries,
    /// Their weight.
    Weight,
}

impl Unit {
    /// All there are.
    pub const BOTH: [Self; 2] = [Self::Entries, Self::Weight];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Entries => "entries",
            Self::Weight => "weight",
        }
    }
}

/// The account of a path. What writes look at comes first.
#[repr(C)]
pub struct Account {
    capacity: [AtomicU64; 2],
    reserve: [AtomicU64; 2],
    /// A note of whoever makes room in this scope.
    note: AtomicU64,
    has_terms: AtomicBool,
    /// A reserve was asked for that did not fit.
    was_refused: AtomicBool,
    level: LevelId,
    /// Where its promises are kept, and the hash it is known by.
    place: u32,
    hash: u64,
    /// Which holds accounts that were set by name, so this may not hold it.
    book: Weak<Book>,
    parent: Option<Arc<Account>>,
    text: Box<str>,
}

impl Account {
    pub(super) fn new(
        book: Weak<Book>,
        parent: Option<Arc<Self>>,
        level: LevelId,
        text: Box<str>,
        (place, hash): (u32, u64),
    ) -> Self {
        let unbounded = || AtomicU64::new(UNBOUNDED);
        Self {
            book,
            parent,
            level,
            text,
            place,
            hash,
            capacity: [unbounded(), unbounded()],
            reserve: Default::default(),
            has_terms: AtomicBool::new(false),
            was_refused: AtomicBool::new(false),
            note: AtomicU64::new(0),
        }
    }

    /// Asks for what writes look at ahead of its use.
    #[inline]
    pub(in crate::scope) fn prefetch(&self) {
        prefetch(&raw const self.capacity);
        prefetch(&raw const self.has_terms);
    }

    /// The most that the scope may hold; `u64::MAX` without a bound.
    #[inline]
    pub fn capacity(&self, unit: Unit) -> u64 {
        self.capacity[unit as usize].load(Ordering::Relaxed)
    }

    /// What nobody else may take of the scope; 0 without a reserve, or where it did not fit.
    #[inline]
    pub fn reserve(&self, unit: Unit) -> u64 {
        self.reserve[unit as usize].load(Ordering::Relaxed)
    }

    /// Whether the scope has a budget of its own, so that its entries are ordered among themselves.
    #[inline]
    pub fn has_terms(&self) -> bool {
        self.has_terms.load(Ordering::Relaxed)
    }

    /// Whether a reserve was asked for, by the level, that did not fit any more.
    pub fn was_refused(&self) -> bool {
        self.was_refused.load(Ordering::Relaxed)
    }

    /// Where whoever makes room in this scope leaves a note for the next.
    #[inline]
    pub(crate) fn note(&self) -> &AtomicU64 {
        &self.note
    }

    pub(in crate::scope) fn parent(&self) -> Option<&Arc<Self>> {
        self.parent.as_ref()
    }

    pub(in crate::scope) fn level(&self) -> LevelId {
        self.level
    }

    pub(in crate::scope) fn text(&self) -> &str {
        &self.text
    }

    pub(super) fn place(&self) -> u32 {
        self.place
    }

    /// Writes down what was granted; whether the scope is ordered by itself now, and was not, or the other way round.
    pub(super) fn write(&self, terms: Terms, has_terms: bool, was_refused: bool) -> bool {
        for unit in Unit::BOTH {
            self.capacity[unit as usize].store(terms.capacity[unit as usize], Ordering::Relaxed);
            self.reserve[unit as usize].store(terms.reserve[unit as usize], Ordering::Relaxed);
        }
        self.was_refused.store(was_refused, Ordering::Relaxed);
        self.has_terms.swap(has_terms, Ordering::AcqRel) != has_terms
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        if let Some(book) = self.book.upgrade() {
            book.close(self.place, self.hash);
        }
    }
}

impl std::fmt::Debug for Account {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Account")
            .field("capacity", &self.capacity)
            .field("reserve", &self.reserve)
            .field("has_terms", &self.has_terms())
            .finish_non_exhaustive()
    }
}
