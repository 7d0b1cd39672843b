//! What do budgets cost whoever writes and reads?
//!
//! (1) Two caches that differ in budgets only: a capacity for each org, user and session, and a reserve for each org.
//! Where the cache is the bound (`cost-insert`), all of them are twice what a scope comes to hold, so that nobody meets
//! its own; where scopes are (`cost-bound`), sessions may hold nine tenths of an even share, and the cache beside has as
//! much less. (2) Writes are of fresh keys into full caches, into one session or into all in a drawn order. (3) Hits are
//! of 16,384 keys that are there. (4) Instructions are counted by callgrind, in one function of a run of this program;
//! the hidden arguments are `cost KIND SCOPES COUNT`.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};

use cpu_time::ThreadTime;
use strata_cache::{Budget, Cache, Region, Scope, scope};

use crate::draw::{Rng, mix};
use crate::instructions::counted_in;
use crate::measure::{Case, case, interleave, slice};
use crate::report::{Judged, Row, spread};
use crate::run::Run;

const CAPACITY: u64 = 100_000;
const SCOPES: [usize; 3] = [1, 100, 1_000];
/// Entries that are written before.
const FILL: usize = 2 * CAPACITY as usize;
/// Operations of a slice.
const WRITES: usize = 10_000;
const READS: usize = 50_000;
/// Users of an org, and sessions of a user.
const WIDTHS: [u64; 2] = [5, 2];

const WITH: &str = "strata-cache";
const WITHOUT: &str = "no budgets";

/// Who keeps whom within bounds.
#[derive(Clone, Copy, PartialEq)]
enum Bound {
    Cache,
    Scopes,
}

pub fn rows(run: &mut Run) {
    for (bound, word) in [(Bound::Cache, "insert"), (Bound::Scopes, "bound")] {
        for scopes in SCOPES {
            let names = [1, 2].map(|threads| format!("cost-{word}-{scopes}-{threads}t"));
            let hits = (bound == Bound::Cache).then(|| format!("cost-hit-{scopes}-1t"));
            if !names.iter().chain(&hits).any(|row| run.wants(row)) {
                continue;
            }
            let with = Full::new(WITH, bound, scopes, true);
            let without = Full::new(WITHOUT, bound, scopes, false);
            run.resident(WITH, with.held(), CAPACITY as usize);
            run.resident(WITHOUT, without.held(), CAPACITY as usize);
            // Before others are written: what is read was drawn from the fill.
            if let Some(row) = hits.filter(|row| run.wants(row)) {
                timed(run, &row, vec![with.reads(), without.reads()], 1.05);
            }
            for (row, threads) in names.iter().zip([1, 2]) {
                if run.wants(row) {
                    let cases = vec![with.writes(threads), without.writes(threads)];
                    timed(run, row, cases, 1.5);
                }
            }
        }
    }
    // Set-up takes long where instructions are counted.
    let counted = run.either(&[1, 1_000][..], &SCOPES);
    for (kind, bound) in [("insert", 1.5), ("bound", 1.5), ("hit", 1.05)] {
        counted.iter().for_each(|scopes| instructions(run, kind, *scopes, bound));
    }
}

fn timed(run: &mut Run, row: &str, cases: Vec<Case<'_>>, bound: f64) {
    let results = interleave(run.either(21, 101), cases);
    run.note(format!("{row}\n{}", spread(&results)));
    judge(run, row, [results[0].figures.median, results[1].figures.median], bound, "ns");
}

fn judge(run: &mut Run, row: &str, [with, without]: [f64; 2], bound: f64, unit: &'static str) {
    let rival = Some((WITHOUT, without));
    run.add(Row {
        row: row.into(),
        ours: with,
        rival,
        judged: Judged::Ratio,
        commit: Some(bound),
        goal: None,
        unit,
    });
}

fn instructions(run: &mut Run, kind: &str, scopes: usize, bound: f64) {
    let row = format!("cost-instr-{kind}-{scopes}");
    if !run.wants(&row) {
        return;
    }
    let operations = if kind == "hit" { 500_000_u32 } else { 100_000 };
    let of_one = |name: &str| {
        let arguments = ["cost", name, kind, &scopes.to_string(), &operations.to_string()];
        Some(counted_in("*counted_part*", &arguments)? / f64::from(operations))
    };
    let (Some(with), Some(without)) = (of_one(WITH), of_one(WITHOUT)) else {
        return run.note(format!("{row}: skipped: nothing here counts instructions"));
    };
    judge(run, &row, [with, without], bound, "instr");
}

/// The run that is counted, if these are its arguments.
pub fn is_counted_run(arguments: &[String]) -> bool {
    let [word, name, kind, scopes, count] = arguments else { return false };
    let (true, Ok(scopes), Ok(count)) = (word == "cost", scopes.parse(), count.parse()) else { return false };
    let bound = if kind == "bound" { Bound::Scopes } else { Bound::Cache };
    let full = Full::new(if name == WITH { WITH } else { WITHOUT }, bound, scopes, name == WITH);
    std::thread::sleep(std::time::Duration::from_millis(30));
    let is_read = kind == "hit";
    let keys = if is_read { full.present(1 << 14) } else { full.fresh(count) };
    counted_part(&full, &keys, is_read.then_some(count));
    true
}

