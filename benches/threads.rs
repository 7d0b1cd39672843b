//! Does the throughput of region hits rise from one thread to two?
//!
//! 20,000 entries, keys drawn at random. Once with a scope for each thread, once with one scope for both, where
//! threads meet at the scope's own counters and at hot entries. Rounds are short and many, and the best twentieth is
//! judged: on a machine that others use too, most rounds tell what the scheduler did. A round lasts some milliseconds, and
//! threads wait for each other awake: in one of 0.3 ms, the time of 20,000 hits, who is woken late is all there is to see.
//! Each thread owns its draws: their states in one array would share a line, and that line would be measured.

mod support;

use std::hint::black_box;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use cpu_time::ThreadTime;
use strata_cache::{Cache, Region, Scope, scope};
use support::{Draw, Drawn, Figures, Report};

const ENTRIES: u64 = 20_000;
const HITS: u64 = 200_000;
const ROUNDS: usize = 101;

type Error = Box<dyn std::error::Error>;

/// Million hits a second of this many threads, each with a scope and its draws: by the clock, and as if each thread
/// had had a processor all the time.
fn throughput<const N: usize>(region: &Region<u64, u64>, workers: [(&Scope, Drawn); N]) -> (f64, f64) {
    let arrived = AtomicUsize::new(0);
    let times: Vec<(Instant, Instant, Duration)> = std::thread::scope(|threads| {
        let arrived = &arrived;
        let started: Vec<_> = workers
            .into_iter()
            .map(|(scope, mut keys)| {
                threads.spawn(move || {
                    arrived.fetch_add(1, Ordering::AcqRel);
                    while arrived.load(Ordering::Acquire) < N {
                        std::hint::spin_loop();
                    }
                    let (start, processor) = (Instant::now(), ThreadTime::now());
                    for _ in 0..HITS {
                        assert!(matches!(black_box(region.get_now(scope, &keys.next())), Ok(Some(_))));
                    }
                    (start, Instant::now(), processor.elapsed())
                })
            })
            .collect();
        started.into_iter().map(|thread| thread.join().expect("no thread panics")).collect()
    });
    let start = times.iter().map(|(start, ..)| *start).min();
    let end = times.iter().map(|(_, end, _)| *end).max();
    let time = end.zip(start).map_or(0.0, |(end, start)| (end - start).as_secs_f64());
    let processor = times.iter().map(|(.., time)| HITS as f64 / time.as_secs_f64()).sum::<f64>();
    (N as f64 * HITS as f64 / time / 1e6, processor / 1e6)
}

fn main() -> Result<ExitCode, Error> {
    let cache = Cache::builder().capacity(4 * ENTRIES).build()?;
    let region = cache.region::<u64, u64>("things")?;
    let scopes = [cache.scope(scope!(org = "a", user = 1))?, cache.scope(scope!(org = "b", user = 1))?];
    for scope in &scopes {
        for key in 0..ENTRIES / 2 {
            region.set(scope, key, key).wait()?;
        }
    }
    let mut report = Report::new("Does the throughput of region hits rise from one thread to two?");
    report.head("million hits a second");
    for (name, second, judged) in [("a scope each", 1, true), ("one scope", 0, false)] {
        let (mut alone, mut both) = (Vec::new(), Vec::new());
        let keys = || Draw::below(ENTRIES / 2);
        for _ in 0..ROUNDS {
            alone.push(throughput(&region, [(&scopes[0], keys())]));
            both.push(throughput(&region, [(&scopes[0], keys()), (&scopes[second], keys())]));
        }
        let split = |samples: Vec<(f64, f64)>| -> (Figures, Figures) {
            let (mut clock, mut processor): (Vec<f64>, Vec<f64>) = samples.into_iter().unzip();
            (Figures::of(&mut clock), Figures::of(&mut processor))
        };
        let ((alone, alone_processor), (both, both_processor)) = (split(alone), split(both));
        let line = |figures: &Figures| {
            let Figures { median, best, low, high, .. } = figures;
            format!("best twentieth {best:.1}, median {median:.1}, middle half {low:.1}–{high:.1}")
        };
        report.row(&format!("1 thread, {name}"), &line(&alone), "", None);
        report.row(&format!("2 threads, {name}"), &line(&both), "", None);
        let rise = both.best / alone.best;
        let floor = if judged { "> 1" } else { "" };
        report.row(&format!("rise, {name}"), &format!("{rise:.2}"), floor, judged.then_some(rise > 1.0));
        let line = format!("{:.1} to {:.1} (medians)", alone_processor.median, both_processor.median);
        report.row(&format!("by processor time, {name}"), &line, "", None);
    }
    Ok(report.end())
}
