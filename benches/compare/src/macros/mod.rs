//! What does a cached function cost beside those of other attributes? Run with `--macros`, and with `--compile` also:
//! what does it cost to compile?
//!
//! (1) `functions` has the same functions under each attribute; all of ours are in the scope `global`, as nobody else has
//! scopes, but those of `macro-user-…`. (2) Rows without a bound stand beside, for whoever chooses.

mod allocations;
mod compile;
mod functions;
mod hits;
mod instructions;
mod stampede;

pub use instructions::is_counted_run;

use strata_cache::{Cache, install};

use crate::Group;
use crate::draw::mix;
use crate::report::{Judged, Row};

pub const GROUPS: [Group; 5] = [
    ("allocations", allocations::rows),
    ("hits", hits::rows),
    ("instructions", instructions::rows),
    ("stampede", stampede::rows),
    ("compile", compile::rows),
];

const OURS: &str = "strata-cache";

/// Calls that hits are drawn from: they fit into the processor's caches, so that it is code that is compared.
const CALLS: usize = 1_000;

/// Makes a cache large enough for all functions the one that ours use; the first time only.
fn installed() {
    let cache = Cache::builder().capacity(20 * functions::MOST as u64).build();
    // A second time it is there already.
    let _ = install(cache.expect("the options are valid"));
}

fn number(call: u64) -> u64 {
    mix(call)
}

/// 24 bytes.
fn text(call: u64) -> String {
    format!("key:{:020}", mix(call))
}

/// 10 orgs × 10 users × 10 numbers, with ids of four and six digits.
fn of_user(call: u64) -> (u64, u64, u64) {
    (7_000 + call / 100, 420_000 + call / 10 % 10, call % 10)
}

/// A row judged by ours ÷ rival.
fn ratio(
    row: String,
    [ours, rival]: [f64; 2],
    name: &'static str,
    bound: Option<f64>,
    unit: &'static str,
) -> Row {
    let rival = Some((name, rival));
    Row { row, ours, rival, judged: Judged::Ratio, commit: bound, goal: None, unit }
}

/// A row judged by our own figure.
fn absolute(
    row: &str,
    ours: f64,
    rival: Option<(&'static str, f64)>,
    bound: Option<f64>,
    unit: &'static str,
) -> Row {
    Row { row: row.into(), ours, rival, judged: Judged::Small, commit: bound, goal: None, unit }
}
