//! How a cached function's return type is split into the value that is stored and the error that is not.
//!
//! (1) `Ok` is stored, `Err` is not, whatever alias the return type hides behind: the kind is found by `probe`, on the
//! type and never on its spelling. (2) Any other return type is stored whole;
//! `None` is a value. (3) The leader of a load gets its own `E`; others share it only where `E: Clone` was seen.
//!
//! Cost: none at run time; kinds are unit structs and everything here inlines.

use std::any::Any;
use std::convert::Infallible;
use std::sync::Arc;

use strata_cache_core::error::Error;

/// An error of a load, ready to be shared with those who wait for the same load.
pub type SharedError = Arc<dyn Any + Send + Sync>;

/// What a cached function may return, or what the `Ok` of its `Result` may be.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be stored in a cache",
    label = "a return type that is not `Clone + Send + Sync + 'static`",
    note = "every hit hands out a clone of the stored value, on whatever thread: return an `Arc` of something that is `Send + Sync`"
)]
pub trait Value: Clone + Send + Sync + 'static {}

#[diagnostic::do_not_recommend]
impl<T: Clone + Send + Sync + 'static> Value for T {}

/// A return type that can be stored whole, errors too, for `negative(err = …)`.
#[diagnostic::on_unimplemented(
    message = "`negative(err = …)` stores errors, and `{Self}` cannot be stored with them",
    label = "not a `Result` of two types that are `Clone + Send + Sync + 'static`",
    note = "every hit hands out a clone: derive `Clone` for the error, return `Result<_, Arc<E>>`, or leave `err` out"
)]
pub trait StoresErrors: Value {}

#[diagnostic::do_not_recommend]
impl<T: Value, E: Value> StoresErrors for Result<T, E> {}

/// A return type that can carry an error of the cache, for `without_scope = error`, `hard` and `breaker`.
#[diagnostic::on_unimplemented(
    message = "`without_scope = error`, `hard` and `breaker` return errors of the cache, and a `{Self}` cannot be made of one",
    label = "not a `Result` whose error is `From<strata_cache::Error>`",
    note = "return `Result<_, E>` with `E: From<strata_cache::Error>`; or leave that option out"
)]
pub trait Refuse {
    /// The return value that says so.
    fn refuse(error: Error) -> Self;
}

#[diagnostic::do_not_recommend]
impl<T, E: From<Error>> Refuse for Result<T, E> {
    fn refuse(error: Error) -> Self {
        Err(E::from(error))
    }
}

/// One way to split a return type `R`.
pub trait Outcome<R>: Copy {
    /// What is stored.
    type Value: Value;
    /// What is not.
    type Error;

    /// Takes a return value apart.
    fn split(self, returned: R) -> Result<Self::Value, Self::Error>;

    /// Makes a return value of a stored value.
    fn ok(self, value: Self::Value) -> R;

    /// Makes a return value of an error.
    fn err(self, error: Self::Error) -> R;

    /// A copy of the error for those who wait, where one can be made.
    fn share(self, _error: &Self::Error) -> Option<SharedError> {
        None
    }

    /// The error out of a shared copy.
    fn unshare(self, _shared: &SharedError) -> Option<Self::Error> {
        None
    }

    /// The return value of a call that brings no value for a reason of the cache's, where the function has one: without a scope
    /// (`without_scope = error`), after too long a wait, with a breaker open.
    fn refuse(self, _error: Error) -> Option<R> {
        None
    }
}

/// The kind of a `Result` whose error can be cloned.
#[derive(Debug, Clone, Copy)]
pub struct Shared;

