//! The trait that a backend implements.
//!
//! (1) Identity is the whole [`StorageKey`]: scope path segment by segment, region, key. Nothing is joined to text.
//! (2) `evict_scope` takes the subtree: the scope itself and all below it, and nothing else. It is required, because
//! no default can know a backend's layout, and a default that clears everything would be a disaster.
//! (3) What returned is visible to every call that starts afterwards. Every call may be repeated.
//! (4) A future that is dropped leaves each key with its old or its new value, never with a mixture.
//! Retry, time-outs, circuit breakers, compression are layers: a `Storage` around a `Storage`, never flags in here.

use std::future::Future;
use std::sync::Arc;

use crate::capability::Capability;
use crate::error::Result;
use crate::key::{Segment, StorageKey};

/// Bytes as a storage keeps them: a frame, opaque here. Clones share.
pub type Value = Arc<[u8]>;

/// How many entries a removal took.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Count {
    /// Exactly this many.
    Known(u64),
    /// The backend does not count.
    Unknown,
}

/// A byte store under structured keys: seven verbs and a description.
///
/// Futures are `Send`, need no particular runtime unless the backend says so, and do nothing before their first
/// poll. Implement it with plain `async fn`s; hold backends of several types as `Arc<dyn DynStorage>`.
///
/// # Errors
/// Every verb: [`Unavailable`](crate::ErrorKind::Unavailable) where the backend cannot be reached, and
/// [`InvalidKey`](crate::ErrorKind::InvalidKey) for a path deeper than [`StorageKey::MAX_DEPTH`].
///
/// ```
/// use std::sync::Arc;
/// use strata_cache_storage::{Count, DynStorage, Reference, Segment, Storage, StorageKey};
///
/// # fn wait<F: Future>(future: F) -> F::Output {
/// #     let mut future = std::pin::pin!(future);
/// #     let mut context = std::task::Context::from_waker(std::task::Waker::noop());
/// #     loop { if let std::task::Poll::Ready(out) = future.as_mut().poll(&mut context) { return out } }
/// # }
/// # wait(async {
/// let storage: Arc<dyn DynStorage> = Arc::new(Reference::new());
/// let path = [Segment::new("org", "acme"), Segment::new("user", "42")];
/// let key = StorageKey::new(&path, "settings", b"theme");
///
/// storage.put(key, b"dark".as_slice().into()).await?;
/// assert_eq!(storage.get(key).await?.as_deref(), Some(b"dark".as_slice()));
/// assert_eq!(storage.evict_scope(&path[..1]).await?, Count::Known(1));
/// # Ok::<_, strata_cache_storage::Error>(()) }).unwrap();
/// ```
pub trait Storage: Send + Sync {
    /// What this backend promises. Constant over its life.
    fn capability(&self) -> Capability;

    /// Reads a value; `None` where there is none.
    fn get(&self, key: StorageKey<'_>) -> impl Future<Output = Result<Option<Value>>> + Send;

    /// Stores a value in place of any other under this key.
    ///
    /// # Errors
    /// [`TooLarge`](crate::ErrorKind::TooLarge) above [`Capability::largest_value`]; the old value stays.
    fn put(&self, key: StorageKey<'_>, value: Value) -> impl Future<Output = Result<()>> + Send;

    /// Removes one entry and says whether there was one: `Known(0)` or `Known(1)`, where the backend counts.
    fn remove(&self, key: StorageKey<'_>) -> impl Future<Output = Result<Count>> + Send;

    /// Removes the entries of a scope and of all scopes below it. The empty path is the root: everything.
    fn evict_scope(&self, path: &[Segment<'_>]) -> impl Future<Output = Result<Count>> + Send;

    /// Removes every entry.
    fn clear(&self) -> impl Future<Output = Result<Count>> + Send;

    /// Reads several values: one answer per key, in the order of the keys. Not a snapshot.
    ///
    /// The default reads one by one and stops at the first error.
    fn get_many(&self, keys: &[StorageKey<'_>]) -> impl Future<Output = Result<Vec<Option<Value>>>> + Send {
        async move {
            let mut values = Vec::with_capacity(keys.len());
            for key in keys {
                values.push(self.get(*key).await?);
            }
            Ok(values)
        }
    }

    /// Stores several values; of two with one key the later stays. Not a transaction.
    ///
    /// The default stores one by one and stops at the first error; those before it are stored.
    fn put_many(&self, entries: &[(StorageKey<'_>, Value)]) -> impl Future<Output = Result<()>> + Send {
        async move {
            for (key, value) in entries {
                self.put(*key, Value::clone(value)).await?;
            }
            Ok(())
        }
    }
}
