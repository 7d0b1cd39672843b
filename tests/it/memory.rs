//! What is kept, for how long, and what goes when there is no room: bounds, order, time, limits, listeners, ends.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use strata_cache::policy::{EvictionPolicy, Heat, Order, SlotId, Touches, Weight};
use strata_cache::{Cache, ErrorKind, Maintenance, Policy, Region, RemovalCause, Scope, scope};

use crate::support::{Census, Member, Outcome, alone, kind, seconds, small, still};

/// The keys `0..last` that are there, by a look that leaves no trace.
fn present(scope: &Scope, last: u64) -> Vec<u64> {
    (0..last)
        .filter(|key| scope.contains(&key.to_string()).wait().expect("a key can be looked for"))
        .collect()
}

fn fill(scope: &Scope, keys: std::ops::Range<u64>) -> Outcome {
    for key in keys {
        scope.set(&key.to_string(), key).wait()?;
    }
    Ok(())
}

/// Waits in real time for what maintenance does by itself.
fn soon(what: &str, mut holds: impl FnMut() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < Duration::from_secs(10), "{what}: not within ten seconds");
        std::thread::sleep(Duration::from_millis(10));
    }
}

// ------------------------------------------------------------------------------------------------------- bounds

#[test]
fn bound_of_entries_is_exact_at_every_size_up_to_1024() -> Outcome {
    for capacity in [1, 2, 3, 64, 1023, 1024] {
        let (cache, _) = small(capacity)?;
        let acme = cache.scope(scope!(org = "acme"))?;
        for key in 0..capacity + 10 {
            acme.set(&key.to_string(), key).wait()?;
            let held = acme.preview_evict().wait()?.entries;
            assert_eq!(held, capacity.min(key + 1), "capacity {capacity}");
        }
        assert_eq!(present(&acme, capacity + 10), (10..capacity + 10).collect::<Vec<_>>(), "the oldest went");
        assert_eq!(cache.stats().evicted, 10);
    }
    Ok(())
}

#[test]
fn bound_of_a_large_cache_is_exact_though_its_order_is_not() -> Outcome {
    let (cache, _) = small(5_000)?;
    let acme = cache.scope(scope!(org = "acme"))?;
    fill(&acme, 0..6_000)?;
    let stats = cache.stats();
    assert_eq!((stats.entries, stats.evicted), (5_000, 1_000));
    assert_eq!(present(&acme, 6_000).len(), 5_000);
    assert!(acme.contains("5999").wait()?, "one's own insert is readable at once");
    Ok(())
}

#[test]
fn bound_of_weight_is_kept_by_as_many_as_it_takes() -> Outcome {
    let (builder, _) = still();
    let cache = builder.capacity_bytes(100).build()?;
    let acme = cache.scope(scope!(org = "acme"))?;
    for key in 0..10 {
        acme.set(&key.to_string(), key).weight(10).wait()?;
    }
    assert_eq!(present(&acme, 10).len(), 10);
    acme.set("10", 10).weight(25).wait()?;
    assert_eq!(present(&acme, 11), (3..11).collect::<Vec<_>>(), "three of ten make room for one of 25");
    acme.set("9", 9).weight(90).wait()?;
    assert_eq!(present(&acme, 11), [9], "an overwrite that grows makes room too, and never goes itself");
    acme.set("11", 11).weight(100).wait()?;
    assert_eq!(cache.stats().weight, 100, "what is as heavy as the cache fits alone");
    Ok(())
}

#[test]
fn key_and_value_weigh_if_nobody_says_otherwise() -> Outcome {
    let (cache, _) = small(10)?;
    cache.set(scope!(global), "12345", 7u64).wait()?;
    assert_eq!(cache.stats().weight, 5 + 8);
    let region: Region<u32, u16> = cache.region("pairs")?;
    region.set(scope!(global), 1, 1).wait()?;
    assert_eq!(region.stats().weight, 4 + 2);
    Ok(())
}

#[test]
fn both_bounds_hold_together() -> Outcome {
    let (builder, _) = still();
    let cache = builder.capacity(3).capacity_bytes(100).build()?;
    let acme = cache.scope(scope!(org = "acme"))?;
    for key in 0..5 {
        acme.set(&key.to_string(), key).weight(1).wait()?;
    }
    assert_eq!(present(&acme, 5), [2, 3, 4], "three entries");
    acme.set("5", 5).weight(98).wait()?;
    assert_eq!(present(&acme, 6), [3, 4, 5], "98 and 1 and 1 are 100");
    acme.set("5", 5).weight(100).wait()?;
    assert_eq!(present(&acme, 6), [5]);
    Ok(())
}

#[test]
fn capacity_changes_at_run_time_down_and_up() -> Outcome {
    let (cache, _) = small(100)?;
    let acme = cache.scope(scope!(org = "acme"))?;
    fill(&acme, 0..100)?;
    cache.set_capacity(10)?;
    assert_eq!(present(&acme, 100), (90..100).collect::<Vec<_>>(), "at once, the oldest first");
    cache.set_capacity(20)?;
    fill(&acme, 100..130)?;
    assert_eq!(present(&acme, 130), (110..130).collect::<Vec<_>>());
    cache.set_capacity_bytes("55B")?;
    assert_eq!(cache.stats().entries, 5, "keys of three bytes and values of eight");
    assert_eq!(kind(cache.set_capacity(0)), Some(ErrorKind::InvalidConfig));
    assert_eq!(kind(cache.set_capacity_bytes(0u64)), Some(ErrorKind::InvalidConfig));
    assert_eq!(kind(cache.set_capacity_bytes("a lot")), Some(ErrorKind::InvalidConfig));
    assert_eq!(cache.stats().entries, 5, "a refused bound changes nothing");
    Ok(())
}

