//! Who expires and sweeps: one thread for the whole process, or the user.
//!
//! (1) No answer depends on this: look-ups check deadlines and scopes themselves, inserts at the bound expire and
//! sweep first. Maintenance gives memory back while nobody calls, and lets waiters of a stalled leader take over.
//! (2) The thread starts with the first scope, deadline or waiter, looks around four times a second (and when somebody who
//! waits is to be woken) while any cache owes something or keeps a scope, which may become idle without a word, rests
//! otherwise, and ends with the last cache. (3) It holds caches weakly.
//! (4) `earliest` is never later than the first deadline of any entry.

use std::sync::Weak as StdWeak;
use std::time::Duration;

use super::Engine;
use crate::clock::{Moment, TimeSource};
use crate::stats::tally;
use crate::sync::{AtomicBool, AtomicU64, Mutex, Ordering};
use crate::{epoch, heap};

/// How long the thread sleeps between rounds while something is owed.
const ROUND: Duration = Duration::from_millis(250);

/// How long it sleeps at least, however soon somebody wants to be woken.
const SHORTEST: Duration = Duration::from_millis(1);

/// Places that the thread looks at in one slice of the collection of idle scopes, and slices in a round.
const IDLE_SLICE: usize = 1024;
const IDLE_SLICES: usize = 256;

/// Entries and scopes that have to go before the heap is trimmed.
const MANY: u64 = 1 << 16;

/// Shards without dead entries that one step of a sweep passes by.
const PASSED_BY: usize = 64;

/// Who runs maintenance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Maintenance {
    /// One thread for all caches of the process, started when there is something to do.
    #[default]
    Thread,
    /// The user, by calling `maintain`. No thread.
    Manual,
}

/// What an engine owes to maintenance.
pub(super) struct Upkeep {
    mode: Maintenance,
    this: StdWeak<Engine>,
    /// A lower bound of all deadlines; meaningless while more expiry passes have started than ended.
    earliest: AtomicU64,
    started: AtomicU64,
    ended: AtomicU64,
    /// Whether the thread knows this engine.
    enrolled: AtomicBool,
    /// Whether the thread has found nothing owed and may sleep until it is woken.
    resting: AtomicBool,
    /// Where the sweep goes on: region, shard, slot. Whoever holds the lock sweeps.
    cursor: Mutex<(usize, usize, usize)>,
    /// Entries and scopes that were let go here since the heap was last trimmed, if it is to be.
    gone: Option<AtomicU64>,
}

impl Upkeep {
    pub(super) fn new(mode: Maintenance, trim_heap: bool, this: StdWeak<Engine>) -> Self {
        Self {
            mode,
            this,
            earliest: AtomicU64::new(u64::MAX),
            started: AtomicU64::new(0),
            ended: AtomicU64::new(0),
            enrolled: AtomicBool::new(false),
            resting: AtomicBool::new(false),
            cursor: Mutex::new((0, 0, 0)),
            gone: trim_heap.then(AtomicU64::default),
        }
    }

    /// So many entries or scopes were let go.
    pub(super) fn note_gone(&self, count: usize) {
        if let Some(gone) = &self.gone {
            gone.fetch_add(count as u64, Ordering::Relaxed);
        }
    }

    /// Whether much has gone of what there was, of which so much is left. Says so once.
    fn has_much_gone(&self, left: u64) -> bool {
        let has = |gone: &&AtomicU64| gone.load(Ordering::Relaxed) >= left.max(MANY);
        self.gone.as_ref().filter(has).is_some_and(|gone| gone.swap(0, Ordering::Relaxed) > 0)
    }

    /// An entry with this deadline is about to be linked.
    #[inline]
    pub(super) fn note_deadline(&self, deadline: Moment) {
        if deadline.nanos() < self.earliest.load(Ordering::Relaxed) {
            self.earliest.fetch_min(deadline.nanos(), Ordering::SeqCst);
            self.wake();
        }
    }

    /// Whether an expiry pass would find nothing. `ended` is read first and `started` last: equal, they say that no
    /// pass ran in between, so that `earliest` was what (4) says.
    #[inline]
    fn is_nothing_due(&self, now: impl FnOnce() -> Moment) -> bool {
        let ended = self.ended.load(Ordering::SeqCst);
        let earliest = self.earliest.load(Ordering::SeqCst);
        let quiet = self.started.load(Ordering::SeqCst) == ended;
        quiet && (earliest == u64::MAX || earliest > now().nanos())
    }

    /// Something is owed from now on. What is owed is written, and `resting` read, in the one order of `SeqCst`, as
    /// `round` does it the other way round: one of the two sees the other.
    pub(super) fn wake(&self) {
        if self.mode == Maintenance::Manual {
            return;
        }
        if !self.enrolled.load(Ordering::Acquire) && !self.enrolled.swap(true, Ordering::AcqRel) {
            thread::enroll(self.this.clone());
        } else if self.resting.load(Ordering::SeqCst) && self.resting.swap(false, Ordering::SeqCst) {
            thread::wake();
        }
    }
}

