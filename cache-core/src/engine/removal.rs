//! What left the cache, until it may be dropped: outside all locks, after its listener was told.
//!
//! (1) User code (listeners, drops of keys and values) runs only in `Removals::finish`, never under a lock of ours.
//! (2) A listener, or the drop of a key or value, that panics is reported and stops nobody.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::slab::Entry;
use crate::event::RemovalCause;
use crate::policy::Fault;
use crate::scope::{Node, ScopePath};
use crate::sync::Arc;

/// A removal as a cache-wide listener sees it. It carries no key and no value.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Removal<'a> {
    /// The region of the entry.
    pub region: &'a str,
    /// The scope of the entry.
    pub scope: RemovedFrom<'a>,
    /// Why it left.
    pub cause: RemovalCause,
    /// What it weighed.
    pub weight: u64,
}

/// The scope that an entry was removed from; `Display` prints its path.
#[derive(Clone, Copy)]
pub struct RemovedFrom<'a>(&'a Node);

impl RemovedFrom<'_> {
    /// The scope's path.
    pub fn path(&self) -> ScopePath {
        self.0.path()
    }
}

impl fmt::Display for RemovedFrom<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for RemovedFrom<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RemovedFrom({self})")
    }
}

/// A cache-wide removal listener.
pub type Listener = Arc<dyn Fn(&Removal<'_>) + Send + Sync>;

/// A removal listener of one region, which sees key and value.
pub type RegionListener<K, V> = Arc<dyn Fn(&K, &V, RemovalCause) + Send + Sync>;

struct Removed<K, V> {
    node: Arc<Node>,
    weight: u64,
    cause: RemovalCause,
    value: Arc<V>,
    /// For an overwrite the key that came with the new value; it equals the one that stays.
    key: K,
}

/// Entries taken out under a lock, to be told of and dropped after it.
pub(super) struct Removals<K, V> {
    entries: Vec<Removed<K, V>>,
    fault: Option<Fault>,
}

impl<K, V> Removals<K, V> {
    pub(super) const fn new() -> Self {
        Self { entries: Vec::new(), fault: None }
    }

    pub(super) fn push(&mut self, entry: Entry<K, V>, cause: RemovalCause) {
        let Entry { node, key, value, weight, .. } = entry;
        self.entries.push(Removed { node, weight, cause, value, key });
    }

    pub(super) fn push_replaced(&mut self, node: Arc<Node>, key: K, value: Arc<V>, weight: u64) {
        self.entries.push(Removed { node, weight, cause: RemovalCause::Replaced, value, key });
    }

    /// Notes that a policy was set aside.
    pub(super) fn note(&mut self, fault: Option<Fault>) {
        self.fault = self.fault.or(fault);
    }

    /// Tells the listeners and drops everything. Call it without a lock.
    pub(super) fn finish(
        self,
        region: &str,
        listener: Option<&Listener>,
        own: Option<&RegionListener<K, V>>,
    ) {
        if let Some(fault) = self.fault {
            let fault = fault.name();
            tracing::error!(target: "strata_cache", region, fault, "eviction policy set aside");
        }
        for removed in self.entries {
            if removed.cause == RemovalCause::Evicted {
                tracing::debug!(target: "strata_cache", region, scope = %removed.node, "eviction");
            }
            if let Some(listener) = listener {
                let event = Removal {
                    region,
                    scope: RemovedFrom(&removed.node),
                    cause: removed.cause,
                    weight: removed.weight,
                };
                guarded("listener", || listener(&event));
            }
            if let Some(own) = own {
                guarded("listener", || own(&removed.key, &removed.value, removed.cause));
            }
            guarded("drop", || drop(removed));
        }
    }
}

/// Runs user code whose panic must not stop ours.
fn guarded(what: &'static str, run: impl FnOnce()) {
    if catch_unwind(AssertUnwindSafe(run)).is_err() {
        tracing::error!(target: "strata_cache", what, "user code panicked");
    }
}

impl<K, V> fmt::Debug for Removals<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Removals").field("entries", &self.entries.len()).finish()
    }
}
