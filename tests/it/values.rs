//! What is stored and under which key: absent and empty, types, keys, settings that cannot be honoured.

use std::hash::{Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use strata_cache::{Cache, Equivalent, ErrorKind, IntoTtl, LoadError, Policy, Region, ToKey, scope};

use crate::support::{Census, Member, Outcome, kind, seconds, small, still};

// ------------------------------------------------------------------------------------------------ absent and empty

#[test]
fn absent_differs_from_every_value_that_was_stored() -> Outcome {
    let (cache, _) = small(100)?;
    let acme = cache.scope(scope!(org = "acme"))?;
    acme.set("none", None::<u64>).wait()?;
    acme.set("unit", ()).wait()?;
    acme.set("false", false).wait()?;
    acme.set("empty", String::new()).wait()?;
    assert_eq!(acme.get::<Option<u64>>("none").wait()?.as_deref(), Some(&None));
    assert_eq!(acme.get::<()>("unit").wait()?.as_deref(), Some(&()));
    assert_eq!(acme.get::<bool>("false").wait()?.as_deref(), Some(&false));
    assert_eq!(acme.get::<String>("empty").wait()?.as_deref(), Some(&String::new()));
    assert_eq!(acme.get::<Option<u64>>("absent").wait()?, None);
    assert_eq!(acme.get::<()>("").wait()?, None, "an empty key is a key");
    acme.set("", ()).wait()?;
    assert!(acme.contains("").wait()?);
    let region: Region<(), Option<u64>> = cache.region("options")?;
    assert_eq!(region.get_now(&acme, &())?, None);
    region.set(&acme, (), None).wait()?;
    assert_eq!(region.get_now(&acme, &())?, Some(None));
    assert_eq!(region.pop(&acme, &()).wait()?, Some(None));
    Ok(())
}

#[test]
fn load_of_none_is_a_value_and_of_an_error_is_not() -> Outcome {
    let (cache, _) = small(100)?;
    let acme = cache.scope(scope!(org = "acme"))?;
    let runs = AtomicU64::new(0);
    let load = |outcome: Result<Option<u64>, &'static str>| {
        acme.get_or_load_with("k", || {
            runs.fetch_add(1, Ordering::Relaxed);
            outcome
        })
        .wait()
    };
    assert!(matches!(load(Err("down")), Err(LoadError::Load("down"))));
    assert!(!acme.contains("k").wait()?);
    assert_eq!(load(Ok(None)).ok().as_deref(), Some(&None));
    assert_eq!(load(Ok(Some(1))).ok().as_deref(), Some(&None), "it was there");
    assert_eq!(runs.load(Ordering::Relaxed), 2);
    let stats = cache.stats();
    assert_eq!((stats.loads, stats.load_failures, stats.hits, stats.misses), (2, 1, 1, 2));
    Ok(())
}

// --------------------------------------------------------------------------------------------------------- types

#[test]
fn value_of_another_type_is_an_error_and_stays() -> Outcome {
    let (cache, _) = small(100)?;
    let acme = cache.scope(scope!(org = "acme"))?;
    acme.set("k", 7u64).wait()?;
    assert_eq!(kind(acme.get::<u32>("k").wait()), Some(ErrorKind::TypeMismatch));
    assert_eq!(kind(acme.peek::<String>("k").wait()), Some(ErrorKind::TypeMismatch));
    assert_eq!(kind(acme.pop::<i64>("k").wait()), Some(ErrorKind::TypeMismatch));
    let load = acme.get_or_load_with("k", || -> Result<String, ()> { panic!("there is something") }).wait();
    assert!(matches!(load, Err(LoadError::Cache(error)) if error.kind() == ErrorKind::TypeMismatch));
    assert!(acme.contains("k").wait()?);
    assert_eq!(acme.get::<u64>("k").wait()?.as_deref(), Some(&7), "left as it was");
    let said = acme.get::<u32>("k").wait().expect_err("another type").to_string();
    assert!(said.contains("u32"), "{said}");
    assert_eq!(cache.stats().removed, 0);
    acme.set("k", "text").wait()?;
    assert_eq!(
        acme.get::<&str>("k").wait()?.as_deref(),
        Some(&"text"),
        "set replaces a value of another type"
    );
    assert_eq!(cache.stats().replaced, 1);
    assert!(acme.remove("k").wait()?, "removed whatever it is");
    Ok(())
}

