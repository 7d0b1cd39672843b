//! The gate that loads pass: the lock around all of it, who asks inside of what, and who is woken.
//!
//! (1) The lock is taken after a shard's, a flight's and a pulse's; under it only the wait graph's. No waker is cloned,
//!     called or dropped under it.
//! (2) A request whose load somebody waits for inside of another load is admitted at once: by who asks, if that wait was
//!     announced before, else by who announced it. Both look after they have made themselves seen, so one of them sees it.
//! (3) What is offered and not taken for a patience is offered to the next, unless (2) is why it was offered.

use std::fmt;

use super::LoadLimit;
use super::books::{Accepted, Books};
use super::nodes::{Defaults, NodeId, Step};
use super::permit::{LoadPermit, PermitWaiter};
use super::turns::{Asked, Turns};
use crate::clock::{Moment, TimeSource};
use crate::error::{Error, ErrorKind};
use crate::flight::after::Wakes;
use crate::flight::chain::{self, Chain};
use crate::flight::stall::{Stalling, Watch, later, soon};
use crate::flight::{FlightId, LeaseTimes};
use crate::scope::{Node, ScopePath};
use crate::sync::{Arc, AtomicBool, Mutex, MutexGuard, Ordering, Weak};

/// The load limits of one cache.
pub struct LoadLimits {
    /// Whether there is any limit.
    active: AtomicBool,
    times: LeaseTimes,
    time: TimeSource,
    watch: Arc<Watch>,
    pub(super) state: Mutex<Books>,
}

/// What a load does that finds the queue full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenFull {
    /// It is refused.
    Refuse,
    /// It waits: its caller could not be told.
    Wait,
}

/// Whose run a load is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Run {
    /// The leader's. Whatever permit its load has is that of a leader whom it took over from.
    Leader,
    /// One of several of its key.
    Solo,
}

/// What asking for the permits of a load comes to.
#[derive(Debug)]
#[must_use = "a permit ends when it drops"]
pub enum Permission {
    /// Run the loader now. There is no permit where no limit is set.
    Granted(Option<LoadPermit>),
    /// Wait for it, before the loader is run.
    Wait(PermitWaiter),
    /// As many as may wait do: [`ErrorKind::Overloaded`].
    Refused(Error),
}

impl LoadLimits {
    /// Limits of levels; those of paths are set later.
    pub fn new(defaults: Defaults, times: LeaseTimes, time: TimeSource, watch: Arc<Watch>) -> Arc<Self> {
        let books = Books::new(Turns::new(defaults));
        let active = AtomicBool::new(books.turns.tree().has_limits());
        Arc::new(Self { active, times, time, watch, state: Mutex::new(books) })
    }

    /// Whether any limit is set: one relaxed load. If not, loads need not ask.
    #[inline]
    pub fn is_active(&self) -> bool {
        self.active.load(Ordering::Relaxed)
    }

    /// Sets the limit of a path, or goes back to its level's. It holds for who asks from now on: what runs runs on and
    /// counts, if it began when there was any limit. Wakes those for whom there is room now.
    pub fn set(&self, path: &ScopePath, limit: Option<LoadLimit>) {
        let now = self.time.now();
        let mut wakes = Wakes::default();
        let mut gate = self.state.lock();
        gate.turns.set_limit(path.levels(), limit);
        self.active.store(gate.turns.tree().has_limits(), Ordering::Relaxed);
        gate.offer(now, &mut wakes);
    }

    /// The limit that holds for a path.
    pub fn get(&self, path: &ScopePath) -> Option<LoadLimit> {
        self.state.lock().turns.tree().limit_of(path.levels())
    }

    /// Loads that wait for a permit.
    pub fn waiting(&self) -> u64 {
        if self.is_active() { self.state.lock().turns.waiting().into() } else { 0 }
    }

