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

/// Tags that loaders add.
pub(crate) const TAGS: usize = 2;

/// How long an entry lives, and is kept beyond.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    pub(crate) written: Duration,
    pub(crate) ttl: Duration,
    pub(crate) keep: Duration,
}

/// What a call takes in place of a fresh value.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Takes {
    /// At once.
    pub(crate) stale: Duration,
    /// Where a load was tried, and brought none.
    pub(crate) on_error: Duration,
    /// Also where one takes longer than this.
    pub(crate) waits: Option<Duration>,
}

impl Takes {
    pub(crate) fn longest(&self) -> Duration {
        self.stale.max(self.on_error)
    }
}

/// Of a call: what was true when it began.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Since {
    /// It may be told no less.
    version: u64,
    /// When each of the tags that loaders add was last withdrawn.
    withdrawn: [u64; TAGS],
    begun: Duration,
}

/// A call that loads, and since when it may hold the lease, by the count of events.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Caller {
    pub(crate) asked: u64,
    pub(crate) at: Duration,
    /// A batch that takes a load over begins it when the one that it has begun has ended.
    pub(crate) is_batch: bool,
}

/// A load: when it began, and since when it may have had its lease, by the count of events; and the tag that it has added.
#[derive(Debug, Clone, Copy)]
struct Run {
    caller: Caller,
    read: u64,
    leased: u64,
    leased_at: Duration,
    tag: Option<u8>,
}

/// After a load that failed, or was tried in the background, the next one is not tried there for so long.
pub(crate) const THROTTLE: Duration = Duration::from_secs(5);

/// After so long a load may be taken over.
pub(crate) const LEASE: Duration = Duration::from_secs(60);

#[derive(Default)]
pub(crate) struct Oracle {
    /// What the database holds now.
    versions: HashMap<At, u64>,
    /// No call that begins now may be told less.
    floors: HashMap<At, u64>,
    /// When that was, by the count of events: what has begun before is not stored.
    raised: HashMap<At, u64>,
    /// Values that may have been stored, and those that were found unchanged among them.
    stored: [u64; 2],
    /// When what was brought under a serial was stored, or found unchanged, last.
    times: HashMap<u64, Vec<Times>>,
    /// What brought, or brings, what has a serial.
    runs: HashMap<u64, Run>,
    /// Those of a key that have not ended.
    running: HashMap<At, Vec<u64>>,
    /// When a tag of a scope was withdrawn last, by the count of events.
    withdrawn: HashMap<(usize, u8), u64>,
    /// When loads that ran were detached last.
    detached: HashMap<At, u64>,
    /// When the scope was evicted last.
    evicted: HashMap<At, u64>,
    /// When a load began or ended last.
    tried: HashMap<At, Duration>,
    /// Until when nobody tries again in the background.
    quiet: HashMap<At, Duration>,
    /// What went wrong inside of loads, whose panics are nobody's.
    pub(crate) faults: Vec<String>,
    next: u64,
    /// Events so far.
    events: u64,
}

impl Oracle {
    pub(crate) fn version(&self, at: At) -> u64 {
        self.versions.get(&at).copied().unwrap_or(0)
    }

    /// A call begins.
    pub(crate) fn since(&self, at: At, begun: Duration) -> Since {
        let tag = |tag: usize| self.withdrawn.get(&(at.scope, tag as u8)).copied().unwrap_or(0);
        Since {
            version: self.floors.get(&at).copied().unwrap_or(0),
            withdrawn: std::array::from_fn(tag),
            begun,
        }
    }

    /// A count of events that goes up.
    pub(crate) fn event(&mut self) -> u64 {
        self.events += 1;
        self.events
    }

    /// The database is written to.
    pub(crate) fn write(&mut self, at: At) -> u64 {
        let version = self.versions.entry(at).or_default();
        *version += 1;
        *version
    }

    /// An invalidation, or a write to the cache, has returned: whoever begins from now on is told what is there now, or later.
    pub(crate) fn raise(&mut self, at: At) {
        let (now, event) = (self.version(at), self.event());
        self.floors.insert(at, now);
        self.raised.insert(at, event);
    }

