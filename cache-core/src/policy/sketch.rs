//! How often keys were seen lately, by a count-min sketch with small counters.
//!
//! (1) A key has 4 counters to 15 in one block of 64 bytes; its count is the least of them, so it is never told too
//! low except by ageing. (2) Only counters that show the least are raised. (3) After 10 increments per entry all
//! counters are halved, a few blocks at each increment, and half of the period counts as passed.
//! Cost: one line of memory per call; 8 bytes per entry.
//! After Cormode, Muthukrishnan, "An Improved Data Stream Summary", J. Algorithms 55(1), 2005; halving and small
//! counters after Einziger, Friedman, Manes, "TinyLFU", ACM ToS 13(4), 2017, sections 3.3 and 3.4.

use super::duel::Counts;
use super::ghost::Mixed;

/// Words of a block, each of 16 counters of 4 bits.
const WORDS: usize = 8;
/// Entries per block.
const ENTRIES: usize = 8;
const PERIOD: u32 = 10;

/// Counts of keys by their hash.
#[derive(Debug)]
pub(super) struct Sketch {
    blocks: Box<[[u64; WORDS]]>,
    increments: u32,
    /// The next block to halve; behind the last one if no halving is going on.
    hand: usize,
}

impl Sketch {
    /// Counters for a cache of some entries.
    pub(super) fn new(entries: usize) -> Self {
        let blocks = entries.div_ceil(ENTRIES).max(1);
        Self { blocks: vec![[0; WORDS]; blocks].into(), increments: 0, hand: blocks }
    }

    fn age(&mut self) {
        self.increments += 1;
        if self.increments >= PERIOD * (ENTRIES * self.blocks.len()) as u32 {
            self.increments /= 2;
            self.hand = 0;
        }
        if let Some(block) = self.blocks.get_mut(self.hand) {
            block.iter_mut().for_each(|word| *word = *word >> 1 & 0x7777_7777_7777_7777);
            self.hand += 1;
        }
    }

    /// The block of a key, and the word and shift of each of its four counters, two words apart.
    fn place(&self, key: Mixed) -> (usize, [(usize, u32); 4]) {
        let counter = |row: u32| {
            let bits = key.0 as u32 >> (6 * row);
            ((2 * row + (bits >> 4 & 1)) as usize, (bits & 15) * 4)
        };
        (key.among(self.blocks.len()), [counter(0), counter(1), counter(2), counter(3)])
    }
}

impl Counts for Sketch {
    fn count(&self, key: Mixed) -> u8 {
        let (at, counters) = self.place(key);
        let Some(block) = self.blocks.get(at) else { return 0 };
        counters.iter().map(|&(word, shift)| (block[word] >> shift & 15) as u8).min().unwrap_or(0)
    }

    fn bump(&mut self, key: Mixed, by: u8) {
        for _ in 0..by {
            let least = self.count(key);
            let (at, counters) = self.place(key);
            if let Some(block) = self.blocks.get_mut(at).filter(|_| least < 15) {
                for (word, shift) in counters {
                    if (block[word] >> shift & 15) as u8 == least {
                        block[word] += 1 << shift;
                    }
                }
            }
            self.age();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::ghost::mix;
    use super::*;

    #[test]
    fn counts_are_never_told_too_low_and_rarely_too_high() {
        let mut sketch = Sketch::new(1_000);
        for key in 0..1_000u32 {
            sketch.bump(mix(key), (key % 7) as u8);
        }
        assert!((0..1_000u32).all(|key| u32::from(sketch.count(mix(key))) >= key % 7));
        let high = (0..1_000u32).filter(|key| u32::from(sketch.count(mix(*key))) > key % 7).count();
        assert!(high < 50, "{high} of 1,000");
    }

    #[test]
    fn counters_stop_at_fifteen_and_are_halved_once_a_period() {
        let mut sketch = Sketch::new(80);
        (0..4).for_each(|_| sketch.bump(mix(1), 5));
        assert_eq!(sketch.count(mix(1)), 15);
        (0..779).for_each(|_| sketch.bump(mix(2), 1));
        assert_eq!(sketch.count(mix(1)), 15);
        (0..10).for_each(|_| sketch.bump(mix(2), 1));
        assert_eq!((sketch.count(mix(1)), sketch.increments), (7, 409));
    }
}
