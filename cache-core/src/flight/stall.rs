//! Telling a stalled lease from a busy one, and looking for such.
//!
//! (1) A lease is stalled when its leader was woken and not polled for the patience, or when its time is
//!     over.
//! (2) While the leader is being polled only the lease's time counts: a long poll is work, not a stall.
//! (3) The leader's own waker is called outside of the pulse's lock, and kept until another one takes its
//!     place.
//! (4) What has waiters is on the watch list once; it leaves the list when a look finds no waiter.
//! (5) While a lease waits for its load limit its time does not run; that it was woken and not polled still counts.
//! Cost: a wake-up reads the clock once; a look is O(watched).

use std::task::{Wake, Waker};
use std::time::Duration;

use super::after::Wakes;
use super::{LeaseTimes, Setup};
use crate::clock::Moment;
use crate::sync::{Arc, AtomicBool, Mutex, Ordering, Weak};

/// The sign of life of one lease, and its identity: no two leases share one.
///
/// For an async loader it is the waker that the loader is polled with.
#[derive(Debug)]
pub struct Pulse {
    setup: Arc<Setup>,
    retired: AtomicBool,
    state: Mutex<Beat>,
}

#[derive(Debug)]
struct Beat {
    /// When the lease's time is over.
    until: Moment,
    leader: Option<Arc<Waker>>,
    polling: bool,
    woken: Option<Moment>,
}

impl Pulse {
    pub(super) fn new(setup: Arc<Setup>, now: Moment) -> Arc<Self> {
        let until = later(now, setup.times.lease);
        let beat = Beat { until, leader: None, polling: false, woken: None };
        Arc::new(Self { setup, retired: AtomicBool::new(false), state: Mutex::new(beat) })
    }

    /// The loader may not run yet: the lease's time stands still.
    pub fn hold(&self) {
        self.state.lock().until = Moment::NEVER;
    }

    /// The loader runs from now on, and with it the lease's time.
    pub fn run(&self, now: Moment) {
        self.state.lock().until = later(now, self.setup.times.lease);
    }

    /// The waker to poll the loader with: it forwards to the leader's and notes when.
    pub fn waker(self: &Arc<Self>) -> Waker {
        Waker::from(Arc::clone(self))
    }

    /// Begins a poll of the loader for a leader with this waker; the poll ends when the guard drops.
    pub fn polling(self: &Arc<Self>, leader: &Waker) -> Polling {
        let fresh = {
            let mut beat = self.state.lock();
            beat.polling = true;
            beat.woken = None;
            !beat.leader.as_ref().is_some_and(|known| known.will_wake(leader))
        };
        let polling = Polling(Arc::clone(self));
        if fresh {
            let leader = Some(Arc::new(leader.clone()));
            let old = std::mem::replace(&mut self.state.lock().leader, leader);
            drop(old);
        }
        polling
    }

    /// Whether a waiter may take the lease over.
    pub fn is_stalled(&self, now: Moment) -> bool {
        let beat = self.state.lock();
        if now >= beat.until {
            return true;
        }
        !beat.polling && beat.woken.is_some_and(|woken| now.since(woken) >= self.setup.times.patience)
    }

    /// When to look next: in a patience, or at the end of its time if that comes first.
    pub(super) fn next_look(&self, now: Moment) -> Moment {
        let soon = soon(now, self.setup.times);
        let until = self.state.lock().until;
        if until > now { until.min(soon) } else { soon }
    }

    /// Notes that the lease is over although nobody ended it in the table.
    pub(super) fn retire(&self) {
        self.retired.store(true, Ordering::Release);
    }

    /// Lets the leader's waker go: the lease is over, and whoever lets the pulse go may hold a lock.
    pub(super) fn silence(&self) {
        let leader = self.state.lock().leader.take();
        drop(leader);
    }

    pub(super) fn is_retired(&self) -> bool {
        self.retired.load(Ordering::Acquire)
    }
}

impl Wake for Pulse {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let now = self.setup.time.now();
        let leader = {
            let mut beat = self.state.lock();
            beat.woken.get_or_insert(now);
            beat.leader.clone()
        };
        if let Some(leader) = leader {
            leader.wake_by_ref();
        }
    }
}

/// A poll of a loader; it ends when this drops.
#[derive(Debug)]
#[must_use = "the poll ends when the guard drops"]
pub struct Polling(Arc<Pulse>);

impl Drop for Polling {
    fn drop(&mut self) {
        // Patience with a leader that was woken meanwhile begins at the end of the poll.
        let now = self.0.setup.time.now();
        let mut beat = self.0.state.lock();
        beat.polling = false;
        if beat.woken.is_some() {
            beat.woken = Some(now);
        }
    }
}

