//! How many instructions is a hit of a cached function, the loop's few included?
//!
//! (1) Callgrind counts them, in one function of a run of this program; the hidden arguments are `macro KIND CONTENDER COUNT`.
//! (2) A locked instruction counts as one, and so do those of a miss of the processor's caches: they tell what changed in the code,
//! not which contender is faster, so nothing is judged.

use std::hint::black_box;
use std::time::Duration;

use super::functions::{by_hand, lru, ours, sharded};
use super::{CALLS, OURS, number, of_user, ratio, text};
use crate::calls::ready;
use crate::draw::Rng;
use crate::instructions::counted_in;
use crate::run::Run;

const COUNT: usize = 100_000;

/// How long the program rests between its set-up and what is counted: the thread that tells the time has to start.
const SETTLE: Duration = Duration::from_millis(30);

/// Kinds of calls, and the rival of each.
const KINDS: [(&str, &str); 6] = [
    ("u64", "cached"),
    ("ttl", "cached"),
    ("text", "cached"),
    ("bytes", "cached"),
    ("user", "cached"),
    ("async", "cached sharded"),
];

pub fn rows(run: &mut Run) {
    for (kind, rival) in KINDS {
        let row = format!("macro-instr-{kind}");
        if !run.wants(&row) {
            continue;
        }
        let of_one = |contender: &str| {
            let arguments = ["macro", kind, contender, &COUNT.to_string()];
            Some(counted_in("*counted_part*", &arguments)? / COUNT as f64)
        };
        let (Some(ours), Some(theirs)) = (of_one(OURS), of_one(rival)) else {
            return run.note(format!("{row}: skipped: nothing here counts instructions"));
        };
        run.add(ratio(row, [ours, theirs], rival, None, "instr"));
    }
}

/// The run that is counted, if these are its arguments.
pub fn is_counted_run(arguments: &[String]) -> bool {
    let [word, kind, contender, count] = arguments else { return false };
    let (true, Ok(count)) = (word == "macro", count.parse()) else { return false };
    super::installed();
    let texts: Vec<String> = (0..CALLS as u64).map(text).collect();
    let (numbers, users) = (|call: u64| number(call), |call: u64| of_user(call));
    let texts = |call: u64| texts[call as usize].as_str();
    match (kind.as_str(), contender.as_str()) {
        ("u64", OURS) => counted(count, numbers, ours::number),
        ("u64", "quick_cache") => counted(count, numbers, by_hand::number),
        ("u64", _) => counted(count, numbers, lru::number),
        ("ttl", OURS) => counted(count, numbers, ours::timed),
        ("ttl", _) => counted(count, numbers, lru::timed),
        ("text", OURS) => counted(count, texts, ours::text),
        ("text", "quick_cache") => counted(count, texts, by_hand::text),
        ("text", _) => counted(count, texts, lru::text),
        ("bytes", OURS) => counted(count, numbers, ours::bytes),
        ("bytes", _) => counted(count, numbers, lru::bytes),
        ("user", OURS) => counted(count, users, |(org, user, n)| ours::of_user(org, user, n)),
        ("user", _) => counted(count, users, |(org, user, n)| lru::of_user(org, user, n)),
        ("async", OURS) => counted(count, numbers, |n| ready(ours::awaited(n))),
        ("async", _) => counted(count, numbers, |n| ready(sharded::awaited(n))),
        _ => return false,
    }
    true
}

/// Makes all calls, then as many drawn ones as are to be counted.
fn counted<K: Copy, V>(count: usize, argument: impl Fn(u64) -> K, call: impl Fn(K) -> V) {
    let keys: Vec<K> = (0..CALLS as u64).map(argument).collect();
    keys.iter().for_each(|key| drop(call(*key)));
    std::thread::sleep(SETTLE);
    let mut rng = Rng::new(73);
    let drawn: Vec<K> = (0..count).map(|_| keys[rng.below(CALLS)]).collect();
    drawn.iter().for_each(|key| drop(call(*key)));
    counted_part(&drawn, &call);
}

/// What is counted, found by its name.
#[inline(never)]
fn counted_part<K: Copy, V>(keys: &[K], call: &impl Fn(K) -> V) {
    for key in keys {
        black_box(call(black_box(*key)));
    }
}
