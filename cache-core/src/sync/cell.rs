//! A cell whose accesses an explorer can watch: loom reports two that race.

#[cfg(not(loom))]
use std::cell;

#[cfg(loom)]
use loom::cell;

/// `UnsafeCell`, reached only inside of closures.
#[derive(Debug)]
pub struct UnsafeCell<T>(cell::UnsafeCell<T>);

impl<T> UnsafeCell<T> {
    /// Wraps a value.
    #[cfg(not(loom))]
    pub const fn new(value: T) -> Self {
        Self(cell::UnsafeCell::new(value))
    }

    /// Wraps a value.
    #[cfg(loom)]
    pub fn new(value: T) -> Self {
        Self(cell::UnsafeCell::new(value))
    }

    /// Calls with a pointer to read from. It is meant for the time of the call.
    #[inline]
    pub fn with<R>(&self, read: impl FnOnce(*const T) -> R) -> R {
        #[cfg(not(loom))]
        return read(self.0.get());
        #[cfg(loom)]
        self.0.with(read)
    }

    /// Calls with a pointer to write to. It is meant for the time of the call.
    #[inline]
    pub fn with_mut<R>(&self, write: impl FnOnce(*mut T) -> R) -> R {
        #[cfg(not(loom))]
        return write(self.0.get());
        #[cfg(loom)]
        self.0.with_mut(write)
    }

    /// Takes the value out.
    pub fn into_inner(self) -> T {
        self.0.into_inner()
    }
}
