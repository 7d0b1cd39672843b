//! What does a hit cost? u64 → u64 and 24 bytes of text → `Arc<[u8; 256]>`, 100,000 entries, one thread and two.
//!
//! (1) Keys are drawn among those that *every* contender holds, so that every get is a hit; it is counted and checked.
//! (2) Nothing is written meanwhile. (3) The rank of a key, and so its heat, is the same in all contenders.

use std::hint::black_box;
use std::sync::Arc;

use crate::contenders::{Cached, Contender, Foyer, Held, Moka, Papaya, Query, Quick, Strata};
use crate::draw::{Draw, Rng, Sequence, Texts};
use crate::measure::{Case, case, interleave, slice};
use crate::run::{Run, named};

const ENTRIES: usize = 100_000;
const GETS: usize = 1 << 17;

type Bounds = [(Option<f64>, Option<f64>); 2];

pub fn rows(run: &mut Run) {
    let number = |_: usize| 7_u64;
    let bytes = |_: usize| Arc::new([7_u8; 256]);
    let zipf = || Draw::zipf(ENTRIES, 0.99);
    let names = ["get-u64-zipf-1t", "get-u64-zipf-2t", "get-u64-zipf-papaya-1t", "get-u64-zipf-papaya-2t"];
    let papaya: Bounds = [(None, Some(0.9)), (None, Some(0.9))];
    let zipf_bounds = [(Some(0.85), Some(0.65)), (Some(0.35), Some(0.28))];
    let uniform_bounds = [(Some(0.95), Some(0.75)), (Some(0.42), Some(0.33))];
    let text_bounds = [(Some(0.71), Some(0.68)), (Some(0.60), Some(0.52))];
    group::<u64, u64, Vec<u64>>(run, &names, &zipf(), number, &[zipf_bounds, papaya]);
    let names = ["get-u64-uniform-1t", "get-u64-uniform-2t"];
    group::<u64, u64, Vec<u64>>(run, &names, &Draw::Uniform(ENTRIES), number, &[uniform_bounds]);
    let names = ["get-text-zipf-1t", "get-text-zipf-2t"];
    group::<str, Arc<[u8; 256]>, Texts>(run, &names, &zipf(), bytes, &[text_bounds]);
}

/// Rows against quick_cache for one thread and two; if there are four names, two more against papaya.
fn group<Q, V, S>(run: &mut Run, names: &[&str], draw: &Draw, value: impl Fn(usize) -> V, bounds: &[Bounds])
where
    Q: Query + ?Sized,
    V: Held,
    S: Sequence<Q>,
    Q::Owned: 'static,
{
    if !run.wants_any(names) {
        return;
    }
    let keys = S::of(0..ENTRIES as u64);
    run.note(format!("{} ...: {ENTRIES} entries", names[0]));
    let ours: Strata<Q, V> = filled(run, &keys, &value);
    let quick: Quick<Q, V> = filled(run, &keys, &value);
    let cached: Cached<Q, V> = filled(run, &keys, &value);
    let papaya: Papaya<Q, V> = filled(run, &keys, &value);
    let moka: Option<Moka<Q, V>> = run.unless_quick(|| filled(run, &keys, &value));
    let foyer: Option<Foyer<Q, V>> = run.unless_quick(|| filled(run, &keys, &value));
    let everywhere = |index: &u64| {
        let key = keys.at(*index as usize);
        let (moka, foyer) = (moka.as_ref(), foyer.as_ref());
        let hits = [ours.get(key), quick.get(key), cached.get(key)];
        hits.iter().all(Option::is_some)
            && moka.is_none_or(|moka| moka.get(key).is_some())
            && foyer.is_none_or(|foyer| foyer.get(key).is_some())
    };
    let common: Vec<u64> = (0..ENTRIES as u64).filter(everywhere).collect();
    run.note(format!("    {} keys are everywhere and are drawn from", common.len()));
    let sequences: Vec<S> = [11, 12]
        .map(|seed| {
            let mut rng = Rng::new(seed);
            // Ranks beyond the common keys are drawn again, so that the shape of the first ones stays.
            let mut drawn =
                || std::iter::repeat_with(|| draw.next(&mut rng)).find(|rank| *rank < common.len());
            S::of((0..GETS).map(|_| common[drawn().expect("it repeats")]))
        })
        .into();

    for threads in [1, 2] {
        let (row, bound) = (names[threads - 1], bounds[0][threads - 1]);
        let wanted: Vec<&str> = names.iter().skip(threads - 1).step_by(2).copied().collect();
        if !run.wants_any(&wanted) {
            continue;
        }
        let mut cases = vec![
            gets(&ours, &sequences, threads),
            gets(&quick, &sequences, threads),
            gets(&cached, &sequences, threads),
            gets(&papaya, &sequences, threads),
        ];
        cases.extend(moka.iter().map(|moka| gets(moka, &sequences, threads)));
        cases.extend(foyer.iter().map(|foyer| gets(foyer, &sequences, threads)));
        let results = interleave(run.either(9, 21), cases);
        run.compare(row, &results, named(&results, "quick_cache"), bound);
        if let (Some(row), Some(bounds)) = (names.get(threads + 1), bounds.get(1)) {
            run.compare(row, &results, named(&results, "papaya"), bounds[threads - 1]);
            for result in &results {
                let slot = run.by_threads.iter_mut().find(|(name, _)| *name == result.name);
                match slot {
                    Some((_, medians)) => medians[threads - 1] = result.figures.median,
                    None => {
                        let mut medians = [f64::NAN; 2];
                        medians[threads - 1] = result.figures.median;
                        run.by_threads.push((result.name, medians));
                    }
                }
            }
        }
    }
}

fn filled<Q, V, C>(run: &Run, keys: &impl Sequence<Q>, value: impl Fn(usize) -> V) -> C
where
    Q: Query + ?Sized,
    V: Held,
    C: Contender<Q, V>,
{
    let cache = C::with_capacity(ENTRIES);
    for index in 0..keys.len() {
        cache.insert(keys.at(index).to_owned(), value(index));
    }
    run.resident(C::NAME, cache.resident(), ENTRIES);
    cache
}

fn gets<'a, Q, V, C>(cache: &'a C, sequences: &'a [impl Sequence<Q>], threads: usize) -> Case<'a>
where
    Q: Query + ?Sized,
    V: Held,
    C: Contender<Q, V>,
{
    case(C::NAME, move |_| {
        let walk = |keys: &_, gets: usize| {
            let hits: usize = (0..gets).map(|at| usize::from(hit(cache, Sequence::at(keys, at)))).sum();
            assert_eq!(hits, gets, "{}: every get is a hit", C::NAME);
            gets
        };
        let prepare = |thread: usize| {
            walk(&sequences[thread], GETS);
            &sequences[thread]
        };
        slice(threads, prepare, |keys| walk(keys, GETS))
    })
}

#[inline]
fn hit<Q: Query + ?Sized, V: Held, C: Contender<Q, V>>(cache: &C, key: &Q) -> bool {
    black_box(cache.get(black_box(key))).is_some()
}
