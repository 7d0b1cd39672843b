//! A resolved scope: the same verbs as the cache, without saying where each time.
//!
//! (1) A handle stays good: after its scope was evicted it finds the new one by itself. (2) It creates nothing; the first
//! write or load does. (3) It belongs to one cache; others refuse it.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::sync::Arc;

use strata_cache_core::engine::{Explained, Write};
use strata_cache_core::error::Result;
use strata_cache_core::event::RemovalCause;
use strata_cache_core::scope::{Anchor, IntoTag, Node, ScopePath, Tags};

use crate::cache::Cache;
use crate::operation::{AsyncLoader, Done, Evicted, GetOrLoad, Loading, Operation, Set, SyncLoader};

/// A handle of one scope of one cache. Cheap to clone: two reference counts.
#[derive(Clone)]
pub struct Scope {
    cache: Cache,
    anchor: Arc<Anchor>,
}

impl Scope {
    pub(crate) fn new(cache: Cache, path: ScopePath) -> Self {
        let anchor = Arc::new(Anchor::new(cache.engine().registry(), path));
        Self { cache, anchor }
    }

    #[inline]
    pub(crate) fn anchor(&self) -> &Anchor {
        &self.anchor
    }

    /// The cache of this scope.
    #[inline]
    pub fn cache(&self) -> &Cache {
        &self.cache
    }

    /// The scope's path.
    pub fn path(&self) -> &ScopePath {
        self.anchor.path()
    }

    /// As [`Cache::get`].
    ///
    /// # Errors
    /// As there.
    pub fn get<'a, V: Any + Send + Sync>(
        &'a self,
        key: &'a str,
    ) -> Operation<impl FnOnce() -> Result<Option<Arc<V>>>> {
        self.cache.get(self, key)
    }

    /// As [`Cache::peek`].
    ///
    /// # Errors
    /// As there.
    pub fn peek<'a, V: Any + Send + Sync>(
        &'a self,
        key: &'a str,
    ) -> Operation<impl FnOnce() -> Result<Option<Arc<V>>>> {
        self.cache.peek(self, key)
    }

    /// As [`Cache::contains`].
    ///
    /// # Errors
    /// As there.
    pub fn contains<'a>(&'a self, key: &'a str) -> Operation<impl FnOnce() -> Result<bool>> {
        self.cache.contains(self, key)
    }

    /// As [`Cache::set`].
    ///
    /// # Errors
    /// As there.
    pub fn set<'a, V: Any + Send + Sync>(
        &'a self,
        key: &'a str,
        value: V,
    ) -> Set<impl FnOnce(Write, Tags) -> Result<()>> {
        self.cache.set(self, key, value)
    }

    /// As [`Cache::get_or_load`].
    ///
    /// # Errors
    /// As there.
    pub fn get_or_load<'a, V, E, F, R>(
        &'a self,
        key: &'a str,
        loader: F,
    ) -> GetOrLoad<impl Loading<Value = Arc<V>, Error = E, Loader = AsyncLoader<F, R>, Loaded = V>>
    where
        V: Any + Send + Sync,
        F: FnOnce() -> R,
        R: Future<Output = Result<V, E>>,
    {
        self.cache.get_or_load(self, key, loader)
    }

    /// As [`Cache::get_or_load_with`].
    ///
    /// # Errors
    /// As there.
    pub fn get_or_load_with<'a, V, E, F>(
        &'a self,
        key: &'a str,
        loader: F,
    ) -> GetOrLoad<impl Loading<Value = Arc<V>, Error = E, Loader = SyncLoader<F>, Loaded = V>>
    where
        V: Any + Send + Sync,
        F: FnOnce() -> Result<V, E>,
    {
        self.cache.get_or_load_with(self, key, loader)
    }

    /// As [`Cache::explain`].
    ///
    /// # Errors
    /// As there.
    pub fn explain(&self, key: &str) -> Result<Explained> {
        self.cache.explain(self, key)
    }

    /// As [`Cache::remove`].
    ///
    /// # Errors
    /// As there.
    pub fn remove(&self, key: &str) -> Done<bool> {
        self.cache.remove(self, key)
    }

    /// As [`Cache::invalidate`].
    ///
    /// # Errors
    /// As there.
    pub fn invalidate(&self, key: &str) -> Done<bool> {
        self.cache.invalidate(self, key)
    }

    /// As [`Cache::pop`].
    ///
    /// # Errors
    /// As there.
    pub fn pop<V: Any + Send + Sync>(&self, key: &str) -> Done<Option<Arc<V>>> {
        self.cache.pop(self, key)
    }

    /// Withdraws all entries that have a tag of this scope: [`Cache::invalidate_tag`].
    ///
    /// # Errors
    /// As there.
    pub fn invalidate_tag(&self, tag: impl IntoTag) -> Done<Evicted> {
        self.cache.invalidate_tag(self, tag)
    }

    /// Evicts this scope with everything below it: [`Cache::evict_by_scope`].
    ///
    /// # Errors
    /// As there.
    pub fn evict_by_scope(&self) -> Done<Evicted> {
        self.cache.evict_by_scope(self)
    }

    /// Empties this scope with everything below it: what [`Cache::clear`] is for the root scope, the same act as
    /// [`evict_by_scope`](Self::evict_by_scope).
    ///
    /// # Errors
    /// As there.
    pub fn clear(&self) -> Done<Evicted> {
        self.cache.evict_by_scope(self)
    }

    /// As [`Cache::preview_evict`].
    ///
    /// # Errors
    /// As there.
    pub fn preview_evict(&self) -> Operation<impl FnOnce() -> Result<Evicted>> {
        self.cache.preview_evict(self)
    }

    /// As [`Cache::stats_of`].
    ///
    /// # Errors
    /// None for a handle.
    pub fn stats(&self) -> Result<ScopeReport> {
        self.cache.stats_of(self)
    }
}

