//! Methods and associated functions of an annotated impl block; the receiver is part of the key.
#![deny(warnings, missing_docs)]

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use strata_cache::cached;

static RUNS: AtomicU64 = AtomicU64::new(0);

/// Reports.
#[derive(Debug, Clone, PartialEq)]
pub struct Reports {
    dataset: String,
}

#[cached]
impl Reports {
    const TTL: Duration = Duration::from_secs(60);
    const MAX: usize = 10;

    fn name(&self) -> &str {
        &self.dataset
    }

    /// A month.
    #[cached(scope = "org", ttl = Self::TTL, max = Self::MAX, receiver = self.dataset)]
    pub fn monthly(&self, org_id: u64, month: u8) -> Option<String> {
        RUNS.fetch_add(1, Relaxed);
        let Self { dataset } = self;
        Some(format!("{dataset} {org_id} {month}"))
    }

    /// A year, keyed by a borrowed text.
    #[strata_cache::cached(scope = "org", receiver = self.name(), ids(org = self.dataset.len() as u64))]
    pub fn yearly(&self, year: u16) -> String {
        RUNS.fetch_add(1, Relaxed);
        format!("{} {year}", self.dataset)
    }

    /// Async, with a made receiver.
    #[cached(scope = "org", receiver = self.name().to_owned())]
    pub async fn weekly(&self, org_id: &str, week: u8) -> Result<String, std::fmt::Error> {
        std::future::ready(()).await;
        Ok(format!("{} {org_id} {week}", self.dataset))
    }

    /// Made by name.
    #[cached(scope = "global", receiver = ())]
    pub fn constant(&self) -> u8 {
        1
    }

    /// Not there, and neither are its companions.
    #[cfg(any())]
    #[cached(scope = "global")]
    pub fn absent() -> Absent {
        Absent
    }

    /// An associated function.
    #[cached(scope = "global", max = 5)]
    pub fn open(dataset: &str) -> Self {
        RUNS.fetch_add(1, Relaxed);
        Self { dataset: dataset.to_owned() }
    }
}

mod other {
    pub struct Reports<'a>(pub &'a str);

    #[strata_cache::cached]
    impl<'a> Reports<'a> {
        /// The same name in another type.
        #[cached(scope = "org", receiver = self.0)]
        pub fn monthly(&self, org_id: u64, month: u8) -> Option<String> {
            Some(format!("other {} {org_id} {month}", self.0))
        }
    }
}

fn main() {
    let (a, b) = (Reports::open("a"), Reports::open("b"));
    assert_eq!(Reports::open("a"), a);
    assert_eq!(RUNS.swap(0, Relaxed), 2);
    assert_eq!(a.monthly(1, 2).unwrap(), "a 1 2");
    assert_eq!(b.monthly(1, 2).unwrap(), "b 1 2");
    assert_eq!(a.monthly(1, 2).unwrap(), "a 1 2");
    assert_eq!(RUNS.swap(0, Relaxed), 2);
    assert_eq!(other::Reports("a").monthly(1, 2).unwrap(), "other a 1 2");
    assert!(a.monthly_peek(1, 2).is_some());
    let _ = a.monthly_invalidate(1, 2);
    assert!(a.monthly_peek(1, 2).is_none());
    assert!(b.monthly_peek(1, 2).is_some());
    let _ = Reports::monthly_invalidate_scope(1);
    assert!(b.monthly_peek(1, 2).is_none());
    assert_eq!((a.yearly(1), b.yearly(1), a.yearly(1)), ("a 1".into(), "b 1".into(), "a 1".into()));
    assert_eq!(RUNS.swap(0, Relaxed), 2);
    let _ = Reports::yearly_invalidate_scope(1_u64);
    assert!(a.yearly_peek(1).is_none());
    drop(a.weekly("o", 1));
    assert_eq!(a.constant(), 1);
    let _ = (Reports::monthly_stats(), Reports::open_stats());
}
