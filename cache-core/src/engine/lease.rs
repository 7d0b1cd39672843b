//! Loading a key: look and join under one lock, lead or wait, land or give up.
//!
//! (1) A lease publishes only if its flight is still the key's current one, or one that a newer load took the place of and has not
//! published yet, if it was not taken over, and if its scope is alive; all is checked under the lock under which writes and invalidations
//! detach flights.
//! (2) A lease that is dropped, or fails with what cannot be shared, hands over to one of those who wait; after the third
//! failure in a row all of them are told.
//! (3) Whoever lands serves those who waited, published or not. (4) Values are cloned outside of locks.
//! (5) A lease asks for the permits of its scope's load limits before its loader runs, and gives them back when that has
//! ended; if it is refused, so is everybody who waits for it. A load counts from when its loader runs.
//! (6) Where a region has a breaker, a lease asks it before all else, and tells it how the loader ended: well, or not; one that was
//! cancelled says nothing.
//! (7) A lease knows how many withdrawals of tags there were when it began. It says under which cell its entry will be found, then
//! looks whether one of its tags was withdrawn since, under the lock under which others join it: so no order of events publishes. Who
//! waited is served all the same if the tag was declared, for none of them came after it was withdrawn; but not if the loader added it.

mod answer;
mod fenced;
mod limit;

use std::any::Any;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::Engine;
use super::options::{Key, Value, Write};
use super::removal::Removals;
use super::shard::{Draft, Target};
use super::store::Store;
use super::write::{Fate, Rest};
use crate::clock::Moment;
use crate::epoch;
use crate::error::Error;
use crate::event::LoadEventKind;
use crate::flight::{Adding, Chain, ChainGuard, FlightId, Joined as Join, LoadPermit, Previous, Trial};
use crate::flight::{
    After, Ask, Failure, Flights, Outcome, PlaceWaiter, Pulse, Reaper, Solo, TakeOver, Ticket, Waiter,
};
use crate::scope::{MAX_TAGS, Node, Tags};
use crate::stats::Counter;
use crate::sync::Arc;
use fenced::Fenced;

/// What is good enough for who asks for a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enough {
    /// What is stored, or a load that runs.
    Stored,
    /// A load that runs, or another one.
    Load,
    /// A load that begins from now on. One that runs is superseded: nobody joins it any more, and it stores nothing once the newer
    /// one has.
    LoadFromNow,
}

/// What asking for a key comes to.
#[derive(Debug)]
#[must_use = "a lease that is dropped hands over"]
pub enum Joined<K: Key, V: Value> {
    /// It is here.
    Hit(V),
    /// Run the loader.
    Lead(Lease<K, V>),
    /// Somebody runs it.
    Wait(Waiting<K, V>),
    /// Two loads run that may not be joined; wait for a place, then ask again.
    Place(PlaceWaiter),
    /// The caller is inside this load, or waiting would close a circle: run the loader uncached.
    Recursion,
    /// Two loads of this key are stalled; no third may begin.
    Stuck,
}

/// What waiting for a load comes to.
#[derive(Debug)]
#[must_use = "a lease that is dropped hands over"]
pub enum Waited<K: Key, V: Value> {
    /// It landed.
    Value(V),
    /// It failed; all who waited are told together.
    Failed(Failure),
    /// It was not begun: as many wait for its scope as may.
    Refused(Error),
    /// The leader gave up or stalled: run the loader.
    Lead(Lease<K, V>),
    /// Ask again.
    Rejoin,
    /// It landed, and its value may be older than the withdrawal of a tag that its loader added: ask again.
    Outdated,
    /// Two loads of this key are stalled; no third may begin.
    Stuck,
}

