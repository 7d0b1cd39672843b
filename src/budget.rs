//! What scopes may hold: the handle of one scope's budget, and budgets described with a cache.
//!
//! (1) A budget belongs to a path: it needs no scope to exist, makes none, and outlives the eviction of its scope.
//! (2) What is refused changes nothing.

use strata_cache_core::error::Result;
use strata_cache_core::scope::{Budget, Granted, Locate, Registry, ScopePath, ScopeTree, TrackedLevels};

use crate::cache::Cache;

/// The budget of one scope: [`Cache::budget`] makes it.
#[derive(Debug, Clone)]
pub struct ScopeBudget {
    cache: Cache,
    path: ScopePath,
}

impl ScopeBudget {
    pub(crate) const fn new(cache: Cache, path: ScopePath) -> Self {
        Self { cache, path }
    }

    /// The scope's path.
    pub fn path(&self) -> &ScopePath {
        &self.path
    }

    /// Sets it, in place of what was set before, or of what the scope's level gives. Where the scope holds more, it is evicted
    /// down to its capacity before this returns.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidBudget`](crate::ErrorKind::InvalidBudget), with all faults: an amount of zero or above the whole, a unit
    /// in which the cache has no bound, a reserve above the capacity, or beyond what is left in the cache or in a scope
    /// above; a capacity below what is reserved further down. The root scope has the cache's own capacity.
    pub fn set(&self, budget: Budget) -> Result<()> {
        self.cache.engine().set_budget(&self.path, Some(budget))
    }

    /// Takes back what was [set](Self::set); the scope has what its level gives, from now on.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidBudget`](crate::ErrorKind::InvalidBudget) if that capacity is below what is reserved further down.
    pub fn reset(&self) -> Result<()> {
        self.cache.engine().set_budget(&self.path, None)
    }

    /// What was [set](Self::set) for this scope, if anything was.
    pub fn get(&self) -> Option<Budget> {
        self.cache.engine().registry().budgets().named(&self.path)
    }

    /// What the scope has been granted: by its own budget, or by its level's if it exists. Unbounded, and without a reserve,
    /// otherwise.
    pub fn granted(&self) -> Granted {
        self.cache.engine().registry().budgets().granted(&self.path).unwrap_or_default()
    }
}

/// Budgets that a cache is to begin with.
#[derive(Default)]
pub(crate) struct Planned {
    faults: Vec<crate::Error>,
    pub(crate) levels: Vec<(String, Budget)>,
    pub(crate) paths: Vec<(Box<dyn Locate + Send + Sync>, Budget)>,
}

impl Planned {
    #[cfg(feature = "config-toml")]
    pub(crate) fn read(&mut self, text: &str) {
        use strata_cache_core::scope::budget::toml::{Declaration, parse};
        match parse(text) {
            Err(fault) => self.faults.push(fault),
            Ok(declared) => {
                for (whose, budget) in declared {
                    match whose {
                        Declaration::Level(level) => self.levels.push((level, budget)),
                        Declaration::Path(path) => self.paths.push((Box::new(path), budget)),
                    }
                }
            }
        }
    }

    /// Sets them in a registry; what is wrong with them goes to `faults`.
    pub(crate) fn set_in(&self, registry: &Registry, mut fault: impl FnMut(crate::Error)) {
        let tree = registry.tree();
        for (name, budget) in &self.levels {
            let level = tree.expect_level(name, "budget");
            let set = level.and_then(|level| registry.set_budget_of_level(level, Some(budget.clone())));
            set.unwrap_or_else(&mut fault);
        }
        for (place, budget) in &self.paths {
            let path = ScopePath::of(tree, &**place, "budget");
            let set = path.and_then(|path| registry.set_budget(&path, Some(budget.clone())));
            set.map_or_else(&mut fault, |_| ());
        }
    }

    /// What would be wrong with them in a cache of these bounds.
    pub(crate) fn check(
        &self,
        tree: &ScopeTree,
        bounds: [Option<u64>; 2],
        mut fault: impl FnMut(crate::Error),
    ) {
        self.faults.iter().cloned().for_each(&mut fault);
        let trial = Registry::new(tree.clone(), TrackedLevels::None);
        // Nothing is promised yet that these could be too small for.
        _ = trial.budgets().set_bounds(bounds);
        self.set_in(&trial, fault);
    }
}
