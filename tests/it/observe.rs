//! What can be seen from outside: events without keys and values, counters in total, per region and per scope.

use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use strata_cache::{Cache, ErrorKind, Region, Scope, Stats, cached, scope};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use crate::support::{Outcome, alone, kind, seconds, small, still};

// ------------------------------------------------------------------------------------------------------- events

/// One event: level, message, and all fields as text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Seen {
    level: String,
    message: String,
    fields: Vec<(&'static str, String)>,
}

impl Seen {
    fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }
}

impl Visit for Seen {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        match field.name() {
            "message" => self.message = format!("{value:?}"),
            name => self.fields.push((name, format!("{value:?}"))),
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.fields.push((field.name(), value.to_owned()));
    }
}

#[derive(Clone, Default)]
struct Witness(Arc<Mutex<Vec<Seen>>>);

impl<S: Subscriber> Layer<S> for Witness {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut seen = Seen { level: event.metadata().level().to_string(), ..Seen::default() };
        event.record(&mut seen);
        // Not only the fields: names and targets are text too.
        seen.fields.push(("target", event.metadata().target().to_owned()));
        self.0.lock().expect("no witness panics").push(seen);
    }
}

/// All events of this thread while something runs. To be asked in a process of one's own: what is enabled is decided for
/// all threads, and other tests' subscribers would have a say.
fn witnessed(run: impl FnOnce() -> Outcome) -> Result<Vec<Seen>, Box<dyn std::error::Error>> {
    let witness = Witness::default();
    let subscriber = tracing_subscriber::registry().with(witness.clone());
    tracing::subscriber::with_default(subscriber, run)?;
    let seen = witness.0.lock().expect("no witness panics").clone();
    Ok(seen)
}

const KEY: &str = "KEYTEXT";
const VALUE: &str = "VALUETEXT";

fn value() -> String {
    VALUE.to_owned()
}

/// Every verb once, in programmatic keys and in a region, with success and without.
fn everything(cache: &Cache, advance: impl Fn()) -> Outcome {
    let acme = cache.scope(scope!(org = "acme", user = 42))?;
    let fails = || Err::<String, String>(value());
    let texts: Region<String, String> = cache.region_builder("texts").max_per_scope(2).open()?;
    acme.get::<String>(KEY).wait()?;
    acme.set(KEY, value()).wait()?;
    acme.get::<String>(KEY).wait()?;
    acme.peek::<String>(KEY).wait()?;
    acme.contains(KEY).wait()?;
    let _ = acme.get::<u8>(KEY).wait();
    let _ = acme.pop::<u8>(KEY).wait();
    acme.pop::<String>(KEY).wait()?;
    acme.get_or_load_with(KEY, fails).wait().expect_err("the loader fails");
    acme.get_or_load_with(KEY, || Ok::<_, ()>(value())).wait().expect("the loader loads");
    acme.get_or_load_with(KEY, fails).wait().expect("it is there");
    acme.get_or_load_with("KEYTEXT unstored", || Ok::<_, ()>(value())).weight(0).wait().expect("is served");
    let _ = acme.set(KEY, value()).weight(0).wait();
    let _ = acme.set(KEY, value()).ttl(VALUE).wait();
    acme.remove(KEY).wait()?;
    for key in 0..5 {
        texts.set(&acme, format!("{KEY} {key}"), value()).ttl("5s").wait()?;
    }
    texts.get_now(&acme, KEY)?;
    texts.get_now(&acme, "KEYTEXT 4")?;
    texts.get(&acme, "KEYTEXT 4").wait()?;
    texts.get_or_load_with(&acme, KEY, fails).wait().expect_err("the loader fails");
    texts.get_or_load_with(&acme, KEY, || Ok::<_, ()>(value())).wait().expect("the loader loads");
    texts.invalidate(&acme, KEY).wait()?;
    advance();
    cache.maintain();
    acme.set(KEY, value()).wait()?;
    acme.evict_by_scope().wait()?;
    acme.set(KEY, value()).wait()?;
    cache.set_capacity(1)?;
    acme.set("KEYTEXT again", value()).wait()?;
    texts.invalidate_scope(&acme).wait()?;
    cache.clear().wait()?;
    Ok(())
}