// -------------------------------------------------------------------------------------------------------- order

fn with_policy(policy: &str, capacity: u64) -> Result<Cache, strata_cache::Error> {
    let (builder, _) = still();
    builder.capacity(capacity).policy(policy).build()
}

#[test]
fn lru_keeps_what_was_read_or_overwritten_last() -> Outcome {
    let cache = with_policy("lru", 4)?;
    let acme = cache.scope(scope!(org = "acme"))?;
    fill(&acme, 0..4)?;
    acme.get::<u64>("0").wait()?;
    acme.set("1", 1u64).wait()?;
    acme.peek::<u64>("2").wait()?;
    acme.contains("2").wait()?;
    acme.get_or_load_with("3", || Err::<u64, ()>(())).wait().expect("it is there");
    fill(&acme, 4..5)?;
    assert_eq!(present(&acme, 5), [0, 1, 3, 4], "looks without a trace do not count as use");
    fill(&acme, 5..7)?;
    assert_eq!(present(&acme, 7), [3, 4, 5, 6], "in the order of their last use");
    Ok(())
}

#[test]
fn fifo_does_not_care_for_use() -> Outcome {
    let cache = with_policy("FIFO", 3)?;
    let acme = cache.scope(scope!(org = "acme"))?;
    fill(&acme, 0..3)?;
    acme.get::<u64>("0").wait()?;
    acme.set("1", 1u64).wait()?;
    fill(&acme, 3..5)?;
    assert_eq!(present(&acme, 5), [2, 3, 4]);
    Ok(())
}

#[test]
fn lfu_keeps_what_was_used_often() -> Outcome {
    let cache = with_policy("lfu", 3)?;
    let acme = cache.scope(scope!(org = "acme"))?;
    fill(&acme, 0..3)?;
    for key in ["0", "0", "0", "2", "2", "1"] {
        acme.get::<u64>(key).wait()?;
    }
    fill(&acme, 3..4)?;
    assert_eq!(present(&acme, 4), [0, 2, 3], "the newcomer never goes, the least frequent does");
    fill(&acme, 4..5)?;
    assert_eq!(present(&acme, 5), [0, 2, 4], "a newcomer that nobody used goes next");
    Ok(())
}

#[test]
fn order_is_exact_behind_more_touches_than_one_batch() -> Outcome {
    let (cache, _) = small(200)?;
    let acme = cache.scope(scope!(org = "acme"))?;
    fill(&acme, 0..200)?;
    for key in (0..200u64).rev() {
        acme.get::<u64>(&key.to_string()).wait()?;
    }
    fill(&acme, 200..250)?;
    assert_eq!(present(&acme, 250), (0..150).chain(200..250).collect::<Vec<_>>());
    Ok(())
}

#[test]
fn coldest_goes_across_regions_and_never_the_newcomer() -> Outcome {
    let (cache, _) = small(10)?;
    let acme = cache.scope(scope!(org = "acme"))?;
    let numbers: Region<u64, u64> = cache.region("numbers")?;
    fill(&acme, 0..10)?;
    for key in 0..30 {
        numbers.set(&acme, key, key).wait()?;
        assert_eq!(numbers.get_now(&acme, &key)?, Some(key));
        assert_eq!(acme.preview_evict().wait()?.entries, 10);
    }
    assert!(numbers.stats().entries > 5, "a region that is written pushes out one that is not");
    Ok(())
}

// --------------------------------------------------------------------------------------------------------- time

#[test]
fn ttl_of_the_entry_beats_the_regions_and_that_the_caches() -> Outcome {
    let (builder, clock) = still();
    let cache = builder.ttl(10).build()?;
    let acme = cache.scope(scope!(org = "acme"))?;
    let short: Region<u64, u64> = cache.region_builder("short").ttl("5s").open()?;
    let plain: Region<u64, u64> = cache.region("plain")?;
    let lasting: Region<u64, u64> = cache.region_builder("lasting").ttl("never").open()?;
    for region in [&short, &plain, &lasting] {
        region.set(&acme, 0, 0).wait()?;
        region.set(&acme, 1, 1).ttl("7s").wait()?;
        region.set(&acme, 2, 2).ttl("never").wait()?;
        region
            .get_or_load_with(&acme, &3, || Ok::<_, ()>(3))
            .ttl(Duration::from_secs(7))
            .wait()
            .expect("loads");
    }
    let mut seen = Vec::new();
    let mut now = 0;
    for at in [4, 5, 6, 7, 9, 10, 1_000_000] {
        clock.advance(seconds(at - now));
        now = at;
        let held = |region: &Region<u64, u64>| {
            (0..4)
                .filter(|key| region.peek(&acme, key).wait().expect("a key can be looked for").is_some())
                .collect()
        };
        let held: [Vec<u64>; 3] = [held(&short), held(&plain), held(&lasting)];
        seen.push((at, held));
    }
    let expected = [
        (4, [vec![0, 1, 2, 3], vec![0, 1, 2, 3], vec![0, 1, 2, 3]]),
        (5, [vec![1, 2, 3], vec![0, 1, 2, 3], vec![0, 1, 2, 3]]),
        (6, [vec![1, 2, 3], vec![0, 1, 2, 3], vec![0, 1, 2, 3]]),
        (7, [vec![2], vec![0, 2], vec![0, 2]]),
        (9, [vec![2], vec![0, 2], vec![0, 2]]),
        (10, [vec![2], vec![2], vec![0, 2]]),
        (1_000_000, [vec![2], vec![2], vec![0, 2]]),
    ];
    assert_eq!(seen, expected);
    Ok(())
}

