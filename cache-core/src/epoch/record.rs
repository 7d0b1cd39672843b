//! What one thread shows of its pins, and the list of all such records.
//!
//! Invariants (1), (5) and (6) of the room are kept here. Only the record's thread writes `word`, so
//! plain loads and stores do. The list only grows, by as many records as threads were ever pinned at once.

use std::marker::PhantomData;
use std::mem::ManuallyDrop;

use super::barrier;
use crate::sync::{AtomicBool, AtomicU64, OnceLock, Ordering};

/// Bits of `word` below the epoch. Epochs have 44: at one a microsecond half a year, at one in 20 insertions' time far more.
const SHIFT: u32 = 20;

/// In `word`: nobody gives the record back but the last pin.
const ORPHAN: u64 = 1 << (SHIFT - 1);

/// In the word of a domain: who pins has to run a fence himself. In that of a record it says nothing.
pub(super) const FENCED: u64 = ORPHAN >> 1;

/// In `word`: how many pins there are. At this many, which takes as many forgotten ones, the thread stays pinned for good.
const COUNT: u64 = FENCED - 1;

/// The word that shows an epoch without a count, as that of a [`Glimpse`]. A domain keeps its epoch as such a word.
pub(super) const fn word_of(epoch: u64) -> u64 {
    epoch << SHIFT | FENCED
}

/// The epoch of a word.
pub(super) const fn epoch_of(word: u64) -> u64 {
    word >> SHIFT
}

/// Between the words of two epochs that follow each other.
pub(super) const RAISE: u64 = 1 << SHIFT;

/// One thread's line: alone in its two cache lines, for it is written at every pin.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Record {
    /// The epoch that is shown, or 0; then [`ORPHAN`], and the count of pins, which is 0 with the epoch.
    word: AtomicU64,
    taken: AtomicBool,
    next: OnceLock<&'static Record>,
}

/// The record of threads that have none: it looks pinned, so that a glimpse needs no look of its own at whether there is one.
#[cfg(not(any(shuttle, loom)))]
pub(super) static NOBODYS: Record =
    Record { word: AtomicU64::new(ORPHAN), taken: AtomicBool::new(true), next: OnceLock::new() };

impl Record {
    fn taken() -> Self {
        Self { word: AtomicU64::new(0), taken: AtomicBool::new(true), next: OnceLock::new() }
    }

    /// The epoch that the owner shows, 0 if it is not pinned. Who reads a later word than the one of some pin has
    /// everything behind it that was done under that pin.
    pub(super) fn shown(&self) -> u64 {
        epoch_of(self.word.load(Ordering::Acquire))
    }

    /// Pins once more; the first time it shows the epoch, which comes as [`word_of`] it. Only for the owner, and not during a
    /// glimpse.
    #[inline]
    pub(super) fn pin(&'static self, epoch: &AtomicU64) -> Pin {
        if self.word.load(Ordering::Relaxed) == 0 { self.show(epoch, 1) } else { self.pin_again(epoch) }
    }

    /// As [`pin`](Self::pin), if there is no pin yet and the record no orphan.
    #[inline]
    pub(super) fn glimpse(&'static self, epoch: &AtomicU64) -> Option<Glimpse> {
        if self.word.load(Ordering::Relaxed) != 0 {
            return None;
        }
        // As in `show`; whoever has no fence of his own was found to need none before he could come here.
        self.word.store(epoch.load(Ordering::Relaxed), Ordering::Release);
        barrier::light(!barrier::MAY_BE_LEFT_TO_THE_KERNEL);
        Some(Glimpse(ManuallyDrop::new(Pin { record: self, stays: PhantomData })))
    }

    /// Whether the owner is in a glimpse. Who pins meanwhile takes another record.
    pub(super) fn is_in_a_glimpse(&self) -> bool {
        let word = self.word.load(Ordering::Relaxed);
        word != 0 && word & (ORPHAN | COUNT) == 0
    }

    #[inline]
    fn show(&'static self, epoch: &AtomicU64, count: u64) -> Pin {
        // An epoch from long ago is as good: (1) wants that it was read before anything else is. `Release` for what
        // was done under the owner's previous pin, whose own word a scan may have missed.
        let epoch = epoch.load(Ordering::Relaxed);
        self.word.store(epoch | count, Ordering::Release);
        barrier::light(epoch & FENCED != 0);
        Pin { record: self, stays: PhantomData }
    }

    #[inline(never)]
    fn pin_again(&'static self, epoch: &AtomicU64) -> Pin {
        let word = self.word.load(Ordering::Relaxed);
        if word & COUNT == 0 {
            let epoch = epoch.load(Ordering::Relaxed);
            self.word.store(word | epoch | 1, Ordering::Release);
            barrier::light(epoch & FENCED != 0);
        } else if word & COUNT != COUNT {
            self.word.store(word + 1, Ordering::Release);
        }
        Pin { record: self, stays: PhantomData }
    }

    /// A pin goes that is not the only one, or the record's last.
    #[inline(never)]
    fn unpin(&'static self, word: u64) {
        match word & COUNT {
            COUNT => {}
            1 => {
                super::local::forget(self);
                self.give_back();
            }
            _ => self.word.store(word - 1, Ordering::Release),
        }
    }

    /// Whether a pin of the owner's is in force.
    pub(super) fn is_pinned(&self) -> bool {
        epoch_of(self.word.load(Ordering::Relaxed)) != 0
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
        if word & (ORPHAN | COUNT) == 1 {
            self.record.word.store(0, Ordering::Release);
        } else {
            self.record.unpin(word);
        }
    }
}

/// The first pin of its thread, for a short look: its end is one instruction. Pins that a value's `Clone` makes meanwhile, and may
/// keep for longer, have another record.
#[derive(Debug)]
pub struct Glimpse(ManuallyDrop<Pin>);

impl std::ops::Deref for Glimpse {
    type Target = Pin;

    #[inline]
    fn deref(&self) -> &Pin {
        &self.0
    }
}

impl Drop for Glimpse {
    #[inline]
    fn drop(&mut self) {
        self.0.record.word.store(0, Ordering::Release);
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
