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
use super::oracle::{At, Caller, LEASE, Oracle, Since, TAGS, THROTTLE, Takes, Times, Value};
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
    /// What loads have brought in this step.
    brought: Vec<(At, u64)>,
    /// What runs just now is no caller's.
    is_background: bool,
}

struct Load {
    serials: Vec<u64>,
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

    /// A loader of these keys: it reads the database when it begins, and ends when it is told to. What it brings is kept for so long
    /// past its time; where it is throttled, it is not tried again in the background for a while.
    fn load(
        &self,
        ats: Vec<At>,
        caller: Caller,
        clock: &TestClock,
        keep: Duration,
        is_throttled: bool,
    ) -> impl Future<Output = Vec<Result<Value, Down>>> + Send + use<> {
        let (this, clock) = (self.clone(), clock.clone());
        let serials: Vec<u64> = ats.iter().map(|_| this.inner().oracle.serial()).collect();
        async move {
            let read: Vec<Value> = {
                let mut inner = this.inner();
                let now = strata_cache::Clock::now(&clock);
                let read = |(at, serial): (&At, &u64)| Value {
                    at: *at,
                    version: inner.oracle.version(*at),
                    serial: *serial,
                };
                let values = ats.iter().zip(&serials).map(read).collect();
                let is_background = inner.is_background && is_throttled;
                for (&at, &serial) in ats.iter().zip(&serials) {
                    inner.oracle.begin_run(at, serial, caller, now);
                    if is_background {
                        inner.oracle.begin_background(at, now);
                    }
                }
                let load = Load { serials: serials.clone(), ats: ats.clone(), end: None, waker: None };
                inner.loads.push(load);
                values
            };
            let running = Running { shared: this.clone(), serial: serials[0], clock: clock.clone() };
            let end = poll_fn(|context| this.poll_load(serials[0], context)).await;
            drop(running);
            let now = || strata_cache::Clock::now(&clock);
            let mut times = Times { written: now(), ttl: TTL, keep };
            let mut read = read;
            match end {
                End::Err => {
                    if is_throttled {
                        let mut inner = this.inner();
                        let runs = ats.iter().zip(&serials);
                        runs.for_each(|(at, serial)| inner.oracle.fail(*at, *serial, now()));
                    }
                    return ats.iter().map(|_| Err(Down)).collect();
                }
                End::Panic => panic!("a loader panics by script"),
                End::NotStored => answer::do_not_store().expect("it is a load"),
                End::BringTagged(tag) => {
                    tag_load(format!("added:{tag}")).expect("it is a load");
                    serials.iter().for_each(|serial| this.inner().oracle.add_tag(*serial, tag));
                }
                End::BringFor(time) => {
                    times.ttl = seconds(time);
                    answer::ttl(times.ttl).expect("it is a load");
                }
                End::Unchanged => {
                    // The source says so of what is stored, if that is what it has itself.
                    if let [value] = &mut read[..]
                        && let Some(previous) = answer::previous::<Value>().expect("it is a load")
                        && previous.version == value.version
                    {
                        answer::not_modified().expect("it is a load");
                        // It may be stored under its own serial, or stay under the old one.
                        let mut inner = this.inner();
                        inner.oracle.inherit_tag(value.serial, previous.serial);
                        inner.oracle.renew_time(value.at, previous.serial, value.serial, times);
                        *value = (*previous).clone();
                    }
                }
                End::Bring => {}
            }
            let mut inner = this.inner();
            let new = read.iter().filter(|value| serials.contains(&value.serial));
            new.for_each(|value| inner.oracle.begin_time(value.at, value.serial, times));
            if end != End::NotStored {
                for (at, serial) in ats.iter().zip(&serials) {
                    inner.oracle.bring(*at, *serial, end == End::Unchanged);
                }
                inner.brought.extend(ats.iter().copied().zip(serials));
            }
            read.into_iter().map(Ok).collect()
        }
    }

