//! Budgets of scopes: what a scope may hold, what nobody else may take of it, and what is lent meanwhile.

mod laws;

use strata_cache::{Budget, Cache, ErrorKind, Region, Scope, scope};

use crate::support::{Outcome, kind, still};

const POLICIES: [&str; 7] = ["adaptive", "lru", "lfu", "fifo", "sieve", "s3fifo", "w-tinylfu"];

/// Scopes of so many orgs.
fn orgs(cache: &Cache, count: u64) -> Result<Vec<Scope>, strata_cache::Error> {
    (0..count).map(|org| cache.scope(scope!(org = org))).collect()
}

fn fill(region: &Region<u64, u64>, scope: &Scope, keys: std::ops::Range<u64>) -> Outcome {
    for key in keys {
        region.set(scope, key, key).wait()?;
    }
    Ok(())
}

fn held(region: &Region<u64, u64>, scope: &Scope, keys: std::ops::Range<u64>) -> u64 {
    keys.filter(|key| region.get_now(scope, key).is_ok_and(|value| value == Some(*key))).count() as u64
}

#[test]
fn scope_within_its_reserve_pays_for_nobody_else() -> Outcome {
    for policy in POLICIES {
        for capacity in [1_000, 20_000] {
            let (builder, _) = still();
            let cache = builder.capacity(capacity).policy(policy).build()?;
            let region = cache.region::<u64, u64>("numbers")?;
            let (quiet, noisy) = (cache.scope(scope!(org = "quiet"))?, cache.scope(scope!(org = "noisy"))?);
            cache.budget(&quiet)?.set(Budget::unbounded().reserve(capacity / 10))?;
            fill(&region, &quiet, 0..capacity / 10)?;
            fill(&region, &noisy, 0..capacity * 10)?;
            assert_eq!(held(&region, &quiet, 0..capacity / 10), capacity / 10, "{policy} of {capacity}");
            assert_eq!(cache.stats().entries, capacity);
        }
    }
    Ok(())
}

#[test]
fn without_a_reserve_the_noisy_takes_all() -> Outcome {
    let (builder, _) = still();
    let cache = builder.capacity(1_000).policy("lru").build()?;
    let region = cache.region::<u64, u64>("numbers")?;
    let orgs = orgs(&cache, 2)?;
    fill(&region, &orgs[0], 0..100)?;
    fill(&region, &orgs[1], 0..10_000)?;
    assert_eq!(held(&region, &orgs[0], 0..100), 0);
    Ok(())
}

#[test]
fn scope_is_never_above_its_capacity_and_evicts_its_own() -> Outcome {
    for capacity in [1_000, 20_000] {
        let (builder, _) = still();
        let cache = builder.capacity(capacity).budget("org", Budget::share("5%")).build()?;
        let region = cache.region::<u64, u64>("numbers")?;
        let orgs = orgs(&cache, 3)?;
        fill(&region, &orgs[0], 0..10)?;
        for key in 0..capacity {
            region.set(&orgs[1], key, key).wait()?;
            assert_eq!(orgs[1].stats()?.entries, (key + 1).min(capacity / 20));
            assert_eq!(held(&region, &orgs[1], key..key + 1), 1, "what was just written is there");
        }
        assert_eq!(held(&region, &orgs[0], 0..10), 10);
    }
    Ok(())
}

#[test]
fn capacity_above_counts_what_all_below_hold() -> Outcome {
    let (builder, _) = still();
    let cache = builder
        .capacity(1_000)
        .budget("org", Budget::entries(30))
        .budget("user", Budget::entries(20))
        .build()?;
    let region = cache.region::<u64, u64>("numbers")?;
    for round in 0..3 {
        for user in 0..4u64 {
            let scope = cache.scope(scope!(org = 1u64, user = user))?;
            fill(&region, &scope, round * 100..round * 100 + 50)?;
            assert!((3..=20).contains(&scope.stats()?.entries));
            assert!((20..=30).contains(&cache.stats_of(scope!(org = 1u64))?.entries));
        }
    }
    Ok(())
}

