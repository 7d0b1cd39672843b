//! What one thread shows of its pins, and the list of all such records.
//!
//! Invariants (1), (5) and (6) of the room are kept here. `nesting` counts the pins of the record's thread; only that thread
//! uses it, so plain loads and stores do. The list only grows, by as many records as threads were ever pinned at once.

use std::marker::PhantomData;

use super::barrier;
use crate::sync::{AtomicBool, AtomicU64, OnceLock, Ordering};

/// In `nesting`: nobody gives the record back but the last pin.
const ORPHAN: u64 = 1 << 63;

/// One thread's line: alone in its two cache lines, for it is written at every pin.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Record {
    /// The epoch that is shown, or 0.
    active: AtomicU64,
    nesting: AtomicU64,
    taken: AtomicBool,
    next: OnceLock<&'static Record>,
}

impl Record {
    fn taken() -> Self {
        Self {
            active: AtomicU64::new(0),
            nesting: AtomicU64::new(0),
            taken: AtomicBool::new(true),
            next: OnceLock::new(),
        }
    }

    /// The epoch that the owner shows, 0 if it is not pinned. Who reads a later word than the one of some pin has
    /// everything behind it that was done under that pin.
    pub(super) fn shown(&self) -> u64 {
        self.active.load(Ordering::Acquire)
    }

    /// Pins once more; the first time it shows the epoch. Only for the owner.
    #[inline]
    pub(super) fn pin(&'static self, epoch: &AtomicU64) -> Pin {
        let nesting = self.nesting.load(Ordering::Relaxed);
        // 2^63 pins cannot be made, not even by forgetting them.
        self.nesting.store(nesting + 1, Ordering::Relaxed);
        if nesting & !ORPHAN == 0 {
            // An epoch from long ago is as good: (1) wants that it was read before anything else is. `Release` for what
            // was done under the owner's previous pin, whose own word a scan may have missed.
            self.active.store(epoch.load(Ordering::Relaxed), Ordering::Release);
            barrier::light();
        }
        Pin { record: self, stays: PhantomData }
    }

    /// Whether a pin of the owner's is in force.
    pub(super) fn is_pinned(&self) -> bool {
        self.nesting.load(Ordering::Relaxed) & !ORPHAN != 0
    }

    /// The owner goes: gives the record back, now or with its last pin. Whether it did so now.
    pub(super) fn leave(&self) -> bool {
        if self.is_pinned() {
            self.orphan();
            return false;
        }
        self.give_back();
        true
    }

    /// From now on the last pin gives the record back.
    pub(super) fn orphan(&self) {
        let nesting = self.nesting.load(Ordering::Relaxed);
        self.nesting.store(nesting | ORPHAN, Ordering::Relaxed);
    }

    fn give_back(&self) {
        self.nesting.store(0, Ordering::Relaxed);
        self.taken.store(false, Ordering::Release);
    }

    fn take(&self) -> bool {
        !self.taken.load(Ordering::Relaxed)
            && self.taken.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }
}

/// While it lives, nothing that its thread finds is used again. It stays on its thread.
#[derive(Debug)]
#[must_use = "the thread is pinned for as long as this lives"]
pub struct Pin {
    record: &'static Record,
    stays: PhantomData<*const ()>,
}

impl Drop for Pin {
    #[inline]
    fn drop(&mut self) {
        let left = self.record.nesting.load(Ordering::Relaxed) - 1;
        self.record.nesting.store(left, Ordering::Relaxed);
        if left & !ORPHAN == 0 {
            self.record.active.store(0, Ordering::Release);
            if left == ORPHAN {
                super::local::forget(self.record);
                self.record.give_back();
            }
        }
    }
}

/// The records of a domain, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Records {
    first: OnceLock<&'static Record>,
}

impl Records {
    #[cfg(not(any(shuttle, loom)))]
    pub(super) const fn new() -> Self {
        Self { first: OnceLock::new() }
    }

    /// A record for the calling thread: one that was given back, or a new one, which is never freed.
    pub(super) fn take(&self) -> &'static Record {
        if let Some(record) = self.iter().find(|record| record.take()) {
            return record;
        }
        let new: &'static Record = Box::leak(Box::new(Record::taken()));
        let mut end = &self.first;
        loop {
            match end.get() {
                Some(record) => end = &record.next,
                None if end.set(new).is_ok() => return new,
                // Somebody else was faster; theirs is there now.
                None => {}
            }
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &'static Record> + use<> {
        std::iter::successors(self.first.get().copied(), |record| record.next.get().copied())
    }
}
