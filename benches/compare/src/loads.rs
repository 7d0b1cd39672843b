//! What do stale windows and refreshes cost where the value is there and fresh? Run with `--loads`.
//!
//! (1) A loader is given in every call and never runs: that is checked. Keys are drawn among those that all contenders hold. (2) *region*: the
//! region has a stale window and refreshes, and calls say that they can load in the background; *call*: each call says its stale window
//! itself; *plain*: neither. The rival is quick_cache, which has neither. (3) 100,000 entries and zipf 0.99, as `load-hit-…` has
//! them, and 1,000 (`near`), which fit into the processor's caches, so that it is code that is compared. Of cached functions 1,000
//! calls, as `macro-…` has them. (4) One thread, and its processor time, so that what neighbours take of it does not count; rounds interleave. Async
//! calls run in one poll a slice. (5) `…-extra` is what is added to *plain*: the median of ours less that of *plain* in the same run. (6) Instructions
//! are counted in one function of a run of this program, with the loop's few; the hidden arguments are `loads KIND COUNT`.

use std::convert::Infallible;
use std::hint::black_box;
use std::time::Duration;

use cpu_time::ThreadTime;
use strata_cache::{Cache, Region, Scope, cached, install, scope};

use crate::Group;
use crate::calls::ready;
use crate::contenders::TTL;
use crate::draw::{Draw, Rng, mix};
use crate::instructions::counted_in;
use crate::measure::{Case, Result, case, interleave};
use crate::report::{Judged, Row, spread};
use crate::run::{Run, named};

pub const GROUPS: [Group; 2] = [("loads", rows), ("instructions", instructions)];

const CALLS: usize = 1 << 16;
/// Calls that are counted.
const COUNT: usize = 100_000;
const FEW: usize = 1_000;
const STALE: Duration = Duration::from_secs(60);

const PLAIN: &str = "strata, plain";
const REGION: &str = "strata, region";
const CALL: &str = "strata, call";
const QUICK: &str = "quick_cache";

/// The end of a row's name, who is in it, and the most that it may add to *plain*.
const EXTRAS: [(&str, &str, Option<f64>); 2] = [("region", REGION, Some(2.0)), ("call", CALL, None)];

/// Regions that hold the same.
struct Held {
    plain: Region<u64, u64>,
    region: Region<u64, u64>,
    call: Region<u64, u64>,
    scope: Scope,
    quick: quick_cache::sync::Cache<u64, u64>,
    entries: usize,
}

impl Held {
    fn new(entries: usize) -> Self {
        // Room for all regions.
        let cache = Cache::builder().capacity(4 * entries as u64).ttl(TTL).build();
        let cache = cache.expect("the options are valid");
        let region = |name| cache.region::<u64, u64>(name).expect("the name is valid");
        let cared = cache.region_builder::<u64, u64>("region").ttl(TTL).stale(STALE).refresh(0.8).open();
        let held = Self {
            plain: region("plain"),
            region: cared.expect("the options are valid"),
            call: region("call"),
            scope: cache.scope(scope!(org = "acme", user = 42)).expect("the path is valid"),
            quick: quick_cache::sync::Cache::new(entries),
            entries,
        };
        for key in (0..entries as u64).map(mix) {
            for region in [&held.plain, &held.region, &held.call] {
                region.set(&held.scope, key, 7).wait().expect("it fits");
            }
            held.quick.insert(key, 7);
        }
        held
    }

    fn drawn(&self, count: usize) -> Vec<u64> {
        let (draw, mut rng) = (Draw::zipf(self.entries, 0.99), Rng::new(41));
        let drawn = std::iter::repeat_with(|| mix(draw.next(&mut rng) as u64));
        drawn.filter(|key| self.quick.peek(key).is_some()).take(count).collect()
    }

    fn plain(&self, key: &u64) -> u64 {
        self.plain.get_or_load_with(&self.scope, key, none).wait().expect("nothing fails")
    }

    fn region(&self, key: &u64) -> u64 {
        self.region.get_or_load_with(&self.scope, key, none).background().wait().expect("nothing fails")
    }

    fn call(&self, key: &u64) -> u64 {
        self.call.get_or_load_with(&self.scope, key, none).stale(STALE).wait().expect("nothing fails")
    }

    fn quick(&self, key: &u64) -> u64 {
        self.quick.get_or_insert_with(key, none).expect("nothing fails")
    }

    async fn plain_async(&self, key: &u64) -> u64 {
        self.plain.get_or_load(&self.scope, key, none_async).await.expect("nothing fails")
    }

    async fn region_async(&self, key: &u64) -> u64 {
        self.region.get_or_load(&self.scope, key, none_async).background().await.expect("nothing fails")
    }

    async fn call_async(&self, key: &u64) -> u64 {
        self.call.get_or_load(&self.scope, key, none_async).stale(STALE).await.expect("nothing fails")
    }

    async fn quick_async(&self, key: &u64) -> u64 {
        self.quick.get_or_insert_async(key, none_async()).await.expect("nothing fails")
    }
}

/// What loads, and would be seen in the sum.
fn none() -> std::result::Result<u64, Infallible> {
    Ok(1)
}

