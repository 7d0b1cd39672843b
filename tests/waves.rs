//! Scopes that come by the hundred thousand and go give all their memory back: to the allocator, and, where that is asked for, to
//! the system.
//!
//! A binary of its own, for its allocator counts; one test, for it counts the whole process.
#![cfg(all(target_os = "linux", target_env = "gnu"))]
#![expect(unsafe_code, reason = "an allocator that counts cannot be written without it")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use strata_cache::{Budget, Cache, Maintenance, Region, scope};

static LIVE: AtomicI64 = AtomicI64::new(0);

struct Counting;

// SAFETY: every call goes to the system's allocator unchanged; the counter is an atomic.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE.fetch_add(layout.size() as i64, Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        LIVE.fetch_sub(layout.size() as i64, Relaxed);
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const SESSIONS: u64 = 150_000;
const STAYING: u64 = 2_000;

type Outcome = Result<(), Box<dyn std::error::Error>>;

/// Bytes asked for and not freed, and bytes resident.
fn bytes() -> Result<[i64; 2], Box<dyn std::error::Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no resident memory")?;
    let kibibytes: i64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok([LIVE.load(Relaxed), kibibytes << 10])
}

fn write(region: &Region<u64, u64>, org: &str, users: u64) -> Outcome {
    for user in 0..users {
        // Too long for a node to hold.
        let session = format!("{org}: the session of somebody whose number is {user}");
        region.set(scope!(org = org, user = user % 1_000, session = session), user, user).wait()?;
    }
    Ok(())
}

#[test]
fn memory_of_scopes_that_go_comes_back_though_others_stay() -> Outcome {
    let builder = || Cache::builder().capacity(4 * SESSIONS).maintenance(Maintenance::Manual).trim_heap(true);
    waves(&builder().build()?)?;
    // Each session is ordered by itself then.
    waves(&builder().budget("session", Budget::entries(10)).build()?)
}

fn waves(cache: &Cache) -> Outcome {
    let region = cache.region::<u64, u64>("things")?;
    write(&region, "stays", STAYING)?;
    cache.maintain();
    let start = bytes()?;
    for wave in 0..3 {
        write(&region, "goes", SESSIONS)?;
        let peak = bytes()?;
        assert!((0..2).all(|at| peak[at] - start[at] > 30 << 20), "wave {wave}: {start:?}, {peak:?}");
        cache.evict_by_scope(scope!(org = "goes")).wait()?;
        cache.maintain();
        let end = bytes()?;
        let left = [0, 1].map(|at| (end[at] - start[at]) * 100 / (peak[at] - start[at]));
        assert!(left.iter().all(|&left| left <= 5), "wave {wave}: {left:?} % of {start:?} to {peak:?}");
        assert_eq!(cache.stats().entries, STAYING);
    }
    write(&region, "stays", STAYING)?;
    assert_eq!(cache.stats().entries, STAYING, "who stays was found");
    Ok(())
}
