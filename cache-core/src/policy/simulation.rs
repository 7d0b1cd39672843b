//! What a policy would make of a sequence of keys: its hits and misses, without values, threads or a cache.
//!
//! (1) Policies are called as the engine calls them: a hit raises heat up to the policy's limit and reaches the policy
//! only as a touch, if it wants those; touches are handed over before anything is inserted; a full cache asks for a
//! victim before it tells of the newcomer. (2) Every key that misses is inserted, and weighs 1. (3) A run depends on
//! the policy, the capacity, the shards and the keys, and on nothing else.
//! Cost: one look-up per key, and what the policy costs; some 60 bytes per entry.

use std::cell::Cell;
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::{EvictionPolicy as _, Guarded, Heads, Heat, HeatSource, Orders, Policy, SlotId, Touches};

/// Touches held back before the policy is told.
const TOUCHES: usize = 64;

/// A cache of bare keys under one policy.
///
/// ```
/// use strata_cache_core::policy::{Policy, Simulation};
///
/// let mut lru = Simulation::new(&Policy::Lru, 100);
/// let mut adaptive = Simulation::new(&Policy::default(), 100);
/// // A loop a little longer than the cache: LRU always lets go what comes next.
/// for key in (0..120).cycle().take(12_000) {
///     lru.access(key);
///     adaptive.access(key);
/// }
/// assert_eq!(lru.hits(), 0);
/// assert!(adaptive.hit_ratio() > 0.5);
/// ```
#[derive(Debug)]
pub struct Simulation {
    shards: Vec<Shard>,
    requests: u64,
    hits: u64,
}

impl Simulation {
    /// A cache of so many entries, 1 at least, in one shard.
    pub fn new(policy: &Policy, capacity: usize) -> Self {
        Self::sharded(policy, capacity, 1)
    }

    /// A cache whose keys are spread over shards by their hash. Each shard has its part of the capacity, 1 at least,
    /// and a policy of its own.
    pub fn sharded(policy: &Policy, capacity: usize, shards: usize) -> Self {
        let shards = shards.clamp(1, capacity.max(1));
        let part = |at: usize| (capacity / shards + usize::from(at < capacity % shards)).max(1);
        Self { shards: (0..shards).map(|at| Shard::new(policy, part(at))).collect(), requests: 0, hits: 0 }
    }

    /// Asks for a key, and puts it in if it is not there. Whether it was there. Keys that are not numbers are hashed
    /// by the caller.
    pub fn access(&mut self, key: u64) -> bool {
        let hash = mix(key);
        let at = (u64::from(hash as u32) * self.shards.len() as u64) >> 32;
        let hit = self.shards[at as usize].access(key, (hash >> 32) as u32);
        self.requests += 1;
        self.hits += u64::from(hit);
        hit
    }

    /// Keys that were asked for.
    pub fn requests(&self) -> u64 {
        self.requests
    }

    /// Keys that were there.
    pub fn hits(&self) -> u64 {
        self.hits
    }

    /// Hits in requests, 0 to 1; 0 before the first request.
    pub fn hit_ratio(&self) -> f64 {
        self.hits as f64 / self.requests.max(1) as f64
    }
}

/// SplitMix64's finaliser (Steele, Lea, Flood, OOPSLA 2014).
const fn mix(key: u64) -> u64 {
    let mut z = key.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[derive(Debug)]
struct Shard {
    capacity: usize,
    index: HashMap<u64, SlotId, BuildHasherDefault<KeyHasher>>,
    slots: Slots,
    orders: Orders,
    heads: Heads,
    policy: Guarded,
    touches: Vec<SlotId>,
}

impl Shard {
    fn new(policy: &Policy, capacity: usize) -> Self {
        Self {
            capacity,
            index: HashMap::default(),
            slots: Slots(Vec::new()),
            orders: Orders::new(),
            heads: Heads::new(0),
            policy: Guarded::build(policy),
            touches: Vec::new(),
        }
    }

    fn access(&mut self, key: u64, hash: u32) -> bool {
        if let Some(&slot) = self.index.get(&key) {
            self.hit(slot);
            return true;
        }
        self.drain_touches();
        let slot = if self.index.len() < self.capacity { self.fresh() } else { self.evict() };
        if let Some(entry) = self.slots.0.get_mut(slot.index()) {
            *entry = Entry { key, hash, heat: Cell::new(0) };
        }
        self.index.insert(key, slot);
        let (orders, heads) = (&mut self.orders, &mut self.heads);
        if !self.policy.quick_enter(orders, heads, slot, hash) {
            self.policy.enter(orders, heads, slot, hash, 1);
        }
        false
    }

    fn hit(&mut self, slot: SlotId) {
        if let Some(entry) =
            self.slots.0.get(slot.index()).filter(|e| e.heat.get() < self.policy.heat_limit())
        {
            entry.heat.set(entry.heat.get() + 1);
        }
        if self.policy.touches() != Touches::None {
            self.touches.push(slot);
            if self.touches.len() >= TOUCHES {
                self.drain_touches();
            }
        }
    }

    fn drain_touches(&mut self) {
        if !self.touches.is_empty() {
            self.policy.on_touch(&mut self.orders.of(&mut self.heads), &self.touches);
            self.touches.clear();
        }
    }

    fn fresh(&mut self) -> SlotId {
        self.slots.0.push(Entry::default());
        SlotId(u32::try_from(self.slots.0.len() - 1).unwrap_or(u32::MAX))
    }

    /// Makes room, and gives the slot that is free then. A guarded policy of a full domain always names a member.
    fn evict(&mut self) -> SlotId {
        let quick = self.policy.quick_victim(&self.heads, &self.slots);
        let victim = quick
            .or_else(|| self.policy.victim(&mut self.orders.of(&mut self.heads), &Heat::new(&self.slots)));
        let Some(slot) = victim else { return self.fresh() };
        let (orders, heads) = (&mut self.orders, &mut self.heads);
        if !self.policy.quick_leave(orders, heads, slot) {
            self.policy.leave(orders, heads, slot);
        }
        if let Some(entry) = self.slots.0.get(slot.index()) {
            self.index.remove(&entry.key);
        }
        slot
    }
}

#[derive(Debug, Default)]
struct Entry {
    key: u64,
    hash: u32,
    heat: Cell<u8>,
}

#[derive(Debug)]
struct Slots(Vec<Entry>);

impl HeatSource for Slots {
    fn heat(&self, slot: SlotId) -> u8 {
        self.0.get(slot.index()).map_or(0, |entry| entry.heat.get())
    }

    fn cool(&self, slot: SlotId, to: u8) {
        if let Some(entry) = self.0.get(slot.index()).filter(|entry| entry.heat.get() > to) {
            entry.heat.set(to);
        }
    }

    fn hash(&self, slot: SlotId) -> u32 {
        self.0.get(slot.index()).map_or(0, |entry| entry.hash)
    }
}

/// Hashes a key like [`mix`].
#[derive(Default)]
struct KeyHasher(u64);

impl Hasher for KeyHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = mix(self.0 ^ u64::from(*byte));
        }
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = mix(key);
    }
}
