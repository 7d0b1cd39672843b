//! The one error type of the library: opaque, one word wide, with a kind to match on.
//!
//! A miss is not an error, and a loader's error is never one of these. Every error is made before any state has
//! changed. Messages name what was wrong and what would have been right; they carry no key and no value.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// What went wrong, to match on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A scope tree that cannot be built; the message lists all faults.
    InvalidTree,
    /// A level that the scope tree does not have.
    UnknownLevel,
    /// A path without the id that one of its levels needs.
    MissingId,
    /// An id that is empty or longer than 1 KiB.
    InvalidId,
    /// Levels that do not form a path of the tree, or ids below the level that a destructive verb was given.
    InvalidPath,
    /// A scope handle or region of another cache.
    Foreign,
    /// A setting that cannot be honoured: a capacity of zero, an unknown policy, a name that is empty.
    InvalidConfig,
    /// A time-to-live that is zero, negative or too long to be a deadline.
    InvalidTtl,
    /// A weight of zero, or one above the whole capacity.
    InvalidWeight,
    /// A budget that cannot be granted: above the whole, above what is left of it, or in a unit without a bound. All faults are
    /// listed.
    InvalidBudget,
    /// A key longer than the configured limit.
    InvalidKey,
    /// A tag that is empty, longer than 256 bytes or has control characters; one too many; or a global one where a scope was named.
    InvalidTag,
    /// What only a running load can do was asked for outside of one.
    NoLoad,
    /// A level whose scopes do not count what was asked for.
    NotTracked,
    /// The entry or region holds values of another type.
    TypeMismatch,
    /// No scope could be resolved where one was needed.
    NoScope,
    /// A default cache was installed, or used, before this one.
    AlreadyInstalled,
    /// A load could not be given a place: two of the same key are running past their lease.
    Stalled,
    /// The loads that a call waited for failed, for those who ran them.
    LeaderFailed,
    /// A load was not begun: of its scope as many run as may, and as many wait as may.
    Overloaded,
    /// A load took longer than it may.
    TimedOut,
    /// A load was not begun: those of its region have failed one after the other, and are not tried for a while.
    BreakerOpen,
    /// A batch loader gave another number of results than it was asked for.
    BatchMismatch,
}

impl ErrorKind {
    const fn text(self) -> &'static str {
        match self {
            Self::InvalidTree => "invalid scope tree",
            Self::UnknownLevel => "unknown level",
            Self::MissingId => "missing id",
            Self::InvalidId => "invalid id",
            Self::InvalidPath => "invalid path",
            Self::Foreign => "handle of another cache",
            Self::InvalidConfig => "invalid configuration",
            Self::InvalidTtl => "invalid ttl",
            Self::InvalidWeight => "invalid weight",
            Self::InvalidBudget => "invalid budget",
            Self::InvalidKey => "invalid key",
            Self::InvalidTag => "invalid tag",
            Self::NoLoad => "no load",
            Self::NotTracked => "level not tracked",
            Self::TypeMismatch => "type mismatch",
            Self::NoScope => "no scope",
            Self::AlreadyInstalled => "already installed",
            Self::Stalled => "load stalled",
            Self::LeaderFailed => "leader failed",
            Self::Overloaded => "overloaded",
            Self::TimedOut => "timed out",
            Self::BreakerOpen => "breaker open",
            Self::BatchMismatch => "wrong number of results",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// An error of the library.
///
/// Printed as `operation: kind { context }: message`, for example
/// `scope: unknown level { level: usr, known: org, user, session }`.
#[derive(Clone)]
pub struct Error(Box<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    operation: &'static str,
    context: Vec<(&'static str, String)>,
    message: Option<Cow<'static, str>>,
    source: Option<Arc<dyn std::error::Error + Send + Sync>>,
}

/// A result with the library's error.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// Makes an error of a kind, met during an operation.
    pub fn new(kind: ErrorKind, operation: &'static str) -> Self {
        Self(Box::new(Inner { kind, operation, context: Vec::new(), message: None, source: None }))
    }

    /// Adds a named fact. Never a key or a value.
    #[must_use]
    pub fn with(mut self, name: &'static str, fact: impl fmt::Display) -> Self {
        self.0.context.push((name, fact.to_string()));
        self
    }

    /// Says in a sentence what would have been right.
    #[must_use]
    pub fn because(mut self, message: impl Into<Cow<'static, str>>) -> Self {
        self.0.message = Some(message.into());
        self
    }

    /// Adds the error that caused this one.
    #[must_use]
    pub fn caused_by(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.0.source = Some(Arc::new(source));
        self
    }

    /// What went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The operation that met the error, `"set"` for example.
    pub fn operation(&self) -> &'static str {
        self.0.operation
    }

    /// Whether the same call may succeed later without a change.
    pub fn is_retryable(&self) -> bool {
        use ErrorKind::{BreakerOpen, LeaderFailed, Overloaded, Stalled, TimedOut};
        matches!(self.0.kind, Stalled | LeaderFailed | Overloaded | TimedOut | BreakerOpen)
    }

    /// The named facts, in the order they were added.
    pub fn context(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.0.context.iter().map(|(name, fact)| (*name, fact.as_str()))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.0.operation, self.0.kind)?;
        for (i, (name, fact)) in self.0.context.iter().enumerate() {
            write!(f, "{}{name}: {fact}", if i == 0 { " { " } else { ", " })?;
        }
        if !self.0.context.is_empty() {
            f.write_str(" }")?;
        }
        if let Some(message) = &self.0.message {
            write!(f, ": {message}")?;
        }
        Ok(())
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
    fn error_prints_operation_kind_facts_and_advice() {
        let error = Error::new(ErrorKind::UnknownLevel, "scope")
            .with("level", "usr")
            .with("known", "org, user")
            .because("did you mean `user`?");
        assert_eq!(
            error.to_string(),
            "scope: unknown level { level: usr, known: org, user }: did you mean `user`?"
        );
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }
}
