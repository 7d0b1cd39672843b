//! What is known of one key, and why a call would be served this or that.

use strata_cache::{Condition, Freshness, scope};

use super::*;
use crate::support::{Outcome, parked, seconds};

#[test]
fn explanation_says_how_an_entry_stands_and_changes_nothing() -> Outcome {
    let (builder, clock, _) = quiet();
    let cache = builder.build()?;
    let region = cache
        .region_builder::<u32, u32>("r")
        .ttl("60s")
        .stale_on_error("1h")
        .refresh(0.5)
        .breaker(1, "10s")
        .open()?;
    let here = cache.scope(scope!(org = 1))?;
    let absent = region.explain(&here, &7)?;
    assert_eq!((absent.entry, absent.is_loading, absent.breaker), (None, false, Some(Condition::Closed)));
    assert_eq!(cache.stats().scopes, 0, "nothing was made");
    region.set(&here, 7, 1).tag("t").tag("u").wait()?;
    clock.advance(seconds(10));
    let told = region.explain(&here, &7)?;
    assert_eq!(
        (told.entry, told.age, told.time_left),
        (Some(Freshness::Fresh), Some(seconds(10)), Some(seconds(50)))
    );
    assert_eq!((told.kept_for, told.next_attempt), (Some(seconds(3_650)), Some(seconds(20))));
    let mut tags: Vec<_> = told.tags.iter().map(|tag| tag.text().to_owned()).collect();
    tags.sort();
    assert_eq!(tags, ["t", "u"]);
    clock.advance(seconds(60));
    let told = region.explain(&here, &7)?;
    assert_eq!((told.entry, told.time_left), (Some(Freshness::Stale(seconds(10))), Some(seconds(0))));
    let mut load = Box::pin(region.get_or_load(&here, &7, hang));
    parked(&mut load);
    assert!(region.explain(&here, &7)?.is_loading);
    drop(load);
    assert!(!region.explain(&here, &7)?.is_loading);
    region.invalidate(&here, &7).wait()?;
    assert_eq!(region.explain(&here, &7)?.entry, None);
    assert_eq!(cache.stats().peeks, 0);
    Ok(())
}

#[test]
fn plain_entry_is_explained_without_an_age() -> Outcome {
    let (builder, clock, _) = quiet();
    let cache = builder.build()?;
    let org = cache.scope(scope!(org = 1))?;
    org.set("k", 1).ttl("60s").wait()?;
    org.set("ever", 1).wait()?;
    clock.advance(seconds(10));
    let told = org.explain("k")?;
    assert_eq!((told.entry, told.age, told.time_left), (Some(Freshness::Fresh), None, Some(seconds(50))));
    assert_eq!((told.kept_for, told.next_attempt, told.breaker), (None, None, None));
    let told = org.explain("ever")?;
    assert_eq!((told.entry, told.time_left), (Some(Freshness::Fresh), None));
    clock.advance(seconds(50));
    assert_eq!(org.explain("k")?.entry, None);
    Ok(())
}
