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
use strata_cache_core::flight::{BreakerSettings, LoadLimit};
use strata_cache_core::scope::{Budget, IntoTag, Node, ScopePath, ScopeTree, Tag};
use strata_cache_core::stats::Stats;

use crate::budget::ScopeBudget;
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

// What panics in here is the user's, and leaves nothing half done: each lock's holder sees to that.
impl std::panic::UnwindSafe for Cache {}
impl std::panic::RefUnwindSafe for Cache {}

struct Inner {
    engine: Arc<Engine>,
    keys: Arc<Store<Box<str>, Payload>>,
    max_key_bytes: usize,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // What runs in the background keeps the engine, and would run on for nobody.
        self.engine.errands().close();
    }
}

impl Cache {
    /// Starts to describe a cache.
    pub fn builder() -> CacheBuilder {
        CacheBuilder::default()
    }

    pub(crate) fn from_engine(
        engine: Arc<Engine>,
        max_key_bytes: usize,
        breaker: Option<BreakerSettings>,
    ) -> Result<Self> {
        let options = || StoreOptions { weigher: Some(Arc::new(weigh)), breaker, ..StoreOptions::default() };
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

    /// Withdraws all entries that have a tag, at the call: in every region, whatever there are, in the same time. The tag is that of
    /// the place's scope, and not of those below it; tags of the root scope are the [global](crate::Tag::global) ones.
    /// Running loads that have the tag, also one that their loader has added, will not be stored, and no call that begins after
    /// this one returned waits for them. Memory comes back within a second.
    ///
    /// The time grows with the number of scopes and of different sets of tags that have this one: one look at each. For a tag that
    /// belongs to a scope these are the sets it stands in; for a global one all that entries of any scope have.
    ///
    /// ```
    /// use strata_cache::{Cache, Tag, scope};
    ///
    /// # fn main() -> Result<(), strata_cache::Error> {
    /// let cache = Cache::builder().build()?;
    /// let (acme, globex) = (cache.scope(scope!(org = "acme"))?, cache.scope(scope!(org = "globex"))?);
    /// for org in [&acme, &globex] {
    ///     org.set("seats", 30).tag("plan:gold").tag(Tag::global("prices")?).wait()?;
    /// }
    /// assert_eq!(acme.invalidate_tag("plan:gold").wait()?.entries, 1);
    /// assert!(globex.contains("seats").wait()?, "a tag is its scope's own");
    ///
    /// assert_eq!(cache.invalidate_tag(scope!(global), "prices").wait()?.entries, 1);
    /// assert!(!globex.contains("seats").wait()?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// What a bad place brings, ids for levels beside or below the asked one among it; [`ErrorKind::InvalidTag`] for a bad tag, or a
    /// global one at another place than `scope!(global)`.
    pub fn invalidate_tag(&self, place: impl ToScope, tag: impl IntoTag) -> Done<Evicted> {
        Done::new(tag.into_tag().and_then(|tag| self.withdraw(&place, &tag)))
    }

    fn withdraw(&self, place: &impl ToScope, tag: &Tag) -> Result<Evicted> {
        const OPERATION: &str = "invalidate_tag";
        place.check_destructive(self, OPERATION)?;
        if tag.is_global() && place.path(self, OPERATION)?.parts().next().is_some() {
            return Err(Error::new(ErrorKind::InvalidTag, OPERATION)
                .because("a global tag belongs to the root scope; invalidate it at `scope!(global)`"));
        }
        let node = place.find_node(self, OPERATION)?;
        let detached = node.map(|node| self.engine().invalidate_tag(&node, tag));
        Ok(detached.unwrap_or_default().into())
    }

    /// Ends what runs in the background, and begins no more of it: async loads are dropped at their next wake-up, and nothing of them is
    /// stored; sync ones end when their loader returns. Everything else goes on as before: who asks for a stale value is served it, or loads.
    /// It is done by itself when the last handle of the cache goes, of its scopes and regions too.
    pub fn close(&self) -> Done<()> {
        self.engine().errands().close();
        Done::new(Ok(()))
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

    /// The budget of a scope, to be looked at, set or taken back.
    ///
    /// ```
    /// use strata_cache::{Budget, Cache, scope};
    ///
    /// # fn main() -> Result<(), strata_cache::Error> {
    /// let cache = Cache::builder().capacity(10_000).budget("org", Budget::share("2%")).build()?;
    /// let acme = cache.budget(scope!(org = "acme"))?;
    /// acme.set(Budget::entries(1_000).reserve(100))?;
    /// assert_eq!(acme.granted().max_entries, Some(1_000));
    ///
    /// let too_much = acme.set(Budget::unbounded().reserve(10_001));
    /// assert!(too_much.is_err() && acme.granted().reserved_entries == 100);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If `place` names no scope of this cache, or has ids for levels beside or below the one asked for.
    pub fn budget(&self, place: impl ToScope) -> Result<ScopeBudget> {
        place.check_destructive(self, "budget")?;
        Ok(ScopeBudget::new(self.clone(), place.path(self, "budget")?))
    }

    /// Gives each scope of a level a budget, those that exist among them, or takes it away; scopes whose budget was set
    /// by name keep theirs. A reserve is granted to a scope when it appears, if it fits beside those of others, and else later, when
    /// others go; a capacity always is. Looks at every scope there is, and evicts from those that hold more.
    ///
    /// # Errors
    /// [`ErrorKind::UnknownLevel`]; [`ErrorKind::InvalidBudget`] as for [`ScopeBudget::set`], or if a level's reserve is above the
    /// capacity that a level above it gives. Then nothing has changed.
    pub fn set_budget_of_level(&self, level: &str, budget: Option<Budget>) -> Result<()> {
        let level = self.tree().expect_level(level, "budget")?;
        self.engine().set_budget_of_level(level, budget)
    }

    /// What each scope of a level may hold, where none was set by name.
    ///
    /// # Errors
    /// [`ErrorKind::UnknownLevel`].
    pub fn budget_of_level(&self, level: &str) -> Result<Option<Budget>> {
        let level = self.tree().expect_level(level, "budget")?;
        Ok(self.engine().registry().budgets().of_level(level))
    }

    /// Changes how many entries the cache may hold, and evicts down to it.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] for zero, [`ErrorKind::InvalidBudget`] if more is reserved by name; then nothing has changed.
    pub fn set_capacity(&self, entries: u64) -> Result<()> {
        let entries = positive(entries, "capacity")?;
        let weight = self.engine().limits().max_weight().and_then(std::num::NonZeroU64::new);
        self.engine().set_limits(Some(entries), weight)
    }

    /// Changes how much weight (bytes, unless weighers say otherwise) the cache may hold, and evicts down to it.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidConfig`] for zero or a text that is no number of bytes, [`ErrorKind::InvalidBudget`] if more is reserved
    /// by name; then nothing has changed.
    pub fn set_capacity_bytes(&self, bytes: impl IntoBytes) -> Result<()> {
        let weight = positive(bytes.into_bytes()?, "capacity_bytes")?;
        let entries = self.engine().limits().max_entries().and_then(std::num::NonZeroU64::new);
        self.engine().set_limits(entries, Some(weight))
    }

    /// Limits the loads of one scope, with everything below it; `None` goes back to what its level says. See
    /// [`CacheBuilder::load_limit`].
    ///
    /// It holds for loads that ask from now on: what runs runs on, and counts if it began under any limit of this cache. A
    /// lower limit lets nothing begin until enough have ended; a higher one wakes those who wait. The limit is the path's:
    /// it stays when the scope is evicted.
    ///
    /// ```
    /// use strata_cache::{Cache, LoadLimit, scope};
    ///
    /// # fn main() -> Result<(), strata_cache::Error> {
    /// let cache = Cache::builder().load_limit("org", LoadLimit::at_most(8)).build()?;
    /// cache.set_load_limit(scope!(org = "acme"), Some(LoadLimit::at_most(2)))?;
    /// cache.evict_by_scope(scope!(org = "acme")).wait()?;
    /// assert_eq!(cache.load_limit(scope!(org = "acme"))?, Some(LoadLimit::at_most(2)));
    ///
    /// cache.set_load_limit(scope!(org = "acme"), None)?;
    /// assert_eq!(cache.load_limit(scope!(org = "acme"))?, Some(LoadLimit::at_most(8)));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If `place` names no scope of this cache, or has ids for levels beside or below the asked one;
    /// [`ErrorKind::InvalidConfig`] for a limit of zero.
    pub fn set_load_limit(&self, place: impl ToScope, limit: Option<LoadLimit>) -> Result<()> {
        place.check_destructive(self, "set_load_limit")?;
        let path = place.path(self, "set_load_limit")?;
        let limit = limit.map(|limit| limit.check("set_load_limit")).transpose()?;
        self.engine().load_limits().set(&path, limit);
        tracing::info!(target: "strata_cache", scope = %path, ?limit, "load limit changed");
        Ok(())
    }

    /// The load limit of one scope: its own, or what its level says. It is not the only one that its loads keep: those of
    /// the scopes above it hold as well.
    ///
    /// ```
    /// use strata_cache::{Cache, scope};
    ///
    /// # fn main() -> Result<(), strata_cache::Error> {
    /// let cache = Cache::builder().build()?;
    /// assert_eq!(cache.load_limit(scope!(global))?, None);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If `place` names no scope of this cache.
    pub fn load_limit(&self, place: impl ToScope) -> Result<Option<LoadLimit>> {
        Ok(self.engine().load_limits().get(&place.path(self, "load_limit")?))
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
