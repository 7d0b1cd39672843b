//! A cache, its callers and their loaders, and one step of a schedule.

use std::cell::RefCell;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use strata_cache::{
    Cache, ErrorKind, Freshness, LoadError, Region, RegionBuilder, Scope, Served, TestClock, answer, scope,
    tag_load,
};

use super::Dice;
use super::oracle::{At, Oracle, Value};
use crate::support::{seconds, still};

/// An org, two of its users, and another org.
const SCOPES: usize = 4;

/// Which scopes each of these holds.
const WITHIN: [&[usize]; SCOPES] = [&[0, 1, 2], &[1], &[2], &[3]];

const KEYS: u8 = 3;

const TTL: Duration = Duration::from_secs(100);
const STALE: Duration = Duration::from_secs(50);
const KEPT: Duration = Duration::from_secs(400);
const SOFT: Duration = Duration::from_secs(2);
const HARD: Duration = Duration::from_secs(10);

#[derive(Debug, Clone, PartialEq)]
struct Down;

type Run = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What the loaders and the schedule share.
#[derive(Clone)]
struct Shared(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    oracle: Oracle,
    /// Loads that run, and wait to be told how they end.
    loads: Vec<Load>,
    /// Background runs that were begun and not taken up yet.
    spawned: Vec<Run>,
    /// Calls answered.
    answered: usize,
}

struct Load {
    serial: u64,
    ats: Vec<At>,
    end: Option<End>,
    waker: Option<Waker>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Bring,
    /// It says that its result lives for so long.
    BringFor(u64),
    /// It adds a tag.
    BringTagged(u8),
    NotStored,
    Unchanged,
    Err,
    Panic,
}

impl Shared {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A loader of these keys: it reads the database when it begins, and ends when it is told to.
    fn load(
        &self,
        ats: Vec<At>,
        clock: &TestClock,
        ttl: Duration,
    ) -> impl Future<Output = Vec<Result<Value, Down>>> + Send + use<> {
        let (this, clock) = (self.clone(), clock.clone());
        let serials: Vec<u64> = ats.iter().map(|_| this.inner().oracle.serial()).collect();
        async move {
            let read: Vec<Value> = {
                let mut inner = this.inner();
                let read = |(at, serial): (&At, &u64)| Value {
                    at: *at,
                    version: inner.oracle.version(*at),
                    serial: *serial,
                };
                let values = ats.iter().zip(&serials).map(read).collect();
                ats.iter().for_each(|at| inner.oracle.begin_run(*at));
                inner.loads.push(Load { serial: serials[0], ats: ats.clone(), end: None, waker: None });
                values
            };
            let running = Running { shared: this.clone(), serial: serials[0] };
            let end = poll_fn(|context| this.poll_load(serials[0], context)).await;
            drop(running);
            let now = || strata_cache::Clock::now(&clock);
            let mut ttl = ttl;
            let mut read = read;
            match end {
                End::Err => return ats.iter().map(|_| Err(Down)).collect(),
                End::Panic => panic!("a loader panics by script"),
                End::NotStored => answer::do_not_store().expect("it is a load"),
                End::BringTagged(tag) => tag_load(format!("added:{tag}")).expect("it is a load"),
                End::BringFor(time) => {
                    ttl = seconds(time);
                    answer::ttl(ttl).expect("it is a load");
                }
                End::Unchanged => {
                    // The source says so of what is stored, if that is what it has itself.
                    if let [value] = &mut read[..]
                        && let Some(previous) = answer::previous::<Value>().expect("it is a load")
                        && previous.version == value.version
                    {
                        answer::not_modified().expect("it is a load");
                        // It may be stored under its own serial, or stay under the old one.
                        this.inner().oracle.begin_time(previous.serial, now(), ttl);
                        *value = (*previous).clone();
                    }
                }
                End::Bring => {}
            }
            let mut inner = this.inner();
            read.iter().for_each(|value| inner.oracle.begin_time(value.serial, now(), ttl));
            read.into_iter().map(Ok).collect()
        }
    }

