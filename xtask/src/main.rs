//! Project tasks: `cargo xtask <task>`. The table below is the help text and the dispatch.
//!
//! Each task prints the commands it runs; the first that fails is named and makes the exit code 1. What a task
//! leaves out because a tool is absent is said in a line that starts with `skipped`.

use std::process::ExitCode;

mod arrows;
mod files;
mod machine_paths;
mod msrv;
mod readme;
mod run;
mod tasks;

use run::Outcome;

type Task = fn(&[String]) -> Outcome;

const TASKS: &[(&str, &str, Task)] = &[
    ("check", "format, clippy, arrows, machine paths, minimum Rust, dependencies", tasks::check),
    ("test", "install what the tests need, then run every test of every crate", tasks::test),
    ("model", "explore interleavings with shuttle and loom; Miri where it is installed", tasks::model),
    ("docs", "rustdoc with warnings denied", tasks::docs),
    ("bench", "every benchmark; arguments go to the benchmarks", tasks::bench),
    ("compare", "strata-cache and its rivals, measured; arguments go to the comparison", tasks::compare),
    ("readme", "compile and run the README's code in a crate of its own", readme::task),
    ("examples", "run every example in release", tasks::examples),
    ("soak", "ten minutes of everything at once, checked each second; `--minutes N`", tasks::soak),
    ("arrows", "imports point down only", arrows::task),
    ("paths", "no file names a path of somebody's machine", machine_paths::task),
    ("msrv", "the minimum Rust version is the same wherever it is written", msrv::task),
    ("deny", "licences, banned crates, sources, advisories; `--ci` installs cargo-deny", tasks::deny),
];

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_default();
    let rest: Vec<String> = arguments.collect();
    let Some((_, _, task)) = TASKS.iter().find(|(task, ..)| *task == name) else {
        eprintln!("usage: cargo xtask <task>\n");
        for (task, does, _) in TASKS {
            eprintln!("  {task:<9} {does}");
        }
        return ExitCode::from(2);
    };
    match task(&rest) {
        Ok(()) => {
            eprintln!("xtask {name}: ok");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("xtask {name}: FAILED: {failure}");
            ExitCode::FAILURE
        }
    }
}
