//! The one error type of this crate: opaque, one word wide, with a kind to match on.
//!
//! (1) Absent is not an error. (2) Messages carry levels, lengths and names, never an id, a key or a value.
//! (3) An error of `put`, `remove`, `evict_scope` or `clear` leaves it open how much was done: repeat the call, all
//! of them may be repeated. `InvalidKey` and `TooLarge` are found first: nothing was done.

use std::fmt;

/// What went wrong, to match on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The backend cannot be reached or did not answer; the same call may succeed later.
    Unavailable,
    /// A key that no storage takes: a path deeper than 16 segments, or a part longer than `u32::MAX` bytes.
    InvalidKey,
    /// A value longer than [`Capability::largest_value`](crate::Capability::largest_value).
    TooLarge,
    /// Bytes read from a backend that are not what their place says they are.
    Malformed,
}

impl ErrorKind {
    const fn text(self) -> &'static str {
        match self {
            Self::Unavailable => "unavailable",
            Self::InvalidKey => "invalid key",
            Self::TooLarge => "too large",
            Self::Malformed => "malformed",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// An error of a storage.
///
/// Printed as `operation: kind { context }: source`, for example
/// `get: unavailable (retryable) { tier: disk }: connection reset`.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    operation: &'static str,
    context: Vec<(&'static str, String)>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// A result with a storage's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Makes an error of a kind, met during an operation.
    pub fn new(kind: ErrorKind, operation: &'static str) -> Self {
        Self(Box::new(Inner { kind, operation, context: Vec::new(), source: None }))
    }

    /// Adds a named fact. Never an id, a key or a value.
    #[must_use]
    pub fn with(mut self, name: &'static str, fact: impl fmt::Display) -> Self {
        self.0.context.push((name, fact.to_string()));
        self
    }

    /// Adds the error, or the sentence, that caused this one.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// What went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The operation that met the error, `"put"` for example.
    pub fn operation(&self) -> &'static str {
        self.0.operation
    }

    /// Whether the same call may succeed later without a change.
    pub fn is_retryable(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Unavailable)
    }

    /// The named facts, in the order they were added.
    pub fn context(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.context.iter().map(|(name, fact)| (*name, fact.as_str()))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.operation, self.0.kind)?;
        if self.is_retryable() {
            f.write_str(" (retryable)")?;
        }
        for (i, (name, fact)) in self.0.context.iter().enumerate() {
            write!(f, "{}{name}: {fact}", if i == 0 { " { " } else { ", " })?;
        }
        if !self.0.context.is_empty() {
            f.write_str(" }")?;
        }
        match &self.0.source {
            Some(source) => write!(f, ": {source}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Error({self})")
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_prints_operation_kind_facts_and_source_in_one_word() {
        let error =
            Error::new(ErrorKind::Unavailable, "get").with("tier", "disk").because("connection reset");
        assert_eq!(error.to_string(), "get: unavailable (retryable) { tier: disk }: connection reset");
        assert!(std::error::Error::source(&error).is_some());
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }

    #[test]
    fn only_unavailable_is_worth_a_second_call() {
        assert!(Error::new(ErrorKind::Unavailable, "get").is_retryable());
        for kind in [ErrorKind::InvalidKey, ErrorKind::TooLarge, ErrorKind::Malformed] {
            assert!(!Error::new(kind, "put").is_retryable());
        }
    }
}
