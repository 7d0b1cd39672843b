//! Values that are written over in place: numbers and the like, in caches where nobody listens.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use strata_cache::{Cache, ErrorKind, Region, Scope, scope};

use crate::support::{Outcome, kind, seconds, still};

#[test]
fn number_written_over_is_never_read_older_than_the_last_write_that_returned() -> Outcome {
    const KEYS: u64 = 8;
    const WRITES: u64 = 20_000;
    let cache = Cache::builder().capacity(4_096).ttl("1h").build()?;
    let region: Region<u64, u64> = cache.region("numbers")?;
    let acme = cache.scope(scope!(org = "acme"))?;
    let returned: Vec<AtomicU64> = (0..KEYS).map(|_| AtomicU64::new(0)).collect();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|threads| {
        let write = |keys: std::ops::Range<u64>| {
            for version in 1..=WRITES {
                for key in keys.clone() {
                    region.set(&acme, key, version * KEYS + key).wait().expect("it is taken");
                    returned[key as usize].store(version, Ordering::Release);
                }
            }
        };
        let writers = [0..KEYS / 2, KEYS / 2..KEYS].map(|keys| threads.spawn(move || write(keys)));
        let readers = [0, 1].map(|_| {
            threads.spawn(|| {
                let mut seen = 0;
                while !is_over.load(Ordering::Relaxed) {
                    for key in 0..KEYS {
                        let least = returned[key as usize].load(Ordering::Acquire);
                        let found = region.get_now(&acme, &key).expect("the scope is this cache's");
                        assert!(found.is_some() || least == 0, "key {key} was there");
                        if let Some(value) = found {
                            assert_eq!(value % KEYS, key, "another key's value");
                            assert!(value / KEYS >= least, "key {key}: {} after {least}", value / KEYS);
                            seen += 1;
                        }
                    }
                }
                seen
            })
        });
        let wrote = writers.map(|writer| writer.join().is_ok());
        is_over.store(true, Ordering::Relaxed);
        assert_eq!(wrote, [true, true]);
        assert!(
            readers.map(|reader| reader.join().expect("no assertion fails")).iter().all(|&seen| seen > 0)
        );
    });
    let stats = region.stats();
    assert_eq!((stats.inserts, stats.replaced, stats.entries), (KEYS, KEYS * (WRITES - 1), KEYS));
    Ok(())
}

#[test]
fn time_to_live_is_that_of_the_last_write_however_often_the_entry_was_hit() -> Outcome {
    let (builder, clock) = still();
    let cache = builder.build()?;
    let region: Region<u64, u64> = cache.region("numbers")?;
    let acme = cache.scope(scope!(org = "acme"))?;
    let hit = |wanted| -> Outcome {
        for _ in 0..5 {
            assert_eq!(region.get_now(&acme, &1)?, wanted);
        }
        Ok(())
    };
    region.set(&acme, 1, 1).ttl("100s").wait()?;
    hit(Some(1))?;
    region.set(&acme, 1, 2).ttl("10s").wait()?;
    hit(Some(2))?;
    clock.advance(seconds(9));
    hit(Some(2))?;
    region.set(&acme, 1, 3).ttl("1h").wait()?;
    hit(Some(3))?;
    clock.advance(seconds(3_599));
    hit(Some(3))?;
    clock.advance(seconds(1));
    hit(None)?;
    region.set(&acme, 1, 4).ttl("never").wait()?;
    region.set(&acme, 1, 5).ttl("1s").wait()?;
    clock.advance(seconds(2));
    cache.maintain();
    assert_eq!(region.stats().entries, 0, "what was written over is still found when it is due");
    Ok(())
}

fn come_back<V: Copy + PartialEq + std::fmt::Debug + Send + Sync + 'static>(values: [V; 2]) -> Outcome {
    let cache = Cache::builder().capacity(100).build()?;
    let region: Region<u8, V> = cache.region("values")?;
    let acme = cache.scope(scope!(org = "acme"))?;
    for value in values.into_iter().chain(values) {
        region.set(&acme, 1, value).wait()?;
        assert_eq!(region.get_now(&acme, &1)?, Some(value));
        assert_eq!(region.peek(&acme, &1).wait()?, Some(value));
    }
    assert_eq!(region.pop(&acme, &1).wait()?, Some(values[1]));
    Ok(())
}

#[test]
fn words_of_all_kinds_and_what_is_none_come_back() -> Outcome {
    come_back([u64::MAX, 1])?;
    come_back([-1_i32, 7])?;
    come_back([0xfedc_u16, 2])?;
    come_back([1_u8, 255])?;
    come_back([true, false])?;
    come_back(['\u{10ffff}', 'a'])?;
    come_back([f64::MIN_POSITIVE, -0.5])?;
    come_back([(1_u8, u64::MAX), (2, 3)])?;
    come_back([Some(1_u32), None])?;
    come_back([[1_u64; 9], [2; 9]])
}