/// Handles are equal if they name the same path of the same cache.
impl PartialEq for Scope {
    fn eq(&self, other: &Self) -> bool {
        self.cache.is_same(&other.cache) && self.path() == other.path()
    }
}

impl Eq for Scope {}

impl std::hash::Hash for Scope {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.path().hash(state);
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path().fmt(f)
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scope({self})")
    }
}

/// What one scope, with everything below it, has done and holds.
///
/// A scope that the cache keeps nothing for is forgotten with its counters: one without an entry, at or below it, and
/// without a handle that was used since the scope was last evicted. What it counted stays in the scopes above.
///
/// Entries and weight are known of every scope. All else is counted by scopes of tracked levels (the first level of each tree,
/// unless [`track_lookups`](crate::CacheBuilder::track_lookups) says otherwise) and by the root scope; in a report of another
/// scope it is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ScopeReport {
    /// Entries held now.
    pub entries: u64,
    /// Their weight.
    pub weight: u64,
    /// Lookups that were served.
    pub hits: u64,
    /// Lookups that were not.
    pub misses: u64,
    /// Loads that ended well.
    pub loads: u64,
    /// Loads that ended in an error, a panic or a cancellation.
    pub load_failures: u64,
    /// Entries whose time was over.
    pub expired: u64,
    /// Entries that went to keep a capacity or limit.
    pub evicted: u64,
    /// Entries withdrawn by key, tag, region, scope or `clear`.
    pub invalidated: u64,
    /// Entries taken out by `remove` or `pop`.
    pub removed: u64,
    /// Values overwritten by newer ones.
    pub replaced: u64,
    /// Entries outside this scope that were evicted for the sake of its inserts.
    pub evictions_caused: u64,
    /// Entries of this scope that were evicted for the sake of inserts outside it.
    pub evictions_paid: u64,
}

impl ScopeReport {
    /// What threads keep has been settled.
    pub(crate) fn of(node: &Node) -> Self {
        let counts = node.own_stats().map(|stats| stats.settled()).unwrap_or_default();
        Self {
            entries: node.entries(),
            weight: node.weight(),
            evictions_caused: counts.evictions_caused,
            evictions_paid: counts.evictions_paid,
            hits: counts.hits,
            misses: counts.misses,
            loads: counts.loads,
            load_failures: counts.load_failures,
            expired: counts.removed(RemovalCause::Expired),
            evicted: counts.removed(RemovalCause::Evicted),
            invalidated: counts.removed(RemovalCause::Invalidated),
            removed: counts.removed(RemovalCause::Removed),
            replaced: counts.removed(RemovalCause::Replaced),
        }
    }

    /// The part of the lookups that was served, in `0.0..=1.0`; 0 before the first, and at levels that are not tracked.
    pub fn hit_ratio(&self) -> f64 {
        let lookups = self.hits + self.misses;
        if lookups == 0 { 0.0 } else { self.hits as f64 / lookups as f64 }
    }
}
