//! Every value carries the version of the row it was read from; whoever begins to read after an invalidation returned
//! gets nothing older than what the row was when that invalidation began.
//!
//! Writers raise versions, withdraw what is cached at some level, and only then raise the floor that readers go by.
//! Writers of one organisation take turns, for a newer `set` of one must not meet an older `set` of another; loaders
//! and readers take no lock. Loads fail, panic, are cancelled, and stall: leases last five milliseconds here.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed, Ordering::SeqCst};
use std::sync::{LazyLock, Mutex};
use std::thread;
use std::time::Duration;

use strata_cache::{Cache, LoadError, Region, Scope, cached, default_cache, scope};
use tokio::task::yield_now;

use super::{Dice, Run, once};

const ORGS: u64 = 3;
const USERS: u64 = 2;
const KEYS: u64 = 3;
const ROWS: usize = (ORGS * USERS * KEYS) as usize;
/// Less than all rows in all stores, so that entries are evicted as well.
const CAPACITY: u64 = 40;
const THREADS: u64 = 5;
const TASKS: u64 = 3;
/// Others have these organisations in the default cache to themselves.
const FIRST_ORG: u64 = 2_000_000;

/// What a row was when it was read, and which row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Row {
    at: At,
    version: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct At {
    org: u64,
    user: u64,
    key: u64,
}

impl At {
    fn index(self) -> usize {
        (((self.org - FIRST_ORG) * USERS + self.user) * KEYS + self.key) as usize
    }
}

/// The places in which a row is cached, each with its own floor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    Keys,
    Plain,
    Limited,
    Function,
    AsyncFunction,
}

const KEPT: [Kept; 5] = [Kept::Keys, Kept::Plain, Kept::Limited, Kept::Function, Kept::AsyncFunction];

struct Database {
    versions: [AtomicU64; ROWS],
    floors: [[AtomicU64; ROWS]; KEPT.len()],
    writers: [Mutex<()>; ORGS as usize],
}

static DATABASE: Database = Database {
    versions: [const { AtomicU64::new(1) }; ROWS],
    floors: [const { [const { AtomicU64::new(0) }; ROWS] }; KEPT.len()],
    writers: [const { Mutex::new(()) }; ORGS as usize],
};

impl Database {
    /// A query that takes its time: the row is as it was at its beginning.
    fn read(&self, at: At) -> Row {
        let version = self.versions[at.index()].load(SeqCst);
        for _ in 0..version % 4 {
            thread::yield_now();
        }
        Row { at, version }
    }

    async fn read_async(&self, at: At) -> Row {
        let version = self.versions[at.index()].load(SeqCst);
        for _ in 0..version % 8 {
            yield_now().await;
        }
        Row { at, version }
    }

    fn floor(&self, kept: Kept, at: At) -> u64 {
        self.floors[kept as usize][at.index()].load(SeqCst)
    }
}

#[cached(scope = "user", max = 2)]
fn row(org_id: u64, user_id: u64, key: u64) -> Result<Row, Unlucky> {
    if DATABASE.versions[0].load(SeqCst).is_multiple_of(17) {
        return Err(Unlucky);
    }
    Ok(DATABASE.read(At { org: org_id, user: user_id, key }))
}

#[cached(scope = "user")]
async fn row_async(org_id: u64, user_id: u64, key: u64) -> Row {
    DATABASE.read_async(At { org: org_id, user: user_id, key }).await
}

#[derive(Debug, Clone, PartialEq)]
struct Unlucky;

struct World {
    cache: Cache,
    plain: Region<u64, Row>,
    limited: Region<u64, Row>,
    /// Handles that were resolved once, for each user.
    handles: Vec<Scope>,
    reads: AtomicU64,
    withdrawals: AtomicU64,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let cache = Cache::builder()
        .capacity(CAPACITY)
        .load_lease(Duration::from_millis(5))
        .load_patience(Duration::from_millis(2))
        .build()
        .expect("good options");
    let handle = |number: u64| {
        let (org, user) = (FIRST_ORG + number / USERS, number % USERS);
        cache.scope(scope!(org = org, user = user)).expect("a good place")
    };
    World {
        plain: cache.region("plain").expect("it opens"),
        limited: cache.region_builder("limited").max_per_scope(2).open().expect("it opens"),
        handles: (0..ORGS * USERS).map(handle).collect(),
        cache,
        reads: AtomicU64::new(0),
        withdrawals: AtomicU64::new(0),
    }
});

fn choose(dice: &mut Dice) -> At {
    At { org: FIRST_ORG + dice.below(ORGS), user: dice.below(USERS), key: dice.below(KEYS) }
}

/// What a loader does beside reading.
fn mishap(dice: &mut Dice) -> Option<fn() -> Unlucky> {
    match dice.below(60) {
        0 => Some(|| Unlucky),
        1 => Some(|| resume_unwind(Box::new("as told"))),
        2 => Some(|| {
            // Longer than the lease: the late value must be refused.
            thread::sleep(Duration::from_millis(8));
            Unlucky
        }),
        _ => None,
    }
}

