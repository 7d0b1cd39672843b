//! What an operation that writes was told: time-to-live, weight, tags; or what was wrong with one of them.
//!
//! (1) The first fault is kept and reported when the operation happens; nothing has changed then. (2) What has no tags is as cheap to
//! move and to drop as if there were none.

use strata_cache_core::engine::Write;
use strata_cache_core::error::{Error, Result};
use strata_cache_core::expiry::IntoTtl;
use strata_cache_core::scope::{IntoTag, Tags};

/// The options of a write or load.
#[derive(Debug)]
pub(super) enum Terms {
    Plain(Write),
    Tagged(Box<(Write, Tags)>),
    Wrong(Error),
}

impl Terms {
    pub(super) const fn new() -> Self {
        Self::Plain(Write { ttl: None, weight: None })
    }

    /// Whether nothing was wrong.
    #[inline]
    pub(super) const fn are_good(&self) -> bool {
        !matches!(self, Self::Wrong(_))
    }

    pub(super) fn ttl(self, ttl: impl IntoTtl) -> Self {
        self.change(|write, _| {
            write.ttl = Some(ttl.into_ttl()?);
            Ok(())
        })
    }

    pub(super) fn weight(self, weight: u64) -> Self {
        self.change(|write, _| {
            write.weight = Some(weight);
            Ok(())
        })
    }

    pub(super) fn tags(self, new: impl IntoIterator<Item = impl IntoTag>, operation: &'static str) -> Self {
        self.change(|_, tags| new.into_iter().try_for_each(|tag| tags.add(tag.into_tag()?, 0, operation)))
    }

    fn change(self, change: impl FnOnce(&mut Write, &mut Tags) -> Result<()>) -> Self {
        let (mut write, mut tags) = match self {
            Self::Plain(write) => (write, Tags::none()),
            Self::Tagged(both) => *both,
            Self::Wrong(_) => return self,
        };
        match change(&mut write, &mut tags) {
            Ok(()) if tags.is_empty() => Self::Plain(write),
            Ok(()) => Self::Tagged(Box::new((write, tags))),
            Err(error) => Self::Wrong(error),
        }
    }

    /// What was told, once.
    pub(super) fn take(&mut self) -> Result<(Write, Tags)> {
        match std::mem::replace(self, Self::new()) {
            Self::Plain(write) => Ok((write, Tags::none())),
            Self::Tagged(both) => Ok(*both),
            Self::Wrong(error) => Err(error),
        }
    }
}
