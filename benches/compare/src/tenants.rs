//! What does it cost to drop one of 1,000 tenants among 1,000,000 entries, and who notices?
//!
//! (1) u64 → u64, 1,000 entries a tenant: ours in scopes, in the rivals with the tenant in the key. (2) Unreachable: the
//! call, by the tick counter, then a get that must find nothing. (3) Swept: a removal listener has seen every entry;
//! processor time is the process's without this thread's. (4) A slice of the sweep is bounded by a write into a full cache whose
//! maintenance is manual: while everything it holds is of a dropped tenant, each write sweeps one slice, and finds every
//! entry in it dead, which is the worst. The row is p99 of such writes, in processor time of the thread, for the wall
//! also has what the scheduler gave to others.
//! (5) p99 meanwhile: of gets of other tenants, from the call until swept, ÷ p99 just before.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cpu_time::{ProcessTime, ThreadTime};
use strata_cache::{Cache, Maintenance, Region, RemovalCause, Scope, scope};

use crate::contenders::TTL;
use crate::draw::{Rng, mix};
use crate::measure::{Result, Ticks, ticks};
use crate::report::{Judged, Row, short, spread};
use crate::run::Run;
use crate::stats::{Figures, percentile, percentile_of};

const TENANTS: u64 = 1_000;
const EACH: u64 = 1_000;
const ENTRIES: u64 = TENANTS * EACH;
/// Tenants below this one are read and written, those above are dropped.
const READ: u64 = 500;

const ROWS: [&str; 4] =
    ["drop-tenant-unreachable", "drop-tenant-swept", "drop-tenant-slice", "drop-tenant-get-p99"];

pub fn rows(run: &mut Run) {
    if !run.wants_any(&ROWS) {
        return;
    }
    run.note(format!("drop-tenant ...: {TENANTS} tenants of {EACH} entries"));
    let mut victims = READ..TENANTS;
    let mut victim = || victims.next().expect("there are enough tenants");
    let ours = Ours::filled(run);
    let quick = quick_cache::sync::Cache::<(u64, u64), u64>::new(ENTRIES as usize);
    let moka = moka::sync::Cache::<(u64, u64), u64>::builder()
        .max_capacity(ENTRIES)
        .support_invalidation_closures()
        .build();
    for entry in 0..ENTRIES {
        let key = (entry / EACH, mix(entry % EACH));
        quick.insert(key, entry);
        moka.insert(key, entry);
    }
    moka.run_pending_tasks();
    run.resident("quick_cache", quick.len(), ENTRIES as usize);
    run.resident("moka", moka.entry_count() as usize, ENTRIES as usize);
    let drop_quick = |tenant: u64| {
        quick.retain(|key, _| key.0 != tenant);
        assert_eq!(quick.get(&(tenant, mix(1))), None);
    };
    let drop_moka = |tenant: u64| {
        let before = moka.entry_count();
        moka.invalidate_entries_if(move |key, _| key.0 == tenant).expect("closures are supported");
        while moka.entry_count() + EACH * 9 / 10 > before {
            moka.run_pending_tasks();
        }
    };

    let windows = run.either(5, 9);
    let clock = Ticks::get();
    let timed = |drop: &mut dyn FnMut()| {
        let from = ticks();
        drop();
        clock.between(from, ticks()) / 1e3
    };
    if run.wants(ROWS[0]) {
        let calls: Vec<f64> = (0..100).map(|_| ours.evict(victim())).collect();
        let quick: Vec<f64> = (0..windows).map(|n| timed(&mut || drop_quick(READ + n))).collect();
        let moka: Vec<f64> = (0..2).map(|n| timed(&mut || drop_moka(READ + n))).collect();
        let results = [("strata-cache", calls), ("quick_cache", quick), ("moka", moka)]
            .map(|(name, samples)| Result { name, figures: Figures::of(&samples) });
        run.note(format!("{}, µs\n{}", ROWS[0], spread(&results)));
        let quick = results[1].figures.median;
        let ours = results[0].figures.median;
        add(run, 0, ours, Some(("quick_cache", quick)), (Some(1.0), Some(0.2)), "µs");
        std::thread::sleep(Duration::from_secs(1));
    }
    if run.wants(ROWS[1]) {
        let sweeps: Vec<(f64, f64)> = (0..windows).map(|_| ours.sweep(victim())).collect();
        let (wall, processor): (Vec<f64>, Vec<f64>) = sweeps.into_iter().unzip();
        let results = [("wall", wall), ("processor", processor)]
            .map(|(name, samples)| Result { name, figures: Figures::of(&samples) });
        run.note(format!("{}, ms\n{}", ROWS[1], spread(&results)));
        add(run, 1, results[1].figures.median, None, (Some(20.0), None), "ms");
    }
    if run.wants(ROWS[2]) {
        let slices = slices();
        let p99 = percentile(&slices, 0.99);
        let figures = Figures::of(&slices);
        let result = Result { name: "write that sweeps a slice", figures };
        run.note(format!("{}, µs, p99 {}\n{}", ROWS[2], short(p99), spread(&[result])));
        add(run, 2, p99, None, (Some(50.0), None), "µs");
    }
    if run.wants(ROWS[3]) {
        let get = |tenant: u64, key: u64| ours.get(tenant, key);
        let us = meanwhile(run, "strata-cache", windows, get, |_| ours.drop_and_wait(victim()));
        let mut get = |tenant: u64, key: u64| quick.get(&(tenant, key));
        let quick = meanwhile(run, "quick_cache", windows, &mut get, |n| drop_quick(READ + 20 + n));
        let mut get = |tenant: u64, key: u64| moka.get(&(tenant, key));
        meanwhile(run, "moka", run.either(2, 5), &mut get, |n| drop_moka(READ + 20 + n));
        add(run, 3, us, Some(("quick_cache", quick)), (None, Some(1.1)), "×");
    }
}

