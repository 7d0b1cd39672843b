//! Which loads this thread is inside of, and who of those that hold leases waits for whom.
//!
//! (1) While a loader runs (sync) or is polled (async), its flight's id is on the thread's chain.
//! (2) A caller with a chain waits only after it put edges from every id of the chain to what it waits for
//!     into the wait graph; checking for a circle and adding the edges is one step under one lock. So the
//!     last edge that would close a circle is refused, and its caller runs uncached.
//! (3) The edges go when the wait ends. A caller with an empty chain never touches the graph.
//! (4) Waiting for one of several (a place, a solo run) counts as waiting for all of them: careful, never too
//!     bold.
//! (5) A frame of the chain takes the tags that the loader adds, and gives them back when it is left. What runs past the
//!     cache has a frame without a name, whose tags go nowhere: so a loader may add tags wherever it runs.
//! (6) The graph also counts who is waited for by such callers, so that a load that waits for a permit can be told.
//!
//! Not seen: a loader that hands its wait to another task or thread. That one ends by the lease (60 s).
//! Seen though harmless: a task that a sync loader's own executor polls on its thread runs uncached.
//! The lock is parking_lot's even when schedules are explored: it outlives an exploration, as a static must,
//! and its sections hold no other lock and no scheduling point.

use std::any::Any;
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::marker::PhantomData;

use parking_lot::{Mutex, const_mutex};

use super::FlightId;
use crate::error::{Error, ErrorKind, Result};
use crate::expiry::Ttl;
use crate::scope::{Tag, Tags};
use crate::sync::Arc;

#[cfg(shuttle)]
use shuttle::thread_local;

#[cfg(not(shuttle))]
thread_local! {
    static CHAIN: RefCell<Vec<Frame>> = const { RefCell::new(Vec::new()) };
}

#[cfg(shuttle)]
thread_local! {
    static CHAIN: RefCell<Vec<Frame>> = RefCell::new(Vec::new());
}

static GRAPH: Mutex<Option<Graph>> = const_mutex(None);

/// Who waits for whom, and how many wait for each.
#[derive(Default)]
struct Graph {
    edges: HashMap<FlightId, Vec<FlightId>>,
    awaited: HashMap<FlightId, usize>,
}

/// What a load's caller and its loader have said of the result: tags that the caller declared, and what the loader has added so far.
#[derive(Debug, Default)]
pub struct Adding {
    /// Declared.
    pub declared: Tags,
    /// Added, none of them declared.
    pub added: Tags,
    /// How it is to be stored.
    pub answer: Answer,
    /// What is stored so far, if something is.
    pub previous: Option<Arc<Previous>>,
}

/// What was stored when a load began.
#[derive(Debug)]
pub struct Previous {
    /// The value, of the store's type.
    pub value: Arc<dyn Any + Send + Sync>,
    /// Its tags.
    pub tags: Tags,
}

/// What a loader says of how its result is to be stored.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Answer {
    /// Its time-to-live, in place of what the call says.
    pub ttl: Option<Ttl>,
    /// Its weight, in place of what the weigher says.
    pub weight: Option<u64>,
    /// It is not to be stored.
    pub is_unwanted: bool,
    /// What is stored is what it would be: its times begin anew.
    pub is_unchanged: bool,
}

/// A run that this thread is inside of.
struct Frame {
    /// None if it runs past the cache.
    id: Option<FlightId>,
    /// Tells it from others of this thread.
    serial: u64,
    tags: Adding,
}

/// The loads that the calling thread is inside of, the innermost last.
#[derive(Debug)]
pub struct Chain(());

impl Chain {
    /// Enters a load: around a sync loader's call, or around each poll of an async one.
    #[must_use = "the load is left when the guard drops"]
    pub fn enter(id: FlightId) -> ChainGuard {
        Self::enter_with(Some(id), Adding::default())
    }

    /// As [`enter`](Self::enter), where the loader may add tags to these; without a name it is a run past the cache.
    #[must_use = "the load is left when the guard drops"]
    pub fn enter_with(id: Option<FlightId>, tags: Adding) -> ChainGuard {
        let entered = CHAIN.try_with(|chain| {
            let mut chain = chain.borrow_mut();
            let serial = chain.last().map_or(0, |frame| frame.serial + 1);
            chain.push(Frame { id, serial, tags });
            serial
        });
        ChainGuard { serial: entered.ok(), stays: PhantomData }
    }

    /// Enters a run past the cache: what it adds goes nowhere.
    #[must_use = "the run is left when the guard drops"]
    pub fn enter_uncached() -> ChainGuard {
        Self::enter_with(None, Adding::default())
    }

    /// Adds a tag to the innermost load that this thread is inside of.
    ///
    /// # Errors
    /// [`ErrorKind::NoLoad`] outside of a load, [`ErrorKind::InvalidTag`] for one tag too many.
    pub fn add_tag(tag: Tag) -> Result<()> {
        let added = CHAIN.try_with(|chain| {
            let mut chain = chain.borrow_mut();
            let Adding { declared, added, .. } = &mut chain.last_mut()?.tags;
            let is_declared = declared.contains(&tag);
            Some(if is_declared { Ok(()) } else { added.add(tag, declared.as_slice().len(), "tag_load") })
        });
        added.ok().flatten().unwrap_or_else(|| Err(no_load("tag_load")))
    }

