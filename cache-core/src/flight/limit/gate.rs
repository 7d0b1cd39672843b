//! The gate that loads pass: who holds permits, who waits for one, and whom to wake.
//!
//! (1) One lock for all of it, taken after a shard's, a flight's and a pulse's; under it only the wait graph's. No waker
//!     is cloned, called or dropped under it.
//! (2) A waiting load is a request until its waiter takes what it was offered, or drops. A permit that was offered counts
//!     as held.
//! (3) A request whose load somebody waits for inside of another load is admitted at once: by who asks, if that wait was
//!     announced before, else by who announced it. Both look after they have made themselves seen, so one of them sees it.
//! (4) What is offered and not taken for a patience is offered to the next, unless (3) is why it was offered.

use std::collections::HashMap;
use std::fmt;
use std::task::Waker;

use super::LoadLimit;
use super::nodes::{Defaults, NodeId, Step};
use super::permit::{LoadPermit, PermitWaiter};
use super::turns::{Asked, Place, Turns};
use crate::clock::{Moment, TimeSource};
use crate::error::{Error, ErrorKind};
use crate::flight::after::Wakes;
use crate::flight::chain::{self, Chain};
use crate::flight::stall::{Stalling, Watch, soon};
use crate::flight::{FlightId, LeaseTimes};
use crate::scope::{Node, ScopePath};
use crate::sync::{Arc, AtomicBool, Mutex, Ordering, Weak};

/// The load limits of one cache.
pub struct LoadLimits {
    /// Whether there is any limit.
    active: AtomicBool,
    times: LeaseTimes,
    time: TimeSource,
    watch: Arc<Watch>,
    pub(super) state: Mutex<Gate>,
}

/// What a load does that finds the queue full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenFull {
    /// It is refused.
    Refuse,
    /// It waits: its caller could not be told.
    Wait,
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

/// What the lock guards.
pub(super) struct Gate {
    turns: Turns,
    requests: HashMap<u64, Request>,
    /// The requests of each load; more than one only of a key's solo runs.
    by_load: HashMap<FlightId, Vec<u64>>,
    /// The nodes that each running load holds permits of.
    inside: HashMap<FlightId, Vec<NodeId>>,
    offered: usize,
    next: u64,
    watched: bool,
}

/// A load that waits, or was offered a permit.
pub(super) struct Request {
    load: FlightId,
    pub(super) waker: Option<Waker>,
    pub(super) stage: Stage,
}

pub(super) enum Stage {
    Waiting(Place),
    Offered(Offer),
}

pub(super) struct Offer {
    nodes: Vec<NodeId>,
    is_over: bool,
    /// Since when it may be offered to somebody else, if it may.
    since: Option<Moment>,
    at: NodeId,
}

impl LoadLimits {
    /// Limits of levels; those of paths are set later.
    pub fn new(defaults: Defaults, times: LeaseTimes, time: TimeSource, watch: Arc<Watch>) -> Arc<Self> {
        let gate = Gate {
            turns: Turns::new(defaults),
            requests: HashMap::new(),
            by_load: HashMap::new(),
            inside: HashMap::new(),
            offered: 0,
            next: 0,
            watched: false,
        };
        let active = AtomicBool::new(gate.turns.tree().has_limits());
        Arc::new(Self { active, times, time, watch, state: Mutex::new(gate) })
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
        gate.turns.set_limit(steps_of(path).into_iter(), limit);
        self.active.store(gate.turns.tree().has_limits(), Ordering::Relaxed);
        gate.offer(now, &mut wakes);
    }

    /// The limit that holds for a path.
    pub fn get(&self, path: &ScopePath) -> Option<LoadLimit> {
        self.state.lock().turns.tree().limit_of(steps_of(path).into_iter())
    }

    /// Loads that wait for a permit.
    pub fn waiting(&self) -> u64 {
        if self.is_active() { self.state.lock().turns.waiting().into() } else { 0 }
    }

