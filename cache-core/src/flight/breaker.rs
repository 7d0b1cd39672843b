//! A breaker: after so many loads in a row that failed, none is begun for a while; then one tries whether it is over.
//!
//! States: *closed* (loads run, failures in a row are counted) → *open* until a moment → *half open* (one probe runs) → closed if it
//! succeeds, open again if not. (1) Of a half open one, one probe runs at a time; one that is given up without an answer leaves its place
//! to the next. (2) What ends while it is open, and is not the probe, changes nothing: it was begun before. (3) No clock of its own.
//! After Nygard, "Release It!", 2007, section 5.2. Cost: one short lock a load; nothing for hits.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::clock::Moment;
use crate::sync::{Arc, Mutex};

/// When a breaker opens, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerSettings {
    /// So many loads in a row have failed.
    pub failures: NonZeroU32,
    /// So long it stays open before a probe.
    pub cool_down: Duration,
}

/// How a breaker stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Condition {
    /// Loads run.
    Closed,
    /// No load is begun for so long.
    Open(Duration),
    /// The next load is a probe, or one runs.
    HalfOpen,
}

/// A breaker.
#[derive(Debug)]
pub struct Breaker {
    settings: BreakerSettings,
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Closed {
        failures: u32,
    },
    Open {
        until: Moment,
    },
    /// The number of the probe that runs.
    Probing {
        probe: u64,
    },
}

/// The word of a breaker on one load.
#[derive(Debug)]
pub enum Verdict {
    /// It may run; its end is to be told.
    Run(Trial),
    /// It may not, for so long.
    Refused(Duration),
}

/// What an end of a load did to the breaker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Nothing.
    None,
    /// It opened.
    Opened,
    /// It closed again.
    Closed,
}

impl Breaker {
    /// A closed one.
    pub fn new(settings: BreakerSettings) -> Arc<Self> {
        Arc::new(Self { settings, state: Mutex::new(State::Closed { failures: 0 }) })
    }

    /// Whether a load may begin.
    pub fn ask(self: &Arc<Self>, now: Moment) -> Verdict {
        let mut state = self.state.lock();
        let probe = match *state {
            State::Closed { .. } => None,
            State::Open { until } if until > now => return Verdict::Refused(until.since(now)),
            State::Open { .. } => Some(fresh()),
            // Somebody tries; how long that takes nobody knows.
            State::Probing { .. } => return Verdict::Refused(Duration::ZERO),
        };
        if let Some(probe) = probe {
            *state = State::Probing { probe };
        }
        drop(state);
        Verdict::Run(Trial { breaker: Arc::clone(self), probe, is_told: false })
    }

    /// How it stands.
    pub fn condition(&self, now: Moment) -> Condition {
        match *self.state.lock() {
            State::Closed { .. } => Condition::Closed,
            State::Open { until } if until > now => Condition::Open(until.since(now)),
            State::Open { .. } | State::Probing { .. } => Condition::HalfOpen,
        }
    }

    fn end(&self, probe: Option<u64>, now: Moment, went_well: bool) -> Turn {
        let mut state = self.state.lock();
        let is_the_probe =
            matches!((*state, probe), (State::Probing { probe: known }, Some(own)) if known == own);
        match *state {
            _ if is_the_probe && went_well => {
                *state = State::Closed { failures: 0 };
                Turn::Closed
            }
            _ if is_the_probe => {
                *state = self.open(now);
                Turn::Opened
            }
            State::Closed { .. } if went_well => {
                *state = State::Closed { failures: 0 };
                Turn::None
            }
            State::Closed { failures } if failures + 1 >= self.settings.failures.get() => {
                *state = self.open(now);
                Turn::Opened
            }
            State::Closed { failures } => {
                *state = State::Closed { failures: failures + 1 };
                Turn::None
            }
            State::Open { .. } | State::Probing { .. } => Turn::None,
        }
    }

    fn open(&self, now: Moment) -> State {
        State::Open { until: now.checked_add(self.settings.cool_down).unwrap_or(Moment::NEVER) }
    }
}