/// What became of a landed value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Landing {
    /// It is in the cache.
    Published,
    /// Its key, region or scope was invalidated or written since the load began.
    RefusedDetached,
    /// Its leader had stalled and lost the lease.
    RefusedStalled,
    /// Its weight is zero or above the capacity, or its deadline cannot be represented.
    RefusedWeight,
    /// It was not to be stored.
    Unwanted,
    /// One of its tags was withdrawn since the load began.
    RefusedTag,
    /// What was stored stays, and its time began anew.
    Unchanged,
}

impl Landing {
    /// Whether the value was to be stored and was not.
    pub fn is_refused(self) -> bool {
        !matches!(self, Self::Published | Self::Unwanted | Self::Unchanged)
    }
}

/// The right, and the duty, to load one key once. Dropping it gives the right up.
#[must_use = "a lease that is dropped hands over"]
pub struct Lease<K: Key, V: Value> {
    store: Arc<Store<K, V>>,
    engine: Arc<Engine>,
    node: Arc<Node>,
    ticket: Option<Ticket<V>>,
    /// When its loader began.
    begun: Option<Moment>,
    /// It ends with the loader, before somebody else is told to lead.
    permit: Option<LoadPermit>,
    /// The region's breaker is told how the loader ended.
    trial: Option<Trial>,
    /// How many withdrawals of tags there were when it began.
    since: u64,
    tags: Adding,
}

/// A wait for somebody else's load: a future that tasks poll and threads park on alike.
#[must_use = "a wait does nothing unless it is polled"]
pub struct Waiting<K: Key, V: Value> {
    store: Arc<Store<K, V>>,
    engine: Arc<Engine>,
    node: Arc<Node>,
    waiter: Waiter<V>,
}

impl<K: Key, V: Value> Store<K, V> {
    /// Looks for a usable value and, without one, joins or leads the load of the key. Counts nothing but the touch.
    pub fn join(self: &Arc<Self>, engine: &Arc<Engine>, node: Arc<Node>, key: &K) -> Joined<K, V> {
        self.join_for(engine, node, key, &Tags::none(), Enough::Stored)
    }

    /// As [`join`](Self::join), for who may want more than what is stored, and for a load that declares tags: whoever comes after one of
    /// them was withdrawn does not wait for it.
    pub fn join_for(
        self: &Arc<Self>,
        engine: &Arc<Engine>,
        node: Arc<Node>,
        key: &K,
        tags: &Tags,
        enough: Enough,
    ) -> Joined<K, V> {
        let hash = self.hash(&node, key);
        let since = engine.fences().count();
        let fence = engine.fence_of(&node, tags);
        let mut owned = None;
        loop {
            let mut after = After::new();
            let now = engine.now();
            let joined = {
                let pin = epoch::pin();
                let mut shard = self.shard(hash);
                if enough == Enough::Stored
                    && let Some(entry) = self.usable(engine, &mut shard, &pin, hash, &node, key)
                {
                    drop(shard);
                    return Joined::Hit(entry.value());
                }
                let eq = |other: &Arc<Node>, known: &K| other.same_path(&node) && known == key;
                if enough == Enough::LoadFromNow && owned.is_none() {
                    shard.books().flights.supersede(hash, eq, &mut after);
                }
                let ask = Ask { hash, now, node: &node, fence: fence.clone(), key: &mut owned };
                shard.books().flights.join(ask, eq, |node| node.is_live(), &mut after)
            };
            drop(after);
            return match joined {
                Join::NeedsKey => {
                    owned = Some(key.clone());
                    continue;
                }
                Join::Lead(ticket) => {
                    engine.note_scope();
                    let previous = self.previous(engine, &node, key);
                    Joined::Lead(Lease::new(self, engine, node, ticket, since, previous))
                }
                Join::Wait(waiter) => {
                    engine.load_limits().admit(waiter.awaits());
                    engine.wake_maintenance();
                    let (store, engine) = (Arc::clone(self), Arc::clone(engine));
                    Joined::Wait(Waiting { store, engine, node, waiter })
                }
                Join::Place(place) => {
                    engine.load_limits().admit(place.awaits());
                    engine.wake_maintenance();
                    Joined::Place(place)
                }
                Join::Recursion => Joined::Recursion,
                Join::Stuck => Joined::Stuck,
            };
        }
    }

