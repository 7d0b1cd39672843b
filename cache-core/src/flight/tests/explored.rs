//! Races of callers, explored by shuttle: it chooses the interleaving at every lock, and a caller who is
//! never woken is a deadlock that it reports. Run with `RUSTFLAGS="--cfg shuttle"` and a target directory of
//! its own.

use shuttle::future::block_on;
use shuttle::thread::{self, JoinHandle};

use super::*;

const SCHEDULES: usize = 3_000;

/// What the loader of a lease does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Script {
    Land,
    Fail,
    Panic,
    Cancel,
    Forget,
}

/// What a caller came home with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Home {
    Value(u64),
    Cancelled,
    Stuck,
}

struct Scene {
    host: Arc<Host>,
    running: AtomicUsize,
    most: AtomicUsize,
    loads: AtomicUsize,
}

impl Scene {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            host: Host::new(),
            running: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            loads: AtomicUsize::new(0),
        })
    }

    /// Runs the loader as told; the value is the number of the run, from 1.
    fn run(&self, ticket: Ticket<Value>, script: Script) -> Option<Home> {
        let number = self.loads.fetch_add(1, Ordering::SeqCst) as u64 + 1;
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(running, Ordering::SeqCst);
        thread::yield_now();
        self.running.fetch_sub(1, Ordering::SeqCst);
        match script {
            Script::Land => {
                self.host.land(ticket, number);
                return Some(Home::Value(number));
            }
            Script::Fail => self.host.fail(ticket, None, false),
            Script::Panic => self.host.fail(ticket, None, true),
            Script::Cancel => self.host.cancel(ticket),
            Script::Forget => drop(ticket),
        }
        None
    }

    /// A caller as the engine writes it. Its first lease goes as told, and later ones land.
    async fn get(&self, key: u32, script: Script) -> Home {
        let mut script = script;
        loop {
            let ticket = match self.host.join(key) {
                Joined::Lead(ticket) => ticket,
                Joined::Wait(mut waiter) => match self.wait(&mut waiter).await {
                    Ok(ticket) => ticket,
                    Err(Some(home)) => return home,
                    Err(None) => continue,
                },
                Joined::Place(waiter) => match waiter.await {
                    Placed::Free => continue,
                    Placed::Stuck => return Home::Stuck,
                },
                Joined::Recursion => return Home::Value(0),
                Joined::Stuck => return Home::Stuck,
                Joined::NeedsKey => unreachable!("the harness gives the key"),
            };
            let told = std::mem::replace(&mut script, Script::Land);
            if let Some(home) = self.run(ticket, told) {
                return home;
            }
            if told == Script::Cancel {
                return Home::Cancelled;
            }
        }
    }

    async fn wait(&self, waiter: &mut Waiter<Value>) -> Result<Ticket<Value>, Option<Home>> {
        loop {
            match (&mut *waiter).await {
                Outcome::Value(value) => return Err(Some(Home::Value(value.0))),
                Outcome::Lead(ticket) => return Ok(ticket),
                Outcome::Failed(_) | Outcome::Rejoin | Outcome::Outdated => return Err(None),
                Outcome::Stuck => return Err(Some(Home::Stuck)),
                Outcome::Stalled => match self.host.take_over(waiter) {
                    TakeOver::Lead(ticket) => return Ok(ticket),
                    TakeOver::Wait => {}
                    TakeOver::Rejoin => return Err(None),
                    TakeOver::Stuck => return Err(Some(Home::Stuck)),
                },
            }
        }
    }

    fn caller(self: &Arc<Self>, key: u32, script: Script) -> JoinHandle<Home> {
        let scene = Arc::clone(self);
        thread::spawn(move || block_on(scene.get(key, script)))
    }

    /// Polls once and drops: a caller that is cancelled while it waits.
    fn quitter(self: &Arc<Self>, key: u32) -> JoinHandle<()> {
        let scene = Arc::clone(self);
        thread::spawn(move || {
            let mut call = Box::pin(scene.get(key, Script::Land));
            let _ = call.as_mut().poll(&mut Context::from_waker(&Waker::from(Count::new())));
        })
    }

    fn close(&self) {
        self.host.assert_idle();
    }
}

fn home(caller: JoinHandle<Home>) -> Home {
    caller.join().expect("the caller came home")
}

