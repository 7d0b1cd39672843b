//! Faults that a review found, one test each, named by what holds now.

use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use std::num::NonZeroU64;
use std::sync::atomic::Ordering::SeqCst;

use super::tests::support::{config, manual, options};
use super::*;
use crate::clock::TimeSource;
use crate::clock::{Clock, TestClock};
use crate::event::RemovalCause;
use crate::scope;
use crate::scope::ScopePath;
use crate::sync::{AtomicBool, AtomicUsize, Mutex, Ordering};

fn threaded(clock: &TestClock) -> EngineConfig {
    config(Maintenance::Thread, TimeSource::Custom(Arc::new(clock.clone())))
}

fn open<V: Value>(engine: &Engine, name: &str, options: StoreOptions<u64, V>) -> Arc<Store<u64, V>> {
    engine
        .regions()
        .open(engine, RegionKey::Named(name.into()), name, || options)
        .expect("a new region opens")
}

fn global(engine: &Engine) -> ScopePath {
    ScopePath::global(engine.registry().tree())
}

fn user(engine: &Engine, user: u64) -> ScopePath {
    ScopePath::of(engine.registry().tree(), &scope!(org = 1, user = user), "test")
        .expect("a path of the tree")
}

fn for_secs(secs: u64) -> Write {
    Write {
        ttl: Some(crate::expiry::IntoTtl::into_ttl(Duration::from_secs(secs)).expect("above zero")),
        ..Write::default()
    }
}