    fn poll_load(&self, serial: u64, context: &Context<'_>) -> Poll<End> {
        let mut inner = self.inner();
        let load = inner.loads.iter_mut().find(|load| load.serial == serial).expect("it runs");
        if let Some(end) = load.end {
            return Poll::Ready(end);
        }
        load.waker = Some(context.waker().clone());
        Poll::Pending
    }
}

/// A load counts as running until it ends, however that comes.
struct Running {
    shared: Shared,
    serial: u64,
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut inner = self.shared.inner();
        let at = inner.loads.iter().position(|load| load.serial == self.serial).expect("it runs");
        let load = inner.loads.swap_remove(at);
        load.ats.iter().for_each(|at| inner.oracle.end_run(*at));
    }
}

/// Whether a task was woken since it was polled last.
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, SeqCst);
    }
}

/// Something that is polled when it was woken.
struct Task {
    future: Pin<Box<dyn Future<Output = ()>>>,
    flag: Arc<Flag>,
    /// When it has to be over.
    due: Option<Duration>,
    what: String,
}

pub(crate) struct World {
    dice: Dice,
    cache: Cache,
    clock: TestClock,
    scopes: Rc<Vec<Scope>>,
    region: Region<u8, Value>,
    shared: Shared,
    calls: Vec<Task>,
    background: Vec<Task>,
    /// What has happened so far.
    log: Log,
}

pub(crate) type Log = Rc<RefCell<Vec<String>>>;

impl World {
    pub(crate) fn new(mut dice: Dice, log: Log) -> Self {
        let shared = Shared(Arc::default());
        let (builder, clock) = still();
        let spawned = shared.clone();
        let builder = builder
            .spawner(move |run| spawned.inner().spawned.push(run))
            .background_loads(if dice.one_in(4) { 1 } else { 8 })
            .load_lease(seconds(60))
            // An executor that takes its time is not a stalled leader.
            .load_patience(seconds(100_000));
        let builder = if dice.one_in(4) { builder.capacity(3) } else { builder };
        let cache = builder.build().expect("the options are good");
        let cared: RegionBuilder<u8, Value> = cache.region_builder("r").ttl(TTL).weigher(|_, _| 1);
        let cared = if dice.one_in(3) { cared.breaker(3, seconds(20)) } else { cared };
        let cared = match dice.below(3) {
            0 => cared,
            1 => cared.refresh(0.5),
            _ => cared.refresh_early(2.0),
        };
        let region = cared.open().expect("the options are good");
        let scopes = [
            cache.scope(scope!(org = 1)),
            cache.scope(scope!(org = 1, user = 1)),
            cache.scope(scope!(org = 1, user = 2)),
            cache.scope(scope!(org = 2)),
        ];
        let scopes = scopes.map(|scope| scope.expect("a path")).into_iter().collect();
        Self {
            dice,
            cache,
            clock,
            scopes: Rc::new(scopes),
            region,
            shared,
            calls: Vec::new(),
            background: Vec::new(),
            log,
        }
    }

    fn now(&self) -> Duration {
        strata_cache::Clock::now(&self.clock)
    }

    fn any(&mut self) -> At {
        At { scope: self.dice.below(SCOPES), key: self.dice.below(KEYS as usize) as u8 }
    }

    fn note(&self, what: String) {
        self.log.borrow_mut().push(format!("{:>5} s  {what}", self.now().as_secs()));
    }

    /// One thing happens.
    pub(crate) fn step(&mut self) {
        match self.dice.below(20) {
            0..=5 => self.call(),
            6 => self.batch(),
            7..=10 => self.end_a_load(),
            11 => self.cancel(),
            12..=13 => self.advance(),
            14..=15 => self.withdraw(true),
            16 => self.withdraw(false),
            17 => self.set(),
            18 => self.get(),
            _ => self.cache.maintain(),
        }
    }

