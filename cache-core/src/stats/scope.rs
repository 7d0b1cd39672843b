//! Counters of one scope, and of those above it.
//!
//! Scopes at tracked levels have counters, and the root has; a scope of another level counts for the nearest one above it.
//! (1) Loads, load failures and removals count along the whole path of counters at the moment they happen; look-ups at all of
//! them but the root, whose would be on a line that all threads share. So an ancestor's counters already contain its
//! descendants', and a node that goes takes
//! nothing along that is not counted above: folding into the parent is dropping. (2) Counters only rise.
//! (3) They belong to a path while it has a node; a detached node's successor continues them. So what is above them
//! never changes. (4) An eviction that one scope forced upon another counts as *caused* and as *paid* below where their paths
//! meet: what a scope's own inserts push out of it is neither.
//! Cost: one relaxed addition per counted level.

use super::tally::{self, Event, Tag};
use crate::event::RemovalCause;
use crate::sync::{Arc, AtomicU64, Ordering};

/// The counters of a scope, shared by the incarnations of its node.
#[derive(Debug)]
pub struct ScopeStats {
    tag: Tag,
    above: Option<Arc<ScopeStats>>,
    /// Whether look-ups count here.
    is_tracked: bool,
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
    /// Entries of other scopes that went for inserts here.
    evictions_caused: AtomicU64,
    /// Entries of this scope that went for inserts elsewhere.
    evictions_paid: AtomicU64,
}

impl Default for ScopeStats {
    /// Counters at zero, below no others.
    fn default() -> Self {
        Self::new(None, false)
    }
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
    /// Entries outside this scope that went for the sake of its inserts.
    pub evictions_caused: u64,
    /// Entries of this scope that went for the sake of inserts outside it.
    pub evictions_paid: u64,
}

impl ScopeCounts {
    /// Entries that left for this cause.
    pub const fn removed(&self, cause: RemovalCause) -> u64 {
        self.removals[cause.index()]
    }
}

impl ScopeStats {
    /// Counters at zero, below those of the scope above.
    pub fn new(above: Option<Arc<Self>>, is_tracked: bool) -> Self {
        let zero = AtomicU64::default;
        Self {
            tag: Tag::of_new_scope(is_tracked),
            above,
            is_tracked,
            hits: zero(),
            misses: zero(),
            loads: zero(),
            load_failures: zero(),
            removals: std::array::from_fn(|_| zero()),
            evictions_caused: zero(),
            evictions_paid: zero(),
        }
    }

    /// What threads know these counters by.
    pub(crate) fn tag(&self) -> Tag {
        self.tag
    }

    /// The present values. Settles first what threads keep, so that every call that has returned is in them.
    pub fn counts(&self) -> ScopeCounts {
        tally::settle();
        self.settled()
    }

    /// The present values, without what threads have not settled.
    pub fn settled(&self) -> ScopeCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ScopeCounts {
            hits: read(&self.hits),
            misses: read(&self.misses),
            loads: read(&self.loads),
            load_failures: read(&self.load_failures),
            removals: std::array::from_fn(|cause| read(&self.removals[cause])),
            evictions_caused: read(&self.evictions_caused),
            evictions_paid: read(&self.evictions_paid),
        }
    }

    /// Counts a load that ended well, along the path.
    pub fn count_load(&self) {
        self.for_each_on_path(|stats| add(&stats.loads, 1));
    }

    /// Counts a look-up that was served a value past its time, along the path.
    pub fn count_stale_hit(&self) {
        self.for_each_on_path(|stats| {
            if stats.is_tracked {
                add(&stats.hits, 1);
            }
        });
    }

    /// Counts a load that did not, along the path.
    pub fn count_load_failure(&self) {
        self.for_each_on_path(|stats| add(&stats.load_failures, 1));
    }

    /// Counts an entry of one scope, the payer, that went for an insert of another, the causer: *caused* where the causer's
    /// path has scopes that are not on the payer's, *paid* the other way round. Nothing where one path has no such scope.
    pub(crate) fn count_forced(causer: &Self, payer: &Self) {
        causer.for_each_beside(payer, |stats| add(&stats.evictions_caused, 1));
        payer.for_each_beside(causer, |stats| add(&stats.evictions_paid, 1));
    }

    /// Calls for what is on this path and not on the other. Paths that meet stay together.
    fn for_each_beside(&self, other: &Self, f: impl FnMut(&Self)) {
        self.path().take_while(|stats| !other.path().any(|other| std::ptr::eq(other, *stats))).for_each(f);
    }

    /// Adds frequent events where (1) says.
    pub(super) fn add(&self, event: Event, events: u64) {
        self.for_each_on_path(|stats| match (event, event.cause()) {
            (_, Some(cause)) => add(&stats.removals[cause.index()], events),
            (Event::Hit, _) if stats.is_tracked => add(&stats.hits, events),
            (Event::Miss, _) if stats.is_tracked => add(&stats.misses, events),
            _ => {}
        });
    }

    fn for_each_on_path(&self, f: impl FnMut(&Self)) {
        self.path().for_each(f);
    }

    fn path(&self) -> impl Iterator<Item = &Self> {
        std::iter::successors(Some(self), |stats| stats.above.as_deref())
    }
}

fn add(counter: &AtomicU64, events: u64) {
    counter.fetch_add(events, Ordering::Relaxed);
}

#[cfg(test)]
#[cfg(not(any(shuttle, loom)))]
mod tests {
    use super::*;

    fn below(above: &Arc<ScopeStats>) -> Arc<ScopeStats> {
        Arc::new(ScopeStats::new(Some(Arc::clone(above)), true))
    }

    fn forced(stats: &ScopeStats) -> (u64, u64) {
        let counts = stats.settled();
        (counts.evictions_caused, counts.evictions_paid)
    }

    #[test]
    fn eviction_forced_upon_a_neighbour_counts_below_where_the_paths_meet() {
        let root = Arc::new(ScopeStats::default());
        let [acme, umbrella] = [below(&root), below(&root)];
        let [user, other_user, stranger] = [below(&acme), below(&acme), below(&umbrella)];

        ScopeStats::count_forced(&user, &stranger);
        ScopeStats::count_forced(&user, &other_user);
        assert_eq!([&user, &acme, &root].map(|stats| forced(stats)), [(2, 0), (1, 0), (0, 0)]);
        assert_eq!([&stranger, &umbrella, &other_user].map(|stats| forced(stats)), [(0, 1); 3]);
    }

    #[test]
    fn eviction_within_a_path_is_forced_upon_nobody_above_and_nobody_by_itself() {
        let root = Arc::new(ScopeStats::default());
        let org = below(&root);
        let user = below(&org);
        ScopeStats::count_forced(&user, &user);
        assert_eq!([&user, &org, &root].map(|stats| forced(stats)), [(0, 0); 3]);
        // An insert at the org itself is outside the user, and an entry of the org outside the user too.
        ScopeStats::count_forced(&org, &user);
        ScopeStats::count_forced(&user, &org);
        assert_eq!([&user, &org, &root].map(|stats| forced(stats)), [(1, 1), (0, 0), (0, 0)]);
    }
}
