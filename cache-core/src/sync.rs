//! The locks and atomics of the core, so that a schedule explorer can stand in for the real ones.
//!
//! Everything else in this crate takes them from here. Built with `--cfg shuttle` they are shuttle's, whose
//! scheduler then chooses every interleaving; otherwise they are parking_lot's and std's. Locks do not poison:
//! what runs under them leaves its structure sound even when it unwinds.

#[cfg(not(shuttle))]
pub use parking_lot::{Condvar, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};
#[cfg(not(shuttle))]
pub use std::{
    sync::{
        Arc, OnceLock, Weak,
        atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence},
    },
    thread,
};

#[cfg(shuttle)]
pub use explored::{Condvar, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};
#[cfg(shuttle)]
pub use shuttle::{
    sync::atomic::{AtomicBool, AtomicI64, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence},
    thread,
};
#[cfg(shuttle)]
pub use std::sync::{Arc, OnceLock, Weak};

/// Shuttle's locks behind parking_lot's signatures.
#[cfg(shuttle)]
mod explored {
    use std::sync::PoisonError;
    use std::time::{Duration, Instant};

    pub use shuttle::sync::{MutexGuard, RwLockReadGuard, RwLockWriteGuard};

    /// A mutual exclusion lock that does not poison.
    #[derive(Debug, Default)]
    pub struct Mutex<T>(shuttle::sync::Mutex<T>);

    impl<T> Mutex<T> {
        /// Wraps a value.
        pub fn new(value: T) -> Self {
            Self(shuttle::sync::Mutex::new(value))
        }
        /// Waits for the lock.
        pub fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }
        /// Takes the lock if it is free.
        pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
            self.0.try_lock().ok()
        }
        /// Reaches the value through exclusive access.
        pub fn get_mut(&mut self) -> &mut T {
            self.0.get_mut().unwrap_or_else(PoisonError::into_inner)
        }
        /// Takes the value out.
        pub fn into_inner(self) -> T {
            self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
        }
    }

    /// A reader-writer lock that does not poison.
    #[derive(Debug, Default)]
    pub struct RwLock<T>(shuttle::sync::RwLock<T>);

    impl<T> RwLock<T> {
        /// Wraps a value.
        pub fn new(value: T) -> Self {
            Self(shuttle::sync::RwLock::new(value))
        }
        /// Waits for shared access.
        pub fn read(&self) -> RwLockReadGuard<'_, T> {
            self.0.read().unwrap_or_else(PoisonError::into_inner)
        }
        /// Waits for exclusive access.
        pub fn write(&self) -> RwLockWriteGuard<'_, T> {
            self.0.write().unwrap_or_else(PoisonError::into_inner)
        }
    }

    /// A condition variable; time-outs count as spurious wake-ups, for there is no time under exploration.
    #[derive(Debug, Default)]
    pub struct Condvar(());

    impl Condvar {
        /// Makes one.
        pub fn new() -> Self {
            Self(())
        }
        /// Wakes one.
        pub fn notify_one(&self) {}
        /// Wakes all.
        pub fn notify_all(&self) {}
        /// Returns at once.
        pub fn wait<T>(&self, _guard: &mut MutexGuard<'_, T>) {}
        /// Returns at once.
        pub fn wait_until<T>(&self, _guard: &mut MutexGuard<'_, T>, _deadline: Instant) {}
        /// Returns at once.
        pub fn wait_for<T>(&self, _guard: &mut MutexGuard<'_, T>, _time: Duration) {}
    }
}
