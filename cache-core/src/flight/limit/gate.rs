//! The gate that loads pass: who holds permits, who waits for one, and whom to wake.
//!
//! (1) One lock for all of it, taken after a shard's, a flight's and a pulse's; under it only the wait graph's. No waker
//!     is cloned, called or dropped under it.
//! (2) A waiting load is a request until its waiter takes what it was offered, or drops. A permit that was offered counts
//!     as held.
//! (3) A request whose load somebody waits for inside of another load is admitted at once: by who asks, if that wait was
//!     announced before, else by who announced it. Both look after they have made themselves seen, so one of them sees it.
//! (4) What is offered and not taken for a patience is offered to the next, unless (3) is why it was offered.
//! (5) A permit that is held past the lease's time counts no more, nor does one whose load was taken over: `held` knows
//!     it no longer, and its end changes nothing. `held` is in the order of time, so the oldest ones come first.

use std::collections::{BTreeMap, HashMap};
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

/// What the lock guards.
pub(super) struct Gate {
    turns: Turns,
    requests: BTreeMap<u64, Request>,
    /// The requests of each load; more than one only of a key's solo runs.
    by_load: HashMap<FlightId, Vec<u64>>,
    /// The permits of running loads.
    held: BTreeMap<u64, Held>,
    /// The permits of each load.
    by_holder: HashMap<FlightId, Vec<u64>>,
    offered: usize,
    /// The next name of a request or permit.
    next: u64,
    watched: bool,
}

struct Held {
    load: FlightId,
    nodes: Vec<NodeId>,
    until: Moment,
}

/// A load that waits, or was offered a permit.
struct Request {
    load: FlightId,
    waker: Option<Waker>,
    stage: Stage,
}

enum Stage {
    Waiting(Place),
    Offered(Offer),
}

/// What there is for a waiter.
pub(super) enum Accepted<'a> {
    /// A permit, and whether it is over a limit.
    Permit(u64, bool),
    /// The place for its waker.
    NotYet(&'a mut Option<Waker>),
    /// It was answered before.
    Nothing,
}

struct Offer {
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
            requests: BTreeMap::new(),
            by_load: HashMap::new(),
            held: BTreeMap::new(),
            by_holder: HashMap::new(),
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
                // It may need less than the other one had.
                gate.offer(now, &mut wakes);
            }
            return self.grant(gate, load, nodes, is_over, now);
        }
        let token = gate.name();
        match gate.turns.ask(path.into_iter(), token, when_full == WhenFull::Refuse) {
            Asked::Taken(nodes) => self.grant(gate, load, nodes, false, now),
            Asked::Queued(place) => {
                gate.requests.insert(token, Request { load, waker: None, stage: Stage::Waiting(place) });
                gate.by_load.entry(load).or_default().push(token);
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
        mut gate: MutexGuard<'_, Gate>,
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
        for load in loads {
            for token in gate.by_load.get(load).cloned().unwrap_or_default() {
                gate.admit(token, &mut wakes);
            }
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

    /// What a waiter was offered, if it was: the permit's name, and whether it is over a limit. Else its request.
    pub(super) fn accept<'a>(&self, gate: &'a mut Gate, token: u64, now: Moment) -> Accepted<'a> {
        match gate.requests.get(&token) {
            None => return Accepted::Nothing,
            Some(Request { stage: Stage::Waiting(_), .. }) => {}
            Some(Request { stage: Stage::Offered(_), .. }) => {
                if let Some(Request { load, stage: Stage::Offered(offer), .. }) = gate.forget(token) {
                    gate.offered -= 1;
                    let name = gate.hold(load, offer.nodes, later(now, self.times.lease));
                    return Accepted::Permit(name, offer.is_over);
                }
            }
        }
        gate.requests
            .get_mut(&token)
            .map_or(Accepted::Nothing, |request| Accepted::NotYet(&mut request.waker))
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
        assert_eq!(gate.by_holder.values().map(Vec::len).sum::<usize>(), gate.held.len());
        (gate.turns.tree().len(), gate.requests.len())
    }
}

impl Gate {
    fn name(&mut self) -> u64 {
        self.next += 1;
        self.next
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
            self.by_load = HashMap::new();
        }
        Some(request)
    }

    fn hold(&mut self, load: FlightId, nodes: Vec<NodeId>, until: Moment) -> u64 {
        let name = self.name();
        self.held.insert(name, Held { load, nodes, until });
        self.by_holder.entry(load).or_default().push(name);
        name
    }

    /// The nodes of a permit that counts no more from now on, if it still did.
    fn let_go(&mut self, permit: u64) -> Option<Vec<NodeId>> {
        let Held { load, nodes, .. } = self.held.remove(&permit)?;
        if let Some(names) = self.by_holder.get_mut(&load) {
            names.retain(|&other| other != permit);
            if names.is_empty() {
                self.by_holder.remove(&load);
            }
        }
        Some(nodes)
    }

    /// Lets go of what a load holds whose leader was deposed, for the next one to take. Whether it held anything.
    fn depose(&mut self, load: FlightId) -> bool {
        let Some(permits) = self.by_holder.get(&load).cloned() else { return false };
        for permit in permits {
            if let Some(nodes) = self.let_go(permit) {
                self.turns.release(&nodes);
            }
        }
        true
    }

    /// The nodes that a chain of loads holds.
    fn held_by(&self, chain: &[FlightId]) -> Vec<NodeId> {
        let permits = chain.iter().filter_map(|load| self.by_holder.get(load)).flatten();
        permits
            .filter_map(|permit| self.held.get(permit))
            .flat_map(|held| held.nodes.iter().copied())
            .collect()
    }

    /// Lets go of what was held for longer than a lease.
    fn expire(&mut self, now: Moment, wakes: &mut Wakes) {
        let mut is_late = false;
        while let Some((&oldest, _)) = self.held.first_key_value().filter(|(_, held)| held.until <= now) {
            is_late = true;
            if let Some(nodes) = self.let_go(oldest) {
                self.turns.release(&nodes);
            }
        }
        if is_late {
            self.offer(now, wakes);
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
        gate.expire(now, wakes);
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
