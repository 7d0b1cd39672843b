//! What happened, counted for regions and scopes, and what a reader makes of it.
//!
//! Frequent events are kept by the thread that saw them (`tally`) and reach the shared counters later; rare ones are
//! added here at once. (1) A counter only grows. (2) Each event of a region is counted once. (3) At quiescence (no call
//! running, maintenance done): `hits + stale_hits + misses = lookups`, and
//! `inserts = entries + removed + evicted + expired + invalidated`; a replacement is neither an insert nor an
//! entry lost. (4) After [`tally::settle`] a counter contains every call that had returned before; during traffic the
//! counters are not of one moment. (5) A region that goes forgets what threads still keep for it.
//! Cost: adding is one relaxed addition on a line that few threads share; a read adds up all stripes.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crossbeam_utils::CachePadded;

use crate::event::RemovalCause;

pub mod scope;
pub mod tally;

pub use scope::{ScopeCounts, ScopeStats};
pub use tally::Event;
pub(crate) use tally::Tag;

/// What is counted for each region.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Counter {
    /// A lookup that was served a usable value.
    Hits,
    /// A lookup that was served a value past its deadline, within its stale window.
    StaleHits,
    /// A lookup that was not served from the cache.
    Misses,
    /// A look without a trace (`peek`, `contains`), not a lookup.
    Peeks,
    /// A call that ran past the cache: without a scope, or inside its own load.
    Bypassed,
    /// An entry that came to be.
    Inserts,
    /// A loader that was started.
    Loads,
    /// A loader that ended in an error, a panic or a cancellation.
    LoadFailures,
    /// A lookup that waited for another caller's load.
    CoalescedWaits,
    /// A load that was not published because its key, region or scope was invalidated or written meanwhile.
    RefusedDetached,
    /// A load that was not published because its leader had stalled and lost its lease.
    RefusedStalled,
    /// A load that was not published because its weight was zero or above the capacity.
    RefusedWeight,
    /// A load that was not published because one of its tags was invalidated meanwhile.
    RefusedTag,
    /// A load that was not begun because as many as may waited for a permit of its scope.
    Overloaded,
    /// A load that ran over its scope's load limit: inside of another load, or for the sake of one.
    OverLimit,
    /// A load that was begun in the background, for a value that is stale or will be.
    Refreshes,
    /// A lookup that was served a stale value because a load brought no other.
    Fallbacks,
    /// A lookup that did not wait for a load any longer, and was served a stale value.
    SoftTimeouts,
    /// A lookup that did not wait for a load any longer.
    HardTimeouts,
    /// A loader that panicked.
    Panics,
    /// A load that found what is stored to be what it would be.
    Unchanged,
    /// A breaker that opened.
    BreakerOpened,
    /// A load that was not begun because a breaker was open.
    BreakerRefused,
    /// A load that was not begun in the background because as many ran as may, or the cache was closed.
    Postponed,
    /// An entry whose time was over.
    Expired,
    /// An entry that went to keep a capacity or limit.
    Evicted,
    /// An entry withdrawn by key, tag, region, scope or `clear`.
    Invalidated,
    /// An entry taken out by `remove` or `pop`.
    Removed,
    /// A value overwritten by a newer one.
    Replaced,
}

const COUNTERS: usize = Counter::Replaced as usize + 1;

impl From<RemovalCause> for Counter {
    fn from(cause: RemovalCause) -> Self {
        match cause {
            RemovalCause::Expired => Self::Expired,
            RemovalCause::Evicted => Self::Evicted,
            RemovalCause::Invalidated => Self::Invalidated,
            RemovalCause::Removed => Self::Removed,
            RemovalCause::Replaced => Self::Replaced,
        }
    }
}

type Stripe = CachePadded<[AtomicU64; COUNTERS]>;

/// The counters of one region.
#[derive(Debug)]
pub struct Counters {
    tag: Tag,
    stripes: Box<[Stripe]>,
}

impl Default for Counters {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let stripes = cores.next_power_of_two().clamp(1, 16);
        Self { tag: Tag::of_new_region(), stripes: (0..stripes).map(|_| Stripe::default()).collect() }
    }
}

