//! Moments in 48 bits, which compare as what they stand for.
//!
//! (1) A moment is kept as 42 bits and a shift, rounded down: by nothing within 73 minutes of the clock's origin, nor for
//! whole milliseconds within three days, and by less than 1/2^41 of the moment ever. (2) Packed moments compare as the
//! moments do. (3) In a word a packed moment has eight bits above it and eight below. A *face* is a word in which all of these are
//! set: of words whose upper eight are set, too, one is above the face if, and only if, its moment is later. Cost: a comparison is
//! one of integers.

use super::Moment;

/// Bits of a packed moment that count; six more say by how much they are shifted.
const DIGITS: u32 = 42;

/// Bits below a packed moment in a word, and above it.
const BESIDE: u32 = 8;

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

    /// What stands in the middle of a word.
    #[inline]
    pub(crate) const fn within(word: u64) -> Self {
        Self(word << BESIDE >> (2 * BESIDE))
    }

    /// A word with other bits above and below.
    #[inline]
    pub(crate) const fn between(self, above: u8, below: u8) -> u64 {
        (above as u64) << (u64::BITS - BESIDE) | self.0 << BESIDE | below as u64
    }

    /// The word that is above every word of a deadline which is not later than this.
    pub(super) const fn face(self) -> u64 {
        self.between(u8::MAX, u8::MAX)
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
        assert!(Deadline::NEVER.between(u8::MAX, 0) > latest.face());
    }

    proptest! {
        #[test]
        fn packed_deadlines_round_down_by_little_and_keep_their_order(a: u64, b: u64, above: u8, below: u8, shift in 0u32..64) {
            let (a, b) = ((a >> shift).min(u64::MAX - 1), (b >> shift).min(u64::MAX - 1));
            let packed = Deadline::pack(at(a));
            let back = packed.moment().nanos();
            prop_assert!(back <= a && a - back <= a >> 41);
            prop_assert!(a > b || packed <= Deadline::pack(at(b)));
            prop_assert_eq!(Deadline::within(packed.between(above, below)), packed);
            // What a face says is over is over, and it says so of whatever is not later, however little is left.
            let face = Deadline::pack(at(b)).face();
            prop_assert_eq!(packed.between(u8::MAX, below) > face, packed > Deadline::pack(at(b)));
            prop_assert!(above == u8::MAX || packed.between(above, below) < face);
        }
    }
}
