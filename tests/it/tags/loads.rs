//! Loads and tags: none that began before a withdrawal is stored, and nobody who comes after it gets what they bring.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Mutex, mpsc};

use strata_cache::{Cache, Error, ErrorKind, LoadError, Scope, Tag, cached, default_cache, scope, tag_load};
use tokio::sync::oneshot;

use crate::support::{Outcome, answer, parked, small};

type Never = std::convert::Infallible;

fn org() -> Result<(Cache, Scope), Error> {
    let (cache, _) = small(1_000)?;
    let org = cache.scope(scope!(org = "acme"))?;
    Ok((cache, org))
}

/// A loader that adds tags before it waits, and after, and gives what it is sent.
async fn adding(before: &[&str], gate: oneshot::Receiver<u32>, after: &[&str]) -> Result<u32, Error> {
    before.iter().try_for_each(tag_str)?;
    let value = gate.await.unwrap_or(0);
    after.iter().try_for_each(tag_str)?;
    Ok(value)
}

fn tag_str(tag: &&str) -> Result<(), Error> {
    match tag.strip_prefix("global ") {
        Some(text) => tag_load(Tag::global(text)?),
        None => tag_load(*tag),
    }
}

#[test]
fn loaded_entry_has_the_tags_that_were_declared_and_added() -> Outcome {
    for tag in ["declared", "added before", "added after", "news"] {
        let (cache, org) = org()?;
        let (open, gate) = oneshot::channel();
        let load = || adding(&["added before", "global news"], gate, &["added after", "declared"]);
        let mut load = org.get_or_load("k", load).tag("declared");
        parked(&mut load);
        open.send(1).expect("it runs");
        assert_eq!(answer(&mut load).ok().as_deref(), Some(&1));
        assert_eq!(org.get::<u32>("k").wait()?.as_deref(), Some(&1));
        let gone = match tag {
            "news" => cache.invalidate_tag(scope!(global), tag).wait()?,
            _ => org.invalidate_tag(tag).wait()?,
        };
        assert_eq!((gone.entries, org.contains("k").wait()?), (1, false), "{tag}");
        cache.maintain();
        assert_eq!((cache.stats().tag_sets, cache.stats().entries), (0, 0));
    }
    Ok(())
}

#[test]
fn load_whose_declared_tag_is_withdrawn_serves_who_waited_and_is_neither_stored_nor_joined() -> Outcome {
    let (cache, org) = org()?;
    let (open, gate) = oneshot::channel::<u32>();
    let mut leader = org.get_or_load("k", || gate).tag("a");
    parked(&mut leader);
    let mut waiter = org.get_or_load("k", || async { Err::<u32, _>("it waits") }).tag("a");
    parked(&mut waiter);
    org.invalidate_tag("a").wait()?;
    let mut later = org.get_or_load_with("k", || Ok::<_, Never>(2_u32)).tag("a");
    assert_eq!(answer(&mut later).ok().as_deref(), Some(&2), "who comes after it loads anew");
    open.send(1).expect("it runs");
    assert_eq!(answer(&mut leader).ok().as_deref(), Some(&1));
    assert_eq!(answer(&mut waiter).ok().as_deref(), Some(&1), "it waited before");
    assert_eq!(org.get::<u32>("k").wait()?.as_deref(), Some(&2));
    assert_eq!(org.invalidate_tag("a").wait()?.entries, 1);
    let stats = cache.stats();
    assert_eq!((stats.loads, stats.refused(), stats.flights), (2, 1, 0));
    Ok(())
}

#[test]
fn load_that_nobody_asked_for_again_is_refused_for_its_tag() -> Outcome {
    for added in [false, true] {
        let (cache, org) = org()?;
        let (open, gate) = oneshot::channel();
        let load = org.get_or_load("k", || adding(&[], gate, if added { &["a"] } else { &[] }));
        let mut load = if added { load } else { load.tag("a") };
        parked(&mut load);
        org.invalidate_tag("a").wait()?;
        open.send(1).expect("it runs");
        assert_eq!(answer(&mut load).ok().as_deref(), Some(&1));
        assert!(!org.contains("k").wait()?);
        let stats = cache.stats();
        assert_eq!((stats.refused_tag, stats.entries, stats.tag_sets), (1, 0, 0), "added: {added}");
    }
    Ok(())
}

