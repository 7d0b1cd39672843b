//! Short texts as two words: hashed and compared without a call.
//!
//! (1) The words of a text of up to [`WORDS`] bytes are the whole text: two such texts of one length are equal if and
//! only if their words are. (2) A longer text is hashed and compared byte for byte beside its words.
//! (3) Hashes are keyed by numbers that are drawn for each registry, so nobody can choose ids that meet; they are never
//! stored, and a collision costs time only.
//! Cost: two multiplications for up to 16 bytes, one more for each 16 beyond.
//! After Wang Yi, "wyhash" (2019): fold the full product of two keyed words.

use std::hash::BuildHasher;

/// The longest text that its words say in full, in bytes.
const WORDS: usize = 16;

/// The first bytes of a text as numbers, the first byte lowest; 0 where it is shorter.
#[inline]
pub(super) fn words(text: &[u8]) -> [u64; 2] {
    if let Some(whole) = text.first_chunk() {
        let whole = u128::from_le_bytes(*whole);
        return [whole as u64, (whole >> 64) as u64];
    }
    // Two looks that overlap where the text is shorter than both: what both see is the same in both.
    let length = text.len() as u32;
    if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
        let (first, last) = (u64::from_le_bytes(*first), u64::from_le_bytes(*last));
        // 8 bytes move out whole, and 15 by one.
        return [first, last.checked_shr((16 - length) * 8).unwrap_or(0)];
    }
    if let (Some(first), Some(last)) = (text.first_chunk(), text.last_chunk()) {
        let (first, last) = (u32::from_le_bytes(*first), u32::from_le_bytes(*last));
        return [u64::from(first) | u64::from(last) << ((length - 4) * 8), 0];
    }
    [text.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)), 0]
}

/// The length of a text, and its words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Brief {
    length: usize,
    words: [u64; 2],
}

impl Brief {
    #[inline]
    pub(super) fn of(text: &[u8]) -> Self {
        Self::new(text.len(), words(text))
    }

    #[inline]
    pub(super) const fn new(length: usize, words: [u64; 2]) -> Self {
        Self { length, words }
    }

    #[inline]
    pub(super) const fn len(self) -> usize {
        self.length
    }

    /// Whether it is that of a text of up to [`WORDS`] bytes, of this length and with these words. One comparison.
    #[inline(always)]
    pub(super) const fn is_all(self, length: usize, [one, other]: [u64; 2]) -> bool {
        (self.words[0] ^ one) | (self.words[1] ^ other) | (self.length ^ length) as u64 == 0
    }

    /// Whether two texts, of which these are the briefs, are the same bytes. Longer ones are compared by the call.
    #[inline]
    pub(super) fn is_same(self, other: Self, in_full: impl FnOnce() -> bool) -> bool {
        self == other && (self.length <= WORDS || in_full())
    }
}

/// Numbers that nobody outside can know.
pub(super) struct Seeds([u64; 3]);

impl Seeds {
    pub(super) fn new(state: &impl BuildHasher) -> Self {
        Self([1, 2, 3].map(|seed| state.hash_one(seed)))
    }

    /// A hash of two numbers and a text, never 0. The text itself is asked for if it is long.
    #[inline]
    pub(super) fn hash<'t>(
        &self,
        above: u64,
        level: usize,
        brief: Brief,
        in_full: impl FnOnce() -> &'t [u8],
    ) -> u64 {
        let [first, second, third] = self.0;
        let state = fold(above ^ first, (level as u64) << 32 ^ brief.length as u64 ^ second);
        let state = if brief.length > WORDS { long(state, third, in_full()) } else { state };
        let [one, other] = brief.words;
        fold(one ^ state, other ^ third) | 1
    }
}

#[inline(never)]
fn long(state: u64, seed: u64, text: &[u8]) -> u64 {
    text.chunks(WORDS).fold(state, |state, chunk| {
        let [one, other] = words(chunk);
        fold(one ^ state, other ^ seed)
    })
}

/// The halves of the full product, folded.
#[inline]
fn fold(one: u64, other: u64) -> u64 {
    let product = u128::from(one) * u128::from(other);
    (product as u64) ^ (product >> 64) as u64
}

#[cfg(test)]
#[cfg(not(shuttle))]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_are_the_first_bytes_in_order_and_zeros() {
        for length in 0..40 {
            let text: Vec<u8> = (1..=length).collect();
            let mut first = [0; WORDS];
            let count = text.len().min(WORDS);
            first[..count].copy_from_slice(&text[..count]);
            let [one, other] = words(&text);
            assert_eq!([one.to_le_bytes(), other.to_le_bytes()].concat(), first, "{length}");
        }
    }

    fn same(one: &[u8], other: &[u8]) -> bool {
        Brief::of(one).is_same(Brief::of(other), || one == other)
    }

    #[test]
    fn texts_that_differ_in_one_byte_are_not_the_same_at_any_length() {
        for length in 0..40 {
            let text: Vec<u8> = (0..length).collect();
            assert!(same(&text, &text.clone()));
            for place in 0..text.len() {
                let mut other = text.clone();
                other[place] ^= 1;
                assert!(!same(&text, &other), "byte {place} of {length}");
                assert!(!same(&text, &text[..place]));
            }
        }
    }

    #[test]
    fn every_byte_every_number_and_the_key_change_the_hash() {
        let state = ahash::RandomState::with_seeds(1, 2, 3, 4);
        let hash =
            |seeds: &Seeds, above, level, text: &[u8]| seeds.hash(above, level, Brief::of(text), || text);
        let (seeds, others) = (Seeds::new(&state), Seeds::new(&ahash::RandomState::with_seeds(5, 6, 7, 8)));
        let mut seen = std::collections::BTreeSet::new();
        for length in 0..70 {
            let text = vec![b'a'; length];
            for (above, level) in [(1, 1), (1, 2), (2, 1)] {
                assert!(seen.insert(hash(&seeds, above, level, &text)));
                assert!(seen.insert(hash(&others, above, level, &text)));
            }
            for place in 0..length {
                let mut other = text.clone();
                other[place] = b'b';
                assert!(seen.insert(hash(&seeds, 1, 1, &other)), "byte {place} of {length}");
            }
        }
    }

    proptest! {
        #[test]
        fn same_is_equality(one in "[ab]{0,20}", other in "[ab]{0,20}") {
            prop_assert_eq!(same(one.as_bytes(), other.as_bytes()), one == other);
        }
    }
}
