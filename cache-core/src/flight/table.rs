//! A shard's table of running loads. Not locked itself: the shard's lock is its lock.
//!
//! (1) At most one current and one detached load of a key run once a load begins; a second detachment leaves two
//!     detached, and then nobody leads until one of them ends.
//! (2) Looking for a record (the caller's `eq` and `live`) precedes every change, so that a panic in it leaves the table sound.
//! (3) Wakers to call and keys to drop go into the caller's [`After`].
//! (4) A ticket finds its record by identity, without `eq`.
//! (5) The table of an idle shard owns no memory.
//! Cost: O(1) expected each; `detach_where` O(records).

use hashbrown::HashTable;

use super::after::After;
use super::chain::{Chain, Edges};
use super::place::{Line, PlaceWaiter};
use super::record::{Detached, Record};
use super::solo::{Solo, Solos};
use super::state::{Dismissal, Flight, GivenUp};
use super::ticket::Ticket;
use super::waiter::Waiter;
use super::{FlightId, Setup};
use crate::clock::Moment;
use crate::sync::Arc;

/// The running loads of one shard, by scope path and key. `N` is the handle of a scope node.
pub struct Flights<N, K, V> {
    setup: Arc<Setup>,
    records: HashTable<Record<N, K, V>>,
    running: usize,
}

/// Who asks, and for what.
#[derive(Debug)]
pub struct Ask<'a, N, K> {
    /// The hash of scope path and key: the same for every incarnation of the path.
    pub hash: u64,
    /// The present moment, read before the shard's lock was taken.
    pub now: Moment,
    /// The caller's live scope node.
    pub node: &'a N,
    /// The owned key. Taken only if a record is made for it; `None` to be told if it is needed.
    pub key: &'a mut Option<K>,
}

/// What a call of [`Flights::join`] comes to.
#[derive(Debug)]
#[must_use = "a lease must be ended"]
pub enum Joined<V> {
    /// Run the loader; then end the ticket.
    Lead(Ticket<V>),
    /// Somebody runs it: wait.
    Wait(Waiter<V>),
    /// Two loads run and neither may be joined: wait for a place, then look up and join again.
    Place(PlaceWaiter),
    /// The caller is inside of this very load, or waiting would close a circle of waits: run uncached.
    Recursion,
    /// Two loads of the key are stalled, so no third may begin.
    Stuck,
    /// The key was needed and not given: call again with it. Nothing has changed.
    NeedsKey,
}

/// What a call of [`Flights::take_over`] comes to.
#[derive(Debug)]
#[must_use = "a lease must be ended"]
pub enum TakeOver<V> {
    /// The lease is the waiter's: run the loader; then end the ticket. The waiter is answered.
    Lead(Ticket<V>),
    /// Not now (the leader is alive again, or a detached load still runs in time): poll the waiter again.
    Wait,
    /// The load is not to be waited for any more: look up and join again. The waiter is answered.
    Rejoin,
    /// Two loads of the key are stalled, so no third may begin. The waiter is answered.
    Stuck,
}

