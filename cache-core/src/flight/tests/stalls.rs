//! Stalled leaders: who notices, who takes over, who is sent away.

use super::*;

/// Wakes the leader's task without polling it, as a task does that nobody drives.
fn wake_only(ticket: &Ticket<Value>) {
    drop(ticket.pulse().polling(Waker::noop()));
    ticket.pulse().waker().wake();
}

#[test]
fn leader_that_was_woken_and_not_polled_loses_the_lease_to_one_waiter() {
    let host = Host::new();
    let old = host.lead(1);
    let (mut first, mut second) = (host.wait(1), host.wait(1));
    let (woken_first, woken_second) = (park(&mut first), park(&mut second));
    wake_only(&old);
    host.advance(999);
    host.check();
    assert_eq!((woken_first.get(), woken_second.get()), (0, 0), "patience is a second");
    host.advance(1);
    host.check();
    assert_eq!((woken_first.get(), woken_second.get()), (1, 0), "one waiter is invited");
    assert!(matches!(answer(&mut first), Outcome::Stalled));
    let TakeOver::Lead(new) = host.take_over(&mut first) else { panic!("the lease is free") };
    assert_eq!(host.len(), 2);
    assert!(!host.is_current(&old));
    assert!(host.is_current(&new));
    assert!(!host.land(old, 1), "only a registered lease publishes");
    let _ = park(&mut second);
    assert!(host.land(new, 2));
    assert_eq!(value_of(&mut second), 2, "the others wait on");
    host.assert_idle();
}

#[test]
fn lease_ends_after_its_time_even_for_a_busy_leader() {
    let host = Host::new();
    let old = host.lead(1);
    let mut waiter = host.wait(1);
    let woken = park(&mut waiter);
    let polling = old.pulse().polling(Waker::noop());
    host.advance(59_999);
    host.check();
    assert_eq!(woken.get(), 0);
    host.advance(1);
    host.check();
    assert_eq!(woken.get(), 1);
    let TakeOver::Lead(new) = host.take_over(&mut waiter) else { panic!("the lease is over") };
    drop(polling);
    host.fail(old, Some("too late"), true);
    assert!(host.land(new, 1));
    host.assert_idle();
}

#[test]
fn leader_that_is_polled_again_keeps_the_lease() {
    let host = Host::new();
    let ticket = host.lead(1);
    let mut waiter = host.wait(1);
    let woken = park(&mut waiter);
    wake_only(&ticket);
    host.advance(900);
    drop(ticket.pulse().polling(Waker::noop()));
    host.advance(5_000);
    host.check();
    assert_eq!(woken.get(), 0);
    assert!(matches!(host.take_over(&mut waiter), TakeOver::Wait));
    host.land(ticket, 1);
    assert_eq!(value_of(&mut waiter), 1);
}

#[test]
fn leader_that_was_invited_away_and_revives_is_left_alone() {
    let host = Host::new();
    let ticket = host.lead(1);
    let mut waiter = host.wait(1);
    wake_only(&ticket);
    host.advance(1_000);
    host.check();
    assert!(matches!(answer(&mut waiter), Outcome::Stalled));
    drop(ticket.pulse().polling(Waker::noop()));
    assert!(matches!(host.take_over(&mut waiter), TakeOver::Wait));
    let woken = park(&mut waiter);
    assert!(host.land(ticket, 1));
    assert_eq!(woken.get(), 1);
    assert_eq!(value_of(&mut waiter), 1);
}

#[test]
fn long_poll_is_work_and_patience_begins_at_its_end() {
    let host = Host::new();
    let ticket = host.lead(1);
    let mut waiter = host.wait(1);
    let polling = ticket.pulse().polling(Waker::noop());
    ticket.pulse().waker().wake();
    host.advance(5_000);
    assert!(matches!(host.take_over(&mut waiter), TakeOver::Wait));
    drop(polling);
    host.advance(999);
    assert!(!ticket.pulse().is_stalled(host.now()));
    host.advance(1);
    assert!(ticket.pulse().is_stalled(host.now()));
    host.cancel(ticket);
}

#[test]
fn pulse_forwards_to_the_leaders_latest_waker_and_lets_it_go_with_the_ticket() {
    let host = Host::new();
    let ticket = host.lead(1);
    let (old, new) = (Count::new(), Count::new());
    let waker = ticket.pulse().waker();
    drop(ticket.pulse().polling(&Waker::from(Arc::clone(&old))));
    drop(ticket.pulse().polling(&Waker::from(Arc::clone(&new))));
    waker.wake_by_ref();
    assert_eq!((old.get(), new.get()), (0, 1));
    assert_eq!(Arc::strong_count(&old), 1);
    host.cancel(ticket);
    waker.wake();
    assert_eq!((new.get(), Arc::strong_count(&new)), (1, 1));
}

