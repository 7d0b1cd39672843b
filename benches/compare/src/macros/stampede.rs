//! How often does a body run when 10,000 call at once, with one argument that nobody called before?
//!
//! (1) As tasks of a runtime of one thread, and as threads. (2) A body ends 10 ms after the last caller has set out, so nobody comes too
//! late to be in the way. (3) The median of a few rounds, each with a fresh argument. (4) cached and memoize do not promise a
//! single run by default; `by key` is cached's option for it.

use std::convert::Infallible;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Barrier, Condvar, LazyLock, Mutex};
use std::time::{Duration, Instant};

use crate::report::{Judged, Row, short};
use crate::run::Run;
use crate::stats::Figures;

const TASKS: u64 = 10_000;
const THREADS: u64 = 10_000;
const LOAD: Duration = Duration::from_millis(10);
/// Of a thread: a caller needs little, and there are many.
const STACK: usize = 128 << 10;

static SET_OUT: AtomicU64 = AtomicU64::new(0);
static RUNS: AtomicU64 = AtomicU64::new(0);

/// Where bodies on threads wait for the last caller: asleep, for there are many.
static GATE: (Mutex<()>, Condvar) = (Mutex::new(()), Condvar::new());

fn set_out(callers: u64) {
    if SET_OUT.fetch_add(1, Ordering::Relaxed) + 1 == callers {
        let _open = GATE.0.lock();
        GATE.1.notify_all();
    }
}

fn load(n: u64) -> u64 {
    RUNS.fetch_add(1, Ordering::Relaxed);
    let gate = GATE.0.lock().expect("nobody panics at the gate");
    let is_shut = |(): &mut ()| SET_OUT.load(Ordering::Relaxed) < THREADS;
    drop(GATE.1.wait_while(gate, is_shut).expect("nobody panics at the gate"));
    std::thread::sleep(LOAD);
    n
}

async fn load_async(n: u64) -> u64 {
    RUNS.fetch_add(1, Ordering::Relaxed);
    while SET_OUT.load(Ordering::Relaxed) < TASKS {
        tokio::task::yield_now().await;
    }
    tokio::time::sleep(LOAD).await;
    n
}

mod ours {
    use strata_cache::cached;

    #[cached(scope = "global")]
    pub fn blocking(n: u64) -> u64 {
        super::load(n)
    }

    #[cached(scope = "global")]
    pub async fn awaited(n: u64) -> u64 {
        super::load_async(n).await
    }
}

mod lru {
    use cached::macros::cached;

    #[cached(max_size = 10_000)]
    pub fn blocking(n: u64) -> u64 {
        super::load(n)
    }

    #[cached(max_size = 10_000)]
    pub async fn awaited(n: u64) -> u64 {
        super::load_async(n).await
    }
}

mod by_key {
    use cached::macros::cached;

    #[cached(max_size = 10_000, sync_writes = "by_key")]
    pub fn blocking(n: u64) -> u64 {
        super::load(n)
    }

    #[cached(max_size = 10_000, sync_writes = "by_key")]
    pub async fn awaited(n: u64) -> u64 {
        super::load_async(n).await
    }
}

mod sharded {
    use cached::macros::concurrent_cached;

    #[concurrent_cached(max_size = 10_000)]
    pub fn blocking(n: u64) -> u64 {
        super::load(n)
    }

    #[concurrent_cached(max_size = 10_000)]
    pub async fn awaited(n: u64) -> u64 {
        super::load_async(n).await
    }
}

mod memo {
    use memoize::memoize;

    #[memoize(SharedCache, Capacity: 10_000)]
    pub fn blocking(n: u64) -> u64 {
        super::load(n)
    }
}

mod by_hand {
    use super::{Infallible, LazyLock};
    use quick_cache::sync::Cache;

    static HELD: LazyLock<Cache<u64, u64>> = LazyLock::new(|| Cache::new(10_000));

