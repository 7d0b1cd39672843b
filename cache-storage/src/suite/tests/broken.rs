//! A flat, honest map of owned keys that can be broken in one way at a time.

use std::collections::{BTreeMap, HashSet};
use std::future::Future;
use std::sync::Mutex;
use std::task::Poll;

use crate::capability::Capability;
use crate::error::{Error, ErrorKind, Result};
use crate::key::{Segment, StorageKey};
use crate::storage::{Count, Storage, Value};

/// How a backend is broken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Fault {
    None,
    DropsPuts,
    ErrsOnAbsent,
    CutsValues,
    EmptyIsAbsent,
    AppendsToOld,
    JoinsIds,
    IgnoresLevels,
    FoldsRegions,
    KeysAsText,
    JoinsRegionAndKey,
    CutsIds,
    TakesAnyDepth,
    LosesEveryThirdPut,
    TearsPuts,
    StoresTooLarge,
    RemovesWholeRegion,
    NeverForgets,
    EvictsOnlyTheScopeItself,
    EvictsByTextPrefix,
    EvictsById,
    EvictsNoRoot,
    ErrsOnEmptyScope,
    RefusesEvictedScopes,
    ClearForgetsOne,
    ClearCloses,
    MiscountsRemovals,
    CountsNothingAsOne,
    CountsWithoutPromise,
    GetManyBackwards,
    PutManyDropsLast,
    PutManyKeepsFirst,
    EmptyBatchClears,
    WritesBeforePoll,
}

/// The map and its fault.
pub(super) struct Broken {
    fault: Fault,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    entries: BTreeMap<Owned, Value>,
    gone: HashSet<Vec<(String, String)>>,
    puts: usize,
    closed: bool,
}

/// Scope, region, key.
type Owned = (Vec<(String, String)>, String, Vec<u8>);

impl Broken {
    pub(super) fn new(fault: Fault) -> Self {
        Self { fault, inner: Mutex::default() }
    }