    /// Asks for one of the permits with which callers whose load failed for others too run it by themselves.
    pub fn solo(self: &Arc<Self>, engine: &Engine, node: &Arc<Node>, key: &K) -> Solo {
        let hash = self.hash(node, key);
        let mut owned = Some(key.clone());
        let mut after = After::new();
        let now = engine.now();
        let solo = {
            let mut shard = self.shard(hash);
            let ask = Ask { hash, now, node, fence: None, key: &mut owned };
            let eq = |other: &Arc<Node>, known: &K| other.same_path(node) && known == key;
            shard.books().flights.solo(ask, eq, &mut after)
        };
        drop(after);
        if let Solo::Wait(waiter) = &solo {
            engine.load_limits().admit(waiter.awaits());
            engine.wake_maintenance();
        }
        solo
    }

    fn flights<R>(
        &self,
        hash: u64,
        act: impl FnOnce(&mut Flights<Arc<Node>, K, V>, &mut After<Arc<Node>, K>) -> R,
    ) -> R {
        let mut after = After::new();
        let mut shard = self.shard(hash);
        let result = act(&mut shard.books().flights, &mut after);
        drop(shard);
        drop(after);
        result
    }

    fn count_landing(&self, landing: Landing) {
        match landing {
            Landing::Published | Landing::Unwanted => {}
            Landing::Unchanged => self.counters.count(Counter::Unchanged),
            Landing::RefusedDetached => self.counters.count(Counter::RefusedDetached),
            Landing::RefusedStalled => self.counters.count(Counter::RefusedStalled),
            Landing::RefusedWeight => self.counters.count(Counter::RefusedWeight),
            Landing::RefusedTag => self.counters.count(Counter::RefusedTag),
        }
    }
}

impl<K: Key, V: Value> Reaper for Store<K, V> {
    fn reap(&self, hash: u64, id: FlightId) {
        self.flights(hash, |flights, after| flights.reap(hash, id, after));
    }
}

impl<K: Key, V: Value> Lease<K, V> {
    pub(super) fn new(
        store: &Arc<Store<K, V>>,
        engine: &Arc<Engine>,
        node: Arc<Node>,
        ticket: Ticket<V>,
        since: u64,
        previous: Option<(V, Tags)>,
    ) -> Self {
        let (store, engine, ticket) = (Arc::clone(store), Arc::clone(engine), Some(ticket));
        let previous = previous.map(|(value, tags)| Arc::new(Previous { value: Arc::new(value), tags }));
        let tags = Adding { previous, ..Adding::default() };
        Self { store, engine, node, ticket, begun: None, permit: None, trial: None, since, tags }
    }

    /// The tags that the caller declares for what it loads; to be said before the loader runs.
    pub fn declare(&mut self, tags: &Tags) {
        self.tags.declared = tags.clone();
    }

    /// Enters the load on this thread: around a sync loader's call, or each poll of an async one.
    pub fn enter(&mut self) -> ChainGuard {
        Chain::enter_with(self.id(), std::mem::take(&mut self.tags))
    }

    /// Leaves it again, and keeps the tags that its loader has added.
    pub fn leave(&mut self, inside: ChainGuard) {
        self.tags = inside.leave();
    }

    /// Takes over what the loader has said under another lease: one loader brings both.
    pub fn adopt(&mut self, other: &Self) {
        self.tags.added = other.tags.added.clone();
        self.tags.answer = other.tags.answer;
    }

    /// The name of the load, for the call chain.
    pub fn id(&self) -> Option<FlightId> {
        self.ticket.as_ref().map(Ticket::id)
    }

    /// The sign of life of an async leader.
    pub fn pulse(&self) -> Option<Arc<Pulse>> {
        self.ticket.as_ref().map(|ticket| Arc::clone(ticket.pulse()))
    }