impl World {
    fn handle(&self, at: At) -> &Scope {
        &self.handles[((at.org - FIRST_ORG) * USERS + at.user) as usize]
    }

    #[track_caller]
    fn check(&self, kept: Kept, at: At, floor: u64, got: Option<Row>) {
        let Some(got) = got else { return };
        self.reads.fetch_add(1, Relaxed);
        assert_eq!(got.at, at, "a foreign row in {kept:?}");
        assert!(got.version >= floor, "{kept:?} of {at:?}: {} after {floor} was made known", got.version);
    }

    /// A read, with or without a load.
    fn read(&self, dice: &mut Dice) {
        let (at, kept) = (choose(dice), KEPT[dice.below(4) as usize]);
        let At { org, user, key } = at;
        let text = format!("{key}");
        let place = scope!(org = org, user = user);
        let (by_handle, looks, mishap) = (dice.one_in(2), dice.one_in(3), mishap(dice));
        let stalls = dice.one_in(200);
        let load = || {
            let row = DATABASE.read(at);
            if let Some(mishap) = mishap {
                return Err(mishap());
            }
            if stalls {
                thread::sleep(Duration::from_millis(7));
            }
            Ok(row)
        };
        let floor = DATABASE.floor(kept, at);
        let got = catch_unwind(AssertUnwindSafe(|| match kept {
            Kept::Keys if looks && by_handle => {
                self.handle(at).get::<Row>(&text).wait().expect("a good place").map(|row| *row)
            }
            Kept::Keys if looks => {
                self.cache.get::<Row>(place, &text).wait().expect("a good place").map(|row| *row)
            }
            Kept::Keys if by_handle => {
                loaded(self.handle(at).get_or_load_with(&text, load).share_errors().wait()).map(|row| *row)
            }
            Kept::Keys => {
                loaded(self.cache.get_or_load_with(place, &text, load).ttl("20ms").wait()).map(|row| *row)
            }
            Kept::Plain | Kept::Limited => {
                let region = if kept == Kept::Plain { &self.plain } else { &self.limited };
                match (looks, by_handle) {
                    (true, true) => region.get_now(self.handle(at), &key).expect("a good place"),
                    (true, false) => region.get_now(place, &key).expect("a good place"),
                    (false, true) => loaded(region.get_or_load_with(self.handle(at), &key, load).wait()),
                    (false, false) => loaded(region.get_or_load_with(place, &key, load).wait()),
                }
            }
            _ if looks => row::peek(org, user, key).and_then(Result::ok),
            _ => row(org, user, key).ok(),
        }));
        if let Ok(got) = got {
            self.check(kept, at, floor, got);
        }
    }

    /// A read in a task.
    async fn read_async(&self, dice: &mut Dice) {
        let at = choose(dice);
        let At { org, user, key } = at;
        let text = format!("{key}");
        let cancelled = dice.one_in(5);
        let load = move || async move { Ok::<_, Unlucky>(DATABASE.read_async(at).await) };
        match dice.below(3) {
            0 => {
                let floor = DATABASE.floor(Kept::AsyncFunction, at);
                self.check(Kept::AsyncFunction, at, floor, Some(row_async(org, user, key).await));
            }
            1 => {
                let floor = DATABASE.floor(Kept::Keys, at);
                let mut call = Box::pin(self.cache.get_or_load(scope!(org = org, user = user), &text, load));
                let got = match once(&mut call).await {
                    std::task::Poll::Ready(got) => loaded(got),
                    std::task::Poll::Pending if cancelled => None,
                    std::task::Poll::Pending => loaded(call.await),
                };
                self.check(Kept::Keys, at, floor, got.map(|row| *row));
            }
            _ => {
                let floor = DATABASE.floor(Kept::Limited, at);
                let got = loaded(self.limited.get_or_load(self.handle(at), &key, load).await);
                self.check(Kept::Limited, at, floor, got);
            }
        }
    }

