//! Counters of one scope.
//!
//! (1) Loads, load failures and removals count along the whole path at the moment they happen; look-ups at the
//! tracked levels of the path. So an ancestor's counters already contain its descendants', and a node that goes takes
//! nothing along that is not counted above: folding into the parent is dropping. (2) Counters only rise.
//! (3) They belong to a path while it has a node; a detached node's successor continues them.
//! Cost: one relaxed addition per counted node.

use super::node::Node;
use crate::event::RemovalCause;
use crate::sync::{AtomicU64, Ordering};

/// The counters of a scope, shared by the incarnations of its node.
#[derive(Debug, Default)]
pub struct ScopeStats {
    /// Look-ups that were served.
    hits: AtomicU64,
    /// Look-ups that found nothing usable.
    misses: AtomicU64,
    /// Runs of a loader that ended well.
    loads: AtomicU64,
    /// Runs of a loader that failed, panicked or were cancelled.
    load_failures: AtomicU64,
    /// Entries that left, by the index of their cause.
    removals: [AtomicU64; RemovalCause::ALL.len()],
}

/// The values of a scope's counters, each read on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ScopeCounts {
    /// Look-ups that were served; counted at tracked levels only.
    pub hits: u64,
    /// Look-ups that found nothing usable; counted at tracked levels only.
    pub misses: u64,
    /// Runs of a loader that ended well.
    pub loads: u64,
    /// Runs of a loader that failed, panicked or were cancelled.
    pub load_failures: u64,
    /// Entries that left, by [`RemovalCause::index`].
    pub removals: [u64; RemovalCause::ALL.len()],
}

impl ScopeCounts {
    /// Entries that left for this cause.
    pub const fn removed(&self, cause: RemovalCause) -> u64 {
        self.removals[cause.index()]
    }
}

impl ScopeStats {
    /// Counters at zero.
    pub fn new() -> Self {
        Self::default()
    }

    /// The present values.
    pub fn counts(&self) -> ScopeCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ScopeCounts {
            hits: read(&self.hits),
            misses: read(&self.misses),
            loads: read(&self.loads),
            load_failures: read(&self.load_failures),
            removals: std::array::from_fn(|cause| read(&self.removals[cause])),
        }
    }

    fn hit(&self) {
        self.hits.fetch_add(1, Ordering::Relaxed);
    }

    fn miss(&self) {
        self.misses.fetch_add(1, Ordering::Relaxed);
    }

    fn load(&self) {
        self.loads.fetch_add(1, Ordering::Relaxed);
    }

    fn load_failure(&self) {
        self.load_failures.fetch_add(1, Ordering::Relaxed);
    }

    fn removal(&self, cause: RemovalCause, entries: u64) {
        self.removals[cause.index()].fetch_add(entries, Ordering::Relaxed);
    }
}

/// What happens at a node, counted where (1) says.
impl Node {
    /// Counts a look-up that was served, at the tracked levels of the path.
    pub fn count_hit(&self) {
        self.tracked.iter().for_each(|stats| stats.hit());
    }

    /// Counts a look-up that found nothing usable, at the tracked levels of the path.
    pub fn count_miss(&self) {
        self.tracked.iter().for_each(|stats| stats.miss());
    }

    /// Counts a load that ended well, along the path.
    pub fn count_load(&self) {
        self.for_each_on_path(|node| node.stats().load());
    }

    /// Counts a load that did not, along the path.
    pub fn count_load_failure(&self) {
        self.for_each_on_path(|node| node.stats().load_failure());
    }

    /// Counts entries of this node that left, along the path.
    pub fn count_removal(&self, cause: RemovalCause, entries: u64) {
        self.for_each_on_path(|node| node.stats().removal(cause, entries));
    }
}
