//! The boxed twin of [`Storage`], for those who hold backends of several types.
//!
//! Nobody implements `DynStorage` by hand: the blanket implementation forwards to the typed trait, and
//! `Arc<dyn DynStorage>` is a `Storage` again, so that layers are written once, against `Storage`.
//! Cost: one allocation a call for the boxed future.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::capability::Capability;
use crate::error::Result;
use crate::key::{Segment, StorageKey};
use crate::storage::{Count, Storage, Value};

/// A boxed future that may move between threads.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// [`Storage`] with its types erased; the verbs mean the same.
pub trait DynStorage: Send + Sync {
    /// See [`Storage::capability`].
    fn capability_dyn(&self) -> Capability;
    /// See [`Storage::get`].
    fn get_dyn<'a>(&'a self, key: StorageKey<'a>) -> BoxFuture<'a, Result<Option<Value>>>;
    /// See [`Storage::put`].
    fn put_dyn<'a>(&'a self, key: StorageKey<'a>, value: Value) -> BoxFuture<'a, Result<()>>;
    /// See [`Storage::remove`].
    fn remove_dyn<'a>(&'a self, key: StorageKey<'a>) -> BoxFuture<'a, Result<Count>>;
    /// See [`Storage::evict_scope`].
    fn evict_scope_dyn<'a>(&'a self, path: &'a [Segment<'a>]) -> BoxFuture<'a, Result<Count>>;
    /// See [`Storage::clear`].
    fn clear_dyn(&self) -> BoxFuture<'_, Result<Count>>;
    /// See [`Storage::get_many`].
    fn get_many_dyn<'a>(&'a self, keys: &'a [StorageKey<'a>]) -> BoxFuture<'a, Result<Vec<Option<Value>>>>;
    /// See [`Storage::put_many`].
    fn put_many_dyn<'a>(&'a self, entries: &'a [(StorageKey<'a>, Value)]) -> BoxFuture<'a, Result<()>>;
}

impl<S: Storage> DynStorage for S {
    fn capability_dyn(&self) -> Capability {
        self.capability()
    }
    fn get_dyn<'a>(&'a self, key: StorageKey<'a>) -> BoxFuture<'a, Result<Option<Value>>> {
        Box::pin(self.get(key))
    }
    fn put_dyn<'a>(&'a self, key: StorageKey<'a>, value: Value) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.put(key, value))
    }
    fn remove_dyn<'a>(&'a self, key: StorageKey<'a>) -> BoxFuture<'a, Result<Count>> {
        Box::pin(self.remove(key))
    }
    fn evict_scope_dyn<'a>(&'a self, path: &'a [Segment<'a>]) -> BoxFuture<'a, Result<Count>> {
        Box::pin(self.evict_scope(path))
    }
    fn clear_dyn(&self) -> BoxFuture<'_, Result<Count>> {
        Box::pin(self.clear())
    }
    fn get_many_dyn<'a>(&'a self, keys: &'a [StorageKey<'a>]) -> BoxFuture<'a, Result<Vec<Option<Value>>>> {
        Box::pin(self.get_many(keys))
    }
    fn put_many_dyn<'a>(&'a self, entries: &'a [(StorageKey<'a>, Value)]) -> BoxFuture<'a, Result<()>> {
        Box::pin(self.put_many(entries))
    }
}

// Two stars everywhere: one reaches the `Arc`, which is a `DynStorage` too, and would call itself for ever.
impl Storage for Arc<dyn DynStorage> {
    fn capability(&self) -> Capability {
        (**self).capability_dyn()
    }
    async fn get(&self, key: StorageKey<'_>) -> Result<Option<Value>> {
        (**self).get_dyn(key).await
    }
    async fn put(&self, key: StorageKey<'_>, value: Value) -> Result<()> {
        (**self).put_dyn(key, value).await
    }
    async fn remove(&self, key: StorageKey<'_>) -> Result<Count> {
        (**self).remove_dyn(key).await
    }
    async fn evict_scope(&self, path: &[Segment<'_>]) -> Result<Count> {
        (**self).evict_scope_dyn(path).await
    }
    async fn clear(&self) -> Result<Count> {
        (**self).clear_dyn().await
    }
    async fn get_many(&self, keys: &[StorageKey<'_>]) -> Result<Vec<Option<Value>>> {
        (**self).get_many_dyn(keys).await
    }
    async fn put_many(&self, entries: &[(StorageKey<'_>, Value)]) -> Result<()> {
        (**self).put_many_dyn(entries).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::wait::block_on;

    /// Notes each verb that reaches it, batches included.
    #[derive(Default)]
    struct Noting(Mutex<Vec<&'static str>>);

    impl Noting {
        fn note(&self, verb: &'static str) {
            self.0.lock().unwrap().push(verb);
        }
    }

    impl Storage for Noting {
        fn capability(&self) -> Capability {
            self.note("capability");
            Capability::new().with_largest_value(7)
        }
        async fn get(&self, _: StorageKey<'_>) -> Result<Option<Value>> {
            self.note("get");
            Ok(None)
        }
        async fn put(&self, _: StorageKey<'_>, _: Value) -> Result<()> {
            self.note("put");
            Ok(())
        }
        async fn remove(&self, _: StorageKey<'_>) -> Result<Count> {
            self.note("remove");
            Ok(Count::Unknown)
        }
        async fn evict_scope(&self, _: &[Segment<'_>]) -> Result<Count> {
            self.note("evict_scope");
            Ok(Count::Unknown)
        }
        async fn clear(&self) -> Result<Count> {
            self.note("clear");
            Ok(Count::Unknown)
        }
        async fn get_many(&self, _: &[StorageKey<'_>]) -> Result<Vec<Option<Value>>> {
            self.note("get_many");
            Ok(Vec::new())
        }
        async fn put_many(&self, _: &[(StorageKey<'_>, Value)]) -> Result<()> {
            self.note("put_many");
            Ok(())
        }
    }

    #[test]
    fn erased_twice_reaches_the_backend_once_per_call_with_the_same_verb() {
        let backend = Arc::new(Noting::default());
        let once: Arc<dyn DynStorage> = Arc::<Noting>::clone(&backend) as _;
        let twice: Arc<dyn DynStorage> = Arc::new(once);
        let key = StorageKey::new(&[], "r", b"k");
        block_on(async {
            assert_eq!(twice.capability().largest_value(), Some(7));
            twice.get(key).await.unwrap();
            twice.put(key, Value::from([])).await.unwrap();
            twice.remove(key).await.unwrap();
            twice.evict_scope(&[]).await.unwrap();
            twice.clear().await.unwrap();
            twice.get_many(&[key]).await.unwrap();
            twice.put_many(&[]).await.unwrap();
        });
        let verbs = ["capability", "get", "put", "remove", "evict_scope", "clear", "get_many", "put_many"];
        assert_eq!(*backend.0.lock().unwrap(), verbs);
    }
}