impl<T: Value, E: Clone + Send + Sync + 'static> Outcome<Result<T, E>> for Shared {
    type Value = T;
    type Error = E;

    fn split(self, returned: Result<T, E>) -> Result<T, E> {
        returned
    }

    fn ok(self, value: T) -> Result<T, E> {
        Ok(value)
    }

    fn err(self, error: E) -> Result<T, E> {
        Err(error)
    }

    fn share(self, error: &E) -> Option<SharedError> {
        Some(Arc::new(error.clone()))
    }

    fn unshare(self, shared: &SharedError) -> Option<E> {
        shared.downcast_ref::<E>().cloned()
    }
}

/// The kind of any other `Result`.
#[derive(Debug, Clone, Copy)]
pub struct Fallible;

impl<T: Value, E> Outcome<Result<T, E>> for Fallible {
    type Value = T;
    type Error = E;

    fn split(self, returned: Result<T, E>) -> Result<T, E> {
        returned
    }

    fn ok(self, value: T) -> Result<T, E> {
        Ok(value)
    }

    fn err(self, error: E) -> Result<T, E> {
        Err(error)
    }
}

/// The kind of everything else.
#[derive(Debug, Clone, Copy)]
pub struct Plain;

impl<R: Value> Outcome<R> for Plain {
    type Value = R;
    type Error = Infallible;

    fn split(self, returned: R) -> Result<R, Infallible> {
        Ok(returned)
    }

    fn ok(self, value: R) -> R {
        value
    }

    fn err(self, error: Infallible) -> R {
        match error {}
    }
}

/// A kind whose function returns errors of the cache: where there is no scope (`without_scope = error`), after too long a wait (`hard`), with a
/// breaker open.
#[derive(Debug, Clone, Copy)]
pub struct Refusing<O>(pub O);

impl<R: Refuse, O: Outcome<R>> Outcome<R> for Refusing<O> {
    type Value = O::Value;
    type Error = O::Error;

    fn split(self, returned: R) -> Result<O::Value, O::Error> {
        self.0.split(returned)
    }

    fn ok(self, value: O::Value) -> R {
        self.0.ok(value)
    }

    fn err(self, error: O::Error) -> R {
        self.0.err(error)
    }

    fn share(self, error: &O::Error) -> Option<SharedError> {
        self.0.share(error)
    }

    fn unshare(self, shared: &SharedError) -> Option<O::Error> {
        self.0.unshare(shared)
    }

    fn refuse(self, error: Error) -> Option<R> {
        Some(R::refuse(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use strata_cache_core::error::ErrorKind;

    #[derive(Debug, Clone, PartialEq)]
    struct Missing;

    #[derive(Debug)]
    struct Failed(ErrorKind);

    impl From<Error> for Failed {
        fn from(error: Error) -> Self {
            Self(error.kind())
        }
    }

    #[test]
    fn error_that_clones_is_shared_and_given_back() {
        let shared = Outcome::<Result<u8, Missing>>::share(Shared, &Missing).expect("`Missing` clones");
        assert_eq!(Outcome::<Result<u8, Missing>>::unshare(Shared, &shared), Some(Missing));
        let foreign: SharedError = Arc::new(3_u8);
        assert_eq!(Outcome::<Result<u8, Missing>>::unshare(Shared, &foreign), None);
    }

    #[test]
    fn error_that_does_not_clone_is_not_shared() {
        let error = std::io::Error::other("down");
        assert!(Outcome::<std::io::Result<u8>>::share(Fallible, &error).is_none());
        assert!(Outcome::<std::io::Result<u8>>::split(Fallible, Err(error)).is_err());
    }

    #[test]
    fn none_is_a_value() {
        assert_eq!(Plain.split(None::<u8>), Ok(None));
    }

    #[test]
    fn refusing_kind_turns_an_error_of_the_cache_into_the_functions_own() {
        let error = || Error::new(ErrorKind::NoScope, "call");
        let refused: Option<Result<u8, Failed>> = Refusing(Fallible).refuse(error());
        assert!(matches!(refused, Some(Err(Failed(ErrorKind::NoScope)))));
        assert_eq!(Outcome::<u8>::refuse(Plain, error()), None);
    }
}
