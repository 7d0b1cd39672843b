//! Loads inside of loads: of the same key, of each other's keys, in one thread or task and across two.

use std::sync::{Arc, Barrier};

use strata_cache::{cached, scope};

use super::*;

type Never = std::convert::Infallible;

#[test]
fn load_that_asks_for_its_own_key_runs_the_inner_one_uncached() {
    in_time(|| {
        let cache = cache();
        let outer = || {
            let inner = || Ok::<_, Never>(1_u32);
            let inner = cache.get_or_load_with(scope!(org = 1), "k", inner).wait()?;
            Ok::<_, strata_cache::LoadError<Never>>(*inner + 10)
        };
        let value = cache.get_or_load_with(scope!(org = 1), "k", outer).wait();
        assert!(matches!(value.as_deref(), Ok(11)));
        assert_eq!(
            cache.get::<u32>(scope!(org = 1), "k").wait().expect("a good place").as_deref(),
            Some(&11),
            "the outer one is stored"
        );
        let stats = cache.stats();
        assert_eq!((stats.loads, stats.bypassed, stats.refused()), (1, 1, 0));
        assert_idle(&cache);
    });
}

#[test]
fn async_load_that_asks_for_its_own_key_through_another_runs_it_uncached() {
    in_time(|| {
        let cache = cache();
        let value = one_thread().block_on(async {
            let a = || async {
                let b = || async {
                    tokio::task::yield_now().await;
                    let again = || async { Ok::<_, Never>(1_u32) };
                    let again = cache.get_or_load(scope!(org = 1), "a", again).await.expect("it runs");
                    Ok::<_, Never>(*again + 10)
                };
                tokio::task::yield_now().await;
                let b = cache.get_or_load(scope!(org = 1), "b", b).await.expect("it runs");
                Ok::<_, Never>(*b + 100)
            };
            cache.get_or_load(scope!(org = 1), "a", a).await.expect("it runs")
        });
        assert_eq!(*value, 111);
        let stats = cache.stats();
        assert_eq!((stats.loads, stats.bypassed, stats.entries), (2, 1, 2));
        assert_idle(&cache);
    });
}

#[cached(scope = "org")]
fn even(org_id: u64, number: u64) -> bool {
    // The number never changes: without the cache's help this would wait for itself.
    if DEPTH.fetch_add(1, SeqCst) >= 3 { number.is_multiple_of(2) } else { !odd(org_id, number) }
}

#[cached(scope = "org")]
fn odd(org_id: u64, number: u64) -> bool {
    !even(org_id, number)
}

static DEPTH: AtomicUsize = AtomicUsize::new(0);

#[test]
fn cached_functions_that_call_each_other_with_the_same_arguments_come_to_an_end() {
    in_time(|| {
        assert!(even(7_101, 8));
        assert_eq!(even::peek(7_101, 8), Some(true));
        assert_eq!(odd::peek(7_101, 8), Some(false));
        assert!(even::stats().bypassed > 0);
        assert_eq!((even::stats().flights, odd::stats().flights), (0, 0));
    });
}

#[test]
fn two_threads_that_load_what_the_other_needs_do_not_wait_in_a_circle() {
    in_time(|| {
        let cache = cache();
        let both_lead = Barrier::new(2);
        thread::scope(|threads| {
            let callers = [("a", "b"), ("b", "a")].map(|(mine, other)| {
                let (cache, both_lead) = (&cache, &both_lead);
                threads.spawn(move || {
                    let load = || {
                        both_lead.wait();
                        let inner = || Ok::<_, Never>(1_u32);
                        let inner = cache.get_or_load_with(scope!(org = 1), other, inner).wait();
                        Ok::<_, Never>(*inner.expect("it loads or waits") + 1)
                    };
                    *cache.get_or_load_with(scope!(org = 1), mine, load).wait().expect("it loads")
                })
            });
            let mut values = callers.map(|caller| caller.join().expect("it comes home"));
            values.sort_unstable();
            // One ran the other's loader itself; the other waited for what came of it.
            assert_eq!(values, [2, 3]);
        });
        let stats = cache.stats();
        assert_eq!((stats.loads, stats.bypassed, stats.coalesced_waits), (2, 1, 1));
        assert_idle(&cache);
    });
}

#[test]
fn two_tasks_that_load_what_the_other_needs_do_not_wait_in_a_circle() {
    in_time(|| {
        let cache = cache();
        let tasks = tokio::task::LocalSet::new();
        tasks.block_on(&one_thread(), async {
            let both_lead = Arc::new(tokio::sync::Barrier::new(2));
            let callers = [("a", "b"), ("b", "a")].map(|(mine, other)| {
                let (cache, both_lead) = (cache.clone(), Arc::clone(&both_lead));
                tokio::task::spawn_local(async move {
                    let load = || async {
                        both_lead.wait().await;
                        let inner = || async { Ok::<_, Never>(1_u32) };
                        let inner = cache.get_or_load(scope!(org = 1), other, inner).await;
                        Ok::<_, Never>(*inner.expect("it loads or waits") + 1)
                    };
                    *cache.get_or_load(scope!(org = 1), mine, load).await.expect("it loads")
                })
            });
            let mut values = Vec::new();
            for caller in callers {
                values.push(caller.await.expect("it comes home"));
            }
            values.sort_unstable();
            assert_eq!(values, [2, 3]);
        });
        assert_idle(&cache);
    });
}

#[test]
fn thread_and_task_in_a_circle_of_three_keys_do_not_wait_for_ever() {
    in_time(|| {
        let cache = cache();
        let all_lead = Barrier::new(3);
        thread::scope(|threads| {
            let callers = [("a", "b"), ("b", "c"), ("c", "a")].map(|(mine, other)| {
                let (cache, all_lead) = (&cache, &all_lead);
                threads.spawn(move || {
                    let inner = || Ok::<_, Never>(1_u32);
                    if mine == "c" {
                        let load = || async {
                            all_lead.wait();
                            let inner = cache.get_or_load(scope!(org = 1), other, || async { inner() }).await;
                            Ok::<_, Never>(*inner.expect("it loads or waits") + 1)
                        };
                        let call = cache.get_or_load(scope!(org = 1), mine, load);
                        return *one_thread().block_on(call).expect("it loads");
                    }
                    let load = || {
                        all_lead.wait();
                        let inner = cache.get_or_load_with(scope!(org = 1), other, inner).wait();
                        Ok::<_, Never>(*inner.expect("it loads or waits") + 1)
                    };
                    *cache.get_or_load_with(scope!(org = 1), mine, load).wait().expect("it loads")
                })
            });
            let mut values = callers.map(|caller| caller.join().expect("it comes home"));
            values.sort_unstable();
            assert_eq!(values, [2, 3, 4]);
        });
        assert_eq!(cache.stats().bypassed, 1);
        assert_idle(&cache);
    });
}
