//! Coming to a load: leading it, waiting for it, taking it over, or running beside it.
//!
//! (1) A caller leads if nothing is current and a place is free; or if the lead of the current flight lies
//!     idle: its leader is stalled and nothing is detached, or its invited waiter does not come.
//! (2) It waits if somebody leads; for a place if two are detached. Not if its own chain is inside of what it
//!     would wait for, directly or through other leases; not if both leases are stalled.
//! (3) The record takes the node of the caller who leads, so that a load begins on a live node.
//! Cost: O(1) expected; a caller that holds leases also walks the part of the wait graph it can reach.

use super::after::After;
use super::chain::{Chain, Edges};
use super::fence::Fence;
use super::place::{Line, PlaceWaiter};
use super::record::{Detached, Record};
use super::solo::{Solo, Solos};
use super::state::{Dismissal, Flight};
use super::table::Flights;
use super::ticket::Ticket;
use super::waiter::Waiter;
use super::{FlightId, Setup};
use crate::clock::Moment;
use crate::sync::Arc;

/// Who asks, and for what.
#[derive(Debug)]
pub struct Ask<'a, N, K> {
    /// The hash of scope path and key: the same for every incarnation of the path.
    pub hash: u64,
    /// The present moment, read before the shard's lock was taken.
    pub now: Moment,
    /// The caller's live scope node.
    pub node: &'a N,
    /// The tags that the caller's load would declare, if there are any.
    pub fence: Option<Fence>,
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
    /// Leads or joins the load of a key.
    ///
    /// `eq` compares scope path and key in full. `live` says whether a record's node is alive (whether it is
    /// the caller's own does not matter); the current load of a node that is not becomes detached, and so does one that
    /// has declared a tag which was withdrawn since. A current
    /// load that is stalled is taken over, where a place is free.
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
            let ticket = lead(&mut record, &self.setup, ask.now, ask.fence);
            self.records.insert_unique(ask.hash, record, Record::hash_of);
            self.running += 1;
            return Joined::Lead(ticket);
        };
        let node_lives = live(&record.node);
        let before = record.running();
        let is_fenced = record.current.as_ref().is_some_and(|flight| flight.is_fenced());
        if !node_lives || is_fenced {
            record.detach(&mut after.wakes);
        }
        let joined = join_record(record, &self.setup, &ask, after);
        self.running = self.running - before + record.running();
        joined
    }

    /// Takes the lease over from a stalled leader. A waiter that was not invited may try as well: a thread
    /// that parks with a time limit, for example.
    pub fn take_over(&mut self, waiter: &mut Waiter<V>, now: Moment, after: &mut After<N, K>) -> TakeOver<V> {
        let Some(slot) = waiter.slot() else {
            return TakeOver::Rejoin;
        };
        let flight = Arc::clone(waiter.flight());
        let found = self.records.find_mut(flight.hash, |record| record.is_current(&flight));
        let dismissal = match found {
            Some(record) => {
                let before = record.running();
                if let Some(ticket) = seize(record, &flight, Some(slot), waiter.fence(), now) {
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
        self.records.insert_unique(ask.hash, record, Record::hash_of);
        solo
    }
}

fn lead<N, K, V>(
    record: &mut Record<N, K, V>,
    setup: &Arc<Setup>,
    now: Moment,
    fence: Option<Fence>,
) -> Ticket<V> {
    let (flight, lease) = Flight::new(record.hash, setup, now, fence);
    record.current = Some(Arc::clone(&flight));
    Ticket::new(flight, lease)
}

/// Takes the lead of the current flight where it lies idle and there is a place for one more lease.
fn seize<N, K, V>(
    record: &mut Record<N, K, V>,
    flight: &Arc<Flight<V>>,
    slot: Option<u32>,
    fence: Option<&Fence>,
    now: Moment,
) -> Option<Ticket<V>> {
    let seized = flight.seize(slot, record.detached.is_empty(), fence, now)?;
    let old = seized.old.map(|lease| Detached { flight: flight.id, lease, may_publish: false });
    record.detached.extend(old);
    Some(Ticket::new(Arc::clone(flight), seized.new))
}

/// Joins a record that exists, whose flight of a dead node is detached.
fn join_record<N: Clone, K, V: Send + Sync + 'static>(
    record: &mut Record<N, K, V>,
    setup: &Arc<Setup>,
    ask: &Ask<'_, N, K>,
    after: &mut After<N, K>,
) -> Joined<V> {
    if let Some(flight) = record.current.clone() {
        // Before the lead is looked at: nobody takes over from himself.
        if Chain::contains(flight.id) {
            return Joined::Recursion;
        }
        if let Some(ticket) = seize(record, &flight, None, ask.fence.as_ref(), ask.now) {
            return Joined::Lead(ticket);
        }
        if record.is_stuck(ask.now) {
            return Joined::Stuck;
        }
        let Ok(edges) = Edges::announce(&[flight.id]) else {
            return Joined::Recursion;
        };
        if let Some(waiter) = flight.add_waiter(ask.now) {
            return Joined::Wait(waiter.with_edges(edges).with_fence(ask.fence.clone()));
        }
        // It closed since we looked; nobody leads it any more.
        record.current = None;
    }
    if record.has_place() {
        let old = std::mem::replace(&mut record.node, ask.node.clone());
        after.retire_node(old);
        return Joined::Lead(lead(record, setup, ask.now, ask.fence.clone()));
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