    /// Somebody asks, in one of many ways.
    fn call(&mut self) {
        let at = self.any();
        let (shared, clock) = (self.shared.clone(), self.clock.clone());
        let load = move || {
            let run = shared.load(vec![at], &clock, TTL);
            async move { run.await.pop().expect("one result") }
        };
        let here = self.scopes[at.scope].clone();
        let region = self.region.clone();
        let floor = self.shared.inner().oracle.floor(at);
        let mut window = Duration::ZERO;
        let mut due = None;
        let way = self.dice.below(64);
        let marked = async move {
            let mut get = region.get_or_load(&here, &at.key, load).tag(format!("declared:{}", at.key));
            if way & 1 != 0 {
                get = get.stale(STALE);
            }
            if way & 2 != 0 {
                get = get.stale_on_error(KEPT).throttle("5s");
            }
            if way & 4 != 0 {
                get = get.hard(HARD);
            }
            if way & 8 != 0 && way & 2 != 0 {
                get = get.soft(SOFT);
            }
            if way & 16 != 0 {
                get = get.detached();
            }
            if way & 32 != 0 {
                get = get.share_errors();
            }
            get.marked().await
        };
        if way & 1 != 0 {
            window = window.max(STALE);
        }
        if way & 2 != 0 {
            window = window.max(KEPT);
        }
        if way & 4 != 0 {
            due = Some(self.now() + HARD);
        }
        let (shared, clock, log) = (self.shared.clone(), self.clock.clone(), Rc::clone(&self.log));
        let number = self.log.borrow().len();
        let what = format!("call {number}: {at:?} in way {way:06b}");
        self.note(what.clone());
        let future = async move {
            let answered = marked.await;
            log.borrow_mut().push(format!("answer to {number}: {answered:?}"));
            let mut inner = shared.inner();
            inner.answered += 1;
            match answered {
                Ok(Served { value, freshness, .. }) => {
                    let stale = match freshness {
                        Freshness::Stale(past) => Some((past, window)),
                        _ => None,
                    };
                    inner.oracle.check(at, floor, &value, strata_cache::Clock::now(&clock), stale);
                }
                Err(LoadError::Load(Down) | LoadError::LeaderFailed) => {}
                Err(LoadError::Cache(error)) => {
                    let kinds = [ErrorKind::TimedOut, ErrorKind::BreakerOpen, ErrorKind::Stalled];
                    assert!(kinds.contains(&error.kind()), "{error}");
                    assert!(error.kind() != ErrorKind::TimedOut || way & 4 != 0, "{error}");
                }
                Err(error) => panic!("{error:?}"),
            }
        };
        self.spawn(future, due, what);
    }

    fn batch(&mut self) {
        let scope = self.dice.below(SCOPES);
        let keys: Vec<u8> = (0..KEYS).filter(|_| !self.dice.one_in(3)).collect();
        let (shared, clock) = (self.shared.clone(), self.clock.clone());
        let floors: Vec<(At, u64)> = keys
            .iter()
            .map(|&key| At { scope, key })
            .map(|at| (at, self.shared.inner().oracle.floor(at)))
            .collect();
        let load = {
            let (shared, clock) = (shared.clone(), clock.clone());
            move |keys: Vec<u8>| {
                let ats = keys.into_iter().map(|key| At { scope, key }).collect();
                shared.load(ats, &clock, TTL)
            }
        };
        let (region, here) = (self.region.clone(), self.scopes[scope].clone());
        let (takes, is_limited) = (self.dice.one_in(2), self.dice.one_in(2));
        let due = is_limited.then(|| self.now() + HARD);
        let (log, begun) = (Rc::clone(&self.log), self.now());
        let number = self.log.borrow().len();
        let what = format!("batch {number}: scope {scope}, keys {keys:?}, {takes} {is_limited}");
        self.note(what.clone());
        let future = async move {
            // One set for all keys: each has the tag that loads of it alone declare.
            let tags: Vec<String> = (0..KEYS).map(|key| format!("declared:{key}")).collect();
            let mut load = region.load_many(&here, keys, load).tags(tags.iter().map(String::as_str));
            if takes {
                load = load.stale_on_error(KEPT);
            }
            if is_limited {
                load = load.hard(HARD);
            }
            let answers = load.await.expect("the options are good");
            log.borrow_mut().push(format!("answer to {number}: {answers:?}"));
            let mut inner = shared.inner();
            inner.answered += 1;
            for ((at, floor), answer) in floors.into_iter().zip(answers) {
                if let Ok(value) = answer {
                    inner.oracle.check_one(at, floor, &value, begun, takes.then_some(KEPT));
                }
            }
        };
        self.spawn(future, due, what);
    }