fn add(
    run: &mut Run,
    row: usize,
    ours: f64,
    rival: Option<(&'static str, f64)>,
    (commit, goal): (Option<f64>, Option<f64>),
    unit: &'static str,
) {
    run.add(Row { row: ROWS[row].into(), ours, rival, judged: Judged::Small, commit, goal, unit });
}

struct Ours {
    cache: Cache,
    region: Region<u64, u64>,
    scopes: Vec<Scope>,
    swept: Arc<AtomicU64>,
}

impl Ours {
    fn filled(run: &Run) -> Self {
        let swept = Arc::new(AtomicU64::new(0));
        let seen = Arc::clone(&swept);
        let builder = Cache::builder().capacity(ENTRIES).ttl(TTL).on_removal(move |removal| {
            if removal.cause == RemovalCause::Invalidated {
                seen.fetch_add(1, Ordering::Relaxed);
            }
        });
        let cache = builder.build().expect("the options are valid");
        let region = cache.region::<u64, u64>("tenants").expect("the name is valid");
        let scope = |org| cache.scope(scope!(org = org)).expect("the path is valid");
        let scopes: Vec<Scope> = (0..TENANTS).map(scope).collect();
        for entry in 0..ENTRIES {
            let set = region.set(&scopes[(entry / EACH) as usize], mix(entry % EACH), entry);
            set.wait().expect("an entry weighs less than the capacity");
        }
        run.resident("strata-cache", region.stats().entries as usize, ENTRIES as usize);
        Self { cache, region, scopes, swept }
    }

    fn get(&self, tenant: u64, key: u64) -> Option<u64> {
        self.region.get_now(&self.scopes[tenant as usize], &key).expect("the scope is this cache's")
    }

    /// Microseconds of the call.
    fn evict(&self, tenant: u64) -> f64 {
        let from = ticks();
        let gone = self.cache.evict_by_scope(scope!(org = tenant)).wait();
        let to = ticks();
        let gone = gone.expect("the path is valid").entries;
        assert_eq!(gone, EACH, "everything of the tenant was there");
        assert_eq!(self.get(tenant, mix(1)), None, "what was evicted is unreachable");
        Ticks::get().between(from, to) / 1e3
    }

    fn drop_and_wait(&self, tenant: u64) {
        let before = self.swept.load(Ordering::Relaxed);
        self.evict(tenant);
        self.wait_until(before + EACH);
    }

    fn wait_until(&self, swept: u64) {
        let start = Instant::now();
        while self.swept.load(Ordering::Relaxed) < swept && start.elapsed() < Duration::from_secs(5) {
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Milliseconds until swept, by the wall and of processor time.
    fn sweep(&self, tenant: u64) -> (f64, f64) {
        let (start, process, thread) = (Instant::now(), ProcessTime::now(), ThreadTime::now());
        self.drop_and_wait(tenant);
        let wall = start.elapsed();
        // The sweep may go on behind the last entry.
        std::thread::sleep(Duration::from_millis(50));
        let processor = process.elapsed().saturating_sub(thread.elapsed());
        (wall.as_secs_f64() * 1e3, processor.as_secs_f64() * 1e3)
    }
}

/// Microseconds of writes, each of which sweeps one slice of entries that are all dead; sorted.
fn slices() -> Vec<f64> {
    let cache = Cache::builder().capacity(ENTRIES).maintenance(Maintenance::Manual).build();
    let cache = cache.expect("the options are valid");
    let region = cache.region::<u64, u64>("slices").expect("the name is valid");
    let scope = |org| cache.scope(scope!(org = org)).expect("the path is valid");
    let (dropped, kept) = (scope("dropped"), scope("kept"));
    let set = |scope: &Scope, key: u64| {
        region.set(scope, mix(key), key).wait().expect("an entry weighs less than the capacity");
    };
    (0..ENTRIES).for_each(|key| set(&dropped, key));
    cache.evict_by_scope(scope!(org = "dropped")).wait().expect("the path is valid");
    // So that it stays full of what is dead.
    cache.set_capacity(ENTRIES / 2).expect("the capacity is valid");
    let sample = |key| {
        let start = ThreadTime::now();
        set(&kept, key);
        start.elapsed().as_secs_f64() * 1e6
    };
    // Half of the entries have to go before a write finds room, in slices of 256 at most.
    let mut samples: Vec<f64> = (0..ENTRIES / 2 / 256).map(sample).collect();
    samples.sort_by(f64::total_cmp);
    samples
}

/// p99 of gets while a tenant is dropped ÷ p99 of the 50 ms before: the median over windows.
fn meanwhile(
    run: &mut Run,
    name: &'static str,
    windows: u64,
    get: impl FnMut(u64, u64) -> Option<u64>,
    mut drop: impl FnMut(u64) + Send,
) -> f64 {
    let (clock, mut rng, mut get) = (Ticks::get(), Rng::new(71), get);
    let (mut ratios, mut befores, mut durings) = (Vec::new(), Vec::new(), Vec::new());
    for window in 0..windows {
        let dropping = AtomicBool::new(false);
        let dropped = AtomicBool::new(false);
        // (ticks at the sample, tenths of nanoseconds)
        let mut samples: Vec<(u64, u32)> = Vec::with_capacity(1 << 20);
        let begin = std::thread::scope(|threads| {
            let (dropping, dropped, drop) = (&dropping, &dropped, &mut drop);
            threads.spawn(move || {
                while !dropping.load(Ordering::Acquire) {
                    std::thread::sleep(Duration::from_micros(200));
                }
                drop(window);
                dropped.store(true, Ordering::Release);
            });
            let mut sample = || {
                let (tenant, key) = (rng.below(READ as usize) as u64, mix(rng.below(EACH as usize) as u64));
                let from = ticks();
                black_box(get(tenant, key));
                let to = ticks();
                samples.push((from, (clock.between(from, to) * 10.0) as u32));
            };
            let start = Instant::now();
            while start.elapsed() < Duration::from_millis(50) {
                (0..64).for_each(|_| sample());
            }
            let begin = ticks();
            dropping.store(true, Ordering::Release);
            while !dropped.load(Ordering::Acquire) {
                (0..64).for_each(|_| sample());
            }
            begin
        });
        let split = samples.partition_point(|sample| sample.0 < begin);
        let p99 = |samples: &[(u64, u32)]| {
            percentile_of(&mut samples.iter().map(|sample| sample.1).collect::<Vec<_>>(), 0.99) / 10.0
        };
        let (before, during) = (p99(&samples[..split]), p99(&samples[split..]));
        befores.push(before);
        durings.push(during);
        ratios.push(during / before);
        if window == 0 {
            run.while_dropped.push((name, timeline(clock, &samples, begin)));
        }
    }
    let [before, during, ratio] = [&befores, &durings, &ratios].map(|samples| Figures::of(samples).median);
    run.note(format!(
        "    {name:<14} get p99 before {} ns, meanwhile {} ns, × {}",
        short(before),
        short(during),
        short(ratio)
    ));
    ratio
}

/// p99 of the gets of each millisecond around the drop.
fn timeline(clock: Ticks, samples: &[(u64, u32)], begin: u64) -> Vec<(f64, f64)> {
    let start = samples.first().map_or(0, |sample| sample.0);
    let millisecond = |sample: &(u64, u32)| (clock.between(start, sample.0) / 1e6) as u64;
    let offset = clock.between(start, begin) / 1e6;
    let of_one = |chunk: &[(u64, u32)]| {
        let mut nanos: Vec<u32> = chunk.iter().map(|sample| sample.1).collect();
        (millisecond(&chunk[0]) as f64 - offset, percentile_of(&mut nanos, 0.99) / 10.0)
    };
    samples.chunk_by(|a, b| millisecond(a) == millisecond(b)).map(of_one).collect()
}