#[test]
fn events_name_region_and_scope_and_never_key_or_value() -> Outcome {
    alone("observe::events_name_region_and_scope_and_never_key_or_value", || {
        let mut stats = Stats::default();
        let seen = witnessed(|| {
            let (builder, clock) = still();
            let cache = builder.capacity(100).on_removal(|_| panic!("{VALUE}")).build()?;
            everything(&cache, || clock.advance(seconds(5)))?;
            stats = cache.stats();
            Ok(())
        })?;
        for event in &seen {
            let said = format!("{event:?}");
            assert!(!said.contains(KEY) && !said.contains(VALUE), "{said}");
            assert_eq!(event.field("target"), Some("strata_cache"), "{said}");
        }
        let of = |message: &str| seen.iter().filter(|event| event.message == message).collect::<Vec<_>>();
        let expected = [
            ("hit", "TRACE"),
            ("miss", "TRACE"),
            ("load", "DEBUG"),
            ("load failure", "DEBUG"),
            ("eviction", "DEBUG"),
            ("expiry sweep", "DEBUG"),
            ("scope evicted", "INFO"),
            ("cache built", "INFO"),
            ("capacity changed", "INFO"),
            ("user code panicked", "ERROR"),
        ];
        for (message, level) in expected {
            let events = of(message);
            assert!(!events.is_empty(), "{message}: {seen:#?}");
            assert!(events.iter().all(|event| event.level == level), "{message}");
        }
        for message in ["hit", "load", "load failure", "eviction"] {
            for event in of(message) {
                assert_eq!(event.field("scope"), Some("org:acme/user:42"), "{event:?}");
                assert!(matches!(event.field("region"), Some("texts" | "strata_cache::keys")), "{event:?}");
            }
        }
        assert!(of("miss").iter().all(|event| event.field("region").is_some()));
        let evicted: Vec<_> = of("scope evicted").iter().map(|event| event.field("entries")).collect();
        assert_eq!(evicted, [Some("1"), Some("1")], "with how many entries went");
        let counts =
            ["hit", "miss", "load", "load failure", "eviction"].map(|message| of(message).len() as u64);
        let counted = [stats.hits, stats.misses, stats.loads, stats.load_failures, stats.evicted];
        assert_eq!(counts, counted, "what is counted is told");
        Ok(())
    })
}

/// A cached function that has secrets.
#[cached(scope = "org")]
fn guarded(org_id: &str, name: &str) -> Result<String, String> {
    if name.ends_with("fails") { Err(format!("{VALUE} {org_id}")) } else { Ok(value()) }
}

#[test]
fn events_of_a_cached_function_say_its_name_and_nothing_it_was_given() -> Outcome {
    alone("observe::events_of_a_cached_function_say_its_name_and_nothing_it_was_given", || {
        let seen = witnessed(|| {
            guarded("observed", KEY)?;
            guarded("observed", KEY)?;
            guarded("observed", "KEYTEXT fails").expect_err("the function fails");
            guarded::invalidate("observed", KEY).wait()?;
            Ok(())
        })?;
        // The default cache is everybody's: what its maintenance says on this thread is not this function's.
        let own: Vec<&Seen> = seen.iter().filter(|event| event.field("region").is_some()).collect();
        let told: Vec<&str> = own.iter().map(|event| event.message.as_str()).collect();
        assert_eq!(told, ["miss", "load", "hit", "miss", "load", "load failure"]);
        for event in own {
            let said = format!("{event:?}");
            assert!(!said.contains(KEY) && !said.contains(VALUE), "{said}");
            assert!(
                event.field("region").is_some_and(|region| region.ends_with("observe::guarded")),
                "{said}"
            );
        }
        Ok(())
    })
}

#[test]
fn nothing_prints_a_key_or_a_value() -> Outcome {
    let (cache, _) = small(10)?;
    let acme = cache.scope(scope!(org = "acme"))?;
    let texts: Region<String, String> = cache.region("texts")?;
    texts.set(&acme, KEY.to_owned(), value()).wait()?;
    acme.set(KEY, value()).wait()?;
    let operations = [
        format!("{:?}", acme.get::<String>(KEY)),
        format!("{:?}", acme.set(KEY, value())),
        format!("{:?}", acme.get_or_load_with(KEY, || Ok::<_, String>(value()))),
        format!("{:?}", acme.remove(KEY)),
        format!("{:?}", texts.get(&acme, KEY)),
        format!("{cache:?} {acme:?} {texts:?} {:?}", cache.stats()),
        format!("{:?}", acme.set(KEY, value()).weight(0).wait()),
        format!("{:?}", acme.set(&KEY.repeat(1_000), value()).wait()),
        format!("{:?}", acme.get::<u8>(KEY).wait()),
    ];
    for said in operations {
        assert!(!said.contains(KEY) && !said.contains(VALUE), "{said}");
    }
    Ok(())
}