async fn none_async() -> std::result::Result<u64, Infallible> {
    Ok(1)
}

mod functions {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::{Infallible, cached};

    pub static RUNS: AtomicU64 = AtomicU64::new(0);

    fn ran(n: u64) -> Result<u64, Infallible> {
        RUNS.fetch_add(1, Ordering::Relaxed);
        Ok(n)
    }

    #[cached(scope = "global", max = 10_000, ttl = "1h")]
    pub fn plain(n: u64) -> Result<u64, Infallible> {
        ran(n)
    }

    #[cached(scope = "global", max = 10_000, ttl = "1h", stale = "1m", refresh = 0.8)]
    pub fn region(n: u64) -> Result<u64, Infallible> {
        ran(n)
    }

    #[cached(scope = "global", max = 10_000, ttl = "1h")]
    pub async fn plain_async(n: u64) -> Result<u64, Infallible> {
        ran(n)
    }

    #[cached(scope = "global", max = 10_000, ttl = "1h", stale = "1m", refresh = 0.8)]
    pub async fn region_async(n: u64) -> Result<u64, Infallible> {
        ran(n)
    }
}

fn rows(run: &mut Run) {
    for (entries, near) in [(100_000, ""), (FEW, "-near")] {
        let stems = ["sync", "async"].map(|kind| format!("loads-{kind}{near}"));
        if stems.iter().any(|stem| wants(run, stem)) {
            let held = Held::new(entries);
            run.note(format!("loads-...{near}: {entries} entries"));
            run.resident(QUICK, held.quick.len(), entries);
            let keys = held.drawn(CALLS);
            let cases = vec![
                called(PLAIN, &keys, |key| held.plain(key)),
                called(REGION, &keys, |key| held.region(key)),
                called(CALL, &keys, |key| held.call(key)),
                called(QUICK, &keys, |key| held.quick(key)),
            ];
            measure(run, &stems[0], cases, &EXTRAS);
            let cases = vec![
                polled(PLAIN, &keys, async |key: &u64| held.plain_async(key).await),
                polled(REGION, &keys, async |key: &u64| held.region_async(key).await),
                polled(CALL, &keys, async |key: &u64| held.call_async(key).await),
                polled(QUICK, &keys, async |key: &u64| held.quick_async(key).await),
            ];
            measure(run, &stems[1], cases, &EXTRAS);
        }
    }
    if ["loads-fn", "loads-fn-async"].iter().any(|stem| wants(run, stem)) {
        let (held, keys) = functions();
        let cases = vec![
            called(PLAIN, &keys, |key| never_fails(functions::plain(*key))),
            called(REGION, &keys, |key| never_fails(functions::region(*key))),
            called(QUICK, &keys, |key| held.quick(key)),
        ];
        measure(run, "loads-fn", cases, &EXTRAS[..1]);
        let cases = vec![
            polled(PLAIN, &keys, async |key: &u64| never_fails(functions::plain_async(*key).await)),
            polled(REGION, &keys, async |key: &u64| never_fails(functions::region_async(*key).await)),
            polled(QUICK, &keys, async |key: &u64| held.quick_async(key).await),
        ];
        measure(run, "loads-fn-async", cases, &EXTRAS[..1]);
    }
}

fn never_fails(value: std::result::Result<u64, Infallible>) -> u64 {
    value.unwrap_or_else(|never| match never {}) & 7
}

/// The rival of functions, and arguments, all of which have been called. All answers count as 7.
fn functions() -> (Held, Vec<u64>) {
    let cache = Cache::builder().capacity(100_000).build().expect("the options are valid");
    let _ = install(cache);
    let held = Held::new(FEW);
    let arguments: Vec<u64> = held.drawn(CALLS);
    for n in &arguments {
        never_fails(functions::plain(*n));
        never_fails(functions::region(*n));
        never_fails(ready(functions::plain_async(*n)));
        never_fails(ready(functions::region_async(*n)));
    }
    (held, arguments)
}

fn row_names(stem: &str) -> [String; 3] {
    [stem.to_owned(), format!("{stem}-region-extra"), format!("{stem}-call-extra")]
}

fn wants(run: &Run, stem: &str) -> bool {
    row_names(stem).iter().any(|row| run.wants(row))
}

fn called<'a>(name: &'static str, keys: &'a [u64], call: impl Fn(&u64) -> u64 + 'a) -> Case<'a> {
    let walk = move || keys.iter().map(|key| black_box(call(black_box(key)))).sum::<u64>();
    case(name, move |_| lap(&walk))
}

fn polled<'a>(name: &'static str, keys: &'a [u64], call: impl AsyncFn(&u64) -> u64 + 'a) -> Case<'a> {
    let walk = move || {
        ready(async {
            let mut sum = 0;
            for key in keys {
                sum += black_box(call(black_box(key)).await);
            }
            sum
        })
    };
    case(name, move |_| lap(&walk))
}

