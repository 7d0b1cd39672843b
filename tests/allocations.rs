//! A hit of a cached function allocates nothing, whatever its arguments are and wherever its values are kept.
//!
//! A binary of its own, for its allocator counts: for each thread, so that neither the other tests nor the cache's own
//! threads are in the count.
#![expect(unsafe_code, reason = "an allocator that counts cannot be written without it")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use strata_cache::{Cache, Scope, cached, scope};

thread_local!(static ALLOCATIONS: Cell<u64> = const { Cell::new(0) });

struct Counting;

fn count() {
    ALLOCATIONS.with(|count| count.set(count.get() + 1));
}

// SAFETY: every call goes to the system's allocator unchanged; the counter is a plain cell without a destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller's promises are passed on.
        unsafe { System.realloc(place, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// More than the calls after which a thread settles its counts and reads the clock.
const HITS: u64 = 10_000;

/// Allocations of this thread in many calls, of which none is the first.
fn of_hits<V>(mut call: impl FnMut() -> V) -> u64 {
    // The first one runs the body, and the next ones find out that entry, scope and thread are used.
    (0..HITS).for_each(|_| drop(call()));
    let before = ALLOCATIONS.with(Cell::get);
    (0..HITS).for_each(|_| drop(call()));
    ALLOCATIONS.with(Cell::get) - before
}

/// The result of a future that never waits.
fn ready<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("neither a hit nor a body without awaits waits"),
    }
}

#[cached(scope = "global")]
fn number(n: u64) -> u64 {
    n + 1
}

#[cached(scope = "global", ttl = "1h")]
fn timed(n: u64) -> u64 {
    n + 1
}

#[cached(scope = "global")]
fn text(text: &str) -> Arc<str> {
    text.into()
}

#[cached(scope = "global")]
fn slice(numbers: &[u32]) -> u64 {
    numbers.iter().map(|number| u64::from(*number)).sum()
}

#[cached(scope = "global")]
fn optional(text: Option<&str>) -> Option<usize> {
    text.map(str::len)
}

#[cached(scope = "user")]
fn of_user(org_id: u64, user_id: u64, section: &str) -> Result<Arc<str>, String> {
    Ok(format!("{org_id}/{user_id}/{section}").into())
}

#[cached(scope = "user")]
fn of_named_user(org_id: &str, user_id: &str, n: u64) -> u64 {
    n + (org_id.len() + user_id.len()) as u64
}

#[cached(scope = "user", ids(ambient))]
fn of_whoever_asks(n: u64) -> u64 {
    n + 1
}

#[cached(scope = "global")]
async fn awaited(n: u64) -> u64 {
    n + 1
}

#[cached(scope = "user", ttl = "1h")]
async fn awaited_of_user(org_id: u64, user_id: u64, section: &str) -> Result<Arc<str>, String> {
    Ok(format!("{org_id}/{user_id}/{section}").into())
}

struct Report(u32);

#[cached]
impl Report {
    #[cached(scope = "global", receiver = self.0)]
    fn monthly(&self, month: u8) -> u32 {
        self.0 + u32::from(month)
    }
}

const LONG: &str =
    "a text that is longer than whatever could be kept beside it, in a key or in an id of a scope";

#[test]
fn hit_with_a_number_allocates_nothing() {
    assert_eq!(of_hits(|| number(7)), 0);
    assert_eq!(of_hits(|| timed(7)), 0);
}

#[test]
fn hit_with_a_borrowed_argument_allocates_nothing() {
    assert_eq!(of_hits(|| text("theme")), 0);
    assert_eq!(of_hits(|| text(LONG)), 0);
    assert_eq!(of_hits(|| slice(&[1, 2, 3])), 0);
}

#[test]
fn hit_with_an_argument_that_may_be_absent_allocates_nothing() {
    assert_eq!(of_hits(|| optional(Some(LONG))), 0);
    assert_eq!(of_hits(|| optional(None)), 0);
}

#[test]
fn hit_in_a_scope_of_two_ids_allocates_nothing() {
    assert_eq!(of_hits(|| of_user(7, 42, "theme")), 0);
    assert_eq!(of_hits(|| of_user(u64::MAX, u64::MAX - 1, LONG)), 0);
    assert_eq!(of_hits(|| of_named_user("acme", LONG, 7)), 0);
}

#[test]
fn hit_in_the_ambient_scope_allocates_nothing() -> Result<(), strata_cache::Error> {
    let user: Scope = strata_cache::default_cache().scope(scope!(org = "acme", user = 42))?;
    assert_eq!(user.enter(|| of_hits(|| of_whoever_asks(7))), 0);
    Ok(())
}

#[test]
fn hit_of_an_async_function_allocates_nothing() {
    assert_eq!(of_hits(|| ready(awaited(7))), 0);
    assert_eq!(of_hits(|| ready(awaited_of_user(7, 42, LONG))), 0);
}

#[test]
fn hit_of_a_method_allocates_nothing() {
    assert_eq!(of_hits(|| Report(7).monthly(3)), 0);
}

#[test]
fn miss_is_counted() -> Result<(), strata_cache::Error> {
    let before = ALLOCATIONS.with(Cell::get);
    drop(Cache::builder().build()?);
    assert!(ALLOCATIONS.with(Cell::get) > before, "the allocator counts");
    Ok(())
}