#[test]
fn withdrawal_of_other_tags_refuses_nothing() -> Outcome {
    let (cache, org) = org()?;
    let (open, gate) = oneshot::channel();
    let mut load = org.get_or_load("k", || adding(&["b"], gate, &["c"])).tag("a");
    parked(&mut load);
    cache.invalidate_tag(scope!(org = "globex"), "a").wait()?;
    cache.set(scope!(org = "globex"), "k", 1).wait()?;
    for tag in ["a", "b", "c"] {
        cache.invalidate_tag(scope!(org = "globex"), tag).wait()?;
        cache.invalidate_tag(scope!(global), tag).wait()?;
    }
    org.invalidate_tag("d").wait()?;
    open.send(1).expect("it runs");
    answer(&mut load).expect("it loads");
    assert!(org.contains("k").wait()?);
    assert_eq!(cache.stats().refused(), 0);
    Ok(())
}

#[test]
fn more_withdrawals_than_are_kept_refuse_a_load_to_be_safe() -> Outcome {
    for (withdrawals, is_stored) in [(1_024, true), (1_025, false)] {
        let (cache, org) = org()?;
        let (open, gate) = oneshot::channel();
        let mut load = org.get_or_load("k", || adding(&[], gate, &["a"]));
        parked(&mut load);
        for number in 0..withdrawals {
            cache.invalidate_tag(scope!(global), format!("t{number}")).wait()?;
        }
        open.send(1).expect("it runs");
        answer(&mut load).expect("it loads");
        assert_eq!(org.contains("k").wait()?, is_stored, "{withdrawals}");
    }
    Ok(())
}

#[test]
fn who_waits_for_a_load_that_added_a_withdrawn_tag_loads_anew() -> Outcome {
    let (cache, org) = org()?;
    let (open, gate) = oneshot::channel();
    let mut leader = org.get_or_load("k", || adding(&[], gate, &["a"]));
    parked(&mut leader);
    let runs = Cell::new(0);
    let fresh = || {
        runs.set(runs.get() + 1);
        async { Ok::<_, Error>(2_u32) }
    };
    let mut before = org.get_or_load("k", fresh);
    parked(&mut before);
    org.invalidate_tag("a").wait()?;
    let mut after: Vec<_> = (0..5).map(|_| org.get_or_load("k", fresh)).collect();
    after.iter_mut().for_each(parked);
    open.send(1).expect("it runs");
    assert_eq!(answer(&mut leader).ok().as_deref(), Some(&1), "its own caller asked before");
    assert_eq!(answer(&mut before).ok().as_deref(), Some(&2));
    for waiter in &mut after {
        assert_eq!(answer(waiter).ok().as_deref(), Some(&2), "it asked after the withdrawal");
    }
    assert_eq!(runs.get(), 1, "one load for all who were sent away");
    let stats = cache.stats();
    assert_eq!((stats.loads, stats.refused_tag, stats.flights), (2, 1, 0));
    Ok(())
}

#[test]
fn value_that_is_not_stored_for_another_reason_is_not_served_to_latecomers_either() -> Outcome {
    let (_, org) = org()?;
    let (open, gate) = oneshot::channel();
    let mut leader = org.get_or_load("k", || adding(&[], gate, &["a"]));
    parked(&mut leader);
    org.invalidate_tag("a").wait()?;
    let mut after = org.get_or_load_with("k", || Ok::<_, Error>(3_u32));
    parked(&mut after);
    org.set("k", 2_u32).wait()?;
    open.send(1).expect("it runs");
    assert_eq!(answer(&mut leader).ok().as_deref(), Some(&1));
    assert_eq!(answer(&mut after).ok().as_deref(), Some(&2));
    Ok(())
}

#[test]
fn waiter_ends_however_often_its_tag_is_withdrawn() -> Outcome {
    let (cache, org) = org()?;
    let lead = || {
        let (open, gate) = oneshot::channel();
        (open, Box::pin(org.get_or_load("k", move || adding(&[], gate, &["a"]))))
    };
    let (mut open, mut leader) = lead();
    parked(&mut leader);
    let mut waiter = org.get_or_load_with("k", || Ok::<_, Error>(100_u32));
    for round in 0..3 {
        parked(&mut waiter);
        org.invalidate_tag("a").wait()?;
        open.send(round).expect("it runs");
        answer(&mut leader).expect("it loads");
        // Before the one who waits asks again, somebody else leads; and so each time.
        (open, leader) = lead();
        parked(&mut leader);
    }
    assert_eq!(answer(&mut waiter).ok().as_deref(), Some(&100), "it runs by itself");
    drop((leader, open));
    assert_eq!(cache.stats().flights, 0);
    Ok(())
}

