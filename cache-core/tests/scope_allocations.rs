//! Look-ups of scopes allocate nothing, whether they find one or not. Counted by the allocator, per thread.
#![cfg(not(shuttle))]
#![allow(unsafe_code, reason = "an allocator that counts cannot be written without it")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;

use strata_cache_core::scope;
use strata_cache_core::scope::{Anchor, PathIds, Registry, ScopeId, ScopeTree, TrackedLevels};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call goes to the system's allocator unchanged; the counter is a plain cell without a destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[track_caller]
fn allocates_nothing<R>(mut work: impl FnMut() -> R) {
    // Lazily made thread-locals and the like are not the look-up's.
    black_box(work());
    let before = ALLOCATIONS.with(Cell::get);
    for _ in 0..100 {
        black_box(work());
    }
    assert_eq!(ALLOCATIONS.with(Cell::get) - before, 0);
}

#[test]
fn the_counter_counts() {
    let before = ALLOCATIONS.with(Cell::get);
    black_box(Box::new(1));
    assert_eq!(ALLOCATIONS.with(Cell::get) - before, 1);
}

#[test]
fn look_ups_and_resolved_anchors_do_not_allocate() {
    let registry = Registry::new(ScopeTree::default(), TrackedLevels::First);
    let forty = "x".repeat(40);
    let long = "y".repeat(1000);
    let user = registry.find_or_create(&scope!(org = forty, user = 42), "test").unwrap();
    registry.find_or_create(&PathIds::new(&["org", "user"], [long.id_text(), 7.id_text()]), "test").unwrap();
    let anchor = Anchor::at(&registry, &scope!(org = forty, user = 42), "test").unwrap();

    allocates_nothing(|| registry.find(&scope!(org = forty, user = 42), "test"));
    allocates_nothing(|| registry.find(&scope!(org = "absent", user = u64::MAX), "test"));
    allocates_nothing(|| registry.find_or_create(&scope!(org = forty, user = 42), "test"));
    allocates_nothing(|| {
        registry.find(&PathIds::new(&["org", "user"], [long.id_text(), 7.id_text()]), "test")
    });
    allocates_nothing(|| registry.find(&("user", &[("org_id", &forty[..]), ("user_id", "42")]), "test"));
    allocates_nothing(|| anchor.with(&strata_cache_core::epoch::pin(), &registry, |node| node.is_some()));
    allocates_nothing(|| anchor.create(&registry));
    allocates_nothing(|| {
        let _ = user.charge(1);
        user.release(1);
    });
    registry.detach(&user);
    allocates_nothing(|| anchor.find(&registry));
}
