//! The domain of the process, and how a thread finds its record in it.
//!
//! The record is found in a thread-local cell that has no destructor, so that it costs one load and outlives all others.
//! A second thread-local gives the record back when the thread ends. A pin that is made still later, in somebody's destructor,
//! takes a record for itself, which its drop gives back.

use std::cell::Cell;

#[cfg(loom)]
use loom::{lazy_static, thread_local};
#[cfg(shuttle)]
use shuttle::{lazy_static, thread_local};

use super::barrier;
use super::domain::{Domain, Stamp};
#[cfg(not(any(shuttle, loom)))]
use super::record::NOBODYS;
use super::record::Record;
pub use super::record::{Glimpse, Pin};

#[cfg(not(any(shuttle, loom)))]
static DOMAIN: Domain = Domain::new();

#[cfg(any(shuttle, loom))]
lazy_static! {
    static ref DOMAIN: Domain = Domain::new();
}

#[cfg(not(any(shuttle, loom)))]
thread_local! {
    static MINE: Cell<&'static Record> = const { Cell::new(&NOBODYS) };
    /// The same, for glimpses: if they are permitted, and the thread knows that the kernel runs its fences where it can.
    static QUICK: Cell<&'static Record> = const { Cell::new(&NOBODYS) };
    static LEAVER: Leaver = const { Leaver };
}

#[cfg(any(shuttle, loom))]
thread_local! {
    static MINE: Cell<Option<&'static Record>> = Cell::new(None);
    static LEAVER: Leaver = Leaver;
}

/// Gives the thread's record back when the thread ends.
struct Leaver;

impl Drop for Leaver {
    fn drop(&mut self) {
        if let Some(record) = mine()
            && record.leave()
        {
            keep(None);
        }
    }
}

#[cfg(not(any(shuttle, loom)))]
#[inline]
pub(super) fn mine() -> Option<&'static Record> {
    Some(MINE.get()).filter(|&mine| !std::ptr::eq(mine, &raw const NOBODYS))
}

#[cfg(not(any(shuttle, loom)))]
fn keep(record: Option<&'static Record>) {
    MINE.set(record.unwrap_or(&NOBODYS));
    QUICK.set(&NOBODYS);
}

#[cfg(any(shuttle, loom))]
pub(super) fn mine() -> Option<&'static Record> {
    MINE.try_with(Cell::get).ok().flatten()
}

#[cfg(any(shuttle, loom))]
fn keep(record: Option<&'static Record>) {
    // An explored thread can have lost the cell; it takes a record at each pin then.
    let _ = MINE.try_with(|mine| mine.set(record));
}

/// The last pin of a record that nobody else gives back is gone.
#[cold]
pub(super) fn forget(record: &'static Record) {
    if mine().is_some_and(|mine| std::ptr::eq(mine, record)) {
        keep(None);
    }
}

#[cold]
fn take() -> &'static Record {
    let record = DOMAIN.records().take();
    if LEAVER.try_with(|_| ()).is_err() {
        record.orphan();
    }
    keep(Some(record));
    record
}

/// Has the kernel run the fences of those who pin, if it can.
pub(crate) fn prepare() {
    if barrier::ask_kernel() {
        DOMAIN.leave_fences_to_the_kernel();
    }
}

/// Pins the calling thread. Nested pins only count.
#[inline]
pub fn pin() -> Pin {
    let record = mine().unwrap_or_else(take);
    if record.is_in_a_glimpse() { pin_beside() } else { record.pin(DOMAIN.epoch()) }
}

/// Pins with a record of its own.
#[cold]
fn pin_beside() -> Pin {
    let record = DOMAIN.records().take();
    record.orphan();
    record.pin(DOMAIN.epoch())
}

/// Whether the calling thread may glimpse from now on, which it may not before it is told so. It does nothing else meanwhile
/// than look: who has more to do with each look-up, such as to tell of it, forbids it.
#[inline]
pub fn permit_glimpses(permit: bool) {
    #[cfg(not(any(shuttle, loom)))]
    if permit == std::ptr::eq(QUICK.get(), &raw const NOBODYS) {
        change_quick(permit);
    }
    #[cfg(any(shuttle, loom))]
    let _ = permit;
}

#[cfg(not(any(shuttle, loom)))]
#[cold]
#[inline(never)]
fn change_quick(permit: bool) {
    // A change to the kernel's fences is made once, and whoever has seen it sees it at every later look.
    let is_fenced = barrier::MAY_BE_LEFT_TO_THE_KERNEL && DOMAIN.is_fenced();
    QUICK.set(if permit && !is_fenced { MINE.get() } else { &NOBODYS });
}

/// Pins the calling thread, if it [may glimpse](permit_glimpses), was pinned before and is not now.
#[inline]
pub fn glimpse() -> Option<Glimpse> {
    #[cfg(not(any(shuttle, loom)))]
    return QUICK.get().glimpse(DOMAIN.epoch());
    #[cfg(any(shuttle, loom))]
    return mine()?.glimpse(DOMAIN.epoch());
}

/// How many records there are, for tests.
#[cfg(test)]
pub(super) fn records() -> usize {
    DOMAIN.records().iter().count()
}

/// Whether the calling thread is pinned.
pub(super) fn is_pinned() -> bool {
    mine().is_some_and(Record::is_pinned)
}

/// The stamp of everything that the caller, or who it synchronised with, took out of reach before. One for many is as good
/// as one for each.
#[inline]
pub(crate) fn stamp() -> Stamp {
    DOMAIN.stamp()
}

/// Whether nobody is left who could have found what was taken out of reach before the stamp. False until some [`advance`]
/// after the last of them left.
#[inline]
pub(crate) fn is_past(stamp: Stamp) -> bool {
    DOMAIN.is_past(stamp)
}

/// Raises the epoch, and finds out which stamps are past. Waits for nobody. Call it outside of locks: it reads a line that
/// another core writes for every thread.
pub(crate) fn advance() {
    DOMAIN.advance();
}