#[test]
fn removal_that_could_not_act_is_logged_if_nobody_reads_its_report() -> Outcome {
    alone("observe::removal_that_could_not_act_is_logged_if_nobody_reads_its_report", || {
        let cache = Cache::builder().build()?;
        let seen = witnessed(|| {
            drop(cache.evict_by_scope(scope!(orgg = 1)));
            assert!(
                cache.evict_by_scope(scope!(orgg = 2)).wait().is_err(),
                "a report that is read is no event"
            );
            drop(cache.evict_by_scope(scope!(org = 1)));
            Ok(())
        })?;
        let warnings: Vec<_> = seen.iter().filter(|seen| seen.level == "WARN").collect();
        assert_eq!(warnings.len(), 1, "{seen:?}");
        assert!(warnings[0].field("error").is_some_and(|error| error.contains("unknown level")));
        Ok(())
    })
}

#[test]
fn nothing_is_formatted_while_nobody_listens() -> Outcome {
    alone("observe::nothing_is_formatted_while_nobody_listens", || {
        struct Nobody(Arc<Mutex<u32>>);
        impl<S: Subscriber> Layer<S> for Nobody {
            fn enabled(&self, metadata: &tracing::Metadata<'_>, _: Context<'_, S>) -> bool {
                *metadata.level() <= Level::INFO
            }
            fn on_event(&self, _: &Event<'_>, _: Context<'_, S>) {
                *self.0.lock().expect("no witness panics") += 1;
            }
        }
        let heard = Arc::new(Mutex::new(0));
        let subscriber = tracing_subscriber::registry().with(Nobody(Arc::clone(&heard)));
        tracing::subscriber::with_default(subscriber, || -> Outcome {
            let (cache, _) = small(10)?;
            for key in 0..100 {
                cache.set(scope!(global), &key.to_string(), ()).wait()?;
                cache.get::<()>(scope!(global), &key.to_string()).wait()?;
            }
            Ok(())
        })?;
        assert_eq!(*heard.lock().expect("no witness panics"), 1, "of the building of the cache");
        Ok(())
    })
}

#[test]
fn busy_thread_tells_of_look_ups_soon_after_somebody_listens() -> Outcome {
    alone("observe::busy_thread_tells_of_look_ups_soon_after_somebody_listens", || {
        let cache = Cache::builder().capacity(100).build()?;
        let region: Region<u64, u64> = cache.region("numbers")?;
        let acme = cache.scope(scope!(org = "acme"))?;
        region.set(&acme, 1, 1).wait()?;
        let look = |times: u64| -> Outcome {
            for _ in 0..times {
                assert_eq!(region.get_now(&acme, &1)?, Some(1));
            }
            Ok(())
        };
        look(1_000)?;
        let told = witnessed(|| look(200))?.iter().filter(|seen| seen.message == "hit").count();
        // As long as it looks at once it asks at every 32nd look-up.
        assert!((200 - 32..=200).contains(&told), "{told} of 200");
        look(1_000)?;
        assert_eq!(region.stats().hits, 2_200);
        Ok(())
    })
}

// ----------------------------------------------------------------------------------------------------- counters

#[test]
fn look_ups_in_thousands_of_organisations_are_counted_for_each() -> Outcome {
    const ORGS: u64 = 2_500;
    let cache = Cache::builder().capacity(100_000).build()?;
    let region: Region<u64, u64> = cache.region("numbers")?;
    let orgs: Vec<Scope> = (0..ORGS).map(|org| cache.scope(scope!(org = org))).collect::<Result<_, _>>()?;
    for (number, org) in (0..).zip(&orgs) {
        region.set(org, number, number).wait()?;
    }
    std::thread::scope(|threads| {
        for _ in 0..2 {
            threads.spawn(|| {
                for round in 0..40 {
                    for (number, org) in (0..).zip(&orgs) {
                        let is_there = number % 7 != 0 || round % 2 == 0;
                        let key = if is_there { number } else { ORGS };
                        assert_eq!(
                            region.get_now(org, &key).expect("it is this cache's").is_some(),
                            is_there
                        );
                    }
                }
            });
        }
    });
    for (number, org) in (0..ORGS).zip(&orgs) {
        let stats = org.stats()?;
        let misses = if number % 7 == 0 { 40 } else { 0 };
        assert_eq!((stats.hits, stats.misses), (80 - misses, misses), "organisation {number}");
    }
    assert_eq!(region.stats().lookups(), ORGS * 80);
    Ok(())
}

