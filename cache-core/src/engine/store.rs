//! A region's entries: typed, sharded, one lock a shard. Reading; writing and taking out stand beside.
//!
//! (1) An entry is served only to the node, and the key, it was stored under. (2) User code runs under the lock in
//! these cases only: `Eq` of keys, policies, and the clock. Lock order: shard, then flight. No lock of another shard,
//! region or the registry is taken under a shard's.

use std::hash::Hash;
use std::sync::atomic::AtomicI64;

use crossbeam_utils::CachePadded;
use equivalent::Equivalent;

use super::options::{Key, Look, StoreOptions, Value};
use super::removal::Removals;
use super::shard::Shard;
use super::{Engine, RegionId};
use crate::flight::Reaper;
use crate::scope::Node;
use crate::stats::{Counter, Counters};
use crate::sync::{Arc, Mutex, MutexGuard, Weak};

/// Slots visited, or entries removed, during one hold of a shard's lock.
pub(super) const SLICE: usize = 1024;

/// The table inside a shard uses the high and the low bits of a hash; the shard is chosen by some from between.
const SHARD_SHIFT: u32 = 24;

/// A shard and its lock, on cache lines of their own.
type Locked<K, V> = CachePadded<Mutex<Shard<K, V>>>;

/// A region's entries.
pub struct Store<K, V> {
    pub(super) id: RegionId,
    pub(super) name: Box<str>,
    pub(super) shards: Box<[Locked<K, V>]>,
    pub(super) options: StoreOptions<K, V>,
    pub(super) counters: Counters,
    pub(super) entries: AtomicI64,
    pub(super) weight: AtomicI64,
}

impl<K: Key, V: Value> Store<K, V> {
    pub(super) fn new(
        engine: &Engine,
        id: RegionId,
        name: Box<str>,
        options: StoreOptions<K, V>,
        reaper: Weak<dyn Reaper>,
    ) -> Self {
        let shards = engine.shards_for(options.max_per_scope);
        let setup = Arc::new(engine.flight_setup(reaper));
        let exact = shards == 1 || options.max_per_scope.is_some();
        let shard = |_| CachePadded::new(Mutex::new(Shard::new(engine.policy(), Arc::clone(&setup), exact)));
        Self {
            id,
            name,
            shards: (0..shards).map(shard).collect(),
            options,
            counters: Counters::default(),
            entries: AtomicI64::new(0),
            weight: AtomicI64::new(0),
        }
    }

    /// The region's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The region's counters.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// The value of a key under a scope node, if it is there and its time is not over. Locks one shard; the value
    /// is cloned after the lock.
    pub fn get<Q>(&self, engine: &Engine, node: Option<&Node>, key: &Q, look: Look) -> Option<V>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let found = node.and_then(|node| {
            let hash = self.hash(engine, node, key);
            let mut shard = self.shard(hash);
            self.usable(engine, &mut shard, hash, node, key, look)
        });
        match look {
            Look::Lookup => self.count_lookup(node, found.is_some()),
            Look::Peek => self.counters.count(Counter::Peeks),
        }
        found.map(|value| V::clone(&value))
    }

    /// As a lookup of [`get`](Self::get), but counts only if it hits: what else comes of the call is counted later.
    pub fn hit<Q>(&self, engine: &Engine, node: &Node, key: &Q) -> Option<V>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let hash = self.hash(engine, node, key);
        let value = self.usable(engine, &mut self.shard(hash), hash, node, key, Look::Lookup)?;
        self.count_lookup(Some(node), true);
        Some(V::clone(&value))
    }

    /// Looks under the lock and shares what may be served.
    pub(super) fn usable<Q>(
        &self,
        engine: &Engine,
        shard: &mut Shard<K, V>,
        hash: u64,
        node: &Node,
        key: &Q,
        look: Look,
    ) -> Option<Arc<V>>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let slot = shard.find(hash, node.id(), key)?;
        let entry = shard.get(slot)?;
        if entry.is_expired(|| engine.now()) {
            return None;
        }
        let value = Arc::clone(&entry.value);
        if look == Look::Lookup {
            shard.hit(slot, engine.stamp());
        }
        Some(value)
    }

    /// Counts a lookup for the region and for the scopes that are tracked.
    pub fn count_lookup(&self, node: Option<&Node>, hit: bool) {
        self.counters.count(if hit { Counter::Hits } else { Counter::Misses });
        match node {
            Some(node) if hit => node.count_hit(),
            Some(node) => node.count_miss(),
            None => {}
        }
    }

    /// After the lock: tells listeners and drops what left.
    pub(super) fn finish(&self, engine: &Engine, removals: Removals<K, V>) {
        removals.finish(&self.name, engine.listener(), self.options.listener.as_ref());
    }

    /// The hash of scope path and key. With a limit per scope its shard bits are the path's, so that a scope's
    /// entries are together.
    pub(super) fn hash<Q: Hash + ?Sized>(&self, engine: &Engine, node: &Node, key: &Q) -> u64 {
        let hash = engine.hash(node, key);
        if self.options.max_per_scope.is_none() {
            return hash;
        }
        let shard_bits = (self.shards.len() as u64 - 1) << SHARD_SHIFT;
        (hash & !shard_bits) | (node.path_hash() & shard_bits)
    }

    pub(super) fn shard_index(&self, hash: u64) -> usize {
        (hash >> SHARD_SHIFT) as usize & (self.shards.len() - 1)
    }

    pub(super) fn shard(&self, hash: u64) -> MutexGuard<'_, Shard<K, V>> {
        self.shards[self.shard_index(hash)].lock()
    }
}

impl<K, V> std::fmt::Debug for Store<K, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("name", &self.name).finish_non_exhaustive()
    }
}
