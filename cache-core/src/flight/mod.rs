//! Singleflight: many callers of one (scope, region, key), one load, and nobody who hangs.
//!
//! What is where: [`Flights`] is a shard's table of running loads, used under the shard's lock. A [`Ticket`]
//! is the lease of one run of the loader, a [`Waiter`] a future that is answered when the load ends.
//! [`Fences`] knows which tags were withdrawn of late. [`Pulse`] tells a stalled lease from a busy one, [`Watch`] looks for such, [`Chain`] knows which loads
//! this thread is inside of. [`LoadLimits`] lets only so many loads of a scope run at once, a [`Breaker`] none while they fail;
//! [`Errands`] are loads that nobody waits for.
//!
//! A caller [joins](Flights::join). It leads: it runs the loader inside of [`Chain::enter`], then ends the
//! ticket under the shard's lock ([`Flights::end`], publishing before if it [may](Flights::may_publish)) and closes it
//! outside ([`Ticket::complete`], [`Ticket::fail`]); or, cancelled, it [hands over](Flights::hand_over). Or it
//! waits, and does what the [`Outcome`] says.
//!
//! (1) Lock order: shard, then flight (or line, or solos), then pulse, watch list, load limits, wait graph,
//!     fences. Never back.
//! (2) Nothing but the caller's `eq` runs under a lock: wakers are called and cloned, keys, values and wakers
//!     dropped outside. What a call under the shard's lock leaves to do is put into an [`After`], which the
//!     caller makes *before* it takes the lock, so that it is dropped after it.
//! (3) Of one key at most two leases run: one current and one detached, or two detached. The current one
//!     publishes; a detached one only if nothing was withdrawn since it began, and nothing newer has published.
//! (4) A flight that is not closed has a leader, or is *leaderless* and has invited one of its waiters to
//!     lead.
//! (5) A waiter is answered: when its flight closes, when it is invited, when it is dismissed. The last one
//!     who leaves a leaderless flight closes it and has it reaped.
//! (6) A record exists only while something of its key runs, is invited or waits for its turn.
//! (7) No cycle of waits: whoever waits while it holds leases is in the wait graph, and does not wait if that
//!     would close a circle.
//! (8) Who comes after a tag was withdrawn never gets a value that was loaded, or may have been, before: they do not
//!     join a load that has declared it, and are sent away from one whose loader added it.
//!
//! Cost: a load is two small allocations and O(1) table work; a waiter is one slot in its flight.

mod after;
mod alarm;
mod breaker;
mod chain;
mod errand;
mod fence;
mod join;
mod limit;
mod place;
mod queue;
mod record;
mod solo;
mod stall;
mod state;
mod table;
mod ticket;
mod waiter;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

pub use after::After;
pub use alarm::Alarm;
pub use breaker::{Breaker, BreakerSettings, Condition, Trial, Turn, Verdict};
pub use chain::{Adding, Answer, Chain, ChainGuard, Previous};
pub use errand::{Errand, Errands};
pub use fence::{Fence, Fences};
pub use join::{Ask, Joined, TakeOver};
pub use limit::{Defaults, LoadLimit, LoadLimits, LoadPermit, Permission, PermitWaiter, Run, WhenFull};
pub use place::{PlaceWaiter, Placed};
pub use solo::{Solo, SoloPermit, SoloWaiter};
pub use stall::{Polling, Pulse, Watch};
pub use table::Flights;
pub use ticket::Ticket;
pub use waiter::{Failure, Outcome, Waiter};

use crate::clock::TimeSource;
use crate::sync::{Arc, Weak};

/// The name of one flight, or of one key's solo runs. Unique in the process and never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FlightId(u64);

impl FlightId {
    /// A name that nothing had before.
    pub fn fresh() -> Self {
        // A name only: nothing is ordered by it, so exploration of schedules need not see this atomic.
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// How often those who wait for a load go on with another one of them after it failed.
const ROUNDS: u32 = 2;

/// How long a leader may take before a waiter may take the lease over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeaseTimes {
    /// The longest a lease lasts, from its begin. Default: 60 seconds.
    pub lease: Duration,
    /// The longest a leader that was woken may stay unpolled. Default: 1 second.
    pub patience: Duration,
}

impl Default for LeaseTimes {
    fn default() -> Self {
        Self { lease: Duration::from_secs(60), patience: Duration::from_secs(1) }
    }
}

/// Whoever owns the shards: called back, without any lock held, when something ended away from the shard's
/// lock and left a record to be cleaned.
pub trait Reaper: Send + Sync {
    /// Locks the shard of `hash` and calls [`Flights::reap`] there.
    fn reap(&self, hash: u64, id: FlightId);
}

/// What all flights of one store share.
pub struct Setup {
    /// When a lease counts as stalled.
    pub times: LeaseTimes,
    /// The cache's clock.
    pub time: TimeSource,
    /// Where flights that have waiters are looked at from time to time.
    pub watch: Arc<Watch>,
    /// The owner of the shards.
    pub reaper: Weak<dyn Reaper>,
}

impl Setup {
    fn reap(&self, hash: u64, id: FlightId) {
        if let Some(reaper) = self.reaper.upgrade() {
            reaper.reap(hash, id);
        }
    }
}

impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setup").field("times", &self.times).field("time", &self.time).finish_non_exhaustive()
    }
}