impl Engine {
    /// As a wake-up of maintenance, for somebody who wants to be woken before its next round.
    pub(super) fn hurry_maintenance(&self) {
        self.upkeep.wake();
        if self.upkeep.mode == Maintenance::Thread {
            thread::wake();
        }
    }

    /// Does everything that is owed: expires what is due, sweeps entries of evicted scopes, forgets idle scopes and
    /// regions, lets waiters of stalled leaders take over. Locks one shard at a time, for a slice of slots.
    pub fn maintain(&self) {
        self.tend();
        // Whole passes: what an idle scope kept may be idle after it.
        while self.registry().idle_work() && self.collect_idle(usize::MAX) > 0 {}
        self.trim_heap();
    }

    /// As [`maintain`](Self::maintain), but looks for idle scopes in slices, and leaves the rest for the next round.
    fn tend_in_slices(&self) {
        self.tend();
        for _ in 0..IDLE_SLICES {
            if self.registry().idle_work() {
                self.collect_idle(IDLE_SLICE);
            }
        }
        self.trim_heap();
    }

    fn collect_idle(&self, budget: usize) -> usize {
        let removed = self.registry().collect_idle(budget);
        self.upkeep.note_gone(removed);
        removed
    }

    /// Once as much has gone as is left, and is not going: where users asked for it.
    fn trim_heap(&self) {
        if self.upkeep.gone.is_none() || self.has_dead() {
            return;
        }
        let left = self.registry().len() as u64 + self.registry().root().entries();
        if self.upkeep.has_much_gone(left) {
            heap::trim();
            tracing::debug!(target: "strata_cache", "heap trimmed");
        }
    }

    fn tend(&self) {
        self.expire_due();
        self.sweep_all();
        self.reclaim_all();
        self.regions().retire_idle();
        self.watch().check(self.now());
        tally::settle();
    }

    /// Lets waiters of stalled leaders take over; for threads that wait, so that they need no maintenance thread.
    pub fn look_after_waiters(&self) {
        self.watch().check(self.now());
    }

    /// Whether [`expire_due`](Self::expire_due) would find something, as of a moment that was read just now, or the present one.
    #[inline]
    pub(crate) fn is_something_due(&self, now: Option<Moment>) -> bool {
        !self.upkeep.is_nothing_due(|| now.unwrap_or_else(|| self.present()))
    }

    /// Removes what is due. Returns how many entries; costs three loads if nothing is.
    pub(crate) fn expire_due(&self) -> u64 {
        if !self.is_something_due(None) {
            return 0;
        }
        let now = self.now();
        self.upkeep.started.fetch_add(1, Ordering::SeqCst);
        // Reset first: an insert during the pass lowers it again, or is seen by the pass.
        self.upkeep.earliest.store(u64::MAX, Ordering::SeqCst);
        let (mut expired, mut earliest) = (0, Moment::NEVER);
        for region in self.regions().all().iter() {
            for shard in 0..region.shards() {
                let (count, next) = region.expire(self, shard, now);
                expired += count;
                earliest = earliest.min(next.unwrap_or(Moment::NEVER));
            }
        }
        self.upkeep.earliest.fetch_min(earliest.nanos(), Ordering::SeqCst);
        self.upkeep.ended.fetch_add(1, Ordering::SeqCst);
        if earliest != Moment::NEVER {
            // The thread may have looked while the deadlines were forgotten.
            self.upkeep.wake();
        }
        if expired > 0 {
            tracing::debug!(target: "strata_cache", expired, "expiry sweep");
        }
        expired
    }

    /// How many entries and scopes went since the heap was last trimmed, if it is to be; for tests.
    #[cfg(test)]
    pub(super) fn gone_since_trim(&self) -> Option<u64> {
        self.upkeep.gone.as_ref().map(|gone| gone.load(Ordering::Relaxed))
    }

    /// One pass over everything, while entries of evicted scopes are left.
    fn sweep_all(&self) {
        for region in self.regions().all().iter() {
            for shard in 0..region.shards() {
                let mut from = Some(0);
                while let Some(slot) = from
                    && self.has_dead()
                {
                    from = region.sweep(self, shard, slot, usize::MAX);
                }
            }
        }
    }

    /// Drops what left the cache and readers have passed. Readers who are about to pass are waited for, but not for long.
    fn reclaim_all(&self) {
        let regions = self.regions().all();
        epoch::settle();
        if regions.iter().fold(false, |waits, region| region.reclaim(self) | waits) {
            epoch::settle();
            regions.iter().for_each(|region| _ = region.reclaim(self));
        }
    }

