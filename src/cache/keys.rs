//! The verbs of a cache with a place and a text key.
//!
//! (1) A value of any type is held behind one pointer; reading it as another type is an error, and changes nothing.
//! (2) Absent is `Ok(None)`, and differs from every value that was stored.

use std::any::{Any, type_name};
use std::future::Future;
use std::sync::Arc;

use strata_cache_core::engine::{Explained, Look, Taken, Write};
use strata_cache_core::epoch;
use strata_cache_core::error::{Error, ErrorKind, Result};
use strata_cache_core::event::RemovalCause;
use strata_cache_core::scope::{Node, Tags};

use super::{Cache, PROGRAMMATIC, Payload};
use crate::along::along;
use crate::driver::Run;
use crate::operation::{
    AsyncLoader, Begin, Convert, Done, GetOrLoad, KeyedLoad, KeyedMany, LoadMany, Loading, LoadingMany,
    Operation, Said, Set, Started, SyncLoader, Wanted, open,
};
use crate::place::{At, ToScope};
use crate::trace;

impl Cache {
    /// The value of a key. Absent, `Ok(None)`, differs from any value that was stored.
    ///
    /// # Errors
    /// [`ErrorKind::TypeMismatch`] if the value is not a `V`; what a bad place or key brings.
    pub fn get<'a, V: Any + Send + Sync>(
        &'a self,
        place: impl ToScope + 'a,
        key: &'a str,
    ) -> Operation<impl FnOnce() -> Result<Option<Arc<V>>>> {
        Operation::new(move || match self.glance(&place, key) {
            Some(found) => serve(found).map(Some),
            None => self.read(&place, key, Look::Lookup, "get")?.map(serve).transpose(),
        })
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

    /// What a key holds, where one look tells it. No key that is too long was ever stored.
    #[inline]
    fn glance(&self, place: &impl ToScope, key: &str) -> Option<Payload> {
        let (pin, keys) = (epoch::glimpse()?, self.keys());
        let (found, count) = match place.resolved(&pin, keys.word()) {
            Some(node) => keys.glance_hit(&pin, &node, key)?,
            None => place.glance(&pin, self, |node| keys.glance_hit(&pin, node, key))?,
        };
        drop(pin);
        keys.look_up_at(count);
        Some(found)
    }

    #[inline(never)]
    fn read(
        &self,
        place: &impl ToScope,
        key: &str,
        look: Look,
        operation: &'static str,
    ) -> Result<Option<Payload>> {
        self.check_key(key, operation)?;
        let pin = epoch::pin();
        let mut absent = false;
        let found = place.with_node(&pin, self, operation, |node| {
            absent = node.is_none();
            let found = self.keys().get_pinned(&pin, self.engine(), node, key, look);
            if look == Look::Lookup {
                trace::lookup(PROGRAMMATIC, node, found.is_some());
            }
            found
        })?;
        if absent && look == Look::Lookup {
            place.count_absent(self, operation)?;
        }
        Ok(found)
    }

    /// Stores a value, of any type, in place of whatever is there. A load that runs for the key will not overwrite it.
    /// Options: `ttl`, `keep`, `weight`, `tag`, `tags`.
    ///
    /// # Errors
    /// What a bad place, key, ttl, weight or tag brings; the old value stays.
    pub fn set<'a, V: Any + Send + Sync>(
        &'a self,
        place: impl ToScope + 'a,
        key: &'a str,
        value: V,
    ) -> Set<impl FnOnce(Write, Tags) -> Result<()>> {
        Set::new(move |write, tags| {
            self.check_key(key, "set")?;
            let at = At { cache: self, place: &place, operation: "set" };
            let (engine, value) = (self.engine(), Arc::new(value));
            if tags.is_empty() {
                return self.keys().insert(engine, &at, key.into(), value, write);
            }
            self.keys().insert_tagged(engine, &at, (key.into(), value), write, &tags)
        })
    }

    /// The value of a key, loaded if it is absent: once, however many ask at the same time. The loader is async, and not
    /// called for a hit. Options: `ttl`, `weight`, `tag`, `tags`, `share_errors`; for bad days `stale`, `stale_on_error`, `refresh`,
    /// `refresh_early`, `soft`, `hard`, `throttle`, `detached`.
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
    ) -> GetOrLoad<impl Loading<Value = Arc<V>, Error = E, Loader = AsyncLoader<F, R>, Loaded = V>>
    where
        V: Any + Send + Sync,
        F: FnOnce() -> R,
        R: Future<Output = Result<V, E>>,
    {
        GetOrLoad::new(KeyedLoad::<_, _, _, _, _, _, _, _, AsyncLoader<F, R>>::new(
            Payloads,
            Asked { cache: self, place, key },
            loader,
        ))
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
    ) -> GetOrLoad<impl Loading<Value = Arc<V>, Error = E, Loader = SyncLoader<F>, Loaded = V>>
    where
        V: Any + Send + Sync,
        F: FnOnce() -> Result<V, E>,
    {
        GetOrLoad::new(KeyedLoad::<_, _, _, _, _, _, _, _, SyncLoader<F>>::new(
            Payloads,
            Asked { cache: self, place, key },
            loader,
        ))
    }

    /// The values of several keys, in their order; as [`Region::get_many`](crate::Region::get_many).
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn get_many<'a, V: Any + Send + Sync>(
        &'a self,
        place: impl ToScope + 'a,
        keys: &'a [&'a str],
    ) -> Operation<impl FnOnce() -> Result<Vec<Option<Arc<V>>>>> {
        Operation::new(move || {
            let get = |key: &&str| self.read(&place, key, Look::Lookup, "get_many")?.map(serve).transpose();
            keys.iter().map(get).collect()
        })
    }

    /// The values of several keys, those that are missing loaded by one call of an async loader; as
    /// [`Region::load_many`](crate::Region::load_many).
    ///
    /// # Errors
    /// As there, and what a bad key brings.
    pub fn load_many<'a, V, E, F, R>(
        &'a self,
        place: impl ToScope + 'a,
        keys: impl IntoIterator<Item = &'a str>,
        loader: F,
    ) -> LoadMany<impl LoadingMany<Value = Arc<V>, Error = E>>
    where
        V: Any + Send + Sync,
        F: Fn(Vec<Box<str>>) -> R + 'a,
        R: Future<Output = Vec<Result<V, E>>> + 'a,
        E: 'a,
    {
        let loader = move |keys| {
            let run = loader(keys);
            async move { run.await.into_iter().map(|result| result.map(Payloads::store)).collect() }
        };
        let checked = |key: &str| self.check_key(key, "load_many").map(|()| key.into());
        let wanted = Wanted {
            engine: Arc::clone(self.engine()),
            store: Arc::clone(self.keys()),
            place: place.path(self, "load_many"),
            keys: keys.into_iter().map(checked).collect(),
        };
        LoadMany::new(KeyedMany::<V, E, Arc<V>, _, _, _, _, _>::new(Payloads, wanted, loader))
    }

    /// Takes an entry out, at the call; reports whether a usable one was there. A load that runs for the key will not
    /// bring it back.
    ///
    /// # Errors
    /// What a bad place or key brings.
    pub fn remove(&self, place: impl ToScope, key: &str) -> Done<bool> {
        let taken = self.take(&place, key, RemovalCause::Removed, "remove", |_| true);
        Done::new(taken.map(|taken| matches!(taken, Taken::Value(_) | Taken::Stale)))
    }

    /// Withdraws an entry, at the call: [`remove`](Self::remove), counted as an invalidation.
    ///
    /// # Errors
    /// What a bad place or key brings.
    pub fn invalidate(&self, place: impl ToScope, key: &str) -> Done<bool> {
        let taken = self.take(&place, key, RemovalCause::Invalidated, "invalidate", |_| true);
        Done::new(taken.map(|taken| matches!(taken, Taken::Value(_) | Taken::Stale)))
    }

    /// Takes an entry out, at the call, and reports its value.
    ///
    /// # Errors
    /// [`ErrorKind::TypeMismatch`] if the value is not a `V`; then it stays. What a bad place or key brings.
    pub fn pop<V: Any + Send + Sync>(&self, place: impl ToScope, key: &str) -> Done<Option<Arc<V>>> {
        let taken = self.take(&place, key, RemovalCause::Removed, "pop", |payload| payload.is::<V>());
        Done::new(taken.and_then(|taken| match taken {
            Taken::Absent | Taken::Stale => Ok(None),
            Taken::Refused => Err(type_mismatch::<V>("pop")),
            Taken::Value(payload) => serve(payload).map(Some),
        }))
    }

    /// As [`Region::explain`](crate::Region::explain), of a text key.
    ///
    /// # Errors
    /// What a bad place or key brings.
    pub fn explain(&self, place: impl ToScope, key: &str) -> Result<Explained> {
        self.check_key(key, "explain")?;
        let node = place.find_node(self, "explain")?;
        Ok(self.keys().explain(self.engine(), node.as_deref(), key))
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
        Ok(match place.find_node(self, operation)? {
            Some(node) => self.keys().remove(self.engine(), &node, key, cause, accept),
            None => Taken::Absent,
        })
    }
}