impl<N: Clone, K, V: Send + Sync + 'static> Flights<N, K, V> {
    /// An empty table; it owns no memory until something runs.
    pub fn new(setup: Arc<Setup>) -> Self {
        Self { setup, records: HashTable::new(), running: 0 }
    }

    /// Leads or joins the load of a key.
    ///
    /// `eq` compares scope path and key in full. `live` says whether a record's node is alive (whether it is the
    /// caller's own does not matter); the current load of a node that is not becomes detached. A current load that is
    /// stalled is taken over, where a place is free.
    pub fn join(
        &mut self,
        ask: Ask<'_, N, K>,
        eq: impl Fn(&N, &K) -> bool,
        live: impl Fn(&N) -> bool,
        after: &mut After<N, K>,
    ) -> Joined<V> {
        let Some(record) = self.records.find_mut(ask.hash, |record| eq(&record.node, &record.key)) else {
            let Some(key) = ask.key.take() else {
                return Joined::NeedsKey;
            };
            let mut record = Record::new(ask.node.clone(), key, ask.hash);
            let ticket = lead(&mut record, &self.setup, ask.now);
            self.records.insert_unique(ask.hash, record, |record| record.hash);
            self.running += 1;
            return Joined::Lead(ticket);
        };
        let node_lives = live(&record.node);
        let before = record.running();
        if !node_lives {
            record.detach(&mut after.wakes);
        }
        record.reap(&mut after.wakes);
        let joined = join_record(record, &self.setup, &ask, after);
        self.running = self.running - before + record.running();
        joined
    }

    /// Detaches the current load of a key: it runs on and its waiters get its value, but nobody joins it any more and it
    /// does not publish. Whether there was one.
    pub fn detach(&mut self, hash: u64, eq: impl Fn(&N, &K) -> bool, after: &mut After<N, K>) -> bool {
        self.change(
            hash,
            |record| eq(&record.node, &record.key),
            after,
            |record, after| record.detach(&mut after.wakes),
        )
        .unwrap_or(false)
    }

    /// Detaches the current loads of all keys that `which` is true of. How many there were.
    pub fn detach_where(&mut self, mut which: impl FnMut(&N, &K) -> bool, after: &mut After<N, K>) -> usize {
        let mut count = 0;
        let (running, wakes) = (&mut self.running, &mut after.wakes);
        let idle = self.records.extract_if(|record| {
            if record.current.is_none() || !which(&record.node, &record.key) {
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

    /// Whether this lease may publish: it leads the key's current flight. (The node's liveness is for the caller to check.)
    pub fn is_current(&self, ticket: &Ticket<V>) -> bool {
        let flight = ticket.flight();
        self.records.find(flight.hash, |record| record.is_current(flight)).is_some()
            && flight.is_led_by(ticket.pulse())
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

    /// Ends the lease of a leader that was cancelled: one waiter is invited to lead; without a waiter the load is gone.
    /// Waiters of a detached load are told to join again. The ticket is spent.
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

    /// Takes the lease over from a stalled leader. A waiter that was not invited may try as well: a thread that parks with a
    /// time limit, for example.
    pub fn take_over(&mut self, waiter: &mut Waiter<V>, now: Moment, after: &mut After<N, K>) -> TakeOver<V> {
        let Some(slot) = waiter.slot() else {
            return TakeOver::Rejoin;
        };
        let flight = Arc::clone(waiter.flight());
        let found = self.records.find_mut(flight.hash, |record| record.is_current(&flight));
        let dismissal = match found {
            Some(record) => {
                let before = record.running();
                if let Some(ticket) = seize(record, &flight, Some(slot), now) {
                    self.running = self.running - before + record.running();
                    waiter.finish();
                    return TakeOver::Lead(ticket);
                }
                record.is_stuck(now).then_some(Dismissal::Stuck)
            }
            None => flight.is_stalled(now).then_some(Dismissal::Rejoin),
        };
        let Some(dismissal) = dismissal else {
            waiter.wait_on();
            return TakeOver::Wait;
        };
        flight.dismiss_all(dismissal, &mut after.wakes);
        // Should it have closed meanwhile, joining again is right as well.
        waiter.withdraw(now, &mut after.wakes);
        match dismissal {
            Dismissal::Rejoin => TakeOver::Rejoin,
            Dismissal::Stuck => TakeOver::Stuck,
        }
    }

    /// Asks for one of the four permits with which cached functions run themselves.
    pub fn solo(&mut self, ask: Ask<'_, N, K>, eq: impl Fn(&N, &K) -> bool, after: &mut After<N, K>) -> Solo {
        if let Some(record) = self.records.find_mut(ask.hash, |record| eq(&record.node, &record.key)) {
            let solos = record.solos.get_or_insert_with(|| Solos::new(ask.hash, &self.setup));
            return solos.acquire(ask.now, &mut after.wakes);
        }
        let Some(key) = ask.key.take() else {
            return Solo::NeedsKey;
        };
        let mut record = Record::new(ask.node.clone(), key, ask.hash);
        let solos = record.solos.insert(Solos::new(ask.hash, &self.setup));
        let solo = solos.acquire(ask.now, &mut after.wakes);
        self.records.insert_unique(ask.hash, record, |record| record.hash);
        solo
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

fn lead<N, K, V>(record: &mut Record<N, K, V>, setup: &Arc<Setup>, now: Moment) -> Ticket<V> {
    let (flight, lease) = Flight::new(record.hash, setup, now);
    record.current = Some(Arc::clone(&flight));
    Ticket::new(flight, lease)
}

/// Takes the lead of the current flight where it lies idle and there is a place for one more lease.
fn seize<N, K, V>(
    record: &mut Record<N, K, V>,
    flight: &Arc<Flight<V>>,
    slot: Option<u32>,
    now: Moment,
) -> Option<Ticket<V>> {
    let seized = flight.seize(slot, record.detached.is_empty(), now)?;
    let old = seized.old.map(|lease| Detached { flight: flight.id, lease });
    record.detached.extend(old);
    Some(Ticket::new(Arc::clone(flight), seized.new))
}

/// Joins a record that exists, whose dead and closed flights are cleared.
fn join_record<N: Clone, K, V: Send + Sync + 'static>(
    record: &mut Record<N, K, V>,
    setup: &Arc<Setup>,
    ask: &Ask<'_, N, K>,
    after: &mut After<N, K>,
) -> Joined<V> {
    if let Some(flight) = record.current.clone() {
        if Chain::contains(flight.id) {
            return Joined::Recursion;
        }
        if let Some(ticket) = seize(record, &flight, None, ask.now) {
            return Joined::Lead(ticket);
        }
        if record.is_stuck(ask.now) {
            return Joined::Stuck;
        }
        let Ok(edges) = Edges::announce(&[flight.id]) else {
            return Joined::Recursion;
        };
        if let Some(waiter) = flight.add_waiter(ask.now) {
            return Joined::Wait(waiter.with_edges(edges));
        }
        // It closed since we looked; nobody leads it any more.
        record.current = None;
    }
    if record.has_place() {
        let old = std::mem::replace(&mut record.node, ask.node.clone());
        after.retire_node(old);
        return Joined::Lead(lead(record, setup, ask.now));
    }
    if record.is_stuck(ask.now) {
        return Joined::Stuck;
    }
    let ids: Vec<FlightId> = record.detached.iter().map(|detached| detached.flight).collect();
    let Ok(edges) = Edges::announce(&ids) else {
        return Joined::Recursion;
    };
    let leases = || record.detached.iter().map(|detached| Arc::clone(&detached.lease)).collect();
    let line = record.line.get_or_insert_with(|| Line::new(Arc::clone(setup), leases()));
    Joined::Place(line.wait(edges, ask.now))
}

impl<N, K, V> std::fmt::Debug for Flights<N, K, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Flights")
            .field("running", &self.running)
            .field("records", &self.records.len())
            .finish_non_exhaustive()
    }
}
