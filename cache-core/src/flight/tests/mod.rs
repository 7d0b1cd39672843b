//! A tiny engine to test singleflight with: one shard, scope nodes that can die, wakers that count.
//!
//! (1) While the harness holds the shard's lock, waking anybody and dropping a key or a value is a failure.

#![cfg_attr(shuttle, allow(dead_code, reason = "exploration needs a part of the harness"))]

#[cfg(not(shuttle))]
mod cycles;
#[cfg(shuttle)]
mod explored;
#[cfg(shuttle)]
mod explored_errands;
#[cfg(not(shuttle))]
mod model;
#[cfg(not(shuttle))]
mod rules;
#[cfg(not(shuttle))]
mod solos;
#[cfg(not(shuttle))]
mod stalls;

use std::any::Any;
use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use super::*;
use crate::clock::{Moment, TestClock};
use crate::sync::{AtomicBool, AtomicUsize, Mutex};

#[cfg(shuttle)]
use shuttle::thread_local;

#[cfg(not(shuttle))]
thread_local! {
    static LOCKED: Cell<bool> = const { Cell::new(false) };
}

#[cfg(shuttle)]
thread_local! {
    static LOCKED: Cell<bool> = Cell::new(false);
}

fn assert_unlocked(what: &str) {
    if !std::thread::panicking() {
        assert!(!LOCKED.with(Cell::get), "{what} under the shard's lock");
    }
}

/// An incarnation of a scope path.
#[derive(Debug, Clone)]
pub(super) struct Node {
    pub(super) incarnation: usize,
    dead: Arc<AtomicBool>,
}

/// A key that must not be dropped under the lock.
#[derive(Debug, PartialEq, Eq, Clone)]
pub(super) struct Key(pub(super) u32);

impl Drop for Key {
    fn drop(&mut self) {
        assert_unlocked("a key was dropped");
    }
}

/// A value that must not be dropped under the lock.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Value(pub(super) u64);

impl Drop for Value {
    fn drop(&mut self) {
        assert_unlocked("a value was dropped");
    }
}

/// A waker that counts.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicUsize);

impl Count {
    pub(super) fn new() -> Arc<Self> {
        Arc::default()
    }

    pub(super) fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        assert_unlocked("a waker was called");
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

type Table = Flights<Node, Key, Value>;
type Left = After<Node, Key>;

/// One shard and its clock.
pub(super) struct Host {
    pub(super) setup: Arc<Setup>,
    pub(super) clock: TestClock,
    table: Mutex<Table>,
    node: Mutex<Node>,
    published: Mutex<Vec<u64>>,
}

impl Reaper for Host {
    fn reap(&self, hash: u64, id: FlightId) {
        assert_unlocked("the reaper was called");
        self.with(|table, after| table.reap(hash, id, after));
    }
}

fn node(incarnation: usize) -> Node {
    Node { incarnation, dead: Arc::new(AtomicBool::new(false)) }
}

impl Host {
    pub(super) fn new() -> Arc<Self> {
        Arc::new_cyclic(|host: &Weak<Self>| {
            let clock = TestClock::new();
            let setup = Arc::new(Setup {
                times: LeaseTimes::default(),
                time: TimeSource::Custom(Arc::new(clock.clone())),
                watch: Watch::new(),
                reaper: host.clone() as Weak<dyn Reaper>,
            });
            let table = Mutex::new(Flights::new(Arc::clone(&setup)));
            Self { setup, clock, table, node: Mutex::new(node(0)), published: Mutex::new(Vec::new()) }
        })
    }

    pub(super) fn now(&self) -> Moment {
        self.setup.time.now()
    }

    pub(super) fn advance(&self, millis: u64) {
        self.clock.advance(Duration::from_millis(millis));
    }

    /// Works under the shard's lock, as the engine does.
    pub(super) fn with<R>(&self, work: impl FnOnce(&mut Table, &mut Left) -> R) -> R {
        struct Unlock;
        impl Drop for Unlock {
            fn drop(&mut self) {
                LOCKED.with(|locked| locked.set(false));
            }
        }
        let mut after = After::new();
        let mut table = self.table.lock();
        // Dropped before the lock is released; nothing of the table's is dropped between the two.
        let _unlock = Unlock;
        LOCKED.with(|locked| locked.set(true));
        work(&mut table, &mut after)
    }

    pub(super) fn join(&self, key: u32) -> Joined<Value> {
        let mut owned = Some(Key(key));
        let node = self.node.lock().clone();
        let ask = Ask { hash: u64::from(key), now: self.now(), node: &node, fence: None, key: &mut owned };
        let joined = self.with(|table, after| {
            let live = |node: &Node| !node.dead.load(Ordering::SeqCst);
            table.join(ask, |_, known| known.0 == key, live, after)
        });
        drop(owned);
        joined
    }