    fn spawn(&mut self, future: impl Future<Output = ()> + 'static, due: Option<Duration>, what: String) {
        let flag = Arc::new(Flag(AtomicBool::new(true)));
        self.calls.push(Task { future: Box::pin(future), flag, due, what });
    }

    fn end_a_load(&mut self) {
        let mut inner = self.shared.inner();
        let open: Vec<usize> = (0..inner.loads.len()).filter(|&at| inner.loads[at].end.is_none()).collect();
        if open.is_empty() {
            return;
        }
        let at = open[self.dice.below(open.len())];
        let end = match self.dice.below(12) {
            0..=4 => End::Bring,
            5 => End::BringTagged(self.dice.below(2) as u8),
            6 => End::BringFor(1 + self.dice.below(30) as u64),
            7 => End::NotStored,
            8 => End::Unchanged,
            9..=10 => End::Err,
            _ => End::Panic,
        };
        let load = &mut inner.loads[at];
        load.end = Some(end);
        let (waker, what) =
            (load.waker.take(), format!("load {} of {:?} ends: {end:?}", load.serial, load.ats));
        drop(inner);
        self.note(what);
        waker.into_iter().for_each(Waker::wake);
    }

    fn cancel(&mut self) {
        if self.calls.is_empty() {
            return;
        }
        let at = self.dice.below(self.calls.len());
        let task = self.calls.swap_remove(at);
        self.note(format!("dropped: {}", task.what));
        drop(task);
    }

    fn advance(&mut self) {
        let by = [seconds(1), seconds(3), seconds(11), seconds(40), seconds(101), seconds(600)];
        let by = by[self.dice.below(by.len())];
        self.note(format!("{by:?} pass"));
        self.clock.advance(by);
    }

    /// Something is withdrawn, after the database was written to, or for no reason.
    fn withdraw(&mut self, writes: bool) {
        let at = self.any();
        let here = &self.scopes[at.scope];
        let keys = || 0..KEYS;
        let (what, covered): (String, Vec<At>) = match self.dice.below(7) {
            0 => ("invalidate".into(), vec![at]),
            1 => ("remove".into(), vec![at]),
            2 => (format!("tag declared:{}", at.key), vec![at]),
            3 => (format!("tag added:{}", at.key % 2), Vec::new()),
            4 => ("region".into(), keys().map(|key| At { key, ..at }).collect()),
            5 => {
                let scopes = WITHIN[at.scope].iter();
                ("scope".into(), scopes.flat_map(|&scope| keys().map(move |key| At { scope, key })).collect())
            }
            _ => (
                "clear".into(),
                (0..SCOPES).flat_map(|scope| keys().map(move |key| At { scope, key })).collect(),
            ),
        };
        if writes {
            covered.iter().for_each(|at| _ = self.shared.inner().oracle.write(*at));
        }
        self.note(format!("{what} at {at:?}, after a write: {writes}"));
        match what.as_str() {
            "invalidate" => _ = self.region.invalidate(here, &at.key).wait().expect("a place"),
            "remove" => _ = self.region.remove(here, &at.key).wait().expect("a place"),
            "region" => _ = self.region.invalidate_scope(here).wait().expect("a place"),
            "scope" => _ = self.cache.evict_by_scope(here).wait().expect("a place"),
            "clear" => _ = self.cache.clear().wait().expect("a place"),
            tag => {
                let tag = tag.strip_prefix("tag ").expect("a tag").to_owned();
                _ = self.cache.invalidate_tag(here, tag).wait().expect("a tag");
            }
        }
        covered.iter().for_each(|at| self.shared.inner().oracle.raise(*at));
    }

