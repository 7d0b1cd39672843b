//! What the database holds, and what may be told of it.

use std::collections::HashMap;
use std::time::Duration;

/// A scope by its place in `world::SCOPES`, and a key in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct At {
    pub(crate) scope: usize,
    pub(crate) key: u8,
}

/// A value: where it belongs, which version it is, and which load or write brought it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Value {
    pub(crate) at: At,
    pub(crate) version: u64,
    pub(crate) serial: u64,
}

/// How long an entry lives, and is kept.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    pub(crate) written: Duration,
    pub(crate) ttl: Duration,
}

#[derive(Default)]
pub(crate) struct Oracle {
    /// What the database holds now.
    versions: HashMap<At, u64>,
    /// No call that begins now may be told less.
    floors: HashMap<At, u64>,
    /// When what was brought under a serial was stored, or found unchanged, last.
    times: HashMap<u64, Times>,
    running: HashMap<At, u32>,
    next: u64,
}

impl Oracle {
    pub(crate) fn version(&self, at: At) -> u64 {
        self.versions.get(&at).copied().unwrap_or(0)
    }

    pub(crate) fn floor(&self, at: At) -> u64 {
        self.floors.get(&at).copied().unwrap_or(0)
    }

    /// The database is written to.
    pub(crate) fn write(&mut self, at: At) -> u64 {
        let version = self.versions.entry(at).or_default();
        *version += 1;
        *version
    }

    /// An invalidation, or a write to the cache, has returned: whoever begins from now on is told what is there now, or later.
    pub(crate) fn raise(&mut self, at: At) {
        let now = self.version(at);
        self.floors.insert(at, now);
    }

    pub(crate) fn serial(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// What was brought under a serial begins its time now.
    pub(crate) fn begin_time(&mut self, serial: u64, written: Duration, ttl: Duration) {
        self.times.insert(serial, Times { written, ttl });
    }

    /// A load begins to run.
    pub(crate) fn begin_run(&mut self, at: At) {
        let running = self.running.entry(at).or_default();
        *running += 1;
        assert!(*running <= 2, "{running} loads of {at:?} run at a time");
    }

    pub(crate) fn end_run(&mut self, at: At) {
        if let Some(running) = self.running.get_mut(&at) {
            *running -= 1;
        }
    }

    pub(crate) fn running(&self) -> u32 {
        self.running.values().sum()
    }

    /// A call was answered with a value.
    pub(crate) fn check(
        &self,
        at: At,
        floor: u64,
        value: &Value,
        now: Duration,
        stale: Option<(Duration, Duration)>,
    ) {
        assert_eq!(value.at, at, "a value of another key or scope");
        assert!(
            value.version >= floor,
            "{at:?}: version {} was told, and {floor} was there before the call began",
            value.version
        );
        let Some(times) = self.times.get(&value.serial) else {
            panic!("{at:?}: a value that nothing brought")
        };
        let age = now.saturating_sub(times.written);
        match stale {
            None => assert!(
                age < times.ttl || age.is_zero(),
                "{at:?}: not marked stale at the age of {age:?}: {times:?}"
            ),
            Some((past, window)) => {
                assert_eq!(age.saturating_sub(times.ttl), past, "{at:?}: marked with another age: {times:?}");
                assert!(past < window, "{at:?}: stale by {past:?}, where {window:?} are taken");
            }
        }
    }

    /// As [`check`](Self::check), of one of several answers that are given together: it was found at some moment since the call began,
    /// and does not say how old it was then.
    pub(crate) fn check_one(
        &self,
        at: At,
        floor: u64,
        value: &Value,
        begun: Duration,
        window: Option<Duration>,
    ) {
        let Some(times) = self.times.get(&value.serial) else {
            panic!("{at:?}: a value that nothing brought")
        };
        let found = begun.max(times.written);
        let age = found - times.written;
        let stale = (age >= times.ttl && !age.is_zero()).then(|| age - times.ttl);
        self.check(at, floor, value, found, window.and_then(|window| Some((stale?, window))));
    }
}
