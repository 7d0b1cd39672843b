//! Who holds permits and who waits, as names: requests, offers, and the permits of running loads. No lock, no clock.
//!
//! (1) A waiting load is a request until its waiter takes what it was offered, or leaves. A permit that was offered counts
//!     as held.
//! (2) A permit that is held past the lease's time counts no more, nor does one whose load was taken over: `held` knows
//!     it no longer, and its end changes nothing. `held` is in the order of time, so the oldest ones come first.
//! (3) Whoever may have given room offers it before it lets go of the lock. Wakers are handed out, not called.

use std::collections::{BTreeMap, HashMap};
use std::task::Waker;

use super::nodes::NodeId;
use super::turns::{Place, Turns};
use crate::clock::Moment;
use crate::flight::FlightId;
use crate::flight::after::Wakes;

/// What the gate's lock guards.
pub(super) struct Books {
    pub(super) turns: Turns,
    requests: BTreeMap<u64, Request>,
    /// The requests of each load; more than one only of a key's solo runs.
    by_load: HashMap<FlightId, Vec<u64>>,
    /// The permits of running loads.
    held: BTreeMap<u64, Held>,
    /// The permits of each load.
    by_holder: HashMap<FlightId, Vec<u64>>,
    offered: usize,
    /// The last name of a request or permit.
    last: u64,
    /// Whether somebody looks after those who wait.
    pub(super) watched: bool,
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

impl Books {
    pub(super) fn new(turns: Turns) -> Self {
        Self {
            turns,
            requests: BTreeMap::new(),
            by_load: HashMap::new(),
            held: BTreeMap::new(),
            by_holder: HashMap::new(),
            offered: 0,
            last: 0,
            watched: false,
        }
    }

    /// A name for a request.
    pub(super) fn name(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// A load waits from now on.
    pub(super) fn enqueue(&mut self, token: u64, load: FlightId, place: Place) {
        self.requests.insert(token, Request { load, waker: None, stage: Stage::Waiting(place) });
        self.by_load.entry(load).or_default().push(token);
    }

    /// What a waiter was offered, which is its permit until then; if nothing, where it keeps its waker.
    pub(super) fn accept(&mut self, token: u64, until: Moment) -> Accepted<'_> {
        match self.requests.get(&token) {
            None => return Accepted::Nothing,
            Some(Request { stage: Stage::Waiting(_), .. }) => {}
            Some(Request { stage: Stage::Offered(_), .. }) => {
                if let Some(Request { load, stage: Stage::Offered(offer), .. }) = self.forget(token) {
                    self.offered -= 1;
                    return Accepted::Permit(self.hold(load, offer.nodes, until), offer.is_over);
                }
            }
        }
        let request = self.requests.get_mut(&token);
        request.map_or(Accepted::Nothing, |request| Accepted::NotYet(&mut request.waker))
    }

    /// A waiter goes away before it has its permit; its waker is to be dropped.
    pub(super) fn leave(&mut self, token: u64, now: Moment, wakes: &mut Wakes) -> Option<Waker> {
        let request = self.forget(token)?;
        match request.stage {
            Stage::Waiting(place) => self.turns.leave(place),
            Stage::Offered(offer) => {
                self.offered -= 1;
                self.turns.release(&offer.nodes);
                self.offer(now, wakes);
            }
        }
        request.waker
    }

    /// Whether anybody waits, or has not taken yet what was offered.
    pub(super) fn has_requests(&self) -> bool {
        !self.requests.is_empty()
    }

    /// Offers permits as long as there is room and somebody waits.
    pub(super) fn offer(&mut self, now: Moment, wakes: &mut Wakes) {
        while let Some((token, nodes)) = self.turns.next() {
            self.put(token, nodes, false, Some(now), wakes);
        }
    }

    /// Offers permits for all requests of a load, room or not, for as long as it takes.
    pub(super) fn admit(&mut self, load: FlightId, wakes: &mut Wakes) {
        for token in self.by_load.get(&load).cloned().unwrap_or_default() {
            match self.requests.get_mut(&token).map(|request| &mut request.stage) {
                Some(&mut Stage::Waiting(place)) => {
                    let (nodes, is_over) = self.turns.admit(place);
                    self.put(token, nodes, is_over, None, wakes);
                }
                Some(Stage::Offered(offer)) => offer.since = None,
                None => {}
            }
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
    pub(super) fn take_back(&mut self, is_late: impl Fn(Moment) -> bool) {
        if self.offered == 0 {
            return;
        }
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

    /// A load runs from now on; the name of its permit.
    pub(super) fn hold(&mut self, load: FlightId, nodes: Vec<NodeId>, until: Moment) -> u64 {
        let name = self.name();
        self.held.insert(name, Held { load, nodes, until });
        self.by_holder.entry(load).or_default().push(name);
        name
    }

    /// The nodes of a permit that counts no more from now on, if it still did.
    pub(super) fn let_go(&mut self, permit: u64) -> Option<Vec<NodeId>> {
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
    pub(super) fn depose(&mut self, load: FlightId) -> bool {
        let Some(permits) = self.by_holder.get(&load).cloned() else { return false };
        for permit in permits {
            if let Some(nodes) = self.let_go(permit) {
                self.turns.release(&nodes);
            }
        }
        true
    }

    /// The nodes that a chain of loads holds.
    pub(super) fn held_by(&self, chain: &[FlightId]) -> Vec<NodeId> {
        let permits = chain.iter().filter_map(|load| self.by_holder.get(load)).flatten();
        permits
            .filter_map(|permit| self.held.get(permit))
            .flat_map(|held| held.nodes.iter().copied())
            .collect()
    }

    /// Lets go of what was held for longer than a lease.
    pub(super) fn expire(&mut self, now: Moment, wakes: &mut Wakes) {
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

    /// How many paths are known, the root's among them, and how many requests.
    #[cfg(test)]
    pub(super) fn sizes(&self) -> (usize, usize) {
        let names = |names: &HashMap<FlightId, Vec<u64>>| names.values().map(Vec::len).sum::<usize>();
        assert_eq!((names(&self.by_load), names(&self.by_holder)), (self.requests.len(), self.held.len()));
        (self.turns.tree().len(), self.requests.len())
    }
}
