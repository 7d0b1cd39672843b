//! A shard's table of running loads. Not locked itself: the shard's lock is its lock.
//!
//! (1) At most one current and one detached load of a key run once a load begins; a second detachment leaves
//!     two detached, and then nobody leads until one of them ends.
//! (2) Looking for a record (the caller's `eq` and `live`) precedes every change, so that a panic in it
//!     leaves the table sound.
//! (3) Wakers to call and keys to drop go into the caller's [`After`].
//! (4) A ticket finds its record by identity, without `eq`.
//! (5) The table of an idle shard owns no memory.
//! Cost: O(1) expected each; `detach_where` O(records).

use hashbrown::HashTable;

use super::after::After;
use super::record::Record;
use super::state::GivenUp;
use super::ticket::Ticket;
use super::{FlightId, ROUNDS, Setup};
use crate::clock::Moment;
use crate::sync::Arc;

/// The running loads of one shard, by scope path and key. `N` is the handle of a scope node.
pub struct Flights<N, K, V> {
    pub(super) setup: Arc<Setup>,
    pub(super) records: HashTable<Record<N, K, V>>,
    pub(super) running: usize,
}

impl<N: Clone, K, V: Send + Sync + 'static> Flights<N, K, V> {
    /// An empty table; it owns no memory until something runs.
    pub fn new(setup: Arc<Setup>) -> Self {
        Self { setup, records: HashTable::new(), running: 0 }
    }

    /// Detaches the current load of a key: it runs on and its waiters get its value, but nobody joins it any
    /// more and it does not publish. Whether there was one.
    pub fn detach(&mut self, hash: u64, eq: impl Fn(&N, &K) -> bool, after: &mut After<N, K>) -> bool {
        self.change(
            hash,
            |record| eq(&record.node, &record.key),
            after,
            |record, after| record.detach(&mut after.wakes),
        )
        .unwrap_or(false)
    }

    /// As [`detach`](Self::detach), to make place for a newer load though nothing was withdrawn: what runs may publish until that one has.
    pub fn supersede(&mut self, hash: u64, eq: impl Fn(&N, &K) -> bool, after: &mut After<N, K>) {
        self.change(
            hash,
            |record| eq(&record.node, &record.key),
            after,
            |record, after| record.supersede(&mut after.wakes),
        );
    }

    /// Detaches the current loads of all keys that `which` is true of. How many there were.
    pub fn detach_where(&mut self, mut which: impl FnMut(&N, &K) -> bool, after: &mut After<N, K>) -> usize {
        let mut count = 0;
        let (running, wakes) = (&mut self.running, &mut after.wakes);
        let idle = self.records.extract_if(|record| {
            if !which(&record.node, &record.key) {
                return false;
            }
            let before = record.running();
            count += usize::from(record.detach(wakes));
            *running = *running - before + record.running();
            record.is_idle()
        });
        let idle: Vec<_> = idle.collect();
        for record in idle {
            after.retire(record.node, record.key);
        }
        self.shrink();
        count
    }

    /// Whether a load of a key runs that others may join, or is about to, and has not stalled.
    pub fn has_current(&self, hash: u64, now: Moment, eq: impl Fn(&N, &K) -> bool) -> bool {
        let record = self.records.find(hash, |record| eq(&record.node, &record.key));
        let current = record.and_then(|record| record.current.as_ref());
        current.is_some_and(|flight| !flight.is_over() && !flight.is_stalled(now))
    }

    /// Whether this lease leads the key's current flight.
    pub fn is_current(&self, ticket: &Ticket<V>) -> bool {
        let flight = ticket.flight();
        self.records.find(flight.hash, |record| record.is_current(flight)).is_some()
            && flight.is_led_by(ticket.pulse())
    }

    /// Whether this lease may publish: it leads the key's current flight, or one that was only [superseded](Self::supersede), by nothing
    /// that has published yet. (The node's liveness is for the caller to check.)
    pub fn may_publish(&self, ticket: &Ticket<V>) -> bool {
        let (flight, lease) = (ticket.flight(), ticket.pulse());
        self.is_current(ticket)
            || self.records.find(flight.hash, |record| record.lets_publish(lease)).is_some()
                && flight.is_led_by(lease)
    }

    /// A lease has published: what began before it does not any more.
    pub fn outdate(&mut self, ticket: &Ticket<V>) {
        let (flight, lease) = (ticket.flight(), ticket.pulse());
        if let Some(record) = self.records.find_mut(flight.hash, |record| record.holds(flight, lease)) {
            record.outdate_before(flight.id);
        }
    }

    /// Ends a lease that landed or failed: its place is free. Then close it, outside of the lock, by
    /// [`Ticket::complete`] or [`Ticket::fail`].
    pub fn end(&mut self, ticket: &mut Ticket<V>, after: &mut After<N, K>) {
        if !ticket.set_ended() {
            return;
        }
        let (flight, lease) = (ticket.flight(), ticket.pulse());
        self.change(
            flight.hash,
            |record| record.holds(flight, lease),
            after,
            |record, after| {
                if record.is_current(flight) && flight.is_led_by(lease) {
                    record.current = None;
                } else {
                    record.end_detached(lease, &mut after.wakes);
                }
            },
        );
        flight.begin_landing(lease);
    }

    /// Ends the lease of a leader whose load failed with an error that those who wait cannot share: one of them is
    /// invited to lead, as after a cancellation, so that all who wait go on in one flight. A flight does so twice;
    /// then this changes nothing and says no: the caller ends the lease and fails it, for everybody.
    pub fn fail_over(&mut self, ticket: &mut Ticket<V>, now: Moment, after: &mut After<N, K>) -> bool {
        let again = ticket.flight().count_failure(ticket.pulse()) <= ROUNDS;
        if again {
            self.hand_over(ticket, now, after);
        }
        again
    }

    /// Ends the lease of a leader that was cancelled: one waiter is invited to lead; without a waiter the
    /// load is gone. Waiters of a detached load are told to join again. The ticket is spent.
    pub fn hand_over(&mut self, ticket: &mut Ticket<V>, now: Moment, after: &mut After<N, K>) {
        if !ticket.set_ended() {
            return;
        }
        ticket.set_closed();
        let (flight, lease) = (ticket.flight(), ticket.pulse());
        let found = self.change(
            flight.hash,
            |record| record.holds(flight, lease),
            after,
            |record, after| {
                let current = record.is_current(flight) && flight.is_led_by(lease);
                match flight.give_up(lease, current, now, &mut after.wakes) {
                    GivenUp::Closed if current => record.current = None,
                    GivenUp::Invited => {}
                    GivenUp::Closed | GivenUp::Deposed => record.end_detached(lease, &mut after.wakes),
                }
            },
        );
        if found.is_none() {
            flight.give_up(lease, false, now, &mut after.wakes);
        }
    }

    /// Cleans the record of something that ended away from the lock. Called by the [`Reaper`](super::Reaper).
    pub fn reap(&mut self, hash: u64, id: FlightId, after: &mut After<N, K>) {
        self.change(hash, |record| record.concerns(id), after, |record, after| record.reap(&mut after.wakes));
    }

    /// How many loads run, or are about to be led by an invited waiter: current and detached ones.
    pub fn len(&self) -> usize {
        self.running
    }

    /// Whether nothing runs.
    pub fn is_empty(&self) -> bool {
        self.running == 0
    }

    /// How many keys have a record: something runs, or waits for its turn.
    pub fn records(&self) -> usize {
        self.records.len()
    }

    /// How many records there is memory for: none, if there are none.
    pub fn capacity(&self) -> usize {
        self.records.capacity()
    }

    /// Changes a record, counts what runs, and removes the record if it is idle.
    fn change<R>(
        &mut self,
        hash: u64,
        which: impl FnMut(&Record<N, K, V>) -> bool,
        after: &mut After<N, K>,
        change: impl FnOnce(&mut Record<N, K, V>, &mut After<N, K>) -> R,
    ) -> Option<R> {
        let mut entry = self.records.find_entry(hash, which).ok()?;
        let record = entry.get_mut();
        let before = record.running();
        let result = change(record, after);
        self.running = self.running - before + record.running();
        if record.is_idle() {
            let (record, _) = entry.remove();
            after.retire(record.node, record.key);
            self.shrink();
        }
        Some(result)
    }

    fn shrink(&mut self) {
        if self.records.is_empty() {
            self.records = HashTable::new();
        }
    }
}

impl<N, K, V> std::fmt::Debug for Flights<N, K, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Flights")
            .field("running", &self.running)
            .field("records", &self.records.len())
            .finish_non_exhaustive()
    }
}
