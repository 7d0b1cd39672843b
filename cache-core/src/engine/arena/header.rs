//! What every entry carries beside key and value, in sixteen bytes.
//!
//! (1) Scope and hash are written before the entry can be found and not again. (2) Heat and age are hints: readers
//! raise them with plain loads and stores, so a raise may be lost. (3) A deadline is kept as 42 bits and a shift, rounded
//! down: by nothing within 73 minutes of the clock's origin, nor for whole milliseconds within three days, and by less
//! than 1/2^41 of the moment ever. (4) The halves of a deadline are read apart; one that is put off may be read torn, while it
//! is put off, which is while the entry is in use.

use crate::clock::Moment;
use crate::sync::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering::Relaxed};

/// Bits of a packed deadline that count; six more say by how much they are shifted.
const DIGITS: u32 = 42;

/// A deadline in 48 bits. Packed deadlines compare as what they stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::engine) struct Deadline(u64);

impl Deadline {
    pub(in crate::engine) const NEVER: Self = Self((1 << 48) - 1);

    pub(in crate::engine) const fn pack(moment: Moment) -> Self {
        let nanos = moment.nanos();
        if nanos == u64::MAX {
            return Self::NEVER;
        }
        // Shifts start where the digits are full, so that larger moments have larger patterns.
        let shift = (u64::BITS - nanos.leading_zeros()).saturating_sub(DIGITS);
        if shift == 0 {
            return Self(nanos);
        }
        let digits = (nanos >> shift) & ((1 << (DIGITS - 1)) - 1);
        Self(((shift as u64 + 1) << (DIGITS - 1)) | digits)
    }

    pub(in crate::engine) const fn moment(self) -> Moment {
        if self.0 == Self::NEVER.0 {
            return Moment::NEVER;
        }
        let shift = self.0 >> (DIGITS - 1);
        if shift <= 1 {
            return Moment::from_nanos(self.0);
        }
        let digits = (self.0 & ((1 << (DIGITS - 1)) - 1)) | (1 << (DIGITS - 1));
        Moment::from_nanos(digits << (shift - 1))
    }
}

/// The header of an entry.
#[derive(Debug)]
#[repr(C)]
pub(in crate::engine) struct Header {
    /// The scope's number above, the hash below.
    id: AtomicU64,
    deadline_low: AtomicU32,
    deadline_high: AtomicU16,
    heat: AtomicU8,
    age: AtomicU8,
}

#[cfg(not(any(shuttle, loom)))]
const _: () = assert!(size_of::<Header>() == 16);

impl Header {
    pub(in crate::engine) fn new(scope: u32, hash: u32, deadline: Deadline, age: u8) -> Self {
        let (low, high) = split(deadline);
        Self {
            id: AtomicU64::new(id_of(scope, hash)),
            deadline_low: AtomicU32::new(low),
            deadline_high: AtomicU16::new(high),
            heat: AtomicU8::new(0),
            age: AtomicU8::new(age),
        }
    }

    /// Whether it has this [`id_of`].
    #[inline]
    pub(super) fn is(&self, id: u64) -> bool {
        self.id.load(Relaxed) == id
    }

    #[inline]
    pub(in crate::engine) fn scope(&self) -> u32 {
        (self.id.load(Relaxed) >> 32) as u32
    }

    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "the lower half")]
    pub(in crate::engine) fn hash(&self) -> u32 {
        self.id.load(Relaxed) as u32
    }

    #[inline]
    pub(in crate::engine) fn deadline(&self) -> Deadline {
        let (low, high) = (self.deadline_low.load(Relaxed), self.deadline_high.load(Relaxed));
        Deadline(u64::from(low) | u64::from(high) << 32)
    }

    /// Moves the deadline of an entry that is in use. For the writer.
    pub(in crate::engine) fn put_off(&self, deadline: Deadline) {
        let (low, high) = split(deadline);
        self.deadline_low.store(low, Relaxed);
        if self.deadline_high.load(Relaxed) != high {
            self.deadline_high.store(high, Relaxed);
        }
    }

    /// Whether the entry's time is over. The clock is read only for an entry that has a deadline.
    #[inline]
    pub(in crate::engine) fn is_expired(&self, now: impl FnOnce() -> Moment) -> bool {
        let deadline = self.deadline();
        deadline != Deadline::NEVER && deadline.moment() <= now()
    }

    /// Raises the heat, to a limit at most.
    #[inline]
    pub(in crate::engine) fn warm(&self, limit: u8) {
        let heat = self.heat.load(Relaxed);
        if heat < limit {
            self.heat.store(heat + 1, Relaxed);
        }
    }

    pub(in crate::engine) fn heat(&self) -> u8 {
        self.heat.load(Relaxed)
    }

    /// Lowers the heat.
    pub(in crate::engine) fn cool(&self, to: u8) {
        if to < self.heat.load(Relaxed) {
            self.heat.store(to, Relaxed);
        }
    }

    /// Sets the heat of an entry that takes the place of another.
    pub(in crate::engine) fn set_heat(&self, heat: u8) {
        self.heat.store(heat, Relaxed);
    }

    /// The generation of the last use.
    pub(in crate::engine) fn age(&self) -> u8 {
        self.age.load(Relaxed)
    }

    /// Notes a use in a generation; written once in each.
    #[inline]
    pub(in crate::engine) fn refresh(&self, generation: u8) {
        if self.age.load(Relaxed) != generation {
            self.age.store(generation, Relaxed);
        }
    }
}

/// A scope's number and a hash in one word.
#[inline]
pub(super) const fn id_of(scope: u32, hash: u32) -> u64 {
    (scope as u64) << 32 | hash as u64
}

#[allow(clippy::cast_possible_truncation, reason = "the halves of 48 bits")]
const fn split(deadline: Deadline) -> (u32, u16) {
    (deadline.0 as u32, (deadline.0 >> 32) as u16)
}

#[cfg(all(test, not(any(shuttle, loom))))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(nanos: u64) -> Moment {
        Moment::from_nanos(nanos)
    }

    #[test]
    fn deadline_near_the_origin_is_kept_to_the_nanosecond() {
        for nanos in [0, 1, 999, (1 << 41) - 1, 1 << 41, (1 << 42) - 1] {
            assert_eq!(Deadline::pack(at(nanos)).moment(), at(nanos), "{nanos}");
        }
        let days = at(3 * 86_400_000_000_000 + 1_000_000);
        assert_eq!(Deadline::pack(days).moment(), days);
    }

    #[test]
    fn never_is_later_than_the_latest_moment() {
        let latest = Deadline::pack(at(u64::MAX - 1));
        assert!(latest < Deadline::NEVER && latest.moment() < Moment::NEVER);
        assert_eq!(Deadline::pack(Moment::NEVER).moment(), Moment::NEVER);
        let header = Header::new(1, 2, Deadline::NEVER, 0);
        assert!(!header.is_expired(|| at(u64::MAX - 1)));
    }

    proptest! {
        #[test]
        fn packed_deadlines_round_down_by_little_and_keep_their_order(a: u64, b: u64, shift in 0u32..64) {
            let (a, b) = ((a >> shift).min(u64::MAX - 1), (b >> shift).min(u64::MAX - 1));
            let packed = Deadline::pack(at(a));
            let (back, header) = (packed.moment().nanos(), Header::new(3, 4, packed, 0));
            prop_assert!(back <= a && a - back <= a >> 41);
            prop_assert_eq!(header.deadline(), packed);
            prop_assert!(a > b || packed <= Deadline::pack(at(b)));
        }
    }
}
