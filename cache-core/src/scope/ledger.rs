//! A count along a path that stays exact while any node of the path may be detached; no lock.
//!
//! A ledger is one word: bit 0 says dead, the rest is a signed count, so that one atomic step both adds and tells
//! whether the node was alive. Every node has one for entries and one for weight; each follows this protocol alone:
//! (1) A charge adds at each node from the leaf up and stops *after* the first dead one.
//! (2) A release subtracts in the same way. (3) A detachment kills its node's ledger, takes the count `s` of that
//! instant, and subtracts `s` from the parent up, stopping after the first dead one.
//! (4) Whatever was added at a node before its kill is in `s`, and walks on to the nodes above by itself; whatever
//! comes after stops there. So above the node both cancel out, in whatever order they arrive.
//! (5) Hence at quiescence a live node's count is what lives at or below it. In between a count may be negative.
//! (6) A subtraction (3) that meets a dead node was already counted by that node's own detachment: it was killed
//! before it saw the subtraction. So of detachments inside one another, exactly one reports an entry.
//! Cost: one atomic addition per node of the path.

use crate::sync::{AtomicI64, Ordering};

const DEAD: i64 = 1;

/// A signed count and whether its node is dead, in one word.
#[derive(Debug, Default)]
pub struct Ledger(AtomicI64);

impl Ledger {
    /// An empty, living ledger.
    pub fn new() -> Self {
        Self(AtomicI64::new(0))
    }

    /// Adds, which may be a negative number; tells whether the ledger was alive.
    pub fn add(&self, count: i64) -> bool {
        // Even numbers never touch bit 0; beyond 62 bits the sum wraps, and unwraps when it is taken back.
        self.0.fetch_add(count.wrapping_mul(2), Ordering::AcqRel) & DEAD == 0
    }

    /// Marks the ledger dead and answers the count of that instant; `None` if it was dead already.
    pub fn kill(&self) -> Option<i64> {
        let before = self.0.fetch_or(DEAD, Ordering::AcqRel);
        (before & DEAD == 0).then_some(before >> 1)
    }

    /// The count, which may be negative while charges are under way.
    pub fn count(&self) -> i64 {
        self.0.load(Ordering::Acquire) >> 1
    }

    /// Whether the ledger was killed.
    pub fn is_dead(&self) -> bool {
        self.0.load(Ordering::Acquire) & DEAD != 0
    }
}

#[cfg(test)]
#[cfg(not(shuttle))]
mod tests {
    use super::*;

    #[test]
    fn ledger_counts_below_zero_and_after_death() {
        let ledger = Ledger::new();
        assert!(ledger.add(-3) && ledger.add(1));
        assert_eq!(ledger.count(), -2);
        assert!(ledger.add(7));
        assert_eq!(ledger.kill(), Some(5));
        assert_eq!(ledger.kill(), None);
        assert!(ledger.is_dead() && !ledger.add(2));
        assert_eq!(ledger.count(), 7);
    }

    #[test]
    fn ledger_that_overflows_comes_back() {
        let ledger = Ledger::new();
        for _ in 0..5 {
            ledger.add(i64::MAX);
        }
        assert!(!ledger.is_dead());
        for _ in 0..5 {
            ledger.add(-i64::MAX);
        }
        assert_eq!((ledger.count(), ledger.is_dead()), (0, false));
    }
}
