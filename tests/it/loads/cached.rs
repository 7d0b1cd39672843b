//! Singleflight of cached functions. They share the default cache, so each test has organisations of its own.

use std::collections::HashMap;
use std::sync::{Mutex, mpsc};

use strata_cache::{cached, default_cache, scope};
use tokio::sync::oneshot;

use super::*;

/// The gates of first runs, by organisation.
static GATES: Mutex<Option<HashMap<u64, oneshot::Receiver<u32>>>> = Mutex::new(None);

fn gate(org_id: u64) -> oneshot::Sender<u32> {
    let (open, gate) = oneshot::channel();
    let mut gates = GATES.lock().expect("nobody panics with it");
    gates.get_or_insert_default().insert(org_id, gate);
    open
}

/// The first run for an organisation waits at its gate; later ones give 2.
#[cached(scope = "user")]
async fn gated(org_id: u64, user_id: u64, key: &str) -> u32 {
    let gate = GATES.lock().expect("nobody panics with it").get_or_insert_default().remove(&org_id);
    match gate {
        Some(gate) => gate.await.expect("the gate opens"),
        None => 2,
    }
}

type Act = (&'static str, fn(u64));

const ACTS: [Act; 4] = [
    ("invalidate", |org| drop(gated::invalidate(org, 2, "k"))),
    ("invalidate_scope", |org| drop(gated::invalidate_scope(org, 2))),
    ("evict_by_scope", |org| drop(default_cache().evict_by_scope(scope!(org = org, user = 2)))),
    ("evict_by_scope above", |org| drop(default_cache().evict_by_scope(scope!(org = org)))),
];

#[test]
fn run_that_was_withdrawn_is_served_to_those_who_waited_and_neither_stored_nor_joined() {
    for (number, (name, act)) in ACTS.into_iter().enumerate() {
        let org = 7_200 + number as u64;
        let open = gate(org);
        let mut leader = Box::pin(gated(org, 2, "k"));
        parked(&mut leader);
        let mut waiter = Box::pin(gated(org, 2, "k"));
        parked(&mut waiter);
        act(org);
        let mut later = Box::pin(gated(org, 2, "k"));
        assert_eq!(answer(&mut later), 2, "{name}");
        open.send(1).expect("its run waits");
        assert_eq!((answer(&mut leader), answer(&mut waiter)), (1, 1), "{name}");
        assert_eq!(gated::peek(org, 2, "k"), Some(2), "{name}");
    }
}

#[test]
fn run_that_was_withdrawn_leaves_nothing_where_nobody_asked_again() {
    for (number, (name, act)) in ACTS.into_iter().enumerate() {
        let org = 7_210 + number as u64;
        let open = gate(org);
        let mut leader = Box::pin(gated(org, 2, "k"));
        parked(&mut leader);
        act(org);
        open.send(1).expect("its run waits");
        assert_eq!(answer(&mut leader), 1, "{name}");
        assert_eq!(gated::peek(org, 2, "k"), None, "{name}");
        let counted = default_cache().stats_of(scope!(org = org)).expect("a good place");
        assert_eq!(counted.entries, 0, "{name}");
    }
}

#[test]
fn cancelled_call_hands_over_to_one_that_waits() {
    let _open = gate(7_220);
    let mut leader = Box::pin(gated(7_220, 2, "k"));
    parked(&mut leader);
    let calls = Arc::new(Calls::default());
    let mut waiter = Box::pin(gated(7_220, 2, "k"));
    parked_with(&mut waiter, &calls);
    drop(leader);
    assert_eq!(calls.0.load(SeqCst), 1);
    assert_eq!(answer(&mut waiter), 2);
    assert_eq!(gated::peek(7_220, 2, "k"), Some(2));
}

static RUNS: AtomicUsize = AtomicUsize::new(0);
static GATE: Mutex<Option<mpsc::Receiver<()>>> = Mutex::new(None);

#[cached(scope = "org", ttl = "1h")]
fn slow(org_id: u64, text: &str) -> String {
    RUNS.fetch_add(1, SeqCst);
    let gate = GATE.lock().expect("nobody panics with it").take();
    if let Some(gate) = gate {
        gate.recv().expect("the gate opens");
    }
    format!("{org_id} {text}")
}

#[test]
fn threads_and_tasks_that_call_one_function_cause_one_run() {
    let (open, gate) = mpsc::channel();
    *GATE.lock().expect("nobody panics with it") = Some(gate);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(3).build().expect("a runtime");
    thread::scope(|threads| {
        let callers: Vec<_> = (0..6).map(|_| threads.spawn(|| slow(7_230, "x"))).collect();
        // A sync function in a task parks the thread of its runtime, which is the caller's choice.
        let tasks: Vec<_> = (0..2).map(|_| runtime.spawn(async { slow(7_230, "x") })).collect();
        until("all others wait", || slow::stats().coalesced_waits == 7);
        open.send(()).expect("the leader waits");
        for caller in callers {
            assert_eq!(caller.join().expect("it comes home"), "7230 x");
        }
        for task in tasks {
            assert_eq!(runtime.block_on(task).expect("it comes home"), "7230 x");
        }
    });
    assert_eq!(RUNS.load(SeqCst), 1);
    assert_eq!(slow::stats().flights, 0);
}
