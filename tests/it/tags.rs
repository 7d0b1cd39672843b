//! Tags: what has one is withdrawn at once, by whoever owns it and nobody else, and no load from before brings it back.

mod loads;
mod model;

use strata_cache::{Budget, Cache, Error, ErrorKind, Region, RemovalCause, Scope, Tag, scope, tag_load};

use crate::support::{Census, Outcome, kind, seconds, small, still};

/// Three organisations, and a user of the first.
fn places(cache: &Cache) -> Result<[Scope; 4], Error> {
    Ok([
        cache.scope(scope!(org = "acme"))?,
        cache.scope(scope!(org = "acme", user = 1))?,
        cache.scope(scope!(org = "globex"))?,
        cache.scope(scope!(org = "initech"))?,
    ])
}

fn numbers(cache: &Cache) -> Result<Region<u64, u64>, Error> {
    cache.region("numbers")
}

#[test]
fn tag_is_withdrawn_in_its_own_scope_and_in_no_other() -> Outcome {
    let (cache, _) = small(1_000)?;
    let region = numbers(&cache)?;
    let places = places(&cache)?;
    for place in &places {
        region.set(place, 1, 1).tag("plan:gold").wait()?;
        region.set(place, 2, 2).tag("plan:silver").wait()?;
        region.set(place, 3, 3).wait()?;
        place.set("key", "text").tags(["plan:gold", "other"]).wait()?;
    }
    let gone = places[0].invalidate_tag("plan:gold").wait()?;
    assert_eq!(gone.entries, 2, "one of each region");
    for (at, place) in places.iter().enumerate() {
        let is_there = at != 0;
        assert_eq!(region.get_now(place, &1)?.is_some(), is_there, "{place}");
        assert_eq!(region.get(place, &1).wait()?.is_some(), is_there, "{place}");
        assert_eq!(region.peek(place, &1).wait()?.is_some(), is_there, "{place}");
        assert_eq!(region.contains(place, &1).wait()?, is_there, "{place}");
        assert_eq!(place.get::<&str>("key").wait()?.is_some(), is_there, "{place}");
        assert_eq!((region.get_now(place, &2)?, region.get_now(place, &3)?), (Some(2), Some(3)), "{place}");
    }
    assert_eq!(places[0].invalidate_tag("plan:gold").wait()?.entries, 0);
    assert_eq!(cache.invalidate_tag(scope!(org = "acme", user = 1), "plan:gold").wait()?.entries, 2);
    assert_eq!(cache.invalidate_tag(("org", &[("org_id", "globex")]), "other").wait()?.entries, 1);
    Ok(())
}

#[test]
fn global_tag_is_withdrawn_everywhere_and_is_not_that_of_a_scope() -> Outcome {
    let (cache, _) = small(1_000)?;
    let region = numbers(&cache)?;
    let (global, root) = (Tag::global("news")?, cache.scope(scope!(global))?);
    for place in &places(&cache)? {
        region.set(place, 1, 1).tag(&global).wait()?;
        region.set(place, 2, 2).tag("news").wait()?;
        region.set(place, 3, 3).tags([Tag::new("news")?, global.clone()]).wait()?;
    }
    region.set(&root, 2, 2).tag("news").wait()?;
    // An entry of the root scope that has the tag belongs to it either way.
    assert_eq!(cache.invalidate_tag(scope!(global), "news").wait()?.entries, 9);
    for place in &places(&cache)? {
        let there = [1, 2, 3].map(|key| region.get_now(place, &key).expect("a good place").is_some());
        assert_eq!(there, [false, true, false], "{place}");
    }
    assert_eq!(places(&cache)?[0].invalidate_tag("news").wait()?.entries, 1);
    region.set(&root, 1, 1).tag(&global).wait()?;
    assert_eq!(cache.invalidate_tag(&root, &global).wait()?.entries, 1);
    let refused = cache.invalidate_tag(scope!(org = "globex"), &global).wait();
    assert_eq!(kind(refused), Some(ErrorKind::InvalidTag));
    assert_eq!(region.get_now(scope!(org = "globex"), &2)?, Some(2));
    Ok(())
}

