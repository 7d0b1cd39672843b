//! Cached functions that survive a bad day: the options by which their loads are cared for.
//!
//! Time is a test clock's. What runs in the background is polled by the test where it is async, and waited for where it is not.

mod background;
mod timeouts;

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::JoinHandle;
use std::time::Instant;

use strata_cache::{Cache, Error, ErrorKind, InCache, cached, with_cache};
use tokio::sync::oneshot;

use crate::care::{Down, Source, quiet};
use crate::support::{Outcome, answer, seconds};

/// An error that a function may return in place of one of the cache.
#[derive(Debug, Clone, PartialEq)]
enum Bad {
    Down,
    Cache(ErrorKind),
}

impl From<Down> for Bad {
    fn from(Down: Down) -> Self {
        Self::Down
    }
}

impl From<Error> for Bad {
    fn from(error: Error) -> Self {
        Self::Cache(error.kind())
    }
}

/// What a call over this cache comes to, which is to be there at the first poll.
#[track_caller]
fn now<F: Future>(cache: &Cache, call: F) -> F::Output {
    answer(&mut Box::pin(call.in_cache(cache)))
}

/// What the next run waits for, if that is there.
type Gate = Arc<Mutex<Option<oneshot::Receiver<()>>>>;

/// A gate for one run, and what opens it.
fn gate() -> (oneshot::Sender<()>, Gate) {
    let (open, gate) = oneshot::channel();
    (open, Arc::new(Mutex::new(Some(gate))))
}

async fn pass(gate: &Gate) {
    let waits = gate.lock().expect("nobody panics with it").take();
    if let Some(waits) = waits {
        // Whoever drops its other end opens it, too.
        _ = waits.await;
    }
}

/// Where a sync run waits until the test lets it go.
struct Stop {
    is_reached: AtomicBool,
    is_open: AtomicBool,
}

impl Stop {
    const fn new() -> Self {
        Self { is_reached: AtomicBool::new(false), is_open: AtomicBool::new(false) }
    }

    /// In the run.
    fn hold(&self) {
        self.is_reached.store(true, SeqCst);
        until("it is never let go", || self.is_open.load(SeqCst));
    }

    /// In the test.
    #[track_caller]
    fn reached(&self) {
        until("nothing runs", || self.is_reached.load(SeqCst));
    }

    fn let_go(&self) {
        self.is_open.store(true, SeqCst);
    }
}

/// A call over this cache on a thread of its own, which a test that fails leaves alone.
fn apart<T: Send + 'static>(cache: &Cache, call: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    let cache = cache.clone();
    std::thread::spawn(move || with_cache(&cache, call))
}

/// Waits for what another thread does.
#[track_caller]
fn until(what: &str, is_so: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < seconds(60), "{what}");
        std::thread::yield_now();
    }
}

// Whoever has no runs in the background needs no owned arguments: what counts its runs is lent to it.
#[cached(scope = "global", ttl = "60s", on_error = stale("1h"), throttle = "5s", skip(source, runs))]
fn quote(name: &str, source: &Source, runs: &mut u32) -> Result<String, Down> {
    *runs += 1;
    source.ask().map(|number| format!("{name} {number}"))
}

#[test]
fn error_is_answered_with_what_is_kept_and_not_tried_again_at_once() -> Outcome {
    let (builder, clock, _) = quiet();
    let cache = builder.build()?;
    let (source, mut runs) = (Source::new(1), 0);
    let mut call = || with_cache(&cache, || quote("a", &source, &mut runs));
    assert_eq!(call(), Ok("a 1".into()));
    source.says(Err(Down));
    clock.advance(seconds(61));
    for _ in 0..100 {
        assert_eq!(call(), Ok("a 1".into()));
    }
    clock.advance(seconds(4));
    call()?;
    assert_eq!(source.asked(), 2, "one attempt, and then none for five seconds");
    clock.advance(seconds(1));
    call()?;
    assert_eq!(source.asked(), 3);
    source.says(Ok(2));
    clock.advance(seconds(5));
    assert_eq!((call(), call()), (Ok("a 2".into()), Ok("a 2".into())));
    source.says(Err(Down));
    clock.advance(seconds(60 + 3600));
    assert_eq!(call(), Err(Down), "it is kept no longer");
    let stats = with_cache(&cache, quote::stats);
    assert_eq!((stats.fallbacks, stats.loads, stats.load_failures, runs), (102, 5, 3, 5));
    Ok(())
}

#[cached(scope = "global", ttl = "60s", on_error = stale, skip(source))]
async fn as_long_again(source: &Source) -> Result<u32, Down> {
    source.ask()
}

#[cached(scope = "global", on_error = stale, skip(source))]
async fn as_long_as_the_cache_says(source: &Source) -> Result<u32, Down> {
    source.ask()
}

#[test]
fn value_is_kept_for_errors_as_long_again_as_its_time_and_tried_again_after_a_second() -> Outcome {
    let (builder, clock, _) = quiet();
    let cache = builder.ttl("60s").build()?;
    let source = Source::new(1);
    let both =
        || [now(&cache, as_long_again(&source)).ok(), now(&cache, as_long_as_the_cache_says(&source)).ok()];
    assert_eq!(both(), [Some(1); 2]);
    source.says(Err(Down));
    clock.advance(seconds(118));
    assert_eq!((both(), both(), source.asked()), ([Some(1); 2], [Some(1); 2], 4));
    clock.advance(seconds(1));
    assert_eq!((both(), source.asked()), ([Some(1); 2], 6));
    clock.advance(seconds(1));
    assert_eq!(both(), [None; 2]);
    Ok(())
}

