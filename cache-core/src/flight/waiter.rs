//! Who waits for a flight: a future that a task polls and a thread parks on alike.
//!
//! (1) A waiter owns one slot of its flight until it is answered or dropped.
//! (2) Dropped before its answer it leaves no trace: what it was invited to goes on to the next waiter, and
//!     the last one to leave a leaderless flight has it reaped.
//! (3) Its edges in the wait graph end with the wait.
//! (4) Its waker is cloned and dropped outside of the flight's lock. A poll without a change allocates
//!     nothing.
//!
//! A waiter must not be dropped under the shard's lock: it may have to take it.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::after::Wakes;
use super::chain::Edges;
use super::fence::Fence;
use super::stall::Pulse;
use super::state::{Closed, Dismissal, Flight};
use super::ticket::Ticket;
use super::{FlightId, Setup};
use crate::clock::Moment;
use crate::sync::Arc;

/// How a load that others waited for failed.
#[derive(Clone)]
pub struct Failure {
    /// The loader's error, where the leader could share it.
    pub shared: Option<Arc<dyn Any + Send + Sync>>,
    /// Whether the loader panicked.
    pub panicked: bool,
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Failure")
            .field("shared", &self.shared.is_some())
            .field("panicked", &self.panicked)
            .finish()
    }
}

/// What a waiter is told.
#[derive(Debug)]
#[must_use = "an answer may carry a lease"]
pub enum Outcome<V> {
    /// The load landed.
    Value(Arc<V>),
    /// The load failed.
    Failed(Failure),
    /// The leader gave up, and this waiter leads now: run the loader and end the ticket.
    Lead(Ticket<V>),
    /// The leader is stalled: try [`Flights::take_over`](super::Flights::take_over). The waiter waits on when
    /// it is polled again.
    Stalled,
    /// The load is not to be waited for any more: look up and join again.
    Rejoin,
    /// The load landed, but may have begun before a tag was withdrawn that its loader added: look up and join again.
    Outdated,
    /// Two loads of the key are stalled, so no third may begin.
    Stuck,
}

/// Waits for a flight. Dropping it before it is answered is cancelling it.
#[must_use = "a waiter does nothing unless it is polled"]
pub struct Waiter<V> {
    flight: Arc<Flight<V>>,
    slot: u32,
    edges: Option<Edges>,
    /// What it declares if it comes to lead.
    fence: Option<Fence>,
    /// The last answer was `Stalled`, and the invitation is still held.
    asked: bool,
    done: bool,
}

impl<V> Waiter<V> {
    pub(super) fn new(flight: Arc<Flight<V>>, slot: u32) -> Self {
        Self { flight, slot, edges: None, fence: None, asked: false, done: false }
    }

    /// The flight's name.
    pub fn id(&self) -> FlightId {
        self.flight.id
    }

    /// The hash it was joined under, which tells the shard.
    pub fn hash(&self) -> u64 {
        self.flight.hash
    }

    /// The loads that its caller, inside of another one, is known to wait for.
    pub fn awaits(&self) -> &[FlightId] {
        self.edges.as_ref().map_or(&[], Edges::to)
    }

    pub(super) fn with_edges(mut self, edges: Option<Edges>) -> Self {
        self.edges = edges;
        self
    }

    pub(super) fn with_fence(mut self, fence: Option<Fence>) -> Self {
        self.fence = fence;
        self
    }

    pub(super) fn fence(&self) -> Option<&Fence> {
        self.fence.as_ref()
    }

    pub(super) fn flight(&self) -> &Arc<Flight<V>> {
        &self.flight
    }

    pub(super) fn slot(&self) -> Option<u32> {
        (!self.done).then_some(self.slot)
    }

    /// It could not take the lead over: it waits on.
    pub(super) fn wait_on(&mut self) {
        self.asked = false;
        self.flight.decline(self.slot);
    }

    /// The waiter holds no slot any more: it was answered.
    pub(super) fn finish(&mut self) {
        self.done = true;
        self.edges = None;
    }