#[test]
fn write_has_the_tags_it_says_and_none_of_those_before() -> Outcome {
    let sets: [&[&str]; 4] = [&[], &["a"], &["b"], &["a", "b"]];
    let (cache, _) = small(1_000)?;
    let (words, texts) = (numbers(&cache)?, cache.region::<u64, String>("texts")?);
    let place = cache.scope(scope!(org = "acme"))?;
    for before in sets {
        for after in sets {
            for tag in ["a", "b"] {
                let name = format!("{before:?}, then {after:?}, then {tag} withdrawn");
                let replaced = cache.stats().replaced;
                for (round, tags) in [before, after].into_iter().enumerate() {
                    words
                        .set(&place, 1, round as u64)
                        .weight(5 + round as u64)
                        .tags(tags.iter().copied())
                        .wait()?;
                    texts.set(&place, 1, round.to_string()).weight(7).tags(tags.iter().copied()).wait()?;
                }
                let stats = cache.stats();
                assert_eq!((stats.replaced - replaced, stats.entries, stats.weight), (2, 2, 13), "{name}");
                let report = place.stats()?;
                assert_eq!((report.entries, report.weight), (2, 13), "{name}");
                let gone = place.invalidate_tag(tag).wait()?;
                let had_it = after.contains(&tag);
                assert_eq!((gone.entries, gone.weight), if had_it { (2, 13) } else { (0, 0) }, "{name}");
                assert_eq!(words.get_now(&place, &1)?, (!had_it).then_some(1), "{name}");
                assert_eq!(texts.get_now(&place, &1)?, (!had_it).then(|| "1".to_owned()), "{name}");
                // Over what is left to sweep, or what is there.
                words.set(&place, 1, 9).weight(5).wait()?;
                assert_eq!(
                    (words.get_now(&place, &1)?, place.stats()?.entries),
                    (Some(9), if had_it { 1 } else { 2 }),
                    "{name}"
                );
                assert_eq!(cache.clear().wait()?.entries, if had_it { 1 } else { 2 }, "{name}");
                cache.maintain();
                assert_eq!((cache.stats().entries, cache.stats().tag_sets), (0, 0), "{name}");
            }
        }
    }
    let stats = cache.stats();
    assert_eq!(stats.inserts, stats.invalidated + stats.removed + stats.evicted + stats.expired);
    Ok(())
}

#[test]
fn withdrawn_entry_is_absent_for_every_verb() -> Outcome {
    let (cache, _) = small(1_000)?;
    let region = numbers(&cache)?;
    let place = cache.scope(scope!(org = "acme"))?;
    let fresh = |key: u64| -> Outcome {
        region.set(&place, key, key).tag("a").wait()?;
        place.invalidate_tag("a").wait()?;
        Ok(())
    };
    fresh(1)?;
    assert!(!region.remove(&place, &1).wait()?);
    fresh(2)?;
    assert!(!region.invalidate(&place, &2).wait()?);
    fresh(3)?;
    assert_eq!(region.pop(&place, &3).wait()?, None);
    fresh(4)?;
    assert_eq!(region.get_or_load_with(&place, &4, || Ok::<_, Error>(44)).wait().ok(), Some(44));
    fresh(5)?;
    assert_eq!(region.invalidate_scope(&place).wait()?.entries, 1, "the one that was loaded");
    fresh(6)?;
    assert_eq!(place.preview_evict().wait()?.entries, 0);
    assert_eq!(place.evict_by_scope().wait()?.entries, 0);
    place.set("text", 7).tag("a").wait()?;
    place.invalidate_tag("a").wait()?;
    assert_eq!(place.pop::<String>("text").wait()?, None, "not refused for its type");
    let stats = cache.stats();
    assert_eq!((stats.entries, stats.removed, stats.invalidated, stats.tag_invalidations), (0, 0, 8, 7));
    Ok(())
}