#[test]
fn programmatic_values_are_shared_and_regions_clone() -> Outcome {
    let (cache, _) = small(100)?;
    let acme = cache.scope(scope!(org = "acme"))?;
    let census = Census::default();
    acme.set("k", census.member()).wait()?;
    let (a, b) = (acme.get::<Member>("k").wait()?, acme.get::<Member>("k").wait()?);
    assert!(a.zip(b).is_some_and(|(a, b)| Arc::ptr_eq(&a, &b)));
    assert_eq!(census.count(), 1);
    let held = acme.pop::<Member>("k").wait()?;
    assert_eq!((held.is_some(), census.count()), (true, 1), "a reader's value outlives the entry");
    drop(held);
    assert_eq!(census.count(), 0);
    let region: Region<u64, Member> = cache.region("members")?;
    region.set(&acme, 1, census.member()).wait()?;
    let clone = region.get_now(&acme, &1)?;
    assert_eq!((clone.is_some(), census.count()), (true, 2));
    Ok(())
}

#[test]
fn region_is_of_one_type() -> Outcome {
    let (cache, _) = small(100)?;
    let reports: Region<String, u64> = cache.region("reports")?;
    assert_eq!(kind(cache.region::<String, u32>("reports")), Some(ErrorKind::TypeMismatch));
    assert_eq!(kind(cache.region::<u64, u64>("reports")), Some(ErrorKind::TypeMismatch));
    let same: Region<String, u64> = cache.region("reports")?;
    reports.set(scope!(global), "k".to_owned(), 7).wait()?;
    assert_eq!(same.get_now(scope!(global), "k")?, Some(7), "one region, two handles");
    assert_eq!(kind(cache.region::<u64, u64>("")), Some(ErrorKind::InvalidConfig));
    let zero = cache.region_builder::<u64, u64>("limited").max_per_scope(0).open();
    assert_eq!(kind(zero), Some(ErrorKind::InvalidConfig));
    assert_eq!(kind(cache.region_builder::<u64, u64>("timed").ttl(0).open()), Some(ErrorKind::InvalidTtl));
    assert_eq!(cache.stats().regions, 2, "what was refused was not opened");
    Ok(())
}

#[test]
fn regions_and_programmatic_keys_are_apart() -> Outcome {
    let (cache, _) = small(100)?;
    let acme = cache.scope(scope!(org = "acme"))?;
    let one: Region<String, u64> = cache.region("one")?;
    let two: Region<String, u64> = cache.region("two")?;
    acme.set("k", 0u64).wait()?;
    one.set(&acme, "k".to_owned(), 1).wait()?;
    assert_eq!(two.get_now(&acme, "k")?, None);
    two.set(&acme, "k".to_owned(), 2).wait()?;
    assert!(one.remove(&acme, "k").wait()?);
    assert_eq!(two.get_now(&acme, "k")?, Some(2));
    assert_eq!(acme.get::<u64>("k").wait()?.as_deref(), Some(&0));
    Ok(())
}

// ---------------------------------------------------------------------------------------------------------- keys

#[test]
fn key_that_is_too_long_is_refused_by_every_verb() -> Outcome {
    let (cache, _) = small(100)?;
    let acme = cache.scope(scope!(org = "acme"))?;
    let (longest, longer) = ("k".repeat(4096), "k".repeat(4097));
    acme.set(&longest, 1).wait()?;
    assert!(acme.contains(&longest).wait()?);
    let refused = [
        kind(acme.set(&longer, 1).wait()),
        kind(acme.get::<i32>(&longer).wait()),
        kind(acme.peek::<i32>(&longer).wait()),
        kind(acme.contains(&longer).wait()),
        kind(acme.remove(&longer).wait()),
        kind(acme.invalidate(&longer).wait()),
        kind(acme.pop::<i32>(&longer).wait()),
    ];
    assert_eq!(refused, [Some(ErrorKind::InvalidKey); 7]);
    let load = acme.get_or_load_with(&longer, || -> Result<i32, ()> { panic!("not for this key") }).wait();
    let said = match load {
        Err(LoadError::Cache(error)) => error,
        other => panic!("not refused: {other:?}"),
    };
    assert_eq!(said.kind(), ErrorKind::InvalidKey);
    assert!(!said.to_string().contains("kkk"), "no error repeats a key");
    let cache = still().0.max_key_bytes(3).build()?;
    cache.set(scope!(global), "abc", 1).wait()?;
    assert_eq!(
        kind(cache.set(scope!(global), "é..", 1).wait()),
        Some(ErrorKind::InvalidKey),
        "bytes, not letters"
    );
    Ok(())
}

/// A key of two parts, and a view that borrows both.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct ReportKey {
    name: String,
    month: u8,
}