#[test]
fn expired_entry_is_served_by_no_verb() -> Outcome {
    let (cache, clock) = small(10)?;
    let acme = cache.scope(scope!(org = "acme"))?;
    for key in 0..8 {
        acme.set(&key.to_string(), key).ttl("1s").wait()?;
    }
    clock.advance(seconds(1));
    assert_eq!(acme.get::<u64>("0").wait()?, None);
    assert_eq!(acme.peek::<u64>("1").wait()?, None);
    assert!(!acme.contains("2").wait()?);
    assert!(!acme.remove("3").wait()?);
    assert!(!acme.invalidate("4").wait()?);
    assert_eq!(acme.pop::<u64>("5").wait()?, None);
    assert_eq!(acme.pop::<String>("5").wait()?, None, "nor refused");
    assert_eq!(*acme.get_or_load_with("6", || Ok::<_, ()>(60u64)).wait().expect("loads"), 60);
    assert_eq!(acme.preview_evict().wait()?.entries, 1);
    assert_eq!(acme.evict_by_scope().wait()?.entries, 1);
    let stats = cache.stats();
    assert_eq!((stats.expired, stats.invalidated, stats.removed), (8, 1, 0), "absent counts as nothing");
    Ok(())
}

#[test]
fn eviction_of_a_scope_does_not_count_what_has_expired() -> Outcome {
    let (cache, clock) = small(10)?;
    let acme = cache.scope(scope!(org = "acme"))?;
    acme.set("expires", 1).ttl("1s").wait()?;
    acme.set("stays", 1).wait()?;
    clock.advance(seconds(1));
    assert_eq!(acme.evict_by_scope().wait()?.entries, 1);
    assert_eq!((cache.stats().expired, cache.stats().invalidated), (1, 1));
    Ok(())
}

#[test]
fn expired_entries_go_before_anything_alive() -> Outcome {
    let (cache, clock) = small(10)?;
    let acme = cache.scope(scope!(org = "acme"))?;
    fill(&acme, 0..5)?;
    for key in 5..10 {
        acme.set(&key.to_string(), key).ttl("1s").wait()?;
    }
    clock.advance(seconds(1));
    fill(&acme, 10..15)?;
    assert_eq!(present(&acme, 15), (0..5).chain(10..15).collect::<Vec<_>>(), "the colder ones live");
    let stats = cache.stats();
    assert_eq!((stats.expired, stats.evicted), (5, 0), "expiry is no eviction");
    Ok(())
}

#[test]
fn expired_entry_displaces_nothing_alive_in_a_limited_scope() -> Outcome {
    let (cache, clock) = small(1_000)?;
    let region: Region<u64, u64> = cache.region_builder("two").max_per_scope(2).open()?;
    let acme = cache.scope(scope!(org = "acme"))?;
    region.set(&acme, 0, 0).wait()?;
    region.set(&acme, 1, 1).ttl("1s").wait()?;
    clock.advance(seconds(1));
    region.set(&acme, 2, 2).wait()?;
    assert_eq!(region.get_now(&acme, &0)?, Some(0), "set");
    region.set(&acme, 2, 2).ttl("1s").wait()?;
    clock.advance(seconds(1));
    region.get_or_load_with(&acme, &3, || Ok::<_, ()>(3)).wait().expect("loads");
    assert_eq!(region.get_now(&acme, &0)?, Some(0), "load");
    assert_eq!((region.stats().expired, region.stats().evicted), (2, 0));
    Ok(())
}

#[test]
fn overwrite_resets_time_both_ways() -> Outcome {
    let (cache, clock) = small(10)?;
    let acme = cache.scope(scope!(org = "acme"))?;
    acme.set("longer", 0).ttl("2s").wait()?;
    acme.set("lasting", 0).ttl("2s").wait()?;
    acme.set("shorter", 0).wait()?;
    clock.advance(seconds(1));
    acme.set("longer", 1).ttl("2s").wait()?;
    acme.set("lasting", 1).wait()?;
    acme.set("shorter", 1).ttl("1s").wait()?;
    clock.advance(seconds(1));
    cache.maintain();
    assert!(acme.contains("longer").wait()? && acme.contains("lasting").wait()?);
    assert!(!acme.contains("shorter").wait()?);
    clock.advance(seconds(1));
    assert!(!acme.contains("longer").wait()?);
    assert_eq!(cache.stats().expired, 2, "the time that was overwritten expires nothing");
    Ok(())
}

#[test]
fn reader_of_an_expired_entry_never_removes_a_fresh_one() -> Outcome {
    let (cache, clock) = small(10)?;
    let acme = cache.scope(scope!(org = "acme"))?;
    acme.set("k", 1).ttl("1s").wait()?;
    clock.advance(seconds(1));
    assert_eq!(acme.get::<i32>("k").wait()?, None);
    acme.set("k", 2).ttl("1s").wait()?;
    cache.maintain();
    assert_eq!(acme.get::<i32>("k").wait()?.as_deref(), Some(&2));
    Ok(())
}