#[test]
fn idle_reserve_is_lent_and_comes_back_in_one_pass() -> Outcome {
    for capacity in [1_000, 20_000] {
        let (builder, _) = still();
        let cache = builder.capacity(capacity).build()?;
        let region = cache.region::<u64, u64>("numbers")?;
        let (owner, guest) = (cache.scope(scope!(org = "owner"))?, cache.scope(scope!(org = "guest"))?);
        cache.budget(&owner)?.set(Budget::unbounded().reserve(capacity / 2))?;
        cache.budget(&guest)?.set(Budget::unbounded().reserve(capacity / 10))?;
        fill(&region, &guest, 0..capacity)?;
        assert_eq!(guest.stats()?.entries, capacity, "lent");
        fill(&region, &owner, 0..capacity / 2)?;
        assert_eq!(held(&region, &owner, 0..capacity / 2), capacity / 2, "and back");
        assert_eq!((owner.stats()?.entries, guest.stats()?.entries), (capacity / 2, capacity / 2));
    }
    Ok(())
}

#[test]
fn budget_set_at_run_time_holds_for_what_is_there_already() -> Outcome {
    for capacity in [1_000, 20_000] {
        let (builder, _) = still();
        let cache = builder.capacity(capacity).build()?;
        let region = cache.region::<u64, u64>("numbers")?;
        let orgs = orgs(&cache, 3)?;
        fill(&region, &orgs[0], 0..capacity / 4)?;
        fill(&region, &orgs[1], 0..capacity / 4)?;
        cache.budget(&orgs[0])?.set(Budget::unbounded().reserve(capacity / 4))?;
        fill(&region, &orgs[2], 0..capacity * 4)?;
        assert_eq!(held(&region, &orgs[0], 0..capacity / 4), capacity / 4, "of {capacity}");
        cache.budget(&orgs[2])?.set(Budget::entries(10))?;
        assert_eq!(orgs[2].stats()?.entries, 10, "lowered at the call");
        cache.set_budget_of_level("org", Some(Budget::entries(7)))?;
        assert_eq!(orgs[1].stats()?.entries.min(8), orgs[1].stats()?.entries);
        cache.budget(&orgs[2])?.reset()?;
        assert_eq!(orgs[2].stats()?.entries, 7, "what its level gives");
        cache.set_budget_of_level("org", None)?;
        fill(&region, &orgs[2], 0..capacity / 4)?;
        assert!(orgs[2].stats()?.entries >= capacity / 4, "unbounded again");
    }
    Ok(())
}

#[test]
fn reserve_of_weight_holds_against_a_bound_of_weight() -> Outcome {
    let (builder, _) = still();
    let cache = builder.capacity_bytes(100_000).build()?;
    let region = cache.region_builder::<u64, u64>("numbers").weigher(|_, value| *value).open()?;
    let orgs = orgs(&cache, 2)?;
    cache.budget(&orgs[0])?.set(Budget::weight("50KB").reserve_weight("10KB"))?;
    (0..10).try_for_each(|key| region.set(&orgs[0], key, 1_000).wait())?;
    for key in 0..10_000 {
        region.set(&orgs[1], key, 1 + key % 5_000).wait()?;
        assert!(cache.stats().weight <= 100_000);
    }
    assert_eq!(orgs[0].stats()?.weight, 10_000);
    (0..200).try_for_each(|key| region.set(&orgs[0], key, 1_000).wait())?;
    let weight = orgs[0].stats()?.weight;
    assert!(
        (25_000..=50_000).contains(&weight),
        "{weight}: within a factor of four as far beyond its reserve as the other"
    );
    assert_eq!(kind(cache.budget(&orgs[0])?.set(Budget::entries(5))), Some(ErrorKind::InvalidBudget));
    Ok(())
}

#[test]
fn books_of_weight_agree_when_places_go_over_between_scopes_and_weights() -> Outcome {
    let (builder, _) = still();
    let cache = builder.capacity(20).build()?;
    let region = cache.region_builder::<u64, u64>("numbers").weigher(|_, value| *value).open()?;
    let orgs = orgs(&cache, 3)?;
    for key in 0..2_000 {
        region.set(&orgs[key as usize % 3], key, 1 + key * 7 % 13).wait()?;
    }
    let held = |org: &Scope| -> Result<u64, strata_cache::Error> {
        (0..2_000).try_fold(0, |sum, key| Ok(sum + region.get_now(org, &key)?.unwrap_or(0)))
    };
    let sums = orgs.iter().map(held).collect::<Result<Vec<_>, _>>()?;
    let counted =
        orgs.iter().map(|org| Ok(org.stats()?.weight)).collect::<Result<Vec<_>, strata_cache::Error>>()?;
    assert_eq!(counted, sums);
    assert_eq!((cache.stats().entries, cache.stats().weight), (20, sums.iter().sum()));
    Ok(())
}

