//! What a loader says of its own result.

use strata_cache::{Error, ErrorKind, answer as said, scope, tag_load};

use super::*;
use crate::support::{Outcome, kind, seconds};

#[test]
fn loader_says_for_how_long_its_result_holds_what_it_weighs_and_that_it_is_not_to_be_stored() -> Outcome {
    let (builder, clock, _) = quiet();
    let cache = builder.capacity_bytes(1_000_u64).build()?;
    let (region, here) = (numbers(&cache)?, cache.scope(scope!(org = 1))?);
    let load = |key: u32, say: fn() -> Result<(), Error>| {
        region.get_or_load_with(&here, &key, move || say().map(|()| 5)).ttl("1h").wait().expect("it loads")
    };
    load(1, || said::ttl("5s"));
    load(2, || said::weight(100));
    load(3, said::do_not_store);
    load(4, || said::weight(2_000));
    assert_eq!(cache.stats().entries, 2);
    assert_eq!(cache.stats().weight, 100 + 8);
    clock.advance(seconds(5));
    assert_eq!((region.get(&here, &1).wait()?, region.get(&here, &2).wait()?), (None, Some(5)));
    assert_eq!(kind(said::ttl("5s")), Some(ErrorKind::NoLoad));
    assert_eq!(kind(said::weight(0)), Some(ErrorKind::InvalidWeight));
    Ok(())
}

#[test]
fn unchanged_value_stays_with_its_weight_and_tags_and_its_time_begins_anew() -> Outcome {
    let (builder, clock, _) = quiet();
    let cache = builder.build()?;
    let org = cache.scope(scope!(org = 1))?;
    let text = org
        .get_or_load_with("k", || Ok::<_, Error>("old".to_string()))
        .ttl("60s")
        .tag("t")
        .stale_on_error("1h");
    let first = text.wait().expect("it loads");
    clock.advance(seconds(61));
    let renew = || {
        assert_eq!(said::previous::<String>()?.as_deref().map(String::as_str), Some("old"));
        assert!(said::previous::<u32>()?.is_none());
        said::not_modified()?;
        Ok::<_, Error>("not stored".to_string())
    };
    org.get_or_load_with("k", renew).ttl("60s").stale_on_error("1h").wait().expect("it loads");
    clock.advance(seconds(59));
    let second = org.get::<String>("k").wait()?.expect("its time began anew");
    assert!(Arc::ptr_eq(&first, &second));
    assert_eq!((cache.stats().unchanged, cache.stats().replaced), (1, 0));
    assert_eq!(org.invalidate_tag("t").wait()?.entries, 1, "its tags stayed");
    Ok(())
}

#[test]
fn unchanged_value_that_was_withdrawn_meanwhile_does_not_come_back() -> Outcome {
    let (builder, clock, _) = quiet();
    let cache = builder.build()?;
    let (region, here) = (numbers(&cache)?, cache.scope(scope!(org = 1))?);
    region.set(&here, 7, 1).ttl("60s").keep("1h").wait()?;
    clock.advance(seconds(61));
    let renew = || {
        said::not_modified()?;
        region.invalidate(&here, &7).wait()?;
        Ok::<u32, Error>(1)
    };
    assert_eq!(region.get_or_load_with(&here, &7, renew).stale_on_error("1h").wait().ok(), Some(1));
    assert_eq!((cache.stats().entries, cache.stats().unchanged, cache.stats().refused_detached), (0, 0, 1));
    Ok(())
}

#[test]
fn value_that_is_gone_by_then_is_stored_as_any_other() -> Outcome {
    let (builder, _, _) = quiet();
    let cache = builder.build()?;
    let (region, here) = (numbers(&cache)?, cache.scope(scope!(org = 1))?);
    let load = || {
        assert!(said::previous::<u32>()?.is_none());
        said::not_modified()?;
        Ok::<u32, Error>(1)
    };
    assert_eq!(region.get_or_load_with(&here, &7, load).wait().ok(), Some(1));
    assert_eq!(region.get(&here, &7).wait()?, Some(1));
    Ok(())
}

#[test]
fn unchanged_value_whose_tag_was_withdrawn_meanwhile_does_not_come_back() -> Outcome {
    let (builder, clock, _) = quiet();
    let cache = builder.build()?;
    let (region, here) = (numbers(&cache)?, cache.scope(scope!(org = 1))?);
    let first = || tag_load("t").map(|()| 1_u32);
    region.get_or_load_with(&here, &7, first).ttl("60s").stale_on_error("1h").wait().expect("it loads");
    clock.advance(seconds(61));
    let renew = || {
        said::not_modified()?;
        here.invalidate_tag("t").wait()?;
        Ok::<u32, Error>(1)
    };
    assert_eq!(region.get_or_load_with(&here, &7, renew).stale_on_error("1h").wait().ok(), Some(1));
    assert_eq!(
        region.get(&here, &7).wait()?,
        None,
        "a source that had not changed before says nothing of after"
    );
    assert_eq!(cache.stats().refused_tag, 1);
    Ok(())
}

#[test]
fn unchanged_value_that_had_gone_meanwhile_has_its_tags_again() -> Outcome {
    let (builder, clock, _) = quiet();
    let cache = builder.build()?;
    let (region, here) = (numbers(&cache)?, cache.scope(scope!(org = 1))?);
    let first = || tag_load("t").map(|()| 1_u32);
    region.get_or_load_with(&here, &7, first).ttl("60s").stale_on_error("1h").wait().expect("it loads");
    clock.advance(seconds(61));
    let renew = || {
        said::not_modified()?;
        clock.advance(seconds(3600));
        cache.maintain();
        Ok::<u32, Error>(1)
    };
    region.get_or_load_with(&here, &7, renew).ttl("60s").stale_on_error("1h").wait().expect("it loads");
    assert_eq!(region.get(&here, &7).wait()?, Some(1));
    assert_eq!(here.invalidate_tag("t").wait()?.entries, 1, "it is what was there, and has its tags");
    assert_eq!(region.get(&here, &7).wait()?, None);
    Ok(())
}