#[test]
fn expired_entries_leave_memory_within_a_second_without_a_call() -> Outcome {
    let census = Census::default();
    let cache = Cache::builder().build()?;
    let acme = cache.scope(scope!(org = "acme"))?;
    for key in 0..100 {
        acme.set(&key.to_string(), census.member()).ttl("50ms").wait()?;
    }
    acme.set("stays", census.member()).ttl("1h").wait()?;
    let began = Instant::now();
    soon("expired values are dropped", || census.count() == 1);
    // 50 ms to expire, a second to leave; the rest is for a busy machine.
    assert!(began.elapsed() < Duration::from_secs(4), "took {:?}", began.elapsed());
    assert_eq!(cache.stats().expired, 100);
    // A second time: the thread was resting meanwhile, if it is this cache's alone.
    acme.set("again", census.member()).ttl("50ms").wait()?;
    soon("expired values are dropped again", || census.count() == 1);
    Ok(())
}

#[test]
fn evicted_scopes_leave_memory_within_a_second_without_a_call() -> Outcome {
    let census = Census::default();
    let cache = Cache::builder().build()?;
    for user in 0..300 {
        cache.set(scope!(org = "acme", user = user), "k", census.member()).wait()?;
    }
    cache.set(scope!(org = "other"), "k", census.member()).wait()?;
    assert_eq!(cache.evict_by_scope(scope!(org = "acme")).wait()?.entries, 300);
    soon("values of an evicted scope are dropped", || census.count() == 1);
    Ok(())
}

// ------------------------------------------------------------------------------------------------------- limits

#[test]
fn limit_per_scope_is_exact_and_each_scopes_own() -> Outcome {
    let (cache, _) = small(10_000)?;
    let region: Region<u64, u64> = cache.region_builder("three").max_per_scope(3).open()?;
    let other: Region<u64, u64> = cache.region("unlimited")?;
    for user in 0..20 {
        let user = cache.scope(scope!(org = "acme", user = user))?;
        for key in 0..5 {
            region.set(&user, key, key).wait()?;
            other.set(&user, key, key).wait()?;
            region.get_now(&user, &0)?;
        }
        let held: Vec<u64> = (0..5)
            .filter(|key| region.peek(&user, key).wait().expect("a key can be looked for").is_some())
            .collect();
        assert_eq!(held, [0, 3, 4], "the least recently used of the scope goes");
    }
    region.set(scope!(org = "acme"), 0, 0).wait()?;
    let stats = region.stats();
    assert_eq!((stats.entries, stats.evicted), (61, 40), "a scope's limit is not its parent's");
    assert_eq!(other.stats().entries, 100);
    Ok(())
}

#[test]
fn limit_per_scope_starts_anew_after_its_scope_was_evicted() -> Outcome {
    let (cache, _) = small(10_000)?;
    let region: Region<u64, u64> = cache.region_builder("three").max_per_scope(3).open()?;
    let acme = cache.scope(scope!(org = "acme"))?;
    for key in 0..3 {
        region.set(&acme, key, key).wait()?;
    }
    acme.evict_by_scope().wait()?;
    for key in 10..13 {
        region.set(&acme, key, key).wait()?;
    }
    assert_eq!(region.stats().evicted, 0, "what is dead takes no place of what lives");
    assert_eq!(region.stats().entries, 3);
    Ok(())
}

#[test]
fn dead_entries_never_evict_live_ones() -> Outcome {
    let (cache, _) = small(1_000)?;
    let (acme, other) = (cache.scope(scope!(org = "acme"))?, cache.scope(scope!(org = "other"))?);
    // The living stand before the dead, so that the first steps of a sweep find nothing.
    fill(&other, 0..500)?;
    fill(&acme, 500..1_000)?;
    assert_eq!(acme.evict_by_scope().wait()?.entries, 500);
    for key in 1_000..1_500 {
        fill(&other, key..key + 1)?;
        assert_eq!(other.preview_evict().wait()?.entries, key - 499, "nothing alive went for what is dead");
    }
    assert_eq!(cache.stats().evicted, 0);
    fill(&other, 1_500..1_501)?;
    assert_eq!(present(&other, 1_501).len(), 1_000);
    assert_eq!(cache.stats().evicted, 1);
    Ok(())
}

#[test]
fn dead_entries_count_towards_the_physical_bound() -> Outcome {
    alone("memory::dead_entries_count_towards_the_physical_bound", || {
        let (cache, _) = small(1_000)?;
        let census = Census::default();
        let acme = cache.scope(scope!(org = "acme"))?;
        let mut most = 0;
        for round in 0..4 {
            for key in 0..1_000 {
                acme.set(&format!("{round}/{key}"), census.member()).wait()?;
                most = most.max(census.count());
            }
            assert_eq!(acme.evict_by_scope().wait()?.entries, 1_000);
        }
        assert!(most <= 1_001, "inserts sweep before they add: {most} values at once in a cache of 1000");
        Ok(())
    })
}

// ---------------------------------------------------------------------------------------------------- listeners

/// What a cache-wide listener heard: region, scope, cause, weight.
type Heard = (String, String, RemovalCause, u64);