/// Waits for what another thread does.
fn comes(within: Duration, is: impl Fn() -> bool) -> bool {
    let begin = Instant::now();
    while !is() {
        if begin.elapsed() > within {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    true
}

#[test]
fn idle_scopes_go_by_themselves_where_nothing_has_a_deadline() {
    let mut config = config(Maintenance::Thread, TimeSource::system());
    config.limits = Limits::new(NonZeroU64::new(10), None);
    let engine = Engine::new(config);
    let store = open::<u64>(&engine, "r", options());
    for session in 0..2_000 {
        store.insert(&engine, &user(&engine, session), 0, 0, Write::default()).expect("it is stored");
    }
    assert!(comes(Duration::from_secs(3), || engine.registry().len() <= 11), "{}", engine.registry().len());
}

#[test]
fn scopes_of_loads_that_fail_go_by_themselves() {
    let engine = Engine::new(config(Maintenance::Thread, TimeSource::system()));
    let store = open::<u64>(&engine, "r", options());
    for session in 0..2_000 {
        let node = user(&engine, session).create(engine.registry()).expect("a path of the tree");
        let Joined::Lead(lease) = store.join(&engine, node, &0) else { panic!("nobody else loads") };
        lease.fail(None);
    }
    assert!(comes(Duration::from_secs(3), || engine.registry().is_empty()), "{}", engine.registry().len());
}

#[test]
fn maintenance_collects_every_idle_scope_however_many_are_in_use() {
    let engine = Engine::new(manual(&TestClock::new()));
    let store = open::<u64>(&engine, "r", options());
    for session in 0..8_000 {
        store.insert(&engine, &user(&engine, session), 0, 0, Write::default()).expect("it is stored");
    }
    engine.maintain();
    for session in 0..20 {
        let node = user(&engine, session).find(engine.registry()).expect("a path").expect("it has an entry");
        let _ = store.remove(&engine, &node, &0, RemovalCause::Removed, |_| true);
    }
    // Readers of other tests may be passed late.
    let collects = || {
        engine.maintain();
        engine.registry().len() == 8_000 - 20 + 1
    };
    assert!(comes(Duration::from_secs(20), collects), "{} scopes", engine.registry().len());
}

#[test]
fn regions_that_nobody_holds_do_not_pile_up_without_maintenance() {
    let engine = Engine::new(manual(&TestClock::new()));
    let held = open::<u64>(&engine, "held", options());
    for number in 0..500 {
        let store = open::<u64>(&engine, &format!("r{number}"), options());
        let _ = store.get(&engine, None, &0, Look::Lookup);
    }
    assert!(engine.regions().len() < 100, "{}", engine.regions().len());
    assert_eq!(engine.stats().misses, 500, "what they counted stays");
    assert!(Arc::ptr_eq(&held, &open::<u64>(&engine, "held", options())));
}

#[derive(Clone)]
struct Bomb(bool);

impl Drop for Bomb {
    fn drop(&mut self) {
        assert!(!self.0 || std::thread::panicking(), "a value that panics when it is dropped");
    }
}

#[test]
fn value_that_panics_on_its_way_out_does_not_end_maintenance() {
    let clock = TestClock::new();
    let engine = Engine::new(threaded(&clock));
    let store = open::<Bomb>(&engine, "r", options());
    store.insert(&engine, &global(&engine), 1, Bomb(true), for_secs(1)).expect("it is stored");
    store.insert(&engine, &global(&engine), 2, Bomb(false), for_secs(2)).expect("it is stored");
    clock.advance(Duration::from_secs(1));
    assert!(comes(Duration::from_secs(20), || store.entries() == 1));
    clock.advance(Duration::from_secs(1));
    assert!(comes(Duration::from_secs(20), || store.entries() == 0), "the thread is gone");
}

#[test]
fn value_that_panics_on_its_way_out_does_not_reach_who_evicts_it() {
    let mut config = manual(&TestClock::new());
    config.limits = Limits::new(NonZeroU64::new(1), None);
    let engine = Engine::new(config);
    let store = open::<Bomb>(&engine, "r", options());
    store.insert(&engine, &global(&engine), 1, Bomb(true), Write::default()).expect("it is stored");
    store.insert(&engine, &global(&engine), 2, Bomb(false), Write::default()).expect("it is stored");
    assert_eq!(store.entries(), 1);
}

struct Shouter;

impl Wake for Shouter {
    fn wake(self: Arc<Self>) {
        panic!("a waker that panics");
    }
}

#[test]
fn waker_that_panics_does_not_end_maintenance() {
    let clock = TestClock::new();
    let engine = Engine::new(threaded(&clock));
    let store = open::<u64>(&engine, "r", options());
    let root = engine.registry().root();
    let Joined::Lead(_lease) = store.join(&engine, Arc::clone(&root), &1) else {
        panic!("nobody else loads")
    };
    let Joined::Wait(waiting) = store.join(&engine, root, &1) else { panic!("somebody loads") };
    let mut waiting = pin!(waiting);
    let shouter = Waker::from(Arc::new(Shouter));
    assert!(waiting.as_mut().poll(&mut Context::from_waker(&shouter)).is_pending());
    clock.advance(Duration::from_secs(61));
    std::thread::sleep(Duration::from_millis(600));
    store.insert(&engine, &global(&engine), 2, 0, for_secs(1)).expect("it is stored");
    clock.advance(Duration::from_secs(1));
    assert!(comes(Duration::from_secs(2), || store.entries() == 0), "the thread is gone");
    assert!(matches!(waiting.poll(&mut Context::from_waker(Waker::noop())), Poll::Ready(Waited::Lead(_))));
}

#[test]
fn limit_of_a_scope_is_paid_by_the_expired_before_the_living() {
    let clock = TestClock::new();
    let engine = Engine::new(manual(&clock));
    let store = open::<u64>(&engine, "r", StoreOptions { max_per_scope: Some(2), ..options() });
    let place = user(&engine, 1);
    let set = |key, write| store.insert(&engine, &place, key, key, write).expect("it is stored");
    set(1, Write::default());
    set(2, for_secs(1));
    clock.advance(Duration::from_secs(1));
    set(3, Write::default());
    let node = place.find(engine.registry()).expect("a path").expect("it has entries");
    let held: Vec<_> = (1..=3).filter_map(|key| store.get(&engine, Some(&node), &key, Look::Peek)).collect();
    assert_eq!(held, [1, 3]);
    let stats = engine.stats();
    assert_eq!((stats.expired, stats.evicted), (1, 0));
}

#[test]
fn entry_that_an_eviction_counted_is_not_counted_by_an_invalidation() {
    let engine = Engine::new(manual(&TestClock::new()));
    let store = open::<u64>(&engine, "r", options());
    let place = user(&engine, 1);
    store.insert(&engine, &place, 1, 10, Write::default()).expect("it is stored");
    store.insert(&engine, &place, 2, 20, Write::default()).expect("it is stored");
    // What a caller holds that found its scope just before the eviction.
    let node = place.find(engine.registry()).expect("a path").expect("it has entries");
    assert_eq!(engine.evict(&node).entries, 2);
    assert_eq!(store.remove(&engine, &node, &1, RemovalCause::Invalidated, |_| true), Taken::Absent);
    assert_eq!(store.invalidate_scope(&engine, &node), Detached::default());
    assert_eq!((engine.has_dead(), engine.stats().invalidated), (false, 2));
}

#[test]
fn entry_that_has_expired_is_absent_whatever_its_type() {
    let clock = TestClock::new();
    let engine = Engine::new(manual(&clock));
    let store = open::<u64>(&engine, "r", options());
    let place = user(&engine, 1);
    store.insert(&engine, &place, 1, 10, for_secs(1)).expect("it is stored");
    let node = place.find(engine.registry()).expect("a path").expect("it has an entry");
    clock.advance(Duration::from_secs(1));
    assert_eq!(store.remove(&engine, &node, &1, RemovalCause::Removed, |_| false), Taken::Absent);
}

#[test]
fn lowered_bound_takes_what_is_coldest() {
    let mut config = manual(&TestClock::new());
    config.limits = Limits::new(NonZeroU64::new(20_000), None);
    let engine = Engine::new(config);
    let store = open::<u64>(&engine, "r", options());
    for key in 0..16_000 {
        store.insert(&engine, &global(&engine), key, key, Write::default()).expect("it is stored");
    }
    engine.set_limits(NonZeroU64::new(8_000), None).unwrap();
    let root = engine.registry().root();
    let newest = (12_000..16_000).filter(|key| store.get(&engine, Some(&root), key, Look::Peek).is_some());
    let newest = newest.count();
    assert_eq!(store.entries(), 8_000);
    assert!(newest > 3_800, "{newest} of the newest 4,000 are left");
}

/// A clock that does something once.
struct Hook {
    engine: Mutex<Option<Arc<Engine>>>,
}

impl Clock for Arc<Hook> {
    fn now(&self) -> Duration {
        let engine = self.engine.lock().take();
        if let Some(engine) = engine {
            engine.set_limits(None, NonZeroU64::new(50)).expect("nothing is reserved");
        }
        Duration::ZERO
    }
}

#[test]
fn entry_above_a_bound_that_was_lowered_during_its_write_does_not_stay() {
    let hook = Arc::new(Hook { engine: Mutex::new(None) });
    let mut config = config(Maintenance::Manual, TimeSource::Custom(Arc::new(Arc::clone(&hook))));
    config.limits = Limits::new(None, NonZeroU64::new(100));
    let engine = Engine::new(config);
    let store = open::<u64>(&engine, "r", options());
    *hook.engine.lock() = Some(Arc::clone(&engine));
    let write = Write { weight: Some(80), ..for_secs(1) };
    store.insert(&engine, &global(&engine), 1, 1, write).expect("it is within the bound that was");
    assert!(engine.registry().root().weight() <= 50);
}

#[test]
fn weight_that_no_sum_can_hold_is_refused() {
    let mut config = manual(&TestClock::new());
    config.limits = Limits::new(None, NonZeroU64::new(u64::MAX));
    let engine = Engine::new(config);
    let store = open::<u64>(&engine, "r", options());
    let heavy = |weight| Write { weight: Some(weight), ..Write::default() };
    let refused = store.insert(&engine, &global(&engine), 1, 1, heavy(1 << 62)).map_err(|error| error.kind());
    assert_eq!(refused, Err(crate::error::ErrorKind::InvalidWeight));
    for key in 0..100 {
        store.insert(&engine, &global(&engine), key, 1, heavy(1 << 56)).expect("it is stored");
    }
    let weight = engine.registry().root().weight();
    assert_eq!((weight, engine.stats().weight), (store.entries() << 56, store.entries() << 56));
    assert!(store.entries() > 0);
}

/// A listener that stands still at a removal until it is let go.
#[derive(Default)]
struct Gate {
    closed: [AtomicBool; 2],
    at: AtomicUsize,
    told: AtomicUsize,
}

impl Gate {
    fn pass(&self, cause: RemovalCause) {
        let gate = match cause {
            RemovalCause::Invalidated => &self.closed[0],
            RemovalCause::Expired => &self.closed[1],
            _ => return,
        };
        self.at.fetch_add(1, Ordering::SeqCst);
        while gate.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(1));
        }
        self.told.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn deadline_that_a_callers_pass_finds_is_known_to_maintenance() {
    let clock = TestClock::new();
    let gate = Arc::new(Gate::default());
    let mut config = threaded(&clock);
    let listener = Arc::clone(&gate);
    config.listener = Some(Arc::new(move |removal: &Removal<'_>| listener.pass(removal.cause)));
    let engine = Engine::new(config);
    let store = open::<u64>(&engine, "r", options());
    gate.closed.iter().for_each(|gate| gate.store(true, Ordering::SeqCst));
    store.insert(&engine, &user(&engine, 1), 1, 1, Write::default()).expect("it is stored");
    let node = user(&engine, 1).find(engine.registry()).expect("a path").expect("it has an entry");
    store.insert(&engine, &global(&engine), 2, 2, for_secs(1)).expect("it is stored");
    store.insert(&engine, &global(&engine), 3, 3, for_secs(2)).expect("it is stored");
    engine.evict(&node);
    drop(node);
    assert!(comes(Duration::from_secs(2), || gate.at.load(Ordering::SeqCst) == 1), "the thread sweeps");
    clock.advance(Duration::from_secs(1));
    std::thread::scope(|threads| {
        let caller = threads.spawn(|| engine.preview(&engine.registry().root()));
        assert!(comes(Duration::from_secs(2), || gate.at.load(Ordering::SeqCst) == 2), "the caller expires");
        // The thread ends its round while the caller's pass has forgotten the deadlines.
        gate.closed[0].store(false, Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(600));
        gate.closed[1].store(false, Ordering::SeqCst);
        caller.join().expect("the caller does not panic");
    });
    clock.advance(Duration::from_secs(1));
    assert!(comes(Duration::from_secs(2), || store.entries() == 0), "the thread sleeps");
    assert_eq!(gate.told.load(Ordering::SeqCst), 3);
}

#[test]
fn small_cache_evicts_the_coldest_also_where_scopes_have_limits() {
    for _ in 0..20 {
        let mut config = manual(&TestClock::new());
        config.limits = Limits::new(NonZeroU64::new(2), None);
        let engine = Engine::new(config);
        let store = open::<u64>(&engine, "r", StoreOptions { max_per_scope: Some(9), ..options() });
        let set = |scope| store.insert(&engine, &user(&engine, scope), 0, scope, Write::default());
        let get = |scope, look| {
            let node = user(&engine, scope).find(engine.registry()).expect("a path of the tree");
            store.get(&engine, node.as_deref(), &0, look)
        };
        set(1).and_then(|()| set(2)).expect("they are stored");
        assert_eq!(get(1, Look::Lookup), Some(1));
        set(3).expect("it is stored");
        assert_eq!([1, 2, 3].map(|scope| get(scope, Look::Peek)), [Some(1), None, Some(3)]);
    }
}

#[test]
fn counts_of_what_is_left_to_sweep_come_back_to_nothing_after_a_storm() {
    let mut config = manual(&TestClock::new());
    config.limits = Limits::new(NonZeroU64::new(64), None);
    let engine = Engine::new(config);
    let store = open::<u64>(&engine, "r", options());
    std::thread::scope(|threads| {
        for thread in 0..4_u64 {
            let (engine, store) = (&engine, &store);
            threads.spawn(move || {
                for round in 0..20_000_u64 {
                    let place = user(engine, round % 3);
                    let write = Write { weight: Some(1 + round % 7), ..Write::default() };
                    match thread {
                        0 | 1 => store.insert(engine, &place, round % 5, round, write).expect("it is stored"),
                        2 => {
                            if let Ok(Some(node)) = place.find(engine.registry()) {
                                engine.evict(&node);
                            }
                        }
                        _ => {
                            engine.evict(&engine.registry().root());
                        }
                    }
                }
            });
        }
    });
    engine.maintain();
    let stats = engine.stats();
    assert_eq!(stats.inserts, stats.entries + stats.evicted + stats.invalidated);
    assert_eq!(stats.entries, engine.registry().root().entries());
    assert_eq!(stats.weight, engine.registry().root().weight());
    assert_eq!(engine.dead_entries.load(SeqCst), 0);
}

#[test]
fn heap_is_trimmed_once_as_much_has_gone_as_is_left_and_only_where_it_was_asked_for() {
    for (asked, goes, expected) in
        [(true, 70_000, Some(0)), (true, 60_000, Some(60_000)), (false, 70_000, None)]
    {
        let engine = Engine::new(EngineConfig { trim_heap: asked, ..manual(&TestClock::new()) });
        let store = open::<u64>(&engine, "things", options());
        for key in 0..goes {
            store.insert(&engine, &user(&engine, 1), key, key, Write::default()).expect("a good write");
        }
        let node = user(&engine, 1).find(engine.registry()).expect("a path of the tree");
        engine.evict(&node.expect("it has entries"));
        // The scopes go too: the user, its org, and what took the evicted one's place. Readers of other tests may be passed late.
        let has_come = || {
            engine.maintain();
            let gone = engine.gone_since_trim();
            gone.is_some() == asked
                && gone.zip(expected).is_none_or(|(gone, expected)| gone.abs_diff(expected) < 5_000)
        };
        assert!(comes(Duration::from_secs(20), has_come), "{:?} of {goes}", engine.gone_since_trim());
    }
}

#[test]
fn what_an_eviction_has_counted_does_not_expire_too() {
    let clock = TestClock::new();
    let engine = Engine::new(manual(&clock));
    let store = open::<u64>(&engine, "things", options());
    // Entries of two scopes come one after the other, and by turns.
    for key in 0..300 {
        let user = user(&engine, u64::from(key % 50 < 10));
        store.insert(&engine, &user, key, key, for_secs(1)).expect("a good write");
    }
    let node = user(&engine, 1).find(engine.registry()).expect("a path of the tree").expect("it has entries");
    engine.evict(&node);
    clock.advance(Duration::from_secs(1));
    engine.maintain();
    let stats = engine.stats();
    assert_eq!((stats.invalidated, stats.expired, stats.entries), (60, 240, 0));
    assert_eq!((engine.has_dead(), engine.registry().root().weight()), (false, 0));
}

/// Tables whose slots have short names take two thirds of the room.
#[test]
fn regions_of_many_entries_have_so_many_shards_that_their_slots_have_short_names() {
    for entries in [1, 1_024, 100_000, 1_000_000, 1_100_000, 10_000_000, 200_000_000, u64::MAX] {
        let mut config = manual(&TestClock::new());
        config.limits = Limits::new(NonZeroU64::new(entries), None);
        let engine = Engine::new(config);
        let shards = engine.shards_for(None);
        assert!(shards.is_power_of_two() && shards <= 4_096, "{shards}");
        let slots = engine.expected_in(shards, 0, 0);
        assert!(slots < 65_536 - 256 || shards == 4_096, "{slots} slots in each of {shards} shards");
        assert!(entries > 1_000_000 || shards <= 128, "no more shards than that takes");
    }
}
