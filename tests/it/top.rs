//! Which tenants rank highest: exact, bounded, in a stable order, whatever happens beside it.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};

use strata_cache::{Cache, ErrorKind, Rank, Region, TopScope, scope};

use crate::support::{Outcome, kind, small, still};

fn listed(top: &[TopScope], by: Rank) -> Vec<(String, u64)> {
    top.iter().map(|scope| (scope.path.to_string(), by.of(&scope.report))).collect()
}

/// A number below a bound that looks drawn, the same in every run.
fn drawn(seed: u64, bound: u64) -> u64 {
    seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29).wrapping_mul(0xbf58_476d_1ce4_e5b9) % bound
}

#[test]
fn top_ten_of_ten_thousand_tenants_is_what_a_naive_sort_finds() -> Outcome {
    const ORGS: u64 = 10_000;
    let (builder, _) = still();
    let cache = builder.capacity(200_000).build()?;
    let region: Region<u64, u64> = cache.region("numbers")?;
    for org in 0..ORGS {
        let scope = cache.scope(scope!(org = org, user = 1))?;
        for key in 0..1 + drawn(org, 12) {
            region.set(&scope, key, key).weight(1 + drawn(org ^ key, 90)).wait()?;
        }
        for key in 0..drawn(org + 1, 20) {
            region.get(&scope, &key).wait()?;
        }
        for key in 0..drawn(org + 2, 3) {
            region.get_or_load_with(&scope, &(1_000 + key), || Ok::<_, ()>(key)).wait().expect("it loads");
        }
    }
    for by in [Rank::Entries, Rank::Weight, Rank::Lookups, Rank::Misses, Rank::Loads] {
        let mut all = Vec::new();
        for org in 0..ORGS {
            let value = by.of(&cache.stats_of(scope!(org = org))?);
            all.push((std::cmp::Reverse(value), org.to_string()));
        }
        all.sort();
        let naive: Vec<_> =
            all.into_iter().take(10).map(|(value, org)| (format!("org:{org}"), value.0)).collect();
        assert_eq!(listed(&cache.top_scopes("org", by, 10)?, by), naive, "{by:?}");
    }
    Ok(())
}

#[test]
fn scopes_of_the_same_value_are_in_the_order_of_their_ids_and_none_is_listed_with_nothing() -> Outcome {
    let (cache, _) = small(1_000)?;
    for (org, user) in [("b", "2"), ("b", "10"), ("a", "9"), ("c", "1"), ("a", "1")] {
        cache.set(scope!(org = org, user = user), "k", 1).wait()?;
    }
    let empty = cache.scope(scope!(org = "a", user = "0"))?;
    empty.set("k", 1).wait()?;
    empty.remove("k").wait()?;
    let paths = |k| -> Result<Vec<String>, strata_cache::Error> {
        Ok(cache.top_scopes("user", Rank::Entries, k)?.iter().map(|top| top.path.to_string()).collect())
    };
    let all = ["org:a/user:1", "org:a/user:9", "org:b/user:10", "org:b/user:2", "org:c/user:1"];
    for k in 1..8 {
        assert_eq!(paths(k)?, all[..k.min(5)], "{k}");
    }
    Ok(())
}

#[test]
fn list_is_of_one_level_and_global_is_the_root_alone() -> Outcome {
    let (cache, _) = small(100)?;
    cache.set(scope!(global), "k", 1).weight(1).wait()?;
    cache.set(scope!(org = 1), "k", 1).weight(2).wait()?;
    cache.set(scope!(org = 1, user = 2), "k", 1).weight(4).wait()?;
    cache.get::<i32>(scope!(org = 1, user = 2), "k").wait()?;
    cache.get::<i32>(scope!(global), "absent").wait()?;
    let of = |level, by| cache.top_scopes(level, by, 9).map(|top| listed(&top, by));
    assert_eq!(of("global", Rank::Weight)?, [("global".to_owned(), 7)]);
    assert_eq!(of("org", Rank::Weight)?, [("org:1".to_owned(), 6)]);
    assert_eq!(of("user", Rank::Weight)?, [("org:1/user:2".to_owned(), 4)]);
    assert_eq!(of("session", Rank::Entries)?, []);
    assert_eq!(of("org", Rank::Lookups)?, [("org:1".to_owned(), 1)]);
    assert_eq!(of("global", Rank::Lookups)?, [("global".to_owned(), 2)], "the root counts all lookups");
    assert_eq!(of("global", Rank::Loads)?, []);
    let report = &cache.top_scopes("org", Rank::Weight, 1)?[0].report;
    assert_eq!(*report, cache.stats_of(scope!(org = 1))?);
    Ok(())
}

