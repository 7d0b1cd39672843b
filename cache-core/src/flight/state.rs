//! One flight: a load that several callers wait for, from its first lease until it is closed.
//!
//! States, told apart by `leader` and `closed`:
//! led (a lease runs; perhaps one waiter is invited to take it over, because it stalled) → leaderless (the
//! leader gave up; one waiter is invited to lead) → led …, until closed with a value, a failure, or "join
//! again".
//!
//! (1) Not closed and no leader: a *waiting* waiter is invited. So a leaderless flight always has somebody to
//!     lead it.
//! (2) Closed is final; the queue is void from then on and nobody can be added.
//! (3) The leader is who holds the very pulse of `leader`; others cannot close the flight, give it up or
//!     publish.
//! (4) `landing`: the lease has ended in the table and will be closed in a moment; it cannot stall any more.
//! (5) An invitation that is not taken within the patience goes to the next waiter.
//! (6) No user code under the lock: wakers are cloned, called and dropped outside.

use std::time::Duration;

use super::after::Wakes;
use super::fence::Fence;
use super::queue::Queue;
use super::stall::{Pulse, Stalling, soon};
use super::waiter::{Failure, Waiter};
use super::{FlightId, Setup};
use crate::clock::Moment;
use crate::sync::{Arc, Mutex, Weak};

/// A load that may have waiters.
pub(super) struct Flight<V> {
    pub(super) id: FlightId,
    pub(super) hash: u64,
    pub(super) setup: Arc<Setup>,
    pub(super) state: Mutex<State<V>>,
}

/// What the flight's lock guards.
pub(super) struct State<V> {
    pub(super) leader: Option<Arc<Pulse>>,
    pub(super) invited: Option<Invitation>,
    pub(super) landing: bool,
    pub(super) closed: Option<Closed<V>>,
    pub(super) queue: Queue<Dismissal>,
    watched: bool,
    /// Leases of this flight that ended in a failure.
    failures: u32,
    /// What the present leader has declared.
    pub(super) fence: Option<Fence>,
}

/// One waiter was asked to lead, or to take over.
#[derive(Debug, Clone, Copy)]
pub(super) struct Invitation {
    pub(super) slot: u32,
    pub(super) since: Moment,
}

/// How a flight ended.
pub(super) enum Closed<V> {
    Value(Arc<V>),
    Failed(Failure),
    /// Nobody leads it any more: join again.
    Left,
    /// Its value may be older than the withdrawal of a tag that the loader added: join again.
    Outdated,
}

/// Why a waiter was sent away from a flight that goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dismissal {
    /// The flight is detached and stalled: join again.
    Rejoin,
    /// Two loads of the key are stalled.
    Stuck,
}

/// The lead was taken.
pub(super) struct Seized {
    /// The lease of the leader who was deposed.
    pub(super) old: Option<Arc<Pulse>>,
    pub(super) new: Arc<Pulse>,
}

/// What became of a leader that gave up.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum GivenUp {
    /// Somebody else leads by now; nothing changed.
    Deposed,
    /// One waiter is invited to lead.
    Invited,
    /// Nobody waited, or it was not to be led on: closed.
    Closed,
}

impl<V> Flight<V> {
    pub(super) fn new(
        hash: u64,
        setup: &Arc<Setup>,
        now: Moment,
        fence: Option<Fence>,
    ) -> (Arc<Self>, Arc<Pulse>) {
        let pulse = Pulse::new(Arc::clone(setup), now);
        let state = State {
            leader: Some(Arc::clone(&pulse)),
            invited: None,
            landing: false,
            closed: None,
            queue: Queue::new(),
            watched: false,
            failures: 0,
            fence,
        };
        let flight = Self { id: FlightId::fresh(), hash, setup: Arc::clone(setup), state: Mutex::new(state) };
        (Arc::new(flight), pulse)
    }

    /// Whether it is closed, or its leader is gone without a word to the table.
    pub(super) fn is_over(&self) -> bool {
        let state = self.state.lock();
        state.closed.is_some() || state.leader.as_ref().is_some_and(|leader| leader.is_retired())
    }

    pub(super) fn is_led_by(&self, pulse: &Arc<Pulse>) -> bool {
        self.state.lock().leader_is(pulse)
    }

