//! The caches, each as its users use it: default hasher, default options, capacity = the number of entries.
//!
//! (1) `get` gives an owned value in all of them. (2) strata-cache's figures include what it always does: a scope, here
//! a resolved handle of `org:acme/user:42`, a ttl of an hour, and its counting. (3) No call goes through `dyn`, and none
//! through a function of ours: loops call the libraries as their users' loops do, which inline what the library says and no more.

use std::hash::Hash;
use std::time::Duration;

use strata_cache::{Cache, Maintenance, Region, Scope, scope};

/// Time for which everything in strata-cache may be served: present, and never over while we measure.
pub const TTL: Duration = Duration::from_secs(3600);

/// A borrowed key.
pub trait Query: Hash + Eq + Send + Sync + ToOwned<Owned: Hash + Eq + Clone + Send + Sync> + 'static {}
impl<T: Hash + Eq + Send + Sync + ToOwned<Owned: Hash + Eq + Clone + Send + Sync> + ?Sized + 'static> Query
    for T
{
}

/// What is held.
pub trait Held: Clone + Send + Sync + 'static {}
impl<T: Clone + Send + Sync + 'static> Held for T {}

/// A cache that competes.
pub trait Contender<Q: Query + ?Sized, V: Held>: Send + Sync + Sized {
    const NAME: &'static str;
    fn with_capacity(entries: usize) -> Self;
    fn get(&self, key: &Q) -> Option<V>;
    fn insert(&self, key: Q::Owned, value: V);
    /// Entries held now; does what is owed first, where there is such a thing.
    fn resident(&self) -> usize;
}

/// strata-cache: one region, one resolved scope.
pub struct Strata<Q: Query + ?Sized, V: Held> {
    pub region: Region<Q::Owned, V>,
    pub scope: Scope,
}

impl<Q: Query + ?Sized, V: Held> Strata<Q, V>
where
    Q::Owned: 'static,
{
    /// With a ttl and a way of maintenance of its own.
    pub fn with(entries: usize, ttl: Duration, maintenance: Maintenance) -> Self {
        let cache = Cache::builder().capacity(entries as u64).ttl(ttl).maintenance(maintenance);
        let cache = cache.build().expect("the options are valid");
        let region = cache.region("compared").expect("the name is valid");
        let scope = cache.scope(scope!(org = "acme", user = 42)).expect("the path is valid");
        Self { region, scope }
    }
}

impl<Q: Query + ?Sized, V: Held> Contender<Q, V> for Strata<Q, V>
where
    Q::Owned: 'static,
{
    const NAME: &'static str = "strata-cache";

    fn with_capacity(entries: usize) -> Self {
        Self::with(entries, TTL, Maintenance::default())
    }

    #[inline(always)]
    fn get(&self, key: &Q) -> Option<V> {
        self.region.get_now(&self.scope, key).expect("the scope is this cache's")
    }

    #[inline(always)]
    fn insert(&self, key: Q::Owned, value: V) {
        self.region.set(&self.scope, key, value).wait().expect("an entry weighs less than the capacity");
    }

    fn resident(&self) -> usize {
        self.region.stats().entries as usize
    }
}

/// quick_cache.
pub struct Quick<Q: Query + ?Sized, V: Held>(pub quick_cache::sync::Cache<Q::Owned, V>);

impl<Q: Query + ?Sized, V: Held> Contender<Q, V> for Quick<Q, V> {
    const NAME: &'static str = "quick_cache";

    fn with_capacity(entries: usize) -> Self {
        Self(quick_cache::sync::Cache::new(entries))
    }

    #[inline(always)]
    fn get(&self, key: &Q) -> Option<V> {
        self.0.get(key)
    }

    #[inline(always)]
    fn insert(&self, key: Q::Owned, value: V) {
        self.0.insert(key, value);
    }

    fn resident(&self) -> usize {
        self.0.len()
    }
}

/// moka, its sync cache.
pub struct Moka<Q: Query + ?Sized, V: Held>(pub moka::sync::Cache<Q::Owned, V>);

impl<Q: Query + ?Sized, V: Held> Contender<Q, V> for Moka<Q, V>
where
    Q::Owned: 'static,
{
    const NAME: &'static str = "moka";

    fn with_capacity(entries: usize) -> Self {
        Self(moka::sync::Cache::new(entries as u64))
    }

    #[inline(always)]
    fn get(&self, key: &Q) -> Option<V> {
        self.0.get(key)
    }

    #[inline(always)]
    fn insert(&self, key: Q::Owned, value: V) {
        self.0.insert(key, value);
    }

    fn resident(&self) -> usize {
        self.0.run_pending_tasks();
        self.0.entry_count() as usize
    }
}

/// foyer's memory cache; by default LRU in 8 shards.
pub struct Foyer<Q: Query + ?Sized, V: Held>(pub foyer_memory::Cache<Q::Owned, V>)
where
    Q::Owned: 'static;

impl<Q: Query + ?Sized, V: Held> Contender<Q, V> for Foyer<Q, V>
where
    Q::Owned: 'static,
{
    const NAME: &'static str = "foyer";

    fn with_capacity(entries: usize) -> Self {
        Self(foyer_memory::CacheBuilder::new(entries).build())
    }

    #[inline(always)]
    fn get(&self, key: &Q) -> Option<V> {
        self.0.get(key).map(|entry| entry.value().clone())
    }

    #[inline(always)]
    fn insert(&self, key: Q::Owned, value: V) {
        self.0.insert(key, value);
    }

    fn resident(&self) -> usize {
        self.0.entries()
    }
}

/// cached, its sharded LRU. Its shards together may hold a little more than the capacity.
pub struct Cached<Q: Query + ?Sized, V: Held>(pub cached::ShardedLruCache<Q::Owned, V>);

impl<Q: Query + ?Sized, V: Held> Contender<Q, V> for Cached<Q, V> {
    const NAME: &'static str = "cached";

    fn with_capacity(entries: usize) -> Self {
        Self(cached::ShardedLruCache::new(entries))
    }

    #[inline(always)]
    fn get(&self, key: &Q) -> Option<V> {
        self.0.get(key)
    }

    #[inline(always)]
    fn insert(&self, key: Q::Owned, value: V) {
        self.0.set(key, value);
    }

    fn resident(&self) -> usize {
        self.0.len()
    }
}

/// papaya, for reference: a map without eviction.
pub struct Papaya<Q: Query + ?Sized, V: Held>(pub papaya::HashMap<Q::Owned, V>);

impl<Q: Query + ?Sized, V: Held> Contender<Q, V> for Papaya<Q, V> {
    const NAME: &'static str = "papaya";

    fn with_capacity(_: usize) -> Self {
        Self(papaya::HashMap::new())
    }

    #[inline(always)]
    fn get(&self, key: &Q) -> Option<V> {
        self.0.pin().get(key).cloned()
    }

    #[inline(always)]
    fn insert(&self, key: Q::Owned, value: V) {
        self.0.pin().insert(key, value);
    }

    fn resident(&self) -> usize {
        self.0.len()
    }
}