#[test]
fn listeners_hear_of_every_removal_with_its_cause() -> Outcome {
    let all: Arc<Mutex<Vec<Heard>>> = Arc::default();
    let own: Arc<Mutex<Vec<(u64, u64, RemovalCause)>>> = Arc::default();
    let (builder, clock) = still();
    let heard = Arc::clone(&all);
    let cache = builder
        .capacity(2)
        .on_removal(move |removal| {
            let mut heard = heard.lock().expect("no listener panics");
            heard.push((removal.region.to_owned(), removal.scope.to_string(), removal.cause, removal.weight));
        })
        .build()?;
    let heard = Arc::clone(&own);
    let region: Region<u64, u64> = cache
        .region_builder("pairs")
        .on_removal(move |key, value, cause| {
            heard.lock().expect("no listener panics").push((*key, *value, cause))
        })
        .open()?;
    let acme = cache.scope(scope!(org = "acme"))?;
    region.set(&acme, 1, 10).wait()?;
    region.set(&acme, 1, 11).wait()?;
    region.remove(&acme, &1).wait()?;
    region.set(&acme, 2, 20).wait()?;
    region.pop(&acme, &2).wait()?;
    region.set(&acme, 3, 30).wait()?;
    region.invalidate(&acme, &3).wait()?;
    region.set(&acme, 4, 40).ttl("1s").wait()?;
    clock.advance(seconds(1));
    cache.maintain();
    for key in 5..8 {
        region.set(&acme, key, key * 10).wait()?;
    }
    acme.evict_by_scope().wait()?;
    cache.maintain();
    use RemovalCause::{Evicted, Expired, Invalidated, Removed, Replaced};
    let mut own = own.lock().expect("no listener panics").clone();
    // A sweep has no order.
    own[6..].sort_by_key(|(key, ..)| *key);
    assert_eq!(
        own,
        [
            (1, 10, Replaced),
            (1, 11, Removed),
            (2, 20, Removed),
            (3, 30, Invalidated),
            (4, 40, Expired),
            (5, 50, Evicted),
            (6, 60, Invalidated),
            (7, 70, Invalidated),
        ]
    );
    let all = all.lock().expect("no listener panics");
    assert_eq!(
        all.iter().map(|heard| heard.2).collect::<Vec<_>>(),
        own.iter().map(|heard| heard.2).collect::<Vec<_>>()
    );
    let same = |heard: &&Heard| (heard.0.as_str(), heard.1.as_str(), heard.3) == ("pairs", "org:acme", 16);
    assert_eq!(all.iter().filter(same).count(), 8, "region, scope and weight are told");
    Ok(())
}

/// Calls the cache back in every way while something leaves it.
fn call_back(cache: &Cache) {
    let place = scope!(org = "acme");
    cache.contains(&place, "0").wait().expect("a key can be looked for");
    cache.set(&place, "called back", 1u64).wait().expect("a value can be stored");
    cache.get::<u64>(&place, "called back").wait().expect("a key can be read");
    cache.remove(&place, "called back").wait().expect("a key can be removed");
    cache.get_or_load_with(&place, "loaded", || Ok::<_, ()>(1u64)).wait().expect("a key can be loaded");
    cache.remove(&place, "loaded").wait().expect("a key can be removed");
    cache.preview_evict(&place).wait().expect("a scope can be previewed");
    cache.region::<u64, u64>("opened by a listener").expect("a region can be opened");
    cache.maintain();
    cache.stats();
}

/// Everything that removes, once.
fn remove_in_every_way(cache: &Cache, advance: impl Fn(), value: impl Fn() -> Caller) -> Outcome {
    let place = scope!(org = "acme");
    let set = |key: &str| cache.set(&place, key, value()).wait();
    for key in 0..12 {
        set(&key.to_string())?;
    }
    set("11")?;
    cache.remove(&place, "11").wait()?;
    set("12")?;
    drop(cache.pop::<Caller>(&place, "12").wait()?);
    set("13")?;
    cache.invalidate(&place, "13").wait()?;
    cache.set(&place, "14", value()).ttl("1s").wait()?;
    advance();
    set("15")?;
    cache.set(&place, "16", value()).ttl("1s").wait()?;
    advance();
    cache.maintain();
    cache.set_capacity(4)?;
    cache.evict_by_scope(&place).wait()?;
    for key in 0..6 {
        set(&key.to_string())?;
    }
    cache.evict_by_scope(scope!(org = "acme")).wait()?;
    cache.maintain();
    set("0")?;
    cache.clear().wait()?;
    cache.maintain();
    Ok(())
}

/// A value that calls its cache when it is dropped.
struct Caller(Option<(Cache, Arc<AtomicUsize>)>);

impl Drop for Caller {
    fn drop(&mut self) {
        if let Some((cache, calls)) = self.0.take() {
            calls.fetch_add(1, Ordering::Relaxed);
            call_back(&cache);
        }
    }
}

/// Fails, instead of hanging, when something deadlocks.
fn within_a_minute(run: impl FnOnce() -> Outcome + Send + 'static) {
    let (done, ended) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        run().expect("no call fails");
        done.send(()).expect("the test waits");
    });
    if ended.recv_timeout(Duration::from_secs(60)).is_err() {
        assert!(thread.is_finished(), "deadlock: the calls have not returned within a minute");
        thread.join().expect("the calls do not panic");
    }
}

