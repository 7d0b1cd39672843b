//! Which tenants hold, do or suffer most: a bounded list, whatever there are.
//!
//! (1) The scopes of a level are gone through without a lock, in slices; memory is that of the answer. (2) No path is listed twice,
//! even if its scope was evicted and came again meanwhile. (3) The order is by value and then by ids, so that it is the same
//! for the same values. Nothing here becomes a label of a metric: a list of ten stays one of ten.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use strata_cache_core::error::{Error, ErrorKind, Result};
use strata_cache_core::scope::{LevelId, Node, ScopePath};

use super::Cache;
use crate::handle::ScopeReport;

/// The longest list of scopes.
const MOST: usize = 1_000;

const OPERATION: &str = "top_scopes";

/// What scopes are compared by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Rank {
    /// Entries held now.
    Entries,
    /// Their weight.
    Weight,
    /// Lookups, served or not. Of tracked levels only, as all that follow.
    Lookups,
    /// Lookups that were not served.
    Misses,
    /// Loads, well ended or not.
    Loads,
    /// Entries of others that were evicted for the scope's inserts.
    EvictionsCaused,
    /// The scope's entries that were evicted for inserts of others.
    EvictionsPaid,
}

impl Rank {
    /// The value that a report is ranked by.
    ///
    /// ```
    /// # use strata_cache::{Cache, Rank, scope};
    /// # fn main() -> Result<(), strata_cache::Error> {
    /// let cache = Cache::builder().build()?;
    /// cache.set(scope!(org = "acme"), "k", 1).wait()?;
    /// assert_eq!(Rank::Entries.of(&cache.stats_of(scope!(org = "acme"))?), 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn of(self, report: &ScopeReport) -> u64 {
        match self {
            Self::Entries => report.entries,
            Self::Weight => report.weight,
            Self::Lookups => report.hits + report.misses,
            Self::Misses => report.misses,
            Self::Loads => report.loads + report.load_failures,
            Self::EvictionsCaused => report.evictions_caused,
            Self::EvictionsPaid => report.evictions_paid,
        }
    }

    /// Whether every scope knows it, tracked or not.
    fn is_of_all(self) -> bool {
        matches!(self, Self::Entries | Self::Weight)
    }
}

/// One of a list of scopes: where, and what it has done and holds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TopScope {
    /// Its path; prints as `org:acme/user:42`.
    pub path: ScopePath,
    /// What [`Cache::stats_of`] would have said when it was looked at.
    pub report: ScopeReport,
}

