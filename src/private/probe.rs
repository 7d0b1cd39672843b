//! Choices by type that the macro cannot see: method resolution on references to the structs below takes the first
//! trait that fits, the one with the most `&` before it. The traits must be in scope where it is asked.
//!
//! (1) A choice depends on the type and never on its spelling, so aliases change nothing. (2) What does not fit at
//! all is answered by a stand-in, [`Refused`], so that the compiler complains once, in the place and words of
//! [`keyed`], [`keyed_option`], [`storable`] or [`refusable`], and says nothing about what follows. These are always
//! called beside the probe, so a stand-in never runs.
//! (3) The methods have names that no other trait in a user's scope has.
//!
//! Cost: none at run time. After David Tolnay, "Autoref-based stable specialization" (case study), 2019.

use std::hash::Hash;
use std::marker::PhantomData;

use super::key::{Empty, KeyPart, One, Optional, Part, optional, part};
use super::outcome::{Fallible, Outcome, Plain, Refuse, Refusing, Shared, StoresErrors, Value};
use super::rules::{Absent, Failed};

/// Asks that an argument `T` or `&T` can be part of a key.
#[inline]
pub fn keyed<T: KeyPart + ?Sized>(argument: &T) -> &T {
    argument
}

/// Asks that an argument can be part of a key whose type is a parameter of the function.
#[inline]
pub fn keyed_parameter<T: Hash + Eq + Clone + Send + Sync + 'static>(argument: &T) -> &T {
    argument
}

/// Asks that a value can be stored whose type is a parameter of the function.
#[inline]
pub fn storable_parameter<T: Clone + Send + Sync + 'static>() {}

/// Asks that an argument `Option<&T>` can be part of a key.
#[inline]
pub fn keyed_option<T: KeyPart + ?Sized>(argument: Option<&T>) -> Option<&T> {
    argument
}

/// Asks that what a return type stores can be stored.
#[inline]
pub fn storable<T: Value>(_: PhantomData<T>) {}

/// Asks that a `Result` can be stored with its errors.
#[inline]
pub fn storable_whole<R: StoresErrors>() {}

/// Asks that a return type can carry an error of the cache.
#[inline]
pub fn refusable<R: Refuse>() {}

/// The stand-in part and kind of what was refused.
#[derive(Debug, Clone, Copy, Hash)]
pub struct Refused;

impl Part for Refused {
    type Key = Empty;

    fn matches(&self, _: &Empty) -> bool {
        false
    }

    fn to_key(&self) -> Empty {
        Empty
    }
}

impl<R> Outcome<R> for Refused {
    type Value = Self;
    type Error = R;

    fn split(self, returned: R) -> Result<Self, R> {
        Err(returned)
    }

    fn ok(self, _: Self) -> R {
        unreachable!("nothing is stored for a type that the compiler refused")
    }

    fn err(self, error: R) -> R {
        error
    }
}

#[diagnostic::do_not_recommend]
impl Absent for Refused {
    fn is_absent(&self) -> bool {
        false
    }
}

#[diagnostic::do_not_recommend]
impl Failed for Refused {
    fn has_failed(&self) -> bool {
        false
    }
}

/// An argument: `(&&Argument(keyed::<T>(x))).strata_part()`.
#[derive(Debug)]
pub struct Argument<'a, T: ?Sized>(pub &'a T);

/// An argument that may be absent: `(&&OptionalArgument(keyed_option::<T>(x))).strata_part()`.
#[derive(Debug)]
pub struct OptionalArgument<'a, T: ?Sized>(pub Option<&'a T>);

/// Answers for what can be part of a key.
pub trait Keyed {
    /// The part.
    type Part;

    /// The part.
    fn strata_part(&self) -> Self::Part;
}

impl<'a, T: KeyPart + ?Sized> Keyed for &Argument<'a, T> {
    type Part = One<'a, T>;

    #[inline]
    fn strata_part(&self) -> One<'a, T> {
        part(self.0)
    }
}

impl<'a, T: KeyPart + ?Sized> Keyed for &OptionalArgument<'a, T> {
    type Part = Optional<'a, T>;

    #[inline]
    fn strata_part(&self) -> Optional<'a, T> {
        optional(self.0)
    }
}

/// Answers for what cannot.
pub trait Unkeyed {
    /// The stand-in.
    fn strata_part(&self) -> Refused {
        Refused
    }
}

impl<T: ?Sized> Unkeyed for Argument<'_, T> {}

impl<T: ?Sized> Unkeyed for OptionalArgument<'_, T> {}

/// Takes one reference off what a `receiver` expression gives, so that `self.name()` of type `&str` is a key as
/// `self.name` of type `String` is: `(&&Peel(&receiver)).strata_peel()`.
#[derive(Debug)]
pub struct Peel<'a, T: ?Sized>(pub &'a T);

/// Answers for a reference.
pub trait PeelReference<'a> {
    /// What the reference points to.
    type Target: ?Sized;

    /// The reference itself.
    fn strata_peel(&self) -> &'a Self::Target;
}

impl<'a, T: ?Sized> PeelReference<'a> for &Peel<'_, &'a T> {
    type Target = T;

    #[inline]
    fn strata_peel(&self) -> &'a T {
        self.0
    }
}

/// Answers for anything else.
pub trait PeelValue<'a> {
    /// The value's type.
    type Target: ?Sized;

    /// The value, borrowed.
    fn strata_peel(&self) -> &'a Self::Target;
}

impl<'a, T: ?Sized> PeelValue<'a> for Peel<'a, T> {
    type Target = T;

    #[inline]
    fn strata_peel(&self) -> &'a T {
        self.0
    }
}

