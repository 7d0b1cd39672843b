//! Loads under a seeded scheduler: many callers, loaders that are slow, fail, hang and panic, cancellations, invalidations at all levels,
//! writes, a clock that jumps; against an oracle that knows every version that was ever in the database.
//!
//! One thread, a clock that moves only here, and an executor that polls a task only when it was woken: a schedule is a function of its seed,
//! and a wake-up that is lost is a call that is never answered. What is driven is the library itself, from its public interface down.
//!
//! What must hold: (1) no answer is older than the last invalidation or write of its key that had returned when the call began, or than
//! the last withdrawal of a tag that its loader added, stale or not; (2) an answer that is not marked stale is within its time-to-live, and a
//! stale one within what the call takes and what the entry is kept for; where it is not taken at once, a load was tried before; (3) an
//! answer is of the scope and key that were asked for; (4) of a key at most one current and one detached load run at a time, and none begins
//! where another could be joined; after one that failed, none is tried in the background for a while; (5) a call that has a limit is
//! answered when it is reached; (6) what a load brings is there, unless something was withdrawn meanwhile; what was, is not stored; at the
//! end every call is answered, nothing runs, and nothing is kept.
//!
//! `STRATA_SIM_SEED=7` runs one schedule, `STRATA_SIM_SCHEDULES=1000000` so many; a failure prints its seed.

mod oracle;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::SystemTime;

use crate::support::Outcome;
use world::{Log, World};

/// Schedules of one run.
const SCHEDULES: u64 = 10_000;

/// Steps of one schedule, before all that is left is brought to its end.
const STEPS: u32 = 50;

/// SplitMix64 (Steele, Lea, Flood, OOPSLA 2014, section 4).
pub(crate) struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    /// A number below this.
    pub(crate) fn below(&mut self, most: usize) -> usize {
        (self.roll() % most as u64) as usize
    }

    /// Whether it is one of so many.
    pub(crate) fn one_in(&mut self, many: usize) -> bool {
        self.below(many) == 0
    }
}

fn schedule(seed: u64, log: &Log) {
    let mut world = World::new(Dice(seed), Log::clone(log));
    for _ in 0..STEPS {
        world.step();
        world.settle();
    }
    world.end();
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[test]
fn no_schedule_breaks_a_promise() -> Outcome {
    let one = number("STRATA_SIM_SEED");
    let many = number("STRATA_SIM_SCHEDULES").unwrap_or(SCHEDULES);
    let first = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_nanos() as u64;
    eprintln!("{many} schedules, from seed {first} on");
    let seeds: Box<dyn Iterator<Item = u64>> = match one {
        Some(seed) => Box::new([seed].into_iter()),
        None => Box::new((0..many).map(move |number| first.wrapping_add(number.wrapping_mul(0x9e37_79b9)))),
    };
    // Loaders panic on purpose; only what the oracle says is to be heard.
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        if !info.payload_as_str().is_some_and(|text| text.contains("by script")) {
            hook(info);
        }
    }));
    for seed in seeds {
        let log = Log::default();
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| schedule(seed, &log))) {
            eprintln!("{}\nseed: {seed} (run it alone: STRATA_SIM_SEED={seed})", log.borrow().join("\n"));
            std::panic::resume_unwind(panic);
        }
    }
    drop(std::panic::take_hook());
    Ok(())
}
