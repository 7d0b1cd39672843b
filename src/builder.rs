//! Describing a cache. `build` is the only step that can fail, and it reports every fault at once.

use std::future::Future;
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use strata_cache_core::clock::{Clock, TimeSource};
use strata_cache_core::engine::{
    Engine, EngineConfig, Limits, Listener, LoadEvent, Maintenance, Observer, Removal, Spawner,
};
use strata_cache_core::error::{Error, Result};
use strata_cache_core::expiry::{IntoTtl, Ttl};
use strata_cache_core::flight::{BreakerSettings, LeaseTimes, LoadLimit};
use strata_cache_core::policy::Policy;
use strata_cache_core::scope::{Budget, Locate, ScopeTree, TrackedLevels};

use crate::budget::Planned;
use crate::cache::Cache;
use crate::care::together;
use crate::load_limit::Limited;
use crate::setting::{IntoBytes, IntoPolicy, breaker, invalid, positive};

/// Entries held by a cache that was given no bound.
const DEFAULT_CAPACITY: u64 = 10_000;

/// Loads in the background at once.
const BACKGROUND_LOADS: usize = 256;

/// Describes a cache.
///
/// Without options: the default tree, 10,000 entries, the adaptive policy, no expiry, the system's clock, a maintenance thread.
#[must_use = "a description is no cache before `build`"]
#[derive(Default)]
pub struct CacheBuilder {
    tree: Option<ScopeTree>,
    entries: Option<Result<NonZeroU64>>,
    weight: Option<Result<NonZeroU64>>,
    policy: Option<Result<Policy>>,
    ttl: Option<Result<Ttl>>,
    clock: Option<Arc<dyn Clock>>,
    maintenance: Maintenance,
    trim_heap: bool,
    lease_times: LeaseTimes,
    load_limits: Limited,
    tracked: Option<Vec<String>>,
    listener: Option<Listener>,
    observer: Option<Observer>,
    background_loads: Option<usize>,
    spawner: Option<Spawner>,
    max_key_bytes: Option<usize>,
    breaker: Option<Result<BreakerSettings>>,
    budgets: Planned,
}

impl CacheBuilder {
    /// The tree of scope levels. Default: org (`org_id`) → user (`user_id`) → session (`session_id`).
    pub fn scopes(mut self, tree: ScopeTree) -> Self {
        self.tree = Some(tree);
        self
    }

    /// How many entries the cache may hold. Default, if no weight is given either: 10,000. Exact for up to 1,024
    /// entries, order of eviction included.
    pub fn capacity(mut self, entries: u64) -> Self {
        self.entries = Some(positive(entries, "capacity"));
        self
    }

    /// How much weight the cache may hold: bytes, as a number or a text like `"512MB"`, unless weighers count in
    /// something else.
    pub fn capacity_bytes(mut self, bytes: impl IntoBytes) -> Self {
        self.weight = Some(bytes.into_bytes().and_then(|bytes| positive(bytes, "capacity_bytes")));
        self
    }

    /// What goes when the cache is full: a [`Policy`], or the name of one (`"lru"`, `"sieve"`). Default:
    /// [`Policy::Adaptive`].
    pub fn policy(mut self, policy: impl IntoPolicy) -> Self {
        self.policy = Some(policy.into_policy());
        self
    }

    /// How long entries may be served if neither their write nor their region says. Default: for ever.
    pub fn ttl(mut self, ttl: impl IntoTtl) -> Self {
        self.ttl = Some(ttl.into_ttl());
        self
    }

    /// The clock of this cache, for tests a `TestClock`.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// Who gives memory back while nobody calls. Default: one thread for all caches of the process.
    pub fn maintenance(mut self, maintenance: Maintenance) -> Self {
        self.maintenance = maintenance;
        self
    }

    /// Whether maintenance, once it has let go as many entries and scopes as are left, and 65,536 at least, asks the system's
    /// allocator to give the kernel what is free (`malloc_trim` of glibc; elsewhere this does nothing). Default: no.
    ///
    /// For processes whose tenants come and go in waves, where memory that nobody uses has a price. What goes is given back to the
    /// allocator in any case; glibc keeps most of it for what comes next. It concerns the whole process: about a tenth of a
    /// millisecond a MiB, while which others may wait who allocate.
    pub fn trim_heap(mut self, trim: bool) -> Self {
        self.trim_heap = trim;
        self
    }

    /// How long a load may run before somebody who waits for it may run it instead. Default: 60 s.
    pub fn load_lease(mut self, lease: Duration) -> Self {
        self.lease_times.lease = lease;
        self
    }

    /// How long an async load that was woken may stay unpolled before somebody who waits for it may run it instead.
    /// Default: 1 s.
    pub fn load_patience(mut self, patience: Duration) -> Self {
        self.lease_times.patience = patience;
        self
    }

