//! What does an insert cost when the cache is full? New keys only, each evicting somebody.
//!
//! (1) Keys and values are made before the clock starts, by the thread that inserts them. (2) What is evicted is
//! dropped wherever the contender drops it, within the slice or, if it defers, in a later one.

use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::contenders::{Cached, Contender, Foyer, Held, Moka, Query, Quick, Strata};
use crate::draw::mix;
use crate::measure::{Case, case, interleave, slice};
use crate::run::{Run, best, named};

const CAPACITY: usize = 100_000;
const INSERTS: usize = 50_000;

type Bounds = [(Option<f64>, Option<f64>); 2];

pub fn rows(run: &mut Run) {
    let bounds = [(Some(1.0), Some(0.9)), (Some(1.1), Some(0.9))];
    group::<u64, u64>(run, ["insert-u64-1t", "insert-u64-2t"], |key| (mix(key), key), false, bounds);
    let bounds = [(Some(1.05), Some(1.0)), (Some(1.4), Some(1.0))];
    let text = |key| (format!("key:{:020}", mix(key)), Arc::new([key as u8; 256]));
    group::<str, Arc<[u8; 256]>>(run, ["insert-text-1t", "insert-text-2t"], text, true, bounds);
}

fn group<Q, V>(
    run: &mut Run,
    names: [&str; 2],
    entry: impl Fn(u64) -> (Q::Owned, V) + Sync,
    against_quick: bool,
    bounds: Bounds,
) where
    Q: Query + ?Sized,
    V: Held,
    Q::Owned: 'static,
{
    if !run.wants_any(&names) {
        return;
    }
    run.note(format!("{} ...: capacity {CAPACITY}", names[0]));
    let ours: Full<Q, V, Strata<Q, V>> = Full::new(run, &entry);
    let quick: Full<Q, V, Quick<Q, V>> = Full::new(run, &entry);
    let cached: Full<Q, V, Cached<Q, V>> = Full::new(run, &entry);
    let moka: Option<Full<Q, V, Moka<Q, V>>> = run.unless_quick(|| Full::new(run, &entry));
    let foyer: Option<Full<Q, V, Foyer<Q, V>>> = run.unless_quick(|| Full::new(run, &entry));
    for threads in [1, 2] {
        if !run.wants(names[threads - 1]) {
            continue;
        }
        let mut cases = vec![
            ours.inserts(&entry, threads),
            quick.inserts(&entry, threads),
            cached.inserts(&entry, threads),
        ];
        cases.extend(moka.iter().map(|moka| moka.inserts(&entry, threads)));
        cases.extend(foyer.iter().map(|foyer| foyer.inserts(&entry, threads)));
        let results = interleave(run.either(9, 21), cases);
        let rival = if against_quick { named(&results, "quick_cache") } else { best(&results) };
        run.compare(names[threads - 1], &results, rival, bounds[threads - 1]);
    }
    let rest = moka.iter().map(Full::held).chain(foyer.iter().map(Full::held));
    for (name, held) in [ours.held(), quick.held(), cached.held()].into_iter().chain(rest) {
        run.resident(name, held, CAPACITY);
    }
}

/// A cache that is full, and the number of the next new key.
struct Full<Q: ?Sized, V, C> {
    cache: C,
    next: AtomicU64,
    types: PhantomData<fn(&Q) -> V>,
}

impl<Q: Query + ?Sized, V: Held, C: Contender<Q, V>> Full<Q, V, C> {
    fn new(run: &Run, entry: &impl Fn(u64) -> (Q::Owned, V)) -> Self {
        let cache = C::with_capacity(CAPACITY);
        // Twice the capacity, so that shards that fill unevenly are full too.
        for key in 0..2 * CAPACITY as u64 {
            let (key, value) = entry(key);
            cache.insert(key, value);
        }
        run.resident(C::NAME, cache.resident(), CAPACITY);
        Self { cache, next: AtomicU64::new(2 * CAPACITY as u64), types: PhantomData }
    }

    fn held(&self) -> (&'static str, usize) {
        (C::NAME, self.cache.resident())
    }

    fn inserts<'a>(&'a self, entry: &'a (impl Fn(u64) -> (Q::Owned, V) + Sync), threads: usize) -> Case<'a> {
        case(C::NAME, move |_| {
            let prepare = |_: usize| {
                let warm_up = INSERTS;
                let first = self.next.fetch_add((INSERTS + warm_up) as u64, Ordering::Relaxed);
                let mut made: Vec<_> = (first..).take(INSERTS + warm_up).map(entry).collect();
                for (key, value) in made.drain(..warm_up) {
                    self.cache.insert(key, value);
                }
                made
            };
            slice(threads, prepare, |made| {
                made.into_iter().for_each(|(key, value)| self.cache.insert(key, value));
                INSERTS
            })
        })
    }
}
