//! Scopes: who an entry belongs to.
//!
//! `tree` says which levels there are, `id` and `path` where an operation is to happen, `registry` which scopes live,
//! `word` whether that changed, `node` what each of them counts, `ledger` how a count stays exact while a scope is detached,
//! `anchor` how a handle survives the eviction of its scope, `budget` how much a scope may hold, `tag` what entries may be marked
//! with, and `cell` how all that have a tag are withdrawn at once.
//!
//! (1) A place resolves to exactly the level that was asked for, or to an error; nothing falls back to the root.
//! (2) Ids are whole segments; no text of an id can reach another path. (3) Node ids are never reused.
//! (4) Detaching a scope costs the same whatever it holds. (5) Look-ups create nothing.

pub mod anchor;
pub mod budget;
mod cell;
pub mod id;
pub mod ledger;
mod name;
pub mod node;
mod number;
pub mod path;
pub mod registry;
pub mod tag;
mod text;
pub mod tree;
mod word;

#[cfg(test)]
#[cfg(shuttle)]
mod explored;

pub use crate::stats::{ScopeCounts, ScopeStats};
pub use anchor::Anchor;
pub use budget::{Account, Amount, Budget, Budgets, Granted, IntoAmount, Unit};
pub use cell::{Cell, Withdrawn};
pub(crate) use cell::{CellWord, Live};
pub use id::{IdText, Ids, MAX_ID_BYTES, ScopeId, ScopeIds};
pub use node::{Charge, Detached, Node};
pub use path::{ExactPath, Locate, PathIds, ScopePath, exact};
#[doc(hidden)]
pub use path::{Names, count, owned_text, plain};
pub use registry::{Registry, TrackedLevels};
pub use tag::{IntoTag, MAX_TAG_BYTES, MAX_TAGS, Tag, Tags};
#[doc(hidden)]
pub use text::Brief;
pub use tree::{GLOBAL, LevelId, ScopeTree, ScopeTreeBuilder};
pub use word::Word;