#[test]
fn everybody_reserved_leaves_nothing_to_those_without() -> Outcome {
    let (builder, _) = still();
    let cache = builder.capacity(100).build()?;
    let region = cache.region::<u64, u64>("numbers")?;
    let orgs = orgs(&cache, 3)?;
    for org in &orgs[..2] {
        cache.budget(org)?.set(Budget::unbounded().reserve(50))?;
        fill(&region, org, 0..50)?;
    }
    fill(&region, &orgs[2], 0..10)?;
    assert_eq!(orgs[2].stats()?.entries, 0, "a write does not fail, but finds no place");
    assert_eq!(orgs[..2].iter().map(|org| held(&region, org, 0..50)).sum::<u64>(), 100);
    Ok(())
}

#[test]
fn budgets_survive_the_eviction_of_their_scopes() -> Outcome {
    let (builder, _) = still();
    let cache = builder.capacity(1_000).budget("user", Budget::entries(20)).build()?;
    let region = cache.region::<u64, u64>("numbers")?;
    let (org, user) = (cache.scope(scope!(org = 1u64))?, cache.scope(scope!(org = 1u64, user = 1u64))?);
    cache.budget(&org)?.set(Budget::unbounded().reserve(100))?;
    for _ in 0..3 {
        fill(&region, &user, 0..50)?;
        assert_eq!(user.stats()?.entries, 20);
        fill(&region, &org, 0..80)?;
        fill(&region, &cache.scope(scope!(org = 2u64))?, 0..5_000)?;
        assert_eq!(org.stats()?.entries, 100);
        assert!(org.evict_by_scope().wait()?.entries == 100);
        assert_eq!(cache.budget(&org)?.granted().reserved_entries, 100);
    }
    Ok(())
}

#[test]
fn bad_budgets_are_refused_all_at_once_before_there_is_a_cache() {
    let error = Cache::builder()
        .capacity(1_000)
        .budget("org", Budget::entries("5%").reserve("6%"))
        .budget("usr", Budget::entries(1))
        .budget("user", Budget::share("101%"))
        .budget_at(scope!(org = "a"), Budget::unbounded().reserve(700))
        .budget_at(scope!(org = "b"), Budget::unbounded().reserve(301))
        .budget_at(scope!(org = "c"), Budget::entries(0))
        .budget_at(scope!(user = "c"), Budget::entries(1))
        .build()
        .unwrap_err();
    let text = error.to_string();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    let parts = [
        "a reserve of 60 entries is above the capacity of 50",
        "level: usr",
        "at most 100 %",
        "reserves would take 1001 entries of 1000",
        "an amount above zero",
        "the path of `user` is `org/user`",
    ];
    for part in parts {
        assert!(text.contains(part), "{part} in {text}");
    }
}

#[test]
fn reserve_by_name_keeps_the_capacity_from_being_lowered_below_it() -> Outcome {
    let cache = Cache::builder().capacity(1_000).build()?;
    cache.budget(scope!(org = "a"))?.set(Budget::unbounded().reserve(700))?;
    assert_eq!(kind(cache.set_capacity(699)), Some(ErrorKind::InvalidBudget));
    assert!(cache.set_capacity(700).is_ok());
    cache.budget(scope!(org = "a"))?.set(Budget::share("50%").reserve("10%"))?;
    cache.set_capacity(100)?;
    assert_eq!(cache.budget(scope!(org = "a"))?.granted().reserved_entries, 10);
    assert_eq!(cache.budget(scope!(org = "a"))?.granted().max_entries, Some(50));
    Ok(())
}

#[test]
fn budget_makes_no_scope() -> Outcome {
    let cache = Cache::builder().capacity(1_000).build()?;
    cache.budget(scope!(org = "a", user = 1u64))?.set(Budget::entries(7))?;
    assert_eq!(
        (cache.stats().scopes, cache.budget(scope!(org = "a", user = 1u64))?.granted().max_entries),
        (0, Some(7))
    );
    assert_eq!(cache.budget(scope!(org = "b"))?.get(), None);
    Ok(())
}