    fn poll_load(&self, serial: u64, context: &Context<'_>) -> Poll<End> {
        let mut inner = self.inner();
        let load = inner.loads.iter_mut().find(|load| load.serials[0] == serial).expect("it runs");
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
    clock: TestClock,
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut inner = self.shared.inner();
        let at = inner.loads.iter().position(|load| load.serials[0] == self.serial).expect("it runs");
        let load = inner.loads.swap_remove(at);
        let now = strata_cache::Clock::now(&self.clock);
        let runs = load.ats.iter().zip(&load.serials);
        runs.for_each(|(at, serial)| inner.oracle.end_run(*at, *serial, now));
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
    /// Whatever is stored stays until its time is over, or somebody withdraws it.
    is_roomy: bool,
    /// Loads are refused where too many have failed.
    has_breaker: bool,
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
            .load_lease(LEASE)
            // An executor that takes its time is not a stalled leader.
            .load_patience(seconds(100_000));
        let is_roomy = !dice.one_in(4);
        let builder = if is_roomy { builder } else { builder.capacity(3) };
        let cache = builder.build().expect("the options are good");
        let cared: RegionBuilder<u8, Value> = cache.region_builder("r").ttl(TTL).weigher(|_, _| 1);
        let has_breaker = dice.one_in(3);
        let cared = if has_breaker { cared.breaker(3, seconds(20)) } else { cared };
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
            is_roomy,
            has_breaker,
            log,
        }
    }

    fn now(&self) -> Duration {
        strata_cache::Clock::now(&self.clock)
    }

    fn since(&self, at: At) -> Since {
        self.shared.inner().oracle.since(at, self.now())
    }

    fn caller(&self, is_batch: bool) -> Caller {
        Caller { asked: self.shared.inner().oracle.event(), at: self.now(), is_batch }
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
        let way = self.dice.below(64);
        let takes = Takes {
            stale: if way & 1 != 0 { STALE } else { Duration::ZERO },
            on_error: if way & 2 != 0 { KEPT } else { Duration::ZERO },
            waits: if way & 10 == 10 { Some(SOFT) } else { (way & 4 != 0).then_some(HARD) },
        };
        let due = (way & 4 != 0).then(|| self.now() + HARD);
        // A run that its caller sends off is in the background too, and begun by the caller.
        let is_throttled = way & 26 == 2;
        let caller = self.caller(false);
        let load = move || {
            let run = shared.load(vec![at], caller, &clock, takes.longest(), is_throttled);
            async move { run.await.pop().expect("one result") }
        };
        let here = self.scopes[at.scope].clone();
        let region = self.region.clone();
        let since = self.since(at);
        let marked = async move {
            let mut get = region.get_or_load(&here, &at.key, load).tag(format!("declared:{}", at.key));
            if way & 1 != 0 {
                get = get.stale(STALE);
            }
            if way & 2 != 0 {
                get = get.stale_on_error(KEPT).throttle(THROTTLE);
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
        let (shared, clock, log) = (self.shared.clone(), self.clock.clone(), Rc::clone(&self.log));
        let has_breaker = self.has_breaker;
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
                    let now = strata_cache::Clock::now(&clock);
                    let stale = match freshness {
                        Freshness::Stale(past) => Some((past, takes)),
                        _ => None,
                    };
                    inner.oracle.check(at, since, &value, now, stale);
                    if let Some((past, takes)) = stale.filter(|_| !has_breaker) {
                        inner.oracle.check_fallen_back(at, since, past, takes, now);
                    }
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
        let sought: Vec<(At, Since)> =
            keys.iter().map(|&key| At { scope, key }).map(|at| (at, self.since(at))).collect();
        let (takes, is_limited) = (self.dice.one_in(2), self.dice.one_in(2));
        let takes = takes.then_some(Takes { on_error: KEPT, ..Takes::default() });
        let caller = self.caller(true);
        let load = {
            let (shared, clock) = (shared.clone(), clock.clone());
            move |keys: Vec<u8>| {
                let ats = keys.into_iter().map(|key| At { scope, key }).collect();
                shared.load(ats, caller, &clock, takes.unwrap_or_default().longest(), false)
            }
        };
        let (region, here) = (self.region.clone(), self.scopes[scope].clone());
        let due = is_limited.then(|| self.now() + HARD);
        let log = Rc::clone(&self.log);
        let number = self.log.borrow().len();
        let what =
            format!("batch {number}: scope {scope}, keys {keys:?}, takes {takes:?}, limited {is_limited}");
        self.note(what.clone());
        let future = async move {
            // One set for all keys: each has the tag that loads of it alone declare.
            let tags: Vec<String> = (0..KEYS).map(|key| format!("declared:{key}")).collect();
            let mut load = region.load_many(&here, keys, load).tags(tags.iter().map(String::as_str));
            if takes.is_some() {
                load = load.stale_on_error(KEPT);
            }
            if is_limited {
                load = load.hard(HARD);
            }
            let answers = load.await.expect("the options are good");
            log.borrow_mut().push(format!("answer to {number}: {answers:?}"));
            let mut inner = shared.inner();
            inner.answered += 1;
            for ((at, since), answer) in sought.into_iter().zip(answers) {
                if let Ok(value) = answer {
                    inner.oracle.check_one(at, since, &value, takes);
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
        let end = match self.dice.below(16) {
            0..=4 => End::Bring,
            5..=6 => End::BringTagged(self.dice.below(TAGS) as u8),
            7 => End::BringFor(1 + self.dice.below(30) as u64),
            8 => End::NotStored,
            9..=11 => End::Unchanged,
            12..=14 => End::Err,
            _ => End::Panic,
        };
        let load = &mut inner.loads[at];
        load.end = Some(end);
        let (waker, what) =
            (load.waker.take(), format!("load {:?} of {:?} ends: {end:?}", load.serials, load.ats));
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
        let all = |scopes: &[usize]| -> Vec<At> {
            scopes.iter().flat_map(|&scope| (0..KEYS).map(move |key| At { scope, key })).collect()
        };
        // Of what nothing from before may be told any more, and of what no load from before is joined.
        let (what, covered, detached): (String, Vec<At>, Vec<At>) = match self.dice.below(8) {
            0 => ("invalidate".into(), vec![at], vec![at]),
            1 => ("remove".into(), vec![at], vec![at]),
            // Batches declare the tags of all keys.
            2 => (format!("tag declared:{}", at.key), vec![at], all(&[at.scope])),
            3..=4 => (format!("tag added:{}", usize::from(at.key) % TAGS), Vec::new(), Vec::new()),
            5 => ("region".into(), all(&[at.scope]), all(&[at.scope])),
            6 => ("scope".into(), all(WITHIN[at.scope]), all(WITHIN[at.scope])),
            _ => ("clear".into(), all(&[0, 1, 2, 3]), all(&[0, 1, 2, 3])),
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
                _ = self.cache.invalidate_tag(here, tag.as_str()).wait().expect("a tag");
                if let Some(tag) = tag.strip_prefix("added:").and_then(|tag| tag.parse().ok()) {
                    self.shared.inner().oracle.withdraw(at.scope, tag);
                }
            }
        }
        let oracle = &mut self.shared.inner().oracle;
        covered.iter().for_each(|at| oracle.raise(*at));
        detached.iter().for_each(|at| oracle.detach(*at));
        if matches!(what.as_str(), "scope" | "clear") {
            detached.iter().for_each(|at| oracle.evict(*at));
        }
    }

    /// The database is written to, and the cache with it.
    fn set(&mut self) {
        let at = self.any();
        let now = self.now();
        let mut inner = self.shared.inner();
        let value = Value { at, version: inner.oracle.write(at), serial: inner.oracle.serial() };
        inner.oracle.begin_time(at, value.serial, Times { written: now, ttl: TTL, keep: KEPT });
        drop(inner);
        self.note(format!("set {value:?}"));
        // As every load of it, it has the key's tag.
        let set = self.region.set(&self.scopes[at.scope], at.key, value).tag(format!("declared:{}", at.key));
        set.keep(KEPT).wait().expect("the options are good");
        let oracle = &mut self.shared.inner().oracle;
        oracle.store();
        oracle.raise(at);
        oracle.detach(at);
    }

    fn get(&mut self) {
        let at = self.any();
        let since = self.since(at);
        let found = self.region.get(&self.scopes[at.scope], &at.key).wait().expect("a place");
        if let Some(value) = found {
            self.shared.inner().oracle.check(at, since, &value, self.now(), None);
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
            self.shared.inner().is_background = true;
            let background = poll_all(&mut self.background, &mut self.dice);
            self.shared.inner().is_background = false;
            if !calls && !background && self.shared.inner().spawned.is_empty() {
                break;
            }
        }
        let now = self.now();
        let faults = std::mem::take(&mut self.shared.inner().oracle.faults);
        assert!(faults.is_empty(), "{faults:?}");
        for task in &self.calls {
            assert!(task.due.is_none_or(|due| now < due), "not answered in time: {}", task.what);
        }
        // What was loaded is there, if nothing was withdrawn meanwhile.
        let brought = std::mem::take(&mut self.shared.inner().brought);
        for (at, serial) in brought {
            if self.is_roomy && self.shared.inner().oracle.may_publish(at, serial, now) {
                let found = self.region.get(&self.scopes[at.scope], &at.key).wait().expect("a place");
                assert!(found.is_some(), "{at:?}: load {serial} has brought a value, and none is there");
            }
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
        let stored = stats.inserts + stats.replaced + stats.unchanged;
        self.shared.inner().oracle.check_stored([stored, stats.unchanged]);
        assert_eq!((stats.flights, stats.queued, self.shared.inner().oracle.running()), (0, 0, 0));
        self.cache.clear().wait().expect("a place");
        self.cache.maintain();
        let stats = self.cache.stats();
        assert_eq!((stats.entries, stats.weight), (0, 0), "something is kept");
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
