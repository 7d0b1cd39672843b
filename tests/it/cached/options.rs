//! What is stored, under which key and for how long: each option of `#[cached]` that says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use strata_cache::{Cache, TestClock, cached, with_cache};

use crate::support::Outcome;

/// A cache whose clock stands still, and the clock.
fn on_a_clock() -> Result<(Cache, TestClock), strata_cache::Error> {
    let clock = TestClock::new();
    Ok((Cache::builder().clock(clock.clone()).build()?, clock))
}

/// How often a function ran since it was last asked.
struct Runs(AtomicU32);

impl Runs {
    const fn new() -> Self {
        Self(AtomicU32::new(0))
    }

    fn count(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    fn take(&self) -> u32 {
        self.0.swap(0, Relaxed)
    }
}

static QUERIES: Runs = Runs::new();

#[derive(Debug)]
struct Query {
    text: String,
    trace: u64,
}

impl Query {
    fn normalized(&self) -> String {
        self.text.to_lowercase()
    }
}

#[cached(scope = "org", key = |query, page| (query.normalized(), *page))]
fn search(org_id: u64, query: &Query, page: u32, limit: f64) -> String {
    QUERIES.count();
    format!("{org_id} {} {} {page} {limit}", query.text, query.trace)
}

#[test]
fn key_is_what_the_option_makes_of_the_parameters_it_names() -> Outcome {
    with_cache(&Cache::builder().build()?, || {
        let query = |text: &str, trace| Query { text: text.into(), trace };
        let first = search(1, &query("Rust", 7), 0, 0.5);
        assert_eq!(search(1, &query("RUST", 8), 0, 1.5), first);
        assert_ne!(search(1, &query("rust", 7), 1, 0.5), first);
        assert_ne!(search(2, &query("rust", 7), 0, 0.5), first);
        assert_eq!(QUERIES.take(), 3);
        assert_eq!(search::peek(1, &query("rUST", 9), 0), Some(first));
        assert!(search::invalidate(1, &query("rUST", 9), 0).wait()?);
        assert_eq!(search::peek(1, &query("rust", 7), 0), None);
        Ok(())
    })
}

static PAGES: Runs = Runs::new();

#[cached(scope = "global", when = |page| page.is_complete)]
fn page(number: u32) -> Result<Page, String> {
    PAGES.count();
    if number == 0 { Err("none".into()) } else { Ok(Page { number, is_complete: number.is_multiple_of(2) }) }
}

#[derive(Debug, Clone, PartialEq)]
struct Page {
    number: u32,
    is_complete: bool,
}

#[test]
fn value_that_does_not_pass_is_served_and_not_stored() -> Outcome {
    with_cache(&Cache::builder().build()?, || {
        let both = |number| (page(number), page(number), PAGES.take());
        assert_eq!(both(2), (page(2), page(2), 1));
        assert_eq!((both(1).2, both(0).2), (2, 2));
        assert_eq!((page::peek(1), page::peek(2).is_some()), (None, true));
        assert!(!page::prime(3, Ok(Page { number: 3, is_complete: false })).wait()?);
        assert_eq!(page::peek(3), None);
        Ok(())
    })
}

static FINDS: Runs = Runs::new();

#[cached(scope = "global", ttl = "10m", negative = "30s")]
fn find(id: u32) -> Option<u32> {
    FINDS.count();
    (id > 0).then_some(id)
}

#[cached(scope = "global", ttl = "10m", negative(none = "30s", err = Duration::from_secs(5)))]
fn fetch(id: u32) -> Result<Option<u32>, Arc<str>> {
    FINDS.count();
    match id {
        0 => Err("down".into()),
        1 => Ok(None),
        id => Ok(Some(id)),
    }
}

#[test]
fn absence_and_errors_are_kept_for_their_own_times() -> Outcome {
    let (cache, clock) = on_a_clock()?;
    with_cache(&cache, || {
        let all = || {
            assert_eq!((find(0), find(1)), (None, Some(1)));
            assert_eq!((fetch(0).ok(), fetch(1), fetch(2)), (None, Ok(None), Ok(Some(2))));
            FINDS.take()
        };
        assert_eq!((all(), all()), (5, 0));
        assert_eq!(fetch::peek(0), Some(Err("down".into())));
        clock.advance(Duration::from_secs(5));
        assert_eq!(all(), 1, "the error is over");
        clock.advance(Duration::from_secs(25));
        assert_eq!(all(), 3, "and so is absence, and the error again");
        clock.advance(Duration::from_secs(570));
        assert_eq!(all(), 5, "what there is lives as long as it may");
    });
    Ok(())
}

const fn nothing() -> Duration {
    Duration::ZERO
}

#[cached(scope = "global", ttl = nothing())]
fn for_no_time(id: u32) -> Option<u32> {
    FAULTY.count();
    (id > 0).then_some(id)
}

#[cached(scope = "global", negative = nothing())]
fn absent_for_no_time(id: u32) -> Option<u32> {
    FAULTY.count();
    (id > 0).then_some(id)
}

static FAULTY: Runs = Runs::new();

#[test]
fn function_whose_time_cannot_be_runs_uncached() -> Outcome {
    let (cache, _) = on_a_clock()?;
    with_cache(&cache, || {
        for id in [0, 0, 1, 1] {
            assert_eq!(for_no_time(id), (id > 0).then_some(id));
            assert_eq!(absent_for_no_time(id), (id > 0).then_some(id));
        }
        assert_eq!(FAULTY.take(), 8);
        assert_eq!((absent_for_no_time::stats().bypassed, cache.stats().entries), (4, 0));
        for primed in [for_no_time::prime(1, None), absent_for_no_time::prime(1, None)] {
            assert!(primed.wait().is_err());
        }
        Ok(())
    })
}

#[cached(scope = "global", ttl = "1h", idle = "10s")]
fn session(id: u32) -> u32 {
    id
}

#[cached(scope = "global", ttl = "100s", jitter = "50%")]
fn price(id: u32) -> u32 {
    id
}

#[test]
fn unused_values_go_and_a_clock_of_the_tests_own_has_no_jitter() -> Outcome {
    let (cache, clock) = on_a_clock()?;
    with_cache(&cache, || {
        assert_eq!((session(1), session(2), price(1)), (1, 2, 1));
        for _ in 0..3 {
            clock.advance(Duration::from_secs(6));
            session(1);
        }
        assert_eq!((session::peek(1), session::peek(2)), (Some(1), None));
        clock.advance(Duration::from_secs(81));
        assert_eq!(price::peek(1), Some(1), "99 of its 100 seconds");
    });
    Ok(())
}

#[cached(scope = "global", weigh = |text| text.len() as u64)]
fn text(length: usize) -> String {
    "x".repeat(length)
}

#[test]
fn value_weighs_what_the_function_says() -> Outcome {
    let cache = Cache::builder().capacity_bytes(1_000).build()?;
    with_cache(&cache, || {
        assert_eq!(text(10).len() + text(300).len(), 310);
        assert_eq!(text::stats().weight, 310);
        text(1_001);
        assert_eq!((text::peek(1_001), text::stats().refused_weight), (None, 1), "served, and not stored");
    });
    Ok(())
}

static PREPARED: Runs = Runs::new();

#[cached(scope = "org", allow(unit))]
fn prepare(org_id: u64) {
    assert_ne!(org_id, 0);
    PREPARED.count();
}

#[test]
fn function_without_a_value_runs_once() -> Outcome {
    with_cache(&Cache::builder().build()?, || {
        for org in [1, 1, 2] {
            prepare(org);
        }
        assert_eq!((PREPARED.take(), prepare::peek(1)), (2, Some(())));
    });
    Ok(())
}
