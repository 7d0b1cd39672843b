//! What a shard keeps of one (scope path, key) while something of it runs or waits for its turn.
//!
//! (1) `current` is the only flight that callers join. Its leader may publish, and so may one whose flight a newer load took the
//!     place of without anything having been withdrawn, until something is, or a newer one has published.
//! (2) At most two leases run: `current` led and one in `detached`, or two in `detached`.
//! (3) Who waits for a place does so only while nothing is current and two are detached; each end of one
//!     opens the line.
//! (4) A record with none of it is removed by the call that left it so.

use super::FlightId;
use super::after::Wakes;
use super::place::Line;
use super::solo::Solos;
use super::stall::Pulse;
use super::state::Flight;
use crate::clock::Moment;
use crate::sync::Arc;

pub(super) struct Record<N, K, V> {
    pub(super) node: N,
    pub(super) key: K,
    pub(super) hash: u64,
    pub(super) current: Option<Arc<Flight<V>>>,
    pub(super) detached: Vec<Detached>,
    pub(super) line: Option<Arc<Line>>,
    pub(super) solos: Option<Arc<Solos>>,
}

/// A lease that runs on without being current.
pub(super) struct Detached {
    pub(super) flight: FlightId,
    pub(super) lease: Arc<Pulse>,
    /// Nothing was withdrawn since it began, and nothing newer published.
    pub(super) may_publish: bool,
}

impl<N, K, V> Record<N, K, V> {
    /// What tables move it by: one function, so that they are grown by one.
    pub(super) fn hash_of(&self) -> u64 {
        self.hash
    }

    pub(super) fn new(node: N, key: K, hash: u64) -> Self {
        Self { node, key, hash, current: None, detached: Vec::new(), line: None, solos: None }
    }

    pub(super) fn is_current(&self, flight: &Arc<Flight<V>>) -> bool {
        self.current.as_ref().is_some_and(|current| Arc::ptr_eq(current, flight))
    }

    /// Whether this lease is one of the record's.
    pub(super) fn holds(&self, flight: &Arc<Flight<V>>, lease: &Arc<Pulse>) -> bool {
        (self.is_current(flight) && flight.is_led_by(lease)) || self.detached_at(lease).is_some()
    }

    pub(super) fn concerns(&self, id: FlightId) -> bool {
        self.current.as_ref().is_some_and(|flight| flight.id == id)
            || self.solos.as_ref().is_some_and(|solos| solos.id == id)
            || self.detached.iter().any(|detached| detached.flight == id)
    }

    pub(super) fn running(&self) -> usize {
        usize::from(self.current.is_some()) + self.detached.len()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.current.is_none()
            && self.detached.is_empty()
            && self.solos.as_ref().is_none_or(|solos| solos.is_idle())
    }

    /// The current flight becomes detached: it runs on, but nobody joins it and it does not publish, nor does any that was detached
    /// before. One that nobody leads is closed instead. Whether there was a current one.
    pub(super) fn detach(&mut self, wakes: &mut Wakes) -> bool {
        self.detached.iter_mut().for_each(|detached| detached.may_publish = false);
        self.give_way(false, wakes)
    }

    /// As [`detach`](Self::detach) for one that a newer load takes the place of, though nothing was withdrawn: what runs may publish until
    /// the newer one has.
    pub(super) fn supersede(&mut self, wakes: &mut Wakes) {
        self.give_way(true, wakes);
    }

    fn give_way(&mut self, may_publish: bool, wakes: &mut Wakes) -> bool {
        let Some(flight) = self.current.take() else {
            return false;
        };
        let mut push = |lease| self.detached.push(Detached { flight: flight.id, lease, may_publish });
        match flight.leader() {
            Some(lease) => push(lease),
            None if flight.close_if_leaderless(wakes) => {}
            // A waiter took the lead between the two looks.
            None => {
                if let Some(lease) = flight.leader() {
                    push(lease);
                }
            }
        }
        true
    }

    /// A flight has published: what began before it does not any more.
    pub(super) fn outdate_before(&mut self, flight: FlightId) {
        let older = self.detached.iter_mut().filter(|detached| detached.flight < flight);
        older.for_each(|detached| detached.may_publish = false);
    }

    /// Whether a detached lease may publish.
    pub(super) fn lets_publish(&self, lease: &Arc<Pulse>) -> bool {
        self.detached_at(lease).is_some_and(|at| self.detached[at].may_publish)
    }

    /// A detached lease ended: there is a place.
    pub(super) fn end_detached(&mut self, lease: &Arc<Pulse>, wakes: &mut Wakes) {
        if let Some(at) = self.detached_at(lease) {
            self.detached.swap_remove(at);
            self.open_line(wakes);
        }
    }

    /// Removes what was dropped without being ended.
    pub(super) fn reap(&mut self, wakes: &mut Wakes) {
        if self.current.as_ref().is_some_and(|flight| flight.is_over()) {
            self.current = None;
        }
        let before = self.detached.len();
        self.detached.retain(|detached| !detached.lease.is_retired());
        if self.detached.len() < before {
            self.open_line(wakes);
        }
    }

    /// Whether both leases that take up the places are stalled.
    pub(super) fn is_stuck(&self, now: Moment) -> bool {
        self.running() == 2
            && self.current.as_ref().is_none_or(|flight| flight.is_stalled(now))
            && self.detached.iter().all(|detached| detached.lease.is_stalled(now))
    }

    pub(super) fn has_place(&self) -> bool {
        self.detached.len() < 2
    }

    fn detached_at(&self, lease: &Arc<Pulse>) -> Option<usize> {
        self.detached.iter().position(|detached| Arc::ptr_eq(&detached.lease, lease))
    }

    fn open_line(&mut self, wakes: &mut Wakes) {
        if let Some(line) = self.line.take() {
            line.open(wakes);
        }
    }
}
