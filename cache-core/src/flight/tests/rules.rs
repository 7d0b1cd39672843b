//! Joining, landing, failing, cancelling and detaching, one rule a test.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::*;

#[test]
fn second_caller_waits_and_gets_the_leaders_value() {
    let host = Host::new();
    let ticket = host.lead(1);
    let (mut first, mut second) = (host.wait(1), host.wait(1));
    let (woken_first, woken_second) = (park(&mut first), park(&mut second));
    assert_eq!(host.len(), 1);
    assert!(host.land(ticket, 7));
    assert_eq!((woken_first.get(), woken_second.get()), (1, 1));
    assert_eq!((value_of(&mut first), value_of(&mut second)), (7, 7));
    host.assert_idle();
}

#[test]
fn other_keys_of_the_same_hash_have_flights_of_their_own() {
    let host = Host::new();
    let mut tickets = Vec::new();
    for key in [1, 2] {
        let node = host.node.lock().clone();
        let mut owned = Some(Key(key));
        let ask = Ask { hash: 9, now: host.now(), node: &node, fence: None, key: &mut owned };
        let joined = host.with(|table, after| table.join(ask, |_, known| known.0 == key, |_| true, after));
        let Joined::Lead(ticket) = joined else { panic!("two keys shared a flight: {joined:?}") };
        tickets.push(ticket);
    }
    for ticket in tickets {
        assert!(host.land(ticket, 1));
    }
    host.assert_idle();
}

#[test]
fn join_without_an_owned_key_asks_for_it_only_to_make_a_record() {
    let host = Host::new();
    let node = host.node.lock().clone();
    let join = |key: &mut Option<Key>| {
        let ask = Ask { hash: 1, now: host.now(), node: &node, fence: None, key };
        host.with(|table, after| table.join(ask, |_, known| known.0 == 1, |_| true, after))
    };
    assert!(matches!(join(&mut None), Joined::NeedsKey));
    assert_eq!(host.len(), 0);
    let Joined::Lead(ticket) = join(&mut Some(Key(1))) else { panic!("a key was given") };
    assert!(matches!(join(&mut None), Joined::Wait(_)));
    let mut kept = Some(Key(1));
    drop(join(&mut kept));
    assert!(kept.is_some(), "a key that is not needed stays with the caller");
    host.land(ticket, 1);
    host.assert_idle();
}

#[test]
fn failure_releases_all_waiters_together_with_the_shared_error() {
    let host = Host::new();
    let ticket = host.lead(1);
    let mut waiters: Vec<_> = (0..3).map(|_| host.wait(1)).collect();
    let woken: Vec<_> = waiters.iter_mut().map(park).collect();
    host.fail(ticket, Some("no row"), false);
    for (waiter, woken) in waiters.iter_mut().zip(woken) {
        assert_eq!(woken.get(), 1);
        let Outcome::Failed(failure) = answer(waiter) else { panic!("the load failed") };
        let shared = failure.shared.expect("the error was shared").downcast::<String>();
        assert_eq!((shared.expect("it is text").as_str(), failure.panicked), ("no row", false));
    }
    host.assert_idle();
}

#[test]
fn panic_of_the_leader_is_told_to_waiters_as_a_failure() {
    let host = Host::new();
    let ticket = host.lead(1);
    let mut waiter = host.wait(1);
    host.fail(ticket, None, true);
    assert!(matches!(answer(&mut waiter), Outcome::Failed(Failure { shared: None, panicked: true })));
    host.assert_idle();
}

#[test]
fn cancelled_leader_hands_over_to_the_waiter_who_came_first() {
    let host = Host::new();
    let ticket = host.lead(1);
    let (mut first, mut second) = (host.wait(1), host.wait(1));
    let (woken_first, woken_second) = (park(&mut first), park(&mut second));
    host.cancel(ticket);
    assert_eq!((woken_first.get(), woken_second.get()), (1, 0));
    assert_eq!(host.len(), 1);
    assert!(matches!(host.join(1), Joined::Wait(_)), "the flight is still current");
    let ticket = lead_of(&mut first);
    assert_eq!(ticket.id(), second.id(), "the flight stays the same for its waiters");
    assert!(host.land(ticket, 8), "the new lease publishes");
    assert_eq!(value_of(&mut second), 8);
    host.assert_idle();
}

#[test]
fn cancelled_leader_without_waiters_leaves_nothing() {
    let host = Host::new();
    host.cancel(host.lead(1));
    host.assert_idle();
}

