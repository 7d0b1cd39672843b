//! The epoch, the safe epoch, and the records they are computed from.
//!
//! Invariants (2) to (4) of the room are kept here. One domain serves the process; tests have their own.

use super::barrier;
use super::record::{FENCED, RAISE, Records, epoch_of, word_of};
use crate::sync::{AtomicU64, Ordering, fence};

/// The moment of an unlink, as an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Stamp(u64);

/// A word alone in its cache lines, for readers read one and writers the other.
#[derive(Debug)]
#[repr(align(128))]
struct Alone(AtomicU64);

/// An epoch and those who show it.
#[derive(Debug)]
pub(super) struct Domain {
    epoch: Alone,
    safe: Alone,
    records: Records,
}

impl Domain {
    /// Epochs count from 1, for 0 says that a thread is not pinned. The present one is kept as the word of a pin.
    #[cfg(not(any(shuttle, loom)))]
    pub(super) const fn new() -> Self {
        Self {
            epoch: Alone(AtomicU64::new(word_of(1))),
            safe: Alone(AtomicU64::new(1)),
            records: Records::new(),
        }
    }

    #[cfg(any(shuttle, loom))]
    pub(super) fn new() -> Self {
        Self {
            epoch: Alone(AtomicU64::new(word_of(1))),
            safe: Alone(AtomicU64::new(1)),
            records: Records::default(),
        }
    }

    /// The epoch, as the word of a pin that shows it.
    #[inline]
    pub(super) fn epoch(&self) -> &AtomicU64 {
        &self.epoch.0
    }

    /// Whether those who pin run a fence.
    #[cfg(not(any(shuttle, loom)))]
    pub(super) fn is_fenced(&self) -> bool {
        self.epoch.0.load(Ordering::Relaxed) & FENCED != 0
    }

    /// From now on the kernel runs the fence of those who pin.
    pub(super) fn leave_fences_to_the_kernel(&self) {
        self.epoch.0.fetch_and(!FENCED, Ordering::AcqRel);
    }

    pub(super) fn records(&self) -> &Records {
        &self.records
    }

    /// The stamp of everything that the caller, or who it synchronised with, unlinked before.
    #[inline]
    pub(super) fn stamp(&self) -> Stamp {
        fence(Ordering::SeqCst);
        Stamp(epoch_of(self.epoch.0.load(Ordering::Relaxed)))
    }

    /// (4). `Acquire` for what readers did before the scan saw them go.
    #[inline]
    pub(super) fn is_past(&self, stamp: Stamp) -> bool {
        stamp.0 < self.safe.0.load(Ordering::Acquire)
    }

    /// Raises the epoch, and the safe one as far as the records allow.
    pub(super) fn advance(&self) {
        let raised = epoch_of(self.epoch.0.fetch_add(RAISE, Ordering::AcqRel)) + 1;
        if !barrier::heavy() {
            return;
        }
        let shown = self.records.iter().map(|record| record.shown()).filter(|&epoch| epoch != 0);
        let safe = shown.fold(raised, u64::min);
        // A scan that found less than another leaves the other's word, and what was released with it.
        self.safe.0.fetch_max(safe, Ordering::Release);
    }

    /// The safe epoch, for tests.
    #[cfg(test)]
    pub(super) fn safe(&self) -> u64 {
        self.safe.0.load(Ordering::Acquire)
    }
}
