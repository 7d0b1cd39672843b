//! The configured tree of levels: which kinds of scope there are, how they nest, and what their ids are called.
//!
//! (1) A tree never changes once it is built. (2) Above all levels stands the root scope, `global`, which is no level.
//! (3) A level has one path: from a first level down to itself, at most [`MAX_DEPTH`] long. (4) No level name occurs
//! twice, no id name twice on one path. (5) Building reports all faults at once or succeeds.
//! Cost: a look-up by name compares a few names; paths are computed when the tree is built.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Error, ErrorKind, Result};
use crate::sync::Arc;

mod build;
mod known;
mod suggest;
#[cfg(feature = "config-toml")]
mod toml;

pub use build::ScopeTreeBuilder;
pub use known::Known;
pub(super) use suggest::shown;

/// The most levels a path may have.
pub const MAX_DEPTH: usize = 16;

/// The most levels a tree may have.
pub const MAX_LEVELS: usize = 1024;

/// The name of the scope above all levels.
pub const GLOBAL: &str = "global";

/// A level of one tree, as a small number; its meaning is its tree's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LevelId(u16);

impl LevelId {
    /// The place of the level in its tree, in the order of declaration.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// A tree of levels. Clones are cheap and share it.
///
/// ```
/// use strata_cache_core::scope::ScopeTree;
///
/// let tree = ScopeTree::builder()
///     .level("org", "org_id")
///     .child("org", "user", "user_id")
///     .child("org", "team", "team_id")
///     .build()?;
/// let user = tree.level("user").unwrap();
/// assert_eq!(tree.path(user), [tree.level("org").unwrap(), user]);
/// # Ok::<(), strata_cache_core::error::Error>(())
/// ```
#[derive(Clone)]
pub struct ScopeTree {
    levels: Arc<[Level]>,
    /// Which tree it is: other trees of this process have other numbers, for as long as anybody can count.
    number: u64,
}

struct Level {
    name: Box<str>,
    id_name: Box<str>,
    path: Box<[LevelId]>,
}

/// A level, or the root scope, which has none, in two bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Height(u16);

impl Height {
    /// No tree has so many levels.
    const ROOT: u16 = u16::MAX;

    #[inline]
    pub(super) fn of(level: Option<LevelId>) -> Self {
        Self(level.map_or(Self::ROOT, |level| level.0))
    }

    #[inline]
    pub(super) fn level(self) -> Option<LevelId> {
        (self.0 != Self::ROOT).then_some(LevelId(self.0))
    }
}

impl ScopeTree {
    /// Starts a tree without levels.
    pub fn builder() -> ScopeTreeBuilder {
        ScopeTreeBuilder::default()
    }

    /// Reads a tree from TOML: a `[[level]]` table for each level, with `name`, `id` and, below another, `parent`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidTree`] for text that is no TOML, for unknown fields, and for all that
    /// [`ScopeTreeBuilder::build`] refuses.
    ///
    /// ```
    /// use strata_cache_core::scope::ScopeTree;
    ///
    /// let tree = ScopeTree::from_toml(
    ///     r#"
    ///     [[level]]
    ///     name = "project"
    ///     id = "project_id"
    ///     parent = "tenant"
    ///
    ///     [[level]]
    ///     name = "tenant"
    ///     id = "tenant_id"
    ///     "#,
    /// )?;
    /// assert_eq!(tree.known(), "project, tenant");
    /// # Ok::<(), strata_cache_core::error::Error>(())
    /// ```
    #[cfg(feature = "config-toml")]
    pub fn from_toml(text: &str) -> Result<Self> {
        toml::parse(text)?.build()
    }

    fn new(levels: Vec<Level>) -> Self {
        static LAST: AtomicU64 = AtomicU64::new(0);
        Self { levels: levels.into(), number: LAST.fetch_add(1, Ordering::Relaxed) + 1 }
    }

    /// The level of this name.
    #[inline]
    pub fn level(&self, name: &str) -> Option<LevelId> {
        // The length is below `MAX_LEVELS`, so the place fits.
        self.levels.iter().position(|level| *level.name == *name).map(|place| LevelId(place as u16))
    }

    /// The level of this name, or an error that says which are known and which may have been meant.
    ///
    /// # Errors
    /// [`ErrorKind::UnknownLevel`].
    pub fn expect_level(&self, name: &str, operation: &'static str) -> Result<LevelId> {
        self.level(name).ok_or_else(|| self.unknown(name, operation))
    }

    /// The name of a level of this tree.
    ///
    /// # Panics
    /// Here and below, if the level is of another, larger tree.
    #[inline]
    pub fn name(&self, level: LevelId) -> &str {
        &self.levels[level.index()].name
    }

    /// What ids of a level are called in a bag of ids: `org_id` for example.
    #[inline]
    pub fn id_name(&self, level: LevelId) -> &str {
        &self.levels[level.index()].id_name
    }

    /// The levels from the first one down to this one, itself the last.
    #[inline]
    pub fn path(&self, level: LevelId) -> &[LevelId] {
        &self.levels[level.index()].path
    }

    /// The level above, or `None` directly under the root scope.
    pub fn parent(&self, level: LevelId) -> Option<LevelId> {
        self.path(level).iter().rev().nth(1).copied()
    }

    /// The first level of this level's path.
    pub fn root_of(&self, level: LevelId) -> LevelId {
        self.path(level)[0]
    }

    /// Whether a level stands directly under the root scope.
    pub fn is_first(&self, level: LevelId) -> bool {
        self.path(level).len() == 1
    }

    /// All levels, in the order of declaration.
    pub fn levels(&self) -> impl ExactSizeIterator<Item = LevelId> + use<> {
        (0..self.levels.len() as u16).map(LevelId)
    }

    /// Whether both are clones of one tree.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.levels, &other.levels)
    }

    /// The names of the levels, for messages: `org, user, session`. Cut off after 32.
    pub fn known(&self) -> String {
        const SHOWN: usize = 32;
        if self.levels.is_empty() {
            return format!("only {GLOBAL}");
        }
        let names: Vec<&str> = self.levels.iter().take(SHOWN).map(|level| &*level.name).collect();
        let rest = if self.levels.len() > SHOWN { ", …" } else { "" };
        names.join(", ") + rest
    }

    /// A level's path in names, for messages: `org/user`.
    pub fn path_names(&self, level: LevelId) -> String {
        let names: Vec<&str> = self.path(level).iter().map(|&level| self.name(level)).collect();
        names.join("/")
    }

    /// The error for a level that this tree does not have.
    pub(super) fn unknown(&self, name: &str, operation: &'static str) -> Error {
        let error = Error::new(ErrorKind::UnknownLevel, operation)
            .with("level", suggest::shown(name))
            .with("known", self.known());
        match suggest::nearest(name, self.levels.iter().map(|level| &*level.name)) {
            Some(meant) => error.because(format!("did you mean `{meant}`?")),
            None => error,
        }
    }
}

/// org (`org_id`) → user (`user_id`) → session (`session_id`).
impl Default for ScopeTree {
    fn default() -> Self {
        Self::builder()
            .level("org", "org_id")
            .child("org", "user", "user_id")
            .child("user", "session", "session_id")
            .build()
            .expect("the default tree obeys the rules, as its test shows")
    }
}

/// Every level as `path(id name)`.
impl fmt::Debug for ScopeTree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.levels().map(|level| format!("{}({})", self.path_names(level), self.id_name(level)));
        f.debug_set().entries(shown).finish()
    }
}

#[cfg(test)]
mod tests;