#[test]
fn listener_and_counters_say_invalidated() -> Outcome {
    let (send, told) = std::sync::mpsc::channel();
    let (builder, _) = still();
    let cache = builder
        .on_removal(move |removal| {
            send.send((removal.scope.to_string(), removal.cause)).expect("somebody hears")
        })
        .build()?;
    let place = cache.scope(scope!(org = "acme", user = 3))?;
    place.set("a", 1).tag("x").wait()?;
    place.set("b", 1).tag("x").wait()?;
    place.set("a", 2).tag("y").wait()?;
    place.set("a", 3).tag("x").wait()?;
    place.invalidate_tag("x").wait()?;
    cache.maintain();
    let path = "org:acme/user:3".to_owned();
    let told: Vec<_> = told.try_iter().collect();
    let of = |cause| (path.clone(), cause);
    let (replaced, invalidated) = (of(RemovalCause::Replaced), of(RemovalCause::Invalidated));
    assert_eq!(told, [replaced.clone(), replaced, invalidated.clone(), invalidated]);
    let stats = cache.stats();
    assert_eq!((stats.replaced, stats.invalidated), (2, 2));
    assert_eq!(cache.stats_of(scope!(org = "acme"))?.invalidated, 2);
    Ok(())
}

#[test]
fn reports_are_exact_whatever_withdrew_before() -> Outcome {
    let (builder, clock) = still();
    let cache = builder.build()?;
    let region = numbers(&cache)?;
    let [acme, user, globex, _] = places(&cache)?;
    for key in 0..10 {
        region.set(&acme, key, key).tag("a").wait()?;
        region.set(&user, key, key).tags(["a", "b"]).weight(3).wait()?;
        region.set(&globex, key, key).tag("a").ttl(if key < 4 { "1s" } else { "1h" }).wait()?;
    }
    region.remove(&acme, &0).wait()?;
    region.set(&acme, 1, 1).wait()?;
    assert_eq!(acme.invalidate_tag("a").wait()?.entries, 8);
    assert_eq!(user.invalidate_tag("b").wait()?.weight, 30);
    assert_eq!(user.invalidate_tag("a").wait()?.entries, 0, "another tag took them");
    region.set(&user, 0, 0).tags(["a", "b"]).wait()?;
    assert_eq!(cache.preview_evict(scope!(org = "acme")).wait()?.entries, 2);
    assert_eq!(acme.evict_by_scope().wait()?.entries, 2);
    assert_eq!(user.invalidate_tag("a").wait()?.entries, 0, "its scope went");
    clock.advance(seconds(2));
    assert_eq!(globex.invalidate_tag("a").wait()?.entries, 6);
    cache.maintain();
    let stats = cache.stats();
    assert_eq!((stats.entries, stats.weight, stats.expired, stats.removed), (0, 0, 4, 1));
    assert_eq!(stats.inserts, stats.invalidated + stats.expired + stats.removed);
    Ok(())
}

