//! Several keys at once: each loaded once, each with an answer of its own.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use strata_cache::{ErrorKind, LoadError, answer as said, scope, tag_load};

use super::*;
use crate::support::{Outcome, answer, parked, seconds};

fn values(answers: Vec<Result<u32, LoadError<Down>>>) -> Vec<Option<u32>> {
    answers.into_iter().map(Result::ok).collect()
}

#[test]
fn missing_keys_are_loaded_by_one_call_and_answers_are_in_the_order_of_the_keys() -> Outcome {
    let (builder, _, _) = quiet();
    let cache = builder.build()?;
    let (region, here) = (numbers(&cache)?, cache.scope(scope!(org = 1))?);
    region.set(&here, 2, 20).wait()?;
    let calls = AtomicUsize::new(0);
    let load = |keys: Vec<u32>| {
        calls.fetch_add(1, SeqCst);
        assert_eq!(keys, [3, 1]);
        keys.into_iter().map(|key| if key == 3 { Err(Down) } else { Ok(key * 10) }).collect()
    };
    let answers = region.load_many_with(&here, [3, 2, 1, 2, 3], load).wait()?;
    assert_eq!(values(answers), [None, Some(20), Some(10), Some(20), None]);
    assert_eq!(calls.load(SeqCst), 1);
    assert_eq!(region.get_many(&here, &[1, 2, 3]).wait()?, [Some(10), Some(20), None]);
    let stats = cache.stats();
    assert_eq!((stats.loads, stats.load_failures, stats.flights), (2, 1, 0));
    assert_eq!((stats.hits, stats.misses), (1 + 2, 2 + 1));
    assert!(region.load_many_with(&here, [], |_| vec![Err::<u32, _>(Down)]).wait()?.is_empty());
    Ok(())
}

#[test]
fn overlapping_batches_and_single_loads_load_each_key_once() -> Outcome {
    let (builder, _, _) = quiet();
    let cache = builder.build()?;
    let (region, here) = (numbers(&cache)?, cache.scope(scope!(org = 1))?);
    let loaded = Arc::new(Mutex::new(Vec::<u32>::new()));
    let (open, gate) = tokio::sync::watch::channel(false);
    let load = |keys: Vec<u32>| {
        let (loaded, mut gate) = (Arc::clone(&loaded), gate.clone());
        async move {
            loaded.lock().expect("nobody panics with it").extend(&keys);
            gate.wait_for(|open| *open).await.expect("it is opened");
            keys.into_iter().map(|key| Ok::<u32, Down>(key * 10)).collect()
        }
    };
    let mut first = Box::pin(region.load_many(&here, [1, 2, 3], load));
    parked(&mut first);
    let mut second = Box::pin(region.load_many(&here, [3, 4, 1], load));
    parked(&mut second);
    let mut single = Box::pin(region.get_or_load(&here, &4, || async { Ok::<u32, Down>(0) }));
    parked(&mut single);
    let mut third = Box::pin(region.load_many(&here, [4, 2], load));
    parked(&mut third);
    assert_eq!(*loaded.lock().expect("nobody panics with it"), [1, 2, 3, 4]);
    open.send(true)?;
    assert_eq!(values(answer(&mut first)?), [Some(10), Some(20), Some(30)]);
    parked(&mut third);
    assert_eq!(values(answer(&mut second)?), [Some(30), Some(40), Some(10)]);
    assert_eq!(values(answer(&mut third)?), [Some(40), Some(20)]);
    assert_eq!(answer(&mut single).ok(), Some(40));
    assert_eq!(cache.stats().loads, 4);
    Ok(())
}