    /// Answers a waiter that was dismissed: like leaving.
    pub(super) fn withdraw(&mut self, now: Moment, wakes: &mut Wakes) -> bool {
        if std::mem::replace(&mut self.done, true) {
            return false;
        }
        self.edges = None;
        self.flight.leave(self.slot, now, wakes)
    }

    /// One look at the flight. `fresh` is a clone of the caller's waker, if one was asked for.
    fn step(&mut self, cx: &Context<'_>, fresh: &mut Option<std::task::Waker>) -> Step<V> {
        let mut guard = self.flight.state.lock();
        let state = &mut *guard;
        if let Some(closed) = &state.closed {
            return Step::Closed(closed.clone());
        }
        if state.queue.is_told(self.slot) {
            let (_, word) = state.queue.remove(self.slot);
            return Step::Dismissed(word);
        }
        if let Some(invitation) = state.invited.filter(|invitation| invitation.slot == self.slot) {
            if state.leader.is_none() {
                let pulse = Pulse::new(Arc::clone(&self.flight.setup), invitation.since);
                state.leader = Some(Arc::clone(&pulse));
                state.fence = self.fence.as_ref().map(Fence::renewed);
                state.invited = None;
                let (waker, _) = state.queue.remove(self.slot);
                drop(guard);
                drop(waker);
                return Step::Lead(pulse);
            }
            if !self.asked {
                self.asked = true;
                return Step::Stalled;
            }
            state.invited = None;
        }
        self.asked = false;
        let Some(kept) = state.queue.waker(self.slot) else {
            return Step::Closed(Closed::Left);
        };
        if kept.as_ref().is_some_and(|kept| kept.will_wake(cx.waker())) {
            return Step::Wait;
        }
        if fresh.is_none() {
            return Step::NeedsWaker;
        }
        // The old waker leaves through `fresh`, to be dropped by the caller.
        std::mem::swap(kept, fresh);
        Step::Wait
    }
}

enum Step<V> {
    Closed(Closed<V>),
    Dismissed(Option<Dismissal>),
    Lead(Arc<Pulse>),
    Stalled,
    Wait,
    NeedsWaker,
}

impl<V> Future for Waiter<V> {
    type Output = Outcome<V>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Outcome<V>> {
        let this = self.get_mut();
        if this.done {
            // Polled after its answer: nothing is known any more.
            return Poll::Ready(Outcome::Rejoin);
        }
        let mut fresh = None;
        let outcome = loop {
            match this.step(cx, &mut fresh) {
                Step::Wait => return Poll::Pending,
                Step::NeedsWaker => {
                    fresh = Some(cx.waker().clone());
                    continue;
                }
                Step::Stalled => return Poll::Ready(Outcome::Stalled),
                Step::Lead(pulse) => break Outcome::Lead(Ticket::new(Arc::clone(&this.flight), pulse)),
                Step::Closed(Closed::Value(value)) => break Outcome::Value(value),
                Step::Closed(Closed::Failed(failure)) => break Outcome::Failed(failure),
                Step::Closed(Closed::Left) => break Outcome::Rejoin,
                Step::Closed(Closed::Outdated) => break Outcome::Outdated,
                Step::Dismissed(Some(Dismissal::Stuck)) => break Outcome::Stuck,
                Step::Dismissed(_) => break Outcome::Rejoin,
            }
        };
        this.finish();
        Poll::Ready(outcome)
    }
}

impl<V> Unpin for Waiter<V> {}

impl<V> Drop for Waiter<V> {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        let setup: &Setup = &self.flight.setup;
        let now = setup.time.now();
        let mut wakes = Wakes::default();
        let (id, hash, setup) = (self.flight.id, self.flight.hash, Arc::clone(&self.flight.setup));
        if self.withdraw(now, &mut wakes) {
            setup.reap(hash, id);
        }
    }
}

impl<V> fmt::Debug for Waiter<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiter").field("flight", &self.flight.id).field("done", &self.done).finish()
    }
}