    /// A write: the rows first, then what is cached of them, then the floor.
    fn write(&self, dice: &mut Dice) {
        self.withdrawals.fetch_add(1, Relaxed);
        let at = choose(dice);
        let At { org, user, key } = at;
        let whole = dice.one_in(20);
        let turns: Vec<_> = (0..ORGS)
            .filter(|number| whole || FIRST_ORG + number == org)
            .map(|number| DATABASE.writers[number as usize].lock().expect("writers do not panic"))
            .collect();
        let level = if whole { 0 } else { 1 + dice.below(8) };
        let covered: Vec<At> = every_row()
            .filter(|row| match level {
                0 => true,
                1 => row.org == org,
                2..=4 => (row.org, row.user) == (org, user),
                _ => *row == at,
            })
            .collect();
        let versions: Vec<u64> =
            covered.iter().map(|row| DATABASE.versions[row.index()].fetch_add(1, SeqCst) + 1).collect();
        let fresh = Row { at, version: *versions.last().expect("a level covers a row") };
        let by_handle = dice.one_in(2);
        let text = format!("{key}");
        let (user_place, org_place) = (scope!(org = org, user = user), scope!(org = org));
        let kept: &[Kept] = match level {
            0 => {
                // The default cache is not this test's alone, so its own organisations are evicted one by one.
                self.cache.clear().wait().expect("nothing can fail");
                for org in FIRST_ORG..FIRST_ORG + ORGS {
                    default_cache().evict_by_scope(scope!(org = org)).wait().expect("a good place");
                }
                &KEPT
            }
            1 => {
                self.cache.evict_by_scope(scope!(org = org)).wait().expect("a good place");
                default_cache().evict_by_scope(org_place).wait().expect("a good place");
                &KEPT
            }
            2 => {
                if by_handle {
                    self.handle(at).evict_by_scope().wait().expect("a good place");
                } else {
                    self.cache.evict_by_scope(scope!(org = org, user = user)).wait().expect("good");
                }
                default_cache().evict_by_scope(user_place).wait().expect("a good place");
                &KEPT
            }
            3 => {
                self.plain.invalidate_scope(self.handle(at)).wait().expect("a good place");
                self.limited.invalidate_scope(user_place).wait().expect("a good place");
                &[Kept::Plain, Kept::Limited]
            }
            4 => {
                row::invalidate_scope(org, user).wait().expect("a good place");
                row_async::invalidate_scope(org, user).wait().expect("a good place");
                &[Kept::Function, Kept::AsyncFunction]
            }
            5 => {
                if by_handle {
                    self.handle(at).remove(&text).wait().expect("a good place");
                } else {
                    self.cache.invalidate(user_place, &text).wait().expect("a good place");
                }
                &[Kept::Keys]
            }
            6 => {
                self.plain.pop(self.handle(at), &key).wait().expect("a good place");
                self.limited.invalidate(user_place, &key).wait().expect("a good place");
                &[Kept::Plain, Kept::Limited]
            }
            7 => {
                row::invalidate(org, user, key).wait().expect("a good place");
                row_async::invalidate(org, user, key).wait().expect("a good place");
                &[Kept::Function, Kept::AsyncFunction]
            }
            _ => {
                self.cache.set(self.handle(at), &text, fresh).wait().expect("a good place");
                self.plain.set(scope!(org = org, user = user), key, fresh).wait().expect("a good place");
                self.limited.set(user_place, key, fresh).wait().expect("a good place");
                &[Kept::Keys, Kept::Plain, Kept::Limited]
            }
        };
        for &kept in kept {
            for (row, version) in covered.iter().zip(&versions) {
                DATABASE.floors[kept as usize][row.index()].fetch_max(*version, SeqCst);
            }
        }
        drop(turns);
    }
}

fn every_row() -> impl Iterator<Item = At> {
    (0..ORGS).flat_map(|org| {
        (0..USERS).flat_map(move |user| (0..KEYS).map(move |key| At { org: FIRST_ORG + org, user, key }))
    })
}

/// A value, or an error that this test brought about.
fn loaded<T>(got: Result<T, LoadError<Unlucky>>) -> Option<T> {
    match got {
        Ok(value) => Some(value),
        Err(LoadError::Load(Unlucky) | LoadError::LeaderFailed) => None,
        // Two loads of the key took longer than their leases.
        Err(LoadError::Cache(error)) if error.kind() == strata_cache::ErrorKind::Stalled => None,
        Err(error) => panic!("{error:?}"),
    }
}

#[test]
fn nothing_older_than_the_last_completed_invalidation_is_read() {
    let run = Run::begin("staleness", 5);
    let world = &*WORLD;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime");
    thread::scope(|threads| {
        for worker in 0..THREADS {
            let mut dice = run.dice(worker);
            let run = &run;
            threads.spawn(move || {
                while !run.is_over() {
                    if dice.one_in(6) { world.write(&mut dice) } else { world.read(&mut dice) }
                }
            });
        }
        let tasks: Vec<_> = (0..TASKS)
            .map(|worker| {
                let (mut dice, end) = (run.dice(100 + worker), run.end);
                runtime.spawn(async move {
                    while std::time::Instant::now() < end {
                        if dice.one_in(8) {
                            WORLD.write(&mut dice)
                        } else {
                            WORLD.read_async(&mut dice).await
                        }
                    }
                })
            })
            .collect();
        for task in tasks {
            runtime.block_on(task).expect("no task panics");
        }
    });
    let stats = world.cache.stats();
    eprintln!(
        "staleness: {} reads, {} writes, {} loads, refused {} detached and {} stalled",
        world.reads.load(Relaxed),
        world.withdrawals.load(Relaxed),
        stats.loads,
        stats.refused_detached,
        stats.refused_stalled,
    );
    assert_eq!(stats.flights, 0, "{stats:?}");
    assert!(stats.refused_detached > 0, "no load met an invalidation: {stats:?}");
    let gone = stats.removed + stats.evicted + stats.expired + stats.invalidated;
    assert_eq!(stats.inserts, stats.entries + gone, "{stats:?}");
    assert_eq!((row::stats().flights, row_async::stats().flights), (0, 0));
}
