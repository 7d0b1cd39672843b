//! Entries that go when nobody uses them, and times-to-live that are spread.

use std::time::Duration;

use strata_cache::{Cache, ErrorKind, Region, scope};

use crate::support::{Outcome, kind, seconds, still};

#[test]
fn entry_in_use_stays_to_its_time_to_live_and_an_unused_one_goes() -> Outcome {
    for policy in ["adaptive", "lru"] {
        let (builder, clock) = still();
        let cache = builder.policy(policy).build()?;
        let acme = cache.scope(scope!(org = "acme"))?;
        let region: Region<u64, u64> = cache.region_builder("sessions").ttl("100s").idle("16s").open()?;
        for key in 0..3 {
            region.set(&acme, key, key).wait()?;
        }
        for second in 1..=100 {
            clock.advance(seconds(1));
            // One is looked up, one only peeked at, one left alone.
            let used = region.get_now(&acme, &0)?;
            assert_eq!(used, (second < 100).then_some(0), "{policy}: after {second} s");
            let peeked = region.peek(&acme, &1).wait()?;
            assert_eq!(peeked, (second < 16).then_some(1), "{policy}: after {second} s");
        }
        assert_eq!(region.stats().entries, 0);
    }
    Ok(())
}

#[test]
fn entry_used_again_after_an_eighth_of_its_time_begins_anew() -> Outcome {
    let (builder, clock) = still();
    let cache = builder.build()?;
    let acme = cache.scope(scope!(org = "acme"))?;
    let region: Region<u64, u64> = cache.region_builder("sessions").idle("16s").open()?;
    region.set(&acme, 1, 1).wait()?;
    clock.advance(seconds(15));
    assert_eq!(region.get_or_load_with(&acme, &1, || Ok::<_, ()>(2)).wait().expect("it is there"), 1);
    clock.advance(seconds(15));
    assert_eq!(region.get_now(&acme, &1)?, Some(1));
    clock.advance(seconds(1));
    // This use comes within an eighth of the last one and is not noted.
    assert_eq!(region.get_now(&acme, &1)?, Some(1));
    clock.advance(seconds(15));
    assert_eq!(region.get_now(&acme, &1)?, None);
    cache.maintain();
    assert_eq!(region.stats().expired, 1);
    Ok(())
}

#[test]
fn jitter_spreads_what_was_written_together_and_never_beyond_the_time() -> Outcome {
    let (builder, clock) = still();
    let cache = builder.capacity(4_000).build()?;
    let acme = cache.scope(scope!(org = "acme"))?;
    let region: Region<u64, u64> = cache.region_builder("prices").ttl("100s").ttl_jitter(0.25).open()?;
    for key in 0..1_000 {
        region.set(&acme, key, key).wait()?;
    }
    let held = |region: &Region<u64, u64>| {
        (0..1_000)
            .filter(|key| region.peek(&acme, key).wait().expect("it can be looked for").is_some())
            .count()
    };
    clock.advance(seconds(75));
    assert_eq!(held(&region), 1_000, "a quarter at most");
    clock.advance(Duration::from_millis(12_500));
    let half = held(&region);
    assert!((400..600).contains(&half), "{half} of 1,000 in the middle");
    clock.advance(Duration::from_millis(12_500));
    assert_eq!(held(&region), 0);
    Ok(())
}

#[test]
fn jitter_that_is_no_part_is_refused() -> Outcome {
    let cache = Cache::builder().capacity(10).build()?;
    for part in [-0.1, 1.0, f64::NAN, f64::INFINITY] {
        let opened = cache.region_builder::<u64, u64>("prices").ttl_jitter(part).open();
        assert_eq!(kind(opened), Some(ErrorKind::InvalidConfig), "{part}");
    }
    Ok(())
}
