//! Loads that survive a bad day: stale values, time-outs, refreshes, breakers, and what the loader says of its own result.
//!
//! Time is a test clock's; what runs in the background is polled by the test where it is async, and waited for where it is not.

mod answers;
mod batch;
mod breaker;
mod explain;
mod faults;
mod refresh;
mod stale;
mod timeouts;

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};

use strata_cache::{Cache, CacheBuilder, Region, Scope, TestClock, scope};

use crate::support::{seconds, still};

type Run = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What was begun in the background, and waits for the test to go on with it.
#[derive(Clone, Default)]
pub(crate) struct Background(Arc<Mutex<Vec<Run>>>);

impl Background {
    pub(crate) fn spawner(&self) -> impl Fn(Run) + Send + Sync + 'static {
        let runs = Arc::clone(&self.0);
        move |run| runs.lock().expect("nobody panics with it").push(run)
    }

    /// Polls all of it once; what has ended goes.
    pub(crate) fn go_on(&self) {
        let runs = std::mem::take(&mut *self.0.lock().expect("nobody panics with it"));
        let mut context = Context::from_waker(Waker::noop());
        let pending: Vec<_> = runs
            .into_iter()
            .filter_map(|mut run| run.as_mut().poll(&mut context).is_pending().then_some(run))
            .collect();
        self.0.lock().expect("nobody panics with it").extend(pending);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.lock().expect("nobody panics with it").len()
    }
}

/// A description of a cache on a clock that stands still, whose background is the test's.
pub(crate) fn quiet() -> (CacheBuilder, TestClock, Background) {
    let (builder, clock) = still();
    let background = Background::default();
    (builder.spawner(background.spawner()), clock, background)
}

/// A source of values: how often it was asked, and what it says.
#[derive(Clone)]
pub(crate) struct Source {
    asked: Arc<Mutex<u32>>,
    says: Arc<Mutex<Result<u32, Down>>>,
}

/// The source is down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Down;

impl std::fmt::Display for Down {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the source is down")
    }
}

impl std::error::Error for Down {}

impl Source {
    pub(crate) fn new(value: u32) -> Self {
        Self { asked: Arc::default(), says: Arc::new(Mutex::new(Ok(value))) }
    }

    pub(crate) fn says(&self, answer: Result<u32, Down>) {
        *self.says.lock().expect("nobody panics with it") = answer;
    }

    pub(crate) fn asked(&self) -> u32 {
        *self.asked.lock().expect("nobody panics with it")
    }

    pub(crate) fn ask(&self) -> Result<u32, Down> {
        *self.asked.lock().expect("nobody panics with it") += 1;
        self.says.lock().expect("nobody panics with it").clone()
    }

    /// As a loader.
    fn load(&self) -> impl Future<Output = Result<u32, Down>> + Send + use<> {
        let this = self.clone();
        async move { this.ask() }
    }
}

fn numbers(cache: &Cache) -> Result<Region<u32, u32>, strata_cache::Error> {
    cache.region_builder("numbers").ttl("60s").open()
}

/// A [quiet] cache, a region, and a place in it.
struct Numbers {
    cache: Cache,
    clock: TestClock,
    background: Background,
    region: Region<u32, u32>,
    here: Scope,
}

impl Numbers {
    fn new() -> Result<Self, strata_cache::Error> {
        let (builder, clock, background) = quiet();
        let cache = builder.build()?;
        let (region, here) = (numbers(&cache)?, cache.scope(scope!(org = 1))?);
        Ok(Self { cache, clock, background, region, here })
    }

    /// With a 1 at 7 that has been stale for a second, and is kept.
    fn stale() -> Result<Self, strata_cache::Error> {
        let this = Self::new()?;
        this.region.set(&this.here, 7, 1).ttl("60s").keep("1h").wait()?;
        this.clock.advance(seconds(61));
        Ok(this)
    }
}

/// A loader that never ends.
fn hang() -> impl Future<Output = Result<u32, Down>> + Send {
    std::future::pending()
}
