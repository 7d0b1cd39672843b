//! The line of those for whom there is no place: two loads of their key run, and neither may be joined.
//!
//! (1) A line belongs to one pair of detached leases. When either ends the line opens, and all who wait join
//!     again: one leads, the others wait for it.
//! (2) While both leases are stalled nobody can be given a place: who waits is told so.
//! (3) A waiter that leaves takes its slot along; nothing else depends on it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::after::Wakes;
use super::chain::Edges;
use super::queue::Queue;
use super::stall::{Pulse, Stalling, soon};
use super::{FlightId, Setup};
use crate::clock::Moment;
use crate::sync::{Arc, Mutex, Weak};

/// Waits for one of two detached leases to end.
pub(super) struct Line {
    setup: Arc<Setup>,
    leases: Vec<Arc<Pulse>>,
    state: Mutex<LineState>,
}

struct LineState {
    open: bool,
    queue: Queue<()>,
    watched: bool,
}

impl Line {
    pub(super) fn new(setup: Arc<Setup>, leases: Vec<Arc<Pulse>>) -> Arc<Self> {
        let state = LineState { open: false, queue: Queue::new(), watched: false };
        Arc::new(Self { setup, leases, state: Mutex::new(state) })
    }

    pub(super) fn wait(self: &Arc<Self>, edges: Option<Edges>, now: Moment) -> PlaceWaiter {
        let mut state = self.state.lock();
        let slot = state.queue.push();
        let unwatched = !std::mem::replace(&mut state.watched, true);
        drop(state);
        if unwatched {
            self.setup.watch.add(Arc::downgrade(self) as Weak<dyn Stalling>, soon(now, self.setup.times));
        }
        PlaceWaiter { line: Arc::clone(self), slot, edges, done: false }
    }

    /// One of the leases ended.
    pub(super) fn open(&self, wakes: &mut Wakes) {
        let mut state = self.state.lock();
        state.open = true;
        wakes.append(state.queue.close());
    }
}

impl Stalling for Line {
    fn look(&self, now: Moment, wakes: &mut Wakes) -> Option<Moment> {
        let mut state = self.state.lock();
        if state.open || state.queue.waiting() == 0 {
            state.watched = false;
            return None;
        }
        if self.leases.iter().all(|lease| lease.is_stalled(now)) {
            wakes.append(state.queue.tell_all(()));
            state.watched = false;
            return None;
        }
        Some(soon(now, self.setup.times))
    }
}

/// What somebody who waited for a place is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placed {
    /// A place is free: look up and join again.
    Free,
    /// Both loads of the key are stalled, so no third may begin.
    Stuck,
}

/// Waits for a place. Dropping it is cancelling it.
#[must_use = "a waiter does nothing unless it is polled"]
pub struct PlaceWaiter {
    line: Arc<Line>,
    slot: u32,
    edges: Option<Edges>,
    done: bool,
}

impl PlaceWaiter {
    /// The loads that its caller, inside of another one, is known to wait for.
    pub fn awaits(&self) -> &[FlightId] {
        self.edges.as_ref().map_or(&[], Edges::to)
    }
}

impl Future for PlaceWaiter {
    type Output = Placed;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Placed> {
        let this = &mut *self;
        if this.done {
            return Poll::Ready(Placed::Free);
        }
        let mut fresh = None;
        let placed = loop {
            let mut state = this.line.state.lock();
            if state.open {
                break Placed::Free;
            }
            let Some(kept) = state.queue.waker(this.slot) else {
                state.queue.remove(this.slot);
                break Placed::Stuck;
            };
            if kept.as_ref().is_some_and(|kept| kept.will_wake(cx.waker())) {
                return Poll::Pending;
            }
            if fresh.is_some() {
                std::mem::swap(kept, &mut fresh);
                return Poll::Pending;
            }
            drop(state);
            fresh = Some(cx.waker().clone());
        };
        this.done = true;
        this.edges = None;
        Poll::Ready(placed)
    }
}

impl Drop for PlaceWaiter {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        let mut state = self.line.state.lock();
        let removed = if state.open { None } else { Some(state.queue.remove(self.slot)) };
        drop(state);
        drop(removed);
    }
}

impl fmt::Debug for PlaceWaiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PlaceWaiter").field("done", &self.done).finish_non_exhaustive()
    }
}
