//! What a thread is inside of: the values under which code, or a poll of a future, runs.
//!
//! (1) Nested ones restore the outer one, also when the inner code panics. (2) Values are dropped outside of the borrow: one may be
//! the last handle of a cache. (3) A thread that is past the life of its locals is inside of nothing.

use std::cell::RefCell;
use std::thread::LocalKey;

/// A thread's values, the innermost last.
pub(crate) type Stack<T> = LocalKey<RefCell<Vec<T>>>;

/// The innermost value.
pub(crate) fn innermost<T: Clone>(stack: &'static Stack<T>) -> Option<T> {
    stack.try_with(|values| values.borrow().last().cloned()).ok().flatten()
}

/// A value is the innermost one until this is dropped.
#[must_use]
pub(crate) struct Inside<T: 'static>(Option<&'static Stack<T>>);

impl<T> Inside<T> {
    pub(crate) fn of(stack: &'static Stack<T>, value: T) -> Self {
        let entered = stack.try_with(|values| values.borrow_mut().push(value));
        Self(entered.is_ok().then_some(stack))
    }
}

impl<T> Drop for Inside<T> {
    fn drop(&mut self) {
        let left = self.0.map(|stack| stack.try_with(|values| values.borrow_mut().pop()));
        drop(left);
    }
}
