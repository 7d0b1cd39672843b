//! Typed regions: the fast path, and the unit of statistics and limits.
//!
//! (1) A region has one key type and one value type; opening it with others is an error. (2) Keys are looked up
//! borrowed. (3) A hit clones the value outside of locks and allocates nothing beside that clone.

mod builder;

use std::future::Future;
use std::hash::Hash;
use std::sync::Arc;

pub use builder::RegionBuilder;
use equivalent::Equivalent;
use strata_cache_core::engine::{AnyRegion, Explained, Glance, Key, Look, Sight, Store, Taken, Value, Write};
use strata_cache_core::epoch;
use strata_cache_core::error::Result;
use strata_cache_core::event::RemovalCause;
use strata_cache_core::scope::{Node, Tags};
use strata_cache_core::stats::Stats;

use crate::along::along;
use crate::cache::Cache;
use crate::driver::Run;
use crate::operation::{
    AsyncLoader, Begin, Convert, Done, Evicted, GetOrLoad, KeyedLoad, KeyedMany, LoadMany, Loading,
    LoadingMany, Operation, Said, Set, Started, SyncLoader, Wanted, open,
};
use crate::place::{At, ToScope};
use crate::trace;

/// A borrowed form of a region's key that can be made into one.
///
/// Whatever has an owned form is one: `str` for `String`, `[T]` for `Vec<T>`, a `Clone` type for itself. A view that
/// borrows several fields implements it beside [`Equivalent`].
pub trait ToKey<K>: Hash + Equivalent<K> {
    /// Makes the key. Called on a miss only.
    fn to_key(&self) -> K;
}

impl<T> ToKey<T::Owned> for T
where
    T: ToOwned + Hash + Equivalent<T::Owned> + ?Sized,
{
    fn to_key(&self) -> T::Owned {
        self.to_owned()
    }
}

/// A typed part of a cache. Cheap to clone.
///
/// ```
/// use strata_cache::{Cache, scope};
///
/// # fn main() -> Result<(), strata_cache::Error> {
/// let cache = Cache::builder().capacity(1_000).build()?;
/// let alice = cache.scope(scope!(org = "acme", user = 42))?;
/// let reports = cache.region::<String, u64>("reports")?;
///
/// reports.set(&alice, "sales".to_string(), 7).wait()?;
/// assert_eq!(reports.get_now(&alice, "sales")?, Some(7));
/// # Ok(())
/// # }
/// ```
pub struct Region<K, V> {
    cache: Cache,
    store: Arc<Store<K, V>>,
}

impl<K, V> Clone for Region<K, V> {
    fn clone(&self) -> Self {
        Self { cache: self.cache.clone(), store: Arc::clone(&self.store) }
    }
}

impl<K: Key, V: Value> Region<K, V> {
    /// The region's name.
    pub fn name(&self) -> &str {
        self.store.name()
    }

    /// The region's cache.
    pub fn cache(&self) -> &Cache {
        &self.cache
    }

