//! An owned path, as handles keep it, and its printed form.
//!
//! (1) Every id of an owned path has been checked. (2) It keeps its tree, so that it can be printed and used alone.
//! (3) The printed form is escaped so that no id can look like another path; it is for people and never parsed.
//! Cost: a clone is two reference counts.

use std::fmt::{self, Write};

use super::Locate;
use crate::error::{Error, ErrorKind, Result};
use crate::scope::id::{IdText, check};
use crate::scope::tree::{GLOBAL, LevelId, ScopeTree};
use crate::sync::Arc;

/// A resolved place: a level and the ids from the first level down to it. Cheap to clone.
///
/// Printed as `org:acme/user:42`, the root scope as `global`. Separators (`/ : % \`), control characters and
/// characters that have no shape or change the direction of text are printed as `%XX`.
#[derive(Clone)]
pub struct ScopePath {
    tree: ScopeTree,
    level: Option<LevelId>,
    ids: Arc<[Box<str>]>,
}

impl ScopePath {
    /// Resolves a place to an owned path.
    ///
    /// # Errors
    /// Those of [`Locate::level`] and [`Locate::id`].
    pub fn of(tree: &ScopeTree, place: &(impl Locate + ?Sized), operation: &'static str) -> Result<Self> {
        let level = place.level(tree, operation)?;
        let path = level.map_or(&[][..], |level| tree.path(level));
        let ids = path
            .iter()
            .enumerate()
            .map(|(position, &level)| Ok(Box::from(place.id(tree, level, position, operation)?.as_str())));
        Ok(Self { tree: tree.clone(), level, ids: ids.collect::<Result<_>>()? })
    }

    /// The root scope of a tree.
    pub fn global(tree: &ScopeTree) -> Self {
        Self { tree: tree.clone(), level: None, ids: Arc::from([]) }
    }

    /// From parts that have been checked before.
    pub(in crate::scope) fn from_checked(
        tree: &ScopeTree,
        level: Option<LevelId>,
        ids: Vec<Box<str>>,
    ) -> Self {
        Self { tree: tree.clone(), level, ids: ids.into() }
    }

    /// The ids, from the first level down.
    pub(in crate::scope) fn ids(&self) -> &[Box<str>] {
        &self.ids
    }

    /// The tree that the path is of.
    pub fn tree(&self) -> &ScopeTree {
        &self.tree
    }

    /// The level, `None` for the root scope.
    pub fn level_id(&self) -> Option<LevelId> {
        self.level
    }

    /// The name of the level, `"global"` for the root scope.
    pub fn level_name(&self) -> &str {
        self.level.map_or(GLOBAL, |level| self.tree.name(level))
    }

    /// Level names and ids, from the first level down; nothing for the root scope.
    pub fn parts(&self) -> impl ExactSizeIterator<Item = (&str, &str)> {
        self.levels().map(|(level, id)| (self.tree.name(level), id))
    }

    /// Levels and ids, from the first level down; nothing for the root scope.
    pub(crate) fn levels(&self) -> impl ExactSizeIterator<Item = (LevelId, &str)> {
        let path = self.level.map_or(&[][..], |level| self.tree.path(level));
        path.iter().zip(self.ids.iter()).map(|(&level, id)| (level, &**id))
    }

    /// Whether this is the other path or below it. Whole segments are compared.
    pub fn is_within(&self, other: &Self) -> bool {
        let mut parts = self.parts();
        other.parts().all(|part| parts.next() == Some(part))
    }
}

impl Locate for ScopePath {
    fn level(&self, tree: &ScopeTree, operation: &'static str) -> Result<Option<LevelId>> {
        if self.tree.is_same(tree) {
            return Ok(self.level);
        }
        let Some(level) = self.level else { return Ok(None) };
        // A path of another tree is one here if its names are.
        let found = tree.expect_level(self.tree.name(level), operation)?;
        if tree.path_names(found) == self.tree.path_names(level) {
            return Ok(Some(found));
        }
        Err(Error::new(ErrorKind::InvalidPath, operation)
            .with("given", self.tree.path_names(level))
            .with("known", tree.path_names(found)))
    }

    fn id(
        &self,
        tree: &ScopeTree,
        level: LevelId,
        position: usize,
        operation: &'static str,
    ) -> Result<IdText<'_>> {
        let id = self.ids.get(position).ok_or_else(|| super::missing(tree, level, operation))?;
        check(IdText::borrowed(id), tree.name(level), operation)
    }
}

/// By level names and ids, whatever tree object they came through.
impl PartialEq for ScopePath {
    fn eq(&self, other: &Self) -> bool {
        self.ids == other.ids
            && ((self.tree.is_same(&other.tree) && self.level == other.level)
                || self.parts().eq(other.parts()))
    }
}

impl Eq for ScopePath {}

impl std::hash::Hash for ScopePath {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.level_name().hash(state);
        self.ids.hash(state);
    }
}

impl fmt::Display for ScopePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.level.is_none() {
            return f.write_str(GLOBAL);
        }
        for (place, (level, id)) in self.parts().enumerate() {
            write!(f, "{}{level}:", if place == 0 { "" } else { "/" })?;
            for c in id.chars() {
                if needs_escape(c) {
                    for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                        write!(f, "%{byte:02X}")?;
                    }
                } else {
                    f.write_char(c)?;
                }
            }
        }
        Ok(())
    }
}

impl fmt::Debug for ScopePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ScopePath({self})")
    }
}

fn needs_escape(c: char) -> bool {
    matches!(c, '/' | ':' | '%' | '\\') || c.is_control() || is_invisible(c)
}

/// Characters that print nothing or turn the text around, so that two ids would look alike in a log.
pub(in crate::scope) fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}
