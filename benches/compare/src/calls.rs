//! What do whole calls cost? A get whose scope is named in the call, and get-or-load when the value is there.
//!
//! (1) One-off: organisation, user and key are texts that the caller has; strata-cache is given them borrowed,
//! quick_cache wants a key built of them. (2) Loads: a loader is given in every call and never runs.
//! (3) Async calls run in one `block_on` a slice; none ever waits.

use std::convert::Infallible;
use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use strata_cache::{Cache, scope};

use crate::contenders::{Contender, Quick, Strata, TTL};
use crate::draw::{Draw, Rng, mix};
use crate::measure::{case, interleave, slice};
use crate::run::Run;

const ENTRIES: usize = 100_000;
const CALLS: usize = 1 << 16;

/// 100 organisations × 10 users × 100 keys.
const ORGS: usize = 100;
const USERS: usize = 10;
const KEYS: usize = 100;

pub fn rows(run: &mut Run) {
    if run.wants("one-off-get") {
        one_off(run);
    }
    if run.wants_any(&["load-hit-sync", "load-hit-async"]) {
        loads(run);
    }
}

fn one_off(run: &mut Run) {
    let texts =
        |what: &str, count| (0..count).map(|n| format!("{what}-{:08}", mix(n) % 100_000_000)).collect();
    let orgs: Vec<String> = texts("org", ORGS as u64);
    let users: Vec<String> = texts("user", (ORGS * USERS) as u64);
    let keys: Vec<String> = texts("setting", KEYS as u64);
    let parts = |index: usize| {
        let (user, key) = (index / KEYS, index % KEYS);
        (orgs[user / USERS].as_str(), users[user].as_str(), keys[key].as_str())
    };
    run.note(format!("one-off-get: {ENTRIES} entries in {} scopes", ORGS * USERS));
    let cache = Cache::builder().capacity(ENTRIES as u64).ttl(TTL).build().expect("the options are valid");
    let region = cache.region::<String, u64>("settings").expect("the name is valid");
    let quick = quick_cache::sync::Cache::<(String, String, String), u64>::new(ENTRIES);
    for index in 0..ENTRIES {
        let (org, user, key) = parts(index);
        region.set(scope!(org = org, user = user), key.to_owned(), 7).wait().expect("the path is valid");
        quick.insert((org.to_owned(), user.to_owned(), key.to_owned()), 7);
    }
    run.resident("strata-cache", region.stats().entries as usize, ENTRIES);
    run.resident("quick_cache", quick.len(), ENTRIES);
    let (draw, mut rng) = (Draw::zipf(ENTRIES, 0.99), Rng::new(31));
    let present = |index: &usize| {
        let (org, user, key) = parts(*index);
        quick.peek(&(org.to_owned(), user.to_owned(), key.to_owned())).is_some()
    };
    let drawn = std::iter::repeat_with(|| mix(draw.next(&mut rng) as u64) as usize % ENTRIES);
    let calls: Vec<u32> = drawn.filter(present).take(CALLS).map(|index| index as u32).collect();
    let lap = |get: &(dyn Fn(&[u32]) -> usize + Sync)| {
        slice(
            1,
            |_| get(&calls),
            |_| {
                assert_eq!(get(&calls), CALLS, "every get is a hit");
                CALLS
            },
        )
    };
    let ours = |calls: &[u32]| {
        let get = |index: &u32| {
            let (org, user, key) = black_box(parts(*index as usize));
            black_box(region.get_now(scope!(org = org, user = user), key)).expect("the path is valid")
        };
        calls.iter().filter_map(get).count()
    };
    let theirs = |calls: &[u32]| {
        let get = |index: &u32| {
            let (org, user, key) = black_box(parts(*index as usize));
            black_box(quick.get(&(org.to_owned(), user.to_owned(), key.to_owned())))
        };
        calls.iter().filter_map(get).count()
    };
    let cases = vec![case("strata-cache", |_| lap(&ours)), case("quick_cache", |_| lap(&theirs))];
    let results = interleave(run.either(9, 21), cases);
    run.compare("one-off-get", &results, results[1], (Some(0.9), Some(0.6)));
}

fn loads(run: &mut Run) {
    run.note(format!("load-hit ...: {ENTRIES} entries"));
    let ours = Strata::<u64, u64>::with_capacity(ENTRIES);
    let quick = Quick::<u64, u64>::with_capacity(ENTRIES);
    for index in 0..ENTRIES as u64 {
        ours.insert(mix(index), 7);
        quick.insert(mix(index), 7);
    }
    run.resident("strata-cache", ours.resident(), ENTRIES);
    run.resident("quick_cache", quick.resident(), ENTRIES);
    let (draw, mut rng) = (Draw::zipf(ENTRIES, 0.99), Rng::new(41));
    let drawn = std::iter::repeat_with(|| mix(draw.next(&mut rng) as u64));
    let keys: Vec<u64> = drawn.filter(|key| quick.0.peek(key).is_some()).take(CALLS).collect();
    let rounds = run.either(9, 21);
    let lap = |load: &(dyn Fn(&[u64]) -> usize + Sync)| {
        slice(
            1,
            |_| load(&keys),
            |_| {
                assert_eq!(load(&keys), 7 * CALLS, "no loader runs");
                CALLS
            },
        )
    };

    if run.wants("load-hit-sync") {
        let one = |key: &u64| {
            let load = || Ok::<_, Infallible>(1);
            let found = ours.region.get_or_load_with(&ours.scope, black_box(key), load).wait();
            black_box(found).expect("nothing fails") as usize
        };
        let other = |key: &u64| {
            let found = quick.0.get_or_insert_with(black_box(key), || Ok::<_, Infallible>(1));
            black_box(found).expect("nothing fails") as usize
        };
        let (one, other) =
            (|keys: &[u64]| keys.iter().map(one).sum(), |keys: &[u64]| keys.iter().map(other).sum());
        let cases = vec![case("strata-cache", |_| lap(&one)), case("quick_cache", |_| lap(&other))];
        let results = interleave(rounds, cases);
        run.compare("load-hit-sync", &results, results[1], (Some(0.9), Some(0.7)));
    }
    if run.wants("load-hit-async") {
        let one = |keys: &[u64]| {
            ready(async {
                let mut sum = 0;
                for key in keys {
                    let load = || async { Ok::<_, Infallible>(1) };
                    let found = ours.region.get_or_load(&ours.scope, black_box(key), load).await;
                    sum += black_box(found).expect("nothing fails") as usize;
                }
                sum
            })
        };
        let other = |keys: &[u64]| {
            ready(async {
                let mut sum = 0;
                for key in keys {
                    let load = async { Ok::<_, Infallible>(1) };
                    let found = quick.0.get_or_insert_async(black_box(key), load).await;
                    sum += black_box(found).expect("nothing fails") as usize;
                }
                sum
            })
        };
        let cases = vec![case("strata-cache", |_| lap(&one)), case("quick_cache", |_| lap(&other))];
        let results = interleave(rounds, cases);
        run.compare("load-hit-async", &results, results[1], (Some(0.9), Some(0.7)));
    }
}

/// The result of a future that never waits.
pub fn ready<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("a hit waits for nobody"),
    }
}
