//! Races at the gate, explored by shuttle: a load that nobody wakes is a deadlock that it reports.

use shuttle::future::block_on;
use shuttle::sync::mpsc;
use shuttle::thread;

use super::*;
use crate::flight::Chain;
use crate::flight::chain::Edges;
use crate::sync::{AtomicUsize, Ordering};

const SCHEDULES: usize = 3_000;

async fn permit(permission: Permission) -> LoadPermit {
    match permission {
        Permission::Granted(Some(permit)) => permit,
        Permission::Wait(waiter) => waiter.await,
        other => panic!("expected a permit, got {other:?}"),
    }
}

#[test]
fn one_load_runs_at_a_time_and_all_come_home() {
    shuttle::check_random(
        || {
            let world = Arc::new(World::new());
            world.set("", Some(LoadLimit::at_most(1)));
            let running = Arc::new(AtomicUsize::new(0));
            let runners = ["a", "a", "b", "a"].into_iter().enumerate().map(|(number, org)| {
                let (world, running) = (Arc::clone(&world), Arc::clone(&running));
                thread::spawn(move || {
                    let permission = world.ask(org, FlightId::fresh());
                    if let (Permission::Wait(_), 3) = (&permission, number) {
                        // Whatever it may have been offered goes to the next.
                        return drop(permission);
                    }
                    let permit = block_on(permit(permission));
                    assert_eq!(running.fetch_add(1, Ordering::SeqCst), 0);
                    thread::yield_now();
                    running.fetch_sub(1, Ordering::SeqCst);
                    drop(permit);
                })
            });
            let runners: Vec<_> = runners.collect();
            runners.into_iter().for_each(|runner| runner.join().expect("it comes home"));
            world.assert_idle(1);
        },
        SCHEDULES,
    );
}

/// Who holds the only permit waits for a load whose leader asks for it meanwhile.
#[test]
fn load_that_a_holder_waits_for_is_never_left_in_the_queue() {
    shuttle::check_random(
        || {
            let world = Arc::new(World::new());
            world.set("a", Some(LoadLimit::at_most(1)));
            let (outer, wanted) = (FlightId::fresh(), FlightId::fresh());
            let held = block_on(permit(world.ask("a", outer)));
            let (land, landed) = mpsc::channel();
            let leader = {
                let world = Arc::clone(&world);
                thread::spawn(move || {
                    drop(block_on(permit(world.ask("a", wanted))));
                    land.send(()).expect("the holder waits");
                })
            };
            let edges = {
                let _inside = Chain::enter(outer);
                Edges::announce(&[wanted]).expect("no circle")
            };
            world.limits.admit(&[wanted]);
            landed.recv().expect("it lands");
            drop((edges, held));
            leader.join().expect("it landed");
            world.assert_idle(2);
        },
        SCHEDULES,
    );
}

#[test]
fn limit_that_changes_while_loads_wait_forgets_none_of_them() {
    shuttle::check_random(
        || {
            let world = Arc::new(World::new());
            world.set("a", Some(LoadLimit::at_most(1)));
            let runners: Vec<_> = (0..3)
                .map(|_| {
                    let world = Arc::clone(&world);
                    thread::spawn(move || match world.ask("a", FlightId::fresh()) {
                        Permission::Granted(None) => {}
                        permission => drop(block_on(permit(permission))),
                    })
                })
                .collect();
            world.set("a", Some(LoadLimit::at_most(2)));
            world.set("a", None);
            runners.into_iter().for_each(|runner| runner.join().expect("it comes home"));
            world.assert_idle(1);
        },
        SCHEDULES,
    );
}