#[test]
fn each_kind_of_call_is_counted_once_and_as_what_it_is() -> Outcome {
    let (cache, _) = small(10)?;
    let acme = cache.scope(scope!(org = "acme"))?;
    let region: Region<u64, u64> = cache.region("numbers")?;
    let mut before = cache.stats();
    let mut changed = |act: &dyn Fn()| {
        act();
        let after = cache.stats();
        let fields = |stats: &Stats| {
            [
                ("hits", stats.hits),
                ("misses", stats.misses),
                ("peeks", stats.peeks),
                ("inserts", stats.inserts),
                ("loads", stats.loads),
                ("failures", stats.load_failures),
                ("replaced", stats.replaced),
                ("removed", stats.removed),
                ("invalidated", stats.invalidated),
                ("weight", stats.refused_weight),
                ("bypassed", stats.bypassed),
                ("waits", stats.coalesced_waits),
            ]
        };
        let changes = fields(&before).into_iter().zip(fields(&after)).filter(|(old, new)| old != new);
        let names: Vec<String> = changes.map(|(old, new)| format!("{} {}", new.0, new.1 - old.1)).collect();
        before = after;
        names.join(", ")
    };
    assert_eq!(changed(&|| drop(region.get_now(&acme, &1))), "misses 1");
    assert_eq!(changed(&|| drop(region.set(&acme, 1, 1).wait())), "inserts 1");
    assert_eq!(changed(&|| drop(region.set(&acme, 1, 2).wait())), "replaced 1");
    assert_eq!(changed(&|| drop(region.get_now(&acme, &1))), "hits 1");
    assert_eq!(changed(&|| drop(region.get(&acme, &1).wait())), "hits 1");
    assert_eq!(changed(&|| drop(region.peek(&acme, &1).wait())), "peeks 1");
    assert_eq!(changed(&|| drop(region.contains(&acme, &9).wait())), "peeks 1");
    assert_eq!(changed(&|| drop(region.remove(&acme, &1))), "removed 1");
    assert_eq!(changed(&|| drop(region.remove(&acme, &1))), "", "absent counts as nothing");
    assert_eq!(changed(&|| drop(region.pop(&acme, &1))), "");
    assert_eq!(changed(&|| drop(region.invalidate(&acme, &1))), "");
    let load = |outcome: Result<u64, ()>| drop(region.get_or_load_with(&acme, &1, move || outcome).wait());
    assert_eq!(changed(&|| load(Err(()))), "misses 1, loads 1, failures 1");
    assert_eq!(changed(&|| load(Ok(1))), "misses 1, inserts 1, loads 1", "one call is one lookup");
    assert_eq!(changed(&|| load(Ok(1))), "hits 1");
    assert_eq!(changed(&|| drop(region.invalidate(&acme, &1))), "invalidated 1");
    let weightless = || drop(region.get_or_load_with(&acme, &1, || Ok::<_, ()>(1)).weight(0).wait());
    assert_eq!(changed(&weightless), "misses 1, loads 1, weight 1");
    let inside = || {
        let nested = || region.get_or_load_with(&acme, &2, || Ok::<_, ()>(7)).wait().map_err(drop);
        drop(region.get_or_load_with(&acme, &2, nested).wait());
    };
    assert_eq!(changed(&inside), "misses 1, inserts 1, loads 1, bypassed 1", "a call inside its own load");
    assert_eq!(changed(&|| drop(acme.get::<u64>("k").wait())), "misses 1");
    assert_eq!(changed(&|| drop(acme.set("k", 1).weight(0).wait())), "");
    Ok(())
}

