//! What a write leaves to be done after its lock: listeners to tell, keys and values to drop.
//!
//! (1) User code (listeners, drops of keys and values) runs only in `Removals::finish`, never under a lock of ours.
//! (2) A listener, or the drop of a key or value, that panics is reported and stops nobody. (3) What listeners see is
//! kept by the pin of the write; a listener that blocks holds back memory. (4) What leaves is dropped when no reader can
//! see it any more: by a later write to its shard, on whatever thread, or by maintenance. Cost: nothing is allocated
//! while nobody listens.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::Engine;
use super::arena::Entry;
use super::shard::LockedShard;
use crate::epoch::Pin;
use crate::event::{LoadEventKind, RemovalCause};
use crate::policy::{Fault, SlotId};
use crate::scope::{Node, ScopePath};
use crate::sync::Arc;

/// A removal as a cache-wide listener sees it. It carries no key and no value.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Removal<'a> {
    /// The region of the entry.
    pub region: &'a str,
    /// The scope of the entry.
    pub scope: EventScope<'a>,
    /// Why it left.
    pub cause: RemovalCause,
    /// What it weighed.
    pub weight: u64,
}

/// What happened to a load, as a cache-wide observer sees it. It carries no key and no value.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct LoadEvent<'a> {
    /// The region of the load.
    pub region: &'a str,
    /// Its scope.
    pub scope: EventScope<'a>,
    /// What happened.
    pub kind: LoadEventKind,
}

/// A cache-wide observer of loads.
pub type Observer = Arc<dyn Fn(&LoadEvent<'_>) + Send + Sync>;

impl Engine {
    /// Tells whoever observes loads what happened to one. Outside of locks; an observer that panics is reported and stops nobody.
    pub fn tell(&self, region: &str, node: &Node, kind: LoadEventKind) {
        if let Some(observer) = self.observer() {
            guarded("load observer", || observer(&LoadEvent { region, scope: EventScope(node), kind }));
        }
    }
}

/// The scope that an event is about; `Display` prints its path.
#[derive(Clone, Copy)]
pub struct EventScope<'a>(&'a Node);

impl EventScope<'_> {
    /// The scope's path.
    pub fn path(&self) -> ScopePath {
        self.0.path()
    }
}

impl fmt::Display for EventScope<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for EventScope<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EventScope({self})")
    }
}

/// A cache-wide removal listener.
pub type Listener = Arc<dyn Fn(&Removal<'_>) + Send + Sync>;

/// A removal listener of one region, which sees key and value.
pub type RegionListener<K, V> = Arc<dyn Fn(&K, &V, RemovalCause) + Send + Sync>;

struct Removed<'p, K, V> {
    node: Arc<Node>,
    weight: u64,
    cause: RemovalCause,
    /// For an overwrite the old value, and the key that equals the one that stays.
    entry: Entry<'p, K, V>,
}

/// What a write under a lock leaves to be done after it: entries to tell of, and what may be dropped.
pub(super) struct Removals<'p, K, V> {
    /// Set if anybody listens.
    pin: Option<&'p Pin>,
    /// A slot's old content, as nearly every write in a full cache leaves.
    dropped: Option<(K, V)>,
    rest: Option<Box<Rest<'p, K, V>>>,
}

/// What few writes leave.
struct Rest<'p, K, V> {
    told: Vec<Removed<'p, K, V>>,
    dropped: Vec<(K, V)>,
    nodes: Vec<Arc<Node>>,
    fault: Option<Fault>,
}

impl<'p, K, V> Removals<'p, K, V> {
    pub(super) const fn new(pin: Option<&'p Pin>) -> Self {
        Self { pin, dropped: None, rest: None }
    }

    fn rest(&mut self) -> &mut Rest<'p, K, V> {
        self.rest.get_or_insert_with(|| {
            let (told, dropped, nodes) = (Vec::new(), Vec::new(), Vec::new());
            Box::new(Rest { told, dropped, nodes, fault: None })
        })
    }

    /// The pin that keeps what is to be told of, if anybody listens.
    pub(super) fn pin(&self) -> Option<&'p Pin> {
        self.pin
    }

    /// An entry leaves that somebody wants to hear of.
    pub(super) fn tell(&mut self, entry: Entry<'p, K, V>, node: Arc<Node>, weight: u64, cause: RemovalCause) {
        self.rest().told.push(Removed { node, weight, cause, entry });
    }

    /// As [`tell`](Self::tell), for an entry that is still in, and is evicted next.
    #[cold]
    pub(super) fn tell_live(
        &mut self,
        pin: &'p Pin,
        shard: &LockedShard<'p, K, V>,
        slot: SlotId,
        node: &Arc<Node>,
        weight: u64,
    ) {
        if let Some(entry) = shard.hold(pin, slot) {
            self.tell(entry, Arc::clone(node), weight, RemovalCause::Evicted);
        }
    }

    /// Something may be dropped after the lock.
    #[inline]
    pub(super) fn drop_later(&mut self, old: (K, V)) {
        if !std::mem::needs_drop::<(K, V)>() {
            return;
        }
        if self.dropped.is_none() {
            self.dropped = Some(old);
        } else {
            self.rest().dropped.push(old);
        }
    }

    /// Where more than a few are to be dropped.
    pub(super) fn reclaimed(&mut self) -> &mut Vec<(K, V)> {
        &mut self.rest().dropped
    }

    /// The last entry of a scope in a shard went, and with it a hold of the scope's node.
    #[inline]
    pub(super) fn let_go(&mut self, node: Option<Arc<Node>>) {
        if let Some(node) = node {
            self.rest().nodes.push(node);
        }
    }

    /// Notes that a policy was set aside.
    #[inline]
    pub(super) fn note(&mut self, fault: Option<Fault>) {
        if fault.is_some() {
            let rest = self.rest();
            rest.fault = rest.fault.or(fault);
        }
    }
}

impl<K, V: Clone + 'static> Removals<'_, K, V> {
    /// Tells the listeners and drops everything. Call it without a lock.
    #[inline]
    pub(super) fn finish(
        self,
        region: &str,
        listener: Option<&Listener>,
        own: Option<&RegionListener<K, V>>,
    ) {
        if let Some(dropped) = self.dropped
            && std::mem::needs_drop::<(K, V)>()
        {
            guarded("drop", || drop(dropped));
        }
        if let Some(rest) = self.rest {
            rest.finish(region, listener, own);
        }
    }
}

impl<K, V: Clone + 'static> Rest<'_, K, V> {
    #[cold]
    fn finish(self, region: &str, listener: Option<&Listener>, own: Option<&RegionListener<K, V>>) {
        if let Some(fault) = self.fault {
            let fault = fault.name();
            tracing::error!(target: "strata_cache", region, fault, "eviction policy set aside");
        }
        for Removed { node, weight, cause, entry } in self.told {
            if cause == RemovalCause::Evicted {
                tracing::debug!(target: "strata_cache", region, scope = %node, "eviction");
            }
            if let Some(listener) = listener {
                let event = Removal { region, scope: EventScope(&node), cause, weight };
                guarded("listener", || listener(&event));
            }
            if let Some(own) = own {
                guarded("listener", || entry.with_value(|value| own(entry.key(), value, cause)));
            }
        }
        for dropped in self.dropped {
            guarded("drop", || drop(dropped));
        }
    }
}

/// Runs user code whose panic must not stop ours.
pub(super) fn guarded(what: &'static str, run: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(run)).is_err() {
        tracing::error!(target: "strata_cache", what, "user code panicked");
    }
}