    /// The value of a key, from memory, now: no future, no allocation, a borrowed key.
    ///
    /// # Errors
    /// If `place` names no scope of this cache.
    #[inline(always)]
    pub fn get_now<Q>(&self, place: impl ToScope, key: &Q) -> Result<Option<V>>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        match self.glance(&place, key, Sight::Home) {
            Glance::Found(found) => Ok(Some(found)),
            Glance::Absent => Ok(None),
            // In another type than the answer: else the compiler builds all answers in memory, seven instructions a hit.
            Glance::Unsure => match self.look(place, key)? {
                Glance::Found(found) => Ok(Some(found)),
                // `look` is never unsure.
                Glance::Absent | Glance::Unsure => Ok(None),
            },
        }
    }

    /// As [`get_now`](Self::get_now), where the first look did not tell it. It is never unsure.
    #[cold]
    #[inline(never)]
    fn look<Q>(&self, place: impl ToScope, key: &Q) -> Result<Glance<V>>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        match self.glance(&place, key, Sight::All) {
            Glance::Unsure => {}
            told => return Ok(told),
        }
        let pin = epoch::pin();
        let get = |node: &Node| {
            let found = self.store.get_pinned(&pin, self.cache.engine(), Some(node), key, Look::Lookup);
            trace::lookup(self.store.name(), Some(node), found.is_some());
            found
        };
        let found = match place.resolved(&pin, self.store.word()) {
            Some(node) => Some(get(&node)),
            None => place.glance(&pin, &self.cache, |node| Some(get(node))),
        };
        drop(pin);
        let found = found.map_or_else(|| self.read(&place, key, Look::Lookup, "get_now"), Ok)?;
        Ok(found.map_or(Glance::Absent, Glance::Found))
    }

    /// What one look tells; the look-up is counted then.
    #[inline(always)]
    fn glance<Q>(&self, place: &impl ToScope, key: &Q, sight: Sight) -> Glance<V>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let Some(pin) = epoch::glimpse() else { return Glance::Unsure };
        let told = match place.resolved(&pin, self.store.word()) {
            // Written out, so that the way of a hit is free of calls.
            Some(node) => self.store.glance(&pin, &node, key, sight),
            None => place.glance(&pin, &self.cache, |node| self.store.glance(&pin, node, key, sight)),
        };
        drop(pin);
        // Arm by arm, which spares hits a second look at what was told: four instructions.
        match told {
            Some((Some(found), count)) => {
                self.store.look_up_at(count);
                Glance::Found(found)
            }
            Some((None, count)) => {
                self.store.look_up_at(count);
                Glance::Absent
            }
            None => Glance::Unsure,
        }
    }

    /// The value of a key, where one look tells it.
    #[inline(always)]
    fn glance_hit<Q>(&self, place: &impl ToScope, key: &Q) -> Option<V>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let pin = epoch::glimpse()?;
        let (found, count) = match place.resolved(&pin, self.store.word()) {
            Some(node) => self.store.glance_hit(&pin, &node, key)?,
            None => place.glance(&pin, &self.cache, |node| self.store.glance_hit(&pin, node, key))?,
        };
        drop(pin);
        self.store.look_up_at(count);
        Some(found)
    }

    #[inline(never)]
    fn read<Q>(&self, place: &impl ToScope, key: &Q, look: Look, operation: &'static str) -> Result<Option<V>>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let pin = epoch::pin();
        let mut absent = false;
        let found = place.with_node(&pin, &self.cache, operation, |node| {
            absent = node.is_none();
            let found = self.store.get_pinned(&pin, self.cache.engine(), node, key, look);
            if look == Look::Lookup {
                trace::lookup(self.store.name(), node, found.is_some());
            }
            found
        })?;
        if absent && look == Look::Lookup {
            place.count_absent(&self.cache, operation)?;
        }
        Ok(found)
    }

    /// The value of a key, from any tier.
    ///
    /// # Errors
    /// If `place` names no scope of this cache.
    pub fn get<'a, Q>(
        &'a self,
        place: impl ToScope + 'a,
        key: &'a Q,
    ) -> Operation<impl FnOnce() -> Result<Option<V>>>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        Operation::new(move || match self.glance(&place, key, Sight::Home) {
            Glance::Found(found) => Ok(Some(found)),
            Glance::Absent => Ok(None),
            Glance::Unsure => self.read(&place, key, Look::Lookup, "get"),
        })
    }

    /// As [`get`](Self::get), without a trace: no lookup is counted and no order changes.
    ///
    /// # Errors
    /// As `get`.
    pub fn peek<'a, Q>(
        &'a self,
        place: impl ToScope + 'a,
        key: &'a Q,
    ) -> Operation<impl FnOnce() -> Result<Option<V>>>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        Operation::new(move || self.read(&place, key, Look::Peek, "peek"))
    }

    /// Whether a usable value is there. Counts as a peek.
    ///
    /// # Errors
    /// As `get`.
    pub fn contains<'a, Q>(
        &'a self,
        place: impl ToScope + 'a,
        key: &'a Q,
    ) -> Operation<impl FnOnce() -> Result<bool>>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        Operation::new(move || Ok(self.read(&place, key, Look::Peek, "contains")?.is_some()))
    }

    /// Stores a value in place of whatever is there. A load that runs for the key will not overwrite it. Options: `ttl`,
    /// `keep`, `weight`, `tag`, `tags`.
    ///
    /// # Errors
    /// What a bad place, ttl, weight or tag brings; the old value stays.
    pub fn set<'a>(
        &'a self,
        place: impl ToScope + 'a,
        key: K,
        value: V,
    ) -> Set<impl FnOnce(Write, Tags) -> Result<()>> {
        Set::new(move |write, tags| {
            let at = At { cache: &self.cache, place: &place, operation: "set" };
            let engine = self.cache.engine();
            if tags.is_empty() {
                return self.store.insert(engine, &at, key, value, write);
            }
            self.store.insert_tagged(engine, &at, (key, value), write, &tags)
        })
    }

    /// The value of a key, loaded if it is absent: once, however many ask at the same time. As
    /// [`Cache::get_or_load`].
    ///
    /// # Errors
    /// [`LoadError`](crate::LoadError).
    pub fn get_or_load<'a, Q, E, F, R>(
        &'a self,
        place: impl ToScope + 'a,
        key: &'a Q,
        loader: F,
    ) -> GetOrLoad<impl Loading<Value = V, Error = E, Loader = AsyncLoader<F, R>, Loaded = V>>
    where
        Q: ToKey<K> + ?Sized,
        F: FnOnce() -> R,
        R: Future<Output = Result<V, E>>,
    {
        GetOrLoad::new(KeyedLoad::<_, _, _, _, _, _, _, _, AsyncLoader<F, R>>::new(
            Same,
            Asked { region: self, place, key },
            loader,
        ))
    }

    /// As [`get_or_load`](Self::get_or_load) with a sync loader.
    ///
    /// # Errors
    /// As `get_or_load`.
    pub fn get_or_load_with<'a, Q, E, F>(
        &'a self,
        place: impl ToScope + 'a,
        key: &'a Q,
        loader: F,
    ) -> GetOrLoad<impl Loading<Value = V, Error = E, Loader = SyncLoader<F>, Loaded = V>>
    where
        Q: ToKey<K> + ?Sized,
        F: FnOnce() -> Result<V, E>,
    {
        GetOrLoad::new(KeyedLoad::<_, _, _, _, _, _, _, _, SyncLoader<F>>::new(
            Same,
            Asked { region: self, place, key },
            loader,
        ))
    }

    /// The values of several keys, in their order. Each is a look-up.
    ///
    /// # Errors
    /// If `place` names no scope of this cache.
    pub fn get_many<'a, Q>(
        &'a self,
        place: impl ToScope + 'a,
        keys: &'a [Q],
    ) -> Operation<impl FnOnce() -> Result<Vec<Option<V>>>>
    where
        Q: Hash + Equivalent<K>,
    {
        Operation::new(move || {
            keys.iter().map(|key| self.read(&place, key, Look::Lookup, "get_many")).collect()
        })
    }

    /// The values of several keys, those that are missing loaded by one call of an async loader: it is given their keys, and gives a result for
    /// each, in the same order. Keys that somebody else loads, alone or in a batch of their own, are not loaded again but waited for. Each
    /// key has an answer of its own; one that is asked for twice is loaded once.
    ///
    /// The loader is called again only for keys whose other loader gave up meanwhile. Values past their time are loaded before the call
    /// is answered, and served only [in place of an error](LoadMany::stale_on_error).
    ///
    /// ```
    /// use strata_cache::{Cache, scope};
    ///
    /// # fn main() -> Result<(), strata_cache::Error> {
    /// let cache = Cache::builder().build()?;
    /// let users = cache.region::<u32, String>("users")?;
    /// let org = cache.scope(scope!(org = "acme"))?;
    /// users.set(&org, 2, "two".to_string()).wait()?;
    ///
    /// let load = |missing: Vec<u32>| {
    ///     assert_eq!(missing, [1, 3]);
    ///     missing.iter().map(|id| if *id == 3 { Err("no such user") } else { Ok(id.to_string()) }).collect()
    /// };
    /// let found = users.load_many_with(&org, [1, 2, 3], load).wait()?;
    /// assert_eq!(found[0].as_deref().ok(), Some("1"));
    /// assert_eq!(found[1].as_deref().ok(), Some("two"));
    /// assert!(found[2].is_err());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// What is wrong with place or options. Of a key: [`LoadError`](crate::LoadError); if the loader gives another number of results than it
    /// was asked for, [`ErrorKind::BatchMismatch`](crate::ErrorKind::BatchMismatch) for each, and nothing is stored.
    pub fn load_many<'a, E, F, R>(
        &'a self,
        place: impl ToScope + 'a,
        keys: impl IntoIterator<Item = K>,
        loader: F,
    ) -> LoadMany<impl LoadingMany<Value = V, Error = E>>
    where
        F: Fn(Vec<K>) -> R + 'a,
        R: Future<Output = Vec<Result<V, E>>> + 'a,
        E: 'a,
    {
        LoadMany::new(KeyedMany::new(Same, self.wanted(&place, keys), loader))
    }

    /// As [`load_many`](Self::load_many) with a sync loader. Awaited in a task it runs inside the poll.
    ///
    /// # Errors
    /// As there.
    pub fn load_many_with<'a, E, F>(
        &'a self,
        place: impl ToScope + 'a,
        keys: impl IntoIterator<Item = K>,
        loader: F,
    ) -> LoadMany<impl LoadingMany<Value = V, Error = E>>
    where
        F: Fn(Vec<K>) -> Vec<Result<V, E>> + 'a,
        E: 'a,
    {
        let loader = move |keys| std::future::ready(loader(keys));
        LoadMany::new(KeyedMany::new(Same, self.wanted(&place, keys), loader))
    }

    fn wanted(&self, place: &impl ToScope, keys: impl IntoIterator<Item = K>) -> Wanted<K, V> {
        Wanted {
            engine: Arc::clone(self.cache.engine()),
            store: Arc::clone(&self.store),
            place: place.path(&self.cache, "load_many"),
            keys: Ok(keys.into_iter().collect()),
        }
    }

    /// Takes an entry out, at the call; reports whether a usable one was there.
    ///
    /// # Errors
    /// If `place` names no scope of this cache.
    pub fn remove<Q>(&self, place: impl ToScope, key: &Q) -> Done<bool>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        Done::new(self.take(&place, key, RemovalCause::Removed, "remove").map(|taken| was_there(&taken)))
    }

    /// Withdraws an entry, at the call: [`remove`](Self::remove), counted as an invalidation.
    ///
    /// # Errors
    /// If `place` names no scope of this cache.
    pub fn invalidate<Q>(&self, place: impl ToScope, key: &Q) -> Done<bool>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let taken = self.take(&place, key, RemovalCause::Invalidated, "invalidate");
        Done::new(taken.map(|taken| was_there(&taken)))
    }

    /// Takes an entry out, at the call, and reports its value.
    ///
    /// # Errors
    /// If `place` names no scope of this cache.
    pub fn pop<Q>(&self, place: impl ToScope, key: &Q) -> Done<Option<V>>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        Done::new(self.take(&place, key, RemovalCause::Removed, "pop").map(|taken| match taken {
            Taken::Value(value) => Some(value),
            Taken::Absent | Taken::Stale | Taken::Refused => None,
        }))
    }

    fn take<Q>(
        &self,
        place: &impl ToScope,
        key: &Q,
        cause: RemovalCause,
        operation: &'static str,
    ) -> Result<Taken<V>>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        place.check_destructive(&self.cache, operation)?;
        Ok(match place.find_node(&self.cache, operation)? {
            Some(node) => self.store.remove(self.cache.engine(), &node, key, cause, |_| true),
            None => Taken::Absent,
        })
    }

    /// Withdraws all entries of this region in one scope, at the call; not those of scopes below it. Running loads of this
    /// region for the scope will not be stored. Takes time with the size of the region.
    ///
    /// # Errors
    /// What a bad place brings, ids for levels beside or below the asked one among it.
    pub fn invalidate_scope(&self, place: impl ToScope) -> Done<Evicted> {
        Done::new(invalidate_scope(&self.cache, &*self.store, &place))
    }

    /// What is known of one key, and what a look-up would do now: whether a value is there, fresh or stale, for how long yet, with which tags,
    /// whether a load of it runs, how the breaker stands. Nothing is counted or changed. Takes the lock of a shard: for people who ask, not for
    /// calls that serve.
    ///
    /// # Errors
    /// If `place` names no scope of this cache.
    pub fn explain<Q>(&self, place: impl ToScope, key: &Q) -> Result<Explained>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        let node = place.find_node(&self.cache, "explain")?;
        Ok(self.store.explain(self.cache.engine(), node.as_deref(), key))
    }

    /// What this region has done and holds. Does first what maintenance is owed, so that it is exact.
    pub fn stats(&self) -> Stats {
        self.store.stats(self.cache.engine())
    }
}

