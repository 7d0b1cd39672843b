//! What every backend must do, as named behaviours, chosen by what the backend promises.
//!
//! A backend's test is one line: `block_on(check(async || MyStorage::connect().await)).assert_ok()`, with the
//! runtime of the backend in place of [`block_on`] where it needs one.
//! (1) Each behaviour gets a storage of its own, empty. (2) A behaviour that a capability rules out is listed as
//! skipped, never silently passed. (3) An error where the trait demands an answer is a failure of the behaviour.
//! (4) Each behaviour has a broken backend in `suite/tests.rs` that it catches.

use std::sync::Arc;

use crate::capability::Capability;
use crate::erased::{BoxFuture, DynStorage};
use crate::storage::Storage;
pub use crate::wait::block_on;

mod batches;
mod entries;
mod removals;
mod subject;
#[cfg(test)]
mod tests;

use subject::Subject;

/// One promise of the trait, in a sentence.
#[derive(Clone, Copy)]
struct Behaviour {
    name: &'static str,
    /// Whether a backend with these capabilities promises it.
    applies: fn(Capability) -> bool,
    run: for<'a> fn(&'a Subject) -> BoxFuture<'a, Outcome>,
}

/// `Err` says what was seen instead.
type Outcome = Result<(), String>;

/// The name of a function and the function, once.
macro_rules! behaviours {
    ($($condition:expr => { $($name:ident)* })*) => {
        &[$($($crate::suite::Behaviour {
            name: stringify!($name),
            applies: $condition,
            run: |subject| Box::pin($name(subject)),
        },)*)*]
    };
}
use behaviours;

/// What came of a run of the suite.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// The behaviours that held.
    pub passed: Vec<&'static str>,
    /// The behaviours that the backend does not promise.
    pub skipped: Vec<&'static str>,
    /// The behaviours that did not hold, each with what was seen instead.
    pub failed: Vec<(&'static str, String)>,
}

impl Report {
    /// # Panics
    /// If a behaviour failed; the message lists all of them.
    #[track_caller]
    pub fn assert_ok(&self) {
        let failed: Vec<_> = self.failed.iter().map(|(name, seen)| format!("\n  {name}: {seen}")).collect();
        assert!(failed.is_empty(), "{} behaviours failed:{}", failed.len(), failed.concat());
    }
}

/// Runs every behaviour that the backend promises, each on a new and empty storage that `make` gives.
///
/// ```
/// use strata_cache_storage::{Reference, suite};
///
/// suite::block_on(suite::check(async || Reference::new())).assert_ok();
/// ```
pub async fn check<S: Storage + 'static>(make: impl AsyncFn() -> S) -> Report {
    let mut report = Report::default();
    for behaviour in [entries::ALL, removals::ALL, batches::ALL].concat() {
        let storage: Arc<dyn DynStorage> = Arc::new(make().await);
        if !(behaviour.applies)(storage.capability()) {
            report.skipped.push(behaviour.name);
            continue;
        }
        match (behaviour.run)(&Subject::new(storage)).await {
            Ok(()) => report.passed.push(behaviour.name),
            Err(seen) => report.failed.push((behaviour.name, seen)),
        }
    }
    report
}
