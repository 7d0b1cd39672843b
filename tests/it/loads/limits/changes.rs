//! Limits that change while loads run and wait, and scopes that are evicted meanwhile.

use std::sync::atomic::AtomicBool;

use super::*;

async fn one() -> Result<u32, Never> {
    Ok(1)
}

#[test]
fn limit_of_a_path_stands_above_its_levels_until_it_is_taken_back() {
    let cache = one_per_org();
    let two = LoadLimit::at_most(2);
    let acme = || scope!(org = "acme");
    let running = |count: usize| {
        let calls = (0..count).map(|number| {
            let key = number.to_string();
            async { std::future::pending::<()>().await }.then_load(&cache, key)
        });
        let mut calls: Vec<_> = calls.collect();
        calls.iter_mut().for_each(|call| assert!(poll(call).is_pending()));
        let running = cache.stats().loads;
        drop(calls);
        running
    };
    assert_eq!(running(3), 1);
    cache.set_load_limit(acme(), Some(two)).expect("a good place");
    assert_eq!(running(3), 1 + 2);
    cache.evict_by_scope(acme()).wait().expect("a good place");
    assert_eq!(cache.load_limit(acme()).expect("a good place"), Some(two));
    assert_eq!(running(3), 3 + 2, "the limit is the path's, not the evicted node's");
    cache.set_load_limit(acme(), None).expect("a good place");
    assert_eq!(running(3), 5 + 1);
    assert_idle(&cache);
}

/// A load of `acme` that waits for a future.
trait ThenLoad: Future<Output = ()> + Sized + Send + 'static {
    fn then_load(self, cache: &Cache, key: String) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let cache = cache.clone();
        Box::pin(async move {
            let load = || async {
                self.await;
                one().await
            };
            cache.get_or_load(scope!(org = "acme"), &key, load).await.expect("it loads");
        })
    }
}

impl<F: Future<Output = ()> + Send + 'static> ThenLoad for F {}

#[test]
fn limit_that_is_raised_or_removed_lets_waiting_loads_run() {
    let cache = one_per_org();
    let keys: Vec<String> = (0..4).map(|number| number.to_string()).collect();
    let (open, gate) = oneshot::channel::<u32>();
    let mut runner = cache.get_or_load(scope!(org = 1), "first", || gate);
    parked(&mut runner);
    let calls = Arc::new(Calls::default());
    let mut waiting: Vec<_> = keys.iter().map(|key| cache.get_or_load(scope!(org = 1), key, one)).collect();
    waiting.iter_mut().for_each(|call| parked_with(call, &calls));
    cache.set_load_limit(scope!(org = 1), Some(LoadLimit::at_most(2))).expect("a good place");
    assert_eq!(calls.0.load(SeqCst), 1, "there is room for one more");
    cache.set_load_limit(scope!(org = 1), Some(ONE)).expect("a good place");
    assert!(answer(&mut waiting[0]).is_ok(), "what it was offered it keeps");
    waiting.iter_mut().skip(1).for_each(|call| parked_with(call, &calls));
    assert_eq!(calls.0.load(SeqCst), 1, "the runner still has the only permit");
    cache.set_load_limit(scope!(org = 1), Some(LoadLimit::at_most(100))).expect("a good place");
    assert_eq!(calls.0.load(SeqCst), 4);
    waiting.iter_mut().skip(1).for_each(|call| assert!(answer(call).is_ok()));
    open.send(0).expect("the runner waits");
    assert!(answer(&mut runner).is_ok());
    drop((waiting, runner));
    assert_idle(&cache);
}

#[test]
fn limits_that_change_all_the_time_strand_nobody() {
    in_time(|| {
        let cache = Cache::builder().build().expect("the options are good");
        let gauge = Gauge::default();
        let is_over = AtomicBool::new(false);
        thread::scope(|threads| {
            let callers: Vec<_> = (0..6_u32)
                .map(|caller| {
                    let (cache, gauge) = (&cache, &gauge);
                    threads.spawn(move || {
                        for round in 0..400_u32 {
                            let (user, key) = (round % 3, format!("{caller} {round}"));
                            let load = || {
                                let _inside = gauge.enter();
                                thread::yield_now();
                                Ok::<_, Never>(round)
                            };
                            let value =
                                cache.get_or_load_with(scope!(org = 1, user = user), &key, load).wait();
                            assert_eq!(*value.expect("it loads"), round);
                        }
                    })
                })
                .collect();
            threads.spawn(|| {
                for round in (0..).take_while(|_| !is_over.load(SeqCst)) {
                    let limit = |most: u32| (most > 0).then(|| LoadLimit::at_most(most));
                    cache.set_load_limit(scope!(org = 1), limit(round % 4)).expect("a good place");
                    cache.set_load_limit(scope!(org = 1, user = 1), limit(round % 3)).expect("a good place");
                    cache.set_load_limit(scope!(global), limit(round % 5)).expect("a good place");
                    if round % 7 == 0 {
                        cache.evict_by_scope(scope!(org = 1)).wait().expect("a good place");
                    }
                    thread::yield_now();
                }
            });
            let ended: Vec<_> = callers.into_iter().map(thread::ScopedJoinHandle::join).collect();
            is_over.store(true, SeqCst);
            assert!(ended.iter().all(Result::is_ok));
        });
        let stats = cache.stats();
        assert_eq!((stats.loads, stats.queued, stats.overloaded), (2_400, 0, 0), "{stats:?}");
        assert_idle(&cache);
    });
}

#[test]
fn scope_that_is_evicted_while_its_loads_wait_keeps_its_limit_and_stores_none_of_them() {
    let cache = one_per_org();
    let (open, gate) = oneshot::channel::<u32>();
    let mut runner = cache.get_or_load(scope!(org = 1), "first", || gate);
    parked(&mut runner);
    let mut old = cache.get_or_load(scope!(org = 1), "k", one);
    parked(&mut old);
    cache.evict_by_scope(scope!(org = 1)).wait().expect("a good place");
    let mut new = cache.get_or_load(scope!(org = 1), "k", || async { Ok::<_, Never>(2_u32) });
    parked(&mut new);
    assert_eq!(cache.stats().queued, 2, "the new scope's load waits for the old one's permit");
    open.send(0).expect("the runner waits");
    assert!(answer(&mut runner).is_ok());
    assert!(matches!(answer(&mut old).as_deref(), Ok(1)));
    assert_eq!(cache.get::<u32>(scope!(org = 1), "k").wait().expect("a good place"), None);
    assert!(matches!(answer(&mut new).as_deref(), Ok(2)));
    assert_eq!(cache.get::<u32>(scope!(org = 1), "k").wait().expect("a good place").as_deref(), Some(&2));
    drop((runner, old, new));
    assert_idle(&cache);
}