/// A return type: `(&&&&Returned::<R>::new()).strata_kind()`, `(&&&Returned::<R>::new()).strata_stored()`,
/// `(&&Returned::<R>::new()).strata_refusing(kind)`.
pub struct Returned<R>(PhantomData<fn() -> R>);

impl<R> Returned<R> {
    /// Asks about `R`.
    #[expect(clippy::new_without_default, reason = "named by expansions only")]
    pub const fn new() -> Self {
        Self(PhantomData)
    }
}

/// Answers for a `Result` whose error can be cloned.
pub trait KindShared {
    /// The kind.
    fn strata_kind(&self) -> Shared {
        Shared
    }
}

impl<T: Value, E: Clone + Send + Sync + 'static> KindShared for &&&Returned<Result<T, E>> {}

/// Answers for any other `Result`.
pub trait KindFallible {
    /// The kind.
    fn strata_kind(&self) -> Fallible {
        Fallible
    }
}

impl<T: Value, E> KindFallible for &&Returned<Result<T, E>> {}

/// Answers for everything else that can be stored.
pub trait KindPlain {
    /// The kind.
    fn strata_kind(&self) -> Plain {
        Plain
    }
}

impl<R: Value> KindPlain for &Returned<R> {}

/// Answers for what cannot.
pub trait KindRefused {
    /// The stand-in.
    fn strata_kind(&self) -> Refused {
        Refused
    }
}

impl<R> KindRefused for Returned<R> {}

/// Answers for a `Result` that can be stored with its errors.
pub trait KindWhole {
    /// The kind.
    fn strata_whole(&self) -> Plain {
        Plain
    }
}

impl<R: StoresErrors> KindWhole for &Returned<R> {}

/// Answers for what cannot.
pub trait KindRefusedWhole {
    /// The stand-in.
    fn strata_whole(&self) -> Refused {
        Refused
    }
}

impl<R> KindRefusedWhole for Returned<R> {}

/// Answers what a `Result` stores.
pub trait StoresOk {
    /// What `Ok` holds.
    type Stored;

    /// Its type.
    fn strata_stored(&self) -> PhantomData<Self::Stored> {
        PhantomData
    }
}

impl<T, E> StoresOk for &Returned<Result<T, E>> {
    type Stored = T;
}

/// Answers what anything else stores.
pub trait StoresAll {
    /// The whole.
    type Stored;

    /// Its type.
    fn strata_stored(&self) -> PhantomData<Self::Stored> {
        PhantomData
    }
}

impl<R> StoresAll for Returned<R> {
    type Stored = R;
}

/// Answers for a return type that can carry an error of the cache.
pub trait CanRefuse {
    /// The kind that does.
    fn strata_refusing<O>(&self, kind: O) -> Refusing<O> {
        Refusing(kind)
    }
}

impl<R: Refuse> CanRefuse for &Returned<R> {}

/// Answers for one that cannot.
pub trait CannotRefuse {
    /// The kind as it was.
    fn strata_refusing<O>(&self, kind: O) -> O {
        kind
    }
}

impl<R> CannotRefuse for Returned<R> {}

#[cfg(test)]
mod tests {
    // Expansions cannot know how many references are needed; neither shall these.
    #![expect(clippy::needless_borrow)]
    use super::super::key::{View, view};
    use super::*;
    use equivalent::Equivalent;

    type Hidden<T> = std::result::Result<T, std::io::Error>;

    struct NotClone;

    #[test]
    fn kind_is_that_of_the_type_behind_an_alias() {
        let Fallible = (&&&&Returned::<Hidden<u8>>::new()).strata_kind();
        let Shared = (&&&&Returned::<Result<u8, String>>::new()).strata_kind();
        let Plain = (&&&&Returned::<Option<u8>>::new()).strata_kind();
        let Plain = (&&&&Returned::<u8>::new()).strata_kind();
        let Refused = (&&&&Returned::<NotClone>::new()).strata_kind();
        let Refused = (&&&&Returned::<Result<NotClone, String>>::new()).strata_kind();
    }

    #[test]
    fn what_is_stored_is_seen_through_an_alias() {
        let PhantomData::<u8> = (&&Returned::<Hidden<u8>>::new()).strata_stored();
        let PhantomData::<Option<u8>> = (&&Returned::<Option<u8>>::new()).strata_stored();
    }

    #[test]
    fn return_type_without_a_conversion_does_not_refuse() {
        let Refusing(Plain) =
            (&&Returned::<Result<u8, strata_cache_core::error::Error>>::new()).strata_refusing(Plain);
        let Plain = (&&Returned::<Result<u8, String>>::new()).strata_refusing(Plain);
    }

    #[test]
    fn argument_that_is_no_key_has_a_stand_in_that_equals_nothing() {
        let refused = view().and((&&Argument(&NotClone)).strata_part());
        assert!(!refused.equivalent(&refused.to_key()));
        let keyed =
            view().and((&&Argument("a")).strata_part()).and((&&OptionalArgument(Some("b"))).strata_part());
        assert!(keyed.equivalent(&keyed.to_key()));
    }

    #[test]
    fn receiver_given_as_value_or_reference_makes_the_same_key() {
        struct Named(String);
        impl Named {
            fn name(&self) -> &str {
                &self.0
            }
        }
        let named = Named("eu".into());
        let by_reference = view().and(part((&&Peel(&named.name())).strata_peel())).to_key();
        let by_value = view().and(part((&&Peel(&*named.0)).strata_peel())).to_key();
        assert!(by_reference == by_value);
        let owned: &String = (&&Peel(&named.0)).strata_peel();
        assert_eq!(owned, "eu");
    }
}