#[test]
fn invited_waiter_that_is_dropped_passes_the_lead_on() {
    let host = Host::new();
    let ticket = host.lead(1);
    let (mut first, mut second) = (host.wait(1), host.wait(1));
    let (_, woken) = (park(&mut first), park(&mut second));
    host.cancel(ticket);
    drop(first);
    assert_eq!(woken.get(), 1);
    assert!(host.land(lead_of(&mut second), 9));
    host.assert_idle();
}

#[test]
fn last_waiter_that_leaves_a_leaderless_flight_has_it_reaped() {
    let host = Host::new();
    let ticket = host.lead(1);
    let waiters = (host.wait(1), host.wait(1));
    host.cancel(ticket);
    drop(waiters);
    host.assert_idle();
}

#[test]
fn leaderless_flight_that_closed_but_is_not_reaped_yet_is_led_anew() {
    let host = Host::new();
    let ticket = host.lead(1);
    let waiter = host.wait(1);
    host.cancel(ticket);
    // What `Waiter::drop` does before it calls the reaper.
    let id = waiter.id();
    let mut wakes = after::Wakes::default();
    let mut waiter = std::mem::ManuallyDrop::new(waiter);
    assert!(waiter.withdraw(host.now(), &mut wakes));
    let ticket = host.lead(1);
    host.setup.reap(1, id);
    assert_eq!(host.len(), 1, "a late reaper touches only what it was called for");
    assert!(host.land(ticket, 1));
    host.assert_idle();
}

#[test]
fn cancelled_waiter_leaves_no_trace() {
    let host = Host::new();
    let ticket = host.lead(1);
    let (mut gone, mut stays) = (host.wait(1), host.wait(1));
    let (woken_gone, woken_stays) = (park(&mut gone), park(&mut stays));
    drop(gone);
    assert!(ticket.has_waiters());
    assert!(host.land(ticket, 3));
    assert_eq!((woken_gone.get(), woken_stays.get()), (0, 1));
    assert_eq!(value_of(&mut stays), 3);

    let ticket = host.lead(1);
    drop(host.wait(1));
    assert!(!ticket.has_waiters(), "nobody would hear the value");
    host.cancel(ticket);
    host.assert_idle();
}

#[test]
fn detached_load_serves_its_waiters_and_does_not_publish() {
    let host = Host::new();
    let old = host.lead(1);
    let mut early = host.wait(1);
    assert!(host.detach(1));
    assert!(!host.detach(1), "nothing is current any more");
    let new = host.lead(1);
    let mut late = host.wait(1);
    assert_eq!(host.len(), 2);
    assert!(!host.is_current(&old));
    assert!(host.is_current(&new));
    assert!(!host.land(old, 1));
    assert_eq!(value_of(&mut early), 1);
    let _ = park(&mut late);
    assert!(host.land(new, 2));
    assert_eq!(value_of(&mut late), 2);
    assert_eq!(*host.published.lock(), [2]);
    host.assert_idle();
}

/// A load, and a newer one that took its place though nothing was withdrawn.
fn superseded(host: &Host) -> [Ticket<Value>; 2] {
    let old = host.lead(1);
    host.supersede(1);
    let new = host.lead(1);
    assert!(!host.is_current(&old) && host.is_current(&new));
    [old, new]
}

#[test]
fn superseded_load_publishes_until_a_newer_one_has() {
    let host = Host::new();
    let [old, new] = superseded(&host);
    assert!(host.land(old, 1) && host.land(new, 2));
    let [old, new] = superseded(&host);
    assert!(host.land(new, 4) && !host.land(old, 3));
    assert_eq!(*host.published.lock(), [1, 2, 4]);
    host.assert_idle();
}

#[test]
fn superseded_load_publishes_where_the_newer_one_comes_to_nothing() {
    let host = Host::new();
    let [old, new] = superseded(&host);
    host.fail(new, Some("down"), false);
    assert!(host.land(old, 1));
    let [old, new] = superseded(&host);
    host.cancel(new);
    assert!(host.land(old, 2));
    host.assert_idle();
}

#[test]
fn superseded_load_publishes_nothing_after_a_withdrawal() {
    let host = Host::new();
    let [old, new] = superseded(&host);
    assert!(host.detach(1));
    assert!(!host.land(old, 1) && !host.land(new, 2));
    let [old, new] = superseded(&host);
    host.fail(new, Some("down"), false);
    assert!(!host.detach(1), "nothing is current, and yet something is withdrawn");
    assert!(!host.land(old, 3));
    assert!(host.published.lock().is_empty());
    host.assert_idle();
}

