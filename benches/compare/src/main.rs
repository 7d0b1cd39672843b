//! strata-cache and its rivals, measured against one another in one process.
//!
//! ```text
//! cargo run --release --manifest-path benches/compare/Cargo.toml -- [--quick] [--json] [--row PREFIX]...
//!     [--traces DIR] [--svg DIR] [--tenants | --macros [--compile] | --outage | --loads]
//! ```
//!
//! Standard output gets the table, or with `--json` one object a line; standard error the machine, how many entries each
//! contender holds, each contender's median, minimum and middle half, and how long each group of rows took. `--quick`
//! runs fewer rounds, without moka and foyer where they decide nothing, in less than three minutes. `--row` runs the
//! rows whose names begin so. `--traces`, or the variable `STRATA_TRACES`, names a directory of real traces for the hit
//! ratios (`traces.rs` says which); without it synthetic ones are used, which the bounds of `hit-ratio-mean` do not
//! fit, so that row has none then. `--svg` writes plots of what was measured; without `--quick` all contenders are in.
//! `--tenants` runs the rows of `isolation` instead, which ask what tenants do to one another; `--macros` those of `macros`,
//! which ask what cached functions cost, with `--compile` also what they cost to build; `--outage` those of `outage`, which ask what
//! callers notice of a loader that is dead for a while; `--loads` those of `loads`, which ask what it costs that they do not.
//!
//! Keys of a JSON object: `row`; `ours` and `rival`, medians, in the unit below; `rival_name`; `ratio`; `commit` and
//! `goal`, bounds; `met_commit`, `met_goal`. Anything may be null but `row`: what was not measured, has no bound, or is
//! infinite (memory that never came back).
//!
//! * `get-…`, `mixed-…`, `insert-…`, `one-off-get`, `load-hit-…`: ns an operation. Bounds are for `ratio`, ours ÷ rival,
//!   which is to be at most that.
//! * Absolute rows have a null `ratio`; bounds are for `ours`, at most: `latency-get-…` ns; `instructions-u64-hit`
//!   instructions; `memory-…` bytes an entry beyond 16; `drop-tenant-unreachable` µs, `-swept` ms of processor time,
//!   `-slice` µs, `-get-p99` p99 meanwhile ÷ before; `expire-1m-back` s, `-cpu` ms; `hit-ratio-worst-cell` points below
//!   the best rival of the cell (its `rival` is that rival's own distance, 0). `hit-ratio-mean`, in %, is to be at
//!   *least* the bounds.
//!
//! How: every round runs a slice of each contender, in turn; keys are drawn before; hits and entries held are checked.
//! Read ratios, on a quiet machine; a bound is judged by medians. Rows that count memory or processor time come first,
//! while nothing else has run in the process. Each file says what its rows do.
//!
//! The crate stands outside the workspace, with a lock file of its own: its rivals are heavy, and no user builds them.

mod alloc;
mod calls;
mod contenders;
mod draw;
mod expiry;
mod hits;
mod instructions;
mod isolation;
mod latency;
mod loads;
mod macros;
mod measure;
mod memory;
mod mixed;
mod outage;
mod plot;
mod ratios;
mod report;
mod run;
mod stats;
mod tenants;
mod traces;
mod writes;

use std::process::{Command, ExitCode};
use std::time::Instant;

use run::Run;

/// Rows of one question.
type Group = (&'static str, fn(&mut Run));

const GROUPS: [Group; 10] = [
    ("memory", memory::rows),
    ("expiry", expiry::rows),
    ("tenants", tenants::rows),
    ("hits", hits::rows),
    ("latency", latency::rows),
    ("mixed", mixed::rows),
    ("writes", writes::rows),
    ("calls", calls::rows),
    ("instructions", instructions::rows),
    ("ratios", ratios::rows),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let counted = [
        instructions::is_counted_run,
        isolation::is_counted_run,
        macros::is_counted_run,
        loads::is_counted_run,
    ];
    if counted.iter().any(|is_counted_run| is_counted_run(&arguments)) {
        return ExitCode::SUCCESS;
    }
    let mut run = match Run::parse(arguments.into_iter()) {
        Ok(run) => run,
        Err(fault) => {
            eprintln!("{fault}");
            return ExitCode::from(2);
        }
    };
    run.note(machine());
    let sets = [
        (run.tenants, &isolation::GROUPS[..]),
        (run.macros, &macros::GROUPS[..]),
        (run.outage, &outage::GROUPS[..]),
        (run.loads, &loads::GROUPS[..]),
    ];
    let groups = sets.into_iter().find_map(|(is_wanted, groups)| is_wanted.then_some(groups));
    let groups = groups.unwrap_or(&GROUPS[..]);
    for (name, rows) in groups {
        let (start, before) = (Instant::now(), run.rows.len());
        rows(&mut run);
        if run.rows.len() > before {
            run.note(format!("[{name}: {:.1} s]\n", start.elapsed().as_secs_f64()));
        }
    }
    if !run.json {
        println!("{}", report::head());
        run.rows.iter().for_each(|row| println!("{}", row.line()));
    }
    if let Some(folder) = &run.svg
        && let Err(error) = plot::write(&run, folder)
    {
        eprintln!("{}: {error}", folder.display());
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Processor, cores, compiler.
fn machine() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find(|line| line.starts_with("model name"));
    let model = model.and_then(|line| line.split(": ").nth(1)).unwrap_or(std::env::consts::ARCH);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let rustc = Command::new("rustc").arg("--version").output().ok();
    let rustc =
        rustc.map_or("rustc unknown".into(), |output| String::from_utf8_lossy(&output.stdout).into_owned());
    format!("{model}, {cores} cores, {}, {}", rustc.trim(), std::env::consts::OS)
}
