//! The operating system's monotonic clock, and the one ticking word of the process in front of it.

#[cfg(not(target_os = "linux"))]
use std::sync::OnceLock;
#[cfg(target_os = "linux")]
use std::sync::atomic::{AtomicU64, Ordering};
#[cfg(not(target_os = "linux"))]
use std::time::Instant;

use super::tick::{Observer, Tick};
use super::ticker::{self, Held};

/// The word that look-ups read.
pub(super) static TICK: Tick = Tick::new();

thread_local! {
    /// Without a destructor: other destructors of the thread may look up.
    static OBSERVER: Observer = const { Observer::new() };
}

/// The operating system's monotonic clock since it was first read in this process. On Linux it is the coarse one: a time-to-live is kept to within
/// a step of it, 4 ms with the usual kernels, and to within 8 ms where a thread looks up so often that its look-ups share one
/// reading. While one of these lives, so may the thread that keeps that reading fresh.
#[derive(Debug, Clone)]
pub struct SystemClock {
    _held: Held,
}

impl SystemClock {
    pub(super) fn start() -> Self {
        Self { _held: Held::new() }
    }

    /// Nanoseconds since the origin.
    #[expect(clippy::unused_self, reason = "only who has the clock may ask it")]
    pub(super) fn nanos(&self) -> u64 {
        let time = OBSERVER.try_with(|observer| TICK.read(observer, read));
        time.unwrap_or_else(|_| read())
    }

    /// Reads the clock for all who look at the word.
    #[cold]
    #[inline(never)]
    pub(super) fn reread() {
        look();
    }

    /// The same as a look-up is told it.
    #[inline]
    pub(super) fn nanos_cached(&self) -> u64 {
        // `try_with`, for it is inlined where `with` is not, which costs more than the whole rest.
        let time = OBSERVER.try_with(|observer| TICK.glance(observer)).ok().flatten();
        time.unwrap_or_else(look)
    }
}

#[inline(never)]
fn look() -> u64 {
    OBSERVER.with(|observer| TICK.look(observer, read, ticker::ask))
}

/// Nanoseconds since the first reading in this process; never zero.
#[cfg(target_os = "linux")]
pub(super) fn read() -> u64 {
    static FIRST: AtomicU64 = AtomicU64::new(0);
    let now = rustix::time::clock_gettime(rustix::time::ClockId::MonotonicCoarse);
    // The kernel counts both parts up from zero; 2^64 nanoseconds are five centuries.
    let now = (now.tv_sec.unsigned_abs() * 1_000_000_000 + now.tv_nsec.unsigned_abs()).max(1);
    let mut first = FIRST.load(Ordering::Relaxed);
    if first == 0 {
        let known = FIRST.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed);
        first = known.map_or_else(|other| other, |_| now);
    }
    now.saturating_sub(first).max(1)
}

/// Nanoseconds since the first reading in this process; never zero.
#[cfg(not(target_os = "linux"))]
pub(super) fn read() -> u64 {
    static FIRST: OnceLock<Instant> = OnceLock::new();
    let since = FIRST.get_or_init(Instant::now).elapsed();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX).max(1)
}
