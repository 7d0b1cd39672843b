//! Load limits described with a cache: of levels by name, of scopes by path.
//!
//! (1) All of them are checked before any is set. (2) The last word on a level or path counts.

use strata_cache_core::error::Error;
use strata_cache_core::flight::{Defaults, LoadLimit};
use strata_cache_core::scope::{GLOBAL, Locate, ScopePath, ScopeTree};

/// Load limits that a cache is to begin with.
#[derive(Default)]
pub(crate) struct Limited {
    pub(crate) levels: Vec<(String, LoadLimit)>,
    pub(crate) paths: Vec<(Box<dyn Locate + Send + Sync>, LoadLimit)>,
}

impl Limited {
    /// Reads them as those of a tree.
    pub(crate) fn read(
        &self,
        tree: &ScopeTree,
        mut fault: impl FnMut(Error),
    ) -> (Defaults, Vec<(ScopePath, LoadLimit)>) {
        let mut defaults = Defaults::default();
        for (name, limit) in &self.levels {
            let limit =
                limit.check("build").map_err(|error| fault(error.with("level", name.escape_debug()))).ok();
            if name == GLOBAL {
                defaults.root = limit.or(defaults.root);
                continue;
            }
            match tree.expect_level(name, "load_limit") {
                Ok(level) => defaults.levels.extend(limit.map(|limit| (level, limit))),
                Err(error) => fault(error),
            }
        }
        let mut paths = Vec::new();
        for (place, limit) in &self.paths {
            let refused = place.refuse_surplus(tree, "load_limit_at");
            match refused.and_then(|()| ScopePath::of(tree, &**place, "load_limit_at")) {
                Ok(path) => match limit.check("build") {
                    Ok(limit) => paths.push((path, limit)),
                    Err(error) => fault(error.with("scope", path)),
                },
                Err(error) => fault(error),
            }
        }
        (defaults, paths)
    }
}
