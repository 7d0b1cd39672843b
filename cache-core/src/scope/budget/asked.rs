//! What a budget asks for, and what that comes to in one cache.
//!
//! (1) What cannot be meant is told where the budget is set, all faults at once. (2) A reserve is at most the capacity beside it.
//! (3) An amount in a unit in which the cache has no bound would change nothing, so it is refused.

use super::account::Unit;
use super::amount::{Amount, IntoAmount};
use crate::error::{Error, ErrorKind, Result};

/// What nobody has a bound of.
pub(super) const UNBOUNDED: u64 = u64::MAX;

/// How much a scope may hold with everything below it, and how much of that nobody else may take.
///
/// The *capacity* is a bound: at rest the scope is never above it. The *reserve* is a promise: as long as the scope holds no
/// more than this, none of its entries goes for the sake of another scope. What a scope does not use of its reserve is lent to
/// others, and comes back when it is wanted. Amounts are numbers, or shares of what the cache may hold.
///
/// ```
/// use strata_cache_core::scope::Budget;
///
/// let org = Budget::share("2%").reserve("0.05%");
/// let acme = Budget::entries(10_000).reserve(1_000);
/// assert_ne!(org, acme);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[must_use = "a budget does nothing until it is set"]
pub struct Budget {
    capacity: Wanted,
    reserve: Wanted,
    faults: Vec<String>,
}

/// Amounts asked for, by unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Wanted {
    amounts: [Option<Amount>; 2],
    /// Of each bound that the cache has.
    of_each: Option<Amount>,
}

/// What a budget comes to: capacity and reserve by unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Terms {
    pub(super) capacity: [u64; 2],
    pub(super) reserve: [u64; 2],
}

impl Terms {
    pub(super) const NONE: Self = Self { capacity: [UNBOUNDED; 2], reserve: [0; 2] };
}

impl Budget {
    /// No bound; for a [`reserve`](Self::reserve) alone.
    pub fn unbounded() -> Self {
        Self::default()
    }

    /// At most so many entries, or such a share (`"2%"`) of the entries that the cache may hold.
    pub fn entries(most: impl IntoAmount) -> Self {
        Self::default().max_entries(most)
    }

    /// At most so much weight (bytes, unless weighers count in something else): a number, `"64MB"`, or a share of the
    /// weight that the cache may hold.
    pub fn weight(most: impl IntoAmount) -> Self {
        Self::default().max_weight(most)
    }

    /// At most this share of what the cache may hold, in each unit in which it has a bound.
    pub fn share(most: impl IntoAmount) -> Self {
        let mut new = Self::default();
        new.capacity.of_each = new.keep(most);
        new.expect_share(new.capacity.of_each);
        new
    }

    /// As [`entries`](Self::entries), beside other bounds.
    pub fn max_entries(mut self, most: impl IntoAmount) -> Self {
        self.capacity.amounts[Unit::Entries as usize] = self.keep(most);
        self
    }

    /// As [`weight`](Self::weight), beside other bounds.
    pub fn max_weight(mut self, most: impl IntoAmount) -> Self {
        self.capacity.amounts[Unit::Weight as usize] = self.keep(most);
        self
    }

    /// Keeps so many entries for the scope, or such a share (`"0.05%"`) of each bound that the cache has.
    pub fn reserve(mut self, kept: impl IntoAmount) -> Self {
        match self.keep(kept) {
            Some(share @ Amount::Share(_)) => self.reserve.of_each = Some(share),
            count => self.reserve.amounts[Unit::Entries as usize] = count,
        }
        self
    }

    /// Keeps so much weight for the scope.
    pub fn reserve_weight(mut self, kept: impl IntoAmount) -> Self {
        self.reserve.amounts[Unit::Weight as usize] = self.keep(kept);
        self
    }

    fn keep(&mut self, amount: impl IntoAmount) -> Option<Amount> {
        amount.into_amount().map_err(|fault| self.faults.push(fault.to_string())).ok()
    }

    fn expect_share(&mut self, amount: Option<Amount>) {
        if let Some(Amount::Count(count)) = amount {
            self.faults.push(format!("a share is written like `2%`, not `{count}`"));
        }
    }

    /// What this comes to in a cache of these bounds.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidBudget`] with all faults.
    pub(super) fn terms(&self, bounds: [Option<u64>; 2]) -> Result<Terms> {
        let mut faults = self.faults.clone();
        let mut terms = Terms::NONE;
        for unit in Unit::BOTH {
            let (at, bound) = (unit as usize, bounds[unit as usize]);
            let mut read = |wanted: &Wanted, what: &str| {
                let amount = wanted.amounts[at].or(wanted.of_each.filter(|_| bound.is_some()))?;
                if bound.is_none() {
                    faults.push(format!("{what} of {}, but the cache has no bound of them", unit.name()));
                    return None;
                }
                amount.of(bound)
            };
            let capacity = read(&self.capacity, "a capacity").unwrap_or(UNBOUNDED);
            let reserve = read(&self.reserve, "a reserve").unwrap_or(0);
            let whole = bound.unwrap_or(UNBOUNDED);
            if reserve > capacity {
                faults.push(format!(
                    "a reserve of {reserve} {} is above the capacity of {capacity}",
                    unit.name()
                ));
            } else if reserve > whole {
                faults.push(format!("a reserve of {reserve} {} is above all there is: {whole}", unit.name()));
            }
            (terms.capacity[at], terms.reserve[at]) = (capacity, reserve);
        }
        if faults.is_empty() {
            return Ok(terms);
        }
        Err(Error::new(ErrorKind::InvalidBudget, "budget").because(faults.join("; ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENTRIES: [Option<u64>; 2] = [Some(10_000), None];
    const BOTH: [Option<u64>; 2] = [Some(10_000), Some(1_000_000)];

    #[test]
    fn shares_are_of_each_bound_that_the_cache_has() {
        let asked = Budget::share("2%").reserve("0.05%");
        let one = asked.terms(ENTRIES).unwrap();
        assert_eq!((one.capacity, one.reserve), ([200, UNBOUNDED], [5, 0]));
        let both = asked.terms(BOTH).unwrap();
        assert_eq!((both.capacity, both.reserve), ([200, 20_000], [5, 500]));
    }

    #[test]
    fn numbers_stand_for_themselves() {
        let asked = Budget::entries(100).max_weight("64KB").reserve(10).reserve_weight(999);
        let terms = asked.terms(BOTH).unwrap();
        assert_eq!((terms.capacity, terms.reserve), ([100, 64_000], [10, 999]));
        assert_eq!(Budget::unbounded().terms(BOTH).unwrap(), Terms::NONE);
    }

    #[test]
    fn all_faults_are_told_at_once() {
        let asked = Budget::entries(10).max_weight("nonsense").reserve(11).reserve_weight("200%");
        let error = asked.terms(ENTRIES).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidBudget);
        let text = error.to_string();
        for part in ["nonsense", "at most 100 %", "a reserve of 11 entries is above the capacity of 10"] {
            assert!(text.contains(part), "{part} in {text}");
        }
        let text = Budget::weight("1MB").terms(ENTRIES).unwrap_err().to_string();
        assert!(text.contains("a capacity of weight, but the cache has no bound of them"), "{text}");
        let text = Budget::unbounded().reserve(10_001).terms(ENTRIES).unwrap_err().to_string();
        assert!(text.contains("above all there is: 10000"), "{text}");
        assert!(Budget::share(5).terms(ENTRIES).is_err(), "a share is no number");
    }
}
