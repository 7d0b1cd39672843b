//! Sixteen tags at one look: which of them equal one.
//!
//! Each byte is as it was at some moment of the look, and no two need be of the same. Cost: three instructions on x86-64.

use crate::sync::{AtomicU64, Ordering};

/// One bit for each of sixteen bytes that equals a tag.
#[cfg(all(target_arch = "x86_64", target_feature = "sse2"))]
#[inline]
pub(super) fn matches(words: [u64; 2], tag: u8) -> u32 {
    use std::arch::x86_64::{_mm_cmpeq_epi8, _mm_movemask_epi8, _mm_set_epi64x, _mm_set1_epi8};

    #[inline]
    #[target_feature(enable = "sse2")]
    fn compare(words: [u64; 2], tag: u8) -> i32 {
        let bytes = _mm_set_epi64x(words[1].cast_signed(), words[0].cast_signed());
        _mm_movemask_epi8(_mm_cmpeq_epi8(bytes, _mm_set1_epi8(tag.cast_signed())))
    }

    // SAFETY: this is compiled only where every processor has these instructions.
    unsafe { compare(words, tag) }.cast_unsigned()
}

#[cfg(not(all(target_arch = "x86_64", target_feature = "sse2")))]
#[inline]
pub(super) fn matches(words: [u64; 2], tag: u8) -> u32 {
    matches_by_words(words, tag)
}

/// As `matches`, with plain words. Exact: a form with false positives could choose an empty way, whose slot may be another's.
#[cfg(any(test, not(all(target_arch = "x86_64", target_feature = "sse2"))))]
fn matches_by_words(words: [u64; 2], tag: u8) -> u32 {
    const LOW: u64 = 0x7f7f_7f7f_7f7f_7f7f;
    let half = |word: u64| {
        let x = word ^ u64::from_ne_bytes([tag; 8]);
        // The high bit of each byte that is zero in `x`.
        let zero = !(((x & LOW) + LOW) | x | LOW);
        // Gathers the eight high bits in one byte.
        ((zero >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56) as u32
    };
    half(words[0]) | half(words[1]) << 8
}

/// Two words, as they were at one look, in one register.
///
/// What an instruction loads that is twice as wide as the words there is defined by the processor, not by the language, which
/// knows loads of this width only where nobody writes; so the instruction is written out. Either half is as it was at some moment
/// meanwhile (Intel 64 SDM 3A, 9.1.1; AMD64 APM 2, 7.3.2, for quadwords), and later loads come later (TSO).
#[cfg(all(target_arch = "x86_64", target_feature = "sse2", not(any(shuttle, loom, miri))))]
#[derive(Clone, Copy)]
pub(super) struct Lanes(std::arch::x86_64::__m128i);

#[cfg(all(target_arch = "x86_64", target_feature = "sse2", not(any(shuttle, loom, miri))))]
impl Lanes {
    /// # Safety
    /// The words begin at a multiple of sixteen bytes.
    #[inline(always)]
    pub(super) unsafe fn at(words: &[AtomicU64; 2]) -> Self {
        let lanes;
        // SAFETY: the two words are there, and aligned as the caller says; nothing is written.
        unsafe {
            std::arch::asm!(
                "movdqa {lanes}, xmmword ptr [{words}]",
                words = in(reg) std::ptr::from_ref(words),
                lanes = out(xmm_reg) lanes,
                options(readonly, nostack, preserves_flags),
            );
        }
        std::sync::atomic::compiler_fence(Ordering::Acquire);
        Self(lanes)
    }

    /// One bit for each byte that equals a tag.
    #[inline(always)]
    pub(super) fn equal_to(self, tag: u8) -> u32 {
        use std::arch::x86_64::{__m128i, _mm_cmpeq_epi8, _mm_movemask_epi8, _mm_set1_epi8};

        #[inline]
        #[target_feature(enable = "sse2")]
        fn compare(lanes: __m128i, tag: u8) -> i32 {
            _mm_movemask_epi8(_mm_cmpeq_epi8(lanes, _mm_set1_epi8(tag.cast_signed())))
        }

        // SAFETY: this is compiled only where every processor has these instructions.
        unsafe { compare(self.0, tag) }.cast_unsigned()
    }

    /// Sixteen of the bits: those from `16 * LANE` on.
    #[inline(always)]
    pub(super) fn lane<const LANE: i32>(self) -> u32 {
        use std::arch::x86_64::{__m128i, _mm_extract_epi16};

        #[inline]
        #[target_feature(enable = "sse2")]
        fn extract<const LANE: i32>(lanes: __m128i) -> i32 {
            _mm_extract_epi16::<LANE>(lanes)
        }

        // SAFETY: as above.
        unsafe { extract::<LANE>(self.0) }.cast_unsigned()
    }
}

/// Two words, as they were at one look.
#[cfg(not(all(target_arch = "x86_64", target_feature = "sse2", not(any(shuttle, loom, miri)))))]
#[derive(Clone, Copy)]
pub(super) struct Lanes([u64; 2]);

#[cfg(not(all(target_arch = "x86_64", target_feature = "sse2", not(any(shuttle, loom, miri)))))]
impl Lanes {
    /// # Safety
    /// None is asked for here.
    #[inline]
    pub(super) unsafe fn at(words: &[AtomicU64; 2]) -> Self {
        // The lower first: an explorer shall find that nothing relies on any order.
        let [lower, upper] = words;
        let lower = lower.load(Ordering::Acquire);
        Self([lower, upper.load(Ordering::Acquire)])
    }

    #[inline]
    pub(super) fn equal_to(self, tag: u8) -> u32 {
        matches(self.0, tag)
    }

    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "sixteen bits")]
    pub(super) fn lane<const LANE: i32>(self) -> u32 {
        let word = self.0[usize::from(LANE >= 4)];
        (word >> (LANE % 4 * 16)) as u32 & 0xffff
    }
}

#[cfg(all(test, not(any(shuttle, loom))))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn all_ways_to_compare_tags_agree(a: u64, b: u64, tag: u8, pick in 0usize..16) {
            #[repr(align(16))]
            struct Aligned([AtomicU64; 2]);

            prop_assert_eq!(matches([a, b], tag), matches_by_words([a, b], tag));
            let [bytes_a, bytes_b] = [a.to_le_bytes(), b.to_le_bytes()];
            let present = [bytes_a, bytes_b].concat()[pick];
            let expected = (0..16).filter(|&i| [bytes_a, bytes_b].concat()[i] == present).map(|i| 1 << i).sum::<u32>();
            prop_assert_eq!(matches([a, b], present), expected);
            let words = Aligned([AtomicU64::new(a), AtomicU64::new(b)]);
            // SAFETY: they are aligned.
            let lanes = unsafe { Lanes::at(&words.0) };
            prop_assert_eq!(lanes.equal_to(present), expected);
            prop_assert_eq!([lanes.lane::<0>(), lanes.lane::<3>()].map(u64::from), [a & 0xffff, a >> 48]);
            prop_assert_eq!([lanes.lane::<4>(), lanes.lane::<7>()].map(u64::from), [b & 0xffff, b >> 48]);
        }
    }
}
