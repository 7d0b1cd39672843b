//! The gate's promises, one by one: permits, chains, offers, refusals, and what is left.

use std::task::Wake;
use std::time::Duration;

use super::*;
use crate::error::ErrorKind;
use crate::flight::chain::Edges;
use crate::flight::{Chain, LoadPermit};
use crate::sync::{AtomicUsize, Ordering};

const ONE: LoadLimit = LoadLimit::at_most(1);

/// A waker that counts.
#[derive(Default)]
struct Count(AtomicUsize);

impl Wake for Count {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[track_caller]
fn granted(permission: Permission) -> LoadPermit {
    match permission {
        Permission::Granted(Some(permit)) => permit,
        other => panic!("expected a permit, got {other:?}"),
    }
}

#[track_caller]
fn queued(permission: Permission) -> PermitWaiter {
    match permission {
        Permission::Wait(waiter) => waiter,
        other => panic!("expected to wait, got {other:?}"),
    }
}

#[track_caller]
fn answer(waiter: &mut PermitWaiter) -> LoadPermit {
    match poll(waiter) {
        Poll::Ready(permit) => permit,
        Poll::Pending => panic!("expected a permit"),
    }
}

/// Polls once with a waker that counts.
#[track_caller]
fn park(waiter: &mut PermitWaiter) -> Arc<Count> {
    let count = Arc::new(Count::default());
    let waker = Waker::from(Arc::clone(&count));
    assert!(Pin::new(waiter).poll(&mut Context::from_waker(&waker)).is_pending());
    count
}

fn load() -> FlightId {
    FlightId::fresh()
}

#[test]
fn nothing_is_kept_where_no_limit_is_set() {
    let world = World::new();
    assert!(!world.limits.is_active());
    assert!(matches!(world.ask("a", load()), Permission::Granted(None)));
    world.set("a", Some(ONE));
    assert!(world.limits.is_active());
    world.set("a", None);
    assert!(!world.limits.is_active());
    world.assert_idle(1);
}

#[test]
fn permit_that_ends_goes_to_who_waits_and_paths_are_forgotten() {
    let world = World::new();
    world.set("", Some(ONE));
    let first = granted(world.ask("a", load()));
    let mut second = queued(world.ask("b", load()));
    let woken = park(&mut second);
    drop(first);
    assert_eq!(woken.0.load(Ordering::SeqCst), 1);
    drop(answer(&mut second));
    world.assert_idle(1);
}

#[test]
fn waiter_that_drops_leaves_at_once_and_what_it_was_offered_goes_on() {
    let world = World::new();
    world.set("a", Some(ONE.queue(2)));
    let first = granted(world.ask("a", load()));
    let (early, mut offered) = (queued(world.ask("a", load())), queued(world.ask("a", load())));
    assert!(matches!(world.ask("a", load()), Permission::Refused(_)));
    drop(early);
    let mut last = queued(world.ask("a", load()));
    let woken = park(&mut last);
    park(&mut offered);
    drop(first);
    assert_eq!(woken.0.load(Ordering::SeqCst), 0, "it is the other's turn");
    drop(offered);
    assert_eq!(woken.0.load(Ordering::SeqCst), 1);
    drop(answer(&mut last));
    world.assert_idle(2);
}

#[test]
fn refusal_says_where_and_what_would_help() {
    let world = World::new();
    world.set("a", Some(ONE.queue(0)));
    let permit = granted(world.ask("a", load()));
    let Permission::Refused(error) = world.ask("a", load()) else { panic!("there is no queue") };
    assert_eq!(error.kind(), ErrorKind::Overloaded);
    assert!(error.is_retryable());
    assert_eq!(
        error.to_string(),
        "get_or_load: overloaded { scope: org:a, at_most: 1, queue: 0 }: as many loads wait there as may: ask again \
         later, or raise the load limit or its queue"
    );
    drop(permit);
    world.assert_idle(2);
}

/// One tenant fills the queue; the other finds a place in it as long as it has less than half.
#[test]
fn full_queue_takes_in_a_tenant_below_its_share() {
    let world = World::new();
    world.set("", Some(ONE.queue(4)));
    let permit = granted(world.ask("a", load()));
    let mut waiting: Vec<_> = (0..4).map(|_| queued(world.ask("a", load()))).collect();
    assert!(matches!(world.ask("a", load()), Permission::Refused(_)));
    waiting.extend((0..2).map(|_| queued(world.ask("b", load()))));
    assert!(matches!(world.ask("b", load()), Permission::Refused(_)));
    assert!(matches!(world.ask("a", load()), Permission::Refused(_)));
    waiting.push(queued(world.ask("c", load())));
    let patient = world.limits.ask((load(), Run::Solo), &world.node("a"), WhenFull::Wait);
    waiting.push(queued(patient));
    assert_eq!(world.limits.waiting(), 8);
    drop((waiting, permit));
    world.assert_idle(1);
}

#[test]
fn load_inside_of_another_takes_what_its_chain_does_not_hold_and_never_waits() {
    let world = World::new();
    for scope in ["", "a", "b"] {
        world.set(scope, Some(ONE));
    }
    let (outer, busy) = (load(), load());
    world.set("", Some(LoadLimit::at_most(2)));
    let outer_permit = granted(world.ask("a", outer));
    let busy_permit = granted(world.ask("b", busy));
    let inside = Chain::enter(outer);
    let same = granted(world.ask("a", load()));
    assert!(!same.is_over(), "its chain holds all of it");
    let other = granted(world.ask("b", load()));
    assert!(other.is_over(), "another chain holds that");
    drop(inside);
    let mut waiting = queued(world.ask("b", load()));
    drop(busy_permit);
    park(&mut waiting);
    drop(other);
    drop(answer(&mut waiting));
    drop((same, outer_permit));
    world.assert_idle(3);
}

/// The holder of the only permit waits for a load that waits for it.
#[test]
fn load_that_is_waited_for_inside_of_another_runs_over_the_limit() {
    let world = World::new();
    world.set("a", Some(ONE));
    let (outer, asked_before, asked_after) = (load(), load(), load());
    let permit = granted(world.ask("a", outer));
    let mut before = queued(world.ask("a", asked_before));
    let woken = park(&mut before);

    let inside = Chain::enter(outer);
    let awaited = [asked_before, asked_after];
    let edges = Edges::announce(&awaited).expect("no circle");
    world.limits.admit(&awaited);
    drop(inside);

    assert_eq!(woken.0.load(Ordering::SeqCst), 1);
    assert!(answer(&mut before).is_over());
    assert!(granted(world.ask("a", asked_after)).is_over());
    drop(edges);
    let mut unrelated = queued(world.ask("a", load()));
    park(&mut unrelated);
    drop(permit);
    drop(answer(&mut unrelated));
    world.assert_idle(2);
}

#[test]
fn permit_that_is_not_taken_for_a_patience_is_offered_to_the_next() {
    let world = World::new();
    world.set("a", Some(ONE));
    let first = granted(world.ask("a", load()));
    let (mut sleeper, mut next) = (queued(world.ask("a", load())), queued(world.ask("a", load())));
    park(&mut sleeper);
    let woken = park(&mut next);
    drop(first);
    let now = || TimeSource::Custom(std::sync::Arc::new(world.clock.clone())).now();
    world.clock.advance(Duration::from_millis(999));
    world.watch.check(now());
    assert_eq!(woken.0.load(Ordering::SeqCst), 0, "it may still come");
    world.clock.advance(Duration::from_millis(1));
    world.watch.check(now());
    assert_eq!(woken.0.load(Ordering::SeqCst), 1);
    let permit = answer(&mut next);
    park(&mut sleeper);
    drop(permit);
    drop(answer(&mut sleeper));
    world.assert_idle(2);
}

/// One that hands its wait to another thread, for example, which the chain does not show.
#[test]
fn permit_held_past_the_lease_counts_no_more() {
    let world = World::new();
    world.set("a", Some(ONE));
    let endless = granted(world.ask("a", load()));
    let mut waiting = queued(world.ask("a", load()));
    let woken = park(&mut waiting);
    let now = || TimeSource::Custom(std::sync::Arc::new(world.clock.clone())).now();
    world.clock.advance(Duration::from_millis(59_999));
    world.watch.check(now());
    assert_eq!(woken.0.load(Ordering::SeqCst), 0);
    world.clock.advance(Duration::from_millis(1));
    world.watch.check(now());
    assert_eq!(woken.0.load(Ordering::SeqCst), 1);
    let permit = answer(&mut waiting);
    drop(endless);
    let mut last = queued(world.ask("a", load()));
    assert!(poll(&mut last).is_pending(), "the late end of the endless one gives nothing away");
    drop(permit);
    drop(answer(&mut last));
    world.assert_idle(2);
}

#[test]
fn load_that_is_taken_over_keeps_its_permit() {
    let world = World::new();
    world.set("a", Some(ONE));
    let same = load();
    let deposed = granted(world.ask("a", same));
    let heir = granted(world.ask("a", same));
    assert!(!heir.is_over());
    let mut waiting = queued(world.ask("a", load()));
    drop(deposed);
    assert!(poll(&mut waiting).is_pending());
    drop(heir);
    drop(answer(&mut waiting));
    world.assert_idle(2);
}

#[test]
fn raised_limit_wakes_and_a_lowered_one_lets_nothing_begin_until_enough_have_ended() {
    let world = World::new();
    world.set("a", Some(LoadLimit::at_most(3)));
    let mut running: Vec<_> = (0..3).map(|_| granted(world.ask("a", load()))).collect();
    let mut waiting: Vec<_> = (0..3).map(|_| queued(world.ask("a", load()))).collect();
    world.set("a", Some(LoadLimit::at_most(4)));
    running.push(answer(&mut waiting.remove(0)));
    world.set("a", Some(ONE));
    for _ in 0..3 {
        drop(running.pop());
        assert!(poll(&mut waiting[0]).is_pending());
    }
    drop(running);
    let permit = answer(&mut waiting.remove(0));
    assert!(poll(&mut waiting[0]).is_pending());
    world.set("a", None);
    drop(answer(&mut waiting[0]));
    drop((permit, waiting));
    world.assert_idle(1);
}
