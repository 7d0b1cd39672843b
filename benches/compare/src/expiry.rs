//! A million entries expire and nobody reads: when is their memory back, and what did that cost?
//!
//! (1) The deadline is that of the last entry written; if filling takes most of the ttl, it is done again with twice
//! the ttl. (2) Back: four fifths of the bytes that filling added are free in
//! the counting allocator; what is left at the end is printed. (3) Processor time is the process's without this thread's, from the last insert on; nothing
//! else runs in the process. (4) moka's own expiry is looked at for 2.5 s, for it waits for a call.

use std::time::{Duration, Instant};

use cpu_time::{ProcessTime, ThreadTime};
use strata_cache::Maintenance;

use crate::alloc::Count;
use crate::contenders::{Contender, Moka, Strata};
use crate::draw::mix;
use crate::report::{Judged, Row, short};
use crate::run::Run;

const ENTRIES: usize = 1_000_000;

pub fn rows(run: &mut Run) {
    if !run.wants_any(&["expire-1m-back", "expire-1m-cpu"]) {
        return;
    }
    run.note(format!("expire-1m ...: {ENTRIES} entries"));
    let ttl = Duration::from_secs(run.either(3, 5));
    let ours = |ttl| Strata::<u64, u64>::with(ENTRIES, ttl, Maintenance::default());
    let ours = expire(run, ours, ttl, Duration::from_secs(6));
    let moka =
        |ttl| Moka(moka::sync::Cache::builder().max_capacity(ENTRIES as u64).time_to_live(ttl).build());
    let moka = expire::<Moka<u64, u64>>(run, moka, ttl, Duration::from_millis(2_500));
    let row = |row: &str, at: usize, commit, goal, unit| Row {
        row: row.into(),
        ours: ours[at],
        rival: (at == 0).then_some(("moka", moka[at])),
        judged: Judged::Small,
        commit,
        goal: Some(goal),
        unit,
    };
    let rows = [row("expire-1m-back", 0, Some(2.0), 1.0, "s"), row("expire-1m-cpu", 1, None, 60.0, "ms")];
    rows.into_iter().for_each(|row| run.add(row));
}

/// Seconds from the deadline until memory is back, infinite if it is not in time; milliseconds of processor time.
fn expire<C: Contender<u64, u64>>(
    run: &Run,
    make: impl Fn(Duration) -> C,
    ttl: Duration,
    limit: Duration,
) -> [f64; 2] {
    let count = Count::start();
    let cache = make(ttl);
    let empty = count.live();
    let start = Instant::now();
    (0..ENTRIES as u64).for_each(|key| cache.insert(mix(key), key));
    let last = Instant::now();
    let (process, thread) = (ProcessTime::now(), ThreadTime::now());
    let filling = last - start;
    if filling > ttl * 3 / 4 {
        run.note(format!("    {}: filling took {filling:?} of a ttl of {ttl:?}: twice the ttl", C::NAME));
        drop((cache, count));
        return expire(run, make, ttl * 2, limit);
    }
    let filled = count.live() - empty;
    let mut back = f64::INFINITY;
    while last.elapsed() < ttl + limit {
        if count.live() - empty <= filled / 5.0 {
            back = last.elapsed().as_secs_f64() - ttl.as_secs_f64();
            break;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let processor = process.elapsed().saturating_sub(thread.elapsed()).as_secs_f64() * 1e3;
    run.note(format!(
        "    {:<14} filled {} MB in {} s; {} MB left {} s after the deadline; {} ms of processor time",
        C::NAME,
        short(filled / 1e6),
        short(filling.as_secs_f64()),
        short((count.live() - empty) / 1e6),
        short(last.elapsed().as_secs_f64() - ttl.as_secs_f64()),
        short(processor),
    ));
    [back, processor]
}