/// Something that waiters wait for and that may stall.
pub(super) trait Stalling: Send + Sync {
    /// Wakes whom a stall entitles; returns when to look again, or `None` to be forgotten.
    fn look(&self, now: Moment, wakes: &mut Wakes) -> Option<Moment>;
}

/// The flights of a cache that somebody waits for, looked at by maintenance.
#[derive(Default)]
pub struct Watch(Mutex<Watched>);

struct Watched {
    list: Vec<Weak<dyn Stalling>>,
    due: Moment,
    /// How many look through what they took off the list.
    looking: usize,
    /// The length at which the list is cleared of what ended.
    limit: usize,
}

const ROOM: usize = 64;

impl Default for Watched {
    fn default() -> Self {
        Self { list: Vec::new(), due: Moment::NEVER, looking: 0, limit: ROOM }
    }
}

impl Watch {
    /// An empty watch list.
    pub fn new() -> Arc<Self> {
        Arc::new(Self::default())
    }

    /// When to call [`Watch::check`] next; at once while somebody else does, who may find more; `None` while nobody
    /// waits for anything.
    pub fn next_check(&self) -> Option<Moment> {
        let watched = self.0.lock();
        let due = if watched.looking > 0 { Moment::default() } else { watched.due };
        (due != Moment::NEVER).then_some(due)
    }

    /// Looks at everything that has waiters: invites one waiter of each stalled flight to take it over. Call
    /// it without any lock. Returns when to look next; `None` if nobody waits.
    pub fn check(&self, now: Moment) -> Option<Moment> {
        let list = {
            let mut watched = self.0.lock();
            watched.due = Moment::NEVER;
            watched.looking += 1;
            std::mem::take(&mut watched.list)
        };
        // Declared first, so that wakers run and values drop after the list is whole again.
        let mut wakes = Wakes::default();
        let mut seen = Vec::with_capacity(list.len());
        let mut kept = Vec::with_capacity(list.len());
        let mut due = Moment::NEVER;
        for weak in list {
            let Some(watched) = weak.upgrade() else { continue };
            if let Some(at) = watched.look(now, &mut wakes) {
                due = due.min(at);
                kept.push(weak);
            }
            seen.push(watched);
        }
        let mut watched = self.0.lock();
        watched.looking -= 1;
        watched.list.append(&mut kept);
        watched.due = watched.due.min(due);
        (watched.due != Moment::NEVER).then_some(watched.due)
    }

    /// How many flights and lines are on the list.
    pub fn len(&self) -> usize {
        self.0.lock().list.len()
    }

    /// Whether nothing is on the list.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) fn add(&self, stalling: Weak<dyn Stalling>, look: Moment) {
        let mut watched = self.0.lock();
        if watched.list.len() >= watched.limit {
            // Nobody looks (manual maintenance): what ended must not pile up.
            watched.list.retain(|stalling| stalling.strong_count() > 0);
            watched.limit = watched.list.len() * 2 + ROOM;
        }
        watched.list.push(stalling);
        watched.due = watched.due.min(look);
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").field("len", &self.len()).finish()
    }
}

/// The moment a time after another one.
pub(super) fn later(now: Moment, time: Duration) -> Moment {
    now.checked_add(time).unwrap_or(Moment::NEVER)
}

/// One patience from now, and never at once: a patience of zero must not make maintenance spin.
pub(super) fn soon(now: Moment, times: LeaseTimes) -> Moment {
    later(now, times.patience.max(Duration::from_millis(1)))
}

#[cfg(all(test, not(shuttle)))]
mod tests {
    use super::*;

    /// Looks up, during a look, whether anything is known to be waited for.
    struct Asking(Arc<Watch>, AtomicBool);

    impl Stalling for Asking {
        fn look(&self, now: Moment, _: &mut Wakes) -> Option<Moment> {
            self.1.store(self.0.next_check().is_some(), Ordering::SeqCst);
            Some(later(now, Duration::from_secs(1)))
        }
    }

    #[test]
    fn watch_list_is_not_taken_for_empty_while_somebody_looks_through_it() {
        let watch = Watch::new();
        let asking = Arc::new(Asking(Arc::clone(&watch), AtomicBool::new(false)));
        let weak: Weak<Asking> = Arc::downgrade(&asking);
        watch.add(weak as Weak<dyn Stalling>, Moment::default());
        watch.check(Moment::default());
        assert!(asking.1.load(Ordering::SeqCst), "maintenance would rest");
        assert_eq!(watch.next_check(), Some(later(Moment::default(), Duration::from_secs(1))));
    }
}