#[test]
fn tagged_entries_expire_and_are_evicted_like_others() -> Outcome {
    for policy in ["adaptive", "lru", "lfu", "fifo", "sieve", "s3fifo", "w-tinylfu"] {
        let (builder, clock) = still();
        let cache = builder.capacity(500).policy(policy).build()?;
        let region = numbers(&cache)?;
        let places = places(&cache)?;
        for key in 0..3_000 {
            let write = region.set(&places[key as usize % 4], key, key);
            match key % 3 {
                0 => write.wait()?,
                1 => write.tag("a").wait()?,
                _ => write.tags(["a", "b"]).ttl("1m").wait()?,
            }
            region.get_now(&places[key as usize % 4], &(key / 2))?;
        }
        let held = |place: &Scope| place.stats().map(|report| report.entries);
        assert_eq!(cache.stats().entries, 500, "{policy}");
        assert_eq!(held(&places[0])? + held(&places[2])? + held(&places[3])?, 500, "{policy}");
        clock.advance(seconds(61));
        let with_a: u64 = (0..3_000)
            .filter(|key| {
                key % 3 == 1 && region.contains(&places[*key as usize % 4], key).wait().unwrap_or(false)
            })
            .count() as u64;
        let mut gone = 0;
        for place in &places {
            gone += place.invalidate_tag("a").wait()?.entries;
        }
        assert_eq!(gone, with_a, "{policy}");
        cache.clear();
        cache.maintain();
        let stats = cache.stats();
        assert_eq!((stats.entries, stats.weight, stats.tag_sets), (0, 0, 0), "{policy}");
        assert_eq!(stats.inserts, stats.invalidated + stats.expired + stats.evicted, "{policy}");
    }
    Ok(())
}

#[test]
fn budgets_count_tagged_entries_where_they_are() -> Outcome {
    let (builder, _) = still();
    let cache = builder.capacity(1_000).budget("org", Budget::entries(50)).build()?;
    let region = numbers(&cache)?;
    let [acme, user, globex, _] = places(&cache)?;
    for key in 0..500 {
        region.set(&acme, key, key).tag(format!("t{}", key % 7)).wait()?;
        region.set(&user, key, key).tag("a").wait()?;
        region.set(&globex, key, key).wait()?;
        assert!(acme.stats()?.entries <= 50 && globex.stats()?.entries <= 50);
    }
    assert_eq!((acme.stats()?.entries, globex.stats()?.entries), (50, 50));
    let users = user.stats()?.entries;
    assert_eq!(user.invalidate_tag("a").wait()?.entries, users);
    for key in 0..users {
        region.set(&acme, 1_000 + key, key).tag("new").wait()?;
    }
    assert_eq!(acme.stats()?.entries, 50, "what was withdrawn makes room at once");
    Ok(())
}

#[test]
fn limit_of_a_scope_counts_entries_whatever_their_tags() -> Outcome {
    let (builder, _) = still();
    let cache = builder.build()?;
    let region = cache.region_builder::<u64, u64>("numbers").max_per_scope(10).open()?;
    let place = cache.scope(scope!(org = "acme"))?;
    for key in 0..100 {
        region.set(&place, key, key).tag(format!("t{}", key % 5)).wait()?;
        assert!(place.stats()?.entries <= 10);
    }
    assert_eq!(place.stats()?.entries, 10);
    Ok(())
}

#[test]
fn memory_and_places_in_the_index_come_back() -> Outcome {
    let census = Census::default();
    let (builder, clock) = still();
    let cache = builder.build()?;
    let region = cache.region::<u64, std::sync::Arc<crate::support::Member>>("members")?;
    for round in 0..4 {
        for key in 0..2_000 {
            let (org, value) = (key % 100, std::sync::Arc::new(census.member()));
            let tags = [Tag::global("all")?, Tag::new(format!("t{}", key % 10))?, Tag::new("x")?];
            region.set(scope!(org = org), key, value).tags(tags).ttl("1h").wait()?;
        }
        let stats = cache.stats();
        assert_eq!((stats.entries, stats.scopes, stats.tag_sets, census.count()), (2_000, 100, 100, 2_000));
        match round {
            0 => assert_eq!(cache.invalidate_tag(scope!(global), "all").wait()?.entries, 2_000),
            1 => clock.advance(seconds(3_601)),
            2 => assert_eq!(cache.clear().wait()?.entries, 2_000),
            _ => {
                for key in 0..2_000 {
                    region.remove(scope!(org = key % 100), &key).wait()?;
                }
            }
        }
        cache.maintain();
        let stats = cache.stats();
        assert_eq!(
            (stats.entries, stats.scopes, stats.tag_sets, census.count()),
            (0, 0, 0, 0),
            "round {round}"
        );
    }
    Ok(())
}