#[test]
fn three_callers_come_home_whatever_the_leader_does() {
    for script in [Script::Land, Script::Fail, Script::Panic, Script::Cancel, Script::Forget] {
        shuttle::check_random(
            move || {
                let scene = Scene::new();
                let callers: Vec<_> = (0..3).map(|_| scene.caller(1, script)).collect();
                for caller in callers {
                    let home = home(caller);
                    assert!(matches!(home, Home::Value(_)) || script == Script::Cancel, "{home:?}");
                }
                assert_eq!(scene.most.load(Ordering::SeqCst), 1, "one run at a time");
                scene.close();
            },
            SCHEDULES / 3,
        );
    }
}

#[test]
fn cancelled_waiter_races_with_landing_and_with_hand_over() {
    for script in [Script::Land, Script::Cancel, Script::Fail] {
        shuttle::check_random(
            move || {
                let scene = Scene::new();
                let ticket = scene.host.lead(1);
                let (quitter, stays) = (scene.quitter(1), scene.caller(1, Script::Land));
                scene.run(ticket, script);
                quitter.join().expect("it quit");
                assert!(matches!(home(stays), Home::Value(_)));
                scene.close();
            },
            SCHEDULES,
        );
    }
}

#[test]
fn everybody_leaves_a_leaderless_flight_while_a_newcomer_joins() {
    shuttle::check_random(
        || {
            let scene = Scene::new();
            let ticket = scene.host.lead(1);
            let waiters = [scene.host.wait(1), scene.host.wait(1)];
            let host = Arc::clone(&scene.host);
            let cancel = thread::spawn(move || host.cancel(ticket));
            let leavers = waiters.map(|waiter| thread::spawn(move || drop(waiter)));
            let newcomer = scene.caller(1, Script::Land);
            cancel.join().expect("it was cancelled");
            for leaver in leavers {
                leaver.join().expect("it left");
            }
            assert!(matches!(home(newcomer), Home::Value(_)));
            scene.close();
        },
        SCHEDULES,
    );
}

#[test]
fn take_over_races_with_landing_and_one_of_them_publishes() {
    for script in [Script::Land, Script::Cancel] {
        shuttle::check_random(
            move || {
                let scene = Scene::new();
                let ticket = scene.host.lead(1);
                let mut waiter = scene.host.wait(1);
                let bystander = scene.caller(1, Script::Land);
                scene.host.advance(60_000);
                let other = Arc::clone(&scene);
                let taker = thread::spawn(move || match other.host.take_over(&mut waiter) {
                    TakeOver::Lead(ticket) => other.run(ticket, Script::Land),
                    TakeOver::Wait => match block_on(other.wait(&mut waiter)) {
                        Ok(ticket) => other.run(ticket, Script::Land),
                        Err(home) => home,
                    },
                    TakeOver::Rejoin | TakeOver::Stuck => None,
                });
                let other = Arc::clone(&scene);
                let watch = thread::spawn(move || other.host.check().is_some());
                scene.run(ticket, script);
                taker.join().expect("it came home");
                watch.join().expect("it looked");
                assert!(matches!(home(bystander), Home::Value(_)));
                let published = scene.host.published.lock().clone();
                let fresh = published.iter().collect::<std::collections::BTreeSet<_>>();
                assert_eq!(fresh.len(), published.len());
                assert!(!published.is_empty());
                assert!(scene.most.load(Ordering::SeqCst) <= 2);
                scene.close();
            },
            SCHEDULES,
        );
    }
}

#[test]
fn caller_after_an_invalidation_never_gets_the_load_from_before() {
    shuttle::check_random(
        || {
            const OLD: u64 = 99;
            let scene = Scene::new();
            let ticket = scene.host.lead(1);
            let early = scene.caller(1, Script::Land);
            let other = Arc::clone(&scene);
            let invalidator = thread::spawn(move || {
                other.host.detach(1);
                block_on(other.get(1, Script::Land))
            });
            scene.host.land(ticket, OLD);
            assert!(matches!(home(early), Home::Value(_)));
            assert_ne!(home(invalidator), Home::Value(OLD));
            scene.close();
        },
        SCHEDULES,
    );
}

#[test]
fn late_load_is_refused_whichever_way_it_meets_the_invalidation() {
    shuttle::check_random(
        || {
            let scene = Scene::new();
            let ticket = scene.host.lead(1);
            let host = Arc::clone(&scene.host);
            let invalidator = thread::spawn(move || {
                host.detach(1);
                host.published.lock().clone()
            });
            let landed = scene.host.land(ticket, 7);
            let before = invalidator.join().expect("it invalidated");
            assert_eq!(landed, before == [7], "published before the invalidation or not at all");
            scene.close();
        },
        SCHEDULES,
    );
}

