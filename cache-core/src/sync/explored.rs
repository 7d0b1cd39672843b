//! The explorers' locks behind parking_lot's signatures.

#[cfg(loom)]
use loom::sync;
#[cfg(shuttle)]
use shuttle::sync;

use std::sync::PoisonError;
use std::time::{Duration, Instant};

pub use sync::{MutexGuard, RwLockReadGuard, RwLockWriteGuard};

/// A mutual exclusion lock that does not poison.
#[derive(Debug, Default)]
pub struct Mutex<T>(sync::Mutex<T>);

impl<T> Mutex<T> {
    /// Wraps a value.
    pub fn new(value: T) -> Self {
        Self(sync::Mutex::new(value))
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
pub struct RwLock<T>(sync::RwLock<T>);

impl<T> RwLock<T> {
    /// Wraps a value.
    pub fn new(value: T) -> Self {
        Self(sync::RwLock::new(value))
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