    /// Asks for the permits that a load of a scope needs. Call it inside of the caller's chain and without any lock; who is
    /// inside of a load is granted them.
    pub fn ask(
        self: &Arc<Self>,
        (load, run): (FlightId, Run),
        node: &Node,
        when_full: WhenFull,
    ) -> Permission {
        if !self.is_active() {
            return Permission::Granted(None);
        }
        let chain = Chain::current();
        let path = steps_to(node);
        let now = self.time.now();
        let mut wakes = Wakes::default();
        let mut gate = self.state.lock();
        gate.expire(now, &mut wakes);
        let takes_over = run == Run::Leader && gate.depose(load);
        if takes_over || !chain.is_empty() || chain::is_awaited(load) {
            let held = gate.held_by(&chain);
            let (nodes, is_over) = gate.turns.take_inside(path.into_iter(), |node| held.contains(&node));
            if takes_over {
                // The load goes on, with its permit. It may need less than the other one had.
                gate.offer(now, &mut wakes);
            }
            return self.grant(gate, load, nodes, is_over, now);
        }
        let token = gate.name();
        match gate.turns.ask(path.into_iter(), token, when_full == WhenFull::Refuse) {
            Asked::Taken(nodes) => self.grant(gate, load, nodes, false, now),
            Asked::Queued(place) => {
                gate.enqueue(token, load, place);
                let unwatched = !std::mem::replace(&mut gate.watched, true);
                drop(gate);
                if unwatched {
                    let look = soon(now, self.times);
                    self.watch.add(Arc::downgrade(self) as Weak<dyn Stalling>, look);
                }
                Permission::Wait(PermitWaiter::new(self, token))
            }
            Asked::Full(depth, limit) => {
                drop(gate);
                Permission::Refused(refusal(node, depth, limit))
            }
        }
    }

    fn grant(
        self: &Arc<Self>,
        mut gate: MutexGuard<'_, Books>,
        load: FlightId,
        nodes: Vec<NodeId>,
        is_over: bool,
        now: Moment,
    ) -> Permission {
        let name = gate.hold(load, nodes, later(now, self.times.lease));
        drop(gate);
        Permission::Granted(Some(LoadPermit::new(self, name, is_over)))
    }

    /// Somebody inside of a load waits for these loads now: those of them that wait for a permit get it, room or not.
    pub fn admit(&self, loads: &[FlightId]) {
        if loads.is_empty() || !self.is_active() {
            return;
        }
        let mut wakes = Wakes::default();
        let mut gate = self.state.lock();
        for &load in loads {
            gate.admit(load, &mut wakes);
        }
    }

    pub(super) fn now(&self) -> Moment {
        self.time.now()
    }

    /// A permit ends.
    pub(super) fn release(&self, permit: u64) {
        let now = self.time.now();
        let mut wakes = Wakes::default();
        let mut gate = self.state.lock();
        if let Some(nodes) = gate.let_go(permit) {
            gate.turns.release(&nodes);
            gate.offer(now, &mut wakes);
        }
    }

    /// What a waiter was offered; if nothing, where it keeps its waker.
    pub(super) fn accept<'a>(&self, gate: &'a mut Books, token: u64, now: Moment) -> Accepted<'a> {
        gate.accept(token, later(now, self.times.lease))
    }

    /// A waiter goes away before it has its permit.
    pub(super) fn leave(&self, token: u64) {
        let now = self.time.now();
        let mut wakes = Wakes::default();
        let mut gate = self.state.lock();
        let waker = gate.leave(token, now, &mut wakes);
        drop(gate);
        drop(waker);
    }
}

impl Stalling for LoadLimits {
    fn look(&self, now: Moment, wakes: &mut Wakes) -> Option<Moment> {
        let mut gate = self.state.lock();
        gate.take_back(|since| now.since(since) >= self.times.patience);
        gate.expire(now, wakes);
        gate.offer(now, wakes);
        if !gate.has_requests() {
            gate.watched = false;
            return None;
        }
        Some(soon(now, self.times))
    }
}

/// Level and id of each node of a path, from the first level down.
fn steps_to(node: &Node) -> Vec<Step<'_>> {
    let mut steps: Vec<Step<'_>> =
        node.chain().filter_map(|node| Some((node.level()?, node.text()))).collect();
    steps.reverse();
    steps
}

fn refusal(node: &Node, depth: usize, limit: LoadLimit) -> Error {
    let error = Error::new(ErrorKind::Overloaded, "get_or_load");
    let depth_of_node = node.chain().count() - 1;
    let full = node.chain().nth(depth_of_node - depth).unwrap_or(node);
    error
        .with("scope", full.path())
        .with("at_most", limit.most())
        .with("queue", limit.max_waiting())
        .because("as many loads wait there as may: ask again later, or raise the load limit or its queue")
}

impl fmt::Debug for LoadLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadLimits").field("active", &self.is_active()).finish_non_exhaustive()
    }
}
