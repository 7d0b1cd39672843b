//! Moments in 48 bits, which compare as what they stand for.
//!
//! (1) A moment is kept as 42 bits and a shift, rounded down: by nothing within 73 minutes of the clock's origin, nor for
//! whole milliseconds within three days, and by less than 1/2^41 of the moment ever. (2) Packed moments compare as the
//! moments do. (3) A *face* is a packed moment above sixteen bits that are set: a packed deadline above sixteen bits of
//! whatever is later than the face only if its moment is. Cost: a comparison is one of integers.

use super::Moment;

/// Bits of a packed moment that count; six more say by how much they are shifted.
const DIGITS: u32 = 42;

/// Bits below a packed moment in a word.
const BELOW: u32 = 16;

/// When the time of an entry is over, in 48 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Deadline(u64);

impl Deadline {
    pub(crate) const NEVER: Self = Self((1 << 48) - 1);

    pub(crate) const fn pack(moment: Moment) -> Self {
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

    pub(crate) const fn moment(self) -> Moment {
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

    /// The upper bits of a word.
    #[inline]
    pub(crate) const fn above(word: u64) -> Self {
        Self(word >> BELOW)
    }

    /// A word with other bits below.
    #[inline]
    pub(crate) const fn with(self, below: u16) -> u64 {
        self.0 << BELOW | below as u64
    }

    /// The word that is above every word of a deadline which is not later than this.
    pub(super) const fn face(self) -> u64 {
        self.with(u16::MAX)
    }
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
        assert!(Deadline::NEVER.with(0) > latest.face());
    }

    proptest! {
        #[test]
        fn packed_deadlines_round_down_by_little_and_keep_their_order(a: u64, b: u64, below: u16, shift in 0u32..64) {
            let (a, b) = ((a >> shift).min(u64::MAX - 1), (b >> shift).min(u64::MAX - 1));
            let packed = Deadline::pack(at(a));
            let back = packed.moment().nanos();
            prop_assert!(back <= a && a - back <= a >> 41);
            prop_assert!(a > b || packed <= Deadline::pack(at(b)));
            prop_assert_eq!(Deadline::above(packed.with(below)), packed);
            // What a face says is over is over, and it says so of whatever is not later, however little is left.
            prop_assert_eq!(packed.with(below) > Deadline::pack(at(b)).face(), packed > Deadline::pack(at(b)));
        }
    }
}
