//! What an operation that writes was told: time-to-live, weight, tags; or what was wrong with one of them.
//!
//! (1) The first fault is kept and reported when the operation happens; nothing has changed then. (2) Tags and faults are kept apart, so
//! that an operation without them is moved and dropped as if there were none: with their drop written out, hits are 20 instructions
//! slower.

use strata_cache_core::engine::Write;
use strata_cache_core::error::{Error, Result};
use strata_cache_core::expiry::IntoTtl;
use strata_cache_core::scope::{IntoTag, Tags};

/// The options of a write or load.
#[derive(Debug)]
pub(super) struct Terms {
    write: Write,
    apart: Apart,
}

/// What few operations have.
#[derive(Debug)]
struct Apart(Option<Box<Special>>);

#[derive(Debug)]
enum Special {
    Tags(Tags),
    Wrong(Error),
}

impl Drop for Apart {
    #[inline(always)]
    fn drop(&mut self) {
        if let Some(special) = self.0.take() {
            drop_apart(special);
        }
    }
}

#[cold]
#[inline(never)]
fn drop_apart(special: Box<Special>) {
    drop(special);
}

impl Terms {
    #[inline]
    pub(super) const fn new() -> Self {
        Self { write: Write { ttl: None, weight: None }, apart: Apart(None) }
    }

    /// Whether nothing was wrong.
    #[inline(always)]
    pub(super) fn are_good(&self) -> bool {
        match &self.apart.0 {
            None => true,
            Some(special) => !matches!(**special, Special::Wrong(_)),
        }
    }

    /// What was told, if there is nothing special about it.
    #[inline(always)]
    pub(super) fn plain(&self) -> Option<Write> {
        self.apart.0.is_none().then_some(self.write)
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

    fn change(mut self, change: impl FnOnce(&mut Write, &mut Tags) -> Result<()>) -> Self {
        let mut tags = match self.apart.0.take().map(|special| *special) {
            None => Tags::none(),
            Some(Special::Tags(tags)) => tags,
            wrong => return Self { write: self.write, apart: Apart(wrong.map(Box::new)) },
        };
        let special = match change(&mut self.write, &mut tags) {
            Ok(()) => (!tags.is_empty()).then_some(Special::Tags(tags)),
            Err(error) => Some(Special::Wrong(error)),
        };
        Self { write: self.write, apart: Apart(special.map(Box::new)) }
    }

    /// What was told, to be used more than once. A fault is told once.
    pub(super) fn look(&mut self) -> Result<(Write, Tags)> {
        match self.apart.0.as_deref() {
            None => Ok((self.write, Tags::none())),
            Some(Special::Tags(tags)) => Ok((self.write, tags.clone())),
            Some(Special::Wrong(_)) => self.take(),
        }
    }

    /// What was told, once.
    #[inline]
    pub(super) fn take(&mut self) -> Result<(Write, Tags)> {
        match self.apart.0.take() {
            None => Ok((self.write, Tags::none())),
            Some(special) => Self::told(self.write, *special),
        }
    }

    #[cold]
    fn told(write: Write, special: Special) -> Result<(Write, Tags)> {
        match special {
            Special::Tags(tags) => Ok((write, tags)),
            Special::Wrong(error) => Err(error),
        }
    }
}