    /// The scope that the load is for.
    pub fn node(&self) -> &Arc<Node> {
        &self.node
    }

    /// Delivers the loaded value: to everybody who waited, unless (7) sends them away, and to the cache if it is to be stored and (1)
    /// holds.
    pub fn land(mut self, key: K, value: &V, write: Option<Write>) -> Landing {
        let Some(mut ticket) = self.ticket.take() else { return Landing::RefusedStalled };
        let permit = self.permit.take();
        self.end_trial(true);
        let mut write = self.answered(write);
        let is_unchanged = self.tags.answer.is_unchanged;
        if is_unchanged {
            // What stays has its tags, also where it has gone by now and is stored again; not if they are more than an entry has.
            if let Some(previous) = &self.tags.previous {
                self.tags.added = self.tags.added.and(&previous.tags);
            }
            write = write.filter(|_| self.tags.declared.and(&self.tags.added).as_slice().len() <= MAX_TAGS);
        }
        let (store, engine, node) = (&self.store, &self.engine, &self.node);
        let shared = Arc::new(value.clone());
        let terms = write.and_then(|write| store.terms(engine, &key, value, write).ok());
        let hash = ticket.hash();
        let fenced = Fenced::of(engine, node, &self.tags, self.since);
        let target = Target { node, cell: fenced.cell.as_ref() };
        let pays = terms.and_then(|terms| store.expire_before(engine, node, terms, hash));
        // Made before the lock: to clone a value is to run user code.
        let mut draft = terms.map(|terms| Draft { key, value: value.clone(), terms });
        let pin = store.listening(engine);
        let mut removals = Removals::new(pin.as_ref());
        let mut after = After::new();
        let (landing, fate, is_outdated, tired) = {
            let mut shard = store.shard(hash);
            let may_publish = shard.books().flights.may_publish(&ticket);
            let [is_withdrawn, mut is_outdated] = fenced.look(engine);
            let (landing, fate) = if !may_publish || !node.is_live() {
                let stalled = !may_publish && ticket.is_deposed();
                (if stalled { Landing::RefusedStalled } else { Landing::RefusedDetached }, None)
            } else if is_withdrawn {
                (Landing::RefusedTag, None)
            } else if is_unchanged && store.renew(engine, &mut shard, node, hash, draft.as_ref()) {
                shard.books().flights.outdate(&ticket);
                (Landing::Unchanged, None)
            } else {
                match store.link(engine, &mut shard, target, hash, &mut draft, pays, &mut removals) {
                    Fate::Nothing if write.is_none() => (Landing::Unwanted, None),
                    Fate::Nothing => (Landing::RefusedWeight, None),
                    Fate::Dead if node.is_live() => {
                        is_outdated = !self.tags.added.is_empty();
                        (Landing::RefusedTag, None)
                    }
                    Fate::Dead => (Landing::RefusedDetached, None),
                    fate => {
                        shard.books().flights.outdate(&ticket);
                        (Landing::Published, Some(fate))
                    }
                }
            };
            shard.books().flights.end(&mut ticket, &mut after);
            (landing, fate, is_outdated, shard.is_tired())
        };
        drop(after);
        // The loader has ended, and its value is there for whoever asks next.
        drop(permit);
        store.count_landing(landing);
        if landing.is_refused() {
            engine.tell(&store.name, node, LoadEventKind::NotStored);
        }
        node.stats().count_load();
        if is_outdated {
            ticket.outdate();
        } else {
            ticket.complete(shared);
        }
        let fate = fate.unwrap_or(Fate::Nothing);
        let over = store.settle(engine, node, fate, &mut draft, removals);
        drop(pin);
        // What was not linked is dropped here, without a lock.
        drop(draft);
        store.complete(engine, Rest::new(fate, hash, tired, over));
        landing
    }

