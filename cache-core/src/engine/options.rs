//! What a region is told: bounds on its types, how it differs from its cache, what one call asks for and gets.

use std::hash::Hash;

use super::removal::RegionListener;
use crate::expiry::Ttl;
use crate::sync::Arc;

/// What a key of a region must be.
pub trait Key: Hash + Eq + Clone + Send + Sync + 'static {}
impl<T: Hash + Eq + Clone + Send + Sync + 'static> Key for T {}

/// What a region can hold.
pub trait Value: Clone + Send + Sync + 'static {}
impl<T: Clone + Send + Sync + 'static> Value for T {}

/// Weighs an entry; see [`StoreOptions::weigher`].
pub type Weigher<K, V> = Arc<dyn Fn(&K, &V) -> u64 + Send + Sync>;

/// How a region differs from its cache.
pub struct StoreOptions<K, V> {
    /// Weighs an entry; runs outside of locks, once a write. Without one each weighs what key and value take by
    /// themselves, in bytes.
    pub weigher: Option<Weigher<K, V>>,
    /// Time-to-live of entries written without one; the cache's if absent.
    pub ttl: Option<Ttl>,
    /// How long an entry may go unused; for ever if absent. Never beyond its time-to-live.
    pub idle: Option<Ttl>,
    /// By how much of its time-to-live an entry may be short, in 1/256; each by a part of its own.
    pub jitter: u8,
    /// Entries at most in one scope.
    pub max_per_scope: Option<u64>,
    /// Told of each removal, outside of locks.
    pub listener: Option<RegionListener<K, V>>,
}

impl<K, V> std::fmt::Debug for StoreOptions<K, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoreOptions")
            .field("ttl", &self.ttl)
            .field("max_per_scope", &self.max_per_scope)
            .finish_non_exhaustive()
    }
}

/// What one write asks for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Write {
    /// Time-to-live; the region's if absent.
    pub ttl: Option<Ttl>,
    /// Weight; the weigher's if absent.
    pub weight: Option<u64>,
}

/// How a look is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// A lookup: counted, and a touch for the policy.
    Lookup,
    /// A peek: counted apart, and no touch.
    Peek,
}

/// Where one look goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// To the place where a key nearly always is.
    Home,
    /// To all places where it can be.
    All,
}

/// What one look at a key tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Glance<V> {
    /// It is there, and this is its value.
    Found(V),
    /// It is not there.
    Absent,
    /// Nothing: whoever wants to know looks again, in full.
    Unsure,
}

/// What taking a key out comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken<V> {
    /// There was nothing that could have been served.
    Absent,
    /// The value was not accepted; it stays.
    Refused,
    /// The value, which is in the cache no more.
    Value(V),
}
