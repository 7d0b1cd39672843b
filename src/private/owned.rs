//! Arguments of a call whose run may go on without its caller: owned, and borrowed from there.

use std::borrow::{Borrow, ToOwned};

/// What a run that may go on without its caller can take along.
#[diagnostic::on_unimplemented(
    message = "a run that may outlive its caller cannot take a `{Self}` along",
    label = "not `Send + 'static`",
    note = "it may go on without its caller, on another thread: take the argument owned, or leave out what makes it so: `coalesce = detached`, `stale`, `refresh` or `soft`"
)]
pub trait Along: Send + 'static {}

#[diagnostic::do_not_recommend]
impl<T: Send + 'static> Along for T {}

/// Asks that an argument that is owned already can be taken along.
pub fn along<T: Along>(argument: T) -> T {
    argument
}

/// What a borrowed argument of such a run has to be, so that the run has one of its own.
#[diagnostic::on_unimplemented(
    message = "a run that may outlive its caller needs a `{Self}` of its own",
    label = "cannot be cloned, or not sent to another thread",
    note = "it may go on without its caller: derive `Clone`, pass an `Arc`, or leave out what makes it so: `coalesce = detached`, `stale`, `refresh` or `soft`"
)]
pub trait Own: ToOwned<Owned: Send + 'static> {}

#[diagnostic::do_not_recommend]
impl<T: ?Sized + ToOwned<Owned: Send + 'static>> Own for T {}

/// The argument, owned.
pub fn owned<T: Own + ?Sized>(argument: &T) -> T::Owned {
    argument.to_owned()
}

/// The argument, owned, if there is one.
pub fn owned_option<T: Own + ?Sized>(argument: Option<&T>) -> Option<T::Owned> {
    argument.map(ToOwned::to_owned)
}

/// The argument as it was.
pub fn borrowed<T: Own + ?Sized>(owned: &T::Owned) -> &T {
    owned.borrow()
}

/// The argument as it was, if there was one.
pub fn borrowed_option<T: Own + ?Sized>(owned: &Option<T::Owned>) -> Option<&T> {
    owned.as_ref().map(Borrow::borrow)
}