#[test]
fn invitation_that_nobody_takes_up_goes_round() {
    let host = Host::new();
    let ticket = host.lead(1);
    let mut waiters: Vec<_> = (0..3).map(|_| host.wait(1)).collect();
    let woken: Vec<_> = waiters.iter_mut().map(park).collect();
    let counts = || woken.iter().map(|woken| woken.get()).collect::<Vec<_>>();
    host.advance(60_000);
    for expected in [[1, 0, 0], [1, 1, 0], [1, 1, 1]] {
        host.check();
        host.check();
        assert_eq!(counts(), expected, "one waiter a patience");
        host.advance(1_000);
    }
    host.check();
    assert!(matches!(answer(&mut waiters[0]), Outcome::Stalled), "and round again");
    assert!(matches!(host.take_over(&mut waiters[0]), TakeOver::Lead(_)));
    drop(ticket);
    drop(waiters);
    host.assert_idle();
}

#[test]
fn invited_waiter_that_is_dropped_passes_the_take_over_on() {
    let host = Host::new();
    let old = host.lead(1);
    let (mut first, mut second) = (host.wait(1), host.wait(1));
    let (_, woken) = (park(&mut first), park(&mut second));
    host.advance(60_000);
    host.check();
    assert!(matches!(answer(&mut first), Outcome::Stalled));
    drop(first);
    assert_eq!(woken.get(), 1);
    assert!(matches!(answer(&mut second), Outcome::Stalled));
    assert!(matches!(poll(&mut second, &Count::new()), Poll::Pending), "who does not try waits on");
    host.cancel(old);
    host.cancel(lead_of(&mut second));
    host.assert_idle();
}

#[test]
fn offer_of_the_lead_that_nobody_takes_up_goes_on_to_the_next() {
    let host = Host::new();
    let ticket = host.lead(1);
    let (mut first, mut second) = (host.wait(1), host.wait(1));
    let (_, woken) = (park(&mut first), park(&mut second));
    host.cancel(ticket);
    host.advance(1_000);
    host.check();
    assert_eq!(woken.get(), 1);
    let ticket = lead_of(&mut second);
    let _ = park(&mut first);
    assert!(host.land(ticket, 2));
    assert_eq!(value_of(&mut first), 2);
    host.assert_idle();
}

#[test]
fn newcomer_takes_over_at_once_without_any_maintenance() {
    let host = Host::new();
    let old = host.lead(1);
    let mut waiter = host.wait(1);
    host.advance(60_000);
    let new = host.lead(1);
    assert_eq!(new.id(), old.id());
    assert!(matches!(host.join(1), Joined::Wait(_)));
    assert!(host.land(new, 2));
    assert_eq!(value_of(&mut waiter), 2);
    assert!(!host.land(old, 1));
    host.assert_idle();

    let ticket = host.lead(1);
    let (mut invited, mut other) = (host.wait(1), host.wait(1));
    host.cancel(ticket);
    host.advance(999);
    drop(host.wait(1));
    host.advance(1);
    let ticket = host.lead(1);
    let _ = park(&mut invited);
    host.land(ticket, 3);
    assert_eq!((value_of(&mut invited), value_of(&mut other)), (3, 3));
    host.assert_idle();
}

#[test]
fn take_over_waits_while_a_detached_load_runs_in_time() {
    let host = Host::new();
    let first = host.lead(1);
    host.detach(1);
    host.advance(30_000);
    let second = host.lead(1);
    let mut waiter = host.wait(1);
    host.advance(30_000);
    drop(first.pulse().polling(Waker::noop()));
    wake_only(&second);
    host.advance(1_000);
    // The first is past its lease, so both are stalled.
    assert!(matches!(host.take_over(&mut waiter), TakeOver::Stuck));
    host.cancel(first);
    host.cancel(second);

    let first = host.lead(1);
    host.detach(1);
    let second = host.lead(1);
    let mut waiter = host.wait(1);
    wake_only(&second);
    host.advance(1_000);
    assert!(matches!(host.take_over(&mut waiter), TakeOver::Wait), "two run already, one of them well");
    host.land(first, 1);
    assert!(matches!(host.take_over(&mut waiter), TakeOver::Lead(_)));
    drop(second);
    host.assert_idle();
}