    /// Sweeps among the next `slots` slots, in one lock of the next shard that has dead entries; nothing if somebody else is
    /// at it. Passes by shards without, but not by many.
    pub(crate) fn sweep_step(&self, slots: usize) {
        let Some(mut cursor) = self.upkeep.cursor.try_lock() else { return };
        let regions = self.regions().all();
        for _ in 0..PASSED_BY {
            let (region, shard, slot) = *cursor;
            let Some(current) = regions.get(region) else {
                *cursor = (0, 0, 0);
                continue;
            };
            // Values drop in here and may call the cache, which is why the cursor is tried for and never waited for.
            let next = current.sweep(self, shard, slot, slots);
            *cursor = match next {
                Some(next) => (region, shard, next),
                None if shard + 1 < current.shards() => (region, shard + 1, 0),
                None => (region + 1, 0, 0),
            };
            if next.is_some() || slot > 0 {
                break;
            }
        }
        if !self.has_dead() {
            // What dies next is looked for anew.
            *cursor = (0, 0, 0);
        }
    }

    /// How long until somebody who waits may have to be woken. A clock of the user's own may not move meanwhile.
    fn until_next_look(&self) -> Duration {
        let next = self.watch().next_check().filter(|_| matches!(self.time(), TimeSource::System(_)));
        next.map_or(ROUND, |next| next.since(self.now()))
    }

    /// Whether maintenance has, or will have, something to do.
    fn owes(&self) -> bool {
        self.has_dead()
            || self.upkeep.earliest.load(Ordering::SeqCst) != u64::MAX
            || !self.registry().is_empty()
            || self.watch().next_check().is_some()
            || self.regions().all().iter().any(|region| region.has_waiting())
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if self.upkeep.enrolled.load(Ordering::Acquire) {
            thread::wake();
        }
    }
}

#[cfg(not(any(shuttle, loom)))]
mod thread {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::{Duration, Engine, Ordering, ROUND, SHORTEST, StdWeak};
    use crate::sync::{Condvar, Mutex};

    struct Office {
        caches: Vec<StdWeak<Engine>>,
        running: bool,
        calls: u64,
    }

    static OFFICE: Mutex<Office> = Mutex::new(Office { caches: Vec::new(), running: false, calls: 0 });
    static CALL: Condvar = Condvar::new();

    /// Makes an engine known to the thread, and starts the thread if there is none.
    pub(super) fn enroll(engine: StdWeak<Engine>) {
        let mut office = OFFICE.lock();
        office.caches.push(engine);
        office.calls += 1;
        if office.running {
            CALL.notify_all();
            return;
        }
        let spawned = std::thread::Builder::new().name("strata-cache".into()).spawn(run);
        // Without a thread nothing wrong is served; memory comes back with the next insert or `maintain`.
        office.running = spawned
            .inspect_err(|error| tracing::error!(target: "strata_cache", %error, "no maintenance thread"))
            .is_ok();
    }

    /// Tells the thread that something is owed, or that a cache has gone.
    pub(super) fn wake() {
        OFFICE.lock().calls += 1;
        CALL.notify_all();
    }

    fn run() {
        loop {
            let (caches, calls) = {
                let mut office = OFFICE.lock();
                office.caches.retain(|cache| cache.strong_count() > 0);
                if office.caches.is_empty() {
                    office.running = false;
                    return;
                }
                (office.caches.clone(), office.calls)
            };
            let mut pause = None;
            for cache in caches {
                // Wakers run in here, values drop, and the cache may end: their panics may not end the thread.
                let round = || cache.upgrade().and_then(|engine| round(&engine));
                let next = catch_unwind(AssertUnwindSafe(round)).unwrap_or_else(|_| {
                    tracing::error!(target: "strata_cache", "user code panicked during maintenance");
                    Some(ROUND)
                });
                pause = next.into_iter().chain(pause).min();
            }
            let mut office = OFFICE.lock();
            if let Some(pause) = pause {
                CALL.wait_for(&mut office, pause);
            } else if office.calls == calls {
                CALL.wait(&mut office);
            }
        }
    }

    /// One round for one cache. How long until the next, if it will owe something then.
    fn round(engine: &Engine) -> Option<Duration> {
        engine.tend_in_slices();
        // Rest first, then look: who makes work after the look finds us resting and wakes us.
        engine.upkeep.resting.store(true, Ordering::SeqCst);
        let owed = engine.owes();
        if owed {
            engine.upkeep.resting.store(false, Ordering::SeqCst);
        }
        owed.then(|| engine.until_next_look().clamp(SHORTEST, ROUND))
    }
}

#[cfg(any(shuttle, loom))]
mod thread {
    //! Explored schedules have no background thread: maintenance is one of the explored calls.
    pub(super) fn enroll(_: super::StdWeak<super::Engine>) {}
    pub(super) fn wake() {}
}
