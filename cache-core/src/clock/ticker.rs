//! The thread that keeps the word fresh: one for the process, and only while look-ups ask for it.
//!
//! (1) It starts when it is first asked for, and ends with the last system clock. (2) While the word is not armed it waits, and
//! nothing wakes it but a question or that end. Who asks arms the word, so that it serves before the thread runs; the thread
//! disarms it before it rests or ends. (3) If it cannot be started, look-ups read the clock, for good. That is
//! not logged: a subscriber is user code, and look-ups hold locks.

#[cfg(not(any(shuttle, loom)))]
pub(super) use thread::ask;
use thread::{held, let_go};

/// Explored schedules have no thread of ours: look-ups read the clock.
#[cfg(any(shuttle, loom))]
pub(super) fn ask() {}

/// A system clock lives.
#[derive(Debug)]
pub(super) struct Held(());

impl Held {
    pub(super) fn new() -> Self {
        held();
        Self(())
    }
}

impl Clone for Held {
    fn clone(&self) -> Self {
        Self::new()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let_go();
    }
}

#[cfg(not(any(shuttle, loom)))]
mod thread {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use crate::clock::system::{TICK, read};
    use crate::clock::tick::{Keeper, PERIOD};
    use crate::sync::{Condvar, Mutex, thread};

    #[derive(PartialEq, Eq)]
    enum State {
        /// There is no thread.
        Absent,
        /// It waits, or will soon.
        Resting,
        /// It has been asked for, or keeps the word.
        Wanted,
        /// It could not be started.
        Refused,
    }

    static STATE: Mutex<State> = Mutex::new(State::Absent);
    static BELL: Condvar = Condvar::new();
    static CLOCKS: AtomicUsize = AtomicUsize::new(0);

    pub(in crate::clock) fn held() {
        CLOCKS.fetch_add(1, Ordering::Relaxed);
    }

    pub(in crate::clock) fn let_go() {
        if CLOCKS.fetch_sub(1, Ordering::Relaxed) == 1 {
            // Under the lock, so that the thread either sees the count or hears the bell.
            let _state = STATE.lock();
            BELL.notify_all();
        }
    }

    /// Has the thread keep the word fresh. Cheap enough under a lock; waits for nobody who runs user code.
    pub(in crate::clock) fn ask() {
        let mut state = STATE.lock();
        match *state {
            State::Wanted | State::Refused => {}
            State::Resting => {
                *state = State::Wanted;
                TICK.arm(read());
                BELL.notify_all();
            }
            State::Absent => {
                let started = thread::Builder::new().name("strata-clock".into()).spawn(run);
                *state = if started.is_ok() { State::Wanted } else { State::Refused };
                if started.is_ok() {
                    TICK.arm(read());
                }
            }
        }
    }

    fn run() {
        loop {
            let mut state = STATE.lock();
            while *state != State::Wanted && CLOCKS.load(Ordering::Relaxed) > 0 {
                BELL.wait(&mut state);
            }
            if CLOCKS.load(Ordering::Relaxed) == 0 {
                *state = State::Absent;
                TICK.disarm();
                return;
            }
            drop(state);
            let mut keeper = Keeper::new(&TICK, read());
            while keeper.keep(read()) && CLOCKS.load(Ordering::Relaxed) > 0 {
                thread::sleep(PERIOD);
            }
            drop(keeper);
            // Who asked in between was not heard, and asks again in the next step.
            *STATE.lock() = State::Resting;
        }
    }
}

#[cfg(any(shuttle, loom))]
mod thread {
    pub(super) fn held() {}
    pub(super) fn let_go() {}
}