#[test]
fn load_of_a_dead_node_is_detached_by_the_next_caller() {
    let host = Host::new();
    let old = host.lead(1);
    let mut early = host.wait(1);
    host.evict();
    let new = host.lead(1);
    assert!(!host.is_current(&old));
    assert!(matches!(host.join(1), Joined::Wait(_)), "the record is of the new node now");
    assert!(!host.land(old, 1));
    assert_eq!(value_of(&mut early), 1);
    assert!(host.land(new, 2));
    host.assert_idle();
}

#[test]
fn two_detached_loads_leave_no_place_until_one_ends() {
    let host = Host::new();
    let first = host.lead(1);
    host.detach(1);
    let second = host.lead(1);
    host.detach(1);
    let (mut third, mut fourth) = (host.place(1), host.place(1));
    let (woken_third, woken_fourth) = (park(&mut third), park(&mut fourth));
    assert_eq!(host.len(), 2);
    host.land(second, 2);
    assert_eq!((woken_third.get(), woken_fourth.get()), (1, 1));
    assert_eq!((answer(&mut third), answer(&mut fourth)), (Placed::Free, Placed::Free));
    let ticket = host.lead(1);
    let mut waiter = host.wait(1);
    host.cancel(first);
    assert!(host.land(ticket, 3));
    assert_eq!(value_of(&mut waiter), 3);
    host.assert_idle();
}

#[test]
fn place_is_free_after_failure_and_cancellation_too() {
    for end in
        [|host: &Host, ticket| host.fail(ticket, None, false), |host: &Host, ticket| host.cancel(ticket)]
    {
        let host = Host::new();
        let first = host.lead(1);
        host.detach(1);
        let second = host.lead(1);
        host.detach(1);
        let mut waiting = host.place(1);
        let left = host.place(1);
        let woken = park(&mut waiting);
        drop(left);
        end(&host, first);
        assert_eq!(woken.get(), 1);
        assert_eq!(answer(&mut waiting), Placed::Free);
        end(&host, second);
        host.assert_idle();
    }
}

#[test]
fn cancelled_detached_leader_tells_its_waiters_to_join_again() {
    let host = Host::new();
    let ticket = host.lead(1);
    let mut waiter = host.wait(1);
    let woken = park(&mut waiter);
    host.detach(1);
    host.cancel(ticket);
    assert_eq!(woken.get(), 1);
    assert!(matches!(answer(&mut waiter), Outcome::Rejoin));
    host.assert_idle();
}

#[test]
fn detaching_a_leaderless_flight_tells_its_waiters_to_join_again() {
    let host = Host::new();
    let ticket = host.lead(1);
    let (mut invited, mut other) = (host.wait(1), host.wait(1));
    let (_, woken) = (park(&mut invited), park(&mut other));
    host.cancel(ticket);
    assert!(host.detach(1));
    assert_eq!(woken.get(), 1);
    assert!(matches!(answer(&mut invited), Outcome::Rejoin), "the invitation is void");
    assert!(matches!(answer(&mut other), Outcome::Rejoin));
    host.assert_idle();
}

#[test]
fn detach_where_detaches_what_is_asked_for_and_counts_it() {
    let host = Host::new();
    let tickets: Vec<_> = (0..6).map(|key| host.lead(key)).collect();
    let count = host.with(|table, after| table.detach_where(|_, key| key.0 % 2 == 0, after));
    assert_eq!(count, 3);
    let current: Vec<_> = tickets.iter().map(|ticket| host.is_current(ticket)).collect();
    assert_eq!(current, [false, true, false, true, false, true]);
    assert_eq!(host.len(), 6);
    for ticket in tickets {
        host.land(ticket, 0);
    }
    host.assert_idle();
}

#[test]
fn detach_where_over_leaderless_flights_leaves_no_records() {
    let host = Host::new();
    let mut waiters = Vec::new();
    for key in 0..3 {
        let ticket = host.lead(key);
        waiters.push(host.wait(key));
        host.cancel(ticket);
    }
    assert_eq!(host.with(|table, after| table.detach_where(|_, _| true, after)), 3);
    host.assert_idle();
    for waiter in &mut waiters {
        assert!(matches!(answer(waiter), Outcome::Rejoin));
    }
}

#[test]
fn ticket_dropped_without_an_end_strands_nobody() {
    let host = Host::new();
    let ticket = host.lead(1);
    let mut waiter = host.wait(1);
    let woken = park(&mut waiter);
    drop(ticket);
    assert_eq!(woken.get(), 1);
    assert!(matches!(answer(&mut waiter), Outcome::Rejoin));
    host.assert_idle();

    let ticket = host.lead(1);
    host.detach(1);
    drop(ticket);
    host.assert_idle();
}