#[test]
fn listener_may_call_the_cache() {
    within_a_minute(|| {
        let (builder, clock) = still();
        let own: Arc<OnceLock<Cache>> = Arc::default();
        let calls = Arc::new(AtomicUsize::new(0));
        let depth = AtomicUsize::new(0);
        let (known, counted) = (Arc::clone(&own), Arc::clone(&calls));
        let listener = move |_: &strata_cache::Removal<'_>| {
            // What the call-back removes is told of too.
            if depth.fetch_add(1, Ordering::SeqCst) == 0 {
                counted.fetch_add(1, Ordering::Relaxed);
                call_back(known.get().expect("the cache is known before anything leaves it"));
            }
            depth.fetch_sub(1, Ordering::SeqCst);
        };
        let cache = builder.capacity(8).on_removal(listener).build()?;
        let _ = own.set(cache.clone());
        remove_in_every_way(&cache, || clock.advance(seconds(1)), || Caller(None))?;
        assert!(calls.load(Ordering::Relaxed) >= 15, "the listener called back");
        Ok(())
    });
}

#[test]
fn value_may_call_the_cache_when_it_is_dropped() {
    within_a_minute(|| {
        let (cache, clock) = small(8)?;
        let calls = Arc::new(AtomicUsize::new(0));
        let value = || Caller(Some((cache.clone(), Arc::clone(&calls))));
        remove_in_every_way(&cache, || clock.advance(seconds(1)), value)?;
        assert!(calls.load(Ordering::Relaxed) >= 15, "the values called back");
        Ok(())
    });
}

#[test]
fn listener_that_panics_stops_nobody() -> Outcome {
    let (builder, _) = still();
    let cache = builder.capacity(2).on_removal(|_| panic!("a listener of the test")).build()?;
    let acme = cache.scope(scope!(org = "acme"))?;
    fill(&acme, 0..5)?;
    acme.set("4", 40u64).wait()?;
    assert!(acme.remove("4").wait()?);
    let stats = cache.stats();
    assert_eq!((stats.entries, stats.evicted, stats.replaced, stats.removed), (1, 3, 1, 1));
    Ok(())
}

// ----------------------------------------------------------------------------------------------------- policies

/// What a wrong policy does when it is asked.
#[derive(Clone, Copy, Debug)]
enum Wrong {
    DeadSlot,
    None,
    PanicOnVictim,
    PanicOnInsert,
    PanicOnTouch,
    PanicOnRemove,
    PanicWhenMade,
}

struct Misbehaving(Wrong);

impl EvictionPolicy for Misbehaving {
    fn on_insert(&mut self, _: &mut Order<'_>, _: SlotId, _: u32, _: Weight) {
        assert!(!matches!(self.0, Wrong::PanicOnInsert), "a policy of the test");
    }

    fn touches(&self) -> Touches {
        Touches::Each
    }

    fn on_touch(&mut self, _: &mut Order<'_>, _: &[SlotId]) {
        assert!(!matches!(self.0, Wrong::PanicOnTouch), "a policy of the test");
    }

    fn on_remove(&mut self, _: &mut Order<'_>, _: SlotId) {
        assert!(!matches!(self.0, Wrong::PanicOnRemove), "a policy of the test");
    }

    fn victim(&mut self, _: &mut Order<'_>, _: &Heat<'_>) -> Option<SlotId> {
        match self.0 {
            Wrong::DeadSlot => Some(SlotId(4_000_000)),
            Wrong::None => None,
            _ => panic!("a policy of the test"),
        }
    }
}

#[test]
fn policy_that_misbehaves_spoils_neither_bounds_nor_values() -> Outcome {
    let all = [
        Wrong::DeadSlot,
        Wrong::None,
        Wrong::PanicOnVictim,
        Wrong::PanicOnInsert,
        Wrong::PanicOnTouch,
        Wrong::PanicOnRemove,
        Wrong::PanicWhenMade,
    ];
    for wrong in all {
        let policy = Policy::custom("wrong", move || {
            assert!(!matches!(wrong, Wrong::PanicWhenMade), "a policy of the test");
            Box::new(Misbehaving(wrong))
        });
        let (builder, _) = still();
        let cache = builder.capacity(10).policy(policy).build()?;
        let acme = cache.scope(scope!(org = "acme"))?;
        let limited: Region<u64, u64> = cache.region_builder("limited").max_per_scope(2).open()?;
        for key in 0..200u64 {
            acme.set(&key.to_string(), key).wait()?;
            assert_eq!(
                acme.get::<u64>(&key.to_string()).wait()?.as_deref(),
                Some(&key),
                "{wrong:?}: own insert"
            );
            acme.remove(&(key / 2).to_string()).wait()?;
            limited.set(&acme, key, key).wait()?;
            assert!(limited.stats().entries <= 2, "{wrong:?}");
            assert!(cache.stats().entries <= 10, "{wrong:?}");
        }
        let stats = cache.stats();
        let left = stats.removed + stats.evicted + stats.expired + stats.invalidated;
        assert_eq!(stats.inserts, stats.entries + left, "{wrong:?}");
        assert_eq!(cache.clear().wait()?.entries, stats.entries, "{wrong:?}");
    }
    Ok(())
}

/// Evicts the newest first.
struct Stack;

impl EvictionPolicy for Stack {
    fn on_insert(&mut self, order: &mut Order<'_>, slot: SlotId, _: u32, _: Weight) {
        order.push_front(0, slot);
    }

    fn on_remove(&mut self, order: &mut Order<'_>, slot: SlotId) {
        order.remove(slot);
    }

    fn victim(&mut self, order: &mut Order<'_>, _: &Heat<'_>) -> Option<SlotId> {
        order.front(0)
    }
}

