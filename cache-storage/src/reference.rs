//! The plainest storage: a locked tree of maps, shaped as the scopes are. What others are compared with.
//!
//! (1) One lock, held for one verb, never across an await. (2) A node is here only while something is in or below
//! it. (3) Counts are walked, not kept: `evict_scope` costs what it removes.
//! For tests and as the meaning of the trait; not a cache: nothing is bounded, nothing expires.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::capability::Capability;
use crate::error::Result;
use crate::key::{Segment, StorageKey, check_path};
use crate::storage::{Count, Storage, Value};

/// A storage in this process's memory. Counts, keeps everything, takes values of any length.
#[derive(Default)]
pub struct Reference {
    root: Mutex<Node>,
}

/// A scope: the scopes below it by level and id, and its own entries by region and key.
#[derive(Default)]
struct Node {
    below: BTreeMap<String, BTreeMap<String, Node>>,
    regions: BTreeMap<String, BTreeMap<Vec<u8>, Value>>,
}

impl Reference {
    /// An empty storage.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many entries there are.
    pub fn len(&self) -> u64 {
        self.lock().count()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A panic elsewhere under the lock cannot be: what runs under it is this file and std.
    fn lock(&self) -> MutexGuard<'_, Node> {
        self.root.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Reference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reference").field("len", &self.len()).finish()
    }
}

impl Node {
    fn count(&self) -> u64 {
        let own: usize = self.regions.values().map(BTreeMap::len).sum();
        own as u64 + self.below.values().flat_map(BTreeMap::values).map(Self::count).sum::<u64>()
    }

    fn is_empty(&self) -> bool {
        self.below.is_empty() && self.regions.is_empty()
    }

    fn find(&self, path: &[Segment<'_>]) -> Option<&Self> {
        path.iter().try_fold(self, |node, step| node.below.get(step.level)?.get(step.id))
    }

    fn find_or_create(&mut self, path: &[Segment<'_>]) -> &mut Self {
        path.iter().fold(self, |node, step| {
            node.below.entry(step.level.into()).or_default().entry(step.id.into()).or_default()
        })
    }

    /// Lets something be removed at the end of a path, then drops the nodes that this left empty.
    fn removing<R>(&mut self, path: &[Segment<'_>], remove: impl FnOnce(&mut Self) -> R) -> Option<R> {
        let Some((step, rest)) = path.split_first() else {
            return Some(remove(self));
        };
        let ids = self.below.get_mut(step.level)?;
        let node = ids.get_mut(step.id)?;
        let removed = node.removing(rest, remove);
        if node.is_empty() {
            ids.remove(step.id);
        }
        if ids.is_empty() {
            self.below.remove(step.level);
        }
        removed
    }

    fn remove_entry(&mut self, region: &str, key: &[u8]) -> Option<Value> {
        let entries = self.regions.get_mut(region)?;
        let value = entries.remove(key);
        if entries.is_empty() {
            self.regions.remove(region);
        }
        value
    }
}

impl Storage for Reference {
    fn capability(&self) -> Capability {
        Capability::new().with_counts().with_keeps()
    }

    async fn get(&self, key: StorageKey<'_>) -> Result<Option<Value>> {
        check_path(key.scope, "get")?;
        let root = self.lock();
        let entries = root.find(key.scope).and_then(|node| node.regions.get(key.region));
        Ok(entries.and_then(|entries| entries.get(key.key)).cloned())
    }

    async fn put(&self, key: StorageKey<'_>, value: Value) -> Result<()> {
        check_path(key.scope, "put")?;
        let mut root = self.lock();
        let node = root.find_or_create(key.scope);
        node.regions.entry(key.region.into()).or_default().insert(key.key.into(), value);
        Ok(())
    }

    async fn remove(&self, key: StorageKey<'_>) -> Result<Count> {
        check_path(key.scope, "remove")?;
        let removed =
            self.lock().removing(key.scope, |node| node.remove_entry(key.region, key.key)).flatten();
        Ok(Count::Known(removed.is_some().into()))
    }

    async fn evict_scope(&self, path: &[Segment<'_>]) -> Result<Count> {
        check_path(path, "evict_scope")?;
        let taken = self.lock().removing(path, std::mem::take);
        // Counted and dropped after the lock is gone.
        Ok(Count::Known(taken.map_or(0, |node| node.count())))
    }

    async fn clear(&self) -> Result<Count> {
        self.evict_scope(&[]).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::{block_on, check};

    #[test]
    fn reference_passes_the_suite() {
        block_on(check(async || Reference::new())).assert_ok();
    }

    #[test]
    fn nothing_is_left_of_scopes_that_came_and_went() {
        let storage = Reference::new();
        block_on(async {
            for n in 0..100u32 {
                let (org, user) = ((n % 7).to_string(), n.to_string());
                let path = [Segment::new("org", &org), Segment::new("user", &user)];
                storage.put(StorageKey::new(&path, "r", b"k"), Value::from([1])).await.unwrap();
                if n % 2 == 0 {
                    storage.remove(StorageKey::new(&path, "r", b"k")).await.unwrap();
                } else {
                    storage.evict_scope(&path).await.unwrap();
                }
            }
        });
        assert!(storage.lock().is_empty(), "nodes without entries remain");
    }

    #[test]
    fn threads_that_put_and_evict_at_once_lose_and_leave_nothing() {
        let storage = Reference::new();
        std::thread::scope(|threads| {
            for n in 0..4u8 {
                let storage = &storage;
                threads.spawn(move || {
                    let id = n.to_string();
                    let path = [Segment::new("org", &id)];
                    for round in 0..200u8 {
                        block_on(async {
                            storage
                                .put(StorageKey::new(&path, "r", &[round]), Value::from([n]))
                                .await
                                .unwrap();
                            assert_eq!(storage.evict_scope(&path).await.unwrap(), Count::Known(1));
                        });
                    }
                });
            }
        });
        assert!(storage.is_empty());
    }
}