    /// A tag that loaders add was withdrawn.
    pub(crate) fn withdraw(&mut self, scope: usize, tag: u8) {
        let now = self.event();
        self.withdrawn.insert((scope, tag), now);
    }

    /// Loads that run may have been detached.
    pub(crate) fn detach(&mut self, at: At) {
        let now = self.event();
        self.detached.insert(at, now);
    }

    /// Its scope was evicted.
    pub(crate) fn evict(&mut self, at: At) {
        let now = self.event();
        self.evicted.insert(at, now);
    }

    pub(crate) fn serial(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// What was brought under a serial begins its time now.
    pub(crate) fn begin_time(&mut self, at: At, serial: u64, times: Times) {
        self.times.insert(serial, vec![times]);
        self.quiet.remove(&at);
    }

    /// What was brought under a serial was found unchanged: its time begins anew, or does not, where the load may have been refused.
    pub(crate) fn renew_time(&mut self, at: At, serial: u64, by: u64, times: Times) {
        if self.may_publish(at, by, times.written) {
            self.begin_time(at, serial, times);
        } else {
            self.times.entry(serial).or_default().push(times);
            self.quiet.remove(&at);
        }
    }

    /// A load begins to run, and reads the database.
    pub(crate) fn begin_run(&mut self, at: At, serial: u64, caller: Caller, now: Duration) {
        let read = self.event();
        let (leased, leased_at) = if caller.is_batch { (caller.asked, caller.at) } else { (read, now) };
        self.tried.insert(at, now);
        self.runs.insert(serial, Run { caller, read, leased, leased_at, tag: None });
        let running = self.running.entry(at).or_default();
        running.push(serial);
        let many = running.len();
        if many > 2 {
            self.faults.push(format!("{at:?}: {many} loads run at a time"));
        }
        let mut current = self.running[&at].iter().filter(|serial| self.is_current(at, **serial, now));
        if let (Some(one), Some(_)) = (current.next(), current.next()) {
            let run = &self.runs[one];
            self.faults
                .push(format!("{at:?}: a load begins where one runs that it could have waited for: {run:?}"));
        }
    }

    /// Whether others join a load: nothing was withdrawn since it began, its scope was not evicted since its caller did, and nobody may
    /// have taken it over.
    fn is_current(&self, at: At, serial: u64, now: Duration) -> bool {
        let last = |of: &HashMap<At, u64>| of.get(&at).copied().unwrap_or(0);
        self.runs.get(&serial).is_some_and(|run| {
            now - run.leased_at < LEASE
                && run.leased > last(&self.detached)
                && run.caller.asked > last(&self.evicted)
        })
    }

    /// A load has begun in the background.
    pub(crate) fn begin_background(&mut self, at: At, now: Duration) {
        let quiet = self.quiet.get(&at).copied().unwrap_or_default();
        if now < quiet {
            self.faults.push(format!("{at:?}: tried in the background at {now:?}, and not before {quiet:?}"));
        }
        self.quiet.insert(at, now + THROTTLE);
    }

    /// A load has failed: none is to be tried in the background for a while, unless something is stored.
    pub(crate) fn fail(&mut self, at: At, serial: u64, now: Duration) {
        if self.is_current(at, serial, now) {
            self.quiet.insert(at, now + THROTTLE);
        }
    }

    /// A write has stored a value.
    pub(crate) fn store(&mut self) {
        self.stored[0] += 1;
    }

    /// A load ends with a value that is to be stored, or is found unchanged.
    pub(crate) fn bring(&mut self, at: At, serial: u64, is_unchanged: bool) {
        let raised = self.raised.get(&at).copied().unwrap_or(0);
        if self.runs.get(&serial).is_some_and(|run| run.read > raised) {
            self.stored[0] += 1;
            self.stored[1] += u64::from(is_unchanged);
        }
    }

    /// So many values were stored, and so many found unchanged among them.
    pub(crate) fn check_stored(&self, stored: [u64; 2]) {
        let may = self.stored;
        assert!(
            stored[0] <= may[0] && stored[1] <= may[1],
            "{stored:?} values were stored and unchanged, where {may:?} may be: the load of one was withdrawn"
        );
    }

    /// What a run brings is what is there, with its tag.
    pub(crate) fn inherit_tag(&mut self, serial: u64, previous: u64) {
        if let Some(tag) = self.runs.get(&previous).and_then(|run| run.tag) {
            self.add_tag(serial, tag);
        }
    }

    /// The loader of a run has added a tag.
    pub(crate) fn add_tag(&mut self, serial: u64, tag: u8) {
        if let Some(run) = self.runs.get_mut(&serial) {
            run.tag = Some(tag);
        }
    }

    pub(crate) fn end_run(&mut self, at: At, serial: u64, now: Duration) {
        self.tried.insert(at, now);
        if let Some(running) = self.running.get_mut(&at) {
            running.retain(|other| *other != serial);
        }
    }

    pub(crate) fn running(&self) -> usize {
        self.running.values().map(Vec::len).sum()
    }

    /// Whether what a load has brought is to be stored.
    pub(crate) fn may_publish(&self, at: At, serial: u64, now: Duration) -> bool {
        let withdrawn = |tag| self.withdrawn.get(&(at.scope, tag)).copied().unwrap_or(0);
        let is_tag_there = |run: &Run| run.tag.is_none_or(|tag| run.leased > withdrawn(tag));
        self.is_current(at, serial, now) && self.runs.get(&serial).is_some_and(is_tag_there)
    }

    /// A call was answered with a value.
    pub(crate) fn check(
        &self,
        at: At,
        since: Since,
        value: &Value,
        now: Duration,
        stale: Option<(Duration, Takes)>,
    ) {
        assert_eq!(value.at, at, "a value of another key or scope");
        assert!(
            value.version >= since.version,
            "{at:?}: version {} was told, and {} was there before the call began",
            value.version,
            since.version
        );
        if let Some(&Run { read, tag: Some(tag), .. }) = self.runs.get(&value.serial) {
            let withdrawn = since.withdrawn[usize::from(tag)];
            assert!(
                read > withdrawn,
                "{at:?}: its loader added tag {tag}, which was withdrawn before the call began"
            );
        }
        let known = self.times_of(at, value);
        let may_be = |times: &Times| {
            let age = now.saturating_sub(times.written);
            match stale {
                None => age < times.ttl || age.is_zero(),
                Some((past, takes)) => {
                    age.saturating_sub(times.ttl) == past && past < takes.longest() && past < times.keep
                }
            }
        };
        let told = stale
            .map_or_else(|| "fresh".to_owned(), |(past, takes)| format!("stale by {past:?} to {takes:?}"));
        assert!(known.iter().any(may_be), "{at:?}: told as {told} at {now:?}, of {known:?}");
    }

    fn times_of(&self, at: At, value: &Value) -> &[Times] {
        match self.times.get(&value.serial) {
            Some(times) => times,
            None => panic!("{at:?}: a value that nothing brought"),
        }
    }

    /// A stale value that is not taken at once was given: because a load brought none, or takes its time.
    pub(crate) fn check_fallen_back(
        &self,
        at: At,
        since: Since,
        past: Duration,
        takes: Takes,
        now: Duration,
    ) {
        if past < takes.stale || takes.waits.is_some_and(|time| now - since.begun >= time) {
            return;
        }
        let runs = self.running.get(&at).is_some_and(|running| !running.is_empty());
        let tried = self.tried.get(&at).is_some_and(|&tried| now < tried + THROTTLE);
        assert!(runs || tried, "{at:?}: stale by {past:?} without that a load was tried");
    }

    /// As [`check`](Self::check), of one of several answers that are given together: it was found at some moment since the call began,
    /// and does not say how old it was then.
    pub(crate) fn check_one(&self, at: At, since: Since, value: &Value, takes: Option<Takes>) {
        // The last of them is the youngest.
        let Some(times) = self.times_of(at, value).last() else { return };
        let found = since.begun.max(times.written);
        let age = found - times.written;
        let stale = (age >= times.ttl && !age.is_zero()).then(|| age - times.ttl);
        self.check(at, since, value, found, takes.and_then(|takes| Some((stale?, takes))));
    }
}