#[test]
fn policy_of_the_users_own_decides() -> Outcome {
    let (builder, _) = still();
    let cache = builder.capacity(3).policy(Policy::custom("stack", || Box::new(Stack))).build()?;
    let acme = cache.scope(scope!(org = "acme"))?;
    fill(&acme, 0..5)?;
    assert_eq!(present(&acme, 5), [0, 1, 4], "the newest but the newcomer went");
    Ok(())
}

// ------------------------------------------------------------------------------------------------------ weighers

#[test]
fn weight_of_zero_or_above_the_capacity_is_refused() -> Outcome {
    let (builder, _) = still();
    let cache = builder.capacity_bytes(100).build()?;
    let region: Region<u64, u64> = cache.region_builder("weighed").weigher(|_, value| *value).open()?;
    let acme = cache.scope(scope!(org = "acme"))?;
    region.set(&acme, 1, 7).wait()?;
    for weight in [0, 101, u64::MAX] {
        assert_eq!(kind(region.set(&acme, 1, weight).wait()), Some(ErrorKind::InvalidWeight));
        assert_eq!(kind(region.set(&acme, 1, 7).weight(weight).wait()), Some(ErrorKind::InvalidWeight));
        assert_eq!(kind(acme.set("k", ()).weight(weight).wait()), Some(ErrorKind::InvalidWeight));
    }
    assert_eq!(region.get_now(&acme, &1)?, Some(7), "the old value stays");
    for (loads, weight) in (1..).zip([0, 101, u64::MAX]) {
        let loaded = region.get_or_load_with(&acme, &2, || Ok::<_, ()>(weight)).wait();
        assert_eq!(loaded.expect("a load is served"), weight);
        assert_eq!(region.get_now(&acme, &2)?, None, "and not stored");
        assert_eq!((region.stats().loads, region.stats().refused_weight), (loads, loads));
    }
    let stats = region.stats();
    assert_eq!((stats.entries, stats.weight, stats.inserts, stats.evicted, stats.flights), (1, 7, 1, 0, 0));
    Ok(())
}

#[test]
fn weigher_that_panics_leaves_nothing_behind() -> Outcome {
    let (cache, _) = small(10)?;
    let region: Region<u64, u64> = cache
        .region_builder("weighed")
        .weigher(|_, value| if *value == 13 { panic!("a weigher of the test") } else { 1 })
        .open()?;
    let acme = cache.scope(scope!(org = "acme"))?;
    let caught = |run: &dyn Fn()| std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).is_err();
    assert!(caught(&|| drop(region.set(&acme, 1, 13).wait())));
    assert!(caught(&|| drop(region.get_or_load_with(&acme, &1, || Ok::<_, ()>(13)).wait())));
    assert_eq!(region.stats().flights, 0, "the load has ended");
    assert_eq!(region.get_or_load_with(&acme, &1, || Ok::<_, ()>(1)).wait().expect("loads"), 1);
    assert_eq!(region.get_now(&acme, &1)?, Some(1));
    Ok(())
}

#[test]
fn weigher_that_changes_its_mind_leaves_no_weight_behind() -> Outcome {
    let (builder, _) = still();
    let cache = builder.capacity_bytes(100).build()?;
    let calls = std::sync::atomic::AtomicU64::new(0);
    let fickle =
        move |_: &u64, _: &u64| 1 + calls.fetch_add(1, std::sync::atomic::Ordering::Relaxed) * 7 % 30;
    let region: Region<u64, u64> = cache.region_builder("weighed").weigher(fickle).open()?;
    let acme = cache.scope(scope!(org = "acme"))?;
    for round in 0..500 {
        region.set(&acme, round * round % 17, round).wait()?;
        assert!(region.stats().weight <= 100);
    }
    assert!(region.stats().evicted > 0 && region.stats().replaced > 0);
    acme.clear().wait()?;
    cache.maintain();
    assert_eq!((region.stats().weight, region.stats().entries), (0, 0));
    Ok(())
}

#[test]
fn weight_in_bytes_counts_what_is_owned_and_saturates() -> Outcome {
    #[derive(Clone)]
    struct Endless;
    impl strata_cache::weight::HeapSize for Endless {
        fn heap_bytes(&self) -> usize {
            usize::MAX
        }
    }
    let cache = Cache::builder().capacity_bytes("10KB").build()?;
    let acme = cache.scope(scope!(org = "acme"))?;
    let endless: Region<u64, Endless> = cache.region_builder("endless").weigh_bytes().open()?;
    assert_eq!(kind(endless.set(&acme, 1, Endless).wait()), Some(ErrorKind::InvalidWeight));
    let texts: Region<u64, String> = cache.region_builder("texts").weigh_bytes().open()?;
    let weigh = |length: usize| -> strata_cache::Result<u64> {
        texts.set(&acme, 1, "x".repeat(length)).wait()?;
        Ok(texts.stats().weight)
    };
    assert_eq!(weigh(1_000)? - weigh(0)?, 1_008, "as the allocator rounds");
    assert_eq!(kind(texts.set(&acme, 1, "x".repeat(10_000)).wait()), Some(ErrorKind::InvalidWeight));
    Ok(())
}

// ---------------------------------------------------------------------------------------------------------- ends

