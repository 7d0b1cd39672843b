//! What is a reserve worth to others while its owner does not need it, and how soon does the owner have it back?
//!
//! (1) A and B each have a reserve of half the cache. A reads as many keys as its reserve holds, B four times as many,
//! both zipf 0.7. B always reads; A reads in every other phase, as often as B. (2) At the end of a phase in which A
//! reads, A is evicted: its users have left. In `lent-kept-…` it is not, so that what it holds stays within its reserve,
//! and is not lent. (3) A begins each phase with one pass over its keys. It is back when it holds all of them, looked at
//! after each hundredth of a pass. (4) Beside: two caches of half the size, and one of the whole without budgets, with
//! the same reads and evictions.

use strata_cache::{Budget, Cache, scope};

use super::{Ours, Shared, percent};
use crate::draw::{Draw, Rng};
use crate::plot::Timeline;
use crate::report::{Judged, Row, short};
use crate::run::Run;

const CAPACITY: u64 = 20_000;
const HALF: u64 = CAPACITY / 2;
const PHASES: u64 = 8;
/// Points of the plot in a phase.
const POINTS: u64 = 20;

pub fn rows(run: &mut Run) {
    pattern(run, "lent", true);
    pattern(run, "lent-kept", false);
}

fn pattern(run: &mut Run, name: &str, leaves: bool) {
    let row = |what: &str| format!("{name}-{what}");
    let rows = ["total", "idle", "back"].map(row);
    if !rows.iter().any(|row| run.wants(row)) {
        return;
    }
    let reads = run.either(100_000, 400_000);
    let goes = if leaves { "A is evicted when it goes" } else { "A keeps what it holds when it goes" };
    run.note(format!("{name} ...: capacity {CAPACITY}, {PHASES} phases of {reads} reads; {goes}"));
    let reserved = Cache::builder().capacity(CAPACITY).budget("org", Budget::unbounded().reserve("50%"));
    let lent = Ours::new("strata-cache", reserved, 2);
    let halves = [(); 2].map(|()| Ours::new("partitions", Cache::builder().capacity(HALF), 2));
    let shared = Ours::new("no budgets", Cache::builder().capacity(CAPACITY), 2);
    let [lent, halves, shared] = [[&lent, &lent], [&halves[0], &halves[1]], [&shared, &shared]]
        .map(|pair| Outcome::of(pair, reads, leaves));
    for (name, outcome) in [("strata-cache", &lent), ("partitions", &halves), ("no budgets", &shared)] {
        run.note(format!(
            "    {name:<14} {} % hit, {} % of B's reads while A is idle; A is back after {} passes",
            short(outcome.total),
            short(outcome.idle),
            short(outcome.back),
        ));
    }
    // Below the shared cache by at most a point; above partitions by half of what the shared one is above them, at least.
    let fall = shared.total - lent.total;
    let judged = |row: &str, ours, rival, judged, commit, unit| Row {
        row: row.into(),
        ours,
        rival: Some(rival),
        judged,
        commit: Some(commit),
        goal: None,
        unit,
    };
    let [total, idle, back] = &rows;
    run.note(format!("    {} points below the shared cache in all", short(fall)));
    let least = shared.total - 1.0;
    run.add(judged(total, lent.total, ("no budgets", shared.total), Judged::Large, least, "%"));
    let least = (halves.idle + shared.idle) / 2.0;
    run.add(judged(idle, lent.idle, ("partitions", halves.idle), Judged::Large, least, "%"));
    run.add(judged(back, lent.back, ("no budgets", shared.back), Judged::Small, 1.0, "passes"));
    if leaves {
        let points = |line: Vec<f64>| (0..).map(f64::from).zip(line).collect();
        run.timelines.push(Timeline {
            file: "lent-reserve.svg",
            title: "Hit ratio of A and B together; A, with half of the cache reserved, comes and goes",
            across: format!("time, {POINTS} points a phase; A reads in the first phase, the third and so on"),
            marks: (1..PHASES).map(|phase| (phase * POINTS) as f64).collect(),
            lines: vec![
                ("lent (budgets)", points(lent.line)),
                ("partitions", points(halves.line)),
                ("no budgets", points(shared.line)),
            ],
        });
    }
}

/// What one way of sharing comes to; ratios in %.
struct Outcome {
    total: f64,
    /// Of B, while A is idle.
    idle: f64,
    /// Passes of A until it holds all it reads, at worst of its returns.
    back: f64,
    line: Vec<f64>,
}

impl Outcome {
    /// `caches`: A's and B's, which may be one.
    fn of(caches: [&Ours; 2], reads: u64, leaves: bool) -> Self {
        let [a, b] = caches;
        let (draw_a, draw_b) = (Draw::zipf(HALF as usize, 0.7), Draw::zipf(4 * HALF as usize, 0.7));
        let mut rng = Rng::new(93);
        let (mut total, mut idle, mut back, mut line) = ([0; 2], [0; 2], 0.0_f64, Vec::new());
        let add = |counts: &mut [u64; 2], hit: bool| {
            counts[0] += u64::from(hit);
            counts[1] += 1;
        };
        for phase in 0..PHASES {
            let is_active = phase % 2 == 0;
            let mut returned = None;
            for point in 0..POINTS {
                let mut here = [0; 2];
                for read in 0..reads / POINTS {
                    let turn = point * (reads / POINTS) + read;
                    if is_active {
                        let drawn = draw_a.next(&mut rng) as u64;
                        add(&mut here, a.read(0, if turn < HALF { turn } else { drawn }));
                        if returned.is_none() && (turn + 1).is_multiple_of(HALF / 100) && a.held(1)[0] == HALF
                        {
                            returned = Some((turn + 1) as f64 / HALF as f64);
                        }
                    }
                    let hit = b.read(1, draw_b.next(&mut rng) as u64);
                    add(&mut here, hit);
                    if !is_active {
                        add(&mut idle, hit);
                    }
                }
                total = [total[0] + here[0], total[1] + here[1]];
                line.push(percent(here[0], here[1]));
            }
            // The first time is a beginning and no return.
            if is_active && phase > 0 {
                back = back.max(returned.unwrap_or(f64::INFINITY));
            }
            if is_active && leaves {
                let gone = a.cache.evict_by_scope(scope!(org = 0_u64)).wait();
                gone.expect("the path is valid");
            }
        }
        Self { total: percent(total[0], total[1]), idle: percent(idle[0], idle[1]), back, line }
    }
}
