//! What one thread shows of its pins, and the list of all such records.
//!
//! Invariants (1), (5) and (6) of the room are kept here. Only the record's thread writes `word`, so
//! plain loads and stores do. The list only grows, by as many records as threads were ever pinned at once.

use std::marker::PhantomData;

use super::barrier;
use crate::sync::{AtomicBool, AtomicU64, OnceLock, Ordering};

/// Bits of `word` below the epoch. Epochs have 44: at one a microsecond half a year, at one in 20 insertions' time far more.
const SHIFT: u32 = 20;

/// In `word`: nobody gives the record back but the last pin.
const ORPHAN: u64 = 1 << (SHIFT - 1);

/// In `word`: how many pins there are. At this many, which takes as many forgotten ones, the thread stays pinned for good.
const COUNT: u64 = ORPHAN - 1;

/// One thread's line: alone in its two cache lines, for it is written at every pin.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Record {
    /// The epoch that is shown, or 0; then [`ORPHAN`], and the count of pins, which is 0 with the epoch.
    word: AtomicU64,
    taken: AtomicBool,
    next: OnceLock<&'static Record>,
}

impl Record {
    fn taken() -> Self {
        Self { word: AtomicU64::new(0), taken: AtomicBool::new(true), next: OnceLock::new() }
    }

    /// The epoch that the owner shows, 0 if it is not pinned. Who reads a later word than the one of some pin has
    /// everything behind it that was done under that pin.
    pub(super) fn shown(&self) -> u64 {
        self.word.load(Ordering::Acquire) >> SHIFT
    }

    /// Pins once more; the first time it shows the epoch. Only for the owner.
    #[inline]
    pub(super) fn pin(&'static self, epoch: &AtomicU64) -> Pin {
        let word = self.word.load(Ordering::Relaxed);
        if word & COUNT == 0 {
            // An epoch from long ago is as good: (1) wants that it was read before anything else is. `Release` for what
            // was done under the owner's previous pin, whose own word a scan may have missed.
            self.word.store(word | epoch.load(Ordering::Relaxed) << SHIFT | 1, Ordering::Release);
            barrier::light();
        } else {
            self.pin_again(word);
        }
        Pin { record: self, stays: PhantomData }
    }

    fn unpin_once(&self, word: u64) {
        if word & COUNT != COUNT {
            self.word.store(word - 1, Ordering::Release);
        }
    }

    fn pin_again(&self, word: u64) {
        if word & COUNT != COUNT {
            self.word.store(word + 1, Ordering::Release);
        }
    }

    /// Whether a pin of the owner's is in force.
    pub(super) fn is_pinned(&self) -> bool {
        self.word.load(Ordering::Relaxed) & COUNT != 0
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
        self.word.store(self.word.load(Ordering::Relaxed) | ORPHAN, Ordering::Release);
    }

    fn give_back(&self) {
        self.word.store(0, Ordering::Release);
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
        let word = self.record.word.load(Ordering::Relaxed);
        if word & COUNT != 1 {
            return self.record.unpin_once(word);
        }
        self.record.word.store(word & ORPHAN, Ordering::Release);
        if word & ORPHAN != 0 {
            super::local::forget(self.record);
            self.record.give_back();
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
