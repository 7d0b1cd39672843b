//! What an operation that writes was told: time-to-live, weight, tags, how its load is cared for; or what was wrong with that.
//!
//! (1) Faults are kept and all reported when the operation happens; nothing has changed then. (2) What few operations have is kept apart, so
//! that an operation without it is moved and dropped as if there were none: with their drop written out, hits are 20 instructions
//! slower.

use std::time::Duration;

use strata_cache_core::engine::Write;
use strata_cache_core::error::{Error, ErrorKind, Result};
use strata_cache_core::expiry::{IntoTtl, Ttl};
use strata_cache_core::scope::{IntoTag, Tags};

use crate::care::{Asked, together};

/// What was said of a load, or a write.
#[doc(hidden)]
#[expect(missing_debug_implementations, reason = "of the library's own")]
pub struct Said<'a> {
    pub(crate) write: Write,
    pub(crate) tags: Tags,
    /// How the load is to be cared for, if that was said.
    pub(crate) asked: Option<&'a Asked>,
}

/// The options of a write or load.
#[derive(Debug)]
pub(super) struct Terms {
    ttl: Option<Ttl>,
    weight: Option<u64>,
    apart: Apart,
}

/// What few operations have.
#[derive(Debug)]
struct Apart(Option<Box<Special>>);

#[derive(Debug, Default)]
struct Special {
    tags: Tags,
    asked: Option<Asked>,
    keep: Option<Duration>,
    wrong: Vec<Error>,
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
        Self { ttl: None, weight: None, apart: Apart(None) }
    }

    fn write(&self) -> Write {
        Write { ttl: self.ttl, weight: self.weight, ..Write::default() }
    }

    /// Whether nothing was wrong.
    #[inline(always)]
    pub(super) fn are_good(&self) -> bool {
        match &self.apart.0 {
            None => true,
            Some(special) => special.is_good(),
        }
    }

    /// What was told, if there is nothing special about it.
    #[inline(always)]
    pub(super) fn plain(&self) -> Option<Write> {
        self.apart.0.is_none().then(|| self.write())
    }

    pub(super) fn ttl(mut self, ttl: impl IntoTtl) -> Self {
        match ttl.into_ttl() {
            Ok(ttl) => self.ttl = Some(ttl),
            Err(error) => self.special().wrong.push(error),
        }
        self
    }

    pub(super) fn weight(mut self, weight: u64) -> Self {
        self.weight = Some(weight);
        self
    }

    pub(super) fn tags(
        mut self,
        new: impl IntoIterator<Item = impl IntoTag>,
        operation: &'static str,
    ) -> Self {
        let Special { tags, wrong, .. } = self.special();
        for tag in new {
            wrong.extend(tag.into_tag().and_then(|tag| tags.add(tag, 0, operation)).err());
        }
        self
    }

    /// Says for how long what is written is kept past its time-to-live.
    pub(super) fn keep(mut self, window: impl IntoTtl) -> Self {
        let advice = "a time with an end is needed";
        let error = || Error::new(ErrorKind::InvalidConfig, "set").with("option", "keep").because(advice);
        let special = self.special();
        match window.into_ttl().and_then(|window| window.duration().ok_or_else(error)) {
            Ok(window) => special.keep = Some(window),
            Err(error) => special.wrong.push(error),
        }
        self
    }

    /// Says how the load is to be cared for.
    pub(super) fn care(mut self, ask: impl FnOnce(&mut Asked)) -> Self {
        ask(self.special().asked.get_or_insert_default());
        self
    }

    fn special(&mut self) -> &mut Special {
        self.apart.0.get_or_insert_default()
    }

    /// What was told, to be used more than once. Faults are told once.
    pub(super) fn look(&mut self) -> Result<Said<'_>> {
        let write = self.write();
        let Some(special) = self.apart.0.as_deref_mut() else {
            return Ok(Said { write, tags: Tags::none(), asked: None });
        };
        match together(std::mem::take(&mut special.wrong), "load") {
            Some(error) => Err(error),
            None => {
                let write = Write { keep: special.keep, ..write };
                Ok(Said { write, tags: special.tags.clone(), asked: special.asked.as_ref() })
            }
        }
    }

    /// What a write was told, once.
    #[inline]
    pub(super) fn take(&mut self) -> Result<(Write, Tags)> {
        self.look().map(|said| (said.write, said.tags))
    }
}

impl Special {
    #[cold]
    fn is_good(&self) -> bool {
        self.wrong.is_empty() && self.asked.as_ref().is_none_or(Asked::is_good)
    }
}