    /// Changes what the innermost load that this thread is inside of says of its result. Goes nowhere where that runs past the cache.
    ///
    /// # Errors
    /// [`ErrorKind::NoLoad`] outside of a load.
    pub fn answer<R>(operation: &'static str, change: impl FnOnce(&mut Adding) -> R) -> Result<R> {
        let changed = CHAIN.try_with(|chain| Some(change(&mut chain.borrow_mut().last_mut()?.tags)));
        changed.ok().flatten().ok_or_else(|| no_load(operation))
    }

    /// Whether this thread is inside of that load.
    pub fn contains(id: FlightId) -> bool {
        CHAIN.try_with(|chain| chain.borrow().iter().any(|frame| frame.id == Some(id))).unwrap_or(false)
    }

    /// The loads this thread is inside of, the innermost last.
    pub fn current() -> Vec<FlightId> {
        CHAIN
            .try_with(|chain| chain.borrow().iter().filter_map(|frame| frame.id).collect())
            .unwrap_or_default()
    }
}

#[cold]
fn no_load(operation: &'static str) -> Error {
    Error::new(ErrorKind::NoLoad, operation)
        .because("call it in a loader or cached function, on the thread or in the task that runs it")
}

/// Leaves the load when it drops. Stays on its thread.
#[derive(Debug)]
pub struct ChainGuard {
    serial: Option<u64>,
    stays: PhantomData<*const ()>,
}

impl ChainGuard {
    /// Leaves the load, and answers its tags.
    pub fn leave(mut self) -> Adding {
        self.take().map(|frame| frame.tags).unwrap_or_default()
    }

    fn take(&mut self) -> Option<Frame> {
        let serial = self.serial.take()?;
        // The thread may be past the life of its locals; then the chain is gone already.
        let taken = CHAIN.try_with(|chain| {
            let mut chain = chain.borrow_mut();
            let at = chain.iter().rposition(|frame| frame.serial == serial)?;
            Some(chain.remove(at))
        });
        taken.ok().flatten()
    }
}

impl Drop for ChainGuard {
    fn drop(&mut self) {
        drop(self.take());
    }
}

/// Waiting would close a circle.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Circle;

/// The edges of one wait, taken back when this drops.
#[derive(Debug)]
pub(super) struct Edges {
    from: Vec<FlightId>,
    to: Vec<FlightId>,
}

impl Edges {
    /// Announces that this thread's chain waits for the ids; nothing to announce without a chain.
    pub(super) fn announce(to: &[FlightId]) -> Result<Option<Self>, Circle> {
        let from = Chain::current();
        if from.is_empty() {
            return Ok(None);
        }
        let mut guard = GRAPH.lock();
        let graph = guard.get_or_insert_default();
        if reaches(graph, to, &from) {
            return Err(Circle);
        }
        for id in &from {
            graph.edges.entry(*id).or_default().extend_from_slice(to);
        }
        for id in to {
            *graph.awaited.entry(*id).or_default() += 1;
        }
        Ok(Some(Self { from, to: to.to_vec() }))
    }

    /// What is waited for.
    pub(super) fn to(&self) -> &[FlightId] {
        &self.to
    }
}

/// Whether somebody inside of a load waits for this one.
pub(super) fn is_awaited(id: FlightId) -> bool {
    GRAPH.lock().as_ref().is_some_and(|graph| graph.awaited.contains_key(&id))
}

impl Drop for Edges {
    fn drop(&mut self) {
        let mut guard = GRAPH.lock();
        let Some(graph) = guard.as_mut() else { return };
        for from in &self.from {
            let Some(targets) = graph.edges.get_mut(from) else {
                continue;
            };
            for to in &self.to {
                if let Some(at) = targets.iter().position(|target| target == to) {
                    targets.swap_remove(at);
                }
            }
            if targets.is_empty() {
                graph.edges.remove(from);
            }
        }
        for to in &self.to {
            if let Some(count) = graph.awaited.get_mut(to) {
                *count -= 1;
                if *count == 0 {
                    graph.awaited.remove(to);
                }
            }
        }
        if graph.edges.is_empty() {
            *guard = None;
        }
    }
}

/// Whether one of `start`, or whatever it waits for, is one of `goal`.
fn reaches(graph: &Graph, start: &[FlightId], goal: &[FlightId]) -> bool {
    let mut open = start.to_vec();
    let mut seen = HashSet::new();
    while let Some(id) = open.pop() {
        if goal.contains(&id) {
            return true;
        }
        if seen.insert(id)
            && let Some(targets) = graph.edges.get(&id)
        {
            open.extend_from_slice(targets);
        }
    }
    false
}

/// How many ids of these wait for something.
#[cfg(all(test, not(shuttle)))]
pub(super) fn waiting_among(ids: &[FlightId]) -> usize {
    GRAPH.lock().as_ref().map_or(0, |graph| ids.iter().filter(|id| graph.edges.contains_key(id)).count())
}