#[test]
fn what_cannot_be_listed_is_a_typed_error_that_says_what_can() -> Outcome {
    let (cache, _) = small(100)?;
    for k in [0, 1_001, usize::MAX] {
        assert_eq!(kind(cache.top_scopes("org", Rank::Entries, k)), Some(ErrorKind::InvalidConfig));
    }
    assert!(cache.top_scopes("org", Rank::Entries, 1_000)?.is_empty());
    let unknown = cache.top_scopes("orgs", Rank::Entries, 1).expect_err("no such level");
    assert_eq!(unknown.kind(), ErrorKind::UnknownLevel);
    assert!(unknown.to_string().contains("did you mean `org`?"), "{unknown}");
    let (builder, _) = still();
    let tracking = builder.track_lookups(["org", "session"]).build()?;
    let (builder, _) = still();
    let none = builder.track_lookups([]).build()?;
    for by in [Rank::Lookups, Rank::Misses, Rank::Loads, Rank::EvictionsCaused, Rank::EvictionsPaid] {
        let refused = tracking.top_scopes("user", by, 1).expect_err("users are not tracked");
        assert_eq!(refused.kind(), ErrorKind::NotTracked);
        assert!(refused.to_string().contains("level: user, tracked: org, session"), "{refused}");
        assert!(tracking.top_scopes("session", by, 1)?.is_empty());
        let refused = none.top_scopes("org", by, 1).expect_err("nothing is tracked");
        assert!(refused.to_string().contains("tracked: none"), "{refused}");
        assert!(none.top_scopes("global", by, 1).is_ok());
    }
    for by in [Rank::Entries, Rank::Weight] {
        assert!(tracking.top_scopes("user", by, 1)?.is_empty() && none.top_scopes("org", by, 1)?.is_empty());
    }
    Ok(())
}

/// Scopes come, go and come again, tables grow and shrink, while others look.
#[test]
fn list_shows_no_scope_twice_while_scopes_come_and_go() -> Outcome {
    let cache = Cache::builder().capacity(100_000).build()?;
    let region: Region<u64, u64> = cache.region("numbers")?;
    let over = AtomicBool::new(false);
    std::thread::scope(|threads| {
        for thread in 0..2 {
            let (cache, region, over) = (&cache, &region, &over);
            threads.spawn(move || {
                for round in 0..12_u64 {
                    for user in 0..600 {
                        let place = scope!(org = user % 7, user = user * 2 + thread);
                        region.set(place, round, 1).wait().expect("a path of the tree");
                    }
                    for org in 0..7 {
                        cache.evict_by_scope(scope!(org = org)).wait().expect("a path of the tree");
                    }
                }
                over.store(true, Ordering::Release);
            });
        }
        while !over.load(Ordering::Acquire) {
            for level in ["org", "user"] {
                let top = cache.top_scopes(level, Rank::Entries, 1_000).expect("a level of the tree");
                let paths: HashSet<_> = top.iter().map(|scope| &scope.path).collect();
                assert_eq!(paths.len(), top.len(), "{level}");
                assert!(top.iter().all(|scope| scope.path.level_name() == level));
                let values: Vec<u64> = top.iter().map(|scope| scope.report.entries).collect();
                assert!(values.is_sorted_by(|a, b| a >= b) && !values.contains(&0), "{values:?}");
            }
        }
    });
    Ok(())
}
