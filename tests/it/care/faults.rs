//! Loaders that have bad days by script, and what closes.

use strata_cache::{Faults, LoadError, scope};

use super::*;
use crate::support::{Outcome, answer, parked, seconds};

#[test]
fn runs_of_an_async_loader_pass_are_delayed_err_hang_and_panic_by_script() -> Outcome {
    let (builder, clock, _) = quiet();
    let cache = builder.build()?;
    let (region, here) = (numbers(&cache)?, cache.scope(scope!(org = 1))?);
    let faults =
        Faults::new(&clock).pass().delay(seconds(3)).delay_err(seconds(2), Down).err(Down).hang().panic();
    let load = |key: u32| {
        Box::pin(region.get_or_load(
            &here,
            KEYS.get(key as usize).expect("a key"),
            faults.wrap(move || async move { Ok::<u32, Down>(key) }),
        ))
    };
    assert_eq!(answer(&mut load(0)).ok(), Some(0));
    let mut delayed = load(1);
    parked(&mut delayed);
    clock.advance(seconds(2));
    parked(&mut delayed);
    clock.advance(seconds(1));
    assert_eq!(answer(&mut delayed).ok(), Some(1));
    let mut failing = load(2);
    parked(&mut failing);
    clock.advance(seconds(2));
    assert!(matches!(answer(&mut failing), Err(LoadError::Load(Down))));
    assert!(matches!(answer(&mut load(3)), Err(LoadError::Load(Down))));
    let mut hanging = load(4);
    parked(&mut hanging);
    clock.advance(seconds(50));
    parked(&mut hanging);
    faults.let_go();
    assert_eq!(answer(&mut hanging).ok(), Some(4));
    let panics = std::panic::AssertUnwindSafe(|| answer(&mut load(5)));
    assert!(std::panic::catch_unwind(panics).is_err());
    assert_eq!(answer(&mut load(6)).ok(), Some(6), "the script is over");
    assert_eq!(faults.runs(), 7);
    Ok(())
}

const KEYS: [u32; 7] = [0, 1, 2, 3, 4, 5, 6];

#[test]
fn sync_loader_is_delayed_on_its_thread_until_the_clock_has_moved() -> Outcome {
    let (builder, clock, _) = quiet();
    let cache = builder.build()?;
    let region = numbers(&cache)?;
    let faults = Faults::new(&clock).delay(seconds(3)).hang();
    std::thread::scope(|threads| {
        for key in [1_u32, 2] {
            let load = faults.wrap_sync(move || Ok::<u32, Down>(key));
            let region = &region;
            let run = threads.spawn(move || region.get_or_load_with(scope!(org = 1), &key, load).wait());
            while faults.runs() < key as usize {
                std::thread::yield_now();
            }
            assert!(!run.is_finished());
            clock.advance(seconds(3));
            faults.let_go();
            assert_eq!(run.join().expect("it does not panic").ok(), Some(key));
        }
    });
    Ok(())
}

#[test]
fn closed_cache_ends_what_runs_in_the_background_and_goes_on_otherwise() -> Outcome {
    let (builder, clock, background) = quiet();
    let cache = builder.build()?;
    let (region, here) = (numbers(&cache)?, cache.scope(scope!(org = 1))?);
    let get = || region.get_or_load(&here, &7, hang).stale("1h").wait();
    region.set(&here, 7, 1).keep("1h").wait()?;
    clock.advance(seconds(61));
    assert_eq!((get().ok(), background.len()), (Some(1), 1));
    background.go_on();
    cache.close().wait()?;
    background.go_on();
    assert_eq!((background.len(), cache.stats().flights), (0, 0));
    clock.advance(seconds(2));
    assert_eq!((get().ok(), background.len(), cache.stats().postponed), (Some(1), 0, 1));
    let load = region.get_or_load_with(&here, &8, || Ok::<u32, Down>(8));
    assert_eq!(load.wait().ok(), Some(8));
    Ok(())
}
