//! How many instructions is a hit? u64 → u64, resolved scope, ttl and counting included.
//!
//! (1) This program runs itself under callgrind, or `perf stat` where valgrind is absent, for two numbers of hits; the
//! difference ÷ the difference of hits is free of start and set-up. (2) The hidden arguments `hits CONTENDER COUNT` are
//! that run.

use std::hint::black_box;
use std::process::Command;
use std::time::Duration;

use crate::contenders::{Contender, Quick, Strata};
use crate::draw::{Rng, mix};
use crate::report::{Judged, Row, short};
use crate::run::Run;

const ENTRIES: usize = 10_000;
const FEW: u64 = 20_000;
const MANY: u64 = 220_000;

/// How long the program rests between its set-up and what is counted.
const SETTLE: Duration = Duration::from_millis(30);

pub fn rows(run: &mut Run) {
    let row = "instructions-u64-hit";
    if !run.wants(row) {
        return;
    }
    let [ours, quick] = ["strata-cache", "quick_cache"].map(of_one);
    let Some(ours) = ours else {
        return run.note(format!("{row}: skipped: no valgrind, and no perf that counts instructions"));
    };
    run.note(format!("{row}: strata-cache {}, quick_cache {}", short(ours), quick.map_or("-".into(), short)));
    run.add(Row {
        row: row.into(),
        ours,
        rival: quick.map(|quick| ("quick_cache", quick)),
        judged: Judged::Small,
        commit: Some(110.0),
        goal: Some(95.0),
        unit: "instr",
    });
}

/// The run that is counted, if these are its arguments.
pub fn is_counted_run(arguments: &[String]) -> bool {
    let [word, contender, count] = arguments else { return false };
    let (true, Ok(count)) = (word == "hits", count.parse()) else { return false };
    match contender.as_str() {
        "strata-cache" => hits::<Strata<u64, u64>>(count),
        _ => hits::<Quick<u64, u64>>(count),
    }
    true
}

fn hits<C: Contender<u64, u64>>(count: u64) {
    let cache = C::with_capacity(ENTRIES);
    (0..ENTRIES as u64).for_each(|key| cache.insert(mix(key), key));
    // Drawn before, so that drawing is in both runs alike; a power of two, so that walking around is one instruction.
    let mut rng = Rng::new(81);
    let drawn = std::iter::repeat_with(|| mix(rng.below(ENTRIES) as u64));
    let keys: Vec<u64> = drawn.filter(|key| cache.get(key).is_some()).take(1 << 14).collect();
    // The thread that tells the time starts with the first hits and has to get the processor before it is of use.
    std::thread::sleep(SETTLE);
    for turn in 0..count {
        black_box(cache.get(&keys[turn as usize & (keys.len() - 1)]));
    }
}

fn of_one(contender: &str) -> Option<f64> {
    let count = |hits: u64| counted(&["hits", contender, &hits.to_string()]);
    let (few, many) = (count(FEW)?, count(MANY)?);
    Some((many - few) / (MANY - FEW) as f64)
}

const VALGRIND: [&str; 4] =
    ["valgrind", "--fair-sched=yes", "--tool=callgrind", "--callgrind-out-file=/dev/null"];

/// Instructions of a whole run of this program with these arguments.
fn counted(arguments: &[&str]) -> Option<f64> {
    let perf = ["perf", "stat", "-x,", "-e", "instructions:u"];
    collected(&VALGRIND, arguments).or_else(|| collected(&perf, arguments))
}

/// Those of functions of this name, with all they call; only callgrind can tell.
pub fn counted_in(function: &str, arguments: &[&str]) -> Option<f64> {
    let toggle = format!("--toggle-collect={function}");
    collected(&[&VALGRIND[..], &[&toggle]].concat(), arguments)
}

fn collected(command: &[&str], arguments: &[&str]) -> Option<f64> {
    let program = std::env::current_exe().ok()?;
    let output = Command::new(command[0])
        .args(&command[1..])
        .arg(&program)
        .args(arguments)
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    let log = String::from_utf8_lossy(&output.stderr);
    log.lines().find_map(|line| {
        let callgrind = line.split("Collected : ").nth(1).and_then(|count| count.split(' ').next());
        let perf = line.contains("instructions:u").then(|| line.split(',').next()).flatten();
        callgrind.or(perf)?.trim().parse().ok()
    })
}
