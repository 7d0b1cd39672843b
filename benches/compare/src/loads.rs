//! What do stale windows, refreshes and fail-safe cost where the value is there and fresh? Run with `--loads`.

use crate::Group;
use crate::run::Run;

pub const GROUPS: [Group; 1] = [("loads", rows)];

fn rows(_: &mut Run) {}

/// The run that is counted, if these are its arguments.
pub fn is_counted_run(_: &[String]) -> bool {
    false
}
