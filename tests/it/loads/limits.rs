//! At most so many loads of a scope at once: who runs, who waits for how long, who is refused, and what is left after it.

mod chains;
mod changes;
mod queues;

use strata_cache::{Error, ErrorKind, Ids, LoadError, LoadLimit, scope};
use tokio::sync::oneshot;

use super::*;

type Never = std::convert::Infallible;

/// A limit of one load, and by default a queue for all who come.
const ONE: LoadLimit = LoadLimit::at_most(1).queue(100_000);

/// A cache in which each org runs one load at once.
fn one_per_org() -> Cache {
    Cache::builder().load_limit("org", ONE).build().expect("the options are good")
}

/// How many loads run at once, and how many did at most.
#[derive(Default)]
struct Gauge {
    running: AtomicUsize,
    most: AtomicUsize,
}

impl Gauge {
    fn enter(&self) -> Inside<'_> {
        self.most.fetch_max(self.running.fetch_add(1, SeqCst) + 1, SeqCst);
        Inside(self)
    }

    fn most(&self) -> usize {
        self.most.load(SeqCst)
    }
}

struct Inside<'a>(&'a Gauge);

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, SeqCst);
    }
}

/// Why the cache did not even ask.
fn refusal<T, E>(answer: Result<T, LoadError<E>>) -> Option<ErrorKind> {
    match answer {
        Err(LoadError::Cache(error)) => Some(error.kind()),
        _ => None,
    }
}

#[test]
fn org_with_a_limit_of_one_never_runs_two_loads_at_once() {
    const ORGS: usize = 2;
    const CALLERS: usize = 20;
    in_time(|| {
        let cache = one_per_org();
        let gauges: [Gauge; ORGS] = Default::default();
        let threads_of_tasks = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build();
        let runtime = threads_of_tasks.expect("a runtime");
        thread::scope(|threads| {
            for caller in 0..CALLERS {
                let (cache, gauges) = (&cache, &gauges);
                threads.spawn(move || {
                    for round in 0..5 {
                        let (org, key) = (caller % ORGS, format!("{caller} {round}"));
                        let load = || {
                            let _inside = gauges[org].enter();
                            thread::yield_now();
                            Ok::<_, Never>(round)
                        };
                        cache.get_or_load_with(scope!(org = org), &key, load).wait().expect("it loads");
                    }
                });
            }
            runtime.block_on(futures_of((0..CALLERS).map(|caller| {
                let (cache, gauges) = (&cache, &gauges);
                async move {
                    for round in 0..5 {
                        let (org, key) = (caller % ORGS, format!("task {caller} {round}"));
                        let load = || async {
                            let _inside = gauges[org].enter();
                            tokio::task::yield_now().await;
                            Ok::<_, Never>(round)
                        };
                        cache.get_or_load(scope!(org = org), &key, load).await.expect("it loads");
                    }
                }
            })));
        });
        assert_eq!(gauges.map(|gauge| gauge.most()), [1; ORGS]);
        let stats = cache.stats();
        assert_eq!((stats.loads, stats.over_limit, stats.overloaded, stats.queued), (200, 0, 0, 0));
        assert_idle(&cache);
    });
}

/// Awaits all of them in one task.
async fn futures_of<F: Future<Output = ()>>(futures: impl Iterator<Item = F>) {
    let mut waiting: Vec<_> = futures.map(Box::pin).collect();
    std::future::poll_fn(|context| {
        waiting.retain_mut(|future| future.as_mut().poll(context).is_pending());
        if waiting.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}

#[test]
fn hits_peeks_and_waiters_of_a_running_load_need_no_permit() {
    let cache = one_per_org();
    let org = cache.scope(scope!(org = 1)).expect("a good place");
    org.set("there", 1_u32).wait().expect("a good key");
    let (open, gate) = oneshot::channel::<u32>();
    let mut runner = org.get_or_load("k", || gate);
    parked(&mut runner);
    let mut waiter = org.get_or_load("k", || async { Ok::<_, Never>(9_u32) });
    parked(&mut waiter);
    let hit = org.get_or_load_with("there", || Ok::<u32, Never>(9)).wait();
    assert!(matches!(hit.as_deref(), Ok(1)));
    assert_eq!(org.peek::<u32>("there").wait().expect("a good key").as_deref(), Some(&1));
    assert_eq!(cache.stats().queued, 0);
    open.send(7).expect("the runner waits");
    assert!(matches!(answer(&mut runner).as_deref(), Ok(7)));
    assert!(matches!(answer(&mut waiter).as_deref(), Ok(7)));
    drop((runner, waiter));
    drop(org);
    assert_idle(&cache);
}

#[test]
fn ten_thousand_loads_wait_on_a_runtime_of_one_thread() {
    in_time(|| {
        let cache = one_per_org();
        let gauge = Arc::new(Gauge::default());
        one_thread().block_on(async {
            let calls: Vec<_> = (0..10_000_u32)
                .map(|number| {
                    let (cache, gauge) = (cache.clone(), Arc::clone(&gauge));
                    tokio::spawn(async move {
                        let load = || async {
                            let _inside = gauge.enter();
                            tokio::task::yield_now().await;
                            Ok::<_, Never>(number)
                        };
                        let key = number.to_string();
                        *cache.get_or_load(scope!(org = number % 2), &key, load).await.expect("it loads")
                    })
                })
                .collect();
            for (number, call) in (0..10_000).zip(calls) {
                assert_eq!(call.await.expect("no task fails"), number);
            }
        });
        assert_eq!(gauge.most(), 2, "one for each org");
        assert_idle(&cache);
    });
}

#[test]
fn limits_that_cannot_be_kept_are_refused_with_all_other_faults() {
    let zero = LoadLimit::at_most(0);
    let faults = Cache::builder()
        .capacity(0)
        .load_limit("org", zero)
        .load_limit("usr", ONE)
        .load_limit("global", zero)
        .load_limit_at(scope!(org = "acme"), zero)
        .load_limit_at(scope!(user = 1), ONE)
        .build()
        .expect_err("nothing of it is good");
    let text = faults.to_string();
    for part in
        ["faults: 6", "capacity", "level: org", "usr", "level: global", "scope: org:acme", "given: user"]
    {
        assert!(text.contains(part), "{part} in {text}");
    }
    let kind = |result: Result<(), Error>| result.map_err(|error| error.kind());
    let (cache, other) = (one_per_org(), one_per_org());
    let foreign = other.scope(scope!(org = 1)).expect("a good place");
    assert_eq!(kind(cache.set_load_limit(scope!(org = 1), Some(zero))), Err(ErrorKind::InvalidConfig));
    assert_eq!(kind(cache.set_load_limit(scope!(user = 1), Some(ONE))), Err(ErrorKind::InvalidPath));
    let surplus = Ids::new().with("org_id", 1).with("user_id", 2);
    assert_eq!(kind(cache.set_load_limit(("org", &surplus), Some(ONE))), Err(ErrorKind::InvalidPath));
    assert_eq!(kind(cache.set_load_limit(&foreign, Some(ONE))), Err(ErrorKind::Foreign));
    assert_eq!(cache.load_limit(scope!(org = 1)).expect("a good place"), Some(ONE), "nothing has changed");
}
