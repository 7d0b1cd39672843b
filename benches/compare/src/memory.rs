//! How many bytes does an entry cost beyond its 16? u64 → u64, 1,000,000 entries, scope and ttl included.
//!
//! (1) Bytes live in the counting allocator, ÷ entries held, − 16. (2) Filled: after a million inserts into a cache for
//! a million. Churned: after a million further new keys. (3) What is owed has been done: a reading counts when it has
//! not changed for 100 ms, or after 2 s. (4) The peak is printed.

use std::time::{Duration, Instant};

use crate::alloc::Count;
use crate::contenders::{Cached, Contender, Foyer, Moka, Quick, Strata};
use crate::draw::mix;
use crate::report::{Judged, Row, short};
use crate::run::Run;

const ENTRIES: usize = 1_000_000;

pub fn rows(run: &mut Run) {
    if !run.wants_any(&["memory-filled", "memory-churned"]) {
        return;
    }
    run.note("memory ...: bytes an entry beyond 16, filled and churned");
    let ours = overhead::<Strata<u64, u64>>(run);
    let quick = overhead::<Quick<u64, u64>>(run);
    if !run.quick {
        overhead::<Cached<u64, u64>>(run);
        overhead::<Foyer<u64, u64>>(run);
        overhead::<Moka<u64, u64>>(run);
    }
    for (row, at, goal) in [("memory-filled", 0, 34.0), ("memory-churned", 1, 36.0)] {
        run.add(Row {
            row: row.into(),
            ours: ours[at],
            rival: Some(("quick_cache", quick[at])),
            judged: Judged::Small,
            commit: Some(42.0),
            goal: Some(goal),
            unit: "B",
        });
    }
}

fn overhead<C: Contender<u64, u64>>(run: &Run) -> [f64; 2] {
    let count = Count::start();
    let cache = C::with_capacity(ENTRIES);
    let measured = [0, ENTRIES].map(|first| {
        (first..first + ENTRIES).for_each(|key| cache.insert(mix(key as u64), key as u64));
        let held = cache.resident();
        run.resident(C::NAME, held, ENTRIES);
        settled(&count) / held as f64 - 16.0
    });
    let [filled, churned, peak] = [measured[0], measured[1], count.peak() / ENTRIES as f64 - 16.0].map(short);
    run.note(format!("    {:<14} filled {filled}, churned {churned}, peak {peak}", C::NAME));
    measured
}

/// The live bytes, once they stay.
fn settled(count: &Count) -> f64 {
    let start = Instant::now();
    loop {
        let before = count.live();
        std::thread::sleep(Duration::from_millis(100));
        if count.live() == before || start.elapsed() > Duration::from_secs(2) {
            return count.live();
        }
    }
}