#[test]
fn key_of_a_write_over_an_entry_is_dropped_and_the_entrys_own_kept() -> Outcome {
    let cache = Cache::builder().capacity(100).build()?;
    let region: Region<Arc<str>, u64> = cache.region("numbers")?;
    let acme = cache.scope(scope!(org = "acme"))?;
    let keys: [Arc<str>; 2] = ["key".into(), "key".into()];
    for value in 0..4 {
        region.set(&acme, Arc::clone(&keys[usize::from(value > 0)]), value).wait()?;
        assert_eq!(region.get_now(&acme, &keys[0])?, Some(value));
    }
    assert_eq!((Arc::strong_count(&keys[0]), Arc::strong_count(&keys[1])), (2, 1));
    Ok(())
}

#[test]
fn weight_of_what_is_written_over_changes_with_its_value() -> Outcome {
    let cache = Cache::builder().capacity_bytes(1_000).build()?;
    let region: Region<u64, u64> = cache.region_builder("weighed").weigher(|_, value| *value).open()?;
    let acme = cache.scope(scope!(org = "acme"))?;
    for (value, weight) in [(10, 10), (10, 10), (500, 500), (3, 3)] {
        region.set(&acme, 1, value).wait()?;
        assert_eq!((region.stats().weight, acme.stats()?.weight), (weight, weight));
    }
    assert!(region.set(&acme, 1, 0).wait().is_err() && region.set(&acme, 1, 1_001).wait().is_err());
    assert_eq!(region.get_now(&acme, &1)?, Some(3), "what is refused changes nothing");
    Ok(())
}

#[test]
fn listener_hears_of_what_is_written_over() -> Outcome {
    let heard = Arc::new(AtomicU64::new(0));
    let cache = Cache::builder().capacity(100).build()?;
    let sum = Arc::clone(&heard);
    let listener = move |_: &u64, value: &u64, _| _ = sum.fetch_add(*value, Ordering::Relaxed);
    let region: Region<u64, u64> = cache.region_builder("heard").on_removal(listener).open()?;
    let acme = cache.scope(scope!(org = "acme"))?;
    for value in [1, 10, 100] {
        region.set(&acme, 1, value).wait()?;
    }
    assert_eq!(heard.load(Ordering::Relaxed), 11);
    Ok(())
}

#[test]
fn scope_that_is_evicted_while_numbers_are_written_over_shows_none_from_before() -> Outcome {
    const WRITES: u64 = 40_000;
    let cache = Cache::builder().capacity(4_096).build()?;
    let region: Region<u64, u64> = cache.region("numbers")?;
    let acme = cache.scope(scope!(org = "acme"))?;
    // How many evictions had begun when a write returned, and one more; 0 until it returns.
    let returned: Vec<AtomicU64> = (0..=WRITES).map(|_| AtomicU64::new(0)).collect();
    let begun = AtomicU64::new(0);
    std::thread::scope(|threads| {
        let writer = threads.spawn(|| {
            for write in 1..=WRITES {
                region.set(&acme, write % 4, write).wait().expect("it is taken");
                returned[write as usize].store(begun.load(Ordering::SeqCst) + 1, Ordering::SeqCst);
            }
        });
        while !writer.is_finished() {
            let eviction = begun.fetch_add(1, Ordering::SeqCst) + 1;
            acme.evict_by_scope().wait().expect("the scope is this cache's");
            for key in 0..4 {
                let found = region.get_now(&acme, &key).expect("the scope is this cache's");
                let before = found.map_or(0, |write| returned[write as usize].load(Ordering::SeqCst));
                assert!(
                    before == 0 || before > eviction,
                    "{found:?} had returned before eviction {eviction}"
                );
            }
        }
    });
    acme.evict_by_scope().wait()?;
    cache.maintain();
    let stats = cache.stats();
    assert_eq!((stats.entries, acme.stats()?.entries), (0, 0));
    assert_eq!(stats.inserts, stats.removed + stats.evicted + stats.expired + stats.invalidated);
    Ok(())
}

#[test]
fn handle_of_another_cache_is_refused_however_often_both_were_used() -> Outcome {
    let make = || -> Result<(Region<u64, u64>, Scope), strata_cache::Error> {
        let cache = Cache::builder().capacity(100).build()?;
        Ok((cache.region("numbers")?, cache.scope(scope!(org = "acme"))?))
    };
    let ((ours, here), (theirs, there)) = (make()?, make()?);
    for round in 0..100 {
        ours.set(&here, 1, round).wait()?;
        theirs.set(&there, 1, round).wait()?;
        assert_eq!((ours.get_now(&here, &1)?, theirs.get_now(&there, &1)?), (Some(round), Some(round)));
        assert_eq!(kind(ours.get_now(&there, &1)), Some(ErrorKind::Foreign));
        assert_eq!(kind(theirs.get(&here, &2).wait()), Some(ErrorKind::Foreign));
        assert_eq!(kind(ours.set(&there, 1, 7).wait()), Some(ErrorKind::Foreign));
    }
    Ok(())
}