/// What is counted, found by its name.
#[inline(never)]
fn counted_part(full: &Full, keys: &[(u32, u64)], reads: Option<usize>) {
    match reads {
        Some(count) => full.read_all(keys, count),
        None => full.write_all(keys),
    };
}

/// A cache that is full, and the number of the next fresh key.
struct Full {
    name: &'static str,
    region: Region<u64, u64>,
    scopes: Vec<Scope>,
    next: AtomicU64,
}

impl Full {
    fn new(name: &'static str, bound: Bound, scopes: usize, has_budgets: bool) -> Self {
        let [users, sessions] = WIDTHS;
        let each = CAPACITY / scopes as u64;
        let (capacity, session) = match bound {
            Bound::Cache => (CAPACITY, (2 * each).min(CAPACITY)),
            Bound::Scopes => (CAPACITY, each * 9 / 10),
        };
        let mut builder = Cache::builder();
        if has_budgets {
            let of = |scopes: u64| (session * scopes).min(CAPACITY);
            // Without a neighbour's there is nothing that an org of one could reserve but what it has anyway.
            let reserve = (each * users * sessions / 2).min(CAPACITY / 2);
            builder = builder
                .capacity(capacity)
                .budget("org", Budget::entries(of(users * sessions)).reserve(reserve))
                .budget("user", Budget::entries(of(sessions)))
                .budget("session", Budget::entries(session));
        } else {
            let bound = if bound == Bound::Scopes { session * scopes as u64 } else { capacity };
            builder = builder.capacity(bound);
        }
        let cache = builder.build().expect("the options are valid");
        let region = cache.region("cost").expect("the name is valid");
        let path = |at: u64| {
            scope!(org = at / (users * sessions), user = at / sessions % users, session = at % sessions)
        };
        let scopes = (0..scopes as u64).map(|at| cache.scope(path(at)).expect("the path is valid")).collect();
        let full = Self { name, region, scopes, next: AtomicU64::new(0) };
        full.write_all(&full.filled());
        full.next.store(FILL as u64, Ordering::Relaxed);
        full
    }

    fn held(&self) -> usize {
        self.region.stats().entries as usize
    }

    /// Fresh keys and whose they are.
    fn fresh(&self, count: usize) -> Vec<(u32, u64)> {
        self.drawn(self.next.fetch_add(count as u64, Ordering::Relaxed), count)
    }

    /// What the cache is filled with.
    fn filled(&self) -> Vec<(u32, u64)> {
        self.drawn(0, FILL)
    }

    fn drawn(&self, first: u64, count: usize) -> Vec<(u32, u64)> {
        let mut rng = Rng::new(first);
        (first..).take(count).map(|key| (rng.below(self.scopes.len()) as u32, mix(key))).collect()
    }

    fn write_all(&self, entries: &[(u32, u64)]) -> usize {
        for (at, key) in entries {
            let set = self.region.set(&self.scopes[*at as usize], *key, *key);
            set.wait().expect("an entry weighs less than the capacity");
        }
        entries.len()
    }

    /// Nanoseconds an operation: of the processor with one thread, so that what neighbours take of it does not count, of the
    /// wall with more.
    fn slice<P>(
        &self,
        threads: usize,
        prepare: impl Fn(usize) -> P + Sync,
        work: impl Fn(P) -> usize + Sync,
    ) -> f64 {
        if threads > 1 {
            return slice(threads, prepare, work);
        }
        let prepared = prepare(0);
        let start = ThreadTime::now();
        let operations = work(prepared);
        start.elapsed().as_nanos() as f64 / operations as f64
    }

    fn writes(&self, threads: usize) -> Case<'_> {
        case(self.name, move |_| {
            let prepare = |_| {
                // A few first, so that what the other cache has pushed out of the processor is back.
                self.write_all(&self.fresh(WRITES / 2));
                self.fresh(WRITES)
            };
            self.slice(threads, prepare, |entries| self.write_all(&entries))
        })
    }

    /// So many of those that are there, drawn from all, so that they lie wherever entries lie.
    fn present(&self, count: usize) -> Vec<(u32, u64)> {
        let written = self.filled();
        let mut rng = Rng::new(98);
        let hits = |(at, key): &(u32, u64)| {
            let hit = self.region.get_now(&self.scopes[*at as usize], key);
            hit.expect("the scope is this cache's").is_some()
        };
        std::iter::repeat_with(|| written[rng.below(written.len())]).filter(hits).take(count).collect()
    }

    fn read_all(&self, keys: &[(u32, u64)], count: usize) -> usize {
        for (at, key) in keys.iter().cycle().take(count) {
            let hit = self.region.get_now(&self.scopes[*at as usize], key);
            black_box(hit.expect("the scope is this cache's"));
        }
        count
    }

    fn reads(&self) -> Case<'_> {
        let keys = self.present(1 << 14);
        case(self.name, move |_| {
            let prepare = |_| self.read_all(&keys, READS / 2);
            self.slice(1, prepare, |_| self.read_all(&keys, READS))
        })
    }
}
