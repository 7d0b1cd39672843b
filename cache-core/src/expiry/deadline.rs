//! The deadlines of a shard's slots, soonest first.
//!
//! (1) Order is exact: by deadline, then by slot. (2) A deadline is due when it is not later than now.
//! (3) [`Moment::NEVER`] is no deadline and is not kept. (4) One (deadline, slot) pair is kept once.
//! Cost: O(log n) per insert and removal, about 20 bytes each. A timing wheel may replace the tree behind these
//! methods.

use std::collections::BTreeSet;

use crate::clock::Moment;
use crate::policy::SlotId;

/// A set of (deadline, slot) pairs that yields what is due.
#[derive(Debug, Default)]
pub struct Deadlines {
    pairs: BTreeSet<(Moment, SlotId)>,
}

impl Deadlines {
    /// No deadlines.
    pub const fn new() -> Self {
        Self { pairs: BTreeSet::new() }
    }

    /// Adds a slot's deadline. `false` if it was there, or never is due.
    pub fn insert(&mut self, deadline: Moment, slot: SlotId) -> bool {
        deadline != Moment::NEVER && self.pairs.insert((deadline, slot))
    }

    /// Takes out a slot's deadline: the one it was added with. `false` if it was not there.
    pub fn remove(&mut self, deadline: Moment, slot: SlotId) -> bool {
        self.pairs.remove(&(deadline, slot))
    }

    /// Takes out the soonest deadline if it is due.
    pub fn pop_due(&mut self, now: Moment) -> Option<(Moment, SlotId)> {
        if self.next()? > now {
            return None;
        }
        self.pairs.pop_first()
    }

    /// The soonest deadline.
    pub fn next(&self) -> Option<Moment> {
        self.pairs.first().map(|&(deadline, _)| deadline)
    }

    /// How many deadlines are waited for.
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(nanos: u64) -> Moment {
        Moment::from_nanos(nanos)
    }

    #[test]
    fn deadline_is_due_at_its_moment_and_not_before() {
        let mut deadlines = Deadlines::new();
        assert!(deadlines.insert(at(5), SlotId(1)));
        assert_eq!(deadlines.pop_due(at(4)), None);
        assert_eq!(deadlines.pop_due(at(5)), Some((at(5), SlotId(1))));
        assert_eq!((deadlines.pop_due(at(5)), deadlines.next()), (None, None));
    }

    #[test]
    fn never_is_no_deadline() {
        let mut deadlines = Deadlines::new();
        assert!(!deadlines.insert(Moment::NEVER, SlotId(1)));
        assert!(deadlines.is_empty());
        assert_eq!(deadlines.pop_due(Moment::NEVER), None);
    }

    #[test]
    fn slots_of_one_deadline_are_kept_apart() {
        let mut deadlines = Deadlines::new();
        assert!(deadlines.insert(at(5), SlotId(2)) && deadlines.insert(at(5), SlotId(1)));
        assert!(!deadlines.insert(at(5), SlotId(1)));
        assert!(deadlines.remove(at(5), SlotId(2)));
        assert!(!deadlines.remove(at(6), SlotId(1)), "another deadline's");
        assert_eq!((deadlines.len(), deadlines.next()), (1, Some(at(5))));
    }

    proptest! {
        #[test]
        fn deadlines_agree_with_a_sorted_vector(
            steps in prop::collection::vec((0u8..4, 0u64..12, 0u32..6), 0..200),
        ) {
            let (mut deadlines, mut model) = (Deadlines::new(), Vec::<(Moment, SlotId)>::new());
            for (step, time, slot) in steps {
                let pair = (at(time), SlotId(slot));
                let held = model.iter().position(|held| *held == pair);
                match step {
                    0 | 1 => {
                        prop_assert_eq!(deadlines.insert(pair.0, pair.1), held.is_none());
                        if held.is_none() {
                            model.push(pair);
                            model.sort();
                        }
                    }
                    2 => {
                        prop_assert_eq!(deadlines.remove(pair.0, pair.1), held.is_some());
                        held.map(|at| model.remove(at));
                    }
                    _ => {
                        let due = model.first().is_some_and(|first| first.0 <= pair.0);
                        prop_assert_eq!(deadlines.pop_due(pair.0), due.then(|| model.remove(0)));
                    }
                }
                prop_assert_eq!(deadlines.next(), model.first().map(|pair| pair.0));
                prop_assert_eq!(deadlines.len(), model.len());
            }
        }
    }
}
