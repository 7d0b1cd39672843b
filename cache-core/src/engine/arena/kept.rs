//! The times of an entry that is kept past its time-to-live, or loaded anew before that is over.
//!
//! (1) The deadline in the header of such an entry is the moment from which somebody has to look here: no later than `fresh`. Hits before
//! it know nothing of all this. (2) `fresh` is never later than `gone`, when the entry is as absent as any that has expired.
//! (3) Nobody is to try to load it anew before `next`. (4) No word of a kept entry's `gone` is 0, so one that has none is not kept.
//! Cost: 40 bytes an entry, of those shards only that have kept one since they were last empty.

use std::time::Duration;

use crate::clock::{Deadline, Moment};

/// Words of an entry that is kept.
pub(super) const WORDS: usize = 5;

/// When an entry is fresh, and until when it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) struct Kept {
    /// It was written, or found to be unchanged.
    pub(in crate::engine) written: Moment,
    /// Its time-to-live is over.
    pub(in crate::engine) fresh: Moment,
    /// It is not kept any longer.
    pub(in crate::engine) gone: Moment,
    /// It may be tried to load it anew.
    pub(in crate::engine) next: Moment,
    /// How long before `fresh` it may come to that by chance: the mean of an exponential distribution, or zero if it does for certain.
    pub(in crate::engine) early: Duration,
}

impl Kept {
    /// As words beside its slot.
    pub(super) fn words(self) -> [u64; WORDS] {
        let early = u64::try_from(self.early.as_nanos()).unwrap_or(u64::MAX);
        [self.written.nanos(), self.fresh.nanos(), self.gone.nanos(), self.next.nanos(), early]
    }

    /// Of the words that stand beside a slot, if they say so.
    pub(super) fn of([written, fresh, gone, next, early]: [u64; WORDS]) -> Option<Self> {
        let [written, fresh, gone, next] = [written, fresh, gone, next].map(Moment::from_nanos);
        let early = Duration::from_nanos(early);
        (gone.nanos() != 0).then_some(Self { written, fresh, gone, next, early })
    }

    /// The deadline for the header, if nothing is to be tried before `next`.
    pub(in crate::engine) fn attended(self) -> Deadline {
        Deadline::pack(self.next.min(self.fresh))
    }
}