#[derive(Hash)]
struct ReportView<'a> {
    name: &'a str,
    month: u8,
}

impl Equivalent<ReportKey> for ReportView<'_> {
    fn equivalent(&self, key: &ReportKey) -> bool {
        self.name == key.name && self.month == key.month
    }
}

impl ToKey<ReportKey> for ReportView<'_> {
    fn to_key(&self) -> ReportKey {
        ReportKey { name: self.name.to_owned(), month: self.month }
    }
}

#[test]
fn keys_are_looked_up_borrowed() -> Outcome {
    let (cache, _) = small(100)?;
    let acme = cache.scope(scope!(org = "acme"))?;
    let reports: Region<ReportKey, u64> = cache.region("reports")?;
    let view = ReportView { name: "sales", month: 3 };
    assert_eq!(reports.get_or_load_with(&acme, &view, || Ok::<_, ()>(7)).wait().expect("loads"), 7);
    assert_eq!(reports.get_now(&acme, &view)?, Some(7));
    assert_eq!(reports.get_now(&acme, &ReportKey { name: "sales".to_owned(), month: 3 })?, Some(7));
    assert_eq!(reports.get_now(&acme, &ReportView { name: "sales", month: 4 })?, None);
    assert_eq!(reports.peek(&acme, &view).wait()?, Some(7));
    assert!(reports.contains(&acme, &view).wait()?);
    assert_eq!(reports.pop(&acme, &view).wait()?, Some(7));
    let texts: Region<String, u64> = cache.region("texts")?;
    texts.get_or_load_with(&acme, "k", || Ok::<_, ()>(1)).wait().expect("loads");
    assert!(texts.invalidate(&acme, "k").wait()?);
    let lists: Region<Vec<u8>, u64> = cache.region("lists")?;
    lists.set(&acme, vec![1, 2], 12).wait()?;
    assert_eq!(lists.get_now(&acme, &[1u8, 2][..])?, Some(12));
    Ok(())
}

/// A key whose hash is the same for all.
#[derive(Debug, Clone, PartialEq, Eq)]
struct SameHash(u64);

impl Hash for SameHash {
    fn hash<H: Hasher>(&self, _: &mut H) {}
}

#[test]
fn hash_that_is_the_same_for_all_changes_speed_only() -> Outcome {
    let (cache, _) = small(300)?;
    let region: Region<SameHash, u64> = cache.region("alike")?;
    let users = [cache.scope(scope!(org = 1, user = 1))?, cache.scope(scope!(org = 1, user = 2))?];
    for key in 0..200 {
        for (user, scope) in (0..).zip(&users) {
            region.set(scope, SameHash(key), key * 10 + user).wait()?;
        }
    }
    for key in 50..200 {
        for (user, scope) in (0..).zip(&users) {
            assert_eq!(region.get_now(scope, &SameHash(key))?, Some(key * 10 + user));
        }
    }
    assert_eq!(region.get_now(&users[0], &SameHash(49))?, None, "the bound and the order hold too");
    for key in (50..200).step_by(2) {
        assert!(region.remove(&users[0], &SameHash(key)).wait()?);
    }
    for key in 50..200 {
        assert_eq!(region.get_now(&users[0], &SameHash(key))?, (key % 2 == 1).then_some(key * 10));
        assert_eq!(region.get_now(&users[1], &SameHash(key))?, Some(key * 10 + 1));
    }
    Ok(())
}

static EQ_PANICS: AtomicBool = AtomicBool::new(false);

/// A key that panics when it is compared, while that is switched on.
#[derive(Debug, Clone)]
struct Touchy(u64);

impl Hash for Touchy {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}

impl PartialEq for Touchy {
    fn eq(&self, other: &Self) -> bool {
        assert!(!EQ_PANICS.load(Ordering::SeqCst), "a key of the test");
        self.0 == other.0
    }
}

impl Eq for Touchy {}