/// A payload as the type that was asked for.
fn serve<V: Any + Send + Sync>(payload: Payload) -> Result<Arc<V>> {
    payload.downcast::<V>().map_err(|_| type_mismatch::<V>("get"))
}

/// Between a loaded value and a payload.
struct Payloads;

impl<V: Any + Send + Sync> Convert<V, Payload, Arc<V>> for Payloads {
    fn store(value: V) -> Payload {
        Arc::new(value)
    }

    #[inline]
    fn serve(payload: Payload) -> Result<Arc<V>> {
        serve(payload)
    }
}

/// What a load of a text key is asked for.
struct Asked<'a, P> {
    cache: &'a Cache,
    place: P,
    key: &'a str,
}

impl<P: ToScope> Begin<Box<str>, Payload> for Asked<'_, P> {
    #[inline]
    fn glance(&self) -> Option<Payload> {
        self.cache.glance(&self.place, self.key)
    }

    fn begin(self, said: &Said<'_>, has_background: bool) -> Result<Started<Box<str>, Payload>> {
        let Self { cache, place, key } = self;
        cache.check_key(key, "get_or_load")?;
        let (engine, store) = (cache.engine(), cache.keys());
        let care = said.care(store)?;
        let pin = epoch::pin();
        let look = |node: Option<&Node>| open((&pin, engine, store), node, key, &care, has_background);
        let found = place.with_node(&pin, cache, "get_or_load", look)?;
        drop(pin);
        Started::of(found, (engine, store), said, care, || {
            Ok((place.path(cache, "get_or_load")?, key.into()))
        })
    }

    fn along(run: Run) -> Run {
        along(run)
    }
}

/// The value is of another type than the one asked for.
fn type_mismatch<V>(operation: &'static str) -> Error {
    Error::new(ErrorKind::TypeMismatch, operation)
        .with("asked", type_name::<V>())
        .because("the key holds a value of another type; ask for that type, or `set` a new value")
}