    /// Ends the load with an error. `shared` is the error for those who waited, if it can be shared; if not, they go on
    /// together with one of them, a few times.
    pub fn fail(mut self, shared: Option<Arc<dyn Any + Send + Sync>>) {
        self.end_in_failure(shared, false);
    }

    fn end_in_failure(&mut self, shared: Option<Arc<dyn Any + Send + Sync>>, panicked: bool) {
        if self.ticket.is_some() {
            self.count_failure(panicked);
        }
        self.end(shared, panicked);
    }

    fn end(&mut self, shared: Option<Arc<dyn Any + Send + Sync>>, panicked: bool) {
        drop(self.permit.take());
        self.end_trial(false);
        let Some(mut ticket) = self.ticket.take() else { return };
        let now = self.engine.now();
        let passed_on = self.store.flights(ticket.hash(), |flights, after| {
            if shared.is_none() && flights.fail_over(&mut ticket, now, after) {
                return true;
            }
            flights.end(&mut ticket, after);
            false
        });
        if !passed_on {
            ticket.fail(shared, panicked);
        }
    }

    fn count_failure(&self, panicked: bool) {
        if self.begun.is_none() {
            return;
        }
        self.store.counters().count(Counter::LoadFailures);
        if panicked {
            self.store.counters().count(Counter::Panics);
        }
        self.node.stats().count_load_failure();
        let what = if panicked { LoadEventKind::Panicked } else { LoadEventKind::Failed };
        self.engine.tell(&self.store.name, &self.node, what);
    }
}

impl<K: Key, V: Value> Drop for Lease<K, V> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.end_in_failure(None, true);
        } else if let Some(mut ticket) = self.ticket.take() {
            drop(self.permit.take());
            drop(self.trial.take());
            let now = self.engine.now();
            let hash = ticket.hash();
            self.store.flights(hash, |flights, after| flights.hand_over(&mut ticket, now, after));
            self.count_failure(false);
        }
    }
}

impl<K: Key, V: Value> Future for Waiting<K, V> {
    type Output = Waited<K, V>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Waited<K, V>> {
        let this = self.get_mut();
        loop {
            // Before the lease can be had: what is withdrawn from now on is withdrawn from its load.
            let since = this.engine.fences().count();
            let lead = |ticket| {
                Waited::Lead(Lease::new(
                    &this.store,
                    &this.engine,
                    Arc::clone(&this.node),
                    ticket,
                    since,
                    None,
                ))
            };
            let Poll::Ready(outcome) = Pin::new(&mut this.waiter).poll(cx) else { return Poll::Pending };
            return Poll::Ready(match outcome {
                Outcome::Value(value) => Waited::Value(V::clone(&value)),
                Outcome::Failed(failure) => match failure.refusal() {
                    Some(error) => Waited::Refused(error),
                    None => Waited::Failed(failure),
                },
                Outcome::Rejoin => Waited::Rejoin,
                Outcome::Outdated => Waited::Outdated,
                Outcome::Stuck => Waited::Stuck,
                Outcome::Lead(ticket) => lead(ticket),
                Outcome::Stalled => {
                    let now = this.engine.now();
                    let (store, waiter) = (&this.store, &mut this.waiter);
                    let hash = waiter.hash();
                    match store.flights(hash, |flights, after| flights.take_over(waiter, now, after)) {
                        TakeOver::Lead(ticket) => lead(ticket),
                        TakeOver::Rejoin => Waited::Rejoin,
                        TakeOver::Stuck => Waited::Stuck,
                        TakeOver::Wait => continue,
                    }
                }
            });
        }
    }
}

impl<K: Key, V: Value> std::fmt::Debug for Lease<K, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lease").field("flight", &self.id()).finish_non_exhaustive()
    }
}

impl<K: Key, V: Value> std::fmt::Debug for Waiting<K, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Waiting").field("flight", &self.waiter.id()).finish_non_exhaustive()
    }
}