impl Cache {
    /// The scopes of a level that rank highest, the highest first; `"global"` is the level of the root scope alone.
    ///
    /// At most `k` of them, fewer if there are fewer, and none for which the value is 0. Scopes of the same value are in the order
    /// of their ids, compared as text from the first level down. Exact for what does not change meanwhile; what comes or goes
    /// during the call may be listed or not. Takes no lock; the time is that of a look at every scope of the cache, the memory that
    /// of the answer. Does first what maintenance is owed.
    ///
    /// # Errors
    /// [`ErrorKind::UnknownLevel`]; [`ErrorKind::NotTracked`] for a level whose scopes do not count what is asked for, naming those
    /// that do: all ranks but entries and weight are of the levels of
    /// [`track_lookups`](crate::CacheBuilder::track_lookups); [`ErrorKind::InvalidConfig`] for a `k` of 0 or above 1,000.
    ///
    /// ```
    /// use strata_cache::{Cache, ErrorKind, Rank, scope};
    ///
    /// # fn main() -> Result<(), strata_cache::Error> {
    /// let cache = Cache::builder().capacity(1_000).build()?;
    /// for (org, entries) in [("acme", 5), ("initech", 1), ("umbrella", 9)] {
    ///     for key in 0..entries {
    ///         cache.set(scope!(org = org), &key.to_string(), key).wait()?;
    ///     }
    /// }
    /// let top = cache.top_scopes("org", Rank::Entries, 2)?;
    /// let top: Vec<_> = top.iter().map(|scope| (scope.path.to_string(), scope.report.entries)).collect();
    /// assert_eq!(top, [("org:umbrella".to_owned(), 9), ("org:acme".to_owned(), 5)]);
    ///
    /// assert!(cache.top_scopes("org", Rank::Misses, 2)?.is_empty(), "nobody missed anything");
    /// let refused = cache.top_scopes("user", Rank::Misses, 2).unwrap_err();
    /// assert_eq!(refused.kind(), ErrorKind::NotTracked);
    /// assert!(refused.to_string().contains("tracked: org"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn top_scopes(&self, level: &str, by: Rank, k: usize) -> Result<Vec<TopScope>> {
        let level = self.check_top(level, by, k)?;
        self.engine().maintain();
        let mut top = Top { by, most: k, kept: BinaryHeap::new() };
        self.engine().registry().for_each_at(level, |node| match level {
            // The root's report is put together of more than its node.
            None => top.keep(node, self.report(node)),
            Some(_) => top.look(node),
        });
        Ok(top.kept.into_sorted_vec().into_iter().map(|ranked| ranked.scope).collect())
    }

    /// The level that is meant, if it can be asked for that.
    fn check_top(&self, level: &str, by: Rank, k: usize) -> Result<Option<LevelId>> {
        if !(1..=MOST).contains(&k) {
            return Err(Error::new(ErrorKind::InvalidConfig, OPERATION).with("k", k).with("most", MOST));
        }
        let tree = self.tree();
        if level == ScopePath::global(tree).level_name() {
            return Ok(None);
        }
        let found = tree.expect_level(level, OPERATION)?;
        let registry = self.engine().registry();
        if by.is_of_all() || registry.is_tracked(found) {
            return Ok(Some(found));
        }
        let tracked: Vec<&str> =
            tree.levels().filter(|level| registry.is_tracked(*level)).map(|level| tree.name(level)).collect();
        let tracked = if tracked.is_empty() { "none".to_owned() } else { tracked.join(", ") };
        Err(Error::new(ErrorKind::NotTracked, OPERATION)
            .with("level", tree.name(found))
            .with("tracked", tracked)
            .because("rank by entries or weight, or name the level in `track_lookups`"))
    }
}

/// The highest so far. The heap's greatest is the lowest of them, which goes next.
struct Top {
    by: Rank,
    most: usize,
    kept: BinaryHeap<Ranked>,
}

struct Ranked {
    value: u64,
    path_hash: u64,
    scope: TopScope,
}

impl Top {
    fn look(&mut self, node: &Node) {
        let report = ScopeReport::of(node);
        let value = self.by.of(&report);
        let is_full = self.kept.len() == self.most;
        // Before anything is allocated for it.
        if !is_full || self.kept.peek().is_some_and(|last| last.is_behind(value, node)) {
            self.keep(node, report);
        }
    }

    fn keep(&mut self, node: &Node, report: ScopeReport) {
        let (value, path, path_hash) = (self.by.of(&report), node.path(), node.path_hash());
        if value == 0 {
            return;
        }
        // Its scope was evicted, or went and came again, since it was seen first.
        self.kept.retain(|other| other.path_hash != path_hash || other.scope.path != path);
        if self.kept.len() == self.most {
            self.kept.pop();
        }
        self.kept.push(Ranked { value, path_hash, scope: TopScope { path, report } });
    }
}

impl Ranked {
    fn is_behind(&self, value: u64, node: &Node) -> bool {
        self.value.cmp(&value).then_with(|| node.cmp_ids(&self.scope.path)).is_lt()
    }

    fn ids(&self) -> impl Iterator<Item = &str> {
        self.scope.path.parts().map(|(_, id)| id)
    }
}

/// The greater one is further behind.
impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> Ordering {
        other.value.cmp(&self.value).then_with(|| self.ids().cmp(other.ids()))
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Ranked {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Ranked {}
