//! Faults that a review found, one test each, named by what holds now.

use std::convert::Infallible;
use std::future::{Future as _, pending};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use strata_cache::{Cache, ErrorKind, LoadError, Maintenance, TestClock, scope};

fn cache(clock: &TestClock) -> Cache {
    let built = Cache::builder().clock(clock.clone()).maintenance(Maintenance::Manual).build();
    built.expect("a cache with a clock can be built")
}

#[test]
fn call_that_is_told_of_stalled_loads_counts_as_a_miss() {
    let clock = TestClock::new();
    let cache = cache(&clock);
    let here = scope!(org = 1);
    let mut first = pin!(cache.get_or_load(&here, "k", pending::<Result<u8, Infallible>>));
    assert!(first.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    cache.invalidate(&here, "k").wait().expect("the scope is one of the tree");
    let mut second = pin!(cache.get_or_load(&here, "k", pending::<Result<u8, Infallible>>));
    assert!(second.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    clock.advance(Duration::from_secs(61));
    let third: Result<Arc<u8>, _> = cache.get_or_load_with(&here, "k", || Ok::<_, Infallible>(1)).wait();
    assert!(matches!(third, Err(LoadError::Cache(error)) if error.kind() == ErrorKind::Stalled));
    assert_eq!(cache.stats().misses, 3);
}

#[test]
fn pop_of_an_expired_value_of_another_type_finds_nothing() {
    let clock = TestClock::new();
    let cache = cache(&clock);
    let here = scope!(org = 1);
    cache.set(&here, "k", 7_u64).ttl(1).wait().expect("a good write");
    clock.advance(Duration::from_secs(1));
    assert!(matches!(cache.pop::<String>(&here, "k").wait(), Ok(None)));
}

#[test]
fn load_that_was_awaited_and_is_asked_again_says_so_instead_of_hanging() {
    let cache = cache(&TestClock::new());
    let mut load = pin!(cache.get_or_load_with(scope!(org = 1), "k", || Ok::<_, Infallible>(7_u8)));
    let mut poll = || load.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(poll(), Poll::Ready(Ok(value)) if *value == 7));
    assert!(matches!(poll(), Poll::Ready(Err(LoadError::Cache(_)))));
}

#[test]
fn write_that_is_asked_again_does_not_claim_to_have_written() {
    let cache = cache(&TestClock::new());
    let mut set = pin!(cache.set(scope!(org = 1), "k", 7_u8));
    let mut poll = || set.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(poll(), Poll::Ready(Ok(()))));
    assert!(matches!(poll(), Poll::Ready(Err(_))));
}