    /// The database is written to, and the cache with it.
    fn set(&mut self) {
        let at = self.any();
        let now = self.now();
        let mut inner = self.shared.inner();
        let value = Value { at, version: inner.oracle.write(at), serial: inner.oracle.serial() };
        inner.oracle.begin_time(value.serial, now, TTL);
        drop(inner);
        self.note(format!("set {value:?}"));
        // As every load of it, it has the key's tag.
        let set = self.region.set(&self.scopes[at.scope], at.key, value).tag(format!("declared:{}", at.key));
        set.keep(KEPT).wait().expect("the options are good");
        self.shared.inner().oracle.raise(at);
    }

    fn get(&mut self) {
        let at = self.any();
        let floor = self.shared.inner().oracle.floor(at);
        let found = self.region.get(&self.scopes[at.scope], &at.key).wait().expect("a place");
        if let Some(value) = found {
            self.shared.inner().oracle.check(at, floor, &value, self.now(), None);
        }
    }

    /// Polls whatever was woken, until nobody is.
    pub(crate) fn settle(&mut self) {
        loop {
            for run in std::mem::take(&mut self.shared.inner().spawned) {
                let flag = Arc::new(Flag(AtomicBool::new(true)));
                self.background.push(Task { future: run, flag, due: None, what: "background".into() });
            }
            let calls = poll_all(&mut self.calls, &mut self.dice);
            let background = poll_all(&mut self.background, &mut self.dice);
            if !calls && !background && self.shared.inner().spawned.is_empty() {
                break;
            }
        }
        let now = self.now();
        for task in &self.calls {
            assert!(task.due.is_none_or(|due| now < due), "not answered in time: {}", task.what);
        }
    }

    /// Everything is brought to its end.
    pub(crate) fn end(&mut self) {
        // Loads that are asked for again by those who are left end well.
        for _ in 0..1_000 {
            let wakers: Vec<Waker> = {
                let mut inner = self.shared.inner();
                inner.loads.iter_mut().for_each(|load| _ = load.end.get_or_insert(End::Bring));
                inner.loads.iter_mut().filter_map(|load| load.waker.take()).collect()
            };
            wakers.into_iter().for_each(Waker::wake);
            self.settle();
            if self.calls.is_empty() && self.background.is_empty() {
                break;
            }
        }
        let left: Vec<&str> =
            self.calls.iter().chain(&self.background).map(|task| task.what.as_str()).collect();
        assert!(left.is_empty(), "never answered: {left:?}");
        let stats = self.cache.stats();
        assert_eq!((stats.flights, stats.queued, self.shared.inner().oracle.running()), (0, 0, 0));
        assert!(self.cache.stats().lookups() >= self.shared.inner().answered as u64 / 2);
    }
}

/// Polls tasks that were woken, in any order; those that end go. Whether there were some.
fn poll_all(tasks: &mut Vec<Task>, dice: &mut Dice) -> bool {
    let mut woken: Vec<usize> = (0..tasks.len()).filter(|&at| tasks[at].flag.0.load(SeqCst)).collect();
    if woken.is_empty() {
        return false;
    }
    let at = woken.swap_remove(dice.below(woken.len()));
    let task = &mut tasks[at];
    task.flag.0.store(false, SeqCst);
    let waker = Waker::from(Arc::clone(&task.flag));
    let poll = || task.future.as_mut().poll(&mut Context::from_waker(&waker)).is_ready();
    let ended = catch_unwind(AssertUnwindSafe(poll)).unwrap_or_else(|panic| {
        // A loader that panics takes its caller along, and nobody else.
        let text = panic.downcast_ref::<&str>().is_some_and(|text| text.contains("by script"));
        if !text {
            std::panic::resume_unwind(panic);
        }
        true
    });
    if ended {
        drop(tasks.swap_remove(at));
    }
    true
}
