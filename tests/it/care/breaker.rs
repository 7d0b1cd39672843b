//! Loads that are not begun while they fail.

use strata_cache::{Condition, ErrorKind, LoadError, LoadEventKind, scope};

use super::*;
use crate::support::{Outcome, seconds};

#[test]
fn breaker_opens_after_failures_in_a_row_and_one_probe_closes_it() -> Outcome {
    let (builder, clock, _) = quiet();
    let events = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&events);
    let cache = builder
        .on_load_event(move |event| {
            assert_eq!(event.region, "r");
            told.lock().expect("nobody panics with it").push(event.kind);
        })
        .build()?;
    let region = cache.region_builder::<u32, u32>("r").breaker(3, "10s").open()?;
    let source = Source::new(1);
    let get = |key: u32| region.get_or_load_with(scope!(org = 1), &key, || source.ask()).wait();
    source.says(Err(Down));
    for key in 0..3 {
        assert!(matches!(get(key), Err(LoadError::Load(Down))));
    }
    for key in 0..10 {
        let Err(LoadError::Cache(error)) = get(key) else { panic!("it is open") };
        assert_eq!(error.kind(), ErrorKind::BreakerOpen);
    }
    assert_eq!(source.asked(), 3);
    assert_eq!(region.explain(scope!(org = 1), &1)?.breaker, Some(Condition::Open(seconds(10))));
    clock.advance(seconds(10));
    assert!(matches!(get(1), Err(LoadError::Load(Down))), "a probe");
    assert!(matches!(get(2), Err(LoadError::Cache(_))), "which failed");
    clock.advance(seconds(10));
    source.says(Ok(5));
    assert_eq!(get(1).ok(), Some(5));
    assert_eq!(get(2).ok(), Some(5));
    let stats = cache.stats();
    assert_eq!((stats.breaker_opened, stats.breaker_refused, stats.loads), (2, 11, 6));
    let events = events.lock().expect("nobody panics with it");
    let turns: Vec<_> = events.iter().filter(|kind| !matches!(kind, LoadEventKind::Failed)).collect();
    assert_eq!(
        turns,
        [&LoadEventKind::BreakerOpened, &LoadEventKind::BreakerOpened, &LoadEventKind::BreakerClosed]
    );
    Ok(())
}

#[test]
fn open_breaker_is_answered_with_what_is_kept() -> Outcome {
    let (builder, clock, _) = quiet();
    let cache = builder.build()?;
    let region =
        cache.region_builder::<u32, u32>("r").ttl("1m").stale_on_error("1h").breaker(1, "10m").open()?;
    let (source, here) = (Source::new(1), cache.scope(scope!(org = 1))?);
    let get = |key: u32| region.get_or_load_with(&here, &key, || source.ask()).wait();
    assert_eq!(get(1).ok(), Some(1));
    clock.advance(seconds(61));
    source.says(Err(Down));
    assert!(get(2).is_err());
    assert_eq!(get(1).ok(), Some(1), "without a load");
    assert_eq!(source.asked(), 2);
    Ok(())
}

#[test]
fn observer_that_panics_stops_nobody() -> Outcome {
    let (builder, _, _) = quiet();
    let cache = builder.on_load_event(|_| panic!("on purpose")).build()?;
    let region = numbers(&cache)?;
    let get = || region.get_or_load_with(scope!(org = 1), &7, || Err::<u32, _>(Down)).wait();
    assert!(matches!(get(), Err(LoadError::Load(Down))));
    assert_eq!(cache.stats().flights, 0);
    Ok(())
}