/// Nanoseconds a call, after a walk that counts for nothing.
fn lap(walk: &impl Fn() -> u64) -> f64 {
    let expected = walk();
    let start = ThreadTime::now();
    let sum = walk();
    let nanos = start.elapsed().as_nanos() as f64;
    assert_eq!(sum, expected, "no loader runs");
    nanos / CALLS as f64
}

fn measure(run: &mut Run, stem: &str, mut cases: Vec<Case<'_>>, extras: &[(&str, &str, Option<f64>)]) {
    if !wants(run, stem) {
        return;
    }
    cases.iter_mut().for_each(Case::warm);
    let results = interleave(run.either(21, 101), cases);
    run.note(format!("{stem}\n{}", spread(&results)));
    told(run, stem, &results, extras);
}

fn told(run: &mut Run, stem: &str, results: &[Result], extras: &[(&str, &str, Option<f64>)]) {
    let median = |name| named(results, name).figures.median;
    let plain = median(PLAIN);
    let row = |row, ours, rival, judged, commit| Row {
        row,
        ours,
        rival: Some(rival),
        judged,
        commit,
        goal: None,
        unit: "ns",
    };
    run.add(row(stem.into(), plain, (QUICK, median(QUICK)), Judged::Ratio, Some(1.0)));
    for (end, name, bound) in extras {
        let ours = median(name);
        run.add(row(format!("{stem}-{end}"), ours, (QUICK, median(QUICK)), Judged::Ratio, None));
        run.add(row(format!("{stem}-{end}-extra"), ours - plain, (PLAIN, plain), Judged::Small, *bound));
    }
}

/// Kinds of calls that are counted; each beside what it is compared with.
const KINDS: [(&str, &str); 10] = [
    ("sync", "sync-quick"),
    ("sync-region", "sync"),
    ("sync-call", "sync"),
    ("async", "async-quick"),
    ("async-region", "async"),
    ("async-call", "async"),
    ("fn", "sync-quick"),
    ("fn-region", "fn"),
    ("fn-async", "async-quick"),
    ("fn-async-region", "fn-async"),
];

fn instructions(run: &mut Run) {
    for (kind, beside) in KINDS {
        let row = format!("loads-instr-{kind}");
        if !run.wants(&row) {
            continue;
        }
        let of_one = |kind: &str| {
            let count = counted_in("*counted_part*", &["loads", kind, &COUNT.to_string()]);
            Some(count? / COUNT as f64)
        };
        let (Some(ours), Some(theirs)) = (of_one(kind), of_one(beside)) else {
            return run.note(format!("{row}: skipped: nothing here counts instructions"));
        };
        let rival = if beside.ends_with("quick") { QUICK } else { PLAIN };
        let rival = Some((rival, theirs));
        run.add(Row { row, ours, rival, judged: Judged::Ratio, commit: None, goal: None, unit: "instr" });
    }
}

/// The run that is counted, if these are its arguments.
pub fn is_counted_run(arguments: &[String]) -> bool {
    let [word, kind, count] = arguments else { return false };
    let (true, Ok(count)) = (word == "loads", count.parse::<usize>()) else { return false };
    let held = if kind.starts_with("fn") { functions().0 } else { Held::new(FEW) };
    let keys = held.drawn(count);
    match kind.as_str() {
        "sync" => counted(&keys, |key| held.plain(key)),
        "sync-region" => counted(&keys, |key| held.region(key)),
        "sync-call" => counted(&keys, |key| held.call(key)),
        "sync-quick" => counted(&keys, |key| held.quick(key)),
        "async" => awaited(&keys, async |key: &u64| held.plain_async(key).await),
        "async-region" => awaited(&keys, async |key: &u64| held.region_async(key).await),
        "async-call" => awaited(&keys, async |key: &u64| held.call_async(key).await),
        "async-quick" => awaited(&keys, async |key: &u64| held.quick_async(key).await),
        "fn" => counted(&keys, |key| never_fails(functions::plain(*key))),
        "fn-region" => counted(&keys, |key| never_fails(functions::region(*key))),
        "fn-async" => awaited(&keys, async |key: &u64| never_fails(functions::plain_async(*key).await)),
        "fn-async-region" => {
            awaited(&keys, async |key: &u64| never_fails(functions::region_async(*key).await));
        }
        _ => return false,
    }
    true
}

fn counted(keys: &[u64], call: impl Fn(&u64) -> u64) {
    let walk = |keys: &[u64]| keys.iter().for_each(|key| _ = black_box(call(black_box(key))));
    settled(keys, walk);
}

fn awaited(keys: &[u64], call: impl AsyncFn(&u64) -> u64) {
    let walk = |keys: &[u64]| {
        ready(async {
            for key in keys {
                black_box(call(black_box(key)).await);
            }
        });
    };
    settled(keys, walk);
}

fn settled(keys: &[u64], walk: impl Fn(&[u64])) {
    walk(keys);
    // The thread that tells the time has to get the processor before it is of use.
    std::thread::sleep(Duration::from_millis(30));
    walk(keys);
    counted_part(keys, &walk);
}

/// What is counted, found by its name.
#[inline(never)]
fn counted_part(keys: &[u64], walk: &impl Fn(&[u64])) {
    walk(black_box(keys));
}
