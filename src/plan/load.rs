//! The decisions of one get-or-load: serve, lead, wait, ask again, run alone, or give up.
//!
//! (1) A caller serves what it finds, loads where it may, and waits where somebody else does. (2) When a load it
//! waited for fails and the error cannot be shared (one that can is the answer), it asks again together with all who waited: at most
//! [`ROUNDS`] times, so N waiters cause at most `1 + ROUNDS` loads. (3) Then it reports, or runs by itself with one
//! of a few permits; which of the two is the caller's choice. (4) Inside its own load it runs uncached.

/// How often a waiter asks again after a load failed whose error it could not share.
const ROUNDS: u8 = 2;

/// What a waiter does when the rounds are used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WhenLeadersFail {
    /// Reports `LoadError::LeaderFailed`: programmatic calls.
    Report,
    /// Runs the loader itself, at most four at a time per key: cached functions.
    RunAlone,
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
    /// It failed, and its error is the leader's alone.
    Failed,
    /// A place may be free, or the load is not to be waited for any more.
    Again,
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
    /// Answer that the load failed for the one who led it.
    ReportLeaderFailed,
    /// Answer that the loads of the key have stalled.
    ReportStalled,
}

/// One call's way through a load.
#[derive(Debug)]
pub(crate) struct LoadPlan {
    rounds: u8,
    when_leaders_fail: WhenLeadersFail,
}

impl LoadPlan {
    pub(crate) const fn new(when_leaders_fail: WhenLeadersFail) -> Self {
        Self { rounds: 0, when_leaders_fail }
    }

    /// The next act.
    pub(crate) fn step(&mut self, reply: Reply) -> Act {
        match reply {
            Reply::Hit | Reply::Landed => Act::Serve,
            Reply::Lead => Act::Lead,
            Reply::Busy => Act::Wait,
            Reply::NoPlace => Act::WaitForPlace,
            Reply::Recursion => Act::RunUncached,
            Reply::Again => Act::Join,
            Reply::Failed if self.rounds < ROUNDS => {
                self.rounds += 1;
                Act::Join
            }
            Reply::Failed => self.last_resort(Act::ReportLeaderFailed),
            Reply::Stuck => self.last_resort(Act::ReportStalled),
        }
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

    fn acts(when: WhenLeadersFail, replies: &[Reply]) -> Vec<Act> {
        let mut plan = LoadPlan::new(when);
        replies.iter().map(|&reply| plan.step(reply)).collect()
    }

    #[test]
    fn waiter_asks_again_twice_and_then_reports() {
        let failed = [Reply::Failed; 3];
        assert_eq!(acts(WhenLeadersFail::Report, &failed), [Act::Join, Act::Join, Act::ReportLeaderFailed]);
        assert_eq!(acts(WhenLeadersFail::RunAlone, &failed), [Act::Join, Act::Join, Act::RunAlone]);
    }

    #[test]
    fn rejoining_for_other_reasons_uses_up_no_round() {
        let replies = [Reply::Again, Reply::Again, Reply::Again, Reply::Failed, Reply::Failed, Reply::Landed];
        let expected = [Act::Join, Act::Join, Act::Join, Act::Join, Act::Join, Act::Serve];
        assert_eq!(acts(WhenLeadersFail::Report, &replies), expected);
    }

    #[test]
    fn stalled_loads_are_reported_or_run_past() {
        assert_eq!(acts(WhenLeadersFail::Report, &[Reply::Stuck]), [Act::ReportStalled]);
        assert_eq!(acts(WhenLeadersFail::RunAlone, &[Reply::Stuck]), [Act::RunAlone]);
    }
}