    /// How many loads each scope of a level, with everything below it, may run at once; `"global"` is the whole cache. The
    /// last word on a level counts. Default: no limit. [`load_limit_at`](Self::load_limit_at) is for single scopes.
    ///
    /// Loads beyond the limit wait, and the children of the scope take turns: a tenant with a thousand loads to come delays
    /// another's next load by one. When as many wait as may, `get_or_load` ends in [`Overloaded`](crate::ErrorKind::Overloaded); a cached
    /// function, which could not say so, waits. Hits, and calls that wait for a running load, need no permit. A load inside
    /// of another one never waits: it needs no permit that the outer one has, and runs over the limit if there is none.
    ///
    /// ```
    /// use strata_cache::{Cache, LoadLimit, scope};
    ///
    /// # fn main() -> Result<(), strata_cache::Error> {
    /// let cache = Cache::builder()
    ///     .load_limit("global", LoadLimit::at_most(64))
    ///     .load_limit("org", LoadLimit::at_most(8).queue(200))
    ///     .build()?;
    /// assert_eq!(cache.load_limit(scope!(org = "acme"))?, Some(LoadLimit::at_most(8).queue(200)));
    /// assert!(Cache::builder().load_limit("org", LoadLimit::at_most(0)).build().is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub fn load_limit(mut self, level: &str, limit: LoadLimit) -> Self {
        self.load_limits.levels.push((level.to_owned(), limit));
        self
    }

    /// How many loads one scope, with everything below it, may run at once, in place of what its level says. At run time
    /// [`Cache::set_load_limit`] changes it.
    ///
    /// ```
    /// use strata_cache::{Cache, LoadLimit, scope};
    ///
    /// # fn main() -> Result<(), strata_cache::Error> {
    /// let cache = Cache::builder().load_limit_at(scope!(org = "acme"), LoadLimit::at_most(2)).build()?;
    /// assert_eq!(cache.load_limit(scope!(org = "acme"))?, Some(LoadLimit::at_most(2)));
    /// assert_eq!(cache.load_limit(scope!(org = "other"))?, None);
    /// # Ok(())
    /// # }
    /// ```
    pub fn load_limit_at(mut self, place: impl Locate + Send + Sync + 'static, limit: LoadLimit) -> Self {
        self.load_limits.paths.push((Box::new(place), limit));
        self
    }

    /// What each scope of a level may hold, with all below it, and what nobody else may take of it: at most `"2%"` of the
    /// cache for each org, say. Default: no budgets, and whoever is coldest pays for newcomers.
    ///
    /// ```
    /// use strata_cache::{Budget, Cache, scope};
    ///
    /// # fn main() -> Result<(), strata_cache::Error> {
    /// let cache = Cache::builder()
    ///     .capacity(100_000)
    ///     .budget("org", Budget::share("2%").reserve("0.05%"))
    ///     .budget_at(scope!(org = "acme"), Budget::entries(10_000).reserve(1_000))
    ///     .build()?;
    /// assert_eq!(cache.budget(scope!(org = "acme"))?.granted().reserved_entries, 1_000);
    /// # Ok(())
    /// # }
    /// ```
    pub fn budget(mut self, level: &str, budget: Budget) -> Self {
        self.budgets.levels.push((level.to_owned(), budget));
        self
    }

    /// What one scope may hold, in place of what its level says.
    pub fn budget_at(mut self, place: impl Locate + Send + Sync + 'static, budget: Budget) -> Self {
        self.budgets.paths.push((Box::new(place), budget));
        self
    }

    /// Budgets from TOML, in addition to others: a `[[budget]]` table each, with `level` or `path`, and `share`, `max_entries`,
    /// `max_weight`, `reserve`, `reserve_weight`; amounts as numbers or texts like `"2%"` and `"64MB"`.
    ///
    /// ```
    /// use strata_cache::{Cache, scope};
    ///
    /// # fn main() -> Result<(), strata_cache::Error> {
    /// let budgets = r#"
    ///     [[budget]]
    ///     level = "org"
    ///     share = "2%"
    ///
    ///     [[budget]]
    ///     path = { org = "acme" }
    ///     max_entries = 10_000
    ///     reserve = 1_000
    /// "#;
    /// let cache = Cache::builder().capacity(100_000).budgets_from_toml(budgets).build()?;
    /// assert_eq!(cache.budget(scope!(org = "acme"))?.granted().reserved_entries, 1_000);
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "config-toml")]
    pub fn budgets_from_toml(mut self, text: &str) -> Self {
        self.budgets.read(text);
        self
    }

    /// The levels whose scopes count lookups, loads and removals, by name. Default: the first level of each tree. What happens
    /// below them counts for the nearest one above; the root scope counts all. A scope that counts takes about 160 bytes more.
    pub fn track_lookups<'a>(mut self, levels: impl IntoIterator<Item = &'a str>) -> Self {
        self.tracked = Some(levels.into_iter().map(str::to_owned).collect());
        self
    }

    /// Told of each entry that leaves, and why, outside of locks.
    pub fn on_removal(mut self, listener: impl Fn(&Removal<'_>) + Send + Sync + 'static) -> Self {
        self.listener = Some(Arc::new(listener));
        self
    }

    /// Told of what happens to loads: stale values served, loads that failed or took too long, breakers that opened. It is called outside of
    /// locks, on the thread where it happens; one that panics is logged and stops nobody.
    pub fn on_load_event(mut self, observer: impl Fn(&LoadEvent<'_>) + Send + Sync + 'static) -> Self {
        self.observer = Some(Arc::new(observer));
        self
    }

    /// How many loads may run in the background at once, for values that are stale or will be. Those beyond are not begun: the value is
    /// served, and the next call tries again. Default: 256. None run with 0.
    pub fn background_loads(mut self, most: usize) -> Self {
        self.background_loads = Some(most);
        self
    }

    /// What runs async loads in the background: a task is to be polled to its end by it. Default: the Tokio runtime that the call is on,
    /// with the feature `tokio`; else a few threads of the library's own.
    pub fn spawner(
        mut self,
        spawner: impl Fn(std::pin::Pin<Box<dyn Future<Output = ()> + Send>>) + Send + Sync + 'static,
    ) -> Self {
        self.spawner = Some(Arc::new(spawner));
        self
    }

    /// The breaker of loads with text keys, as [`RegionBuilder::breaker`](crate::RegionBuilder::breaker) is that of a region.
    pub fn breaker(mut self, failures: u32, cool_down: impl IntoTtl) -> Self {
        self.breaker = Some(breaker(failures, cool_down));
        self
    }

    /// How long a programmatic key may be. Default: 4,096 bytes.
    pub fn max_key_bytes(mut self, bytes: usize) -> Self {
        self.max_key_bytes = Some(bytes);
        self
    }

    /// Makes the cache.
    ///
    /// # Errors
    /// The fault, with its own kind, if there is one; [`InvalidConfig`](crate::ErrorKind::InvalidConfig) listing all, if there are several.
    pub fn build(self) -> Result<Cache> {
        let mut faults = Vec::new();
        let tree = self.tree.unwrap_or_default();
        let tracked = self.tracked.map_or(TrackedLevels::First, |names| {
            let level = |name: &String| keep(tree.expect_level(name, "track_lookups"), &mut faults);
            TrackedLevels::Levels(names.iter().filter_map(level).collect())
        });
        let entries = self.entries.and_then(|entries| keep(entries, &mut faults));
        let weight = self.weight.and_then(|weight| keep(weight, &mut faults));
        let policy = self.policy.and_then(|policy| keep(policy, &mut faults));
        let ttl = self.ttl.and_then(|ttl| keep(ttl, &mut faults));
        let breaker = self.breaker.and_then(|breaker| keep(breaker, &mut faults));
        for (time, name) in
            [(self.lease_times.lease, "load_lease"), (self.lease_times.patience, "load_patience")]
        {
            if time.is_zero() {
                faults.push(invalid(name, "a time above zero is needed"));
            }
        }
        let (load_limits, limited) = self.load_limits.read(&tree, |fault| faults.push(fault));
        if self.max_key_bytes == Some(0) {
            faults.push(invalid("max_key_bytes", "a length above zero is needed"));
        }
        let entries =
            entries.or_else(|| if weight.is_none() { NonZeroU64::new(DEFAULT_CAPACITY) } else { None });
        let bounds = [entries, weight].map(|bound| bound.map(NonZeroU64::get));
        self.budgets.check(&tree, bounds, |fault| faults.push(fault));
        if let Some(error) = together(faults, "build") {
            return Err(error);
        }
        let engine = Engine::new(EngineConfig {
            tree,
            tracked,
            limits: Limits::new(entries, weight),
            policy: policy.unwrap_or_default(),
            ttl: ttl.unwrap_or_else(Ttl::never),
            time: self.clock.map_or_else(TimeSource::system, TimeSource::Custom),
            maintenance: self.maintenance,
            trim_heap: self.trim_heap,
            lease_times: self.lease_times,
            load_limits,
            background_loads: self.background_loads.unwrap_or(BACKGROUND_LOADS),
            spawner: self.spawner,
            listener: self.listener,
            observer: self.observer,
        });
        for (path, limit) in &limited {
            engine.load_limits().set(path, Some(*limit));
        }
        let mut faults = Vec::new();
        self.budgets.set_in(engine.registry(), |fault| faults.push(fault));
        if let Some(error) = together(faults, "build") {
            return Err(error);
        }
        let cache = Cache::from_engine(engine, self.max_key_bytes.unwrap_or(4096), breaker)?;
        tracing::info!(target: "strata_cache", ?entries, ?weight, "cache built");
        Ok(cache)
    }
}

impl std::fmt::Debug for CacheBuilder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CacheBuilder")
            .field("entries", &self.entries)
            .field("weight", &self.weight)
            .finish_non_exhaustive()
    }
}

fn keep<T>(given: Result<T>, faults: &mut Vec<Error>) -> Option<T> {
    given.map_err(|fault| faults.push(fault)).ok()
}
