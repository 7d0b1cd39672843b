//! Permits of cached functions that run themselves.

use super::super::chain::waiting_among;
use super::*;

fn permit(host: &Host) -> SoloPermit {
    match host.solo(1) {
        Solo::Granted(permit) => permit,
        other => panic!("expected a permit, got {other:?}"),
    }
}

fn line(host: &Host) -> SoloWaiter {
    match host.solo(1) {
        Solo::Wait(waiter) => waiter,
        other => panic!("expected to wait, got {other:?}"),
    }
}

#[test]
fn four_run_themselves_and_the_fifth_waits() {
    let host = Host::new();
    let mut permits: Vec<_> = (0..4).map(|_| permit(&host)).collect();
    let (mut fifth, mut sixth) = (line(&host), line(&host));
    let (woken_fifth, woken_sixth) = (park(&mut fifth), park(&mut sixth));
    drop(permits.pop());
    assert_eq!((woken_fifth.get(), woken_sixth.get()), (1, 0), "one permit, one waiter, in order");
    assert!(matches!(host.solo(1), Solo::Wait(_)), "nobody overtakes");
    permits.push(answer(&mut fifth));
    drop(permits);
    drop(answer(&mut sixth));
    host.assert_idle();
}

#[test]
fn permit_granted_to_a_waiter_that_leaves_goes_to_the_next() {
    let host = Host::new();
    let mut permits: Vec<_> = (0..4).map(|_| permit(&host)).collect();
    let (mut first, mut second) = (line(&host), line(&host));
    let (_, woken) = (park(&mut first), park(&mut second));
    drop(permits.pop());
    drop(first);
    assert_eq!(woken.get(), 1);
    drop(answer(&mut second));
    drop(permits);
    host.assert_idle();
}

#[test]
fn waiters_that_leave_leave_no_record() {
    let host = Host::new();
    let permits: Vec<_> = (0..4).map(|_| permit(&host)).collect();
    let (mut parked, fresh) = (line(&host), line(&host));
    let _ = park(&mut parked);
    drop(fresh);
    drop(permits);
    drop(parked);
    host.assert_idle();
}

#[test]
fn permit_held_past_the_lease_counts_no_more() {
    let host = Host::new();
    let mut stuck: Vec<_> = (0..4).map(|_| permit(&host)).collect();
    let (mut fifth, mut sixth) = (line(&host), line(&host));
    let (woken_fifth, woken_sixth) = (park(&mut fifth), park(&mut sixth));
    host.advance(59_999);
    host.check();
    assert_eq!(woken_fifth.get(), 0);
    host.advance(1);
    host.check();
    assert_eq!((woken_fifth.get(), woken_sixth.get()), (1, 1));
    let running = (answer(&mut fifth), answer(&mut sixth));
    drop(stuck.pop());
    stuck.push(permit(&host));
    drop(running);
    drop(stuck);
    host.assert_idle();
}

#[test]
fn newcomer_who_finds_old_permits_wakes_those_who_came_before() {
    let host = Host::new();
    let stuck: Vec<_> = (0..4).map(|_| permit(&host)).collect();
    let mut waiting: Vec<_> = (0..4).map(|_| line(&host)).collect();
    let woken: Vec<_> = waiting.iter_mut().map(park).collect();
    host.advance(60_000);
    let mut last = line(&host);
    assert_eq!(woken.iter().map(|woken| woken.get()).sum::<usize>(), 4);
    let _ = park(&mut last);
    drop(waiting);
    drop(answer(&mut last));
    drop(stuck);
    host.assert_idle();
}

#[test]
fn solo_runs_stand_beside_loads_of_the_key() {
    let host = Host::new();
    let solo = permit(&host);
    let ticket = host.lead(1);
    assert_eq!(host.len(), 1, "a solo run is no flight");
    host.land(ticket, 1);
    assert_eq!(host.with(|table, _| table.records()), 1);
    drop(solo);
    host.assert_idle();
}

#[test]
fn holder_of_a_permit_never_waits_for_another_one() {
    let host = Host::new();
    let mut permits: Vec<_> = (0..4).map(|_| permit(&host)).collect();
    {
        let _inside = Chain::enter(permits[0].id());
        assert!(matches!(host.solo(1), Solo::Recursion));
    }
    let other = host.lead(2);
    let mut waiting = {
        let _inside = Chain::enter(other.id());
        line(&host)
    };
    let _ = park(&mut waiting);
    drop(permits.pop());
    let granted = answer(&mut waiting);
    assert_eq!(waiting_among(&[other.id()]), 0);
    drop(granted);
    permits.push(permit(&host));
    let _waiting = {
        let _inside = Chain::enter(other.id());
        line(&host)
    };
    {
        let _inside = Chain::enter(permits[1].id());
        assert!(matches!(host.join(2), Joined::Recursion), "the lease waits for the run");
    }
    host.cancel(other);
}
