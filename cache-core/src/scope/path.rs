//! Where an operation is to happen: one exact path, or one level out of a bag of ids. There is no third way.
//!
//! (1) A place resolves to exactly the level it names, from exactly the ids on that level's path.
//! (2) Surplus ids of a bag never deepen or widen anything; destructive verbs refuse those of the level's own tree.
//! (3) Ids are compared as whole segments; the printed form is for people and is never parsed.
//! Cost: a few name comparisons; no allocation unless there is an error.

use super::id::{IdText, ScopeId, ScopeIds, check, check_brief};
use super::text::Brief;
use super::tree::{GLOBAL, Known, LevelId, ScopeTree, shown};
use crate::error::{Error, ErrorKind, Result};

mod owned;

pub use owned::ScopePath;
pub(super) use owned::is_invisible;

/// Where an operation is to happen.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say which scope is meant",
    note = "write `scope!(org = …, user = …)` for one exact path, or `(\"user\", &ids)` for one level out of a bag of ids"
)]
pub trait Locate {
    /// The level meant, `None` for the root scope.
    ///
    /// # Errors
    /// [`ErrorKind::UnknownLevel`], and [`ErrorKind::InvalidPath`] for levels that are not a path of the tree.
    fn level(&self, tree: &ScopeTree, operation: &'static str) -> Result<Option<LevelId>>;

    /// The id for a level of the path of [`level`](Self::level), at this position of the path.
    ///
    /// # Errors
    /// [`ErrorKind::MissingId`]; [`ErrorKind::InvalidId`] for one that is empty or too long.
    fn id(
        &self,
        tree: &ScopeTree,
        level: LevelId,
        position: usize,
        operation: &'static str,
    ) -> Result<IdText<'_>>;

    /// As [`id`](Self::id), where it is; in `kept`, where it has to be made. With its [`Brief`].
    ///
    /// # Errors
    /// As `id`.
    #[doc(hidden)]
    #[inline]
    fn id_brief<'a>(
        &'a self,
        tree: &ScopeTree,
        (level, position): (LevelId, usize),
        kept: &'a mut Option<IdText<'a>>,
        operation: &'static str,
    ) -> Result<(&'a IdText<'a>, Brief)> {
        let id = &*kept.insert(self.id(tree, level, position, operation)?);
        Ok((id, id.brief()))
    }

    /// Refuses ids of the level's own tree that are not on its path: a forgotten level must not widen what a
    /// destructive verb does.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidPath`].
    fn refuse_surplus(&self, _tree: &ScopeTree, _operation: &'static str) -> Result<()> {
        Ok(())
    }
}

impl<L: Locate + ?Sized> Locate for &L {
    fn level(&self, tree: &ScopeTree, operation: &'static str) -> Result<Option<LevelId>> {
        (**self).level(tree, operation)
    }

    fn id(
        &self,
        tree: &ScopeTree,
        level: LevelId,
        position: usize,
        operation: &'static str,
    ) -> Result<IdText<'_>> {
        (**self).id(tree, level, position, operation)
    }

    #[inline]
    fn id_brief<'a>(
        &'a self,
        tree: &ScopeTree,
        at: (LevelId, usize),
        kept: &'a mut Option<IdText<'a>>,
        operation: &'static str,
    ) -> Result<(&'a IdText<'a>, Brief)> {
        (**self).id_brief(tree, at, kept, operation)
    }

    fn refuse_surplus(&self, tree: &ScopeTree, operation: &'static str) -> Result<()> {
        (**self).refuse_surplus(tree, operation)
    }
}

/// One exact path, made by [`scope!`](crate::scope!): levels from the first one down, each with its id.
#[derive(Clone)]
pub struct ExactPath<const N: usize> {
    names: &'static Names<N>,
    ids: [IdText<'static>; N],
}

/// The names of levels at a place in the code, from the first one down, and the level that they were found to be.
#[doc(hidden)]
#[derive(Debug)]
pub struct Names<const N: usize> {
    levels: [&'static str; N],
    known: Known,
}

impl<const N: usize> Names<N> {
    /// Names of which nothing is known yet.
    #[must_use]
    pub const fn new(levels: [&'static str; N]) -> Self {
        Self { levels, known: Known::new() }
    }

    #[inline]
    fn level(&self, tree: &ScopeTree, operation: &'static str) -> Result<Option<LevelId>> {
        match self.known.level(tree) {
            Some(level) => Ok(Some(level)),
            None => self.find(tree, operation),
        }
    }

    #[cold]
    fn find(&self, tree: &ScopeTree, operation: &'static str) -> Result<Option<LevelId>> {
        let found = exact_level(tree, N, |position| self.levels[position], operation)?;
        if let Some(level) = found {
            self.known.remember(tree, level);
        }
        Ok(found)
    }
}

/// Makes an exact path; [`scope!`](crate::scope!) is the way to write one.
#[inline]
pub const fn exact<const N: usize>(names: &'static Names<N>, ids: [IdText<'static>; N]) -> ExactPath<N> {
    ExactPath { names, ids }
}

impl<const N: usize> PartialEq for ExactPath<N> {
    fn eq(&self, other: &Self) -> bool {
        self.names.levels == other.names.levels && self.ids == other.ids
    }
}

impl<const N: usize> Eq for ExactPath<N> {}

impl<const N: usize> std::fmt::Debug for ExactPath<N> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.names.levels.iter().zip(&self.ids)).finish()
    }
}

