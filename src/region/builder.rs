//! Describing a typed region.

use std::sync::Arc;

use strata_cache_core::engine::{Key, RegionKey, RegionListener, StoreOptions, Value, Weigher};
use strata_cache_core::error::{Error, ErrorKind, Result};
use strata_cache_core::event::RemovalCause;
use strata_cache_core::expiry::{IntoTtl, Ttl};
use strata_cache_core::weight::{self, HeapSize};

use super::Region;
use crate::cache::Cache;

/// Describes a typed region. The options count for whoever opens it first.
#[must_use = "a region is not open before `open`"]
pub struct RegionBuilder<K, V> {
    cache: Cache,
    name: String,
    ttl: Result<Option<Ttl>>,
    idle: Result<Option<Ttl>>,
    jitter: f64,
    max: Option<u64>,
    weigher: Option<Weigher<K, V>>,
    listener: Option<RegionListener<K, V>>,
}

impl<K: Key, V: Value> RegionBuilder<K, V> {
    pub(crate) fn new(cache: Cache, name: &str) -> Self {
        Self {
            cache,
            name: name.to_owned(),
            ttl: Ok(None),
            idle: Ok(None),
            jitter: 0.0,
            max: None,
            weigher: None,
            listener: None,
        }
    }

    /// How long entries may be served if their write does not say; the cache's time otherwise.
    pub fn ttl(mut self, ttl: impl IntoTtl) -> Self {
        self.ttl = ttl.into_ttl().map(Some);
        self
    }

    /// How long entries stay without a look-up, never beyond their time-to-live. One that goes unused for seven eighths of
    /// this may go already: uses within an eighth of it after another are not noted, so that a hit takes no lock.
    ///
    /// ```
    /// # use strata_cache::{Cache, Error};
    /// # fn main() -> Result<(), Error> {
    /// let cache = Cache::builder().capacity(1_000).build()?;
    /// let sessions = cache.region_builder::<u64, String>("sessions").ttl("8h").idle("20m").open()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn idle(mut self, idle: impl IntoTtl) -> Self {
        self.idle = idle.into_ttl().map(Some);
        self
    }

    /// Makes each entry's time-to-live shorter by a part of its own, up to this part of it (`0.1`: by a tenth at most), so that
    /// entries written together do not all expire together.
    pub fn ttl_jitter(mut self, part: f64) -> Self {
        self.jitter = part;
        self
    }

    /// Entries of this region at most in any one scope.
    pub fn max_per_scope(mut self, entries: u64) -> Self {
        self.max = Some(entries);
        self
    }

    /// Weighs an entry, at each write, outside of locks. Without one an entry weighs the size of its key and value types
    /// in bytes. Zero, or more than the capacity: a load is served and not stored, `set` is an error.
    pub fn weigher(mut self, weigher: impl Fn(&K, &V) -> u64 + Send + Sync + 'static) -> Self {
        self.weigher = Some(Arc::new(weigher));
        self
    }

    /// Weighs an entry by the bytes that it takes, with what the allocator and the cache add; see
    /// [`weight`](crate::weight). In place of a [`weigher`](Self::weigher).
    ///
    /// ```
    /// # use strata_cache::{Cache, Error};
    /// # fn main() -> Result<(), Error> {
    /// let cache = Cache::builder().capacity_bytes("64MB").build()?;
    /// let pages = cache.region_builder::<String, Vec<u8>>("pages").weigh_bytes().open()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn weigh_bytes(self) -> Self
    where
        K: HeapSize,
        V: HeapSize,
    {
        self.weigher(|key, value| weight::entry_bytes(key, value))
    }

    /// Told of each entry that leaves, and why, outside of locks.
    pub fn on_removal(mut self, listener: impl Fn(&K, &V, RemovalCause) + Send + Sync + 'static) -> Self {
        self.listener = Some(Arc::new(listener));
        self
    }

    /// Opens the region, or finds the open one.
    ///
    /// # Errors
    /// [`ErrorKind::TypeMismatch`] if it is open with other types, [`ErrorKind::InvalidConfig`] for an empty name or a
    /// limit of zero, [`ErrorKind::InvalidTtl`].
    pub fn open(self) -> Result<Region<K, V>> {
        if self.name.starts_with("strata_cache::") {
            return Err(Error::new(ErrorKind::InvalidConfig, "region")
                .with("region", &self.name)
                .because("names that begin with `strata_cache::` are the library's own"));
        }
        if self.name.is_empty() {
            return Err(Error::new(ErrorKind::InvalidConfig, "region").because("a region needs a name"));
        }
        let key = RegionKey::Named(self.name.as_str().into());
        self.open_as(key)
    }

    pub(crate) fn open_as(self, key: RegionKey) -> Result<Region<K, V>> {
        let Self { cache, name, ttl, idle, jitter, max, weigher, listener } = self;
        let (ttl, idle) = (ttl?, idle?);
        if !(0.0..1.0).contains(&jitter) {
            return Err(Error::new(ErrorKind::InvalidConfig, "region")
                .with("region", &name)
                .with("ttl_jitter", jitter)
                .because("a part of the time-to-live is at least 0 and below 1"));
        }
        let max_per_scope = max.map(|max| crate::setting::positive(max, "max_per_scope")).transpose()?;
        let options = || StoreOptions {
            weigher,
            ttl,
            idle: idle.filter(|idle| !idle.is_never()),
            jitter: (jitter * 256.0) as u8,
            max_per_scope: max_per_scope.map(std::num::NonZeroU64::get),
            listener,
        };
        let store = cache.engine().regions().open(cache.engine(), key, &name, options)?;
        Ok(Region { cache, store })
    }
}

impl<K, V> std::fmt::Debug for RegionBuilder<K, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RegionBuilder").field("name", &self.name).finish_non_exhaustive()
    }
}
