//! What is withdrawn or written while it is loaded: the late value is not stored, nobody joins the old load any more,
//! and those who waited already are answered.

use strata_cache::{Region, scope};
use tokio::sync::oneshot;

use super::*;

type Never = std::convert::Infallible;

type Act<T> = (&'static str, fn(&T), Option<u32>);

/// A way to withdraw key `k` of org 1, user 2; with the value that is there afterwards.
const KEYS: [Act<Cache>; 9] = [
    ("set", |cache| cache.set(scope!(org = 1, user = 2), "k", 99_u32).wait().expect("good"), Some(99)),
    ("remove", |cache| drop(cache.remove(scope!(org = 1, user = 2), "k")), None),
    ("pop", |cache| drop(cache.pop::<u32>(scope!(org = 1, user = 2), "k")), None),
    ("invalidate", |cache| drop(cache.invalidate(scope!(org = 1, user = 2), "k")), None),
    ("evict_by_scope", |cache| drop(cache.evict_by_scope(scope!(org = 1, user = 2))), None),
    ("evict_by_scope above", |cache| drop(cache.evict_by_scope(scope!(org = 1))), None),
    ("evict_by_scope of the root", |cache| drop(cache.evict_by_scope(scope!(global))), None),
    ("clear", |cache| drop(cache.clear()), None),
    (
        "clear of the scope",
        |cache| drop(cache.scope(scope!(org = 1, user = 2)).expect("a good place").clear()),
        None,
    ),
];

/// Ways to do what does not concern that key.
const BESIDE: [Act<Cache>; 5] = [
    ("set", |cache| cache.set(scope!(org = 1, user = 2), "l", 99_u32).wait().expect("good"), Some(1)),
    ("remove", |cache| drop(cache.remove(scope!(org = 1), "k")), Some(1)),
    ("invalidate", |cache| drop(cache.invalidate(scope!(org = 1, user = 3), "k")), Some(1)),
    ("evict_by_scope", |cache| drop(cache.evict_by_scope(scope!(org = 1, user = 3))), Some(1)),
    ("evict_by_scope of another org", |cache| drop(cache.evict_by_scope(scope!(org = 2))), Some(1)),
];

fn read(cache: &Cache) -> Option<u32> {
    cache.get::<u32>(scope!(org = 1, user = 2), "k").wait().expect("a good place").map(|value| *value)
}

#[test]
fn value_of_a_load_that_was_withdrawn_is_served_to_those_who_waited_and_not_stored() {
    for (name, act, left) in KEYS {
        let cache = cache();
        let (open, gate) = oneshot::channel::<u32>();
        let mut leader = cache.get_or_load(scope!(org = 1, user = 2), "k", || gate);
        parked(&mut leader);
        let unwanted = || async { Err::<u32, _>("it waits already") };
        let mut waiter = cache.get_or_load(scope!(org = 1, user = 2), "k", unwanted);
        parked(&mut waiter);
        act(&cache);
        open.send(1).expect("its load runs");
        assert!(matches!(answer(&mut leader).as_deref(), Ok(1)), "{name}");
        assert!(matches!(answer(&mut waiter).as_deref(), Ok(1)), "{name}");
        assert_eq!(read(&cache), left, "{name}");
        assert_eq!((cache.stats().refused_detached, cache.stats().loads), (1, 1), "{name}");
        drop((leader, waiter));
        assert_idle(&cache);
    }
}

#[test]
fn caller_after_a_withdrawal_does_not_join_the_load_from_before() {
    for (name, act, left) in KEYS {
        let cache = cache();
        let (open, gate) = oneshot::channel::<u32>();
        let mut leader = cache.get_or_load(scope!(org = 1, user = 2), "k", || gate);
        parked(&mut leader);
        act(&cache);
        let fresh = cache.get_or_load_with(scope!(org = 1, user = 2), "k", || Ok::<_, Never>(2_u32)).wait();
        assert_eq!(fresh.as_deref().copied().unwrap_or(0), left.unwrap_or(2), "{name}");
        // Its value is stored, and the late one does not overwrite it.
        open.send(1).expect("its load runs");
        assert!(matches!(answer(&mut leader).as_deref(), Ok(1)), "{name}");
        assert_eq!(read(&cache), Some(left.unwrap_or(2)), "{name}");
        assert_eq!(cache.stats().refused_detached, 1, "{name}");
        drop(leader);
        assert_idle(&cache);
    }
}

/// The value that a newer load brought was taken out again: the gap does not let the old one in.
#[test]
fn late_value_is_not_stored_where_a_newer_one_came_and_went() {
    for (name, act, _) in KEYS {
        let cache = cache();
        let (open, gate) = oneshot::channel::<u32>();
        let mut leader = cache.get_or_load(scope!(org = 1, user = 2), "k", || gate);
        parked(&mut leader);
        act(&cache);
        let fresh = cache.get_or_load_with(scope!(org = 1, user = 2), "k", || Ok::<_, Never>(2_u32)).wait();
        assert!(fresh.is_ok());
        act(&cache);
        cache.remove(scope!(org = 1, user = 2), "k").wait().expect("a good place");
        open.send(1).expect("its load runs");
        assert!(answer(&mut leader).is_ok());
        assert_eq!(read(&cache), None, "{name}");
        drop(leader);
        assert_idle(&cache);
    }
}

#[test]
fn what_happens_beside_a_load_does_not_concern_it() {
    for (name, act, left) in BESIDE {
        let cache = cache();
        let (open, gate) = oneshot::channel::<u32>();
        let mut leader = cache.get_or_load(scope!(org = 1, user = 2), "k", || gate);
        parked(&mut leader);
        act(&cache);
        let unwanted = || async { Err::<u32, _>("it waits") };
        let mut waiter = cache.get_or_load(scope!(org = 1, user = 2), "k", unwanted);
        parked(&mut waiter);
        open.send(1).expect("its load runs");
        assert!(matches!(answer(&mut leader).as_deref(), Ok(1)), "{name}");
        assert!(matches!(answer(&mut waiter).as_deref(), Ok(1)), "{name}");
        assert_eq!(read(&cache), left, "{name}");
        assert_eq!(cache.stats().refused(), 0, "{name}");
        drop((leader, waiter));
        assert_idle(&cache);
    }
}

/// A handle that was resolved before its scope was evicted.
#[test]
fn handle_joins_no_load_from_before_an_eviction() {
    let cache = cache();
    let alice = cache.scope(scope!(org = 1, user = 2)).expect("a good place");
    alice.set("warm", 0_u8).wait().expect("good");
    let (open, gate) = oneshot::channel::<u32>();
    let mut leader = alice.get_or_load("k", || gate);
    parked(&mut leader);
    cache.evict_by_scope(scope!(org = 1)).wait().expect("a good place");
    let fresh = alice.get_or_load_with("k", || Ok::<_, Never>(2_u32)).wait();
    assert!(matches!(fresh.as_deref(), Ok(2)));
    open.send(1).expect("its load runs");
    assert!(answer(&mut leader).is_ok());
    assert_eq!(alice.get::<u32>("k").wait().expect("a good place").as_deref(), Some(&2));
    assert_eq!(alice.get::<u8>("warm").wait().expect("a good place"), None);
    drop(leader);
    drop(alice);
    assert_idle(&cache);
}

const REGIONS: [Act<Region<String, u32>>; 7] = [
    ("set", |region| region.set(scope!(org = 1, user = 2), "k".into(), 99).wait().expect("good"), Some(99)),
    ("remove", |region| drop(region.remove(scope!(org = 1, user = 2), "k")), None),
    ("pop", |region| drop(region.pop(scope!(org = 1, user = 2), "k")), None),
    ("invalidate", |region| drop(region.invalidate(scope!(org = 1, user = 2), "k")), None),
    ("invalidate_scope", |region| drop(region.invalidate_scope(scope!(org = 1, user = 2))), None),
    ("evict_by_scope", |region| drop(region.cache().evict_by_scope(scope!(org = 1))), None),
    ("clear", |region| drop(region.cache().clear()), None),
];

#[test]
fn load_of_a_region_that_was_withdrawn_is_neither_stored_nor_joined() {
    for limited in [false, true] {
        for (name, act, left) in REGIONS {
            let cache = cache();
            let builder = cache.region_builder::<String, u32>("numbers");
            let builder = if limited { builder.max_per_scope(4) } else { builder };
            let region = builder.open().expect("it opens");
            let (open, gate) = oneshot::channel::<u32>();
            let mut leader = region.get_or_load(scope!(org = 1, user = 2), "k", || gate);
            parked(&mut leader);
            let unwanted = || async { Err::<u32, _>("it waits already") };
            let mut waiter = region.get_or_load(scope!(org = 1, user = 2), "k", unwanted);
            parked(&mut waiter);
            act(&region);
            let fresh =
                region.get_or_load_with(scope!(org = 1, user = 2), "k", || Ok::<_, Never>(2_u32)).wait();
            assert_eq!(fresh.unwrap_or(0), left.unwrap_or(2), "{name}");
            open.send(1).expect("its load runs");
            assert!(matches!(answer(&mut leader), Ok(1)), "{name}");
            assert!(matches!(answer(&mut waiter), Ok(1)), "{name}");
            let found = region.get_now(scope!(org = 1, user = 2), "k").expect("a good place");
            assert_eq!(found, Some(left.unwrap_or(2)), "{name}");
            assert_eq!(region.stats().refused_detached, 1, "{name}");
            drop((leader, waiter));
            assert_idle(&cache);
        }
    }
}

#[test]
fn invalidation_of_a_scope_leaves_loads_of_scopes_below_and_beside_alone() {
    let cache = cache();
    let region = cache.region::<String, u32>("numbers").expect("it opens");
    let other = cache.region::<String, u32>("others").expect("it opens");
    let gates: Vec<_> = (0..3).map(|_| oneshot::channel::<u32>()).collect();
    let mut gates = gates.into_iter();
    let mut gate = || gates.next().expect("three");
    let ((open_below, below), (open_beside, beside), (open_other, in_other)) = (gate(), gate(), gate());
    let mut below = region.get_or_load(scope!(org = 1, user = 2), "k", || below);
    let mut beside = region.get_or_load(scope!(org = 2), "k", || beside);
    let mut in_other = other.get_or_load(scope!(org = 1), "k", || in_other);
    parked(&mut below);
    parked(&mut beside);
    parked(&mut in_other);
    region.invalidate_scope(scope!(org = 1)).wait().expect("a good place");
    for open in [open_below, open_beside, open_other] {
        open.send(1).expect("its load runs");
    }
    assert!(answer(&mut below).is_ok() && answer(&mut beside).is_ok() && answer(&mut in_other).is_ok());
    assert_eq!(region.get_now(scope!(org = 1, user = 2), "k").expect("a good place"), Some(1));
    assert_eq!(region.get_now(scope!(org = 2), "k").expect("a good place"), Some(1));
    assert_eq!(other.get_now(scope!(org = 1), "k").expect("a good place"), Some(1));
    drop((below, beside, in_other));
    assert_idle(&cache);
}
