//! The decisions of one get-or-load: serve, lead, wait, ask again, run alone, or give up.
//!
//! (1) A caller serves what it finds, loads where it may, and waits where somebody else does. (2) A load that fails with
//! an error that cannot be shared goes on with one of those who wait, in the same flight and at most twice, so N callers
//! cause at most three loads; one that can be shared is everybody's answer. (3) After the third failure a caller reports,
//! or runs by itself with one of a few permits; which of the two is the caller's choice. (4) Inside its own load it runs
//! uncached. (5) Who does not wait, or has waited long enough, runs by itself and stores nothing. (6) A caller who is sent away
//! because a tag was withdrawn meanwhile asks again, at most twice, and then runs by itself: however often tags are withdrawn, it ends.
//! (7) A call that waits no longer than a time ends when that is over; one that would rather have a stale value, when that comes first.
//! What is kept of the key is looked for, by the driver, before any act that would bring the caller no value of its own.

use std::time::Duration;

/// How often a caller asks again after a shared error of another type, or a value that was outdated.
const ROUNDS: u8 = 2;

/// What a waiter does when the load failed for all who led it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WhenLeadersFail {
    /// Reports `LoadError::LeaderFailed`: programmatic calls.
    Report,
    /// Runs the loader itself, at most four at a time per key: cached functions.
    RunAlone,
}

/// Whose load is whose answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Coalescing {
    /// One loads, and the others wait for it: so long at most, if there is a time.
    On(Option<Duration>),
    /// Each caller loads by itself, and one of those who load at the same time stores.
    Off,
}

/// What the last act came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reply {
    /// A usable value was found.
    Hit,
    /// The lease is the caller's.
    Lead,
    /// Somebody else loads.
    Busy,
    /// Two loads run that may not be joined.
    NoPlace,
    /// The caller is inside this load, or waiting would close a circle.
    Recursion,
    /// Two loads of the key have stalled.
    Stuck,
    /// The load that was waited for landed.
    Landed,
    /// It failed for all who led it, and the errors are theirs alone.
    Failed,
    /// It failed, and its error was shared, but is of a type this caller has no use for.
    FailedOtherwise,
    /// It landed, but may have begun before a tag was withdrawn that its loader added.
    Outdated,
    /// A place may be free, or the load is not to be waited for any more.
    Again,
    /// The caller has waited for as long as it would.
    Late,
    /// It has waited so long that a stale value will do.
    Soft,
    /// It has waited for as long as it may.
    Hard,
    /// The load took longer than it may for the one who led it.
    CutShort,
}

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// Look, and join the load of the key.
    Join,
    /// Answer with the value at hand.
    Serve,
    /// Run the loader and deliver what comes of it.
    Lead,
    /// Wait for the load.
    Wait,
    /// Wait for a place.
    WaitForPlace,
    /// Run the loader past the cache.
    RunUncached,
    /// Run the loader past the cache, with a permit.
    RunAlone,
    /// Run the loader past the cache, beside a load that runs.
    RunBeside,
    /// Answer that the load failed for the one who led it.
    ReportLeaderFailed,
    /// Answer that the loads of the key have stalled.
    ReportStalled,
    /// Answer with what is kept, and leave the load to itself; wait on where nothing is kept any more.
    FallBack,
    /// Answer that it took too long.
    ReportTimedOut,
}

/// One call's way through a load.
#[derive(Debug)]
pub(crate) struct LoadPlan {
    rounds: u8,
    when_leaders_fail: WhenLeadersFail,
    coalescing: Coalescing,
}

impl LoadPlan {
    pub(crate) const fn new(when_leaders_fail: WhenLeadersFail, coalescing: Coalescing) -> Self {
        Self { rounds: 0, when_leaders_fail, coalescing }
    }

    /// The next act.
    pub(crate) fn step(&mut self, reply: Reply) -> Act {
        match reply {
            Reply::Hit | Reply::Landed => Act::Serve,
            Reply::Lead => Act::Lead,
            Reply::Late => Act::RunBeside,
            Reply::Soft => Act::FallBack,
            Reply::Hard => Act::ReportTimedOut,
            Reply::Busy | Reply::NoPlace if self.coalescing == Coalescing::Off => Act::RunBeside,
            Reply::Busy => Act::Wait,
            Reply::NoPlace => Act::WaitForPlace,
            Reply::Recursion => Act::RunUncached,
            Reply::Again => Act::Join,
            Reply::FailedOtherwise | Reply::Outdated | Reply::CutShort if self.rounds < ROUNDS => {
                self.rounds += 1;
                Act::Join
            }
            Reply::Failed | Reply::FailedOtherwise | Reply::CutShort => {
                self.last_resort(Act::ReportLeaderFailed)
            }
            // What it loads by itself begins after whatever was withdrawn before it asked.
            Reply::Outdated => Act::RunAlone,
            Reply::Stuck => self.last_resort(Act::ReportStalled),
        }
    }

