//! Recursion and circles of waits, within one thread's chain and across leases.

use super::super::chain::waiting_among;
use super::*;

#[test]
fn caller_inside_of_the_very_load_runs_uncached() {
    let host = Host::new();
    let ticket = host.lead(1);
    {
        let _inside = Chain::enter(ticket.id());
        assert!(matches!(host.join(1), Joined::Recursion));
        let inner = host.lead(2);
        let _deeper = Chain::enter(inner.id());
        assert_eq!(Chain::current(), [ticket.id(), inner.id()]);
        assert!(matches!(host.join(1), Joined::Recursion), "also indirectly");
        host.cancel(inner);
    }
    assert!(!Chain::contains(ticket.id()));
    assert!(matches!(host.join(1), Joined::Wait(_)));
    host.cancel(ticket);
    host.assert_idle();
}

#[test]
fn caller_inside_of_a_stalled_load_does_not_take_over_from_itself() {
    let host = Host::new();
    let ticket = host.lead(1);
    let inside = Chain::enter(ticket.id());
    host.advance(60_000);
    assert!(matches!(host.join(1), Joined::Recursion));
    drop(inside);
    assert!(host.land(ticket, 1));
    host.assert_idle();
}

#[test]
fn circle_between_two_leases_is_refused_by_whoever_would_close_it() {
    let host = Host::new();
    let (one, two) = (host.lead(1), host.lead(2));
    let ids = [one.id(), two.id()];
    let mut waiting = {
        let _inside = Chain::enter(one.id());
        host.wait(2)
    };
    {
        let _inside = Chain::enter(two.id());
        assert!(matches!(host.join(1), Joined::Recursion));
    }
    assert_eq!(waiting_among(&ids), 1);
    host.land(two, 2);
    assert_eq!(value_of(&mut waiting), 2);
    assert_eq!(waiting_among(&ids), 0, "an answered waiter waits for nothing");
    host.land(one, 1);
    host.assert_idle();
}

#[test]
fn circle_over_three_leases_and_an_outer_one_is_seen() {
    let host = Host::new();
    let tickets: Vec<_> = (0..4).map(|key| host.lead(key)).collect();
    let inside = |at: usize| Chain::enter(tickets[at].id());
    let first = {
        let (_outer, _inner) = (inside(0), inside(1));
        host.wait(2)
    };
    let second = {
        let _inner = inside(2);
        host.wait(3)
    };
    {
        let _inner = inside(3);
        assert!(matches!(host.join(0), Joined::Recursion), "0 waits through what it runs inside of it");
        assert!(matches!(host.join(1), Joined::Recursion));
        assert!(matches!(host.join(2), Joined::Recursion));
    }
    drop(first);
    {
        let _inner = inside(3);
        assert!(matches!(host.join(0), Joined::Wait(_)), "a dropped waiter waits for nothing");
        assert!(matches!(host.join(2), Joined::Recursion));
    }
    drop(second);
    let ids: Vec<_> = tickets.iter().map(Ticket::id).collect();
    assert_eq!(waiting_among(&ids), 0);
    tickets.into_iter().for_each(|ticket| host.cancel(ticket));
    host.assert_idle();
}

#[test]
fn two_waits_for_one_load_are_two_edges() {
    let host = Host::new();
    let (one, two) = (host.lead(1), host.lead(2));
    let (first, second) = {
        let _inside = Chain::enter(one.id());
        (host.wait(2), host.wait(2))
    };
    drop(first);
    {
        let _inside = Chain::enter(two.id());
        assert!(matches!(host.join(1), Joined::Recursion));
    }
    drop(second);
    {
        let _inside = Chain::enter(two.id());
        assert!(matches!(host.join(1), Joined::Wait(_)));
    }
    host.cancel(one);
    host.cancel(two);
    host.assert_idle();
}

#[test]
fn waiting_for_a_place_counts_as_waiting_for_both_loads() {
    let host = Host::new();
    let (first, other) = (host.lead(1), host.lead(2));
    host.detach(1);
    let second = host.lead(1);
    host.detach(1);
    for ticket in [&first, &second] {
        let _inside = Chain::enter(ticket.id());
        assert!(matches!(host.join(1), Joined::Recursion), "its own load holds a place");
    }
    let waiting = {
        let _inside = Chain::enter(other.id());
        host.place(1)
    };
    {
        let _inside = Chain::enter(second.id());
        assert!(matches!(host.join(2), Joined::Recursion));
    }
    drop(waiting);
    assert_eq!(waiting_among(&[other.id()]), 0);
    [first, second, other].into_iter().for_each(|ticket| host.cancel(ticket));
    host.assert_idle();
}

#[test]
fn loader_that_invalidates_its_own_key_leads_a_new_load() {
    let host = Host::new();
    let outer = host.lead(1);
    let _inside = Chain::enter(outer.id());
    host.detach(1);
    let inner = host.lead(1);
    assert!(host.land(inner, 2));
    assert!(!host.land(outer, 1));
    host.assert_idle();
}

#[test]
fn lead_that_was_handed_over_takes_its_edges_away() {
    let host = Host::new();
    let (one, two) = (host.lead(1), host.lead(2));
    let mut waiter = {
        let _inside = Chain::enter(one.id());
        host.wait(2)
    };
    host.cancel(two);
    let two = lead_of(&mut waiter);
    assert_eq!(waiting_among(&[one.id()]), 0);
    {
        let (_outer, _inner) = (Chain::enter(one.id()), Chain::enter(two.id()));
        assert!(matches!(host.join(1), Joined::Recursion));
    }
    host.land(two, 2);
    host.land(one, 1);
    host.assert_idle();
}

#[test]
fn lead_that_was_taken_over_takes_its_edges_away() {
    let host = Host::new();
    let two = host.lead(2);
    host.advance(30_000);
    let one = host.lead(1);
    let mut waiter = {
        let _inside = Chain::enter(one.id());
        host.wait(2)
    };
    host.advance(30_000);
    let TakeOver::Lead(taken) = host.take_over(&mut waiter) else { panic!("the lease is over") };
    assert_eq!(waiting_among(&[one.id()]), 0);
    [one, two, taken].into_iter().for_each(|ticket| host.cancel(ticket));
    drop(waiter);
    host.assert_idle();
}