#[test]
fn load_that_was_handed_over_is_fenced_from_when_it_began_anew() -> Outcome {
    let (cache, org) = org()?;
    let (_open, gate) = oneshot::channel::<u32>();
    let mut first = Box::pin(org.get_or_load("k", || gate).tag("a"));
    parked(&mut first);
    let (open, gate) = oneshot::channel::<u32>();
    let mut second = Box::pin(org.get_or_load("k", || gate).tag("b"));
    parked(&mut second);
    org.invalidate_tag("a").wait()?;
    org.invalidate_tag("b").wait()?;
    drop(first);
    parked(&mut second);
    // It leads since, with its own tags: it may be joined.
    let mut third = org.get_or_load_with("k", || Ok::<_, Never>(3_u32)).tag("c");
    parked(&mut third);
    open.send(2).expect("it runs");
    assert_eq!(answer(&mut second).ok().as_deref(), Some(&2));
    assert_eq!(answer(&mut third).ok().as_deref(), Some(&2));
    assert_eq!(org.invalidate_tag("a").wait()?.entries, 0);
    assert_eq!(org.invalidate_tag("b").wait()?.entries, 1, "the tags of the one who loaded");
    assert_eq!(cache.stats().refused(), 0);
    Ok(())
}

#[test]
fn load_that_was_handed_over_is_not_joined_after_its_own_tag_was_withdrawn() -> Outcome {
    let (_, org) = org()?;
    let (_open, gate) = oneshot::channel::<u32>();
    let mut first = Box::pin(org.get_or_load("k", || gate));
    parked(&mut first);
    let (open, gate) = oneshot::channel::<u32>();
    let mut second = Box::pin(org.get_or_load("k", || gate).tag("b"));
    parked(&mut second);
    drop(first);
    parked(&mut second);
    org.invalidate_tag("b").wait()?;
    let mut third = org.get_or_load_with("k", || Ok::<_, Never>(3_u32));
    assert_eq!(answer(&mut third).ok().as_deref(), Some(&3));
    open.send(2).expect("it runs");
    assert_eq!(answer(&mut second).ok().as_deref(), Some(&2));
    assert_eq!(org.get::<u32>("k").wait()?.as_deref(), Some(&3));
    Ok(())
}

#[test]
fn tags_go_to_the_innermost_load_and_nowhere_past_the_cache() -> Outcome {
    let (cache, org) = org()?;
    let inner = || {
        tag_load("inner")?;
        Ok::<_, Error>(1_u32)
    };
    let outer = || {
        tag_load("outer")?;
        org.get_or_load_with("inner", inner).wait().map_err(LoadError::flatten)?;
        // Inside of its own load: past the cache.
        let again = || {
            tag_load("again")?;
            Ok::<_, Error>(7_u32)
        };
        let again = org.get_or_load_with("outer", again).wait().map_err(LoadError::flatten)?;
        tag_load("outer too")?;
        Ok::<_, Error>(*again)
    };
    assert_eq!(org.get_or_load_with("outer", outer).wait().ok().as_deref(), Some(&7));
    assert_eq!(org.invalidate_tag("again").wait()?.entries, 0);
    assert_eq!(org.invalidate_tag("inner").wait()?.entries, 1);
    assert!(org.contains("outer").wait()?);
    assert_eq!(org.invalidate_tag("outer too").wait()?.entries, 1);
    assert_eq!(org.invalidate_tag("outer").wait()?.entries, 0);
    assert_eq!(cache.stats().entries, 0);
    assert!(tag_load("a").is_err(), "no load runs any more");
    Ok(())
}

#[test]
fn load_takes_16_tags_and_says_so_where_it_is_given_more() -> Outcome {
    let (_, org) = org()?;
    let load = || {
        let added = (0..20).map(|number| tag_load(number.to_string())).take_while(Result::is_ok).count();
        assert_eq!(tag_load("17").map_err(|error| error.kind()), Err(ErrorKind::InvalidTag));
        tag_load("declared")?;
        Ok::<_, Error>(added)
    };
    let added = org.get_or_load_with("k", load).tags(["declared", "declared too"]).wait();
    assert_eq!(added.ok().as_deref(), Some(&14));
    for tag in ["declared", "13"] {
        org.get_or_load_with("k", || Ok::<_, Error>(1)).tag("13").tag("declared").wait().ok();
        assert_eq!(org.invalidate_tag(tag).wait()?.entries, 1);
    }
    Ok(())
}

