//! What all reserves take: sums along paths, so that what was promised is there.
//!
//! (1) What a path takes of the one above is the greater of its own reserve and what those below it take together: a reserve
//! below is a part of the one above. (2) What those below take fits into the path's capacity; at the root, into the cache.
//! (3) A question changes nothing; what was asked and not refused can be given. Cost: O(depth) a question.

use super::account::Unit;
use super::asked::{Terms, UNBOUNDED};

/// The root's place.
pub(super) const ROOT: u32 = 0;

/// How many times as many places as are taken there are when some are given back, and for how many none are.
pub(super) const ROOMY: usize = 16;
const FEW: usize = 1024;

#[derive(Debug, Clone, Copy)]
struct Promise {
    above: u32,
    terms: Terms,
    below: [u64; 2],
}

impl Promise {
    fn taken(&self, unit: Unit) -> u64 {
        self.terms.reserve[unit as usize].max(self.below[unit as usize])
    }
}

/// Why terms cannot be granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Refusal {
    /// Whose capacity is too small.
    pub(super) at: u32,
    pub(super) unit: Unit,
    /// What its reserves would take.
    pub(super) wanted: u128,
    pub(super) capacity: u64,
}

/// The promises of one cache.
#[derive(Debug, Clone)]
pub(super) struct Promises {
    of: Vec<Promise>,
    free: Vec<u32>,
}

impl Promises {
    /// Nothing is promised yet of these bounds.
    pub(super) fn new(bounds: [u64; 2]) -> Self {
        let terms = Terms { capacity: bounds, reserve: [0; 2] };
        Self { of: vec![Promise { above: ROOT, terms, below: [0; 2] }], free: Vec::new() }
    }

    /// A place below another, for a path that asks for nothing yet.
    pub(super) fn open(&mut self, above: u32) -> u32 {
        let new = Promise { above, terms: Terms::NONE, below: [0; 2] };
        if let Some(place) = self.free.pop() {
            self.of[place as usize] = new;
            return place;
        }
        self.of.push(new);
        u32::try_from(self.of.len() - 1).expect("there are fewer than 2^32 scopes with budgets")
    }

    /// Returns a place, and what it took. Nothing is below it any more.
    pub(super) fn close(&mut self, place: u32) {
        self.give(place, Terms::NONE);
        self.free.push(place);
    }

    /// Gives back the room of places that many had, if few are left; but none below one that somebody has.
    pub(super) fn give_back(&mut self) {
        let taken = self.of.len() - self.free.len();
        if self.of.len() < FEW || self.of.len() / ROOMY < taken {
            return;
        }
        self.free.sort_unstable();
        while self.free.last().is_some_and(|&last| last as usize + 1 == self.of.len()) {
            self.free.pop();
            self.of.pop();
        }
        self.of.shrink_to_fit();
        self.free.shrink_to_fit();
    }

    /// Takes everything back, and changes the bounds.
    pub(super) fn begin_anew(&mut self, bounds: [u64; 2]) {
        for promise in &mut self.of {
            (promise.terms, promise.below) = (Terms::NONE, [0; 2]);
        }
        self.of[ROOT as usize].terms.capacity = bounds;
    }

    /// Whether a path may have these terms in place of its present ones.
    pub(super) fn ask(&self, place: u32, terms: Terms) -> Result<(), Refusal> {
        Unit::BOTH.into_iter().try_for_each(|unit| self.ask_for(unit, place, terms))
    }

    fn ask_for(&self, unit: Unit, place: u32, terms: Terms) -> Result<(), Refusal> {
        let (own, at) = (&self.of[place as usize], unit as usize);
        let mut take = [own.taken(unit), terms.reserve[at].max(own.below[at])].map(u128::from);
        let check = |at: u32, wanted: u128, capacity: u64| {
            let fits = capacity == UNBOUNDED || wanted <= u128::from(capacity);
            if fits { Ok(()) } else { Err(Refusal { at, unit, wanted, capacity }) }
        };
        check(place, take[1], terms.capacity[at])?;
        let mut here = place;
        while here != ROOT && take[0] != take[1] {
            let above = self.of[here as usize].above;
            let promise = &self.of[above as usize];
            let below = u128::from(promise.below[at]) - take[0] + take[1];
            // What shrinks fits, whatever else is wrong.
            if take[1] > take[0] {
                check(above, below, promise.terms.capacity[at])?;
            }
            take = [u128::from(promise.taken(unit)), below.max(u128::from(promise.terms.reserve[at]))];
            here = above;
        }
        Ok(())
    }

    /// Gives a path these terms, which it [may have](Self::ask).
    pub(super) fn give(&mut self, place: u32, terms: Terms) {
        for unit in Unit::BOTH {
            let at = unit as usize;
            let own = &mut self.of[place as usize];
            let before = own.taken(unit);
            (own.terms.capacity[at], own.terms.reserve[at]) = (terms.capacity[at], terms.reserve[at]);
            let (mut here, mut take) = (place, [before, own.taken(unit)]);
            while here != ROOT && take[0] != take[1] {
                here = self.of[here as usize].above;
                let promise = &mut self.of[here as usize];
                let before = promise.taken(unit);
                promise.below[at] = promise.below[at] - take[0] + take[1];
                take = [before, promise.taken(unit)];
            }
        }
    }

    /// What is promised in all.
    pub(super) fn total(&self, unit: Unit) -> u64 {
        self.of[ROOT as usize].below[unit as usize]
    }
}