#[test]
fn batch_that_is_dropped_leaves_its_keys_to_those_who_wait() -> Outcome {
    let (builder, _, _) = quiet();
    let cache = builder.build()?;
    let (region, here) = (numbers(&cache)?, cache.scope(scope!(org = 1))?);
    let hang = |_: Vec<u32>| std::future::pending::<Vec<Result<u32, Down>>>();
    let mut dropped = Box::pin(region.load_many(&here, [1, 2], hang));
    parked(&mut dropped);
    let calls = AtomicUsize::new(0);
    let load = |keys: Vec<u32>| {
        calls.fetch_add(1, SeqCst);
        async move { keys.into_iter().map(|key| Ok::<u32, Down>(key * 10)).collect() }
    };
    let mut other = Box::pin(region.load_many(&here, [2, 3], load));
    parked(&mut other);
    drop(dropped);
    assert_eq!(values(answer(&mut other)?), [Some(20), Some(30)]);
    assert_eq!((calls.load(SeqCst), cache.stats().flights), (2, 0));
    Ok(())
}

#[test]
fn wrong_number_of_results_is_an_error_for_each_key_and_nothing_is_stored() -> Outcome {
    for given in [0, 1, 3] {
        let (builder, _, _) = quiet();
        let cache = builder.build()?;
        let (region, here) = (numbers(&cache)?, cache.scope(scope!(org = 1))?);
        let load = |_| vec![Ok::<u32, Down>(9); given];
        for answer in region.load_many_with(&here, [1, 2], load).wait()? {
            let Err(LoadError::Cache(error)) = answer else { panic!("it is nobody's value") };
            assert_eq!(error.kind(), ErrorKind::BatchMismatch);
            assert!(error.to_string().contains(&format!("asked: 2, given: {given}")), "{error}");
        }
        assert_eq!((cache.stats().entries, cache.stats().flights), (0, 0));
    }
    Ok(())
}

#[test]
fn key_that_was_withdrawn_during_a_batch_is_not_stored_and_the_others_are() -> Outcome {
    let (builder, _, _) = quiet();
    let cache = builder.build()?;
    let (region, here) = (numbers(&cache)?, cache.scope(scope!(org = 1))?);
    let load = |keys: Vec<u32>| {
        region.invalidate(&here, &2).wait().expect("a place");
        keys.into_iter().map(Ok::<u32, Down>).collect()
    };
    assert_eq!(values(region.load_many_with(&here, [1, 2, 3], load).wait()?), [Some(1), Some(2), Some(3)]);
    assert_eq!(region.get_many(&here, &[1, 2, 3]).wait()?, [Some(1), None, Some(3)]);
    let tagged = |keys: Vec<u32>| {
        tag_load("t").expect("it is a load");
        cache.invalidate_tag(&here, "t").wait().expect("a tag");
        keys.into_iter().map(Ok::<u32, Down>).collect()
    };
    region.load_many_with(&here, [4, 5], tagged).wait()?;
    assert_eq!(region.get_many(&here, &[4, 5]).wait()?, [None, None]);
    assert_eq!(cache.stats().refused_tag, 2);
    Ok(())
}

#[test]
fn what_the_loader_says_it_says_of_all_keys() -> Outcome {
    let (builder, clock, _) = quiet();
    let cache = builder.build()?;
    let (region, here) = (numbers(&cache)?, cache.scope(scope!(org = 1))?);
    let load = |keys: Vec<u32>| {
        said::ttl("5s").and_then(|()| tag_load("t")).expect("it is a load");
        keys.into_iter().map(Ok::<u32, Down>).collect()
    };
    region.load_many_with(&here, [1, 2, 3], load).wait()?;
    assert_eq!(cache.invalidate_tag(&here, "t").wait()?.entries, 3);
    region.load_many_with(&here, [1, 2, 3], load).wait()?;
    clock.advance(seconds(5));
    cache.maintain();
    assert_eq!(cache.stats().expired, 3);
    Ok(())
}

