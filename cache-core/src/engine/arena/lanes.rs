//! Which of sixteen bytes equal a tag, and are in use, at one look.
//!
//! Each byte is as it was at some moment of the look, and no two need be of the same. Cost: five instructions on x86-64.

/// One bit for each of the first sixteen bytes of something that equals a tag, if two bytes of it, from the one of number `USED` on, have that bit,
/// and it is one of the lowest `WAYS`. `words` are the sixteen bytes, and the bits in use.
///
/// What an instruction loads that is twice as wide as the words there is defined by the processor, not by the language, which
/// knows loads of this width only where nobody writes; so the instructions are written out. Each word is as it was at some moment
/// meanwhile (Intel 64 SDM 3A, 9.1.1; AMD64 APM 2, 7.3.2, for quadwords), and later loads come later (TSO).
///
/// # Safety
/// It begins at a multiple of sixteen bytes, and has four more behind those of number `USED - 1`.
#[cfg(all(target_arch = "x86_64", target_feature = "sse2", not(any(shuttle, loom, miri))))]
#[inline(always)]
pub(super) unsafe fn fits<T, const USED: usize, const WAYS: usize>(
    start: &T,
    tag: u8,
    _words: impl FnOnce() -> ([u64; 2], u32),
) -> u32 {
    use std::arch::x86_64::{__m128i, _mm_set1_epi8};

    #[inline]
    #[target_feature(enable = "sse2")]
    fn all(tag: u8) -> __m128i {
        _mm_set1_epi8(tag.cast_signed())
    }

    // SAFETY: this is compiled only where every processor has these instructions.
    let tags = unsafe { all(tag) };
    let fits: u32;
    // SAFETY: the bytes are there, and aligned as the caller says; nothing is written.
    unsafe {
        std::arch::asm!(
            "pcmpeqb {tags}, xmmword ptr [{start}]",
            "pmovmskb {fits:e}, {tags}",
            "and {fits:e}, dword ptr [{start} + {used}]",
            start = in(reg) std::ptr::from_ref(start),
            used = const USED,
            tags = inout(xmm_reg) tags => _,
            fits = out(reg) fits,
            options(readonly, nostack),
        );
    }
    std::sync::atomic::compiler_fence(crate::sync::Ordering::Acquire);
    // No more than sixteen bits are compared.
    if WAYS == 16 { fits } else { fits & ((1 << WAYS) - 1) }
}

/// As above.
///
/// # Safety
/// None is asked for here.
#[cfg(not(all(target_arch = "x86_64", target_feature = "sse2", not(any(shuttle, loom, miri)))))]
#[inline]
pub(super) unsafe fn fits<T, const USED: usize, const WAYS: usize>(
    _start: &T,
    tag: u8,
    words: impl FnOnce() -> ([u64; 2], u32),
) -> u32 {
    let (words, used) = words();
    matches(words, tag) & used & ((1 << WAYS) - 1)
}

/// One bit for each of sixteen bytes that equals a tag. Exact: a form with false positives could choose an empty way, whose slot may be
/// another's.
#[cfg(any(test, not(all(target_arch = "x86_64", target_feature = "sse2", not(any(shuttle, loom, miri))))))]
fn matches(words: [u64; 2], tag: u8) -> u32 {
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

#[cfg(all(test, not(any(shuttle, loom))))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[repr(C, align(32))]
    struct Aligned([u64; 4]);

    proptest! {
        #[test]
        fn both_ways_to_compare_tags_agree(words: [u64; 4], tag: u8, pick in 0usize..16) {
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            let expected = |tag: u8| (0..16).filter(|&i| bytes[i] == tag).map(|i| 1 << i).sum::<u32>();
            let two = |at: usize| u32::from(u16::from_le_bytes([bytes[at], bytes[at + 1]]));
            let aligned = Aligned(words);
            for tag in [tag, bytes[pick]] {
                prop_assert_eq!(matches([words[0], words[1]], tag), expected(tag));
                // SAFETY: it is aligned, and long enough.
                let near = unsafe { fits::<_, 10, 10>(&aligned, tag, || ([words[0], words[1]], two(10))) };
                prop_assert_eq!(near, expected(tag) & two(10) & 0x3ff);
                // SAFETY: as above.
                let wide = unsafe { fits::<_, 14, 16>(&aligned, tag, || ([words[0], words[1]], two(14))) };
                prop_assert_eq!(wide, expected(tag) & two(14));
            }
        }
    }
}