#[test]
fn key_whose_comparison_panics_leaves_the_shard_sound() -> Outcome {
    let (cache, _) = small(10)?;
    let acme = cache.scope(scope!(org = "acme"))?;
    let region: Region<Touchy, u64> = cache.region("touchy")?;
    for key in 0..10 {
        region.set(&acme, Touchy(key), key).wait()?;
    }
    let verbs: [&dyn Fn(); 7] = [
        &|| drop(region.get_now(&acme, &Touchy(1))),
        &|| drop(region.peek(&acme, &Touchy(1)).wait()),
        &|| drop(region.set(&acme, Touchy(1), 10).wait()),
        &|| drop(region.remove(&acme, &Touchy(1))),
        &|| drop(region.pop(&acme, &Touchy(1))),
        &|| drop(region.invalidate(&acme, &Touchy(1))),
        &|| drop(region.get_or_load_with(&acme, &Touchy(1), || Ok::<_, ()>(10)).wait()),
    ];
    for (verb, call) in verbs.into_iter().enumerate() {
        EQ_PANICS.store(true, Ordering::SeqCst);
        assert!(catch_unwind(AssertUnwindSafe(call)).is_err(), "verb {verb} compares");
        EQ_PANICS.store(false, Ordering::SeqCst);
        assert_eq!(region.get_now(&acme, &Touchy(1))?, Some(1), "verb {verb}");
    }
    // While a load runs, its key is compared too.
    region.remove(&acme, &Touchy(1)).wait()?;
    let loaded = region
        .get_or_load_with(&acme, &Touchy(1), || {
            for call in &verbs[2..6] {
                EQ_PANICS.store(true, Ordering::SeqCst);
                assert!(catch_unwind(AssertUnwindSafe(call)).is_err());
                EQ_PANICS.store(false, Ordering::SeqCst);
            }
            Ok::<_, ()>(11)
        })
        .wait();
    assert_eq!(loaded.expect("loads"), 11);
    assert_eq!(region.get_now(&acme, &Touchy(1))?, Some(11), "a verb that panicked withdrew nothing");
    for key in 10..15 {
        region.set(&acme, Touchy(key), key).wait()?;
    }
    let stats = region.stats();
    assert_eq!((stats.entries, stats.flights, stats.evicted), (10, 0, 5));
    assert_eq!(stats.inserts, stats.entries + stats.removed + stats.evicted);
    assert_eq!(acme.evict_by_scope().wait()?.entries, 10);
    assert_eq!(cache.stats().scopes, 1, "the handle's");
    Ok(())
}

// ---------------------------------------------------------------------------------------------- times that are none

#[test]
fn time_that_is_none_is_refused_wherever_it_is_given() -> Outcome {
    let refused = |ttl: &dyn Fn() -> strata_cache::Result<strata_cache::Ttl>| {
        kind(ttl()) == Some(ErrorKind::InvalidTtl)
    };
    assert!(
        refused(&|| 0.into_ttl()) && refused(&|| 0u64.into_ttl()) && refused(&|| Duration::ZERO.into_ttl())
    );
    assert!(refused(&|| (-1).into_ttl()) && refused(&|| i64::MIN.into_ttl()));
    assert!(
        refused(&|| u64::MAX.into_ttl())
            && refused(&|| i64::MAX.into_ttl())
            && refused(&|| Duration::MAX.into_ttl())
    );
    let texts = [
        "",
        " ",
        "0",
        "0s",
        "0ms",
        "0h0m",
        "-1",
        "-1s",
        "-0",
        "+1s",
        "1",
        "1.5s",
        "1 s",
        " 1s",
        "1s ",
        "s",
        "1x",
        "1S",
        "1m1h",
        "1s1s",
        "1h30",
        "ever",
        "Never",
        "NaN",
        "inf",
        "1e9",
        "0x10",
        "１s",
        "1d-1h",
        "99999999999999999999s",
        "18446744073709551615s",
        "18446744073709551615d",
        "584y",
        "213504d",
        "1s\0",
    ];
    for text in texts {
        let read = kind(text.into_ttl());
        assert_eq!(read, (text != "1").then_some(ErrorKind::InvalidTtl), "{text:?}");
    }
    assert_eq!("never".into_ttl()?, strata_cache::Ttl::never());
    let (cache, _) = small(10)?;
    let region: Region<u64, u64> = cache.region("numbers")?;
    let acme = cache.scope(scope!(org = "acme"))?;
    acme.set("k", 1).wait()?;
    assert_eq!(kind(acme.set("k", 2).ttl(0).wait()), Some(ErrorKind::InvalidTtl));
    assert_eq!(
        kind(acme.set("k", 2).ttl("soon").weight(1).ttl(1).wait()),
        Some(ErrorKind::InvalidTtl),
        "not forgotten"
    );
    assert_eq!(kind(region.set(&acme, 1, 1).ttl(-5).wait()), Some(ErrorKind::InvalidTtl));
    assert_eq!(acme.get::<i32>("k").wait()?.as_deref(), Some(&1), "a failed set leaves the old value");
    let load =
        acme.get_or_load_with("l", || -> Result<i32, ()> { panic!("not with this time") }).ttl("0s").wait();
    assert!(matches!(load, Err(LoadError::Cache(error)) if error.kind() == ErrorKind::InvalidTtl));
    assert_eq!(kind(Cache::builder().ttl("-1s").build()), Some(ErrorKind::InvalidTtl));
    Ok(())
}