    /// Whether the caller has words for a load that is refused its permit. Who has none waits, however many do.
    pub(crate) fn may_be_refused(&self) -> bool {
        self.when_leaders_fail == WhenLeadersFail::Report
    }

    fn last_resort(&self, report: Act) -> Act {
        match self.when_leaders_fail {
            WhenLeadersFail::Report => report,
            WhenLeadersFail::RunAlone => Act::RunAlone,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn act(when: WhenLeadersFail, reply: Reply) -> Act {
        LoadPlan::new(when, Coalescing::On(None)).step(reply)
    }

    #[test]
    fn waiter_reports_or_runs_alone_after_the_last_failure() {
        assert_eq!(act(WhenLeadersFail::Report, Reply::Failed), Act::ReportLeaderFailed);
        assert_eq!(act(WhenLeadersFail::RunAlone, Reply::Failed), Act::RunAlone);
    }

    #[test]
    fn caller_asks_again_twice_after_an_error_of_another_type() {
        let mut plan = LoadPlan::new(WhenLeadersFail::Report, Coalescing::On(None));
        let acts = [Reply::FailedOtherwise; 3].map(|reply| plan.step(reply));
        assert_eq!(acts, [Act::Join, Act::Join, Act::ReportLeaderFailed]);
    }

    #[test]
    fn caller_asks_again_twice_after_outdated_values_and_then_runs_alone() {
        for when in [WhenLeadersFail::Report, WhenLeadersFail::RunAlone] {
            let mut plan = LoadPlan::new(when, Coalescing::On(None));
            let acts = [Reply::Outdated; 4].map(|reply| plan.step(reply));
            assert_eq!(acts, [Act::Join, Act::Join, Act::RunAlone, Act::RunAlone]);
        }
    }

    #[test]
    fn everybody_serves_what_is_there_and_joins_what_runs() {
        for when in [WhenLeadersFail::Report, WhenLeadersFail::RunAlone] {
            assert_eq!(act(when, Reply::Hit), Act::Serve);
            assert_eq!(act(when, Reply::Landed), Act::Serve);
            assert_eq!(act(when, Reply::Lead), Act::Lead);
            assert_eq!(act(when, Reply::Busy), Act::Wait);
            assert_eq!(act(when, Reply::NoPlace), Act::WaitForPlace);
            assert_eq!(act(when, Reply::Again), Act::Join);
            assert_eq!(act(when, Reply::Recursion), Act::RunUncached);
        }
    }

    #[test]
    fn caller_that_does_not_wait_runs_beside_what_runs_and_leads_where_nothing_does() {
        let mut plan = LoadPlan::new(WhenLeadersFail::RunAlone, Coalescing::Off);
        let acts = [Reply::Busy, Reply::NoPlace, Reply::Lead, Reply::Hit].map(|reply| plan.step(reply));
        assert_eq!(acts, [Act::RunBeside, Act::RunBeside, Act::Lead, Act::Serve]);
        assert_eq!(act(WhenLeadersFail::RunAlone, Reply::Late), Act::RunBeside);
    }

    #[test]
    fn caller_that_waited_long_enough_falls_back_or_ends() {
        for when in [WhenLeadersFail::Report, WhenLeadersFail::RunAlone] {
            assert_eq!(
                (act(when, Reply::Soft), act(when, Reply::Hard)),
                (Act::FallBack, Act::ReportTimedOut)
            );
        }
    }

    #[test]
    fn caller_asks_again_twice_after_loads_that_others_cut_short() {
        let mut plan = LoadPlan::new(WhenLeadersFail::Report, Coalescing::On(None));
        let acts = [Reply::CutShort; 3].map(|reply| plan.step(reply));
        assert_eq!(acts, [Act::Join, Act::Join, Act::ReportLeaderFailed]);
    }

    #[test]
    fn stalled_loads_are_reported_or_run_past() {
        assert_eq!(act(WhenLeadersFail::Report, Reply::Stuck), Act::ReportStalled);
        assert_eq!(act(WhenLeadersFail::RunAlone, Reply::Stuck), Act::RunAlone);
    }
}