#[test]
fn function_that_keeps_what_has_no_end_runs_uncached() -> Outcome {
    let (builder, _, _) = quiet();
    let (cache, source) = (builder.build()?, Source::new(1));
    for _ in 0..2 {
        assert_eq!(now(&cache, as_long_as_the_cache_says(&source)), Ok(1));
    }
    assert_eq!((source.asked(), cache.stats().entries), (2, 0));
    Ok(())
}

#[cached(scope = "global", ttl = "60s", on_error = stale, throttle = "5s", skip(source))]
fn kept(source: &Source) -> Result<u32, Down> {
    source.ask()
}

#[test]
fn refresh_tries_at_once_and_says_so_if_it_fails() -> Outcome {
    let (builder, clock, _) = quiet();
    let (cache, source) = (builder.build()?, Source::new(1));
    let call = || with_cache(&cache, || kept(&source));
    let refresh = || with_cache(&cache, || kept::refresh(&source));
    assert_eq!((refresh(), source.asked()), (Ok(1), 1));
    source.says(Err(Down));
    clock.advance(seconds(61));
    assert_eq!((call(), call(), source.asked()), (Ok(1), Ok(1), 2), "it is not tried again at once");
    assert_eq!(
        (refresh(), refresh(), source.asked()),
        (Err(Down), Err(Down), 4),
        "but where it is asked for"
    );
    assert_eq!((call(), source.asked()), (Ok(1), 4), "what is kept stays");
    source.says(Ok(2));
    assert_eq!((refresh(), call(), source.asked()), (Ok(2), Ok(2), 5));
    Ok(())
}

#[cached(scope = "global", breaker(failures = 3, cool_down = "20s"), skip(source))]
fn fragile(id: u32, source: &Source) -> Result<u32, Bad> {
    Ok(id + source.ask()?)
}

#[cached(scope = "global", breaker = 1, ttl = "60s", on_error = stale, throttle = "1ms", skip(source))]
async fn fragile_and_kept(id: u32, source: &Source) -> Result<u32, Bad> {
    Ok(id + source.ask()?)
}

#[test]
fn breaker_opens_after_failures_in_a_row_and_one_probe_closes_it() -> Outcome {
    let (builder, clock, _) = quiet();
    let (cache, source) = (builder.build()?, Source::new(1));
    let call = |id| with_cache(&cache, || fragile(id, &source));
    source.says(Err(Down));
    assert_eq!([1, 2, 3].map(call), [const { Err(Bad::Down) }; 3]);
    let open = || Err(Bad::Cache(ErrorKind::BreakerOpen));
    assert_eq!([4, 1, 5].map(call), [open(), open(), open()]);
    assert_eq!(source.asked(), 3);
    clock.advance(seconds(19));
    assert_eq!(call(1), open());
    clock.advance(seconds(1));
    source.says(Ok(1));
    assert_eq!([1, 2].map(call), [Ok(2), Ok(3)]);
    let stats = with_cache(&cache, fragile::stats);
    assert_eq!((stats.breaker_opened, stats.breaker_refused), (1, 4));
    Ok(())
}

#[test]
fn open_breaker_is_answered_with_what_is_kept() -> Outcome {
    let (builder, clock, _) = quiet();
    let (cache, source) = (builder.build()?, Source::new(1));
    let call = |id| now(&cache, fragile_and_kept(id, &source));
    assert_eq!(call(1), Ok(2));
    clock.advance(seconds(61));
    source.says(Err(Down));
    assert_eq!(call(2), Err(Bad::Down));
    assert_eq!((call(1), call(3)), (Ok(2), Err(Bad::Cache(ErrorKind::BreakerOpen))));
    assert_eq!(source.asked(), 2);
    Ok(())
}

#[cached(scope = "global", ttl = "60s", negative(err = "5s"), on_error = stale("1h"), breaker = 1, skip(source))]
fn errors_too(source: &Source) -> Result<u32, Bad> {
    Ok(source.ask()?)
}

#[test]
fn error_that_is_stored_is_a_value_and_takes_the_place_of_what_is_kept() -> Outcome {
    let (builder, clock, _) = quiet();
    let (cache, source) = (builder.build()?, Source::new(1));
    let call = || with_cache(&cache, || errors_too(&source));
    assert_eq!(call(), Ok(1));
    clock.advance(seconds(61));
    source.says(Err(Down));
    assert_eq!((call(), call(), source.asked()), (Err(Bad::Down), Err(Bad::Down), 2));
    clock.advance(seconds(5));
    source.says(Ok(2));
    assert_eq!((call(), cache.stats().breaker_opened), (Ok(2), 0));
    Ok(())
}

/// What is told by a run.
type Teller = mpsc::Sender<String>;

fn heard(told: &mpsc::Receiver<String>) -> String {
    told.recv_timeout(seconds(60)).expect("it runs")
}