impl<const N: usize> Locate for ExactPath<N> {
    #[inline]
    fn level(&self, tree: &ScopeTree, operation: &'static str) -> Result<Option<LevelId>> {
        self.names.level(tree, operation)
    }

    #[inline]
    fn id(
        &self,
        tree: &ScopeTree,
        level: LevelId,
        position: usize,
        operation: &'static str,
    ) -> Result<IdText<'_>> {
        let id = self.ids.get(position).ok_or_else(|| missing(tree, level, operation))?;
        check(id.reborrow(), tree.name(level), operation)
    }

    #[inline(always)]
    fn id_brief<'a>(
        &'a self,
        tree: &ScopeTree,
        (level, position): (LevelId, usize),
        _kept: &'a mut Option<IdText<'a>>,
        operation: &'static str,
    ) -> Result<(&'a IdText<'a>, Brief)> {
        let id = self.ids.get(position).ok_or_else(|| missing(tree, level, operation))?;
        Ok((id, check_brief(id, tree, level, operation)?))
    }
}

/// One exact path of borrowed ids: what generated code passes, without copying text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathIds<'a, const N: usize> {
    levels: &'static [&'static str; N],
    ids: [IdText<'a>; N],
    /// What the names were found to be before.
    known: Option<LevelId>,
}

impl<'a, const N: usize> PathIds<'a, N> {
    /// Pairs level names, from the first one down, with their ids.
    #[inline]
    pub const fn new(levels: &'static [&'static str; N], ids: [IdText<'a>; N]) -> Self {
        Self { levels, ids, known: None }
    }

    /// The ids, from the first level down.
    #[inline(always)]
    pub(super) const fn ids(&self) -> &[IdText<'a>; N] {
        &self.ids
    }

    /// Spares the look at the names: `level` is what [`Locate::level`] said of them, for the tree this is used with.
    #[inline]
    pub fn set_level(&mut self, level: LevelId) {
        self.known = Some(level);
    }
}

impl<const N: usize> Locate for PathIds<'_, N> {
    #[inline]
    fn level(&self, tree: &ScopeTree, operation: &'static str) -> Result<Option<LevelId>> {
        if self.known.is_some() {
            return Ok(self.known);
        }
        exact_level(tree, N, |position| self.levels[position], operation)
    }

    #[inline]
    fn id(
        &self,
        tree: &ScopeTree,
        level: LevelId,
        position: usize,
        operation: &'static str,
    ) -> Result<IdText<'_>> {
        let id = self.ids.get(position).ok_or_else(|| missing(tree, level, operation))?;
        check(id.reborrow(), tree.name(level), operation)
    }

    #[inline(always)]
    fn id_brief<'a>(
        &'a self,
        tree: &ScopeTree,
        (level, position): (LevelId, usize),
        _kept: &'a mut Option<IdText<'a>>,
        operation: &'static str,
    ) -> Result<(&'a IdText<'a>, Brief)> {
        let id = self.ids.get(position).ok_or_else(|| missing(tree, level, operation))?;
        Ok((id, check_brief(id, tree, level, operation)?))
    }
}

/// One level out of a bag of ids: exactly that level, from exactly the ids on its path.
impl<B: ScopeIds + ?Sized> Locate for (&str, &B) {
    #[inline]
    fn level(&self, tree: &ScopeTree, operation: &'static str) -> Result<Option<LevelId>> {
        if self.0 == GLOBAL {
            return Ok(None);
        }
        tree.expect_level(self.0, operation).map(Some)
    }

