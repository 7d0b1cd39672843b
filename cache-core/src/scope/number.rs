//! Short numbers for the nodes that exist.
//!
//! (1) Two nodes of a registry that exist at the same time have different numbers. (2) A number is used again after its
//! node was dropped, so they stay as small as there were nodes at a time. (3) `lowest` is at or below the first word that has a
//! free number.
//! Cost: a lock a node's life begins and ends with; a bit for each number that was ever given, and a look at some words where many
//! numbers in use lie below the first free one.

use crate::sync::Mutex;

const BITS: u32 = u64::BITS;

/// The numbers of a registry.
#[derive(Debug, Default)]
pub(super) struct Numbers(Mutex<Given>);

#[derive(Debug, Default)]
struct Given {
    next: u32,
    /// A bit is set for each number below `next` that came back.
    back: Vec<u64>,
    /// How many bits are set.
    came_back: u32,
    lowest: usize,
}

impl Numbers {
    pub(super) fn take(&self) -> u32 {
        let mut given = self.0.lock();
        given.take_back().unwrap_or_else(|| {
            // Two thousand million nodes at a time do not fit into memory. The highest bit says what a number is of.
            let next = given.next.checked_add(1).filter(|next| *next < 1 << 31);
            given.next = next.expect("fewer than 2^31 scopes exist at a time");
            given.next - 1
        })
    }

    /// Gives memory back where many nodes are gone.
    pub(super) fn shrink(&self) {
        self.0.lock().shrink();
    }

    pub(super) fn give_back(&self, number: u32) {
        let mut given = self.0.lock();
        let word = (number / BITS) as usize;
        if given.back.len() <= word {
            given.back.resize(word + 1, 0);
        }
        given.back[word] |= 1 << (number % BITS);
        given.came_back += 1;
        given.lowest = given.lowest.min(word);
    }
}

impl Given {
    /// Forgets numbers at the end that came back.
    fn shrink(&mut self) {
        let whole = |words: usize| words as u32 * BITS;
        let full = |word: &u64| *word == u64::MAX;
        // The last word in use may be a part; all its numbers that were given have to be back.
        let words = self.next.div_ceil(BITS) as usize;
        let unused = whole(words) - self.next;
        if self.back.len() < words || words == 0 || self.back[words - 1].count_ones() + unused < BITS {
            return;
        }
        let kept = self.back[..words - 1].iter().rposition(|word| !full(word)).map_or(0, |last| last + 1);
        self.came_back -= self.back[kept..].iter().map(|word| word.count_ones()).sum::<u32>();
        self.next = whole(kept);
        self.lowest = self.lowest.min(kept);
        // Into memory of its own: that of before was taken while there were many.
        self.back = self.back[..kept].into();
    }

    fn take_back(&mut self) -> Option<u32> {
        if self.came_back == 0 {
            return None;
        }
        self.lowest += self.back[self.lowest..].iter().position(|word| *word != 0)?;
        let word = &mut self.back[self.lowest];
        let bit = word.trailing_zeros();
        *word &= *word - 1;
        self.came_back -= 1;
        // The index of a word is a number by `BITS`, so it fits.
        Some(self.lowest as u32 * BITS + bit)
    }
}

#[cfg(test)]
#[cfg(not(shuttle))]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn numbers_that_came_back_are_given_again_before_new_ones_and_none_twice() {
        let numbers = Numbers::default();
        let mut held: BTreeSet<u32> = (0..300).map(|_| numbers.take()).collect();
        assert_eq!(held, (0..300).collect());
        let mut seed = 7_u32;
        for _ in 0..10_000 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            if seed >> 31 == 0 && !held.is_empty() {
                let number = held.iter().copied().nth((seed >> 8) as usize % held.len()).unwrap();
                held.remove(&number);
                numbers.give_back(number);
            } else if held.len() < 300 {
                let number = numbers.take();
                assert!(held.insert(number) && number < 300, "{number}");
            } else {
                numbers.shrink();
            }
        }
        while let Some(number) = held.pop_last() {
            numbers.give_back(number);
            numbers.shrink();
        }
        let given = numbers.0.lock();
        assert_eq!((given.next, given.came_back, given.back.capacity()), (0, 0, 0));
    }
}
