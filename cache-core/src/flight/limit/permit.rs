//! The right to run one load, and the wait for it.
//!
//! (1) A permit ends when it drops: after its loader, whether that ended, panicked or was dropped.
//! (2) A waiter that drops leaves its queue at once; what it was offered goes to the next.
//! (3) A poll without a change allocates nothing; wakers are cloned and dropped outside of the lock.
//!
//! Neither may be dropped under a lock: it wakes whoever is next.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::books::Accepted;
use super::gate::LoadLimits;
use crate::sync::Arc;

/// The right to run a load: of each node of its path, but those that its call chain holds already.
#[must_use = "the permit ends when it drops"]
pub struct LoadPermit {
    limits: Arc<LoadLimits>,
    name: u64,
    is_over: bool,
}

impl LoadPermit {
    pub(super) fn new(limits: &Arc<LoadLimits>, name: u64, is_over: bool) -> Self {
        Self { limits: Arc::clone(limits), name, is_over }
    }

    /// Whether the load runs over a limit: inside of another one, or for the sake of one.
    pub fn is_over(&self) -> bool {
        self.is_over
    }
}

impl Drop for LoadPermit {
    fn drop(&mut self) {
        self.limits.release(self.name);
    }
}

/// Waits for a permit. Dropping it is cancelling it.
#[must_use = "a waiter does nothing unless it is polled"]
pub struct PermitWaiter {
    limits: Arc<LoadLimits>,
    token: u64,
    done: bool,
}

impl PermitWaiter {
    pub(super) fn new(limits: &Arc<LoadLimits>, token: u64) -> Self {
        Self { limits: Arc::clone(limits), token, done: false }
    }
}

impl Future for PermitWaiter {
    type Output = LoadPermit;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<LoadPermit> {
        let this = &mut *self;
        if this.done {
            return Poll::Pending;
        }
        let now = this.limits.now();
        let mut fresh = None;
        let (name, is_over) = loop {
            let mut gate = this.limits.state.lock();
            let kept = match this.limits.accept(&mut gate, this.token, now) {
                Accepted::Permit(name, is_over) => break (name, is_over),
                Accepted::NotYet(kept) => kept,
                Accepted::Nothing => return Poll::Pending,
            };
            if kept.as_ref().is_some_and(|kept| kept.will_wake(cx.waker())) {
                return Poll::Pending;
            }
            if fresh.is_some() {
                std::mem::swap(kept, &mut fresh);
                return Poll::Pending;
            }
            drop(gate);
            fresh = Some(cx.waker().clone());
        };
        this.done = true;
        Poll::Ready(LoadPermit::new(&this.limits, name, is_over))
    }
}

impl Drop for PermitWaiter {
    fn drop(&mut self) {
        if !self.done {
            self.limits.leave(self.token);
        }
    }
}

impl fmt::Debug for LoadPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadPermit").field("name", &self.name).field("is_over", &self.is_over).finish()
    }
}

impl fmt::Debug for PermitWaiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PermitWaiter").field("done", &self.done).finish_non_exhaustive()
    }
}
