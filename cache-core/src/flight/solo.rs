//! Permits for cached functions that run themselves, because the load they waited for failed for others too.
//!
//! (1) At most four permits of a key are out at a time. One that is held past the lease's time counts no
//!     more.
//! (2) A permit that ends is granted to who waits longest; a grant that nobody takes up goes on when its
//!     waiter drops.
//! (3) All runs of a key share one id: who holds a permit is inside of it, and does not wait for a permit of
//!     it.
//! (4) While somebody waits four permits are held; the end of the last one has the record reaped, without any
//!     lock held.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::after::Wakes;
use super::chain::Edges;
use super::queue::Queue;
use super::stall::{Stalling, later, soon};
use super::{FlightId, Setup};
use crate::clock::Moment;
use crate::sync::{Arc, Mutex, Weak};

const PERMITS: usize = 4;

/// The runs of one key that are nobody else's.
pub(super) struct Solos {
    pub(super) id: FlightId,
    hash: u64,
    setup: Arc<Setup>,
    state: Mutex<Permits>,
}

struct Permits {
    /// Who holds a permit, and until when it counts.
    held: Vec<(u64, Moment)>,
    next: u64,
    queue: Queue<u64>,
    watched: bool,
}

/// What a call for a permit comes to.
#[derive(Debug)]
#[must_use = "a permit is given back when it drops"]
pub enum Solo {
    /// Run the function now; the permit ends when it drops.
    Granted(SoloPermit),
    /// Four run already: wait.
    Wait(SoloWaiter),
    /// This very thread is inside of such a run, or waiting would close a circle: run without a permit.
    Recursion,
    /// The key was needed and not given: call again with it.
    NeedsKey,
}

impl Solos {
    pub(super) fn new(hash: u64, setup: &Arc<Setup>) -> Arc<Self> {
        let state = Permits { held: Vec::new(), next: 0, queue: Queue::new(), watched: false };
        Arc::new(Self { id: FlightId::fresh(), hash, setup: Arc::clone(setup), state: Mutex::new(state) })
    }

    pub(super) fn is_idle(&self) -> bool {
        self.state.lock().is_idle()
    }

    /// Called under the shard's lock, so that a record that is reaped gets no new run.
    pub(super) fn acquire(self: &Arc<Self>, now: Moment, wakes: &mut Wakes) -> Solo {
        let until = later(now, self.setup.times.lease);
        let mut state = self.state.lock();
        if state.queue.waiting() == 0
            && let Some(serial) = state.take(now, until)
        {
            drop(state);
            return Solo::Granted(SoloPermit { solos: Arc::clone(self), serial });
        }
        drop(state);
        let Ok(edges) = Edges::announce(&[self.id]) else {
            return Solo::Recursion;
        };
        let mut state = self.state.lock();
        let slot = state.queue.push();
        // A permit may have ended since, or have outlived its time: the first in line gets it, who may be
        // this one.
        wakes.append(state.grant(now, until));
        let unwatched = !std::mem::replace(&mut state.watched, true);
        drop(state);
        if unwatched {
            self.setup.watch.add(Arc::downgrade(self) as Weak<dyn Stalling>, soon(now, self.setup.times));
        }
        Solo::Wait(SoloWaiter { solos: Arc::clone(self), slot, edges, done: false })
    }

    fn release(&self, serial: u64) {
        let now = self.setup.time.now();
        let until = later(now, self.setup.times.lease);
        let mut wakes = Wakes::default();
        let mut state = self.state.lock();
        state.held.retain(|(held, _)| *held != serial);
        wakes.append(state.grant(now, until));
        let idle = state.is_idle();
        drop(state);
        if idle {
            self.setup.reap(self.hash, self.id);
        }
    }
}

impl Permits {
    fn is_idle(&self) -> bool {
        self.held.is_empty() && self.queue.is_vacant()
    }

    fn take(&mut self, now: Moment, until: Moment) -> Option<u64> {
        if self.held.len() >= PERMITS {
            self.held.retain(|(_, until)| *until > now);
        }
        if self.held.len() >= PERMITS {
            return None;
        }
        let serial = self.next;
        self.next += 1;
        self.held.push((serial, until));
        Some(serial)
    }

    fn grant(&mut self, now: Moment, until: Moment) -> Vec<std::task::Waker> {
        let mut wakers = Vec::new();
        while let Some(slot) = self.queue.front() {
            let Some(serial) = self.take(now, until) else {
                break;
            };
            wakers.extend(self.queue.tell(slot, serial));
        }
        wakers
    }
}

impl Stalling for Solos {
    fn look(&self, now: Moment, wakes: &mut Wakes) -> Option<Moment> {
        let until = later(now, self.setup.times.lease);
        let mut state = self.state.lock();
        wakes.append(state.grant(now, until));
        if state.queue.waiting() == 0 {
            state.watched = false;
            return None;
        }
        Some(soon(now, self.setup.times))
    }
}

/// The right to run the function oneself. It ends when it drops, which must not be under the shard's lock.
#[must_use = "the permit ends when it drops"]
pub struct SoloPermit {
    solos: Arc<Solos>,
    serial: u64,
}

impl SoloPermit {
    /// The name of the key's solo runs, to be entered in the [`Chain`](super::Chain) while the function runs.
    pub fn id(&self) -> FlightId {
        self.solos.id
    }
}

impl Drop for SoloPermit {
    fn drop(&mut self) {
        self.solos.release(self.serial);
    }
}

/// Waits for a permit. Dropping it is cancelling it, which must not be under the shard's lock.
#[must_use = "a waiter does nothing unless it is polled"]
pub struct SoloWaiter {
    solos: Arc<Solos>,
    slot: u32,
    edges: Option<Edges>,
    done: bool,
}

impl SoloWaiter {
    /// The loads that its caller, inside of another one, is known to wait for.
    pub fn awaits(&self) -> &[FlightId] {
        self.edges.as_ref().map_or(&[], Edges::to)
    }
}

impl Future for SoloWaiter {
    type Output = SoloPermit;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<SoloPermit> {
        let this = &mut *self;
        if this.done {
            return Poll::Pending;
        }
        let mut fresh = None;
        let serial = loop {
            let mut state = this.solos.state.lock();
            if let Some(kept) = state.queue.waker(this.slot) {
                if kept.as_ref().is_some_and(|kept| kept.will_wake(cx.waker())) {
                    return Poll::Pending;
                }
                if fresh.is_some() {
                    std::mem::swap(kept, &mut fresh);
                    return Poll::Pending;
                }
                drop(state);
                fresh = Some(cx.waker().clone());
                continue;
            }
            match state.queue.remove(this.slot).1 {
                Some(serial) => break serial,
                None => return Poll::Pending,
            }
        };
        this.done = true;
        this.edges = None;
        Poll::Ready(SoloPermit { solos: Arc::clone(&this.solos), serial })
    }
}

impl Drop for SoloWaiter {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        let mut state = self.solos.state.lock();
        let (waker, granted) = state.queue.remove(self.slot);
        drop(state);
        drop(waker);
        // Without a grant four permits are held, and the last of them will reap.
        if let Some(serial) = granted {
            self.solos.release(serial);
        }
    }
}

impl fmt::Debug for SoloPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SoloPermit").field("id", &self.solos.id).finish_non_exhaustive()
    }
}

impl fmt::Debug for SoloWaiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SoloWaiter").field("id", &self.solos.id).finish_non_exhaustive()
    }
}
