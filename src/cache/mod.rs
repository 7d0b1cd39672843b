//! The cache handle, what it makes, and the verbs for administrators; those with a text key are in `keys`.
//!
//! (1) Handles are clones of one cache; it ends with the last of them, of its scopes and of its regions.
//! (2) Verbs that take trust away act at the call; the operation they return only reports. All others do nothing
//! until they are awaited or waited for. (3) In a cache of memory alone every operation but a load is ready at once.

mod keys;
mod top;

use std::any::Any;
use std::sync::Arc;

use strata_cache_core::engine::{Engine, RegionKey, Store, StoreOptions};
use strata_cache_core::error::{Error, ErrorKind, Result};
use strata_cache_core::scope::{Node, ScopePath, ScopeTree};
use strata_cache_core::stats::Stats;

use crate::builder::CacheBuilder;
use crate::handle::{Scope, ScopeReport};
use crate::operation::{Done, Evicted, Operation};
use crate::place::ToScope;
use crate::region::{Region, RegionBuilder};
use crate::setting::{IntoBytes, positive};

pub use top::{Rank, TopScope};

/// What the programmatic region holds: any value, behind one pointer.
pub(crate) type Payload = Arc<dyn Any + Send + Sync>;

/// The name under which programmatic keys appear in statistics and events.
pub(crate) const PROGRAMMATIC: &str = "strata_cache::keys";

/// A cache for many tenants. Cloning it is cheap and gives another handle of the same cache.
///
/// ```
/// use std::sync::Arc;
/// use strata_cache::{Cache, scope};
///
/// # fn main() -> Result<(), strata_cache::Error> {
/// let cache = Cache::builder().capacity(10_000).build()?;
/// cache.set(scope!(org = "acme", user = 42), "theme", "dark".to_string()).ttl("1h").wait()?;
///
/// let theme: Option<Arc<String>> = cache.get(scope!(org = "acme", user = 42), "theme").wait()?;
/// assert_eq!(theme.as_deref().map(String::as_str), Some("dark"));
///
/// let gone = cache.evict_by_scope(scope!(org = "acme")).wait()?;
/// assert_eq!(gone.entries, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Cache {
    inner: Arc<Inner>,
}

struct Inner {
    engine: Arc<Engine>,
    keys: Arc<Store<Box<str>, Payload>>,
    max_key_bytes: usize,
}

impl Cache {
    /// Starts to describe a cache.
    pub fn builder() -> CacheBuilder {
        CacheBuilder::default()
    }

    pub(crate) fn from_engine(engine: Arc<Engine>, max_key_bytes: usize) -> Result<Self> {
        let options = || StoreOptions {
            weigher: Some(Arc::new(weigh)),
            ttl: None,
            idle: None,
            jitter: 0,
            max_per_scope: None,
            listener: None,
        };
        let keys = engine.regions().open(&engine, RegionKey::Programmatic, PROGRAMMATIC, options)?;
        Ok(Self { inner: Arc::new(Inner { engine, keys, max_key_bytes }) })
    }

    #[inline]
    pub(crate) fn engine(&self) -> &Arc<Engine> {
        &self.inner.engine
    }

    #[inline]
    pub(crate) fn keys(&self) -> &Arc<Store<Box<str>, Payload>> {
        &self.inner.keys
    }

    pub(crate) fn check_key(&self, key: &str, operation: &'static str) -> Result<()> {
        if key.len() <= self.inner.max_key_bytes {
            return Ok(());
        }
        Err(Error::new(ErrorKind::InvalidKey, operation)
            .with("bytes", key.len())
            .with("most", self.inner.max_key_bytes)
            .because("shorten the key, or raise `max_key_bytes`"))
    }

    /// Whether both are handles of one cache.
    #[inline]
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    /// The tree of scope levels.
    pub fn tree(&self) -> &ScopeTree {
        self.engine().registry().tree()
    }

    /// A handle of one scope: resolved once, cheap to clone and to use. It stays good when its scope is evicted, and
    /// makes nothing in the cache.
    ///
    /// # Errors
    /// If `place` names no scope of this cache.
    pub fn scope(&self, place: impl ToScope) -> Result<Scope> {
        Ok(Scope::new(self.clone(), place.path(self, "scope")?))
    }

    /// Opens a typed region, or finds it. See [`region_builder`](Self::region_builder) for one with options.
    ///
    /// # Errors
    /// [`ErrorKind::TypeMismatch`] if it is open with other types, [`ErrorKind::InvalidConfig`] for an empty name.
    pub fn region<K: crate::Key, V: crate::Value>(&self, name: &str) -> Result<Region<K, V>> {
        self.region_builder(name).open()
    }

