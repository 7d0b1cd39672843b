//! The words of tagged entries, beside the slots: which cell an entry was charged to.
//!
//! (1) Only the holder of the shard's lock writes, and only the word of a slot that no reader knows, before the table names the slot.
//! So a reader who found a tagged entry, and looks here then, finds the word of that very entry for as long as he is pinned. (2) A
//! larger table has all words of the one before, whose words do not change any more.
//! Cost: nothing where no entry has tags; else 8 bytes for each slot up to the highest that ever had one, until the shard is empty.

use crate::epoch::{Pin, Slot};
use crate::sync::{Arc, AtomicU64, Ordering};

/// Words of the smallest table.
const FEWEST: usize = if cfg!(any(shuttle, loom)) { 1 } else { 64 };

/// As readers see them.
pub(super) type Shown = Slot<Words>;

/// The words of the first so many slots.
#[derive(Debug)]
pub(super) struct Words(Box<[AtomicU64]>);

impl Words {
    fn at(&self, slot: u32) -> u64 {
        self.0.get(slot as usize).map_or(0, |word| word.load(Ordering::Acquire))
    }

    /// The word of a slot, for who found its entry.
    #[inline]
    pub(super) fn read(shown: &Shown, pin: &Pin, slot: u32) -> u64 {
        shown.load(pin).map_or(0, |words| words.at(slot))
    }
}

/// For the holder of the shard's lock: the same, and what becomes of them.
#[derive(Debug, Default)]
pub(super) struct Written(Option<Arc<Words>>);

impl Written {
    /// The word of a slot.
    pub(super) fn at(&self, slot: u32) -> u64 {
        self.0.as_ref().map_or(0, |words| words.at(slot))
    }

    /// Writes the word of a slot that no reader knows.
    #[cold]
    pub(super) fn write(&mut self, shown: &Shown, slot: u32, word: u64) {
        let known = self.0.as_ref().map_or(&[][..], |words| &words.0);
        if known.len() <= slot as usize {
            let wanted = (slot as usize + 1).next_power_of_two().max(FEWEST);
            let old = known.iter().map(|word| word.load(Ordering::Acquire)).chain(std::iter::repeat(0));
            let words = Arc::new(Words(old.take(wanted).map(AtomicU64::new).collect()));
            // Readers may still look at the one before.
            drop(shown.swap(Some(Arc::clone(&words))));
            self.0 = Some(words);
        }
        if let Some(place) = self.0.as_ref().and_then(|words| words.0.get(slot as usize)) {
            place.store(word, Ordering::Release);
        }
    }

    /// Nothing is live, and nothing waits for readers.
    pub(super) fn release(&mut self, shown: &Shown) {
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
        let (shown, mut written) = (Shown::new(None), Written::default());
        let pin = pin();
        assert_eq!((Words::read(&shown, &pin, 3), written.at(3)), (0, 0));
        for slot in [0, 5, 63, 64, 1_000, 70] {
            written.write(&shown, slot, u64::from(slot) + 1);
            written.write(&shown, 9, u64::from(slot));
            for known in [0, 5].into_iter().filter(|known| *known <= slot) {
                assert_eq!(Words::read(&shown, &pin, known), u64::from(known) + 1);
            }
            assert_eq!(Words::read(&shown, &pin, 9), u64::from(slot));
            assert_eq!(written.at(slot), u64::from(slot) + 1);
        }
        assert_eq!(written.0.as_ref().map(|words| words.0.len()), Some(1_024));
        written.release(&shown);
        assert_eq!((Words::read(&shown, &pin, 5), written.at(5)), (0, 0));
    }
}