    pub fn blocking(n: u64) -> u64 {
        let found = HELD.get_or_insert_with(&n, || Ok::<_, Infallible>(super::load(n)));
        found.expect("nothing fails")
    }

    pub async fn awaited(n: u64) -> u64 {
        let load = async { Ok::<_, Infallible>(super::load_async(n).await) };
        HELD.get_or_insert_async(&n, load).await.expect("nothing fails")
    }
}

pub fn rows(run: &mut Run) {
    super::installed();
    let rounds = run.either(1, 3);
    if run.wants("macro-stampede-tasks") {
        let results = [
            repeated(super::OURS, rounds, |n| tasks(n, ours::awaited)),
            repeated("cached", rounds, |n| tasks(n, lru::awaited)),
            repeated("cached by key", rounds, |n| tasks(n, by_key::awaited)),
            repeated("cached sharded", rounds, |n| tasks(n, sharded::awaited)),
            repeated("quick_cache", rounds, |n| tasks(n, by_hand::awaited)),
        ];
        report(run, "macro-stampede-tasks", &results);
    }
    if run.wants("macro-stampede-threads") {
        let results = [
            repeated(super::OURS, rounds, |n| threads(TASKS + n, ours::blocking)),
            repeated("cached", rounds, |n| threads(TASKS + n, lru::blocking)),
            repeated("cached by key", rounds, |n| threads(TASKS + n, by_key::blocking)),
            repeated("cached sharded", rounds, |n| threads(TASKS + n, sharded::blocking)),
            repeated("memoize", rounds, |n| threads(TASKS + n, memo::blocking)),
            repeated("quick_cache", rounds, |n| threads(TASKS + n, by_hand::blocking)),
        ];
        report(run, "macro-stampede-threads", &results);
    }
}

/// A contender, the bodies that ran in a stampede, and its milliseconds.
type Stampede = (&'static str, f64, f64);

fn report(run: &mut Run, row: &str, results: &[Stampede]) {
    for (name, bodies, time) in results {
        run.note(format!("    {name:<14} {} runs, {} ms", short(*bodies), short(*time)));
    }
    let [(_, ours, _), (rival, theirs, _), ..] = results else { return };
    run.add(Row {
        row: row.into(),
        ours: *ours,
        rival: Some((rival, *theirs)),
        judged: Judged::Small,
        commit: Some(1.0),
        goal: None,
        unit: "runs",
    });
}

fn repeated(name: &'static str, rounds: u64, stampede: impl Fn(u64)) -> Stampede {
    let rounds = (0..rounds).map(|round| {
        SET_OUT.store(0, Ordering::Relaxed);
        RUNS.store(0, Ordering::Relaxed);
        let start = Instant::now();
        stampede(round);
        (RUNS.load(Ordering::Relaxed) as f64, start.elapsed().as_secs_f64() * 1e3)
    });
    let (bodies, times): (Vec<f64>, Vec<f64>) = rounds.unzip();
    (name, Figures::of(&bodies).median, Figures::of(&times).median)
}

fn tasks<F: Future<Output = u64> + Send + 'static>(n: u64, call: impl Fn(u64) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    runtime.expect("the system gives a runtime what it needs").block_on(async {
        let caller = || {
            let call = call(n);
            tokio::spawn(async move {
                set_out(TASKS);
                call.await
            })
        };
        let tasks: Vec<_> = (0..TASKS).map(|_| caller()).collect();
        for task in tasks {
            assert_eq!(task.await.expect("no task panics"), n);
        }
    });
}

fn threads(n: u64, call: impl Fn(u64) -> u64 + Sync) {
    let start = Barrier::new(THREADS as usize);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            let caller = || {
                start.wait();
                set_out(THREADS);
                assert_eq!(call(n), n);
            };
            let thread = std::thread::Builder::new().stack_size(STACK);
            thread.spawn_scoped(scope, caller).expect("the system allows as many threads");
        }
    });
}
