//! Load limits: of a scope with everything below it, at most so many loads run at once, and tenants take turns.
//!
//! `turns` decides who is next, without locks, wakers or time; `nodes` is the tree of paths that it walks; `books` knows
//! who holds permits and who waits; `gate` puts the one lock around them; `permit` is what a load holds and what those
//! without one wait on.
//!
//! (1) A load begins with a permit of every node of its scope's path, the root's among them, all at once or none: who
//!     waits for a permit holds none. So permits alone cannot make a circle of waits.
//! (2) A permit covers its call chain. A load inside of another one never waits: it takes what its chain does not hold,
//!     and runs over the limit where nothing is left, which is counted.
//! (3) Nobody inside of a load waits for one that waits for a permit: that one runs over the limit as well. So a
//!     permit's holder depends on no permit, and the wait graph of `chain` knows all other waits.
//! (4) Between a tenant's becoming ready at a node and its turn there, each other tenant gets one permit at most. A
//!     tenant of a node is one of its children, or what is loaded for the node itself; within one, first come, first
//!     served.
//! (5) A node without room takes in so many waiting loads, and beyond them only those of a tenant that has less than its
//!     share of the queue. Who may not be refused (a cached function, which has no words for it) waits all the same.
//! (6) A permit that was offered and not taken for a patience goes to the next; its load goes to the end of its queue.
//! (7) A permit counts for the time of a lease; a load that runs on after it holds nobody up. Who takes a load over from
//!     a stalled leader takes its permit too.
//! (8) Paths that nothing runs, waits or is set for are forgotten: a limit is its path's and outlives every node of it.
//!
//! Cost: nothing but a relaxed look while no limit is set; then a few map look-ups per load, under one lock for the
//! whole cache, which is held for no user code.

mod books;
mod gate;
mod nodes;
mod permit;
mod turns;

#[cfg(test)]
mod tests;

pub use gate::{LoadLimits, Permission, Run, WhenFull};
pub use nodes::Defaults;
pub use permit::{LoadPermit, PermitWaiter};

use crate::error::{Error, ErrorKind, Result};

/// How many loads a scope, with everything below it, may run at once, and how many more may wait.
///
/// A load counts while it runs, for as long as its lease at most (60 seconds unless the cache is told otherwise): one that
/// never ends must not hold up its tenant for ever.
///
/// ```
/// use strata_cache_core::flight::LoadLimit;
///
/// let limit = LoadLimit::at_most(8).queue(100);
/// assert_eq!((limit.most(), limit.max_waiting()), (8, 100));
/// assert_eq!(LoadLimit::at_most(8).max_waiting(), LoadLimit::DEFAULT_QUEUE);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadLimit {
    most: u32,
    queue: u32,
}

impl LoadLimit {
    /// How many loads may wait unless [`queue`](Self::queue) says otherwise.
    pub const DEFAULT_QUEUE: u32 = 1_000;

    /// At most so many loads at once, one at least; up to [`DEFAULT_QUEUE`](Self::DEFAULT_QUEUE) more wait. Zero is
    /// refused where the limit is set.
    #[must_use]
    pub const fn at_most(loads: u32) -> Self {
        Self { most: loads, queue: Self::DEFAULT_QUEUE }
    }

    /// How many loads may wait while so many run. Beyond them a load is refused, unless its tenant (the child of the
    /// limited scope that it is for) has less than its share of those who wait: a full queue is still open to others than
    /// those who filled it. Zero: none waits.
    #[must_use]
    pub const fn queue(self, max_waiting: u32) -> Self {
        Self { queue: max_waiting, ..self }
    }

    /// How many loads may run at once.
    #[must_use]
    pub const fn most(self) -> u32 {
        self.most
    }

    /// How many loads may wait.
    #[must_use]
    pub const fn max_waiting(self) -> u32 {
        self.queue
    }

    /// Refuses a limit that no load could keep.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] for a limit of zero.
    pub fn check(self, operation: &'static str) -> Result<Self> {
        if self.most > 0 {
            return Ok(self);
        }
        Err(Error::new(ErrorKind::InvalidConfig, operation)
            .with("option", "load_limit")
            .because("at least one load has to be allowed at once; `None` takes a limit away"))
    }
}
