use std::cell::OnceCell;

use super::*;
use crate::stats::{ScopeCounts, Stats};

fn stats(region: &Counters) -> Stats {
    let mut stats = Stats::default();
    region.report(&mut stats);
    stats
}

fn hits(region: &Counters) -> u64 {
    settle();
    stats(region).hits
}

fn tracked() -> Arc<ScopeStats> {
    Arc::new(ScopeStats::new(None, true))
}

fn times<R>(n: u64, mut f: impl FnMut() -> R) {
    (0..n).for_each(|_| drop(f()));
}

#[test]
fn quick_count_counts_in_the_cell_of_its_pair_and_nowhere_else() {
    let regions: Vec<Arc<Counters>> = (0..40).map(|_| Arc::default()).collect();
    let orgs: Vec<_> = (0..40).map(|_| tracked()).collect();
    let pairs = || regions.iter().zip(&orgs);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let quick = |(region, org): (&Arc<Counters>, &Arc<ScopeStats>)| {
                try_count_look(region.tag(), org.tag(), Event::Hit).is_some()
            };
            assert!(!pairs().any(quick), "the thread has no cells");
            // One pair gets a cell; wherever the others have their places, they have none.
            count(Some(&regions[0]), Some(&orgs[0]), Event::Miss);
            assert_eq!(pairs().map(quick).filter(|&counted| counted).count(), 1);
            let counts = (0..40).map(|_| try_count_look(regions[0].tag(), orgs[0].tag(), Event::Hit));
            assert!(counts.eq((2..=41).map(Some)));
        });
    });
    settle();
    let hits: Vec<u64> = pairs().map(|(region, org)| stats(region).hits.max(org.settled().hits)).collect();
    assert_eq!((hits[0], hits[1..].iter().sum::<u64>()), (41, 0));
}

#[test]
fn lookups_of_a_pair_share_its_cell_and_its_counters_if_they_count_lookups() {
    for (org, counted_there) in [(tracked(), 200), (Arc::new(ScopeStats::new(None, false)), 0)] {
        let region = Arc::<Counters>::default();
        let count = |_| count_up(Some(&region), Some(&org), Event::Hit);
        let counted = std::thread::scope(|scope| {
            let counted = scope.spawn(|| (0..200).map(count).collect::<Vec<_>>());
            counted.join().expect("it counts")
        });
        // The first takes the cell over, which answers nothing.
        assert_eq!(counted[1..], (2..=200).collect::<Vec<u32>>());
        assert_eq!((hits(&region), org.counts().hits), (200, counted_there));
    }
}

#[test]
fn events_of_many_threads_and_pairs_add_up() {
    const EACH: u64 = 20_000;
    let regions: Vec<Arc<Counters>> = (0..5).map(|_| Arc::default()).collect();
    let org = tracked();
    // More pairs than cells, so that they push one another out.
    let users: Vec<_> = (0..40).map(|_| Arc::new(ScopeStats::new(Some(org.clone()), false))).collect();
    std::thread::scope(|threads| {
        for thread in 0..8_u64 {
            let (regions, users) = (&regions, &users);
            threads.spawn(move || {
                let mut draw = thread;
                times(EACH, || {
                    draw =
                        draw.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    let (region, user) = ((draw >> 40) as usize % 5, (draw >> 50) as usize % 40);
                    let event = Event::ALL[(draw >> 33) as usize % Event::ALL.len()];
                    count(Some(&regions[region]), Some(&users[user]), event);
                    if draw % 997 == 0 {
                        settle();
                    }
                });
            });
        }
    });
    settle();
    let mut all = Stats::default();
    regions.iter().for_each(|region| region.report(&mut all));
    let removed = all.expired + all.evicted + all.invalidated + all.removed + all.replaced;
    assert_eq!(all.hits + all.misses + all.peeks + all.inserts + removed, 8 * EACH);
    let ScopeCounts { hits, misses, removals, .. } = org.settled();
    assert_eq!((hits, misses), (all.hits, all.misses));
    let causes = [all.expired, all.evicted, all.invalidated, all.removed, all.replaced];
    assert_eq!(removals, causes);
    let of_users = users.iter().flat_map(|user| user.settled().removals).sum::<u64>();
    assert_eq!(of_users, removed);
}

