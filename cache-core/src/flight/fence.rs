//! Which tags were withdrawn of late: what a load that began before one of them must not publish.
//!
//! (1) A withdrawal is noted here before it takes anything out of reach. So whoever finds a tag not noted, after it has said under
//! what it will be found, is found by every withdrawal that is noted later. (2) Each withdrawal has a count, one above the last.
//! (3) What is kept is the last few, as hashes of owner and text: whoever began before the oldest of them is told that anything may
//! have been withdrawn, and so is who asks for a hash that collides. Both cost a load that is not stored.
//! Cost: who asks compares one number unless something was withdrawn since; 8 bytes a withdrawal that is kept.

use std::collections::VecDeque;

use crate::sync::{Arc, AtomicU64, Mutex, Ordering};

/// Withdrawals that are kept.
const KEPT: usize = if cfg!(shuttle) { 3 } else { 1024 };

/// The withdrawals of tags of one cache.
#[derive(Debug, Default)]
pub struct Fences {
    count: AtomicU64,
    /// The last ones, as hashes, the latest behind. A lock within which no other is taken.
    last: Mutex<VecDeque<u64>>,
}

impl Fences {
    /// How many withdrawals there were.
    #[inline]
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::SeqCst)
    }

    /// Notes the withdrawal of a tag, by its hash.
    pub fn raise(&self, tag: u64) {
        let mut last = self.last.lock();
        if last.len() == KEPT {
            last.pop_front();
        }
        last.push_back(tag);
        self.count.fetch_add(1, Ordering::SeqCst);
    }

    /// Whether one of these tags, by their hashes, may have been withdrawn since there were so many withdrawals.
    pub fn is_broken(&self, since: u64, tags: &[u64]) -> bool {
        !tags.is_empty() && self.count() != since && self.has_one_of(since, tags)
    }

    #[cold]
    fn has_one_of(&self, since: u64, tags: &[u64]) -> bool {
        let last = self.last.lock();
        let missed = usize::try_from(self.count().saturating_sub(since)).unwrap_or(usize::MAX);
        missed > last.len() || last.iter().rev().take(missed).any(|tag| tags.contains(tag))
    }
}

/// What stands between a load with declared tags and who comes to it: none who comes after one of them was withdrawn may wait for it.
#[derive(Debug, Clone)]
pub struct Fence {
    fences: Arc<Fences>,
    since: u64,
    tags: Arc<[u64]>,
}

impl Fence {
    /// That of a load that begins now.
    pub fn new(fences: &Arc<Fences>, tags: Arc<[u64]>) -> Self {
        Self { fences: Arc::clone(fences), since: fences.count(), tags }
    }

    /// The same, of a load that begins now.
    #[must_use]
    pub fn renewed(&self) -> Self {
        Self::new(&self.fences, Arc::clone(&self.tags))
    }

    /// Whether one of the tags may have been withdrawn since.
    pub fn is_broken(&self) -> bool {
        self.fences.is_broken(self.since, &self.tags)
    }
}

#[cfg(test)]
#[cfg(not(any(shuttle, loom)))]
mod tests {
    use super::*;

    #[test]
    fn fence_breaks_for_its_own_tags_and_only_since_it_was_made() {
        let fences = Arc::new(Fences::default());
        fences.raise(1);
        let fence = Fence::new(&fences, [1, 2].into());
        assert!(!fence.is_broken());
        fences.raise(3);
        assert!(!fence.is_broken() && !fences.is_broken(1, &[]));
        fences.raise(2);
        assert!(fence.is_broken() && !fence.renewed().is_broken());
        assert_eq!(fences.count(), 3);
    }

    #[test]
    fn fence_that_is_older_than_what_is_kept_is_broken() {
        let fences = Arc::new(Fences::default());
        let fence = Fence::new(&fences, [7].into());
        (0..KEPT as u64).for_each(|tag| fences.raise(tag + 100));
        assert!(!fence.is_broken(), "all that were missed are kept");
        fences.raise(100);
        assert!(fence.is_broken(), "one was forgotten");
        assert!(fences.last.lock().len() == KEPT);
    }
}
