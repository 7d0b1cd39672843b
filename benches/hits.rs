//! What does a hit cost, and does it allocate?
//!
//! One thread. Regions hold 100,000 entries of one scope; the floor is for 1,000 of them that stay in the processor's
//! caches, so that it measures our code, and rows without a floor draw from all. Cached functions hold 1,000 calls of
//! 100 users, with a ttl, as services use them. Yardsticks say how fast the machine is while this runs.

mod support;

use std::convert::Infallible;
use std::hint::black_box;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use strata_cache::{Cache, Ids, Policy, Region, Scope, cached, install, scope};
use support::{Draw, Report, case};

const ENTRIES: u64 = 100_000;
const USERS: u64 = 100;
const SECTIONS: [&str; 10] = [
    "theme", "language", "layout", "privacy", "billing", "alerts", "keyboard", "profile", "devices", "search",
];

type Error = Box<dyn std::error::Error>;

#[cached(scope = "user", ttl = 600)]
fn preferences(org_id: u64, user_id: u64, section: &str) -> Result<Arc<str>, Infallible> {
    Ok(format!("{org_id}/{user_id}/{section}").into())
}

#[cached(scope = "user", ttl = 600)]
async fn permissions(org_id: u64, user_id: u64, section: &str) -> Result<Arc<str>, Infallible> {
    Ok(format!("{org_id}/{user_id}/{section}").into())
}

#[cached(scope = "global")]
fn square(n: u64) -> u64 {
    n * n
}

fn region(cache: &Cache, name: &str, scope: &Scope, ttl: Option<&str>) -> Result<Region<u64, u64>, Error> {
    let region = cache.region::<u64, u64>(name)?;
    for key in 0..ENTRIES {
        let set = region.set(scope, key, key);
        match ttl {
            Some(ttl) => set.ttl(ttl).wait()?,
            None => set.wait()?,
        }
    }
    Ok(region)
}

