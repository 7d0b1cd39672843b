//! Budgets from TOML: a `[[budget]]` table each, for a level or for one path.
//!
//! Only syntax and field names are checked here; what budgets come to is checked where they are set.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::asked::Budget;
use crate::error::{Error, ErrorKind, Result};
use crate::scope::id::{IdText, check};
use crate::scope::path::{Locate, missing};
use crate::scope::tree::{LevelId, ScopeTree};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    budget: Vec<Declared>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Declared {
    level: Option<String>,
    path: Option<BTreeMap<String, Text>>,
    share: Option<Text>,
    max_entries: Option<Text>,
    max_weight: Option<Text>,
    reserve: Option<Text>,
    reserve_weight: Option<Text>,
}

/// A number or a text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Text {
    Number(u64),
    Text(String),
}

impl Text {
    fn into_text(self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text,
        }
    }
}

/// Whose budget a table declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Declaration {
    /// That of each scope of a level, by its name.
    Level(String),
    /// That of one path.
    Path(PathTable),
}

/// One path, as a table of level names and ids in any order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathTable(BTreeMap<String, String>);

impl PathTable {
    fn fits(&self, tree: &ScopeTree, level: LevelId) -> bool {
        let path = tree.path(level);
        path.len() == self.0.len() && path.iter().all(|&level| self.0.contains_key(tree.name(level)))
    }
}

impl Locate for PathTable {
    fn level(&self, tree: &ScopeTree, operation: &'static str) -> Result<Option<LevelId>> {
        if self.0.is_empty() {
            return Ok(None);
        }
        for name in self.0.keys() {
            tree.expect_level(name, operation)?;
        }
        let found = tree.levels().find(|&level| self.fits(tree, level));
        found.map(Some).ok_or_else(|| {
            let given: Vec<&str> = self.0.keys().map(String::as_str).collect();
            Error::new(ErrorKind::InvalidPath, operation)
                .with("given", given.join(", "))
                .with("known", tree.known())
                .because("these levels are no path of the tree: name each level from the first one down")
        })
    }

    fn id(
        &self,
        tree: &ScopeTree,
        level: LevelId,
        _position: usize,
        operation: &'static str,
    ) -> Result<IdText<'_>> {
        let name = tree.name(level);
        let id = self.0.get(name).ok_or_else(|| missing(tree, level, operation))?;
        check(IdText::borrowed(id), name, operation)
    }
}

impl Declared {
    fn read(self, number: usize) -> Result<(Declaration, Budget)> {
        let whose = match (self.level, self.path) {
            (Some(level), None) => Declaration::Level(level),
            (None, Some(path)) => Declaration::Path(PathTable(
                path.into_iter().map(|(level, id)| (level, id.into_text())).collect(),
            )),
            _ => {
                return Err(Error::new(ErrorKind::InvalidBudget, "budgets")
                    .with("budget", number)
                    .because("write either `level` or `path`"));
            }
        };
        let mut budget =
            self.share.map_or_else(Budget::unbounded, |share| Budget::share(&*share.into_text()));
        if let Some(most) = self.max_entries {
            budget = budget.max_entries(&*most.into_text());
        }
        if let Some(most) = self.max_weight {
            budget = budget.max_weight(&*most.into_text());
        }
        if let Some(kept) = self.reserve {
            budget = budget.reserve(&*kept.into_text());
        }
        if let Some(kept) = self.reserve_weight {
            budget = budget.reserve_weight(&*kept.into_text());
        }
        Ok((whose, budget))
    }
}

/// Reads budgets, in the order of the text.
///
/// # Errors
/// [`ErrorKind::InvalidBudget`] for text that is no TOML, for unknown fields, and for a table with both `level` and `path`, or neither.
pub fn parse(text: &str) -> Result<Vec<(Declaration, Budget)>> {
    let file: File = ::toml::from_str(text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start).min(text.len());
        let line = text.as_bytes()[..start].iter().filter(|&&byte| byte == b'\n').count() + 1;
        Error::new(ErrorKind::InvalidBudget, "budgets")
            .with("line", line)
            .because(error.message().to_owned())
            .caused_by(error)
    })?;
    file.budget.into_iter().enumerate().map(|(at, declared)| declared.read(at + 1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scope;
    use crate::scope::ScopePath;

    #[test]
    fn tables_are_read_as_they_are_written_in_code() {
        let read = parse(
            r#"
            [[budget]]
            level = "org"
            share = "2%"
            reserve = "0.05%"

            [[budget]]
            path = { user = 42, org = "acme" }
            max_entries = 10_000
            max_weight = "64MB"
            reserve = 1000
            reserve_weight = 7
            "#,
        )
        .unwrap();
        assert_eq!(read[0], (Declaration::Level("org".into()), Budget::share("2%").reserve("0.05%")));
        let wanted = Budget::entries(10_000).max_weight("64MB").reserve(1_000).reserve_weight(7);
        assert_eq!(read[1].1, wanted);
        let Declaration::Path(path) = &read[1].0 else { panic!("a path") };
        let tree = ScopeTree::default();
        let wanted = ScopePath::of(&tree, &scope!(org = "acme", user = 42), "test").unwrap();
        assert_eq!(ScopePath::of(&tree, path, "test").unwrap(), wanted);
    }

    #[test]
    fn what_is_no_budget_is_refused_with_what_would_be() {
        let text = |toml: &str| parse(toml).unwrap_err().to_string();
        assert!(text("[[budget]]\nlevel = 'org'\nsize = 3").contains("size"));
        assert!(text("[[budget]]\nlevel = 'org'\n\nmax_entries = -3").contains("line: 4"));
        assert!(text("[[budget]]\nmax_entries = 3").contains("either `level` or `path`"));
        assert!(text("[[budget]").contains("line: 1"));
        let read = parse("[[budget]]\npath = { user = 1 }\nmax_entries = 3").unwrap();
        let Declaration::Path(path) = &read[0].0 else { panic!("a path") };
        let error = path.level(&ScopeTree::default(), "test").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidPath);
    }
}
