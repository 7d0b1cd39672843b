//! Building a tree: the rules, and one error that lists every fault.
//!
//! (1) Order of declaration is free: a parent may be declared after its child. (2) Work and message stay bounded:
//! at most [`MAX_LEVELS`](super::MAX_LEVELS) levels are looked at. (3) Names are shown escaped and shortened.

use std::collections::HashMap;

use super::{GLOBAL, Level, LevelId, MAX_DEPTH, MAX_LEVELS, ScopeTree, suggest::shown};
use crate::error::{Error, ErrorKind, Result};

/// Collects the levels of a [`ScopeTree`]; the order of declaration is free.
#[derive(Debug, Clone, Default)]
#[must_use = "a builder does nothing until `build`"]
pub struct ScopeTreeBuilder(Vec<Declared>);

#[derive(Debug, Clone)]
struct Declared {
    name: String,
    id_name: String,
    parent: Option<String>,
}

impl ScopeTreeBuilder {
    /// Adds a level directly under the root scope; there may be several, each the head of its own tree.
    pub fn level(self, name: impl Into<String>, id_name: impl Into<String>) -> Self {
        self.declare(None, name.into(), id_name.into())
    }

    /// Adds a level below another.
    pub fn child(
        self,
        parent: impl Into<String>,
        name: impl Into<String>,
        id_name: impl Into<String>,
    ) -> Self {
        self.declare(Some(parent.into()), name.into(), id_name.into())
    }

    pub(super) fn declare(mut self, parent: Option<String>, name: String, id_name: String) -> Self {
        self.0.push(Declared { name, id_name, parent });
        self
    }

    /// Builds the tree. No levels at all is a tree of the root scope only.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidTree`], with a fact `fault` for each: a level twice, an id name twice on one path, a name
    /// that is empty or has separators (`/ : = , .`), white space or control characters, a level called `global`, a
    /// parent that is unknown or forms a cycle, a path of more than 16 levels, more than 1,024 levels.
    pub fn build(self) -> Result<ScopeTree> {
        let mut faults = Vec::new();
        let declared = &self.0[..self.0.len().min(MAX_LEVELS)];
        if self.0.len() > MAX_LEVELS {
            faults.push(format!("{} levels, at most {MAX_LEVELS} are allowed", self.0.len()));
        }
        let places = self.check_names(declared, &mut faults);
        let mut levels = Vec::with_capacity(declared.len());
        for place in 0..declared.len() {
            let path = path_of(declared, &places, place, &mut faults);
            levels.push(Level {
                name: declared[place].name.as_str().into(),
                id_name: declared[place].id_name.as_str().into(),
                path,
            });
        }
        check_id_names(&levels, &mut faults);
        if faults.is_empty() {
            return Ok(ScopeTree::new(levels));
        }
        Err(faults.into_iter().fold(Error::new(ErrorKind::InvalidTree, "scope tree"), |error, fault| {
            error.with("fault", fault)
        }))
    }

    /// Checks each name alone and for being unique; answers the place of the first level of each name.
    fn check_names<'a>(&self, declared: &'a [Declared], faults: &mut Vec<String>) -> HashMap<&'a str, usize> {
        let mut places = HashMap::new();
        for (place, level) in declared.iter().enumerate() {
            for (what, name) in [("level name", &level.name), ("id name", &level.id_name)] {
                if name.is_empty() {
                    faults.push(format!("empty {what} in declaration {}", place + 1));
                } else if let Some(bad) = name.chars().find(|&c| is_forbidden(c)) {
                    faults.push(format!("{what} {} contains {bad:?}", shown(name)));
                }
            }
            if level.name == GLOBAL {
                faults.push(format!("a level cannot be called {GLOBAL}: that is the root scope"));
            }
            if places.contains_key(level.name.as_str()) {
                if !level.name.is_empty() {
                    faults.push(format!("level {} is declared twice", shown(&level.name)));
                }
            } else {
                places.insert(level.name.as_str(), place);
            }
        }
        // In declaration order, so that a message reads like the configuration.
        for level in declared {
            if let Some(parent) = &level.parent
                && !places.contains_key(parent.as_str())
            {
                faults.push(format!("parent {} of level {} is unknown", shown(parent), shown(&level.name)));
            }
        }
        places
    }
}

fn is_forbidden(c: char) -> bool {
    matches!(c, '/' | ':' | '=' | ',' | '.') || c.is_whitespace() || c.is_control()
}

/// Walks up from a level; whatever is wrong on the way gives a fault and the path of the level alone.
fn path_of(
    declared: &[Declared],
    places: &HashMap<&str, usize>,
    place: usize,
    faults: &mut Vec<String>,
) -> Box<[LevelId]> {
    let mut path = vec![place];
    let mut current = &declared[place];
    while let Some(parent) = &current.parent {
        // An unknown parent is a fault of its own, reported already.
        let Some(&above) = places.get(parent.as_str()) else {
            break;
        };
        if above == place {
            faults.push(format!("level {} is its own ancestor", shown(&declared[place].name)));
            break;
        }
        if path.contains(&above) {
            // A cycle further up, reported by the levels on it.
            break;
        }
        path.push(above);
        current = &declared[above];
    }
    if path.len() > MAX_DEPTH {
        let name = shown(&declared[place].name);
        faults.push(format!("level {name} is {} deep, at most {MAX_DEPTH} is allowed", path.len()));
        path.truncate(1);
    }
    // Places are below `MAX_LEVELS`, so they fit.
    path.iter().rev().map(|&place| LevelId(place as u16)).collect()
}

/// Each level against those above it, so that every pair is reported once.
fn check_id_names(levels: &[Level], faults: &mut Vec<String>) {
    for level in levels {
        let Some((_, above)) = level.path.split_last() else {
            continue;
        };
        for other in above.iter().map(|id| &levels[id.index()]) {
            if other.id_name == level.id_name && !level.id_name.is_empty() {
                faults.push(format!(
                    "levels {} and {} of one path share the id name {}",
                    shown(&other.name),
                    shown(&level.name),
                    shown(&level.id_name)
                ));
            }
        }
    }
}