#[test]
fn scope_with_tagged_entries_is_kept_and_listed_as_one() -> Outcome {
    let (cache, _) = small(1_000)?;
    for tag in ["a", "b", "c"] {
        cache.set(scope!(org = "acme"), tag, 1).tag(tag).wait()?;
    }
    cache.maintain();
    assert_eq!((cache.stats().scopes, cache.stats().tag_sets), (1, 3));
    let top = cache.top_scopes("org", strata_cache::Rank::Entries, 10)?;
    assert_eq!((top.len(), top[0].path.to_string(), top[0].report.entries), (1, "org:acme".to_owned(), 3));
    Ok(())
}

#[test]
fn bad_tags_are_refused_before_anything_changes() -> Outcome {
    let (cache, _) = small(1_000)?;
    let place = cache.scope(scope!(org = "acme"))?;
    place.set("k", 1).tag("good").wait()?;
    let long = "x".repeat(257);
    for bad in ["", "a\tb", &long] {
        assert_eq!(kind(place.set("k", 2).tag(bad).wait()), Some(ErrorKind::InvalidTag));
        assert_eq!(kind(place.invalidate_tag(bad).wait()), Some(ErrorKind::InvalidTag));
        let load = place.get_or_load_with("new", || Ok::<_, Error>(3)).tag(bad).wait();
        assert!(
            matches!(load, Err(strata_cache::LoadError::Cache(error)) if error.kind() == ErrorKind::InvalidTag)
        );
    }
    let many = (0..17).map(|number| number.to_string());
    let error = place.set("k", 2).tags(many.clone()).wait().expect_err("17 are too many");
    assert!(error.kind() == ErrorKind::InvalidTag && error.to_string().contains("16"), "{error}");
    place.set("l", 2).tags(many.take(16)).tag("3").wait()?;
    assert_eq!(place.invalidate_tag("15").wait()?.entries, 1);
    assert_eq!(place.get::<i32>("k").wait()?.as_deref(), Some(&1));
    assert_eq!(place.invalidate_tag("good").wait()?.entries, 1);
    Ok(())
}

#[test]
fn surplus_ids_are_refused_and_absent_scopes_have_no_tags() -> Outcome {
    let (cache, _) = small(1_000)?;
    cache.set(scope!(org = "acme"), "k", 1).tag("a").wait()?;
    let ids = [("org_id", "acme"), ("user_id", "1")];
    assert_eq!(kind(cache.invalidate_tag(("org", &ids), "a").wait()), Some(ErrorKind::InvalidPath));
    assert_eq!(cache.invalidate_tag(scope!(org = "nobody"), "a").wait()?.entries, 0);
    assert_eq!(cache.stats().scopes, 1, "nothing was made");
    assert_eq!(cache.invalidate_tag(scope!(org = "acme"), "a").wait()?.entries, 1);
    Ok(())
}

#[test]
fn tag_outside_of_a_load_is_refused_with_advice() {
    let error = tag_load("a").expect_err("no load runs");
    assert_eq!(error.kind(), ErrorKind::NoLoad);
    assert!(error.to_string().contains("loader"), "{error}");
}

#[test]
fn hits_of_tagged_entries_are_hits_and_keep_them() -> Outcome {
    let (cache, _) = small(1_000)?;
    let region = numbers(&cache)?;
    let place = cache.scope(scope!(org = "acme"))?;
    region.set(&place, 1, 1).tag("a").wait()?;
    for _ in 0..100 {
        assert_eq!(region.get_now(&place, &1)?, Some(1));
    }
    assert_eq!(
        region.get_or_load_with(&place, &1, || Err::<u64, _>("not to be loaded")).tag("b").wait().ok(),
        Some(1)
    );
    assert_eq!(place.invalidate_tag("b").wait()?.entries, 0, "what is there keeps its tags");
    let stats = cache.stats();
    assert_eq!((stats.hits, stats.misses), (101, 0));
    Ok(())
}
