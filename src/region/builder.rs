//! Describing a typed region.

use std::sync::Arc;

use strata_cache_core::engine::{Care, Key, RegionKey, RegionListener, StoreOptions, Value, Weigher};
use strata_cache_core::error::{Error, ErrorKind, Result};
use strata_cache_core::event::RemovalCause;
use strata_cache_core::expiry::{IntoTtl, Ttl};
use strata_cache_core::flight::BreakerSettings;
use strata_cache_core::weight::{self, HeapSize};

use super::Region;
use crate::cache::Cache;
use crate::care::{Asked, together};

/// Describes a typed region. The options count for whoever opens it first.
#[must_use = "a region is not open before `open`"]
pub struct RegionBuilder<K, V> {
    cache: Cache,
    name: String,
    ttl: Result<Option<Ttl>>,
    idle: Result<Option<Ttl>>,
    jitter: f64,
    max: Option<u64>,
    care: Asked,
    breaker: Option<Result<BreakerSettings>>,
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
            care: Asked::default(),
            breaker: None,
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

    /// Loads of the region that say nothing of it serve a value for so long past its time-to-live, and load it anew in the background: those
    /// calls that can, see [`GetOrLoad::background`](crate::GetOrLoad::background). Entries are kept for that long, also those that are set.
    /// As [`GetOrLoad::stale`](crate::GetOrLoad::stale).
    pub fn stale(mut self, window: impl IntoTtl) -> Self {
        self.care.stale(window);
        self
    }

    /// Loads of the region serve a value for so long past its time-to-live where they bring no other. As
    /// [`GetOrLoad::stale_on_error`](crate::GetOrLoad::stale_on_error).
    pub fn stale_on_error(mut self, window: impl IntoTtl) -> Self {
        self.care.stale_on_error(window);
        self
    }

    /// Entries are loaded anew once this part of their time-to-live is over, when they are asked for then by a call that can load in the
    /// background. As [`GetOrLoad::refresh`](crate::GetOrLoad::refresh).
    pub fn refresh(mut self, part: f64) -> Self {
        self.care.refresh(part);
        self
    }

    /// Loaded entries are loaded anew by chance before their time is over. As
    /// [`GetOrLoad::refresh_early`](crate::GetOrLoad::refresh_early).
    pub fn refresh_early(mut self, factor: f64) -> Self {
        self.care.refresh_early(factor);
        self
    }

    /// How long calls wait where a stale value is there. As [`GetOrLoad::soft`](crate::GetOrLoad::soft).
    pub fn soft(mut self, time: impl IntoTtl) -> Self {
        self.care.soft(time);
        self
    }

    /// How long calls wait at all. As [`GetOrLoad::hard`](crate::GetOrLoad::hard).
    pub fn hard(mut self, time: impl IntoTtl) -> Self {
        self.care.hard(time);
        self
    }

    /// How long nobody tries again. As [`GetOrLoad::throttle`](crate::GetOrLoad::throttle).
    pub fn throttle(mut self, time: impl IntoTtl) -> Self {
        self.care.throttle(time);
        self
    }

    /// After so many loads in a row that failed, begins none for a while: calls end in
    /// [`ErrorKind::BreakerOpen`], or with a stale value where they may have one. Then one load tries whether it is over.
    ///
    /// ```
    /// # use strata_cache::{Cache, Error};
    /// # fn main() -> Result<(), Error> {
    /// let cache = Cache::builder().build()?;
    /// let rates = cache.region_builder::<u64, f64>("rates").ttl("1m").stale_on_error("1h").breaker(5, "10s").open()?;
    /// assert!(cache.region_builder::<u64, u64>("none").breaker(0, "10s").open().is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub fn breaker(mut self, failures: u32, cool_down: impl IntoTtl) -> Self {
        self.breaker = Some(crate::setting::breaker(failures, cool_down));
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
    /// limit of zero, [`ErrorKind::InvalidTtl`]. Of several faults all are told.
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
        let Self { cache, name, ttl, idle, jitter, max, care, breaker, weigher, listener } = self;
        let mut faults = Vec::new();
        let mut keep = |fault: Error| faults.push(fault);
        let invalid = |option, advice| {
            Error::new(ErrorKind::InvalidConfig, "region")
                .with("region", &name)
                .with("option", option)
                .because(advice)
        };
        let ttl = ttl.unwrap_or_else(|fault| {
            keep(fault);
            None
        });
        let idle = idle.map_err(&mut keep).ok().flatten().filter(|idle| !idle.is_never());
        if !(0.0..1.0).contains(&jitter) {
            keep(invalid("ttl_jitter", "a part of the time-to-live is at least 0 and below 1"));
        }
        let max_per_scope = max.map(|max| crate::setting::positive(max, "max_per_scope"));
        let max_per_scope = max_per_scope.transpose().map_err(&mut keep).ok().flatten();
        let breaker = breaker.transpose().map_err(&mut keep).ok().flatten();
        let inherited = ttl.unwrap_or_else(|| cache.engine().default_ttl());
        let care = care.resolve(&Care::default(), Some(inherited)).map_err(&mut keep).unwrap_or_default();
        if idle.is_some() && !care.is_plain() {
            keep(invalid(
                "idle",
                "entries that go when they are unused are not kept past their time, nor loaded anew before",
            ));
        }
        if let Some(error) = together(faults, "region") {
            return Err(error);
        }
        let options = || StoreOptions {
            weigher,
            ttl,
            idle,
            jitter: (jitter * 256.0) as u8,
            care,
            breaker,
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
