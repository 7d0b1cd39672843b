//! Words beside the slots, in tables of their own: what few entries have. For tagged ones the word of the cell they are charged to; for
//! those that are [kept](super::Kept) past their time, their times.
//!
//! (1) Only the holder of the shard's lock writes. The words of a slot are written before the table names it, so a reader who found its
//! entry, and looks here then, finds the words of that very entry for as long as he is pinned. (2) A larger table has all words of the one
//! before, which do not change any more: a reader who looks there finds what was so a moment ago. (3) Cells do not change while their
//! entry can be found. Times do, under the lock, word by word; readers who meet that see each word as it was or as it is.
//! Cost: nothing where no entry has any; else the words of each slot up to the highest that ever had some, until the shard is empty.

use crate::epoch::{Pin, Slot};
use crate::sync::{Arc, AtomicU64, Ordering};

/// Slots of the smallest table.
const FEWEST: usize = if cfg!(any(shuttle, loom)) { 1 } else { 64 };

/// As readers see them.
pub(super) type Shown<const N: usize> = Slot<Words<N>>;

/// The words of the first so many slots.
#[derive(Debug)]
pub(super) struct Words<const N: usize>(Box<[[AtomicU64; N]]>);

impl<const N: usize> Words<N> {
    fn at(&self, slot: u32) -> [u64; N] {
        self.0.get(slot as usize).map_or([0; N], read)
    }

    /// The words of a slot, for who found its entry.
    #[inline]
    pub(super) fn read(shown: &Shown<N>, pin: &Pin, slot: u32) -> [u64; N] {
        shown.load(pin).map_or([0; N], |words| words.at(slot))
    }
}

fn read<const N: usize>(words: &[AtomicU64; N]) -> [u64; N] {
    std::array::from_fn(|at| words[at].load(Ordering::Acquire))
}

/// For the holder of the shard's lock: the same, and what becomes of them.
#[derive(Debug, Default)]
pub(super) struct Written<const N: usize>(Option<Arc<Words<N>>>);

impl<const N: usize> Written<N> {
    /// Whether any slot has had some.
    #[inline(always)]
    pub(super) fn is_in_use(&self) -> bool {
        self.0.is_some()
    }

    /// The words of a slot.
    pub(super) fn at(&self, slot: u32) -> [u64; N] {
        self.0.as_ref().map_or([0; N], |words| words.at(slot))
    }

    /// Writes the words of a slot.
    #[cold]
    pub(super) fn write(&mut self, shown: &Shown<N>, slot: u32, words: [u64; N]) {
        let known = self.0.as_ref().map_or(&[][..], |words| &words.0);
        if known.len() <= slot as usize {
            let wanted = (slot as usize + 1).next_power_of_two().max(FEWEST);
            let old = known.iter().map(read).chain(std::iter::repeat([0; N]));
            let words = Arc::new(Words(old.take(wanted).map(|words| words.map(AtomicU64::new)).collect()));
            // Readers may still look at the one before.
            drop(shown.swap(Some(Arc::clone(&words))));
            self.0 = Some(words);
        }
        if let Some(place) = self.0.as_ref().and_then(|words| words.0.get(slot as usize)) {
            place.iter().zip(words).for_each(|(place, word)| place.store(word, Ordering::Release));
        }
    }

    /// The slot has none.
    #[cold]
    pub(super) fn clear(&self, slot: u32) {
        if let Some(place) = self.0.as_ref().and_then(|words| words.0.get(slot as usize)) {
            place.iter().for_each(|place| place.store(0, Ordering::Release));
        }
    }

    /// Nothing is live, and nothing waits for readers.
    pub(super) fn release(&mut self, shown: &Shown<N>) {
        if self.0.take().is_some() {
            drop(shown.swap(None));
        }
    }
}

#[cfg(test)]
#[cfg(not(any(shuttle, loom)))]
mod tests {
    use super::*;
    use crate::epoch::pin;

    #[test]
    fn words_are_those_that_were_written_last_however_the_table_grows() {
        let (shown, mut written) = (Shown::<2>::new(None), Written::default());
        let pin = pin();
        assert_eq!((Words::read(&shown, &pin, 3), written.at(3)), ([0; 2], [0; 2]));
        for slot in [0, 5, 63, 64, 1_000, 70] {
            written.write(&shown, slot, [u64::from(slot) + 1, 7]);
            written.write(&shown, 9, [7, u64::from(slot)]);
            for known in [0, 5].into_iter().filter(|known| *known <= slot) {
                assert_eq!(Words::read(&shown, &pin, known), [u64::from(known) + 1, 7]);
            }
            assert_eq!(Words::read(&shown, &pin, 9), [7, u64::from(slot)]);
            assert_eq!(written.at(slot), [u64::from(slot) + 1, 7]);
        }
        assert_eq!(written.0.as_ref().map(|words| words.0.len()), Some(1_024));
        written.clear(5);
        assert_eq!((Words::read(&shown, &pin, 5), written.at(0)), ([0; 2], [1, 7]));
        written.release(&shown);
        assert_eq!((Words::read(&shown, &pin, 0), written.at(0)), ([0; 2], [0; 2]));
    }
}