    pub(super) fn lead(&self, key: u32) -> Ticket<Value> {
        match self.join(key) {
            Joined::Lead(ticket) => ticket,
            other => panic!("expected to lead, got {other:?}"),
        }
    }

    pub(super) fn wait(&self, key: u32) -> Waiter<Value> {
        match self.join(key) {
            Joined::Wait(waiter) => waiter,
            other => panic!("expected to wait, got {other:?}"),
        }
    }

    pub(super) fn place(&self, key: u32) -> PlaceWaiter {
        match self.join(key) {
            Joined::Place(waiter) => waiter,
            other => panic!("expected no place, got {other:?}"),
        }
    }

    pub(super) fn solo(&self, key: u32) -> Solo {
        let mut owned = Some(Key(key));
        let node = self.node.lock().clone();
        let ask = Ask { hash: u64::from(key), now: self.now(), node: &node, fence: None, key: &mut owned };
        let solo = self.with(|table, after| table.solo(ask, |_, known| known.0 == key, after));
        drop(owned);
        solo
    }

    /// Ends a lease with a value; whether it was published.
    pub(super) fn land(&self, mut ticket: Ticket<Value>, value: u64) -> bool {
        let published = self.with(|table, after| {
            let publishes = table.may_publish(&ticket);
            if publishes {
                self.published.lock().push(value);
                table.outdate(&ticket);
            }
            table.end(&mut ticket, after);
            publishes
        });
        if ticket.has_waiters() {
            ticket.complete(Arc::new(Value(value)));
        }
        published
    }

    pub(super) fn fail(&self, mut ticket: Ticket<Value>, shared: Option<&str>, panicked: bool) {
        self.with(|table, after| table.end(&mut ticket, after));
        let shared = shared.map(|error| Arc::new(error.to_owned()) as Arc<dyn Any + Send + Sync>);
        ticket.fail(shared, panicked);
    }

    pub(super) fn cancel(&self, mut ticket: Ticket<Value>) {
        let now = self.now();
        self.with(|table, after| table.hand_over(&mut ticket, now, after));
    }

    pub(super) fn detach(&self, key: u32) -> bool {
        self.with(|table, after| table.detach(u64::from(key), |_, known| known.0 == key, after))
    }

    pub(super) fn supersede(&self, key: u32) {
        self.with(|table, after| table.supersede(u64::from(key), |_, known| known.0 == key, after));
    }

    /// Evicts the scope: the node dies, and the path gets a new one.
    pub(super) fn evict(&self) {
        let mut current = self.node.lock();
        current.dead.store(true, Ordering::SeqCst);
        *current = node(current.incarnation + 1);
    }

    pub(super) fn take_over(&self, waiter: &mut Waiter<Value>) -> TakeOver<Value> {
        let now = self.now();
        self.with(|table, after| table.take_over(waiter, now, after))
    }

    pub(super) fn check(&self) -> Option<Moment> {
        self.setup.watch.check(self.now())
    }

    pub(super) fn is_current(&self, ticket: &Ticket<Value>) -> bool {
        self.with(|table, _| table.is_current(ticket))
    }

    pub(super) fn len(&self) -> usize {
        self.with(|table, _| table.len())
    }

    #[track_caller]
    pub(super) fn assert_idle(&self) {
        let left = self.with(|table, _| (table.len(), table.records(), table.capacity()));
        assert_eq!(left, (0, 0, 0), "running, records, capacity");
        self.check();
        assert!(self.setup.watch.is_empty());
    }
}

/// Polls once with a counting waker.
pub(super) fn poll<F: Future + Unpin>(future: &mut F, count: &Arc<Count>) -> Poll<F::Output> {
    let waker = Waker::from(Arc::clone(count));
    Pin::new(future).poll(&mut Context::from_waker(&waker))
}

/// Polls once, expecting that the future goes on waiting.
#[track_caller]
pub(super) fn park<F: Future<Output: std::fmt::Debug> + Unpin>(future: &mut F) -> Arc<Count> {
    let count = Count::new();
    match poll(future, &count) {
        Poll::Pending => count,
        Poll::Ready(answer) => panic!("expected to wait, got {answer:?}"),
    }
}

/// Polls once, expecting an answer.
#[track_caller]
pub(super) fn answer<F: Future + Unpin>(future: &mut F) -> F::Output {
    match poll(future, &Count::new()) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("expected an answer"),
    }
}

#[track_caller]
pub(super) fn value_of(waiter: &mut Waiter<Value>) -> u64 {
    match answer(waiter) {
        Outcome::Value(value) => value.0,
        other => panic!("expected a value, got {other:?}"),
    }
}

#[track_caller]
pub(super) fn lead_of(waiter: &mut Waiter<Value>) -> Ticket<Value> {
    match answer(waiter) {
        Outcome::Lead(ticket) => ticket,
        other => panic!("expected the lead, got {other:?}"),
    }
}
