//! Threads and tasks at once, for a few seconds each: whose value is it, and how old may it be.
//!
//! `STRATA_TORTURE_SECONDS` makes them run longer, `STRATA_TORTURE_SEED` repeats the choices of a run (the
//! schedule is the machine's).

mod isolation;
mod poison;
mod staleness;

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::Poll;
use std::time::{Duration, Instant};

/// Choices of one worker: SplitMix64 (Steele, Lea, Flood, OOPSLA 2014).
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn one_in(&mut self, chances: u64) -> bool {
        self.below(chances) == 0
    }
}

/// How long, and by which choices. Printed, so that a failure can be repeated.
struct Run {
    seed: u64,
    end: Instant,
}

impl Run {
    fn begin(name: &str, seconds: u64) -> Self {
        let given = |variable: &str| std::env::var(variable).ok().and_then(|text| text.parse().ok());
        let seconds = given("STRATA_TORTURE_SECONDS").unwrap_or(seconds);
        let clock = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        let seed =
            given("STRATA_TORTURE_SEED").unwrap_or_else(|| clock.map_or(1, |since| since.as_nanos() as u64));
        eprintln!("{name}: seed {seed}, {seconds} s");
        Self { seed, end: Instant::now() + Duration::from_secs(seconds) }
    }

    fn dice(&self, worker: u64) -> Dice {
        let mut dice = Dice(self.seed ^ worker.wrapping_mul(0xd6e8_feb8_6659_fd93));
        dice.next();
        dice
    }

    fn is_over(&self) -> bool {
        Instant::now() >= self.end
    }
}

/// Polls once, as the task that asks.
async fn once<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    poll_fn(|context| Poll::Ready(Pin::new(&mut *future).poll(context))).await
}