/// A load that a breaker let pass. Dropped without a word it says nothing of the loader.
#[derive(Debug)]
#[must_use = "the breaker is to be told how it ended"]
pub struct Trial {
    breaker: Arc<Breaker>,
    probe: Option<u64>,
    is_told: bool,
}

impl Trial {
    /// The load has ended.
    pub fn end(mut self, now: Moment, went_well: bool) -> Turn {
        self.is_told = true;
        self.breaker.end(self.probe, now, went_well)
    }

    /// Whether it tries if the loader works again.
    pub fn is_probe(&self) -> bool {
        self.probe.is_some()
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        if self.is_told || self.probe.is_none() {
            return;
        }
        let mut state = self.breaker.state.lock();
        if matches!(*state, State::Probing { probe } if Some(probe) == self.probe) {
            // The next one tries, at once.
            *state = State::Open { until: Moment::default() };
        }
    }
}

fn fresh() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    // A name only: nothing is ordered by it.
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

#[cfg(all(test, not(any(shuttle, loom))))]
mod tests {
    use super::*;

    fn breaker(failures: u32) -> Arc<Breaker> {
        let failures = NonZeroU32::new(failures).expect("more than none");
        Breaker::new(BreakerSettings { failures, cool_down: Duration::from_secs(10) })
    }

    fn at(seconds: u64) -> Moment {
        Moment::from_nanos(seconds * 1_000_000_000)
    }

    fn run(breaker: &Arc<Breaker>, now: Moment) -> Trial {
        match breaker.ask(now) {
            Verdict::Run(trial) => trial,
            Verdict::Refused(time) => panic!("refused for {time:?}"),
        }
    }

    #[test]
    fn breaker_opens_after_failures_in_a_row_and_not_before() {
        let breaker = breaker(3);
        for went_well in [false, false, true, false, false] {
            assert_eq!(run(&breaker, at(0)).end(at(0), went_well), Turn::None);
        }
        assert_eq!(run(&breaker, at(1)).end(at(1), false), Turn::Opened);
        assert!(matches!(breaker.ask(at(10)), Verdict::Refused(left) if left == Duration::from_secs(1)));
        assert_eq!(breaker.condition(at(10)), Condition::Open(Duration::from_secs(1)));
    }

    #[test]
    fn half_open_one_lets_one_probe_pass_whose_end_decides() {
        let breaker = breaker(1);
        assert_eq!(run(&breaker, at(0)).end(at(0), false), Turn::Opened);
        let probe = run(&breaker, at(10));
        assert!(probe.is_probe() && matches!(breaker.ask(at(10)), Verdict::Refused(_)));
        assert_eq!(probe.end(at(11), false), Turn::Opened);
        assert!(matches!(breaker.ask(at(20)), Verdict::Refused(_)));
        assert_eq!(run(&breaker, at(21)).end(at(22), true), Turn::Closed);
        assert_eq!(breaker.condition(at(22)), Condition::Closed);
        assert!(!run(&breaker, at(22)).is_probe());
    }

    #[test]
    fn probe_that_is_given_up_leaves_its_place_to_the_next() {
        let breaker = breaker(1);
        assert_eq!(run(&breaker, at(0)).end(at(0), false), Turn::Opened);
        drop(run(&breaker, at(10)));
        assert_eq!(breaker.condition(at(10)), Condition::HalfOpen);
        assert_eq!(run(&breaker, at(10)).end(at(10), true), Turn::Closed);
    }

    #[test]
    fn what_was_begun_before_it_opened_changes_nothing() {
        let breaker = breaker(1);
        let [early, late] = [run(&breaker, at(0)), run(&breaker, at(0))];
        assert_eq!(run(&breaker, at(0)).end(at(0), false), Turn::Opened);
        assert_eq!(early.end(at(5), true), Turn::None);
        let probe = run(&breaker, at(10));
        assert_eq!(late.end(at(10), true), Turn::None);
        assert_eq!(breaker.condition(at(10)), Condition::HalfOpen);
        assert_eq!(probe.end(at(10), true), Turn::Closed);
    }
}
