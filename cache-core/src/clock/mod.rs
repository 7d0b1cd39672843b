//! Time as the core sees it: nanoseconds since an origin, monotonic, read once per operation.
//!
//! (1) A clock never goes back; one that does is read as standing still by whoever compares deadlines.
//! (2) Deadlines are computed and compared on the same clock. No wall clock decides validity.
//! (3) What writes, expires or sweeps reads [`TimeSource::now`]; only look-ups read [`TimeSource::now_cached`].
//!
//! `system` reads the operating system, `tick` is the word that busy look-ups read instead, `ticker` the thread that keeps
//! it fresh. How late the word may be stands at the top of `tick`.
//! Cost: on Linux a system read is one of the kernel's coarse monotonic clock (about 5 ns; it steps by 4 ms with the usual
//! kernels), and one `Instant::now` elsewhere (about 25 ns); a cached one costs about 1 ns. Look-ups of entries without a
//! deadline need neither.

mod deadline;
mod system;
mod tick;
mod ticker;

pub(crate) use deadline::Deadline;
pub use system::SystemClock;
pub(crate) use tick::REREAD;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A source of time for one cache. It is read under locks of the cache, and must not call it.
pub trait Clock: Send + Sync + 'static {
    /// The time since this clock's origin.
    fn now(&self) -> Duration;

    /// A clock that is moved by hand calls these whenever it has moved, outside of its locks, so that who waits for a moment is woken at
    /// once; those that answer no are not called again. Others need not do anything: somebody looks at them four times a second.
    fn watch(&self, watcher: ClockWatcher) {
        drop(watcher);
    }
}

/// To be called when a clock has moved. It answers whether it is to be called again.
pub type ClockWatcher = Box<dyn Fn() -> bool + Send + Sync>;

/// A moment on a cache's clock, in nanoseconds since the clock's origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Moment(u64);

impl Moment {
    /// Later than every deadline.
    pub const NEVER: Self = Self(u64::MAX);

    /// The moment this many nanoseconds after the origin.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// Nanoseconds since the origin.
    pub const fn nanos(self) -> u64 {
        self.0
    }

    /// The moment a time later, or `None` where it would not be before [`Moment::NEVER`].
    pub fn checked_add(self, time: Duration) -> Option<Self> {
        let nanos = u64::try_from(time.as_nanos()).ok()?;
        self.0.checked_add(nanos).filter(|&sum| sum < u64::MAX).map(Self)
    }

    /// The time from an earlier moment to this one; zero if it is not earlier.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// The clock a cache reads: the system's, or one it was given.
#[derive(Clone)]
pub enum TimeSource {
    /// The operating system's monotonic clock.
    System(SystemClock),
    /// A clock supplied by the user.
    Custom(Arc<dyn Clock>),
}

impl TimeSource {
    /// The system's monotonic clock, since it was first read in this process.
    pub fn system() -> Self {
        Self::System(SystemClock::start())
    }

    /// The present moment.
    pub fn now(&self) -> Moment {
        match self {
            Self::System(clock) => Moment(clock.nanos()),
            Self::Custom(clock) => Self::of(clock.as_ref()),
        }
    }

    /// The present moment for a look-up: never before any moment this thread was told, and a little late while many are
    /// asked for, which is what makes it cheap. A clock that was supplied is read as by [`now`](Self::now).
    #[inline]
    pub fn now_cached(&self) -> Moment {
        match self {
            Self::System(clock) => Moment(clock.nanos_cached()),
            Self::Custom(clock) => Self::of(clock.as_ref()),
        }
    }

    /// A word below those of deadlines that are still to come, if that can be said without reading a clock: see
    /// [`Deadline::between`]. It is never ahead, so what it says may be a little late, as with [`now_cached`](Self::now_cached).
    #[inline]
    pub(crate) fn face(&self) -> &'static AtomicU64 {
        match self {
            Self::System(_) => system::TICK.word(),
            Self::Custom(_) => &tick::NEVER_ARMED,
        }
    }

    /// Every so many look-ups of a thread: reads the clock for all who look at the word.
    pub(crate) fn reread(&self) {
        if matches!(self, Self::System(_)) {
            SystemClock::reread();
        }
    }

    /// Asks a clock of the user's own to say when it has moved.
    pub(crate) fn watch(&self, watcher: ClockWatcher) {
        if let Self::Custom(clock) = self {
            clock.watch(watcher);
        }
    }

    fn of(clock: &dyn Clock) -> Moment {
        Moment(u64::try_from(clock.now().as_nanos()).unwrap_or(u64::MAX - 1).min(u64::MAX - 1))
    }
}

impl std::fmt::Debug for TimeSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::System(_) => "System",
            Self::Custom(_) => "Custom",
        })
    }
}

/// A clock for tests: it stands still until it is told to advance. Clones share one time. Deadlines and the leases of
/// running loads are counted on it.
///
/// ```
/// use std::time::Duration;
/// use strata_cache_core::clock::{Clock, TestClock};
///
/// let clock = TestClock::new();
/// clock.advance(Duration::from_secs(5));
/// assert_eq!(clock.now(), Duration::from_secs(5));
/// ```
#[derive(Clone, Default)]
pub struct TestClock(Arc<Dial>);

#[derive(Default)]
struct Dial {
    nanos: AtomicU64,
    watchers: Mutex<Vec<Arc<ClockWatcher>>>,
}

impl TestClock {
    /// A clock that stands at zero.
    pub fn new() -> Self {
        Self::default()
    }

    /// Moves the time forward; it stops at the largest representable time instead of wrapping. Whoever waits for a moment of it that
    /// has come is woken before this returns.
    pub fn advance(&self, by: Duration) {
        let by = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        let step = |now: u64| Some(now.saturating_add(by).min(u64::MAX - 1));
        // The closure always answers, so there is no failure to look at.
        let _ = self.0.nanos.fetch_update(Ordering::AcqRel, Ordering::Acquire, step);
        let watchers = self.watchers().clone();
        let gone: Vec<_> = watchers.into_iter().filter(|watcher| !watcher()).collect();
        if !gone.is_empty() {
            self.watchers().retain(|watcher| !gone.iter().any(|gone| Arc::ptr_eq(gone, watcher)));
        }
    }

    fn watchers(&self) -> MutexGuard<'_, Vec<Arc<ClockWatcher>>> {
        self.0.watchers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for TestClock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("TestClock").field(&self.now()).finish()
    }
}

impl Clock for TestClock {
    fn now(&self) -> Duration {
        Duration::from_nanos(self.0.nanos.load(Ordering::Acquire))
    }

    fn watch(&self, watcher: ClockWatcher) {
        self.watchers().push(Arc::new(watcher));
    }
}

#[cfg(all(test, not(any(shuttle, loom))))]
mod tests;
