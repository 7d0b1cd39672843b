//! Values that are loaded anew before their time is over.

use strata_cache::scope;

use super::*;
use crate::support::{Outcome, answer, parked, seconds};

#[test]
fn value_is_loaded_anew_after_its_part_of_the_time_and_not_before() -> Outcome {
    let (builder, clock, background) = quiet();
    let cache = builder.build()?;
    let (region, source) = (numbers(&cache)?, Source::new(1));
    let get = || {
        region
            .get_or_load(scope!(org = 1), &7, {
                let source = source.clone();
                move || source.load()
            })
            .ttl("100s")
            .refresh(0.8)
            .wait()
            .expect("a value")
    };
    get();
    source.says(Ok(2));
    clock.advance(seconds(79));
    assert_eq!((get(), background.len()), (1, 0));
    clock.advance(seconds(1));
    assert_eq!((get(), get(), background.len()), (1, 1, 1), "it is fresh, and one load was begun");
    background.go_on();
    assert_eq!((get(), source.asked()), (2, 2));
    assert_eq!(cache.stats().stale_hits, 0);
    clock.advance(seconds(99));
    assert_eq!(region.get(scope!(org = 1), &7).wait()?, Some(2), "its time began anew");
    Ok(())
}

#[test]
fn fleet_that_loaded_together_does_not_load_together_again() -> Outcome {
    const FLEET: u32 = 50;
    let (builder, clock, background) = quiet();
    let cache = builder.build()?;
    let region =
        cache.region_builder::<u32, u32>("r").ttl("100s").refresh_early(1.0).throttle("1h").open()?;
    let here = cache.scope(scope!(org = 1))?;
    let (open, gate) = tokio::sync::watch::channel(false);
    let keys: Vec<u32> = (0..FLEET).collect();
    let mut loads: Vec<_> = keys
        .iter()
        .map(|key| {
            let mut gate = gate.clone();
            Box::pin(region.get_or_load(&here, key, move || async move {
                gate.changed().await.expect("it is opened");
                Ok::<u32, Down>(0)
            }))
        })
        .collect();
    loads.iter_mut().for_each(parked);
    // So much they cost.
    clock.advance(seconds(10));
    open.send(true)?;
    loads.iter_mut().for_each(|load| assert!(answer(load).is_ok()));
    let mut begun = Vec::new();
    for _ in 0..99 {
        clock.advance(seconds(1));
        let before = background.len();
        for key in &keys {
            assert_eq!(region.get_or_load(&here, key, hang).background().wait().ok(), Some(0));
        }
        begun.push(background.len() - before);
    }
    let (all, most) = (begun.iter().sum::<usize>(), begun.iter().max().copied().unwrap_or(0));
    assert!(all >= 48, "only {all} of {FLEET} were loaded before their time was over: {begun:?}");
    assert!(most <= 12, "{most} were loaded at the same moment: {begun:?}");
    let early = begun.iter().take(50).sum::<usize>();
    assert!(early <= 10, "{early} were loaded in the first half of their time: {begun:?}");
    Ok(())
}