#[test]
fn thread_that_ends_leaves_its_counts_and_lets_go_of_its_scopes() {
    let (region, scope) = (Arc::<Counters>::default(), tracked());
    let (there, whom) = (Arc::clone(&region), Arc::clone(&scope));
    let counted = std::thread::spawn(move || times(100, || count(Some(&there), Some(&whom), Event::Hit)));
    counted.join().unwrap();
    assert_eq!((stats(&region).hits, scope.settled().hits), (100, 100));
    assert_eq!(Arc::strong_count(&scope), 1, "its record keeps nothing");
}

#[test]
fn count_in_a_destructor_after_the_records_own_is_not_lost() {
    struct Late(Arc<Counters>, Arc<ScopeStats>);
    impl Drop for Late {
        fn drop(&mut self) {
            count(Some(&self.0), Some(&self.1), Event::Miss);
        }
    }
    thread_local!(static LATE: OnceCell<Late> = const { OnceCell::new() });
    for ours_first in [false, true] {
        let (region, scope) = (Arc::<Counters>::default(), tracked());
        let late = Late(Arc::clone(&region), Arc::clone(&scope));
        let thread = std::thread::spawn(move || {
            let counters = (Arc::clone(&late.0), Arc::clone(&late.1));
            let set = |late| assert!(LATE.with(|cell| cell.set(late)).is_ok());
            // Whichever is used first ends last, or the other way round: both are tried.
            if ours_first {
                count(Some(&counters.0), Some(&counters.1), Event::Miss);
                set(late);
            } else {
                set(late);
                count(Some(&counters.0), Some(&counters.1), Event::Miss);
            }
        });
        thread.join().unwrap();
        assert_eq!((stats(&region).misses, scope.settled().misses), (2, 2));
    }
}

#[test]
fn pair_that_takes_a_cell_over_settles_it() {
    let record = Record::new();
    let region = Arc::<Counters>::default();
    let home = |scope: &Arc<ScopeStats>| Pair::of((Some(&region), Some(scope))).place(LOOKS);
    let scopes: Vec<_> = (0..LOOKS * 8).map(|_| tracked()).collect();
    let rivals: Vec<_> = scopes.iter().filter(|scope| home(scope) == home(&scopes[0])).take(4).collect();
    assert_eq!(rivals.len(), 4, "four pairs for one cell");
    for round in 0..u64::from(PATIENCE) * 5 {
        for scope in &rivals {
            times(round, || record.count((Some(&region), Some(scope)), Event::Hit));
        }
    }
    let mut spent = Vec::new();
    record.settle(&mut spent);
    let each = (0..u64::from(PATIENCE) * 5).sum::<u64>();
    assert!(rivals.iter().all(|scope| scope.settled().hits == each));
    assert_eq!(stats(&region).hits, 4 * each);
}

#[test]
fn count_runs_around_and_is_settled_before() {
    let record = Record::new();
    let (region, scope) = (Arc::<Counters>::default(), tracked());
    let whom = (Some(&region), Some(&scope));
    let pair = Pair::of(whom);
    // As after so many events of which nobody wanted to know.
    let begin = |event: Event, count: u32| {
        let (cells, at) = if event == Event::Hit {
            (&record.looks.of(pair).counts[..], 0)
        } else {
            (&record.others.of(pair).counts[..], FIRST_OTHER)
        };
        cells[event as usize - at].store(count, Relaxed);
    };
    record.count(whom, Event::Hit);
    record.count(whom, Event::Insert);
    for round in 1..=5_u64 {
        let settled = (round - 1) * u64::from(SETTLE);
        begin(Event::Hit, ((round * u64::from(SETTLE)) as u32).wrapping_sub(2));
        begin(Event::Insert, ((round * u64::from(SETTLE)) as u32).wrapping_sub(2));
        record.count(whom, Event::Hit);
        assert!(record.others.try_count_all(pair, [Event::Insert, Event::Evicted]));
        assert_eq!((stats(&region).hits, stats(&region).inserts), (settled, settled), "nothing is due");
        record.count(whom, Event::Hit);
        assert!(record.others.try_count_all(pair, [Event::Insert, Event::Evicted]));
        let settled = settled + u64::from(SETTLE);
        assert_eq!((stats(&region).hits, stats(&region).inserts), (settled, settled), "{round}");
    }
    record.settle(&mut Vec::new());
    assert_eq!((scope.settled().hits, stats(&region).evicted), (5 * u64::from(SETTLE), 10));
}