    /// Asks for the permits that a load of a scope needs. Call it inside of the caller's chain and without any lock; who is
    /// inside of a load is granted them.
    pub fn ask(self: &Arc<Self>, load: FlightId, node: &Node, when_full: WhenFull) -> Permission {
        if !self.is_active() {
            return Permission::Granted(None);
        }
        let chain = Chain::current();
        let path = steps_to(node);
        let mut gate = self.state.lock();
        if !chain.is_empty() || chain::is_awaited(load) {
            let held: Vec<NodeId> =
                chain.iter().filter_map(|id| gate.inside.get(id)).flatten().copied().collect();
            let (nodes, is_over) = gate.turns.take_inside(path.into_iter(), |node| held.contains(&node));
            gate.enter(load, &nodes);
            drop(gate);
            return Permission::Granted(Some(LoadPermit::new(self, load, nodes, is_over)));
        }
        let token = gate.next;
        match gate.turns.ask(path.into_iter(), token, when_full == WhenFull::Refuse) {
            Asked::Taken(nodes) => {
                gate.enter(load, &nodes);
                drop(gate);
                Permission::Granted(Some(LoadPermit::new(self, load, nodes, false)))
            }
            Asked::Queued(place) => {
                gate.next += 1;
                gate.requests.insert(token, Request { load, waker: None, stage: Stage::Waiting(place) });
                gate.by_load.entry(load).or_default().push(token);
                let unwatched = !std::mem::replace(&mut gate.watched, true);
                drop(gate);
                if unwatched {
                    let look = soon(self.time.now(), self.times);
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

    /// Somebody inside of a load waits for these loads now: those of them that wait for a permit get it, room or not.
    pub fn admit(&self, loads: &[FlightId]) {
        if loads.is_empty() || !self.is_active() {
            return;
        }
        let mut wakes = Wakes::default();
        let mut gate = self.state.lock();
        for load in loads {
            for token in gate.by_load.get(load).cloned().unwrap_or_default() {
                gate.admit(token, &mut wakes);
            }
        }
    }

    /// A permit ends.
    pub(super) fn release(&self, load: FlightId, nodes: &[NodeId]) {
        let now = self.time.now();
        let mut wakes = Wakes::default();
        let mut gate = self.state.lock();
        gate.exit(load, nodes);
        gate.turns.release(nodes);
        gate.offer(now, &mut wakes);
    }

    /// A waiter goes away before it has its permit.
    pub(super) fn leave(&self, token: u64) {
        let now = self.time.now();
        let mut wakes = Wakes::default();
        let mut gate = self.state.lock();
        let Some(request) = gate.forget(token) else { return };
        match request.stage {
            Stage::Waiting(place) => gate.turns.leave(place),
            Stage::Offered(offer) => {
                gate.offered -= 1;
                gate.turns.release(&offer.nodes);
                gate.offer(now, &mut wakes);
            }
        }
        drop(gate);
        drop(request.waker);
    }

    /// How many paths are known, the root's among them, and how many requests.
    #[cfg(test)]
    pub(super) fn sizes(&self) -> (usize, usize) {
        let gate = self.state.lock();
        assert_eq!(gate.by_load.values().map(Vec::len).sum::<usize>(), gate.requests.len());
        (gate.turns.tree().len(), gate.requests.len())
    }
}

impl Gate {
    /// The permit that was offered for a request, taken by its waiter: its load, its nodes, whether it is over a limit.
    pub(super) fn accept(&mut self, token: u64) -> Option<(FlightId, Vec<NodeId>, bool)> {
        if !matches!(self.requests.get(&token)?.stage, Stage::Offered(_)) {
            return None;
        }
        let request = self.forget(token)?;
        let Stage::Offered(offer) = request.stage else { return None };
        self.offered -= 1;
        self.enter(request.load, &offer.nodes);
        Some((request.load, offer.nodes, offer.is_over))
    }

    pub(super) fn request(&mut self, token: u64) -> Option<&mut Request> {
        self.requests.get_mut(&token)
    }

    /// Offers permits as long as there is room and somebody waits.
    fn offer(&mut self, now: Moment, wakes: &mut Wakes) {
        while let Some((token, nodes)) = self.turns.next() {
            self.put(token, nodes, false, Some(now), wakes);
        }
    }

    fn admit(&mut self, token: u64, wakes: &mut Wakes) {
        let Some(Request { stage, .. }) = self.requests.get_mut(&token) else { return };
        match stage {
            Stage::Waiting(place) => {
                let place = *place;
                let (nodes, is_over) = self.turns.admit(place);
                self.put(token, nodes, is_over, None, wakes);
            }
            Stage::Offered(offer) => offer.since = None,
        }
    }

    fn put(
        &mut self,
        token: u64,
        nodes: Vec<NodeId>,
        is_over: bool,
        since: Option<Moment>,
        wakes: &mut Wakes,
    ) {
        let Some(request) = self.requests.get_mut(&token) else { return };
        let Stage::Waiting(place) = request.stage else { return };
        request.stage = Stage::Offered(Offer { nodes, is_over, since, at: place.at });
        self.offered += 1;
        wakes.push(request.waker.take());
    }

    /// Takes back what was offered before this moment and not taken; its load goes to the end of its queue.
    fn take_back(&mut self, is_late: impl Fn(Moment) -> bool) {
        let Self { turns, requests, offered, .. } = self;
        for (&token, request) in requests.iter_mut() {
            let Stage::Offered(Offer { nodes, since: Some(since), at, .. }) = &request.stage else {
                continue;
            };
            if is_late(*since) {
                // First into the queue, so that its path is not forgotten.
                let place = turns.queue(*at, token);
                turns.release(nodes);
                request.stage = Stage::Waiting(place);
                *offered -= 1;
            }
        }
    }

    fn forget(&mut self, token: u64) -> Option<Request> {
        let request = self.requests.remove(&token)?;
        if let Some(tokens) = self.by_load.get_mut(&request.load) {
            tokens.retain(|&other| other != token);
            if tokens.is_empty() {
                self.by_load.remove(&request.load);
            }
        }
        if self.requests.is_empty() {
            self.requests = HashMap::new();
            self.by_load = HashMap::new();
        }
        Some(request)
    }

    fn enter(&mut self, load: FlightId, nodes: &[NodeId]) {
        if !nodes.is_empty() {
            self.inside.entry(load).or_default().extend_from_slice(nodes);
        }
    }

    fn exit(&mut self, load: FlightId, nodes: &[NodeId]) {
        let Some(held) = self.inside.get_mut(&load) else { return };
        for node in nodes {
            if let Some(at) = held.iter().position(|held| held == node) {
                held.swap_remove(at);
            }
        }
        if held.is_empty() {
            self.inside.remove(&load);
        }
    }
}

impl Stalling for LoadLimits {
    fn look(&self, now: Moment, wakes: &mut Wakes) -> Option<Moment> {
        let mut gate = self.state.lock();
        if gate.offered > 0 {
            gate.take_back(|since| now.since(since) >= self.times.patience);
            gate.offer(now, wakes);
        }
        if gate.requests.is_empty() {
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

fn steps_of(path: &ScopePath) -> Vec<Step<'_>> {
    let levels = path.level_id().map_or(&[][..], |level| path.tree().path(level));
    levels.iter().copied().zip(path.parts().map(|(_, id)| id)).collect()
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