impl Counters {
    /// What threads know these counters by.
    pub(crate) fn tag(&self) -> Tag {
        self.tag
    }

    /// Counts one rare event; frequent ones go through [`tally::count`].
    pub fn count(&self, counter: Counter) {
        self.add(counter, 1);
    }

    /// Counts several events.
    pub fn add(&self, counter: Counter, events: u64) {
        let stripe = &self.stripes[stripe_of_thread() & (self.stripes.len() - 1)];
        stripe[counter as usize].fetch_add(events, Ordering::Relaxed);
    }

    /// The number of events so far, without what threads have not settled.
    pub fn sum(&self, counter: Counter) -> u64 {
        self.stripes.iter().map(|stripe| stripe[counter as usize].load(Ordering::Relaxed)).sum()
    }

    /// Adds everything counted here to a report, without what threads have not settled.
    pub fn report(&self, into: &mut Stats) {
        into.hits += self.sum(Counter::Hits);
        into.stale_hits += self.sum(Counter::StaleHits);
        into.misses += self.sum(Counter::Misses);
        into.peeks += self.sum(Counter::Peeks);
        into.bypassed += self.sum(Counter::Bypassed);
        into.inserts += self.sum(Counter::Inserts);
        into.loads += self.sum(Counter::Loads);
        into.load_failures += self.sum(Counter::LoadFailures);
        into.coalesced_waits += self.sum(Counter::CoalescedWaits);
        into.refused_detached += self.sum(Counter::RefusedDetached);
        into.refused_stalled += self.sum(Counter::RefusedStalled);
        into.refused_weight += self.sum(Counter::RefusedWeight);
        into.refused_tag += self.sum(Counter::RefusedTag);
        into.overloaded += self.sum(Counter::Overloaded);
        into.over_limit += self.sum(Counter::OverLimit);
        into.refreshes += self.sum(Counter::Refreshes);
        into.fallbacks += self.sum(Counter::Fallbacks);
        into.soft_timeouts += self.sum(Counter::SoftTimeouts);
        into.hard_timeouts += self.sum(Counter::HardTimeouts);
        into.panics += self.sum(Counter::Panics);
        into.unchanged += self.sum(Counter::Unchanged);
        into.breaker_opened += self.sum(Counter::BreakerOpened);
        into.breaker_refused += self.sum(Counter::BreakerRefused);
        into.postponed += self.sum(Counter::Postponed);
        into.expired += self.sum(Counter::Expired);
        into.evicted += self.sum(Counter::Evicted);
        into.invalidated += self.sum(Counter::Invalidated);
        into.removed += self.sum(Counter::Removed);
        into.replaced += self.sum(Counter::Replaced);
    }
}

impl Drop for Counters {
    fn drop(&mut self) {
        tally::forget(self);
    }
}

/// Threads are dealt stripes in the order in which they first count.
fn stripe_of_thread() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local!(static STRIPE: Cell<usize> = const { Cell::new(usize::MAX) });
    STRIPE.with(|stripe| {
        if stripe.get() == usize::MAX {
            stripe.set(NEXT.fetch_add(1, Ordering::Relaxed) & (usize::MAX >> 1));
        }
        stripe.get()
    })
}