#[test]
fn region_that_goes_leaves_its_scopes_their_counts_and_its_cell_free() {
    let scope = tracked();
    let record = Record::new();
    for round in 1..=3 {
        let region = Arc::<Counters>::default();
        times(10, || record.count((Some(&region), Some(&scope)), Event::Hit));
        record.forget(&region);
        let weak = Arc::downgrade(&region);
        drop(region);
        assert!(weak.upgrade().is_none());
        assert_eq!(scope.settled().hits, 10 * round);
        assert!(record.looks.cells.iter().all(|cell| cell.is_of(Pair::NOBODY)));
        assert_eq!(Arc::strong_count(&scope), 1, "nothing is kept for it");
    }
}

#[test]
fn dropping_a_region_clears_its_cells_in_every_thread() {
    let scope = tracked();
    let region = Arc::<Counters>::default();
    let (counted, count_done) = std::sync::mpsc::channel();
    std::thread::scope(|threads| {
        // Dropped with this closure, so that a failure does not wait for the thread.
        let (end, ended) = std::sync::mpsc::channel::<()>();
        let (there, whom) = (Arc::clone(&region), Arc::clone(&scope));
        threads.spawn(move || {
            times(7, || count(Some(&there), Some(&whom), Event::Hit));
            drop((there, whom));
            counted.send(()).unwrap();
            let _ = ended.recv();
        });
        times(5, || count(Some(&region), Some(&scope), Event::Hit));
        count_done.recv().unwrap();
        assert_eq!(Arc::strong_count(&scope), 3, "here, and in the cells of two threads");
        drop(region);
        assert_eq!((Arc::strong_count(&scope), scope.settled().hits), (1, 12));
        drop(end);
    });
}

#[test]
fn scope_that_nobody_holds_is_let_go_and_counted_above() {
    let (region, org) = (Arc::<Counters>::default(), tracked());
    for round in 1..=3 {
        let user = Arc::new(ScopeStats::new(Some(Arc::clone(&org)), true));
        times(4, || count(Some(&region), Some(&user), Event::Hit));
        drop(user);
        assert_eq!((org.counts().hits, Arc::strong_count(&org)), (4 * round, 1));
    }
    assert_eq!(hits(&region), 12);
}

#[test]
fn pairs_have_words_of_their_own_until_numbers_run_out() {
    let numbers = [2, 3, 63, 64, 65, 1023, 1024, 2047, 2048, (1 << 24) - 1];
    let scopes = || numbers.into_iter().chain([(1 << 36) - 1]).map(Tag::of_scope).chain([Tag::NONE]);
    let regions = || numbers.into_iter().map(Tag::of_region).chain([Tag::NONE]);
    let pairs: Vec<Pair> =
        regions().flat_map(|region| scopes().map(move |scope| region.with(scope))).collect();
    let words: std::collections::HashSet<u64> = pairs.iter().map(|pair| pair.0).collect();
    assert_eq!(words.len(), pairs.len());
    assert!(pairs.iter().all(|pair| pair.has_place() && *pair != Pair::NOBODY));
    let spent = [Tag::of_region(1 << 24), Tag::of_scope(1 << 36)];
    assert!(!spent[0].with(Tag::of_scope(7)).has_place() && !Tag::of_region(7).with(spent[1]).has_place());
    assert!(!spent[0].with(spent[1]).has_place());
}

#[test]
fn a_thousand_tracked_scopes_of_a_region_have_cells_of_their_own() {
    let record = Record::new();
    let region = Arc::<Counters>::default();
    let tags = (0..PLACES).map(|number| Tag::of_scope((number + 77) << 1 | 1));
    let places: std::collections::HashSet<usize> =
        tags.map(|tag| region.tag().with(tag).place(LOOKS)).collect();
    assert_eq!(places.len(), PLACES as usize);
    let orgs: Vec<_> =
        (0..300).map(|_| (tracked(), Arc::new(ScopeStats::new(None, false)))).map(|(org, _)| org).collect();
    let count = |org: &Arc<ScopeStats>| record.count((Some(&region), Some(org)), Event::Hit);
    orgs.iter().for_each(|org| _ = count(org));
    // Other tests of this process make some, too, but not a thousand.
    let own = orgs.iter().filter(|org| count(org) > 0).count();
    assert!(own > 200, "{own}");
}

#[test]
fn pair_whose_number_ran_out_is_added_at_once() {
    let record = Record::new();
    let mut counters = Counters::default();
    counters.tag = Tag::of_region(u64::MAX);
    let region = Arc::new(counters);
    times(100, || record.count((Some(&region), None), Event::Hit));
    assert_eq!(stats(&region).hits, 100);
    assert!(record.looks.cells.iter().all(|cell| cell.is_of(Pair::NOBODY)));
}
