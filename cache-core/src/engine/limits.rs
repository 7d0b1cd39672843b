//! The bounds of a cache, changeable at run time.
//!
//! A bound of zero stands for "none" inside and is refused outside. A bound of weight above 2^61 is one of 2^61, which
//! ledgers can count beyond. Cost: a relaxed load a read.

use std::num::NonZeroU64;

use crate::scope::Unit;
use crate::sync::{AtomicU64, Ordering};

/// No bound of weight is above this.
const MOST_WEIGHT: u64 = 1 << 61;

/// How much a cache may hold: entries, weight, or both.
#[derive(Debug, Default)]
pub struct Limits {
    entries: AtomicU64,
    weight: AtomicU64,
}

impl Limits {
    /// Bounds of so many entries and so much weight; `None` means no such bound.
    pub fn new(entries: Option<NonZeroU64>, weight: Option<NonZeroU64>) -> Self {
        let limits = Self::default();
        limits.set_entries(entries);
        limits.set_weight(weight);
        limits
    }

    /// Changes the bound of entries.
    pub fn set_entries(&self, most: Option<NonZeroU64>) {
        self.entries.store(most.map_or(0, NonZeroU64::get), Ordering::Relaxed);
    }

    /// Changes the bound of weight.
    pub fn set_weight(&self, most: Option<NonZeroU64>) {
        self.weight.store(most.map_or(0, |most| most.get().min(MOST_WEIGHT)), Ordering::Relaxed);
    }

    /// Entries at most.
    #[inline]
    pub fn max_entries(&self) -> Option<u64> {
        Some(self.entries.load(Ordering::Relaxed)).filter(|&most| most != 0)
    }

    /// Weight at most.
    #[inline]
    pub fn max_weight(&self) -> Option<u64> {
        Some(self.weight.load(Ordering::Relaxed)).filter(|&most| most != 0)
    }

    /// Whether so many entries of so much weight are too much.
    #[inline]
    pub fn exceeded_by(&self, entries: u64, weight: u64) -> bool {
        self.exceeded_in(entries, weight).is_some()
    }

    /// What so many entries of so much weight are too much of.
    #[inline]
    pub(crate) fn exceeded_in(&self, entries: u64, weight: u64) -> Option<Unit> {
        let above = |held: u64, most: Option<u64>| most.is_some_and(|most| held > most);
        if above(entries, self.max_entries()) {
            Some(Unit::Entries)
        } else {
            above(weight, self.max_weight()).then_some(Unit::Weight)
        }
    }

    /// Both bounds, by unit.
    pub(crate) fn both(&self) -> [Option<u64>; 2] {
        [self.max_entries(), self.max_weight()]
    }
}