    pub(super) fn is_stalled(&self, now: Moment) -> bool {
        self.state.lock().is_stalled(now)
    }

    /// Whether a tag that its leader has declared was withdrawn since.
    pub(super) fn is_fenced(&self) -> bool {
        self.state.lock().fence.as_ref().is_some_and(Fence::is_broken)
    }

    /// Who leads; `None` if it is leaderless or closed.
    pub(super) fn leader(&self) -> Option<Arc<Pulse>> {
        let state = self.state.lock();
        state.leader.as_ref().filter(|_| state.closed.is_none()).cloned()
    }

    /// Takes the lead where it lies idle: from a stalled leader if `depose`, or of a leaderless flight whose
    /// invited waiter does not come. `slot` is the waiter who takes it, if it is one.
    pub(super) fn seize(
        &self,
        slot: Option<u32>,
        depose: bool,
        fence: Option<&Fence>,
        now: Moment,
    ) -> Option<Seized> {
        let mut guard = self.state.lock();
        let state = &mut *guard;
        if !(depose && state.is_stalled(now) || state.is_overdue(now, self.setup.times.patience)) {
            return None;
        }
        let new = Pulse::new(Arc::clone(&self.setup), now);
        let old = state.leader.replace(Arc::clone(&new));
        state.fence = fence.map(Fence::renewed);
        state.invited = None;
        let waker = slot.and_then(|slot| state.queue.remove(slot).0);
        drop(guard);
        drop(waker);
        Some(Seized { old, new })
    }

    /// The invitation was not taken up: the next look may ask somebody else.
    pub(super) fn decline(&self, slot: u32) {
        let mut state = self.state.lock();
        if state.leader.is_some() && state.invites(slot) {
            state.invited = None;
        }
    }

    /// Sends everybody away from a flight that goes on without them.
    pub(super) fn dismiss_all(&self, why: Dismissal, wakes: &mut Wakes) {
        let mut state = self.state.lock();
        if state.closed.is_none() && state.leader.is_some() {
            state.invited = None;
            wakes.append(state.queue.tell_all(why));
        }
    }

    /// The lease ended in the table; its holder is about to close the flight.
    pub(super) fn begin_landing(&self, pulse: &Arc<Pulse>) {
        let mut state = self.state.lock();
        if state.leader_is(pulse) {
            state.landing = true;
        }
    }

    /// Counts a failure of the present leader; answers how many there were. A deposed leader's counts as the last.
    pub(super) fn count_failure(&self, pulse: &Arc<Pulse>) -> u32 {
        let mut state = self.state.lock();
        if !state.leader_is(pulse) {
            return u32::MAX;
        }
        state.failures = state.failures.saturating_add(1);
        state.failures
    }

    /// The leader gives up: a waiter is invited to lead, if there is one and `onward`; else the flight is
    /// closed.
    pub(super) fn give_up(
        &self,
        pulse: &Arc<Pulse>,
        onward: bool,
        now: Moment,
        wakes: &mut Wakes,
    ) -> GivenUp {
        let mut state = self.state.lock();
        if !state.leader_is(pulse) {
            return GivenUp::Deposed;
        }
        match state.queue.front() {
            Some(slot) if onward => {
                state.leader = None;
                state.invite(slot, now, wakes);
                GivenUp::Invited
            }
            _ => {
                state.close(Closed::Left, wakes);
                GivenUp::Closed
            }
        }
    }

    /// Closes a flight that nobody leads, so that it can be let go. Whether it was so.
    pub(super) fn close_if_leaderless(&self, wakes: &mut Wakes) -> bool {
        let mut state = self.state.lock();
        if state.leader.is_none() && state.closed.is_none() {
            state.close(Closed::Left, wakes);
        }
        state.closed.is_some()
    }

    /// Closes the flight for everybody who waits, if this lease still leads it.
    pub(super) fn close(&self, pulse: &Arc<Pulse>, closed: Closed<V>) -> bool {
        let mut wakes = Wakes::default();
        let mut state = self.state.lock();
        if !state.leader_is(pulse) {
            drop(state);
            drop(closed);
            return false;
        }
        state.close(closed, &mut wakes);
        drop(state);
        true
    }

