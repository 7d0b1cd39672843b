//! What does a hit of a cached function cost? One thread and two; 1,000 calls, drawn before.
//!
//! (1) No body runs while time is taken: it is counted and checked. (2) Nanoseconds a call: of the processor with one
//! thread, so that what neighbours take of it does not count; wall time × threads ÷ calls with two. (3) memoize's maps
//! are its threads' own with one thread; with two, one map under a lock. (4) Async calls run in one poll a slice, for a hit waits for nobody;
//! cached's store under one lock of async-lock may wait, and stands beside with one thread only.
//! (5) `macro-user-extra-…` is what two ids cost: a call in the scope of a user against one in the global scope.

use std::hint::black_box;

use cpu_time::ThreadTime;

use super::functions::{by_hand, lru, memo, ours, runs, sharded, shared_memo};
use super::{CALLS, OURS, absolute, number, of_user, ratio, text};
use crate::calls::ready;
use crate::draw::Rng;
use crate::measure::{Case, case, interleave, slice};
use crate::report::spread;
use crate::run::{Run, named};

/// Calls of a slice.
const SLICE: usize = 1 << 16;

const GLOBAL: &str = "ours, global";

/// What a row is compared with: the middle of its name, the rival, the bound.
type Beside = (&'static str, &'static str, Option<f64>);

const QUICK: Beside = ("-quick", "quick_cache", None);
const MEMOIZE: Beside = ("-memoize", "memoize", None);
const SHARDED: Beside = ("-sharded", "cached sharded", None);

const fn cached(bound: f64) -> Beside {
    ("", "cached", Some(bound))
}

pub fn rows(run: &mut Run) {
    super::installed();
    for threads in [1, 2] {
        numbers(run, threads);
        timed_numbers(run, threads);
        texts(run, threads);
        bytes(run, threads);
        users(run, threads);
        awaited(run, threads);
    }
}

fn numbers(run: &mut Run, threads: usize) {
    let keys = drawn(number);
    let cases = vec![
        calls(OURS, threads, &keys, ours::number),
        calls("cached", threads, &keys, lru::number),
        calls("cached sharded", threads, &keys, sharded::number),
        memoize(threads, &keys, memo::number, shared_memo::number),
        calls("quick_cache", threads, &keys, by_hand::number),
    ];
    measure(run, "macro-u64", threads, cases, &[cached(1.0), SHARDED, MEMOIZE, QUICK]);
}

fn timed_numbers(run: &mut Run, threads: usize) {
    let keys = drawn(number);
    let cases = vec![
        calls(OURS, threads, &keys, ours::timed),
        calls("cached", threads, &keys, lru::timed),
        calls("cached sharded", threads, &keys, sharded::timed),
        memoize(threads, &keys, memo::timed, shared_memo::timed),
    ];
    measure(run, "macro-ttl", threads, cases, &[cached(0.5), SHARDED, MEMOIZE]);
}

fn texts(run: &mut Run, threads: usize) {
    let texts: Vec<String> = (0..CALLS as u64).map(text).collect();
    let keys = drawn(|call| texts[call as usize].as_str());
    let cases = vec![
        calls(OURS, threads, &keys, ours::text),
        calls("cached", threads, &keys, lru::text),
        calls("cached sharded", threads, &keys, sharded::text),
        memoize(threads, &keys, |text| memo::text(text.into()), |text| shared_memo::text(text.into())),
        calls("quick_cache", threads, &keys, by_hand::text),
    ];
    measure(run, "macro-text", threads, cases, &[cached(0.7), SHARDED, MEMOIZE, QUICK]);
}

fn bytes(run: &mut Run, threads: usize) {
    let keys = drawn(number);
    let cases = vec![
        calls(OURS, threads, &keys, ours::bytes),
        calls("cached", threads, &keys, lru::bytes),
        calls("cached sharded", threads, &keys, sharded::bytes),
        memoize(threads, &keys, memo::bytes, shared_memo::bytes),
        calls("quick_cache", threads, &keys, by_hand::bytes),
    ];
    let beside = [("", "cached", None), SHARDED, MEMOIZE, QUICK];
    measure(run, "macro-bytes", threads, cases, &beside);
}