    #[inline]
    fn id(
        &self,
        tree: &ScopeTree,
        level: LevelId,
        _position: usize,
        operation: &'static str,
    ) -> Result<IdText<'_>> {
        let id = self.1.id(tree.id_name(level)).ok_or_else(|| missing(tree, level, operation))?;
        check(id, tree.name(level), operation)
    }

    /// Under the root scope every tree is its own, so there any id of a level is surplus.
    fn refuse_surplus(&self, tree: &ScopeTree, operation: &'static str) -> Result<()> {
        let asked = self.level(tree, operation)?;
        let path = asked.map_or(&[][..], |level| tree.path(level));
        let surplus = tree.levels().find(|&level| {
            asked.is_none_or(|asked| tree.root_of(level) == tree.root_of(asked))
                && path.iter().all(|&used| tree.id_name(used) != tree.id_name(level))
                && self.1.id(tree.id_name(level)).is_some()
        });
        let Some(surplus) = surplus else { return Ok(()) };
        Err(Error::new(ErrorKind::InvalidPath, operation)
            .with("level", self.0)
            .with("surplus", tree.id_name(surplus))
            .because(format!(
                "`{}` names level `{}`, which is not on the path: leave the id out, or ask for that level",
                tree.id_name(surplus),
                tree.name(surplus)
            )))
    }
}

/// The level whose path is exactly these names; `scope!(global)` gives none.
fn exact_level(
    tree: &ScopeTree,
    count: usize,
    name: impl Fn(usize) -> &'static str,
    operation: &'static str,
) -> Result<Option<LevelId>> {
    let Some(last) = count.checked_sub(1) else {
        return Ok(None);
    };
    if let Some(level) = tree.level(name(last)) {
        let path = tree.path(level);
        if path.len() == count && (0..last).all(|place| tree.name(path[place]) == name(place)) {
            return Ok(Some(level));
        }
    }
    Err(no_path(tree, (0..count).map(name).collect(), operation))
}

/// The error for names that are not a path: the first unknown one, or what the path would have been.
#[cold]
fn no_path(tree: &ScopeTree, names: Vec<&str>, operation: &'static str) -> Error {
    let mut known = None;
    for name in &names {
        match tree.level(name) {
            Some(level) => known = Some(level),
            None => return tree.unknown(name, operation),
        }
    }
    let given: Vec<String> = names.iter().map(|name| shown(name)).collect();
    let error = Error::new(ErrorKind::InvalidPath, operation)
        .with("given", given.join("/"))
        .with("known", tree.known());
    match known {
        Some(level) => {
            error.because(format!("the path of `{}` is `{}`", tree.name(level), tree.path_names(level)))
        }
        None => error,
    }
}

#[cold]
pub(super) fn missing(tree: &ScopeTree, level: LevelId, operation: &'static str) -> Error {
    Error::new(ErrorKind::MissingId, operation)
        .with("level", tree.name(level))
        .with("id", tree.id_name(level))
}

/// The name of a level as it was meant: `r#type` is `type`.
#[doc(hidden)]
#[inline]
pub const fn plain(name: &'static str) -> &'static str {
    match name.as_bytes() {
        [b'r', b'#', ..] => name.split_at(2).1,
        _ => name,
    }
}

/// How many names there are.
#[doc(hidden)]
#[must_use]
pub const fn count(names: &[&str]) -> usize {
    names.len()
}

/// The owned text of an id given by value or by reference.
#[doc(hidden)]
#[inline]
pub fn owned_text(id: &(impl ScopeId + ?Sized)) -> IdText<'static> {
    id.id_text().into_owned()
}

/// Writes one exact path: levels from the first one down, each with its id, or `scope!(global)`.
///
/// Level names are plain words, keywords among them. Ids are [`ScopeId`](crate::scope::ScopeId)s, by value or reference.
///
/// ```
/// use strata_cache_core::scope;
/// use strata_cache_core::scope::{ScopePath, ScopeTree};
///
/// let tree = ScopeTree::default();
/// let path = ScopePath::of(&tree, &scope!(org = "acme", user = 42), "example")?;
/// assert_eq!(path.to_string(), "org:acme/user:42");
/// assert!(ScopePath::of(&tree, &scope!(user = 42), "example").is_err());
/// # Ok::<(), strata_cache_core::error::Error>(())
/// ```
#[macro_export]
macro_rules! scope {
    (global $(,)?) => {{
        static __STRATA_NAMES: $crate::scope::Names<0> = $crate::scope::Names::new([]);
        $crate::scope::exact(&__STRATA_NAMES, [])
    }};
    ($($level:ident = $id:expr),+ $(,)?) => {{
        static __STRATA_NAMES: $crate::scope::Names<{ $crate::scope::count(&[$(::core::stringify!($level)),+]) }> =
            $crate::scope::Names::new([$($crate::scope::plain(::core::stringify!($level))),+]);
        $crate::scope::exact(&__STRATA_NAMES, [$($crate::scope::owned_text(&$id)),+])
    }};
    ($($other:tt)*) => {
        ::core::compile_error!(
            "write `scope!(org = id, user = id)`, levels from the first one down, or `scope!(global)`"
        )
    };
}

#[cfg(test)]
mod tests;