/// What a cache, or one of its regions, has done and holds. All counts are events since it was made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Lookups served a usable value, waiters of a coalesced load among them.
    pub hits: u64,
    /// Lookups served a value past its deadline, within its stale window.
    pub stale_hits: u64,
    /// Lookups that found nothing usable.
    pub misses: u64,
    /// Calls of `peek` and `contains`; they are not lookups.
    pub peeks: u64,
    /// Calls that ran past the cache; they are not lookups.
    pub bypassed: u64,
    /// Entries that came to be; an overwrite counts as [`replaced`](Self::replaced) instead.
    pub inserts: u64,
    /// Loaders started.
    pub loads: u64,
    /// Loaders that ended in an error, a panic or a cancellation.
    pub load_failures: u64,
    /// Lookups that waited for another caller's load, however it ended.
    pub coalesced_waits: u64,
    /// Loads not published: invalidated or overwritten since they began.
    pub refused_detached: u64,
    /// Loads not published: their leader stalled and lost its lease.
    pub refused_stalled: u64,
    /// Loads not published: weight of zero, or above the capacity.
    pub refused_weight: u64,
    /// Loads not published: one of their tags was invalidated since they began.
    pub refused_tag: u64,
    /// Loads not begun: as many as may waited for a permit of their scope. They are not among [`loads`](Self::loads).
    pub overloaded: u64,
    /// Loads run over their scope's load limit: inside of another load, or because somebody inside of one waited for them.
    pub over_limit: u64,
    /// Loads begun in the background, for values that are stale or will be; they are among [`loads`](Self::loads).
    pub refreshes: u64,
    /// Lookups served a stale value because a load brought no other; they are among [`stale_hits`](Self::stale_hits).
    pub fallbacks: u64,
    /// Lookups that stopped waiting for a load because a stale value was there.
    pub soft_timeouts: u64,
    /// Lookups that stopped waiting for a load because it took longer than it may.
    pub hard_timeouts: u64,
    /// Loaders that panicked; they are among [`load_failures`](Self::load_failures).
    pub panics: u64,
    /// Loads that found what is stored unchanged, so that its time began anew.
    pub unchanged: u64,
    /// How often a breaker opened.
    pub breaker_opened: u64,
    /// Loads not begun because a breaker was open. They are not among [`loads`](Self::loads).
    pub breaker_refused: u64,
    /// Background loads not begun because as many ran as may, or the cache was closed. They are not among [`loads`](Self::loads).
    pub postponed: u64,
    /// Entries that went because their time was over.
    pub expired: u64,
    /// Entries that went to keep a capacity or limit.
    pub evicted: u64,
    /// Entries withdrawn by key, tag, region, scope or `clear`.
    pub invalidated: u64,
    /// Entries taken out by `remove` or `pop`.
    pub removed: u64,
    /// Values overwritten by newer ones.
    pub replaced: u64,
    /// Entries held now.
    pub entries: u64,
    /// Their total weight, in the unit of the weigher (bytes, unless said otherwise).
    pub weight: u64,
    /// Loads running now, detached ones and those that wait for a permit included.
    pub flights: u64,
    /// Loads that wait for a permit of their scope now; of the whole cache, not of one region.
    pub queued: u64,
    /// Scopes that the cache keeps something for, the root not counted.
    pub scopes: u64,
    /// Calls of `invalidate_tag` that found their scope; of the whole cache, not of one region.
    pub tag_invalidations: u64,
    /// Sets of tags that entries have now, those of each scope by themselves: what an invalidation of a tag looks at. Of the whole
    /// cache, not of one region.
    pub tag_sets: u64,
    /// Regions open now.
    pub regions: u64,
}

impl Stats {
    /// Calls that asked for a value: `hits + stale_hits + misses`.
    pub fn lookups(&self) -> u64 {
        self.hits + self.stale_hits + self.misses
    }

    /// The part of the lookups that was served, stale or not, in `0.0..=1.0`; 0 before the first lookup.
    pub fn hit_ratio(&self) -> f64 {
        let lookups = self.lookups();
        if lookups == 0 { 0.0 } else { (self.hits + self.stale_hits) as f64 / lookups as f64 }
    }

    /// Loads that were not published, for any reason.
    pub fn refused(&self) -> u64 {
        self.refused_detached + self.refused_stalled + self.refused_weight + self.refused_tag
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_of_many_threads_add_up() {
        let counters = Counters::default();
        std::thread::scope(|threads| {
            for _ in 0..8 {
                threads.spawn(|| (0..1_000).for_each(|_| counters.count(Counter::Hits)));
            }
        });
        counters.add(Counter::Misses, 2_000);
        let mut stats = Stats::default();
        counters.report(&mut stats);
        assert_eq!((stats.hits, stats.misses, stats.lookups()), (8_000, 2_000, 10_000));
        assert!((stats.hit_ratio() - 0.8).abs() < 1e-9);
    }
}