/// Whether there was something that some call could have been served.
fn was_there<V>(taken: &Taken<V>) -> bool {
    matches!(taken, Taken::Value(_) | Taken::Stale)
}

/// Withdraws what a region, of whatever types, holds in one scope.
pub(crate) fn invalidate_scope(
    cache: &Cache,
    region: &dyn AnyRegion,
    place: &impl ToScope,
) -> Result<Evicted> {
    place.check_destructive(cache, "invalidate_scope")?;
    let node = place.find_node(cache, "invalidate_scope")?;
    let detached = node.map(|node| region.invalidate_scope(cache.engine(), &node));
    Ok(detached.unwrap_or_default().into())
}

/// A region gives what it holds.
struct Same;

impl<V> Convert<V, V, V> for Same {
    #[inline]
    fn store(value: V) -> V {
        value
    }

    #[inline]
    fn serve(value: V) -> Result<V> {
        Ok(value)
    }
}

/// What a load of a region is asked for.
struct Asked<'a, K, V, P, Q: ?Sized> {
    region: &'a Region<K, V>,
    place: P,
    key: &'a Q,
}

impl<K: Key, V: Value, P: ToScope, Q: ToKey<K> + ?Sized> Begin<K, V> for Asked<'_, K, V, P, Q> {
    #[inline(always)]
    fn glance(&self) -> Option<V> {
        self.region.glance_hit(&self.place, self.key)
    }

    fn begin(self, said: &Said<'_>, has_background: bool) -> Result<Started<K, V>> {
        let Self { region: Region { cache, store }, place, key } = self;
        let engine = cache.engine();
        let care = said.care(store)?;
        let pin = epoch::pin();
        let look = |node: Option<&Node>| open((&pin, engine, store), node, key, &care, has_background);
        let found = place.with_node(&pin, cache, "get_or_load", look)?;
        drop(pin);
        Started::of(found, (engine, store), said, care, || {
            Ok((place.path(cache, "get_or_load")?, key.to_key()))
        })
    }

    fn along(run: Run) -> Run {
        along(run)
    }
}

impl<K, V> std::fmt::Debug for Region<K, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Region").field("name", &self.cache).finish_non_exhaustive()
    }
}

impl<K: Key, V: Value> Region<K, V> {
    pub(crate) fn store(&self) -> &Arc<Store<K, V>> {
        &self.store
    }
}