    /// Whether anybody would hear the value of this lease.
    pub(super) fn has_waiters(&self, pulse: &Arc<Pulse>) -> bool {
        let state = self.state.lock();
        state.leader_is(pulse) && state.queue.waiting() > 0
    }

    /// A waiter leaves before it was answered: whatever it was invited to goes to the next one. Whether the
    /// flight is to be reaped, because nobody is left to lead it.
    pub(super) fn leave(&self, slot: u32, now: Moment, wakes: &mut Wakes) -> bool {
        let mut state = self.state.lock();
        if state.closed.is_some() {
            return false;
        }
        let invited = state.invites(slot);
        let removed = state.queue.remove(slot);
        let mut orphaned = false;
        if invited {
            state.invited = None;
            match state.queue.front() {
                Some(next) => state.invite(next, now, wakes),
                None if state.leader.is_none() => {
                    state.close(Closed::Left, wakes);
                    orphaned = true;
                }
                None => {}
            }
        }
        drop(state);
        drop(removed);
        orphaned
    }
}

impl<V: Send + Sync + 'static> Flight<V> {
    /// Adds a waiter; `None` if the flight is closed.
    pub(super) fn add_waiter(self: &Arc<Self>, now: Moment) -> Option<Waiter<V>> {
        let mut state = self.state.lock();
        if state.closed.is_some() {
            return None;
        }
        let slot = state.queue.push();
        let soon = soon(now, self.setup.times);
        let look = state.leader.as_ref().map_or(soon, |leader| leader.next_look(now));
        let unwatched = !std::mem::replace(&mut state.watched, true);
        drop(state);
        if unwatched {
            self.setup.watch.add(Arc::downgrade(self) as Weak<dyn Stalling>, look);
        }
        Some(Waiter::new(Arc::clone(self), slot))
    }
}

impl<V> State<V> {
    pub(super) fn invites(&self, slot: u32) -> bool {
        self.invited.is_some_and(|invitation| invitation.slot == slot)
    }

    fn leader_is(&self, pulse: &Arc<Pulse>) -> bool {
        self.closed.is_none() && self.leader.as_ref().is_some_and(|leader| Arc::ptr_eq(leader, pulse))
    }

    fn is_stalled(&self, now: Moment) -> bool {
        self.closed.is_none()
            && !self.landing
            && self.leader.as_ref().is_some_and(|leader| leader.is_stalled(now))
    }

    /// Leaderless, and the invited waiter has not come.
    fn is_overdue(&self, now: Moment, patience: Duration) -> bool {
        self.closed.is_none()
            && self.leader.is_none()
            && self.invited.is_some_and(|invitation| now.since(invitation.since) >= patience)
    }

    fn invite(&mut self, slot: u32, since: Moment, wakes: &mut Wakes) {
        self.invited = Some(Invitation { slot, since });
        wakes.push(self.queue.take_waker(slot));
    }

    fn close(&mut self, closed: Closed<V>, wakes: &mut Wakes) {
        self.leader = None;
        self.invited = None;
        self.closed = Some(closed);
        wakes.append(self.queue.close());
    }
}

impl<V: Send + Sync + 'static> Stalling for Flight<V> {
    fn look(&self, now: Moment, wakes: &mut Wakes) -> Option<Moment> {
        let mut state = self.state.lock();
        if state.closed.is_some() || state.queue.waiting() == 0 {
            state.watched = false;
            return None;
        }
        let idle = match &state.leader {
            Some(leader) if state.landing || !leader.is_stalled(now) => {
                return Some(leader.next_look(now));
            }
            _ => state.invited.map(|invitation| (invitation.slot, now.since(invitation.since))),
        };
        let next = match idle {
            Some((_, waited)) if waited < self.setup.times.patience => None,
            Some((slot, _)) => state.queue.following(slot),
            None => state.queue.front(),
        };
        if let Some(slot) = next {
            state.invite(slot, now, wakes);
        }
        Some(soon(now, self.setup.times))
    }
}

impl<V> Clone for Closed<V> {
    fn clone(&self) -> Self {
        match self {
            Self::Value(value) => Self::Value(Arc::clone(value)),
            Self::Failed(failure) => Self::Failed(failure.clone()),
            Self::Left => Self::Left,
            Self::Outdated => Self::Outdated,
        }
    }
}
