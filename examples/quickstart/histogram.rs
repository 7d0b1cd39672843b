//! Times in buckets: 16 to each doubling, so that a quantile is right to within 7 %.
//!
//! Counting is a relaxed add to one of 1,024 cells; quantiles walk the cells. After the idea of Tene's
//! HdrHistogram; nanoseconds, from 0 to 584 years.

use std::array;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const FINE: u32 = 4;
const CELLS: usize = 64 << FINE;

/// A histogram that any thread may add to.
#[derive(Debug)]
pub(crate) struct Histogram(Box<[AtomicU64; CELLS]>);

impl Histogram {
    /// An empty histogram.
    pub(crate) fn new() -> Self {
        Self(Box::new(array::from_fn(|_| AtomicU64::new(0))))
    }

    /// Counts a time.
    pub(crate) fn record(&self, time: Duration) {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.0[cell(nanos)].fetch_add(1, Ordering::Relaxed);
    }

    /// Adds what another has counted.
    pub(crate) fn absorb(&self, other: &Self) {
        for (mine, theirs) in self.0.iter().zip(other.0.iter()) {
            mine.fetch_add(theirs.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }

    /// How many times were counted.
    pub(crate) fn len(&self) -> u64 {
        self.0.iter().map(|cell| cell.load(Ordering::Relaxed)).sum()
    }

    /// The time below which a share of all times lies (0.5: the median); zero without any.
    pub(crate) fn quantile(&self, share: f64) -> Duration {
        let wanted = (self.len() as f64 * share).ceil() as u64;
        let mut seen = 0;
        for (place, cell) in self.0.iter().enumerate() {
            seen += cell.load(Ordering::Relaxed);
            if seen >= wanted && seen > 0 {
                return Duration::from_nanos(lower_bound(place));
            }
        }
        Duration::ZERO
    }
}

fn cell(nanos: u64) -> usize {
    let doublings = (nanos | 1).ilog2();
    if doublings < FINE {
        return nanos as usize;
    }
    let fraction = nanos >> (doublings - FINE) & ((1 << FINE) - 1);
    ((doublings - FINE + 1) as usize) << FINE | fraction as usize
}

fn lower_bound(cell: usize) -> u64 {
    let (doublings, fraction) = (cell >> FINE, cell as u64 & ((1 << FINE) - 1));
    if doublings == 0 { fraction } else { (1 << FINE | fraction) << (doublings - 1) }
}