#[test]
fn ticket_completed_without_an_end_still_answers_and_is_reaped() {
    let host = Host::new();
    let ticket = host.lead(1);
    let mut waiter = host.wait(1);
    ticket.complete(Arc::new(Value(5)));
    assert_eq!(value_of(&mut waiter), 5);
    host.assert_idle();
}

#[test]
fn ended_ticket_that_is_dropped_answers_its_waiters() {
    // A value whose clone panics: the lease is ended, and nothing completes it.
    let host = Host::new();
    let mut ticket = host.lead(1);
    let mut waiter = host.wait(1);
    host.with(|table, after| table.end(&mut ticket, after));
    let woken = park(&mut waiter);
    drop(ticket);
    assert_eq!(woken.get(), 1);
    assert!(matches!(answer(&mut waiter), Outcome::Rejoin));
    host.assert_idle();
}

#[test]
fn ending_twice_is_ending_once() {
    let host = Host::new();
    let mut ticket = host.lead(1);
    host.with(|table, after| table.end(&mut ticket, after));
    let other = host.lead(1);
    let now = host.now();
    host.with(|table, after| {
        table.end(&mut ticket, after);
        table.hand_over(&mut ticket, now, after);
    });
    assert!(host.is_current(&other));
    assert_eq!(host.len(), 1);
    drop(ticket);
    host.cancel(other);
    host.assert_idle();
}

#[test]
fn waiter_keeps_the_last_of_its_wakers() {
    let host = Host::new();
    let ticket = host.lead(1);
    let mut waiter = host.wait(1);
    let (old, new) = (park(&mut waiter), park(&mut waiter));
    assert!(poll(&mut waiter, &new).is_pending());
    host.land(ticket, 1);
    assert_eq!((old.get(), new.get()), (0, 1));
}

#[test]
fn eq_that_panics_leaves_the_table_sound() {
    let host = Host::new();
    let ticket = host.lead(1);
    let node = host.node.lock().clone();
    let mut owned = Some(Key(1));
    let joined = catch_unwind(AssertUnwindSafe(|| {
        let ask = Ask { hash: 1, now: host.now(), node: &node, fence: None, key: &mut owned };
        host.with(|table, after| table.join(ask, |_, _| panic!("eq"), |_| true, after))
    }));
    assert!(joined.is_err());
    let live = catch_unwind(AssertUnwindSafe(|| {
        let ask = Ask { hash: 1, now: host.now(), node: &node, fence: None, key: &mut owned };
        host.with(|table, after| table.join(ask, |_, _| true, |_| panic!("live"), after))
    }));
    assert!(live.is_err());
    let detached = catch_unwind(AssertUnwindSafe(|| {
        host.with(|table, after| table.detach(1, |_, _| panic!("eq"), after))
    }));
    assert!(detached.is_err());
    assert!(owned.is_some());
    assert!(host.is_current(&ticket));
    assert!(host.land(ticket, 1));
    host.assert_idle();
}

#[test]
fn waker_that_panics_does_not_keep_the_others_asleep() {
    struct Bad;
    impl Wake for Bad {
        fn wake(self: Arc<Self>) {
            panic!("a waker panicked");
        }
    }
    let host = Host::new();
    let mut ticket = host.lead(1);
    let (mut bad, mut good) = (host.wait(1), host.wait(1));
    let waker = Waker::from(Arc::new(Bad));
    assert!(Pin::new(&mut bad).poll(&mut Context::from_waker(&waker)).is_pending());
    let woken = park(&mut good);
    host.with(|table, after| table.end(&mut ticket, after));
    let landed = catch_unwind(AssertUnwindSafe(|| ticket.complete(Arc::new(Value(1)))));
    assert!(landed.is_err(), "the panic is not swallowed");
    assert_eq!(woken.get(), 1);
    assert_eq!((value_of(&mut bad), value_of(&mut good)), (1, 1));
}

#[test]
fn thousands_of_waiters_come_and_go_in_any_order() {
    let host = Host::new();
    let ticket = host.lead(1);
    let mut waiters: Vec<_> = (0..2_000).map(|_| host.wait(1)).collect();
    let woken: Vec<_> = waiters.iter_mut().map(park).collect();
    for at in (0..1_000).rev() {
        drop(waiters.swap_remove(at * 2));
    }
    host.land(ticket, 4);
    assert_eq!(woken.iter().map(|woken| woken.get()).sum::<usize>(), 1_000);
    assert!(waiters.iter_mut().all(|waiter| value_of(waiter) == 4));
    host.assert_idle();
}