#[test]
fn two_stalled_loads_release_everybody_who_waits() {
    let host = Host::new();
    let old = host.lead(1);
    let mut waiters: Vec<_> = (0..3).map(|_| host.wait(1)).collect();
    let woken: Vec<_> = waiters.iter_mut().map(park).collect();
    host.advance(60_000);
    let new = host.lead(1);
    host.advance(60_000);
    host.check();
    assert_eq!(woken[0].get(), 1);
    assert!(matches!(answer(&mut waiters[0]), Outcome::Stalled));
    assert!(matches!(host.take_over(&mut waiters[0]), TakeOver::Stuck));
    for at in [1, 2] {
        assert_eq!(woken[at].get(), 1);
        assert!(matches!(answer(&mut waiters[at]), Outcome::Stuck));
    }
    assert!(matches!(host.join(1), Joined::Stuck));
    assert!(!new.has_waiters());
    host.land(old, 1);
    assert!(host.land(new, 2), "late as it is, it is the current one");
    host.assert_idle();
}

#[test]
fn stalled_detached_load_sends_its_waiters_to_join_again() {
    let host = Host::new();
    let ticket = host.lead(1);
    let (mut first, mut second) = (host.wait(1), host.wait(1));
    let (woken_first, woken_second) = (park(&mut first), park(&mut second));
    host.detach(1);
    host.advance(60_000);
    host.check();
    assert_eq!((woken_first.get(), woken_second.get()), (1, 0));
    assert!(matches!(answer(&mut first), Outcome::Stalled));
    assert!(matches!(host.take_over(&mut first), TakeOver::Rejoin));
    assert_eq!(woken_second.get(), 1);
    assert!(matches!(answer(&mut second), Outcome::Rejoin));
    let new = host.lead(1);
    host.land(new, 2);
    host.land(ticket, 1);
    host.assert_idle();
}

#[test]
fn waiters_for_a_place_are_told_when_both_loads_are_stalled() {
    let host = Host::new();
    let first = host.lead(1);
    host.detach(1);
    let second = host.lead(1);
    host.detach(1);
    let mut waiting = host.place(1);
    let woken = park(&mut waiting);
    wake_only(&first);
    host.advance(1_000);
    host.check();
    assert_eq!(woken.get(), 0, "one of the two is in time");
    host.advance(59_000);
    host.check();
    assert_eq!(woken.get(), 1);
    assert_eq!(answer(&mut waiting), Placed::Stuck);
    assert!(matches!(host.join(1), Joined::Stuck));
    host.land(first, 1);
    assert!(matches!(host.join(1), Joined::Lead(_)));
    drop(second);
    host.assert_idle();
}

#[test]
fn ended_lease_cannot_stall_before_it_is_closed() {
    let host = Host::new();
    let mut ticket = host.lead(1);
    let mut waiter = host.wait(1);
    host.with(|table, after| table.end(&mut ticket, after));
    host.advance(60_000);
    host.check();
    assert!(matches!(host.take_over(&mut waiter), TakeOver::Wait));
    ticket.complete(Arc::new(Value(6)));
    assert_eq!(value_of(&mut waiter), 6);
    host.assert_idle();
}

#[test]
fn old_leader_of_a_taken_over_flight_can_be_cancelled() {
    let host = Host::new();
    let old = host.lead(1);
    host.advance(60_000);
    let new = host.lead(1);
    let mut waiter = host.wait(1);
    let woken = park(&mut waiter);
    host.cancel(old);
    assert_eq!((woken.get(), host.len()), (0, 1), "its end is nobody's business");
    assert!(host.land(new, 1));
    host.assert_idle();
}

#[test]
fn watch_list_holds_what_has_waiters_and_says_when_to_look() {
    let host = Host::new();
    let watch = &host.setup.watch;
    assert_eq!(watch.next_check(), None);
    let ticket = host.lead(1);
    assert_eq!(watch.next_check(), None, "nobody waits");
    let waiters = (host.wait(1), host.wait(1));
    assert_eq!(watch.len(), 1);
    assert_eq!(watch.next_check(), Some(Moment::from_nanos(1_000_000_000)));
    host.advance(1_000);
    assert_eq!(host.check(), Some(Moment::from_nanos(2_000_000_000)));
    drop(waiters);
    host.advance(1_000);
    assert_eq!(host.check(), None);
    assert!(watch.is_empty());
    drop(host.wait(1));
    assert_eq!(watch.len(), 1, "who comes later has it watched again");
    host.land(ticket, 1);
    host.assert_idle();
}

#[test]
fn watch_list_stays_small_when_nobody_looks() {
    let host = Host::new();
    for _ in 0..1_000 {
        let ticket = host.lead(1);
        drop(host.wait(1));
        host.land(ticket, 1);
    }
    assert!(host.setup.watch.len() <= 64, "{}", host.setup.watch.len());
}