#[test]
fn loader_that_panics_or_fails_leaves_no_tags_behind() -> Outcome {
    let (cache, org) = org()?;
    let panics = std::panic::AssertUnwindSafe(|| {
        let load = || -> Result<u32, Error> {
            tag_load("a")?;
            panic!("on purpose")
        };
        drop(org.get_or_load_with("k", load).wait());
    });
    assert!(std::panic::catch_unwind(panics).is_err());
    assert!(tag_load("a").is_err(), "no load runs any more");
    let fails = || {
        tag_load("a").map_err(|_| "no load")?;
        Err::<u32, _>("on purpose")
    };
    assert!(org.get_or_load_with("k", fails).wait().is_err());
    org.get_or_load_with("k", || Ok::<_, Never>(1)).wait()?;
    assert_eq!(org.invalidate_tag("a").wait()?.entries, 0);
    assert_eq!(cache.stats().tag_sets, 0);
    Ok(())
}

#[cached(scope = "org")]
fn priced(org_id: u64, item: u64) -> Result<u64, Error> {
    tag_load(format!("item:{item}"))?;
    tag_load(Tag::global("prices")?)?;
    Ok(item * 10)
}

#[cached(scope = "org")]
async fn priced_later(org_id: u64, item: u64) -> Result<u64, Error> {
    tokio::task::yield_now().await;
    tag_load(format!("later:{item}"))?;
    Ok(item * 10)
}

#[test]
fn body_of_a_cached_function_adds_tags() -> Outcome {
    for item in [1, 2] {
        assert_eq!(priced(9_100, item)?, item * 10);
    }
    assert_eq!(default_cache().invalidate_tag(scope!(org = 9_100), "item:1").wait()?.entries, 1);
    assert!(priced::peek(9_100, 1).is_none());
    assert_eq!(priced::peek(9_100, 2).and_then(Result::ok), Some(20));
    priced(9_100, 1)?;
    priced(9_101, 1)?;
    assert!(default_cache().invalidate_tag(scope!(global), "prices").wait()?.entries >= 3);
    assert!(priced::peek(9_100, 2).is_none() && priced::peek(9_101, 1).is_none());

    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    assert_eq!(runtime.block_on(priced_later(9_100, 4))?, 40);
    assert_eq!(default_cache().invalidate_tag(scope!(org = 9_100), "later:4").wait()?.entries, 1);
    Ok(())
}

/// A row of a database, its tag, and many who read and write it.
#[test]
fn nobody_reads_what_is_older_than_a_withdrawal_in_many_threads() -> Outcome {
    let cache = Cache::builder().capacity(10_000).build()?;
    let org = cache.scope(scope!(org = "acme"))?;
    let (row, floor, stop) = (AtomicU64::new(1), AtomicU64::new(0), AtomicU64::new(0));
    let writing = Mutex::new(());
    let (failed, failures) = mpsc::channel();
    std::thread::scope(|threads| {
        for reader in 0..6 {
            let (org, row, floor, stop, failed) = (&org, &row, &floor, &stop, failed.clone());
            threads.spawn(move || {
                while stop.load(SeqCst) == 0 {
                    let known = floor.load(SeqCst);
                    let load = || {
                        let version = row.load(SeqCst);
                        std::thread::yield_now();
                        if reader % 2 == 0 {
                            tag_load("row")?;
                        }
                        Ok::<_, Error>(version)
                    };
                    let load = org.get_or_load_with("row", load);
                    let got = if reader % 2 == 0 { load.wait() } else { load.tag("row").wait() };
                    let got = got.map_or(u64::MAX, |value| *value);
                    if got < known {
                        _ = failed.send((reader, got, known));
                    }
                }
            });
        }
        for _ in 0..2 {
            threads.spawn(|| {
                for _ in 0..2_000 {
                    let _turn = writing.lock().expect("nobody panics with it");
                    let version = row.fetch_add(1, SeqCst) + 1;
                    drop(org.invalidate_tag("row"));
                    floor.store(version, SeqCst);
                }
                stop.fetch_add(1, SeqCst);
            });
        }
    });
    assert_eq!(failures.try_iter().next(), None, "reader, what it got, what was withdrawn before it asked");
    Ok(())
}
