//! std's `OnceLock` as loom has to see it: a flag that is stored with `Release` and loaded with `Acquire`.

use std::fmt;
use std::sync;

use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;

/// A value that is set once.
pub struct OnceLock<T> {
    value: sync::OnceLock<T>,
    is_set: AtomicBool,
}

impl<T> OnceLock<T> {
    /// Without a value.
    pub fn new() -> Self {
        Self { value: sync::OnceLock::new(), is_set: AtomicBool::new(false) }
    }

    /// The value, if it is set.
    pub fn get(&self) -> Option<&T> {
        if self.is_set.load(Ordering::Acquire) { self.value.get() } else { None }
    }

    /// Sets the value, or gives it back once another one is there.
    pub fn set(&self, value: T) -> Result<(), T> {
        let set = self.value.set(value);
        if set.is_ok() {
            self.is_set.store(true, Ordering::Release);
        }
        while !self.is_set.load(Ordering::Acquire) {
            thread::yield_now();
        }
        set
    }
}

impl<T> Default for OnceLock<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for OnceLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OnceLock")
    }
}
