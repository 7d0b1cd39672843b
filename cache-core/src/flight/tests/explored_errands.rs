//! Loads that nobody waits for, and breakers, explored by shuttle.

use std::future::poll_fn;
use std::num::NonZeroU32;
use std::task::Poll;
use std::time::Duration;

use shuttle::future::block_on;
use shuttle::{check_dfs, check_random, thread};

use crate::clock::Moment;
use crate::flight::{Breaker, BreakerSettings, Condition, Errands, Verdict};
use crate::sync::{Arc, AtomicUsize, Ordering::SeqCst};

#[test]
fn shuttle_whoever_runs_when_it_is_closed_is_woken_and_ends() {
    let test = || {
        let errands = Errands::new(2);
        let run = |errands: &Arc<Errands>| {
            let errands = Arc::clone(errands);
            thread::spawn(move || {
                let Some(errand) = errands.begin() else { return };
                // It ends only if it is told to: a wake-up that is lost is a deadlock here.
                block_on(poll_fn(|context| {
                    if errand.is_called_off(context) { Poll::Ready(()) } else { Poll::Pending }
                }));
            })
        };
        let runs = [run(&errands), run(&errands)];
        errands.close();
        runs.into_iter().for_each(|run| run.join().expect("it does not panic"));
        assert_eq!((errands.running(), errands.begin().is_none()), (0, true));
    };
    check_random(test, 2_000);
    check_dfs(test, Some(20_000));
}

#[test]
fn shuttle_of_many_who_ask_a_half_open_breaker_one_is_its_probe() {
    let test = || {
        let failures = NonZeroU32::new(1).expect("more than none");
        let breaker = Breaker::new(BreakerSettings { failures, cool_down: Duration::from_secs(1) });
        let Verdict::Run(trial) = breaker.ask(Moment::default()) else { panic!("it is closed") };
        trial.end(Moment::default(), false);
        let now = Moment::from_nanos(2_000_000_000);
        let passed = Arc::new(AtomicUsize::new(0));
        let ask = |gives_up: bool| {
            let (breaker, passed) = (Arc::clone(&breaker), Arc::clone(&passed));
            thread::spawn(move || {
                let Verdict::Run(trial) = breaker.ask(now) else { return };
                let before = passed.fetch_add(1, SeqCst);
                assert!(!trial.is_probe() || before == 0, "two probes at a time");
                thread::yield_now();
                passed.fetch_sub(1, SeqCst);
                if gives_up {
                    drop(trial);
                } else {
                    trial.end(now, false);
                }
            })
        };
        let asks = [ask(false), ask(true), ask(false)];
        asks.into_iter().for_each(|ask| ask.join().expect("it does not panic"));
        assert!(matches!(breaker.condition(now), Condition::Open(_) | Condition::HalfOpen));
    };
    check_random(test, 2_000);
}
