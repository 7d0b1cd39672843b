//! One thread counts while others settle, forget or drop, under every schedule a random explorer finds.
//! Run: `RUSTFLAGS="--cfg shuttle" cargo test -p strata-cache-core --lib explore` with a target directory of its own.

use shuttle::{check_pct, check_random};

use super::*;
use crate::stats::Stats;
use crate::sync::thread;

const RUNS: usize = 1_000;

fn explore(test: fn()) {
    check_random(test, RUNS);
    check_pct(test, RUNS, 3);
}

fn hits(region: &Counters) -> u64 {
    let mut stats = Stats::default();
    region.report(&mut stats);
    stats.hits
}

fn tracked(above: Option<&Arc<ScopeStats>>) -> Arc<ScopeStats> {
    Arc::new(ScopeStats::new(above.cloned(), true))
}

/// Three pairs for two cells: each count is settled once, by whoever comes first.
#[test]
fn counts_against_settlements_add_up_and_never_run_ahead() {
    explore(|| {
        let roll = Arc::new(Roll::default());
        let (region, scope) = (Arc::<Counters>::default(), tracked(None));
        let counting: Vec<_> = (0..2)
            .map(|_| {
                let (roll, region, scope) = (Arc::clone(&roll), Arc::clone(&region), Arc::clone(&scope));
                thread::spawn(move || {
                    let below = tracked(Some(&scope));
                    let record = roll.enter();
                    for whom in [(Some(&region), Some(&scope)), (Some(&region), None), (None, Some(&below))] {
                        record.count(whom, Event::Hit);
                        record.count(whom, Event::Hit);
                    }
                    drop(below);
                    record.count((Some(&region), Some(&scope)), Event::Hit);
                    roll.leave(record);
                })
            })
            .collect();
        let reading = {
            let (roll, region, scope) = (Arc::clone(&roll), Arc::clone(&region), Arc::clone(&scope));
            thread::spawn(move || {
                let mut seen = (0, 0);
                for _ in 0..3 {
                    roll.settle();
                    let now = (hits(&region), scope.settled().hits);
                    assert!(now >= seen && now.0 <= 10 && now.1 <= 10, "{seen:?} {now:?}");
                    seen = now;
                }
            })
        };
        counting.into_iter().for_each(|thread| thread.join().unwrap());
        reading.join().unwrap();
        assert_eq!((hits(&region), scope.settled().hits), (10, 10));
        assert_eq!(roll.records.read().len(), roll.idle.lock().len());
        assert_eq!(Arc::strong_count(&scope), 1);
    });
}

/// What returned before a settlement is in the shared counters after it, also when the thread ends meanwhile.
#[test]
fn settlement_contains_what_had_returned() {
    explore(|| {
        let roll = Arc::new(Roll::default());
        let region = Arc::<Counters>::default();
        let returned = Arc::new(AtomicU32::new(0));
        let counting = {
            let (roll, region, returned) = (Arc::clone(&roll), Arc::clone(&region), Arc::clone(&returned));
            thread::spawn(move || {
                let record = roll.enter();
                for scope in [tracked(None), tracked(None), tracked(None)] {
                    record.count((Some(&region), Some(&scope)), Event::Hit);
                    returned.fetch_add(1, Relaxed);
                }
                roll.leave(record);
            })
        };
        let before = returned.load(Relaxed);
        roll.settle();
        assert!(hits(&region) >= u64::from(before));
        counting.join().unwrap();
        assert_eq!(hits(&region), 3);
    });
}

/// A region goes while another thread's record, which counted for it, goes on with others.
#[test]
fn forgotten_region_loses_nothing_of_its_scope() {
    explore(|| {
        let roll = Arc::new(Roll::default());
        let (kept, scope) = (Arc::<Counters>::default(), tracked(None));
        let region = Arc::<Counters>::default();
        let counting = {
            let (roll, kept, scope, region) =
                (Arc::clone(&roll), Arc::clone(&kept), Arc::clone(&scope), Arc::clone(&region));
            thread::spawn(move || {
                let record = roll.enter();
                record.count((Some(&region), Some(&scope)), Event::Hit);
                if let Some(last) = Arc::into_inner(region) {
                    roll.forget(&last);
                }
                for whom in [(Some(&kept), Some(&scope)), (Some(&kept), None), (None, Some(&scope))] {
                    record.count(whom, Event::Hit);
                }
                roll.leave(record);
            })
        };
        if let Some(last) = Arc::into_inner(region) {
            roll.forget(&last);
        }
        roll.settle();
        counting.join().unwrap();
        assert_eq!((hits(&kept), scope.settled().hits), (2, 3));
        assert_eq!(Arc::strong_count(&scope), 1);
    });
}
