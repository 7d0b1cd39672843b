//! The locks and atomics of the core, so that a schedule explorer can stand in for the real ones.
//!
//! Everything else in this crate takes them from here. Built with `--cfg shuttle` they are shuttle's, whose
//! scheduler then chooses every interleaving; with `--cfg loom` they are loom's, which also tries every value that a
//! memory order allows a load to see; otherwise they are parking_lot's and std's. Locks do not poison: what runs under
//! them leaves its structure sound even when it unwinds.

mod cell;
#[cfg(any(shuttle, loom))]
mod explored;
#[cfg(loom)]
mod once;

pub use cell::UnsafeCell;
#[cfg(any(shuttle, loom))]
pub use explored::{Condvar, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};
#[cfg(loom)]
pub use once::OnceLock;
#[cfg(not(any(shuttle, loom)))]
pub use parking_lot::{Condvar, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};
#[cfg(shuttle)]
pub use std::sync::OnceLock;
#[cfg(any(shuttle, loom))]
pub use std::sync::{Arc, Weak};
#[cfg(not(any(shuttle, loom)))]
pub use std::{
    sync::{
        Arc, OnceLock, Weak,
        atomic::{
            AtomicBool, AtomicI64, AtomicPtr, AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize,
            Ordering, fence,
        },
    },
    thread,
};

#[cfg(loom)]
pub use loom::{
    sync::atomic::{
        AtomicBool, AtomicI64, AtomicPtr, AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering,
        fence,
    },
    thread,
};
#[cfg(shuttle)]
pub use shuttle::{
    sync::atomic::{
        AtomicBool, AtomicI64, AtomicPtr, AtomicU8, AtomicU16, AtomicU32, AtomicU64, AtomicUsize, Ordering,
        fence,
    },
    thread,
};
