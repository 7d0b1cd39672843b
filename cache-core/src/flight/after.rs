//! What is left to do once the shard's lock is released: wake whoever waits, drop what the table gave up.
//!
//! (1) Every waker collected is woken exactly once, even if another one panics; the first panic then goes on.
//! (2) An [`After`] made before the lock guard is dropped after it, also on unwinding.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::task::Waker;

/// Wakers to be called outside of all locks; they are when this drops.
#[derive(Debug, Default)]
pub(super) struct Wakes(Vec<Waker>);

impl Wakes {
    pub(super) fn push(&mut self, waker: Option<Waker>) {
        self.0.extend(waker);
    }

    pub(super) fn append(&mut self, mut wakers: Vec<Waker>) {
        if self.0.is_empty() {
            self.0 = wakers;
        } else {
            self.0.append(&mut wakers);
        }
    }
}

impl Drop for Wakes {
    fn drop(&mut self) {
        let mut first = None;
        for waker in self.0.drain(..) {
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| waker.wake())) {
                first.get_or_insert(panic);
            }
        }
        if let Some(panic) = first
            && !std::thread::panicking()
        {
            resume_unwind(panic);
        }
    }
}

/// The work that calls under the shard's lock leave to be done after it. Dropping it does that work.
///
/// Make one before taking the lock:
///
/// ```text
/// let mut after = After::default();
/// let mut shard = self.shard(hash).lock();       // dropped first
/// shard.flights.end(&mut ticket, &mut after);
/// ```
#[must_use = "make it before the shard's lock is taken, so that it is dropped after it"]
pub struct After<N, K> {
    pub(super) wakes: Wakes,
    /// The usual case of one record, without an allocation.
    one: Option<(N, K)>,
    more: Vec<(N, K)>,
    nodes: Vec<N>,
}

impl<N, K> After<N, K> {
    /// Nothing to do yet.
    pub fn new() -> Self {
        Self { wakes: Wakes::default(), one: None, more: Vec::new(), nodes: Vec::new() }
    }

    pub(super) fn retire(&mut self, node: N, key: K) {
        match self.one {
            None => self.one = Some((node, key)),
            Some(_) => self.more.push((node, key)),
        }
    }

    pub(super) fn retire_node(&mut self, node: N) {
        self.nodes.push(node);
    }
}

impl<N, K> Default for After<N, K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<N, K> std::fmt::Debug for After<N, K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("After").field("wakes", &self.wakes).finish_non_exhaustive()
    }
}
