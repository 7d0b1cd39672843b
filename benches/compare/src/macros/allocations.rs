//! How often does a hit of a cached function allocate? Ours never. It is counted in all threads, of which one does maintenance now and
//! then, so of several counts the least is told; `tests/allocations.rs` counts in one thread, and exactly.

use std::hint::black_box;

use super::functions::{lru, ours};
use super::{absolute, of_user};
use crate::alloc::Count;
use crate::calls::ready;
use crate::run::Run;

const HITS: u64 = 10_000;

pub fn rows(run: &mut Run) {
    super::installed();
    let text = super::text(0);
    let numbers = [1_u32, 2, 3];
    let (org, user, n) = of_user(111);
    let text = text.as_str();
    row(run, "u64", || ours::number(7), || lru::number(7));
    row(run, "text", || ours::text(text), || lru::text(text));
    row(run, "slice", || ours::slice(&numbers), || lru::slice(&numbers));
    row(run, "optional", || ours::optional(Some(text)), || lru::optional(Some(text)));
    row(run, "user", || ours::of_user(org, user, n), || lru::of_user(org, user, n));
    row(run, "async", || ready(ours::awaited(7)), || ready(lru::awaited(7)));
}

fn row<V>(run: &mut Run, kind: &str, one: impl Fn() -> V, other: impl Fn() -> V) {
    let row = format!("macro-allocations-{kind}");
    if run.wants(&row) {
        let (ours, theirs) = (of_one(one), of_one(other));
        run.add(absolute(&row, ours, Some(("cached", theirs)), Some(0.0), "a hit"));
    }
}

/// Allocations of one call that was made before.
fn of_one<V>(call: impl Fn() -> V) -> f64 {
    (0..3).for_each(|_| drop(black_box(call())));
    let count = || {
        let count = Count::start();
        (0..HITS).for_each(|_| drop(black_box(call())));
        count.allocations() / HITS as f64
    };
    (0..5).map(|_| count()).fold(f64::INFINITY, f64::min)
}