    /// Starts to describe a typed region: the fast path, and the unit of statistics and limits.
    pub fn region_builder<K: crate::Key, V: crate::Value>(&self, name: &str) -> RegionBuilder<K, V> {
        RegionBuilder::new(self.clone(), name)
    }

    /// Evicts a scope with everything below it, at the call: in every region, whatever it holds, in the same time.
    /// Running loads for it will not be stored. Memory comes back within a second.
    ///
    /// # Errors
    /// What a bad place brings, ids for levels beside or below the asked one among it.
    pub fn evict_by_scope(&self, place: impl ToScope) -> Done<Evicted> {
        Done::new(self.evict(&place, "evict_by_scope"))
    }

    fn evict(&self, place: &impl ToScope, operation: &'static str) -> Result<Evicted> {
        place.check_destructive(self, operation)?;
        let detached = place.find_node(self, operation)?.map(|node| self.engine().evict(&node));
        Ok(detached.unwrap_or_default().into())
    }

    /// What [`evict_by_scope`](Self::evict_by_scope) would take now.
    ///
    /// # Errors
    /// As `evict_by_scope`.
    pub fn preview_evict<'a>(
        &'a self,
        place: impl ToScope + 'a,
    ) -> Operation<impl FnOnce() -> Result<Evicted>> {
        Operation::new(move || {
            place.check_destructive(self, "preview_evict")?;
            let counted = place.find_node(self, "preview_evict")?.map(|node| self.engine().preview(&node));
            Ok(counted.unwrap_or_default().into())
        })
    }

    /// Evicts everything, at the call: the root scope with all below it.
    ///
    /// # Errors
    /// None in a cache of memory alone.
    pub fn clear(&self) -> Done<Evicted> {
        Done::new(self.evict(&ScopePath::global(self.tree()), "clear"))
    }

    /// What the cache has done and holds, in total. Does first what maintenance is owed, so that it is exact.
    pub fn stats(&self) -> Stats {
        self.engine().stats()
    }

    /// What one region has done and holds; `None` if no region of this name is open. Programmatic keys are the region
    /// `strata_cache::keys`; a cached function is `crate::module::function`, a method `type::method`. Several functions
    /// may share a name; they are added up.
    pub fn stats_of_region(&self, name: &str) -> Option<Stats> {
        self.engine().stats_of_region(name)
    }

    /// What one scope, with everything below it, has done and holds. Zeros for a scope the cache keeps nothing for; of a
    /// scope whose level is not tracked, entries and weight alone.
    ///
    /// # Errors
    /// If `place` names no scope of this cache.
    pub fn stats_of(&self, place: impl ToScope) -> Result<ScopeReport> {
        self.engine().maintain();
        Ok(place.find_node(self, "stats_of")?.map(|node| self.report(&node)).unwrap_or_default())
    }

    /// Does not do first what maintenance is owed.
    fn report(&self, node: &Node) -> ScopeReport {
        let report = ScopeReport::of(node);
        if node.parent().is_some() {
            return report;
        }
        // The root scope's are those of all regions, which count them anyway.
        let Stats { hits, stale_hits, misses, .. } = self.engine().stats();
        ScopeReport { hits: hits + stale_hits, misses, ..report }
    }

    /// Changes how many entries the cache may hold, and evicts down to it.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] for zero.
    pub fn set_capacity(&self, entries: u64) -> Result<()> {
        let entries = positive(entries, "capacity")?;
        let weight = self.engine().limits().max_weight().and_then(std::num::NonZeroU64::new);
        self.engine().set_limits(Some(entries), weight);
        Ok(())
    }

    /// Changes how much weight (bytes, unless weighers say otherwise) the cache may hold, and evicts down to it.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] for zero or a text that is no number of bytes.
    pub fn set_capacity_bytes(&self, bytes: impl IntoBytes) -> Result<()> {
        let weight = positive(bytes.into_bytes()?, "capacity_bytes")?;
        let entries = self.engine().limits().max_entries().and_then(std::num::NonZeroU64::new);
        self.engine().set_limits(entries, Some(weight));
        Ok(())
    }

    /// Does everything that maintenance owes, now: for caches built with `Maintenance::Manual`.
    pub fn maintain(&self) {
        self.engine().maintain();
    }
}

/// What a programmatic entry weighs unless its writer says: the bytes of its key, and of its value as far as they lie
/// in one piece.
#[expect(clippy::borrowed_box, reason = "a weigher gets the key as the store holds it")]
fn weigh(key: &Box<str>, value: &Payload) -> u64 {
    (key.len() + size_of_val(&**value)).max(1) as u64
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache").field("engine", self.engine()).finish_non_exhaustive()
    }
}
