//! What identifies an entry below memory: scope path, region, key, compared whole.
//!
//! (1) Two keys are equal when every level, every id, the region and the key bytes are. (2) A scope contains a key
//! when its path is the beginning of the key's path, segment by segment: `a` contains neither `ab` nor a scope whose
//! one id reads `a/b`. (3) `Debug` shows levels, region and lengths: ids and keys stay out of logs.

use std::fmt;

use crate::error::{Error, ErrorKind, Result};

mod encoding;

pub use encoding::DecodedKey;

/// One step of a scope path: a level of the tree and the id at it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Segment<'a> {
    /// The level's name, `org` for example.
    pub level: &'a str,
    /// The id at that level, any text.
    pub id: &'a str,
}

impl<'a> Segment<'a> {
    /// The id at a level.
    pub const fn new(level: &'a str, id: &'a str) -> Self {
        Self { level, id }
    }
}

impl fmt::Debug for Segment<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {} bytes", self.level, self.id.len())
    }
}

/// The identity of an entry, borrowed.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StorageKey<'a> {
    /// The scope, from the root down; empty for the root.
    pub scope: &'a [Segment<'a>],
    /// The region's name.
    pub region: &'a str,
    /// The key within the region, opaque bytes.
    pub key: &'a [u8],
}

impl<'a> StorageKey<'a> {
    /// The deepest path, in segments; the scope tree allows no deeper one.
    pub const MAX_DEPTH: usize = 16;

    /// The key of a region in a scope.
    pub const fn new(scope: &'a [Segment<'a>], region: &'a str, key: &'a [u8]) -> Self {
        Self { scope, region, key }
    }

    /// Whether the entry lies in a scope: in it or anywhere below it.
    pub fn is_within(&self, path: &[Segment<'_>]) -> bool {
        self.scope.len() >= path.len() && self.scope.iter().zip(path).all(|(own, other)| own == other)
    }
}

impl fmt::Debug for StorageKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StorageKey")
            .field("scope", &self.scope)
            .field("region", &self.region)
            .field("key", &format_args!("{} bytes", self.key.len()))
            .finish()
    }
}

/// Refuses a path that no tree has. For backends, before anything else.
///
/// # Errors
/// `InvalidKey` above [`StorageKey::MAX_DEPTH`].
pub fn check_path(path: &[Segment<'_>], operation: &'static str) -> Result<()> {
    if path.len() <= StorageKey::MAX_DEPTH {
        return Ok(());
    }
    Err(Error::new(ErrorKind::InvalidKey, operation)
        .with("depth", path.len())
        .with("deepest", StorageKey::MAX_DEPTH))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scope_contains_itself_and_below_and_no_look_alike() {
        let path = [Segment::new("org", "a"), Segment::new("user", "b")];
        let key = StorageKey::new(&path, "r", b"k");
        assert!(key.is_within(&[]) && key.is_within(&path[..1]) && key.is_within(&path));
        let below = [path[0], path[1], Segment::new("session", "c")];
        assert!(!key.is_within(&below));
        for other in [Segment::new("org", "ab"), Segment::new("org", "a/user:b"), Segment::new("team", "a")] {
            assert!(!key.is_within(&[other]), "{}", other.id);
            assert!(!StorageKey::new(&[other], "r", b"k").is_within(&path[..1]), "{}", other.id);
        }
    }

    #[test]
    fn debug_shows_neither_ids_nor_key() {
        let path = [Segment::new("org", "acme-secret")];
        let shown = format!("{:?}", StorageKey::new(&path, "reports", b"token-secret"));
        assert!(!shown.contains("secret") && !shown.contains("115"), "{shown}");
        assert!(shown.contains("org") && shown.contains("reports"), "{shown}");
    }
}
