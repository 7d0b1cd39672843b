//! Where a cached function keeps its values.
//!
//! (1) Exactly the levels of the attribute, with the ids of just these levels; what does not fit is an error and never
//! another scope.

use strata_cache_core::error::{Error, ErrorKind, Result};
use strata_cache_core::scope::{IdText, LevelId, PathIds, ScopeId};

use crate::context::ambient_scope;

/// The text of an id, borrowed where it is text.
#[inline]
pub fn id<T: ScopeId + ?Sized>(id: &T) -> IdText<'_> {
    id.id_text()
}

/// Where a cached function keeps its values.
pub struct Place<'a, const N: usize> {
    levels: &'static [&'static str; N],
    /// `None`: out of the ambient scope.
    path: Option<PathIds<'a, N>>,
}

impl<'a, const N: usize> Place<'a, N> {
    /// The last of these levels, with all ids.
    #[inline(always)]
    pub fn ids(levels: &'static [&'static str; N], ids: [IdText<'a>; N]) -> Self {
        Self { levels, path: Some(PathIds::new(levels, ids)) }
    }

    /// The last of these levels, out of the ambient scope.
    pub fn ambient(levels: &'static [&'static str; N]) -> Self {
        Self { levels, path: None }
    }

    /// The path, where it does not hang on the ambient scope.
    #[inline(always)]
    pub(super) fn path(&self) -> Option<&PathIds<'a, N>> {
        self.path.as_ref()
    }

    /// Calls with the exact path. `level` is the function's, if the cache's tree has it.
    pub(super) fn with<R>(
        self,
        level: Option<LevelId>,
        run: impl FnOnce(&PathIds<'_, N>) -> Result<R>,
    ) -> Result<R> {
        let at = |mut path: PathIds<'_, N>| {
            if let Some(level) = level {
                path.set_level(level);
            }
            run(&path)
        };
        if let Some(path) = self.path {
            return at(path);
        }
        let scope = ambient_scope().ok_or_else(|| {
            Error::new(ErrorKind::NoScope, "cached")
                .because("call it inside `scope.enter(..)`, or await it inside `future.in_scope(..)`; neither reaches a spawned task")
        })?;
        // Exactly the levels asked for, from the ids of just these levels.
        let fits = scope.path().parts().map(|(level, _)| level).take(N).eq(self.levels.iter().copied());
        if !fits {
            return Err(Error::new(ErrorKind::NoScope, "cached")
                .with("ambient", &scope)
                .with("wanted", self.levels.join("/"))
                .because("the ambient scope does not lie on the level asked for, or below it"));
        }
        let mut parts = scope.path().parts();
        let ids = std::array::from_fn(|_| IdText::borrowed(parts.next().map_or("", |(_, id)| id)));
        at(PathIds::new(self.levels, ids))
    }
}

impl Place<'static, 0> {
    /// The root scope.
    #[inline(always)]
    pub fn global() -> Self {
        Self { levels: &[], path: Some(PathIds::new(&[], [])) }
    }
}
