//! An allocator that counts allocations and the bytes that are live, in all threads, while it is asked to.
//!
//! (1) Off, it costs one load of a flag that nobody writes: timed rows run with it off. (2) What was allocated before
//! it was switched on and is freed after would be counted as negative: rows that count come first in the process.
//! (3) Bytes are those asked for; what the system's allocator adds to each is not seen.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

static ON: AtomicBool = AtomicBool::new(false);
static LIVE: AtomicI64 = AtomicI64::new(0);
static PEAK: AtomicI64 = AtomicI64::new(0);
static ALLOCATIONS: AtomicI64 = AtomicI64::new(0);

struct Counting;

fn allocated(by: i64) {
    if ON.load(Ordering::Relaxed) {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        grow(by);
    }
}

fn freed(bytes: usize) {
    if ON.load(Ordering::Relaxed) {
        grow(-(bytes as i64));
    }
}

fn grow(by: i64) {
    let live = LIVE.fetch_add(by, Ordering::Relaxed) + by;
    if live > PEAK.load(Ordering::Relaxed) {
        PEAK.fetch_max(live, Ordering::Relaxed);
    }
}

// SAFETY: every call goes to the system's allocator unchanged; the counters are atomics, which allocate nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        allocated(layout.size() as i64);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        allocated(layout.size() as i64);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        freed(layout.size());
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        allocated(size as i64 - layout.size() as i64);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(place, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Counts while it lives, from zero.
pub struct Count(());

impl Count {
    pub fn start() -> Self {
        LIVE.store(0, Ordering::Relaxed);
        PEAK.store(0, Ordering::Relaxed);
        ALLOCATIONS.store(0, Ordering::Relaxed);
        ON.store(true, Ordering::Relaxed);
        Self(())
    }

    /// Bytes that are live, of those allocated since the start.
    pub fn live(&self) -> f64 {
        LIVE.load(Ordering::Relaxed) as f64
    }

    pub fn peak(&self) -> f64 {
        PEAK.load(Ordering::Relaxed) as f64
    }

    /// How often something was allocated, or moved to grow.
    pub fn allocations(&self) -> f64 {
        ALLOCATIONS.load(Ordering::Relaxed) as f64
    }
}

impl Drop for Count {
    fn drop(&mut self) {
        ON.store(false, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn live_bytes_rise_with_an_allocation_and_fall_with_its_end() {
        let count = Count::start();
        let before = count.live();
        let held = vec![0_u8; 1 << 24];
        assert!(count.live() - before >= f64::from(1 << 24));
        drop(held);
        assert!(count.live() - before < f64::from(1 << 20));
        assert!(count.peak() >= f64::from(1 << 24));
    }
}
