//! What of a function's answers is stored, and for how long: `when` and `negative`.
//!
//! (1) A rule looks at the value that would be stored and at nothing else, after the function has returned and outside of locks.
//! (2) `negative` counts for absent values and, if asked, for errors; these are stored then, and are values. (3) With a time that none
//! can be, nothing is stored.

use strata_cache_core::engine::Write;
use strata_cache_core::error::Result;

use super::outcome::Outcome;
use super::spec::Ttl;
use crate::IntoTtl;

/// Whether a rule applies to a value.
type Applies<V> = fn(&V) -> bool;

/// The rules of one function.
pub struct Rules<V> {
    when: Option<Applies<V>>,
    /// Of absent values, of errors.
    negative: [Option<(Applies<V>, Ttl)>; 2],
}

impl<V> Clone for Rules<V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<V> Copy for Rules<V> {}

/// No rules yet, for a function of this kind.
pub fn rules<R, O: Outcome<R>>(_: O) -> Rules<O::Value> {
    Rules::default()
}

impl<V> Default for Rules<V> {
    fn default() -> Self {
        Self { when: None, negative: [None; 2] }
    }
}

impl<V> Rules<V> {
    /// Only values that pass are stored.
    #[must_use]
    pub fn when(mut self, when: fn(&V) -> bool) -> Self {
        self.when = Some(when);
        self
    }

    /// An absent value lives for so long.
    #[must_use]
    pub fn none(mut self, ttl: Ttl) -> Self
    where
        V: Absent,
    {
        self.negative[0] = Some((V::is_absent, ttl));
        self
    }

    /// An error lives for so long.
    #[must_use]
    pub fn err(mut self, ttl: Ttl) -> Self
    where
        V: Failed,
    {
        self.negative[1] = Some((V::has_failed, ttl));
        self
    }

    /// Whether its times can be.
    pub(super) fn check(&self) -> Result<()> {
        self.negative.iter().flatten().try_for_each(|(_, ttl)| explicit(*ttl).map(drop))
    }

    /// How a value is stored; `None` if it is not to be.
    pub(super) fn write(&self, value: &V, write: Write) -> Option<Write> {
        if !self.when.is_none_or(|passes| passes(value)) {
            return None;
        }
        match self.negative.iter().flatten().find(|(applies, _)| applies(value)) {
            None => Some(write),
            Some((_, ttl)) => Some(Write { ttl: explicit(*ttl).ok()?.or(write.ttl), ..write }),
        }
    }
}

/// The time that is said; none where it is the one of all values.
fn explicit(ttl: Ttl) -> Result<Option<crate::Ttl>> {
    match ttl {
        Ttl::Inherit => Ok(None),
        Ttl::Never => Ok(Some(crate::Ttl::never())),
        Ttl::After(time) => time.into_ttl().map(Some),
    }
}

/// What may be absent.
#[diagnostic::on_unimplemented(
    message = "`negative` is the time-to-live of `None`, and `{Self}` is never that",
    label = "not an `Option`",
    note = "return an `Option`, or a `Result` of one, or leave `negative` out; errors have `negative(err = \"5s\")`"
)]
pub trait Absent {
    /// Whether this is nothing.
    fn is_absent(&self) -> bool;
}

#[diagnostic::do_not_recommend]
impl<T> Absent for Option<T> {
    fn is_absent(&self) -> bool {
        self.is_none()
    }
}

#[diagnostic::do_not_recommend]
impl<T, E> Absent for Result<Option<T>, E> {
    fn is_absent(&self) -> bool {
        matches!(self, Ok(None))
    }
}

/// What may be an error.
#[diagnostic::on_unimplemented(
    message = "`negative(err = …)` is the time-to-live of errors, and `{Self}` has none",
    label = "not a `Result`",
    note = "return a `Result`, or leave `err` out"
)]
pub trait Failed {
    /// Whether this is an error.
    fn has_failed(&self) -> bool;
}

#[diagnostic::do_not_recommend]
impl<T, E> Failed for Result<T, E> {
    fn has_failed(&self) -> bool {
        self.is_err()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn ttl_of<V>(rules: Rules<V>, value: &V) -> Option<Option<crate::Ttl>> {
        rules.write(value, Write::default()).map(|write| write.ttl)
    }

    #[test]
    fn value_that_does_not_pass_is_not_stored() {
        let rules = Rules::<u8>::default().when(|value| *value > 1);
        assert_eq!((ttl_of(rules, &1), ttl_of(rules, &2)), (None, Some(None)));
    }

    #[test]
    fn absent_values_and_errors_have_times_of_their_own() {
        let [short, shorter] = [20, 5].map(|seconds| Ttl::After(Duration::from_secs(seconds)));
        let after = |seconds| Duration::from_secs(seconds).into_ttl().ok();
        let rules = Rules::<Result<Option<u8>, ()>>::default().none(short).err(shorter);
        assert_eq!(ttl_of(rules, &Ok(Some(1))), Some(None));
        assert_eq!(ttl_of(rules, &Ok(None)), Some(after(20)));
        assert_eq!(ttl_of(rules, &Err(())), Some(after(5)));
        assert_eq!(ttl_of(Rules::default().none(short), &None::<u8>), Some(after(20)));
        assert_eq!(ttl_of(Rules::default().none(Ttl::Never), &None::<u8>), Some(Some(crate::Ttl::never())));
        assert!(rules.check().is_ok());
    }

    #[test]
    fn nothing_is_stored_for_a_time_that_none_can_be() {
        let rules = Rules::default().none(Ttl::After(Duration::ZERO));
        assert_eq!(ttl_of(rules, &None::<u8>), None);
        assert!(rules.check().is_err());
    }
}
