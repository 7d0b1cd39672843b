//! The lease of one run of a loader, as its holder sees it.
//!
//! (1) A ticket is ended in the table, under the shard's lock (`Flights::end` or `Flights::hand_over`), and
//!     then, outside of it, closed with what came of the load (`complete`, `outdate` or `fail`).
//! (2) A ticket that is dropped too early strands nobody: its waiters are told to join again, and what it
//!     left in the table is reaped. That is a net, not the way: it does not hand over.
//! (3) A ticket whose lease was taken over closes nothing.
//!
//! A ticket that was not ended must not be dropped under the shard's lock: the net takes it.

use std::any::Any;
use std::fmt;

use super::stall::Pulse;
use super::state::{Closed, Flight};
use super::{Failure, FlightId};
use crate::sync::Arc;

/// The right, and the duty, to run the loader once.
#[must_use = "a lease must be ended, or its waiters have to join again"]
pub struct Ticket<V> {
    flight: Arc<Flight<V>>,
    pulse: Arc<Pulse>,
    ended: bool,
    closed: bool,
}

impl<V> Ticket<V> {
    pub(super) fn new(flight: Arc<Flight<V>>, pulse: Arc<Pulse>) -> Self {
        Self { flight, pulse, ended: false, closed: false }
    }

    /// The flight's name, to be entered in the [`Chain`](super::Chain) while the loader runs.
    pub fn id(&self) -> FlightId {
        self.flight.id
    }

    /// The hash it was joined under, which tells the shard.
    pub fn hash(&self) -> u64 {
        self.flight.hash
    }

    /// The lease's sign of life. Async loaders are polled with its waker, inside of [`Pulse::polling`].
    pub fn pulse(&self) -> &Arc<Pulse> {
        &self.pulse
    }

    /// Whether the lease was taken over by somebody else.
    pub fn is_deposed(&self) -> bool {
        !self.flight.is_led_by(&self.pulse)
    }

    /// Whether anybody would hear the value: if not, it need not be cloned.
    pub fn has_waiters(&self) -> bool {
        self.flight.has_waiters(&self.pulse)
    }

    /// Gives the value to everybody who waits. Call it after `Flights::end` and without any lock. Whether
    /// this lease still led the flight.
    pub fn complete(mut self, value: Arc<V>) -> bool {
        self.catch();
        self.closed = true;
        self.flight.close(&self.pulse, Closed::Value(value))
    }

    /// Tells everybody who waits that the load failed, all at once. Call it after `Flights::end` and without
    /// any lock. Whether this lease still led the flight.
    pub fn fail(mut self, shared: Option<Arc<dyn Any + Send + Sync>>, panicked: bool) -> bool {
        self.catch();
        self.closed = true;
        self.flight.close(&self.pulse, Closed::Failed(Failure { shared, panicked }))
    }

    /// Tells everybody who waits that the value may be older than they are: they join again. Call it after `Flights::end` and
    /// without any lock. Whether this lease still led the flight.
    pub fn outdate(mut self) -> bool {
        self.catch();
        self.closed = true;
        self.flight.close(&self.pulse, Closed::Outdated)
    }

    pub(super) fn flight(&self) -> &Arc<Flight<V>> {
        &self.flight
    }

    /// Marks it as ended; whether it was not yet.
    pub(super) fn set_ended(&mut self) -> bool {
        !std::mem::replace(&mut self.ended, true)
    }

    pub(super) fn set_closed(&mut self) {
        self.closed = true;
    }

    /// The net: ends a lease that nobody ended in the table.
    fn catch(&mut self) {
        if self.set_ended() {
            self.pulse.retire();
            self.flight.setup.reap(self.flight.hash, self.flight.id);
        }
    }
}

impl<V> Drop for Ticket<V> {
    fn drop(&mut self) {
        self.catch();
        if !self.closed {
            self.flight.close(&self.pulse, Closed::Left);
        }
        self.pulse.silence();
    }
}

impl<V> fmt::Debug for Ticket<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket").field("flight", &self.flight.id).field("ended", &self.ended).finish()
    }
}