#[test]
fn deadline_beyond_the_clock_is_refused_and_a_load_is_served_unstored() -> Outcome {
    let (cache, clock) = small(10)?;
    let acme = cache.scope(scope!(org = "acme"))?;
    let longest = Duration::from_nanos(u64::MAX - 1);
    acme.set("k", 1).ttl(longest - seconds(1)).wait()?;
    clock.advance(seconds(10));
    assert_eq!(kind(acme.set("k", 2).ttl(longest).wait()), Some(ErrorKind::InvalidTtl));
    assert_eq!(acme.get::<i32>("k").wait()?.as_deref(), Some(&1));
    assert_eq!(*acme.get_or_load_with("l", || Ok::<_, ()>(3)).ttl(longest).wait().expect("is served"), 3);
    assert!(!acme.contains("l").wait()?);
    assert_eq!(cache.stats().flights, 0);
    Ok(())
}

// -------------------------------------------------------------------------------------------------------- settings

#[test]
fn setting_that_cannot_be_honoured_is_a_typed_error() {
    let cases = [
        (kind(Cache::builder().capacity(0).build()), ErrorKind::InvalidConfig),
        (kind(Cache::builder().capacity_bytes(0).build()), ErrorKind::InvalidConfig),
        (kind(Cache::builder().capacity_bytes(-1).build()), ErrorKind::InvalidConfig),
        (kind(Cache::builder().capacity_bytes("0MB").build()), ErrorKind::InvalidConfig),
        (kind(Cache::builder().capacity_bytes("lots").build()), ErrorKind::InvalidConfig),
        (kind(Cache::builder().policy("mru").build()), ErrorKind::InvalidConfig),
        (kind(Cache::builder().policy("").build()), ErrorKind::InvalidConfig),
        (kind(Cache::builder().ttl(0).build()), ErrorKind::InvalidTtl),
        (kind(Cache::builder().track_lookups(["usr"]).build()), ErrorKind::UnknownLevel),
        (kind(Cache::builder().load_lease(Duration::ZERO).build()), ErrorKind::InvalidConfig),
        (kind(Cache::builder().load_patience(Duration::ZERO).build()), ErrorKind::InvalidConfig),
        (kind(Cache::builder().max_key_bytes(0).build()), ErrorKind::InvalidConfig),
    ];
    for (place, (found, expected)) in cases.into_iter().enumerate() {
        assert_eq!(found, Some(expected), "case {place}");
    }
    let unknown = Cache::builder().policy("lfru").build().expect_err("no such policy").to_string();
    assert!(unknown.contains("lru, lfu, fifo") && unknown.contains("did you mean"), "{unknown}");
    for name in ["lru", "LFU", "Fifo"] {
        assert!(name.parse::<Policy>().is_ok(), "{name}");
    }
}

#[test]
fn builder_lists_all_faults_at_once() {
    let error = Cache::builder()
        .capacity(0)
        .capacity_bytes("lots")
        .policy("mru")
        .ttl("-3s")
        .track_lookups(["org", "usr", "orgs"])
        .load_lease(Duration::ZERO)
        .load_patience(Duration::ZERO)
        .max_key_bytes(0)
        .build()
        .expect_err("everything is wrong");
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    assert_eq!(error.context().find(|(name, _)| *name == "faults").map(|(_, count)| count), Some("9"));
    let said = error.to_string();
    let parts = [
        "option: capacity }",
        "capacity_bytes",
        "`mru`",
        "-3s",
        "usr",
        "orgs",
        "load_lease",
        "load_patience",
        "max_key_bytes",
    ];
    for part in parts {
        assert!(said.contains(part), "{part}: {said}");
    }
}

#[test]
fn names_of_the_librarys_own_regions_are_refused() -> Outcome {
    let (cache, _) = small(10)?;
    let refused = cache.region::<String, u32>("strata_cache::keys").map(|_| ());
    assert_eq!(kind(refused), Some(ErrorKind::InvalidConfig));
    Ok(())
}

#[test]
fn cache_is_installed_before_the_first_use_or_not_at_all() -> Outcome {
    let (cache, _) = small(10)?;
    // Used by whichever test of this binary comes first.
    let _ = strata_cache::default_cache();
    assert_eq!(kind(strata_cache::install(cache)), Some(ErrorKind::AlreadyInstalled));
    Ok(())
}
