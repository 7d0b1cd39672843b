//! The bytes of a key, for backends whose keys are flat.
//!
//! ```text
//! key      = version segment* 0x00 text(region) bytes(key)
//! segment  = 0x01 text(level) text(id)
//! text, bytes = length as u32, big-endian, then that many bytes; text is UTF-8
//! version  = 0x01
//! ```
//! (1) Injective: every part has its length before it, so no content of a part can look like a border.
//! (2) One form: `decode` accepts exactly what `encode` makes, so equal keys and equal bytes are the same thing.
//! (3) [`StorageKey::encode_scope`] is a prefix of an encoded key exactly when the scope contains the key: a backend
//!     may evict a subtree by byte prefix of *this* form, and of no other.
//! (4) `decode` treats bytes as claims: each length is compared with what is left before anything is read or
//!     allocated; depth is bounded; nothing may follow the end.

use crate::error::{Error, ErrorKind, Result};
use crate::key::{Segment, StorageKey, check_path};

const VERSION: u8 = 1;
const REGION: u8 = 0;
const SEGMENT: u8 = 1;

/// A key read from bytes, borrowing from them.
#[derive(Clone, PartialEq, Eq)]
pub struct DecodedKey<'a> {
    scope: Vec<Segment<'a>>,
    region: &'a str,
    key: &'a [u8],
}

impl<'a> DecodedKey<'a> {
    /// Reads an encoded key.
    ///
    /// # Errors
    /// `Malformed` for anything that [`StorageKey::encode`] does not make.
    pub fn decode(bytes: &'a [u8]) -> Result<Self> {
        let mut rest = Reader(bytes);
        if rest.byte()? != VERSION {
            return Err(malformed("unknown version"));
        }
        let mut scope = Vec::new();
        while rest.byte()? != REGION {
            if scope.len() == StorageKey::MAX_DEPTH {
                return Err(malformed("deeper than any path"));
            }
            scope.push(Segment { level: rest.text()?, id: rest.text()? });
        }
        let decoded = Self { scope, region: rest.text()?, key: rest.bytes()? };
        if rest.0.is_empty() { Ok(decoded) } else { Err(malformed("bytes after the end")) }
    }

    /// The key that was read.
    pub fn as_key(&self) -> StorageKey<'_> {
        StorageKey { scope: &self.scope, region: self.region, key: self.key }
    }
}

impl std::fmt::Debug for DecodedKey<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.as_key().fmt(f)
    }
}

impl StorageKey<'_> {
    /// The key as bytes: injective, with the subtree as a byte prefix (see [`StorageKey::encode_scope`]).
    ///
    /// # Errors
    /// `InvalidKey` for a path deeper than [`StorageKey::MAX_DEPTH`] or a part longer than `u32::MAX` bytes.
    ///
    /// ```
    /// use strata_cache_storage::{DecodedKey, Segment, StorageKey};
    ///
    /// let path = [Segment::new("org", "acme")];
    /// let key = StorageKey::new(&path, "reports", b"2026-11");
    /// let bytes = key.encode()?;
    /// assert_eq!(DecodedKey::decode(&bytes)?.as_key(), key);
    /// assert!(bytes.starts_with(&StorageKey::encode_scope(&path)?));
    /// # Ok::<_, strata_cache_storage::Error>(())
    /// ```
    pub fn encode(&self) -> Result<Vec<u8>> {
        let mut bytes = Self::encode_scope(self.scope)?;
        bytes.push(REGION);
        push(&mut bytes, self.region.as_bytes())?;
        push(&mut bytes, self.key)?;
        Ok(bytes)
    }

    /// The bytes with which exactly the keys of a scope and of all below it begin.
    ///
    /// # Errors
    /// As [`StorageKey::encode`].
    pub fn encode_scope(path: &[Segment<'_>]) -> Result<Vec<u8>> {
        check_path(path, "encode")?;
        let mut bytes = vec![VERSION];
        for segment in path {
            bytes.push(SEGMENT);
            push(&mut bytes, segment.level.as_bytes())?;
            push(&mut bytes, segment.id.as_bytes())?;
        }
        Ok(bytes)
    }
}

fn push(bytes: &mut Vec<u8>, part: &[u8]) -> Result<()> {
    let Ok(length) = u32::try_from(part.len()) else {
        return Err(Error::new(ErrorKind::InvalidKey, "encode").with("length", part.len()));
    };
    bytes.extend_from_slice(&length.to_be_bytes());
    bytes.extend_from_slice(part);
    Ok(())
}

fn malformed(fault: &'static str) -> Error {
    Error::new(ErrorKind::Malformed, "decode").because(fault)
}

/// What is left to read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// A version or tag: both are 0 or 1 in this version of the form, all else is refused here.
    fn byte(&mut self) -> Result<u8> {
        let (&byte, rest) = self.0.split_first().ok_or_else(|| malformed("ends early"))?;
        self.0 = rest;
        if byte > SEGMENT { Err(malformed("unknown tag")) } else { Ok(byte) }
    }

    fn bytes(&mut self) -> Result<&'a [u8]> {
        let (length, rest) = self.0.split_first_chunk::<4>().ok_or_else(|| malformed("ends early"))?;
        let length =
            usize::try_from(u32::from_be_bytes(*length)).map_err(|_| malformed("longer than memory"))?;
        let (part, rest) = rest.split_at_checked(length).ok_or_else(|| malformed("ends early"))?;
        self.0 = rest;
        Ok(part)
    }

    fn text(&mut self) -> Result<&'a str> {
        std::str::from_utf8(self.bytes()?).map_err(|_| malformed("text is not UTF-8"))
    }
}

#[cfg(test)]
mod tests;
