//! The cache handle and its verbs with a place and a text key.
//!
//! (1) Handles are clones of one cache; it ends with the last of them, of its scopes and of its regions.
//! (2) Verbs that take trust away act at the call; the operation they return only reports. All others do nothing
//! until they are awaited or waited for. (3) In a cache of memory alone every operation but a load is ready at once.

use std::any::{Any, type_name};
use std::future::Future;
use std::sync::Arc;

use strata_cache_core::engine::{Engine, Look, RegionKey, Store, StoreOptions, Taken, Write};
use strata_cache_core::error::{Error, ErrorKind, Result};
use strata_cache_core::event::RemovalCause;
use strata_cache_core::scope::{ScopePath, ScopeTree};
use strata_cache_core::stats::Stats;

use crate::builder::CacheBuilder;
use crate::driver::LoadTerms;
use crate::handle::{Scope, ScopeReport};
use crate::operation::{
    Call, Convert, Done, Evicted, GetOrLoad, KeyedLoad, Lazy, Loading, Operation, Set, Started,
};
use crate::place::{At, ToScope};
use crate::plan::WhenLeadersFail;
use crate::region::{Region, RegionBuilder};
use crate::trace;

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
        let options =
            || StoreOptions { weigher: Arc::new(weigh), ttl: None, max_per_scope: None, listener: None };
        let keys = engine.regions().open(&engine, RegionKey::Programmatic, PROGRAMMATIC, options)?;
        Ok(Self { inner: Arc::new(Inner { engine, keys, max_key_bytes }) })
    }

    pub(crate) fn engine(&self) -> &Arc<Engine> {
        &self.inner.engine
    }

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

    /// The value of a key. Absent, `Ok(None)`, differs from any value that was stored.
    ///
    /// # Errors
    /// [`ErrorKind::TypeMismatch`] if the value is not a `V`; what a bad place or key brings.
    pub fn get<'a, V: Any + Send + Sync>(
        &'a self,
        place: impl ToScope + 'a,
        key: &'a str,
    ) -> Operation<impl FnOnce() -> Result<Option<Arc<V>>>> {
        Operation::new(move || self.read(&place, key, Look::Lookup, "get")?.map(serve).transpose())
    }

    /// As [`get`](Self::get), without a trace: no lookup is counted and no order changes.
    ///
    /// # Errors
    /// As `get`.
    pub fn peek<'a, V: Any + Send + Sync>(
        &'a self,
        place: impl ToScope + 'a,
        key: &'a str,
    ) -> Operation<impl FnOnce() -> Result<Option<Arc<V>>>> {
        Operation::new(move || self.read(&place, key, Look::Peek, "peek")?.map(serve).transpose())
    }

    /// Whether a usable value of any type is there. Counts as a peek.
    ///
    /// # Errors
    /// What a bad place or key brings.
    pub fn contains<'a>(
        &'a self,
        place: impl ToScope + 'a,
        key: &'a str,
    ) -> Operation<impl FnOnce() -> Result<bool>> {
        Operation::new(move || Ok(self.read(&place, key, Look::Peek, "contains")?.is_some()))
    }

    fn read(
        &self,
        place: &impl ToScope,
        key: &str,
        look: Look,
        operation: &'static str,
    ) -> Result<Option<Payload>> {
        self.check_key(key, operation)?;
        let mut absent = false;
        let found = place.with_node(self, operation, |node| {
            absent = node.is_none();
            let found = self.keys().get(self.engine(), node.map(|node| &**node), key, look);
            if look == Look::Lookup {
                trace::lookup(PROGRAMMATIC, node.map(|node| &**node), found.is_some());
            }
            found
        })?;
        if absent && look == Look::Lookup {
            place.count_absent(self, operation)?;
        }
        Ok(found)
    }

    /// Stores a value, of any type, in place of whatever is there. A load that runs for the key will not overwrite it.
    /// Options: `ttl`, `weight`.
    ///
    /// # Errors
    /// What a bad place, key, ttl or weight brings; the old value stays.
    pub fn set<'a, V: Any + Send + Sync>(
        &'a self,
        place: impl ToScope + 'a,
        key: &'a str,
        value: V,
    ) -> Set<impl FnOnce(Write) -> Result<()>> {
        Set::new(move |write| {
            self.check_key(key, "set")?;
            let at = At { cache: self, place: &place, operation: "set" };
            self.keys().insert(self.engine(), &at, key.into(), Arc::new(value), write)
        })
    }

    /// The value of a key, loaded if it is absent: once, however many ask at the same time. The loader is async, and not
    /// called for a hit. Options: `ttl`, `weight`, `share_errors`.
    ///
    /// Dropping the operation cancels this call; if it was loading, one of those who wait takes over.
    ///
    /// # Errors
    /// [`LoadError`](crate::LoadError): the loader's error, or why there is none.
    pub fn get_or_load<'a, V, E, F, R>(
        &'a self,
        place: impl ToScope + 'a,
        key: &'a str,
        loader: F,
    ) -> GetOrLoad<impl Loading<Value = Arc<V>, Error = E>>
    where
        V: Any + Send + Sync,
        F: FnOnce() -> R,
        R: Future<Output = Result<V, E>>,
    {
        GetOrLoad::new(KeyedLoad::new(payload(), self.begin(place, key), Lazy::new(loader)))
    }

    /// As [`get_or_load`](Self::get_or_load) with a sync loader. Awaited in a task it runs inside the poll: keep slow
    /// blocking loaders to threads.
    ///
    /// # Errors
    /// As `get_or_load`.
    pub fn get_or_load_with<'a, V, E, F>(
        &'a self,
        place: impl ToScope + 'a,
        key: &'a str,
        loader: F,
    ) -> GetOrLoad<impl Loading<Value = Arc<V>, Error = E>>
    where
        V: Any + Send + Sync,
        F: FnOnce() -> Result<V, E>,
    {
        GetOrLoad::new(KeyedLoad::new(payload(), self.begin(place, key), Call::new(loader)))
    }

    /// The first look of a load.
    fn begin<'a>(
        &'a self,
        place: impl ToScope + 'a,
        key: &'a str,
    ) -> impl FnOnce(Write) -> Result<Started<Box<str>, Payload>> {
        move |write| {
            self.check_key(key, "get_or_load")?;
            let found = place.with_node(self, "get_or_load", |node| {
                let node = node?;
                let found = self.keys().hit(self.engine(), node, key)?;
                trace::lookup(PROGRAMMATIC, Some(&**node), true);
                Some(found)
            })?;
            if let Some(payload) = found {
                return Ok(Started::Hit(payload));
            }
            Ok(Started::Miss(LoadTerms {
                engine: Arc::clone(self.engine()),
                store: Arc::clone(self.keys()),
                place: place.path(self, "get_or_load")?,
                key: key.into(),
                write,
                when_leaders_fail: WhenLeadersFail::Report,
            }))
        }
    }

    /// Takes an entry out, at the call; reports whether a usable one was there. A load that runs for the key will not
    /// bring it back.
    ///
    /// # Errors
    /// What a bad place or key brings.
    pub fn remove(&self, place: impl ToScope, key: &str) -> Done<bool> {
        let taken = self.take(&place, key, RemovalCause::Removed, "remove", |_| true);
        Done::new(taken.map(|taken| matches!(taken, Taken::Value(_))))
    }

    /// Withdraws an entry, at the call: [`remove`](Self::remove), counted as an invalidation.
    ///
    /// # Errors
    /// What a bad place or key brings.
    pub fn invalidate(&self, place: impl ToScope, key: &str) -> Done<bool> {
        let taken = self.take(&place, key, RemovalCause::Invalidated, "invalidate", |_| true);
        Done::new(taken.map(|taken| matches!(taken, Taken::Value(_))))
    }

    /// Takes an entry out, at the call, and reports its value.
    ///
    /// # Errors
    /// [`ErrorKind::TypeMismatch`] if the value is not a `V`; then it stays. What a bad place or key brings.
    pub fn pop<V: Any + Send + Sync>(&self, place: impl ToScope, key: &str) -> Done<Option<Arc<V>>> {
        let taken = self.take(&place, key, RemovalCause::Removed, "pop", |payload| payload.is::<V>());
        Done::new(taken.and_then(|taken| match taken {
            Taken::Absent => Ok(None),
            Taken::Refused => Err(type_mismatch::<V>("pop")),
            Taken::Value(payload) => serve(payload).map(Some),
        }))
    }

    fn take(
        &self,
        place: &impl ToScope,
        key: &str,
        cause: RemovalCause,
        operation: &'static str,
        accept: impl Fn(&Payload) -> bool,
    ) -> Result<Taken<Payload>> {
        place.check_destructive(self, operation)?;
        self.check_key(key, operation)?;
        place.with_node(self, operation, |node| match node {
            Some(node) => self.keys().remove(self.engine(), node, key, cause, accept),
            None => Taken::Absent,
        })
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
        let detached = place.with_node(self, operation, |node| node.map(|node| self.engine().evict(node)))?;
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
            let counted = place
                .with_node(self, "preview_evict", |node| node.map(|node| self.engine().preview(node)))?;
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

    /// What one region has done and holds; `None` if no region of this name is open. Several cached functions may share
    /// a name; they are added up.
    pub fn stats_of_region(&self, name: &str) -> Option<Stats> {
        self.engine().stats_of_region(name)
    }

    /// What one scope, with everything below it, has done and holds. Zeros for a scope the cache keeps nothing for.
    ///
    /// # Errors
    /// If `place` names no scope of this cache.
    pub fn stats_of(&self, place: impl ToScope) -> Result<ScopeReport> {
        self.engine().maintain();
        place.with_node(self, "stats_of", |node| node.map(|node| ScopeReport::of(node)).unwrap_or_default())
    }

    /// Changes how many entries the cache may hold, and evicts down to it.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] for zero.
    pub fn set_capacity(&self, entries: u64) -> Result<()> {
        let entries = crate::builder::positive(entries, "capacity")?;
        let weight = self.engine().limits().max_weight().and_then(std::num::NonZeroU64::new);
        self.engine().set_limits(Some(entries), weight);
        Ok(())
    }

    /// Changes how much weight (bytes, unless weighers say otherwise) the cache may hold, and evicts down to it.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] for zero or a text that is no number of bytes.
    pub fn set_capacity_bytes(&self, bytes: impl crate::builder::IntoBytes) -> Result<()> {
        let weight = crate::builder::positive(bytes.into_bytes()?, "capacity_bytes")?;
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

/// A payload as the type that was asked for.
fn serve<V: Any + Send + Sync>(payload: Payload) -> Result<Arc<V>> {
    payload.downcast::<V>().map_err(|_| type_mismatch::<V>("get"))
}

/// Between a loaded value and a payload.
fn payload<V: Any + Send + Sync>() -> Convert<V, Payload, Arc<V>> {
    Convert { store: |value| Arc::new(value), serve }
}

/// The value is of another type than the one asked for.
fn type_mismatch<V>(operation: &'static str) -> Error {
    Error::new(ErrorKind::TypeMismatch, operation)
        .with("asked", type_name::<V>())
        .because("the key holds a value of another type; `set` replaces it")
}

impl std::fmt::Debug for Cache {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cache").field("engine", self.engine()).finish_non_exhaustive()
    }
}