#[test]
fn counters_are_each_regions_own_and_add_up() -> Outcome {
    let (cache, _) = small(100)?;
    let acme = cache.scope(scope!(org = "acme"))?;
    let (one, two): (Region<u64, u64>, Region<u64, u64>) = (cache.region("one")?, cache.region("two")?);
    one.set(&acme, 1, 1).weight(3).wait()?;
    one.get_now(&acme, &1)?;
    two.get_now(&acme, &1)?;
    acme.set("k", 1).weight(4).wait()?;
    let (first, second) = (one.stats(), two.stats());
    assert_eq!((first.hits, first.misses, first.inserts, first.entries, first.weight), (1, 0, 1, 1, 3));
    assert_eq!((second.hits, second.misses, second.inserts, second.entries, second.weight), (0, 1, 0, 0, 0));
    let total = cache.stats();
    assert_eq!((total.hits, total.misses, total.inserts, total.entries, total.weight), (1, 1, 2, 2, 7));
    assert_eq!(total.hit_ratio(), 0.5);
    assert_eq!(cache.stats_of_region("one").map(|stats| stats.hits), Some(1));
    assert_eq!(cache.stats_of_region("strata_cache::keys").map(|stats| stats.weight), Some(4));
    assert!(cache.stats_of_region("three").is_none());
    Ok(())
}

/// Look-ups counted at a scope: hits and misses.
fn lookups(cache: &Cache, scope: &Scope) -> (u64, u64) {
    let report = cache.stats_of(scope).expect("the scope is of the cache");
    (report.hits, report.misses)
}

#[test]
fn scope_counts_what_happens_in_it_and_below() -> Outcome {
    let (builder, clock) = still();
    let cache = builder.capacity(100).track_lookups(["org", "user"]).build()?;
    let org = cache.scope(scope!(org = "acme"))?;
    let (ann, bob) =
        (cache.scope(scope!(org = "acme", user = "ann"))?, cache.scope(scope!(org = "acme", user = "bob"))?);
    let other = cache.scope(scope!(org = "other"))?;
    for scope in [&org, &ann, &bob, &other] {
        for key in ["replaced", "removed", "popped", "invalidated", "stays"] {
            scope.set(key, 1u64).weight(2).wait()?;
        }
        scope.set("replaced", 2u64).weight(3).wait()?;
        scope.set("expired", 1u64).ttl("1s").wait()?;
        scope.remove("removed").wait()?;
        scope.pop::<u64>("popped").wait()?;
        scope.invalidate("invalidated").wait()?;
        scope.get_or_load_with("loaded", || Ok::<_, ()>(1u64)).weight(5).wait().expect("loads");
        scope.get_or_load_with("failed", || Err::<u64, _>(())).wait().expect_err("fails");
    }
    clock.advance(seconds(1));
    let of = |scope: &Scope| {
        let report = cache.stats_of(scope).expect("the scope is of the cache");
        let causes = [report.expired, report.evicted, report.invalidated, report.removed, report.replaced];
        (report.entries, report.weight, report.loads, report.load_failures, causes)
    };
    assert_eq!(of(&ann), (3, 10, 1, 1, [1, 0, 1, 2, 1]));
    assert_eq!(of(&org), (9, 30, 3, 3, [3, 0, 3, 6, 3]), "a scope contains those below it");
    assert_eq!(of(&other), (3, 10, 1, 1, [1, 0, 1, 2, 1]));
    assert_eq!(of(&cache.scope(scope!(global))?), (12, 40, 4, 4, [4, 0, 4, 8, 4]));
    assert_eq!(ann.evict_by_scope().wait()?.entries, 3);
    assert_eq!(of(&org), (6, 20, 3, 3, [3, 0, 6, 6, 3]), "what went below counts above");
    ann.set("k", 1).weight(1).wait()?;
    assert_eq!((of(&ann).0, of(&org).0), (1, 7));
    ann.remove("k").wait()?;
    assert_eq!(of(&bob), (3, 10, 1, 1, [1, 0, 1, 2, 1]));
    assert_eq!(of(&org), (6, 20, 3, 3, [3, 0, 6, 7, 3]), "what it counted stays above");
    let empty = cache.stats_of(scope!(org = "nobody"))?;
    assert_eq!(empty, Default::default(), "zeros for a scope that is not kept");
    assert_eq!(kind(cache.stats_of(scope!(user = 1))), Some(ErrorKind::InvalidPath));
    Ok(())
}

/// One hit and two misses, each said differently, as a user of an organisation.
fn look(scope: &Scope) -> Outcome {
    scope.set("k", 1).wait()?;
    scope.get::<i32>("k").wait()?;
    scope.get::<i32>("absent").wait()?;
    scope.get_or_load_with("failed", || Err::<i32, _>(())).wait().expect_err("fails");
    scope.peek::<i32>("k").wait()?;
    Ok(())
}

