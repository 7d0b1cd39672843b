//! Do 10,000 waiters of one key on a one-thread runtime cost one load and less than a second?
//!
//! Each waiter is a task of its own; the loader yields until all of them wait.

mod support;

use std::convert::Infallible;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use strata_cache::{Cache, cached, install, scope};
use support::{Figures, Report};

const WAITERS: u64 = 10_000;
const ROUNDS: u64 = 11;

type Error = Box<dyn std::error::Error>;

static LOADS: AtomicU64 = AtomicU64::new(0);

#[cached(scope = "org")]
async fn slow(org_id: u64) -> u64 {
    LOADS.fetch_add(1, Relaxed);
    tokio::time::sleep(Duration::from_millis(10)).await;
    org_id
}

fn main() -> Result<ExitCode, Error> {
    let cache = Cache::builder().capacity(1_000).build()?;
    install(cache.clone())?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let (mut programmatic, mut functions) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let start = Instant::now();
        runtime.block_on(async {
            let tasks: Vec<_> = (0..WAITERS)
                .map(|_| {
                    let cache = cache.clone();
                    tokio::spawn(async move {
                        let load = move || async move {
                            LOADS.fetch_add(1, Relaxed);
                            tokio::time::sleep(Duration::from_millis(10)).await;
                            Ok::<_, Infallible>(round)
                        };
                        cache.get_or_load(scope!(org = "acme", user = round), "key", load).await
                    })
                })
                .collect();
            for task in tasks {
                assert_eq!(*task.await??, round);
            }
            Ok::<_, Error>(())
        })?;
        programmatic.push(start.elapsed().as_secs_f64() * 1e3);
        let start = Instant::now();
        runtime.block_on(async {
            let tasks: Vec<_> = (0..WAITERS).map(|_| tokio::spawn(slow(round))).collect();
            for task in tasks {
                assert_eq!(task.await?, round);
            }
            Ok::<_, Error>(())
        })?;
        functions.push(start.elapsed().as_secs_f64() * 1e3);
    }
    let mut report = Report::new("What do 10,000 waiters of one key cost?");
    report.head("milliseconds, of which the load sleeps 10");
    for (name, samples) in [("`get_or_load`", &mut programmatic), ("`#[cached]` async", &mut functions)] {
        let Figures { median, min, low, high, .. } = Figures::of(samples);
        let line = format!("median {median:.1}, min {min:.1}, middle half {low:.1}–{high:.1}");
        report.row(&format!("10,000 tasks, {name}"), &line, "< 1,000", Some(median < 1_000.0));
    }
    let loads = LOADS.load(Relaxed) as f64 / (2 * ROUNDS) as f64;
    report.row("loads a stampede", &format!("{loads:.2}"), "= 1", Some(loads == 1.0));
    Ok(report.end())
}