#[test]
fn values_are_dropped_with_the_last_handle() -> Outcome {
    let census = Census::default();
    let cache = Cache::builder().build()?;
    let region: Region<u64, Member> = cache.region("members")?;
    let acme = cache.scope(scope!(org = "acme"))?;
    region.set(&acme, 1, census.member()).ttl("1h").wait()?;
    acme.set("k", census.member()).wait()?;
    let waiting = acme.get::<Member>("k");
    drop(cache);
    drop(region);
    assert_eq!(census.count(), 2, "a scope is a handle");
    drop(waiting.wait()?);
    drop(acme);
    soon("values are dropped with the last handle", || census.count() == 0);
    Ok(())
}

#[test]
fn gauges_go_to_zero_when_nothing_is_left() -> Outcome {
    let (cache, clock) = small(10_000)?;
    for org in 0..10 {
        for user in 0..50 {
            let user = cache.scope(scope!(org = org, user = user))?;
            let region: Region<u64, u64> = cache.region(&format!("region {}", org % 3))?;
            region.set(&user, 1, 1).ttl("1s").wait()?;
            user.get_or_load_with("loaded", || Ok::<_, ()>(1)).ttl("1s").wait().expect("loads");
            user.get_or_load_with("failed", || Err::<u64, _>(())).wait().expect_err("fails");
            user.get::<u64>("absent").wait()?;
        }
    }
    let stats = cache.stats();
    assert_eq!((stats.entries, stats.scopes, stats.regions, stats.flights), (1_000, 510, 4, 0));
    clock.advance(seconds(1));
    let after = cache.stats();
    assert_eq!((after.entries, after.weight, after.scopes, after.regions, after.flights), (0, 0, 0, 1, 0));
    assert_eq!(
        (after.inserts, after.expired, after.loads),
        (1_000, 1_000, 1_000),
        "regions gone, counts kept"
    );
    Ok(())
}

#[test]
fn idle_scope_goes_at_once_among_many_that_are_used() -> Outcome {
    let (cache, _) = small(100_000)?;
    for org in 0..8_000 {
        cache.set(scope!(org = org), "k", ()).wait()?;
    }
    assert_eq!(cache.stats().scopes, 8_000);
    for org in (0..8_000).step_by(1_000) {
        cache.remove(scope!(org = org), "k").wait()?;
    }
    assert_eq!(cache.stats().scopes, 7_992, "maintenance does everything that is owed");
    Ok(())
}

#[test]
fn region_that_is_gone_may_come_back_with_other_types() -> Outcome {
    let (cache, _) = small(10)?;
    let region: Region<u64, u64> = cache.region("reused")?;
    region.set(scope!(global), 1, 1).wait()?;
    drop(region);
    assert_eq!(
        kind(cache.region::<u64, String>("reused")),
        Some(ErrorKind::TypeMismatch),
        "it holds something"
    );
    cache.clear().wait()?;
    cache.maintain();
    cache.region::<u64, String>("reused")?;
    Ok(())
}

/// Threads of this process that do maintenance, where the system can say.
#[cfg(target_os = "linux")]
fn maintenance_threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|name| name.trim() == "strata-cache").count()
}

#[test]
#[cfg(target_os = "linux")]
fn maintenance_thread_is_one_and_ends_with_the_last_cache() -> Outcome {
    alone("memory::maintenance_thread_is_one_and_ends_with_the_last_cache", || {
        let built = || Cache::builder().build();
        let (first, second) = (built()?, built()?);
        first.set(scope!(global), "k", ()).wait()?;
        assert_eq!(maintenance_threads(), 0, "none before there is something to do");
        first.set(scope!(global), "k", ()).ttl("1h").wait()?;
        second.set(scope!(global), "k", ()).ttl("1h").wait()?;
        second.clear().wait()?;
        soon("the thread runs", || maintenance_threads() == 1);
        drop(first);
        std::thread::sleep(Duration::from_millis(300));
        assert_eq!(maintenance_threads(), 1, "one cache is left");
        drop(second);
        soon("the thread ends", || maintenance_threads() == 0);
        let manual = Cache::builder().maintenance(Maintenance::Manual).build()?;
        manual.set(scope!(global), "k", ()).ttl("1s").wait()?;
        manual.clear().wait()?;
        std::thread::sleep(Duration::from_millis(100));
        assert_eq!(maintenance_threads(), 0, "none where the user does it");
        let third = built()?;
        third.set(scope!(global), "k", ()).ttl("1h").wait()?;
        soon("the thread runs again", || maintenance_threads() == 1);
        Ok(())
    })
}

/// A value that panics when it is dropped in the thread of another test's choice.
struct Bomb(&'static AtomicU64);

impl Drop for Bomb {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
        if !std::thread::panicking() {
            panic!("a value of the test");
        }
    }
}

#[test]
fn value_whose_drop_panics_does_not_end_maintenance() -> Outcome {
    static DROPPED: AtomicU64 = AtomicU64::new(0);
    alone("memory::value_whose_drop_panics_does_not_end_maintenance", || {
        let (cache, census) = (Cache::builder().build()?, Census::default());
        for key in 0..3 {
            cache.set(scope!(global), &key.to_string(), Bomb(&DROPPED)).ttl("20ms").wait()?;
        }
        soon("values that panic are dropped", || DROPPED.load(Ordering::SeqCst) == 3);
        cache.set(scope!(global), "k", census.member()).ttl("20ms").wait()?;
        soon("maintenance goes on", || census.count() == 0);
        assert_eq!(cache.stats().expired, 4);
        Ok(())
    })
}
