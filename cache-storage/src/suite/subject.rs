//! The storage under test, with short words for what behaviours do to it and for what they expect.

use std::fmt::Debug;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use crate::capability::Capability;
use crate::erased::{BoxFuture, DynStorage};
use crate::key::{Segment, StorageKey};
use crate::storage::{Count, Storage, Value};
use crate::suite::Outcome;

/// A path written as pairs of level and id.
pub(super) type Path<'a> = &'a [(&'a str, &'a str)];

pub(super) fn segments<'a>(path: Path<'a>) -> Vec<Segment<'a>> {
    path.iter().map(|(level, id)| Segment::new(level, id)).collect()
}

pub(super) struct Subject {
    pub(super) storage: Arc<dyn DynStorage>,
}

impl Subject {
    pub(super) fn new(storage: Arc<dyn DynStorage>) -> Self {
        Self { storage }
    }

    pub(super) fn capability(&self) -> Capability {
        self.storage.capability()
    }

    pub(super) async fn put_in(&self, path: Path<'_>, region: &str, key: &[u8], value: &[u8]) -> Outcome {
        let stored = self.storage.put(StorageKey::new(&segments(path), region, key), value.into()).await;
        stored.map_err(|error| format!("put failed: {error}"))
    }

    pub(super) async fn get_in(
        &self,
        path: Path<'_>,
        region: &str,
        key: &[u8],
    ) -> Result<Option<Value>, String> {
        let found = self.storage.get(StorageKey::new(&segments(path), region, key)).await;
        found.map_err(|error| format!("get failed: {error}"))
    }

    /// Puts under region `r` and key `k`, where only the path matters.
    pub(super) async fn put(&self, path: Path<'_>, value: &[u8]) -> Outcome {
        self.put_in(path, "r", b"k", value).await
    }

    pub(super) async fn expect(&self, path: Path<'_>, value: Option<&[u8]>) -> Outcome {
        self.expect_in(path, "r", b"k", value).await
    }

    /// The value is there; a backend that may drop entries may also have dropped it, but never has another.
    pub(super) async fn expect_in(
        &self,
        path: Path<'_>,
        region: &str,
        key: &[u8],
        value: Option<&[u8]>,
    ) -> Outcome {
        let found = self.get_in(path, region, key).await?;
        if found.is_none() && value.is_some() && !self.capability().keeps() {
            return Ok(());
        }
        same(&format!("value of {path:?} {region:?} {key:?}"), found.as_deref(), value)
    }

    pub(super) async fn evict(&self, path: Path<'_>) -> Result<Count, String> {
        let count = self.storage.evict_scope(&segments(path)).await;
        count.map_err(|error| format!("evict_scope failed: {error}"))
    }

    pub(super) async fn clear(&self) -> Result<Count, String> {
        self.storage.clear().await.map_err(|error| format!("clear failed: {error}"))
    }

    pub(super) async fn remove_in(&self, path: Path<'_>, region: &str, key: &[u8]) -> Result<Count, String> {
        let count = self.storage.remove(StorageKey::new(&segments(path), region, key)).await;
        count.map_err(|error| format!("remove failed: {error}"))
    }
}

pub(super) fn same<T: PartialEq + Debug>(what: &str, seen: T, expected: T) -> Outcome {
    if seen == expected { Ok(()) } else { Err(format!("{what} was {seen:?}, expected {expected:?}")) }
}

/// Polls all futures in turn, on one task, until all are done. Outputs in the order of the futures.
pub(super) async fn together<T>(mut futures: Vec<BoxFuture<'_, T>>) -> Vec<T> {
    let mut outputs: Vec<Option<T>> = futures.iter().map(|_| None).collect();
    poll_fn(|context| {
        for (future, output) in futures.iter_mut().zip(&mut outputs) {
            if output.is_none()
                && let Poll::Ready(value) = future.as_mut().poll(context)
            {
                *output = Some(value);
            }
        }
        if outputs.iter().all(Option::is_some) { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    outputs.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wait::block_on;

    #[test]
    fn together_waits_for_the_slowest_and_keeps_the_order() {
        let slow = |polls: usize| -> BoxFuture<'static, usize> {
            Box::pin(async move {
                let mut left = polls;
                poll_fn(|context| {
                    context.waker().wake_by_ref();
                    left = left.saturating_sub(1);
                    if left == 0 { Poll::Ready(()) } else { Poll::Pending }
                })
                .await;
                polls
            })
        };
        assert_eq!(block_on(together(vec![slow(3), slow(1), slow(7)])), [3, 1, 7]);
    }
}