fn users(run: &mut Run, threads: usize) {
    let keys = drawn(of_user);
    let numbers = drawn(number);
    let cases = vec![
        calls(OURS, threads, &keys, |(org, user, n)| ours::of_user(org, user, n)),
        calls(GLOBAL, threads, &numbers, ours::number),
        calls("cached", threads, &keys, |(org, user, n)| lru::of_user(org, user, n)),
        calls("cached sharded", threads, &keys, |(org, user, n)| sharded::of_user(org, user, n)),
        memoize(
            threads,
            &keys,
            |(org, user, n)| memo::of_user(org, user, n),
            |(org, user, n)| shared_memo::of_user(org, user, n),
        ),
        calls("quick_cache", threads, &keys, |(org, user, n)| by_hand::of_user(org, user, n)),
    ];
    let beside = [("", "cached", None), ("-global", GLOBAL, None), SHARDED, MEMOIZE, QUICK];
    measure(run, "macro-user", threads, cases, &beside);
}

fn awaited(run: &mut Run, threads: usize) {
    let keys = drawn(number);
    let mut cases = vec![
        polled(OURS, threads, &keys, ours::awaited),
        polled("cached sharded", threads, &keys, sharded::awaited),
        polled("quick_cache", threads, &keys, by_hand::awaited),
    ];
    let mut beside = vec![("", "cached sharded", Some(1.0)), QUICK];
    if threads == 1 {
        cases.push(polled("cached", threads, &keys, lru::awaited));
        beside.push(("-lru", "cached", None));
    }
    measure(run, "macro-async", threads, cases, &beside);
}

/// Arguments of each thread's calls.
type Drawn<K> = [Vec<K>; 2];

fn drawn<K>(argument: impl Fn(u64) -> K) -> Drawn<K> {
    [71, 72].map(|seed| {
        let mut rng = Rng::new(seed);
        (0..SLICE).map(|_| argument(rng.below(CALLS) as u64)).collect()
    })
}

fn calls<'a, K: Copy + Sync, V>(
    name: &'static str,
    threads: usize,
    keys: &'a Drawn<K>,
    call: impl Fn(K) -> V + Sync + 'a,
) -> Case<'a> {
    let walk = move |thread: usize| {
        for key in &keys[thread] {
            black_box(call(black_box(*key)));
        }
    };
    case(name, move |_| lap(threads, &walk))
}

fn polled<'a, K: Copy + Sync, V>(
    name: &'static str,
    threads: usize,
    keys: &'a Drawn<K>,
    call: impl AsyncFn(K) -> V + Sync + 'a,
) -> Case<'a> {
    let walk = move |thread: usize| {
        ready(async {
            for key in &keys[thread] {
                black_box(call(black_box(*key)).await);
            }
        });
    };
    case(name, move |_| lap(threads, &walk))
}

/// The thread's own map with one thread, a shared one with two.
fn memoize<'a, K: Copy + Sync, V>(
    threads: usize,
    keys: &'a Drawn<K>,
    own: impl Fn(K) -> V + Sync + 'a,
    shared: impl Fn(K) -> V + Sync + 'a,
) -> Case<'a> {
    match threads {
        1 => calls("memoize", threads, keys, own),
        _ => calls("memoize", threads, keys, shared),
    }
}

/// Nanoseconds a call, after a walk that counts for nothing.
fn lap(threads: usize, walk: &(impl Fn(usize) + Sync)) -> f64 {
    if threads > 1 {
        let prepare = |thread| {
            walk(thread);
            thread
        };
        return slice(threads, prepare, |thread| {
            walk(thread);
            SLICE
        });
    }
    walk(0);
    let start = ThreadTime::now();
    walk(0);
    start.elapsed().as_nanos() as f64 / SLICE as f64
}

fn measure(run: &mut Run, stem: &str, threads: usize, mut cases: Vec<Case<'_>>, beside: &[Beside]) {
    let row = |middle: &str| format!("{stem}{middle}-{threads}t");
    let extra = beside.iter().any(|(_, rival, _)| *rival == GLOBAL).then(|| row("-extra"));
    let names = beside.iter().map(|(middle, ..)| row(middle)).chain(extra.clone());
    if !names.into_iter().any(|row| run.wants(&row)) {
        return;
    }
    // Once without a measure, for the bodies that have to run.
    cases.iter_mut().for_each(Case::warm);
    let before = runs();
    let results = interleave(run.either(21, 101), cases);
    assert_eq!(runs(), before, "{stem}: every call is a hit");
    run.note(format!("{}\n{}", row(""), spread(&results)));
    let ours = results[0].figures.median;
    for (middle, rival, bound) in beside {
        let figures = [ours, named(&results, rival).figures.median];
        run.add(ratio(row(middle), figures, rival, *bound, "ns"));
    }
    if let Some(row) = extra {
        run.add(absolute(&row, ours - named(&results, GLOBAL).figures.median, None, None, "ns"));
    }
}