    fn is(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    fn deep(&self, path: &[Segment<'_>]) -> Result<()> {
        if self.is(Fault::TakesAnyDepth) { Ok(()) } else { crate::key::check_path(path, "broken") }
    }

    fn path(&self, path: &[Segment<'_>]) -> Vec<(String, String)> {
        match self.fault {
            Fault::JoinsIds => {
                let joined: Vec<_> = path.iter().map(|step| format!("{}:{}", step.level, step.id)).collect();
                vec![("path".into(), joined.join("/"))]
            }
            Fault::IgnoresLevels => path.iter().map(|step| (String::new(), step.id.into())).collect(),
            Fault::CutsIds => {
                path.iter().map(|step| (step.level.into(), step.id.chars().take(255).collect())).collect()
            }
            _ => path.iter().map(|step| (step.level.into(), step.id.into())).collect(),
        }
    }

    fn owned(&self, key: StorageKey<'_>) -> Owned {
        let (path, region) = (self.path(key.scope), key.region.to_owned());
        match self.fault {
            Fault::FoldsRegions => (path, region.trim().to_lowercase(), key.key.into()),
            Fault::KeysAsText => (path, region, String::from_utf8_lossy(key.key).into_owned().into()),
            Fault::JoinsRegionAndKey => (path, String::new(), [region.as_bytes(), key.key].concat()),
            _ => (path, region, key.key.into()),
        }
    }

    fn counted(&self, count: usize) -> Count {
        match self.fault {
            Fault::MiscountsRemovals if count > 1 => Count::Known(count as u64 + 1),
            Fault::CountsNothingAsOne => Count::Known(count.max(1) as u64),
            _ => Count::Known(count as u64),
        }
    }

    fn within(&self, key: &[(String, String)], path: &[(String, String)]) -> bool {
        let text =
            |path: &[(String, String)]| path.iter().map(|(l, i)| format!("/{l}:{i}")).collect::<String>();
        match self.fault {
            Fault::NeverForgets => false,
            Fault::EvictsOnlyTheScopeItself => key == path || path.is_empty(),
            Fault::EvictsByTextPrefix => text(key).starts_with(&text(path)),
            Fault::EvictsById => key.len() >= path.len() && key.iter().zip(path).all(|(k, p)| k.1 == p.1),
            Fault::EvictsNoRoot if path.is_empty() => false,
            _ => key.starts_with(path),
        }
    }

    fn store(&self, key: Owned, value: Value) -> Result<()> {
        let mut inner = self.inner.lock().unwrap();
        inner.puts += 1;
        let lost = self.is(Fault::LosesEveryThirdPut) && inner.puts > 30 && inner.puts.is_multiple_of(3);
        if lost || self.is(Fault::DropsPuts) || inner.closed || inner.gone.contains(&key.0) {
            return Ok(());
        }
        let old = inner.entries.get(&key).cloned();
        let value = match (self.fault, old) {
            (Fault::CutsValues, _) => value.iter().copied().take(65_535).collect(),
            (Fault::AppendsToOld, Some(old)) if old.len() > value.len() => {
                [&value[..], &old[value.len()..]].concat().into()
            }
            _ => value,
        };
        inner.entries.insert(key, value);
        Ok(())
    }
}

/// Pending once, so that a future can be dropped half-way.
async fn pause() {
    let mut paused = false;
    std::future::poll_fn(|context| {
        if std::mem::replace(&mut paused, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

impl Storage for Broken {
    fn capability(&self) -> Capability {
        match self.fault {
            Fault::StoresTooLarge => Capability::new().with_counts().with_keeps().with_largest_value(100),
            Fault::CountsWithoutPromise => Capability::new().with_keeps(),
            _ => Capability::new().with_counts().with_keeps(),
        }
    }

    async fn get(&self, key: StorageKey<'_>) -> Result<Option<Value>> {
        self.deep(key.scope)?;
        let found = self.inner.lock().unwrap().entries.get(&self.owned(key)).cloned();
        match self.fault {
            Fault::ErrsOnAbsent if found.is_none() => Err(Error::new(ErrorKind::Unavailable, "get")),
            Fault::EmptyIsAbsent => Ok(found.filter(|value| !value.is_empty())),
            _ => Ok(found),
        }
    }

    fn put(&self, key: StorageKey<'_>, value: Value) -> impl Future<Output = Result<()>> + Send {
        if self.is(Fault::WritesBeforePoll) && self.deep(key.scope).is_ok() {
            let _ = self.store(self.owned(key), Value::clone(&value));
        }
        async move {
            self.deep(key.scope)?;
            if self.is(Fault::TearsPuts) {
                self.store(self.owned(key), value.iter().copied().take(1).collect())?;
            }
            pause().await;
            self.store(self.owned(key), value)
        }
    }

    async fn remove(&self, key: StorageKey<'_>) -> Result<Count> {
        self.deep(key.scope)?;
        let (owned, mut inner) = (self.owned(key), self.inner.lock().unwrap());
        if self.is(Fault::RemovesWholeRegion) {
            inner.entries.retain(|other, _| (&other.0, &other.1) != (&owned.0, &owned.1));
        }
        if self.is(Fault::RefusesEvictedScopes) {
            inner.gone.insert(owned.0.clone());
        }
        let kept = self.is(Fault::NeverForgets);
        Ok(self.counted((!kept && inner.entries.remove(&owned).is_some()).into()))
    }

    async fn evict_scope(&self, path: &[Segment<'_>]) -> Result<Count> {
        self.deep(path)?;
        let (path, mut inner) = (self.path(path), self.inner.lock().unwrap());
        let before = inner.entries.len();
        inner.entries.retain(|key, _| !self.within(&key.0, &path));
        let count = before - inner.entries.len();
        match self.fault {
            Fault::ErrsOnEmptyScope if count == 0 => Err(Error::new(ErrorKind::Unavailable, "evict_scope")),
            Fault::RefusesEvictedScopes => {
                inner.gone.insert(path);
                Ok(self.counted(count))
            }
            _ => Ok(self.counted(count)),
        }
    }

    async fn clear(&self) -> Result<Count> {
        let mut inner = self.inner.lock().unwrap();
        let mut all = std::mem::take(&mut inner.entries);
        inner.closed = self.is(Fault::ClearCloses);
        let count = all.len();
        match self.fault {
            Fault::ClearForgetsOne => inner.entries.extend(all.pop_last()),
            Fault::NeverForgets => inner.entries = all,
            _ => {}
        }
        Ok(self.counted(count))
    }

    async fn get_many(&self, keys: &[StorageKey<'_>]) -> Result<Vec<Option<Value>>> {
        let mut values = Vec::new();
        for key in keys {
            values.push(self.get(*key).await?);
        }
        if self.is(Fault::GetManyBackwards) {
            values.reverse();
        }
        Ok(values)
    }

    async fn put_many(&self, entries: &[(StorageKey<'_>, Value)]) -> Result<()> {
        if self.is(Fault::EmptyBatchClears) && entries.is_empty() {
            self.clear().await?;
        }
        let skip = usize::from(self.is(Fault::PutManyDropsLast) && entries.len() > 2);
        let mut order: Vec<_> = entries.iter().take(entries.len() - skip).collect();
        if self.is(Fault::PutManyKeepsFirst) {
            order.reverse();
        }
        for (key, value) in order {
            self.put(*key, Value::clone(value)).await?;
        }
        Ok(())
    }
}