#[test]
fn those_without_a_place_get_one_when_either_load_ends() {
    for scripts in [[Script::Land, Script::Cancel], [Script::Fail, Script::Forget]] {
        shuttle::check_random(
            move || {
                let scene = Scene::new();
                let first = scene.host.lead(1);
                scene.host.detach(1);
                let second = scene.host.lead(1);
                scene.host.detach(1);
                let callers = [scene.caller(1, Script::Land), scene.caller(1, Script::Cancel)];
                let quitter = scene.quitter(1);
                let enders = [(first, scripts[0]), (second, scripts[1])].map(|(ticket, script)| {
                    let other = Arc::clone(&scene);
                    thread::spawn(move || other.run(ticket, script))
                });
                for caller in callers {
                    assert_ne!(home(caller), Home::Stuck);
                }
                for ender in enders {
                    ender.join().expect("it ended");
                }
                quitter.join().expect("it quit");
                assert!(scene.most.load(Ordering::SeqCst) <= 2, "never a third run");
                scene.close();
            },
            SCHEDULES,
        );
    }
}

#[test]
fn hand_over_races_with_an_invalidation() {
    shuttle::check_random(
        || {
            let scene = Scene::new();
            let ticket = scene.host.lead(1);
            let callers = [scene.caller(1, Script::Land), scene.caller(1, Script::Cancel)];
            let host = Arc::clone(&scene.host);
            let invalidator = thread::spawn(move || {
                host.detach(1);
                host.evict();
            });
            scene.host.cancel(ticket);
            for caller in callers {
                let _ = home(caller);
            }
            invalidator.join().expect("it invalidated");
            scene.close();
        },
        SCHEDULES,
    );
}

#[test]
fn maintenance_races_with_everything_else() {
    shuttle::check_random(
        || {
            let scene = Scene::new();
            let ticket = scene.host.lead(1);
            let (stays, quitter) = (scene.caller(1, Script::Cancel), scene.quitter(1));
            let host = Arc::clone(&scene.host);
            let watch = thread::spawn(move || {
                for _ in 0..3 {
                    host.advance(30_000);
                    host.check();
                }
            });
            let last = scene.caller(1, Script::Land);
            scene.run(ticket, Script::Cancel);
            for caller in [stays, last] {
                let _ = home(caller);
            }
            quitter.join().expect("it quit");
            watch.join().expect("it looked");
            assert!(scene.most.load(Ordering::SeqCst) <= 2, "never a third run");
            scene.close();
        },
        SCHEDULES,
    );
}

#[test]
fn two_leases_that_want_each_other_do_not_wait_in_a_circle() {
    shuttle::check_random(
        || {
            let scene = Scene::new();
            let callers = [(scene.host.lead(1), 2), (scene.host.lead(2), 1)].map(|(ticket, other)| {
                let scene = Arc::clone(&scene);
                thread::spawn(move || {
                    let inner = {
                        let _inside = Chain::enter(ticket.id());
                        block_on(scene.get(other, Script::Land))
                    };
                    scene.host.land(ticket, 1);
                    inner
                })
            });
            for caller in callers {
                assert!(matches!(home(caller), Home::Value(_)));
            }
            scene.close();
        },
        SCHEDULES,
    );
}

#[test]
fn solo_runs_are_four_at_most_and_nobody_is_forgotten() {
    shuttle::check_random(
        || {
            let scene = Scene::new();
            let runners: Vec<_> = (0..6)
                .map(|number| {
                    let scene = Arc::clone(&scene);
                    thread::spawn(move || {
                        let permit = match scene.host.solo(1) {
                            Solo::Granted(permit) => permit,
                            Solo::Wait(waiter) if number == 5 => return drop(waiter),
                            Solo::Wait(waiter) => block_on(waiter),
                            other => panic!("no chain here: {other:?}"),
                        };
                        let running = scene.running.fetch_add(1, Ordering::SeqCst) + 1;
                        scene.most.fetch_max(running, Ordering::SeqCst);
                        thread::yield_now();
                        scene.running.fetch_sub(1, Ordering::SeqCst);
                        drop(permit);
                    })
                })
                .collect();
            for runner in runners {
                runner.join().expect("it ran");
            }
            assert!(scene.most.load(Ordering::SeqCst) <= 4, "four at most");
            scene.close();
        },
        SCHEDULES,
    );
}
