//! A cache bounded in bytes takes the bytes it was given: what the allocator sets aside, within 3.5 %, on any number of
//! cores.
//!
//! A binary of its own, for its allocator counts, and it says itself how many cores there are; one test, for it counts the
//! whole process. Only where the system's allocator is glibc's, whose blocks it asks for.
#![cfg(all(target_os = "linux", target_env = "gnu", target_pointer_width = "64"))]
#![expect(unsafe_code, reason = "an allocator that counts cannot be written without it")]
#![expect(clippy::print_stdout, reason = "the deviations are worth a look")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::collections::HashMap;
use std::ffi::c_void;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering::Relaxed};

use strata_cache::weight::HeapSize;
use strata_cache::{Cache, Key, Maintenance, Value, scope};

static LIVE: AtomicI64 = AtomicI64::new(0);

struct Counting;

unsafe extern "C" {
    /// Bytes of a block that its owner may use: all but eight.
    fn malloc_usable_size(block: *mut c_void) -> usize;
}

fn block(place: *mut u8) -> i64 {
    // SAFETY: `place` is null, or a block of the system's allocator that is not freed yet.
    let usable = unsafe { malloc_usable_size(place.cast()) };
    if place.is_null() { 0 } else { usable as i64 + 8 }
}

// SAFETY: every call goes to the system's allocator unchanged; the counter is an atomic.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are passed on.
        let place = unsafe { System.alloc(layout) };
        LIVE.fetch_add(block(place), Relaxed);
        place
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        LIVE.fetch_sub(block(place), Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How many cores the process is told it has.
static CORES: AtomicUsize = AtomicUsize::new(2);

/// In place of the system's, which the standard library asks for the number of cores.
///
/// # Safety
/// `mask` has room for `size` bytes.
#[unsafe(no_mangle)]
unsafe extern "C" fn sched_getaffinity(_process: i32, size: usize, mask: *mut u8) -> i32 {
    // SAFETY: the caller's promise.
    let mask = unsafe { std::slice::from_raw_parts_mut(mask, size) };
    mask.fill(0);
    (0..CORES.load(Relaxed)).for_each(|core| mask[core / 8] |= 1 << (core % 8));
    0
}

/// Cores, and capacities as texts and in bytes: 8, 16 and 32 shards, of which the first are half as large again.
const CACHES: [(usize, &str, f64); 3] = [(1, "13MB", 13e6), (16, "11MB", 11e6), (64, "22MB", 22e6)];

/// How far the allocator may be from the capacity, in percent of it.
const ALLOWED: f64 = 3.5;

/// Fills a cache twice over with entries of such keys and values. Percent that the allocator is off the capacity.
fn deviation<K: Key + HeapSize + Hash, V: Value + HeapSize>(
    name: &str,
    (cores, capacity, bytes): (usize, &str, f64),
    entry: impl Fn(u64) -> (K, V),
) -> Result<f64, Box<dyn std::error::Error>> {
    CORES.store(cores, Relaxed);
    let before = LIVE.load(Relaxed);
    let cache = Cache::builder().capacity_bytes(capacity).maintenance(Maintenance::Manual).build()?;
    let region = cache.region_builder::<K, V>("weighed").weigh_bytes().open()?;
    let scope = cache.scope(scope!(org = "acme"))?;
    let (mut number, mut evicted_at) = (0, u64::MAX);
    while number < evicted_at.saturating_mul(2) {
        let (key, value) = entry(number);
        region.set(&scope, key, value).wait()?;
        number += 1;
        if evicted_at == u64::MAX && number % 1_000 == 0 && region.stats().evicted > 0 {
            evicted_at = number;
        }
    }
    cache.maintain();
    let taken = (LIVE.load(Relaxed) - before) as f64;
    let stats = region.stats();
    let off = (taken - bytes) / bytes * 100.0;
    let each = (taken - stats.weight as f64) / stats.entries as f64;
    println!(
        "{capacity} of {name} on {cores} cores: {} entries, off by {off:+.1} %, {each:+.1} bytes an entry",
        stats.entries
    );
    Ok(off)
}

/// Lengths that differ, the same in every run.
fn length(number: u64, most: u64) -> usize {
    (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize % most as usize
}

#[test]
fn capacity_in_bytes_is_what_the_allocator_gives() -> Result<(), Box<dyn std::error::Error>> {
    let text = |number: u64| "x".repeat(length(number, 100));
    let map = |number: u64| {
        let pair = |field: u64| (format!("field {field}"), text(number.wrapping_add(field)));
        (0..length(number, 8) as u64).map(pair).collect::<HashMap<String, String>>()
    };
    let off = deviation("u64 → u64", CACHES[1], |number| (number, number))?;
    assert!(off.abs() <= ALLOWED, "{off:.1?}");
    for cache in CACHES {
        let off = [
            deviation("u64 → String", cache, |number| (number, text(number)))?,
            deviation("String → Vec<u8>", cache, |number| {
                (format!("key {number}"), vec![1_u8; length(number, 1_000)])
            })?,
            deviation("String → HashMap<String, String>", cache, |number| {
                (format!("key {number}"), map(number))
            })?,
            deviation("String → Arc<[u8]>", cache, |number| {
                (format!("key {number}"), Arc::<[u8]>::from(vec![1_u8; length(number, 1_000)]))
            })?,
        ];
        assert!(off.iter().all(|off| off.abs() <= ALLOWED), "{off:.1?}");
    }
    Ok(())
}
