//! A word with the time in it, which many look-ups read instead of the clock.
//!
//! (1) The word is the [face](Deadline::face) of a reading of the clock, or all ones, *not armed*, with which no deadline
//! compares as later. (2) Who asks for a keeper arms it, if there is one, and the keeper disarms it; meanwhile it only rises,
//! and whoever reads the clock in a step that is new to him raises it. (3) Who reads through an [`Observer`] is never told
//! less than before; who compares with the bare word may be a step behind it. (4) Nobody decides by the word that something
//! may be kept: deadlines are made, and entries taken out, by readings of the clock itself.
//!
//! *How late it is.* While armed the keeper raises it every [`PERIOD`], 4 ms; the clock itself steps by 4 ms on Linux. So a
//! look-up may see the time of 8 ms ago, and whatever the operating system adds when it runs the keeper late. That
//! delay has no bound of ours, but a thread reads the clock itself at every [`REREAD`]th look-up, and all threads see what it read:
//! if the keeper does not run at all (a starved process, or the child of a fork), stale answers end after 31 look-ups of a thread.
//!
//! *When it is armed.* A thread that reads the clock [`ASK`] times within one step of it (2^22 ns) asks for it: 64,000
//! look-ups a second, from where on the reads would cost more than a third of the keeper's 250 awakenings. The keeper
//! disarms it when no thread has come to its next rereading for [`IDLE`].
//! Cost: a load of a shared line that is written 250 times a second, and two words of the thread's own.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::{Deadline, Moment};

/// Between two raises by the keeper.
#[cfg_attr(any(shuttle, loom), allow(dead_code, reason = "explored schedules have no thread of ours"))]
pub(super) const PERIOD: Duration = Duration::from_millis(4);

/// Nanoseconds without use until it is disarmed.
const IDLE: u64 = 100_000_000;

/// Of this many look-ups of a thread, one reads the clock.
pub(crate) const REREAD: u32 = 32;

/// Look-ups of a thread in one step of the clock that make it ask for the keeper.
const ASK: u32 = 256;

/// The word while it is not armed.
const UNARMED: u64 = u64::MAX;

/// The word of a clock that has none.
pub(super) static NEVER_ARMED: AtomicU64 = AtomicU64::new(UNARMED);

fn face(reading: u64) -> u64 {
    Deadline::pack(Moment::from_nanos(reading)).face()
}

/// A step, as a shift of nanoseconds: 4.2 ms.
const STEP: u32 = 22;

/// Alone in its cache lines: all threads read the one word, and write the other now and then.
#[derive(Debug)]
#[repr(align(128))]
struct Alone<T>(T);

/// The word.
#[derive(Debug)]
pub(super) struct Tick {
    time: Alone<AtomicU64>,
    used: Alone<AtomicBool>,
}

/// What one thread remembers.
#[derive(Debug)]
pub(super) struct Observer {
    /// Look-ups since it last read the clock in a new step.
    look_ups: Cell<u32>,
    /// Its last reading of the clock.
    last: Cell<u64>,
}

impl Observer {
    pub(super) const fn new() -> Self {
        Self { look_ups: Cell::new(0), last: Cell::new(0) }
    }

    /// Remembers a reading. Whether it lies in another step than the last one.
    fn remember(&self, reading: u64) -> bool {
        let last = self.last.replace(reading);
        (reading ^ last) >> STEP != 0
    }
}

impl Tick {
    /// Not armed.
    pub(super) const fn new() -> Self {
        Self { time: Alone(AtomicU64::new(UNARMED)), used: Alone(AtomicBool::new(false)) }
    }

    /// The word itself.
    #[inline]
    pub(super) fn word(&self) -> &AtomicU64 {
        &self.time.0
    }

    /// Arms the word, for a keeper who will be there soon.
    pub(super) fn arm(&self, reading: u64) {
        self.used.0.store(false, Ordering::Relaxed);
        self.time.0.store(face(reading), Ordering::Release);
    }

    /// From now on the clock is read.
    pub(super) fn disarm(&self) {
        // Who arms it next has seen what others raised it to.
        self.time.0.swap(UNARMED, Ordering::AcqRel);
    }

    /// The time by the clock.
    pub(super) fn read(&self, observer: &Observer, clock: impl FnOnce() -> u64) -> u64 {
        let reading = clock().max(observer.last.get());
        if observer.remember(reading) {
            observer.look_ups.set(0);
            self.raise(reading);
        }
        reading
    }

    /// The time for a look-up, by the word; if there is none, it is for [`look`](Self::look) to say.
    #[inline]
    pub(super) fn glance(&self, observer: &Observer) -> Option<u64> {
        // `Acquire`: the clock is not behind the word for who goes on to read it.
        let time = self.time.0.load(Ordering::Acquire);
        let look_ups = observer.look_ups.get().wrapping_add(1);
        observer.look_ups.set(look_ups);
        // The word may have been armed with an older reading than the thread's own; it does not fall afterwards.
        let nanos = || Deadline::within(time).moment().nanos();
        (time != UNARMED && !look_ups.is_multiple_of(REREAD)).then(|| nanos().max(observer.last.get()))
    }

    /// The time for a look-up, by the clock. `ask` is to have a keeper arm the word.
    pub(super) fn look(&self, observer: &Observer, clock: impl FnOnce() -> u64, ask: impl FnOnce()) -> u64 {
        let reading = clock().max(observer.last.get());
        let is_new_step = observer.remember(reading);
        if self.raise(reading) {
            if !self.used.0.load(Ordering::Relaxed) {
                self.used.0.store(true, Ordering::Relaxed);
            }
        } else if is_new_step {
            observer.look_ups.set(1);
        } else if observer.look_ups.get() >= ASK {
            observer.look_ups.set(0);
            ask();
        }
        reading
    }

    /// Raises the word to a reading. Whether it is armed.
    fn raise(&self, reading: u64) -> bool {
        let reading = face(reading);
        let mut time = self.time.0.load(Ordering::Acquire);
        while time < reading {
            match self.time.0.compare_exchange_weak(time, reading, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => return true,
                Err(other) => time = other,
            }
        }
        time != UNARMED
    }
}

/// Who keeps an armed word fresh, and disarms it. It is called every [`PERIOD`].
#[derive(Debug)]
pub(super) struct Keeper<'a> {
    tick: &'a Tick,
    used_at: u64,
}

impl<'a> Keeper<'a> {
    /// Takes over an armed word.
    pub(super) fn new(tick: &'a Tick, reading: u64) -> Self {
        Self { tick, used_at: reading }
    }

    /// Raises the word; whether to go on. If not, it has been disarmed.
    pub(super) fn keep(&mut self, reading: u64) -> bool {
        self.tick.raise(reading);
        if self.tick.used.0.swap(false, Ordering::Relaxed) {
            self.used_at = reading;
        }
        reading.saturating_sub(self.used_at) < IDLE
    }
}

impl Drop for Keeper<'_> {
    fn drop(&mut self) {
        self.tick.disarm();
    }
}

#[cfg(test)]
mod tests;