/// Tracked levels, and the look-ups that organisation, user and session then count.
type Tracked<'a> = (Option<&'a [&'a str]>, [(u64, u64); 3]);

#[test]
fn lookups_count_at_tracked_levels_only_the_first_by_default() -> Outcome {
    let cases: [Tracked<'_>; 4] = [
        (None, [(2, 4), (0, 0), (0, 0)]),
        (Some(&[]), [(0, 0), (0, 0), (0, 0)]),
        (Some(&["user"]), [(0, 0), (2, 4), (0, 0)]),
        (Some(&["org", "session"]), [(2, 4), (0, 0), (1, 2)]),
    ];
    for (levels, expected) in cases {
        let (mut builder, _) = still();
        if let Some(levels) = levels {
            builder = builder.track_lookups(levels.iter().copied());
        }
        let cache = builder.build()?;
        let org = cache.scope(scope!(org = 1))?;
        let user = cache.scope(scope!(org = 1, user = 1))?;
        let session = cache.scope(scope!(org = 1, user = 1, session = 1))?;
        look(&user)?;
        look(&session)?;
        let counted = [&org, &user, &session].map(|scope| lookups(&cache, scope));
        assert_eq!(counted, expected, "{levels:?}");
        assert_eq!(lookups(&cache, &cache.scope(scope!(global))?), (2, 4), "the root scope counts all");
        assert_eq!((cache.stats().hits, cache.stats().misses), (2, 4), "the total counts all");
    }
    Ok(())
}

#[test]
fn scope_of_an_untracked_level_reports_what_it_holds_and_its_organisation_the_rest() -> Outcome {
    let (cache, _) = small(100)?;
    let user = cache.scope(scope!(org = 1, user = 1))?;
    user.set("k", 1).weight(3).wait()?;
    user.set("removed", 1).weight(3).wait()?;
    user.remove("removed").wait()?;
    user.get_or_load_with("loaded", || Ok::<_, ()>(1u64)).weight(5).wait().expect("loads");
    let report = user.stats()?;
    assert_eq!((report.entries, report.weight), (2, 8));
    assert_eq!((report.hits, report.misses, report.loads, report.removed), (0, 0, 0, 0));
    let report = cache.stats_of(scope!(org = 1))?;
    assert_eq!((report.entries, report.weight), (2, 8));
    assert_eq!((report.hits, report.misses, report.loads, report.removed), (0, 1, 1, 1));
    Ok(())
}

#[test]
fn miss_in_a_scope_that_holds_nothing_counts_for_its_organisation() -> Outcome {
    let (cache, _) = small(100)?;
    let region: Region<u64, u64> = cache.region("numbers")?;
    let org = cache.scope(scope!(org = 1))?;
    org.set("k", 1).wait()?;
    cache.get::<i32>(scope!(org = 1, user = 1), "k").wait()?;
    cache.scope(scope!(org = 1, user = 2, session = 3))?.get::<i32>("k").wait()?;
    region.get_now(scope!(org = 1, user = 4), &1)?;
    assert_eq!(lookups(&cache, &org), (0, 3));
    assert_eq!(cache.stats().scopes, 1, "and makes no scope");
    Ok(())
}

#[test]
fn counters_of_many_threads_lose_nothing() -> Outcome {
    let (cache, _) = small(1_000)?;
    let region: Region<u64, u64> = cache.region("numbers")?;
    std::thread::scope(|threads| {
        for thread in 0..8u64 {
            let (cache, region) = (&cache, &region);
            threads.spawn(move || {
                let scope = cache.scope(scope!(org = thread)).expect("a path of the tree");
                for key in 0..500 {
                    region.set(&scope, key % 50, key).wait().expect("a value can be stored");
                    region.get_now(&scope, &(key % 60)).expect("a key can be read");
                    if key % 7 == 0 {
                        region.remove(&scope, &(key % 50)).wait().expect("a key can be removed");
                    }
                }
            });
        }
    });
    let stats = cache.stats();
    assert_eq!(stats.lookups(), 4_000);
    assert_eq!(stats.inserts + stats.replaced, 4_000);
    assert_eq!(
        stats.inserts,
        stats.entries + stats.removed + stats.evicted + stats.expired + stats.invalidated
    );
    assert_eq!(stats.removed, 8 * 72);
    let held: u64 =
        (0..8).map(|org| cache.stats_of(scope!(org = org)).expect("a path of the tree").entries).sum();
    assert_eq!(held, stats.entries);
    Ok(())
}
