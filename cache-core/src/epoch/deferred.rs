//! Garbage that is rare: kept with its stamp until it is past, then dropped.
//!
//! (1) [`defer`] drops nothing, so it may be called under locks and pins. (2) [`collect`] drops outside of the lock here, one
//! piece at a time, and nothing while the calling thread is pinned or already collects: a drop that comes back here adds to
//! the line, and goes no deeper. (3) A drop that panics ends nothing. (4) Pieces lie in the order of their stamps.
//! (5) A long line's memory goes with its last piece.

use std::cell::Cell;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};

#[cfg(loom)]
use loom::{lazy_static, thread_local};
#[cfg(shuttle)]
use shuttle::{lazy_static, thread_local};

use super::domain::Stamp;
use super::local;
use crate::sync::{AtomicUsize, Mutex, Ordering};

trait Garbage: Send {}

impl<T: Send> Garbage for T {}

struct Line {
    pieces: Mutex<VecDeque<(Stamp, Box<dyn Garbage>)>>,
    /// How many there are, those that are being dropped included: so that a look at an empty line costs a load, and who finds it empty finds
    /// everything dropped.
    count: AtomicUsize,
}

#[cfg(not(any(shuttle, loom)))]
static LINE: Line = Line { pieces: Mutex::new(VecDeque::new()), count: AtomicUsize::new(0) };

#[cfg(any(shuttle, loom))]
lazy_static! {
    static ref LINE: Line = Line { pieces: Mutex::new(VecDeque::new()), count: AtomicUsize::new(0) };
}

#[cfg(not(any(shuttle, loom)))]
thread_local! {
    static COLLECTS: Cell<bool> = const { Cell::new(false) };
}

#[cfg(any(shuttle, loom))]
thread_local! {
    static COLLECTS: Cell<bool> = Cell::new(false);
}

/// Has something dropped by a later [`collect`], on whatever thread, when nobody can use it any more. It must be out of
/// reach already.
pub(crate) fn defer<T: Send + 'static>(garbage: T) {
    let garbage = Box::new(garbage);
    let mut pieces = LINE.pieces.lock();
    // Taken in here for (4): one reader of the epoch after the other.
    pieces.push_back((local::stamp(), garbage));
    LINE.count.fetch_add(1, Ordering::Relaxed);
}

/// Pieces that somebody drops who has other things to do: so many, or a part of a long line, which so cannot grow for ever.
const SOME: usize = 16;
const PART: usize = 64;

/// Pieces for which an empty line keeps room.
pub(super) const KEPT: usize = 1024;

/// Drops the garbage that is past; costs one load if there is none. To be called where no lock is held.
#[inline]
pub(crate) fn collect() {
    if LINE.count.load(Ordering::Relaxed) != 0 {
        drop_what_is_past(usize::MAX);
    }
}

/// As [`collect`], but of few pieces.
#[inline]
pub(super) fn collect_some() {
    let count = LINE.count.load(Ordering::Relaxed);
    if count != 0 {
        drop_what_is_past(SOME.max(count / PART));
    }
}

/// Whether no garbage waits, and none is being dropped by anybody.
pub(crate) fn is_clean() -> bool {
    LINE.count.load(Ordering::Acquire) == 0
}

#[cold]
fn drop_what_is_past(most: usize) {
    if local::is_pinned() {
        return;
    }
    let Some(_collects) = Collects::begin() else { return };
    local::advance();
    for garbage in std::iter::from_fn(next).take(most) {
        if catch_unwind(AssertUnwindSafe(|| drop(garbage))).is_err() {
            tracing::error!(target: "strata_cache", "user code panicked while old memory was dropped");
        }
        LINE.count.fetch_sub(1, Ordering::Release);
    }
}

fn next() -> Option<Box<dyn Garbage>> {
    let mut pieces = LINE.pieces.lock();
    let (stamp, _) = pieces.front()?;
    if !local::is_past(*stamp) {
        return None;
    }
    let garbage = pieces.pop_front().map(|(_, garbage)| garbage);
    if pieces.is_empty() && pieces.capacity() > KEPT {
        *pieces = VecDeque::new();
    }
    garbage
}

/// While it lives, the calling thread collects and does not begin again.
struct Collects;

impl Collects {
    fn begin() -> Option<Self> {
        COLLECTS.try_with(|collects| !collects.replace(true)).is_ok_and(|began| began).then_some(Self)
    }
}

impl Drop for Collects {
    fn drop(&mut self) {
        // Gone only with its thread.
        let _ = COLLECTS.try_with(|collects| collects.set(false));
    }
}

/// For how many pieces the line has room, for tests.
#[cfg(all(test, not(any(shuttle, loom))))]
pub(crate) fn room() -> usize {
    LINE.pieces.lock().capacity()
}

/// How many pieces wait, for tests.
#[cfg(all(test, not(any(shuttle, loom))))]
pub(crate) fn pieces() -> usize {
    LINE.count.load(Ordering::Relaxed)
}