#[test]
fn batch_falls_back_on_what_is_kept_key_by_key_and_is_cut_after_its_time() -> Outcome {
    let (builder, clock, _) = quiet();
    let cache = builder.build()?;
    let (region, here) = (numbers(&cache)?, cache.scope(scope!(org = 1))?);
    region.set(&here, 1, 10).ttl("60s").keep("1h").wait()?;
    clock.advance(seconds(61));
    let fails = |keys: Vec<u32>| keys.into_iter().map(|_| Err::<u32, _>(Down)).collect();
    let get = || region.load_many_with(&here, [1, 2], fails).stale_on_error("1h").wait();
    assert_eq!(values(get()?), [Some(10), None]);
    let hang = |_: Vec<u32>| std::future::pending::<Vec<Result<u32, Down>>>();
    let mut call = Box::pin(region.load_many(&here, [1, 2], hang).stale_on_error("1h").hard("2s"));
    parked(&mut call);
    clock.advance(seconds(2));
    assert_eq!(values(answer(&mut call)?), [Some(10), None]);
    let stats = cache.stats();
    assert_eq!((stats.stale_hits, stats.misses, stats.flights, stats.hard_timeouts), (2, 2, 0, 1));
    Ok(())
}

#[test]
fn batch_whose_loader_panics_leaves_nothing_behind() -> Outcome {
    let (builder, _, _) = quiet();
    let cache = builder.build()?;
    let (region, here) = (numbers(&cache)?, cache.scope(scope!(org = 1))?);
    let load = |_: Vec<u32>| -> Vec<Result<u32, Down>> { panic!("on purpose") };
    let call = || region.load_many_with(&here, [1, 2], load).wait();
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(call)).is_err());
    let stats = cache.stats();
    assert_eq!((stats.panics, stats.load_failures, stats.flights), (2, 2, 0));
    Ok(())
}

#[test]
fn text_keys_are_loaded_in_batches_too() -> Outcome {
    let (builder, _, _) = quiet();
    let cache = builder.build()?;
    let load =
        |keys: Vec<Box<str>>| async move { keys.into_iter().map(|key| Ok::<_, Down>(key.len())).collect() };
    let mut call = Box::pin(cache.load_many(scope!(org = 1), ["a", "bb"], load));
    let lengths: Vec<usize> =
        answer(&mut call)?.into_iter().filter_map(Result::ok).map(|length| *length).collect();
    assert_eq!(lengths, [1, 2]);
    let found = cache.get_many::<usize>(scope!(org = 1), &["bb", "c"]).wait()?;
    assert_eq!(found.iter().map(|value| value.as_deref().copied()).collect::<Vec<_>>(), [Some(2), None]);
    Ok(())
}

#[test]
fn key_that_comes_back_is_loaded_at_once_though_the_first_call_of_the_loader_still_runs() -> Outcome {
    let (builder, _, _) = quiet();
    let cache = builder.build()?;
    let (region, here) = (numbers(&cache)?, cache.scope(scope!(org = 1))?);
    let mut single = Box::pin(region.get_or_load(&here, &2, hang));
    parked(&mut single);
    let calls = Arc::new(Mutex::new(Vec::new()));
    let (open, gate) = tokio::sync::watch::channel(false);
    let load = |keys: Vec<u32>| {
        let (calls, mut gate) = (Arc::clone(&calls), gate.clone());
        async move {
            calls.lock().expect("nobody panics with it").push(keys.clone());
            gate.wait_for(|open| *open || keys == [2]).await.expect("it is opened");
            keys.into_iter().map(Ok::<u32, Down>).collect()
        }
    };
    let mut batch = Box::pin(region.load_many(&here, [1, 2], load));
    parked(&mut batch);
    drop(single);
    parked(&mut batch);
    assert_eq!(*calls.lock().expect("nobody panics with it"), [vec![1], vec![2]]);
    assert_eq!(region.get(&here, &2).wait()?, Some(2), "others need not wait for the first call");
    open.send(true)?;
    assert_eq!(values(answer(&mut batch)?), [Some(1), Some(2)]);
    assert_eq!(cache.stats().flights, 0);
    Ok(())
}