fn main() -> Result<ExitCode, Error> {
    let cache = Cache::builder().capacity(4 * ENTRIES).build()?;
    install(cache.clone())?;
    let alice = cache.scope(scope!(org = "acme", user = "alice"))?;
    let plain = region(&cache, "plain", &alice, None)?;
    let timed = region(&cache, "timed", &alice, Some("1h"))?;
    let unordered = Cache::builder().capacity(4 * ENTRIES).policy(Policy::Fifo).build()?;
    let bob = unordered.scope(scope!(org = "acme", user = "bob"))?;
    let fifo = region(&unordered, "fifo", &bob, None)?;
    let texts = cache.region::<String, u64>("texts")?;
    let text_keys: Vec<String> = (0..1000).map(|key| format!("a key of some length {key}")).collect();
    for key in &text_keys {
        texts.set(&alice, key.clone(), 1).wait()?;
    }
    cache.set(scope!(org = "acme", user = "alice"), "settings", 7_u64).wait()?;
    let ids = Ids::new().with("org_id", "acme").with("user_id", "alice");
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    for user in 0..USERS {
        for section in SECTIONS {
            preferences(7, user, section)?;
            runtime.block_on(permissions(7, user, section))?;
        }
    }
    square(3);

    let mut keys = Draw::below(ENTRIES);
    let mut timed_keys = Draw::below(ENTRIES);
    let mut absent = Draw::below(ENTRIES);
    let mut some_keys = Draw::below(1000);
    let mut text_draw = Draw::below(1000);
    let mut fifo_keys = Draw::below(ENTRIES);
    let mut calls = Draw::below(USERS * 10);
    let mut async_calls = Draw::below(USERS * 10);
    let mut loads = Draw::below(ENTRIES);

    let mutex = Mutex::new(0_u64);

    let mut report = Report::new("What does a hit cost, and does it allocate?");
    report.times(vec![
        case("region `get_now`, u64 → u64, resolved scope, 1,000 hot keys", |runs| {
            for _ in 0..runs {
                let found = plain.get_now(&alice, &some_keys.next());
                assert!(matches!(black_box(found), Ok(Some(_))));
            }
        })
        .at_most(100.0)
        .without_allocation(),
        case("`#[cached]` sync, (u64, u64, &str)", |runs| {
            for _ in 0..runs {
                let call = calls.next();
                let _ = black_box(preferences(7, call / 10, SECTIONS[(call % 10) as usize]));
            }
        })
        .at_most(250.0)
        .without_allocation(),
        case("`#[cached]` async, (u64, u64, &str)", |runs| {
            runtime.block_on(async {
                for _ in 0..runs {
                    let call = async_calls.next();
                    let _ = black_box(permissions(7, call / 10, SECTIONS[(call % 10) as usize]).await);
                }
            });
        })
        .at_most(350.0)
        .without_allocation(),
        case("one-off `get`, `scope!` of two texts", |runs| {
            for _ in 0..runs {
                let found = cache.get::<u64>(scope!(org = "acme", user = "alice"), "settings").wait();
                assert!(matches!(black_box(found), Ok(Some(_))));
            }
        })
        .at_most(400.0)
        .without_allocation(),
        case("one-off `get`, `(\"user\", &ids)`", |runs| {
            for _ in 0..runs {
                let found = cache.get::<u64>(("user", &ids), "settings").wait();
                assert!(matches!(black_box(found), Ok(Some(_))));
            }
        })
        .without_allocation(),
        case("`get` on a resolved scope", |runs| {
            for _ in 0..runs {
                let found = alice.get::<u64>("settings").wait();
                assert!(matches!(black_box(found), Ok(Some(_))));
            }
        })
        .without_allocation(),
        case("region `get_now`, 100,000 keys at random", |runs| {
            for _ in 0..runs {
                let found = plain.get_now(&alice, &keys.next());
                assert!(matches!(black_box(found), Ok(Some(_))));
            }
        })
        .without_allocation(),
        case("region `get_now`, FIFO instead of LRU", |runs| {
            for _ in 0..runs {
                let found = fifo.get_now(&bob, &fifo_keys.next());
                assert!(matches!(black_box(found), Ok(Some(_))));
            }
        })
        .without_allocation(),
        case("region `get_now`, entry with a ttl", |runs| {
            for _ in 0..runs {
                let found = timed.get_now(&alice, &timed_keys.next());
                assert!(matches!(black_box(found), Ok(Some(_))));
            }
        })
        .without_allocation(),
        case("region `get_now`, String key borrowed", |runs| {
            for _ in 0..runs {
                let key = text_keys[text_draw.next() as usize].as_str();
                let found = texts.get_now(&alice, key);
                assert!(matches!(black_box(found), Ok(Some(_))));
            }
        })
        .without_allocation(),
        case("region `get_or_load_with`, hit", |runs| {
            for _ in 0..runs {
                let key = loads.next();
                let found = plain.get_or_load_with(&alice, &key, || Ok::<_, Infallible>(1)).wait();
                assert!(black_box(found).is_ok());
            }
        })
        .without_allocation(),
        case("`#[cached]` sync, global, (u64), no ttl", |runs| {
            for _ in 0..runs {
                black_box(square(black_box(3)));
            }
        })
        .without_allocation(),
        case("region `get_now`, absent", |runs| {
            for _ in 0..runs {
                let found = plain.get_now(&alice, &(ENTRIES + absent.next()));
                assert!(matches!(black_box(found), Ok(None)));
            }
        })
        .without_allocation(),
        case("yardstick: `Instant::now`", |runs| {
            for _ in 0..runs {
                black_box(Instant::now());
            }
        }),
        case("yardstick: `Mutex` lock and unlock", |runs| {
            for _ in 0..runs {
                *black_box(&mutex).lock().expect("nobody panics with it") += 1;
            }
        }),
    ]);
    Ok(report.end())
}
