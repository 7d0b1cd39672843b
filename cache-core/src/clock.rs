//! Time as the core sees it: nanoseconds since an origin, monotonic, read once per operation.
//!
//! (1) A clock never goes back; one that does is read as standing still by whoever compares deadlines.
//! (2) Deadlines are computed and compared on the same clock. No wall clock decides validity.
//! Cost: on Linux a system read is one of the kernel's coarse monotonic clock (about 5 ns; it steps by 4 ms at most), and
//! one `Instant::now` elsewhere (about 25 ns); look-ups of entries without a deadline skip it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A source of time for one cache. It is read under locks of the cache, and must not call it.
pub trait Clock: Send + Sync + 'static {
    /// The time since this clock's origin.
    fn now(&self) -> Duration;
}

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

/// The operating system's monotonic clock since a moment. On Linux it is the coarse one: a time-to-live is kept to within
/// a step of it, 4 ms with the usual kernels.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    #[cfg(target_os = "linux")]
    origin: Duration,
    #[cfg(not(target_os = "linux"))]
    origin: std::time::Instant,
}

#[cfg(target_os = "linux")]
impl SystemClock {
    fn start() -> Self {
        Self { origin: Self::read() }
    }

    fn elapsed(self) -> Duration {
        Self::read().saturating_sub(self.origin)
    }

    fn read() -> Duration {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::MonotonicCoarse);
        // The kernel counts both parts up from zero.
        Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0))
    }
}

#[cfg(not(target_os = "linux"))]
impl SystemClock {
    fn start() -> Self {
        Self { origin: std::time::Instant::now() }
    }

    fn elapsed(self) -> Duration {
        self.origin.elapsed()
    }
}

/// The clock a cache reads: the system's, or one it was given.
#[derive(Clone)]
pub enum TimeSource {
    /// The operating system's monotonic clock, from the moment given.
    System(SystemClock),
    /// A clock supplied by the user.
    Custom(Arc<dyn Clock>),
}

impl TimeSource {
    /// The system's monotonic clock, starting now.
    pub fn system() -> Self {
        Self::System(SystemClock::start())
    }

    /// The present moment.
    pub fn now(&self) -> Moment {
        let elapsed = match self {
            Self::System(clock) => clock.elapsed(),
            Self::Custom(clock) => clock.now(),
        };
        Moment(u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX - 1).min(u64::MAX - 1))
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
#[derive(Debug, Clone, Default)]
pub struct TestClock(Arc<AtomicU64>);

impl TestClock {
    /// A clock that stands at zero.
    pub fn new() -> Self {
        Self::default()
    }

    /// Moves the time forward; it stops at the largest representable time instead of wrapping.
    pub fn advance(&self, by: Duration) {
        let by = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        let step = |now: u64| Some(now.saturating_add(by).min(u64::MAX - 1));
        // The closure always answers, so there is no failure to look at.
        let _ = self.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, step);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Acquire))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moment_addition_refuses_what_is_no_deadline() {
        let now = Moment::from_nanos(5);
        assert_eq!(now.checked_add(Duration::from_nanos(7)), Some(Moment::from_nanos(12)));
        assert_eq!(now.checked_add(Duration::MAX), None);
        assert_eq!(Moment::from_nanos(u64::MAX - 2).checked_add(Duration::from_nanos(2)), None);
    }

    #[test]
    fn system_clock_starts_at_zero_and_goes_on() {
        let clock = TimeSource::system();
        let first = clock.now();
        assert!(first < Moment::from_nanos(1_000_000_000), "it begins when the cache does");
        while clock.now() == first {
            std::hint::spin_loop();
        }
        assert!(clock.now() > first);
    }

    #[test]
    fn test_clock_advances_and_never_wraps() {
        let clock = TestClock::new();
        clock.advance(Duration::from_secs(1));
        assert_eq!(TimeSource::Custom(Arc::new(clock.clone())).now().nanos(), 1_000_000_000);
        clock.advance(Duration::MAX);
        clock.advance(Duration::MAX);
        assert_eq!(clock.now(), Duration::from_nanos(u64::MAX - 1));
    }
}
