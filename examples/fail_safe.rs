//! Fail-safe: the database is down for a while, and nobody notices but the statistics.
#![allow(clippy::print_stdout, reason = "a program talks to its user")]

use std::time::Duration;

use strata_cache::{Cache, Error, Faults, TestClock, scope};

fn main() -> Result<(), Error> {
    let clock = TestClock::new();
    let cache = Cache::builder().clock(clock.clone()).build()?;
    // Values live for a minute, and are kept for an hour beyond: for when a load brings no other.
    let seats = cache
        .region_builder::<String, u32>("seats")
        .ttl("1m")
        .stale_on_error("1h")
        .throttle("5s")
        .breaker(3, "30s")
        .open()?;
    let acme = cache.scope(scope!(org = "acme"))?;

    // What the database does: it answers once, fails three times, and is back.
    let database = Faults::new(&clock).pass().err("down").err("down").err("down");
    let ask = || {
        let load = database.wrap_sync(|| Ok::<u32, &str>(30));
        seats.get_or_load_with(&acme, "gold", load).marked().wait()
    };

    let first = ask().expect("the database answers");
    assert!(first.value == 30 && !first.is_stale());

    // For twenty minutes it is down, and a thousand requests a minute go on.
    for minute in 2..22 {
        clock.advance(Duration::from_secs(60));
        for _ in 0..1_000 {
            let served = ask().expect("what is kept");
            assert_eq!(served.value, 30);
        }
        println!(
            "minute {minute}: {:?}, asked {} times so far",
            ask().map(|served| served.freshness),
            database.runs()
        );
    }
    let stats = cache.stats();
    assert_eq!(stats.load_failures, 3, "one attempt each throttle window, and then the breaker opened");
    assert!(stats.fallbacks > 3_000, "nobody was told an error");

    // An invalidation counts for what is kept as for all else: nobody is served it after that.
    seats.invalidate(&acme, "gold").wait()?;
    let fresh = ask().expect("the database is back");
    assert!(!fresh.is_stale());
    println!("{} stale answers, {} loads", stats.stale_hits, stats.loads);
    Ok(())
}
