//! What does a crate of 100 cached functions cost to build, and how large does it get? Ours, cached's, and without any caching.
//!
//! (1) `source` writes the three crates; they differ in attributes only, and each `main` calls all functions. (2) They stand in a
//! workspace in the system's temporary folder, with this crate's lock file, and are built by the default release profile;
//! dependencies are built before, and not counted. (3) Every round touches and builds each of them, in turn. (4) Seconds are those of the
//! wall, and those of processors that cargo and its compilers took. (5) Size is that of the section `.text` of the program,
//! standard library and dependencies included; rows `-floor` stand beside what is left without any caching.

mod source;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;
use std::{fs, io};

use object::{Object, ObjectSection};

use super::{OURS, ratio};
use crate::measure::{Result, case, interleave};
use crate::report::spread;
use crate::run::{Run, named};
use source::Crate;

const CACHED: &str = "cached";
const FLOOR: &str = "no caching";

const CRATES: [(&str, Crate); 3] =
    [(OURS, source::OURS), (CACHED, source::CACHED), (FLOOR, source::UNCACHED)];

/// What is compared with cached's, and its unit; `-floor` stands beside no caching.
const ROWS: [(&str, &str); 3] = [("compile-seconds", "s"), ("compile-cpu", "s"), ("compile-text", "kB")];

pub fn rows(run: &mut Run) {
    let wanted = |(row, _): &(&str, _)| run.wants(row) || run.wants(&format!("{row}-floor"));
    if !run.compile || !ROWS.iter().any(wanted) {
        return;
    }
    let folder = std::env::temp_dir().join(format!("strata-cache-compile-{}", std::process::id()));
    if let Err(error) = build_all(run, &folder) {
        run.note(format!("compile: skipped: {error}"));
    }
    let _ = fs::remove_dir_all(&folder);
}

fn build_all(run: &mut Run, folder: &Path) -> io::Result<()> {
    source::write(folder, &CRATES.map(|(_, krate)| krate))?;
    for (name, krate) in CRATES {
        run.note(format!("compile: {name}: dependencies"));
        build(folder, krate)?;
    }
    let rounds = run.either(1, 3);
    let mut processor: [Vec<f64>; 3] = Default::default();
    let cases = CRATES.iter().zip(&mut processor).map(|((name, krate), processor)| {
        case(name, move |round| {
            let (wall, cpu) =
                rebuild(folder, *krate, round).expect("what was built before can be built again");
            processor.push(cpu);
            wall
        })
    });
    let wall = interleave(rounds, cases.collect());
    let of = |(samples, (name, _)): (&Vec<f64>, &(&'static str, Crate))| Result {
        name,
        figures: crate::stats::Figures::of(samples),
    };
    let processor: Vec<Result> = processor.iter().zip(&CRATES).map(of).collect();
    let sizes: io::Result<Vec<f64>> =
        CRATES.iter().map(|(_, krate)| text(&program(folder, *krate))).collect();
    let sizes = sizes?;
    let seconds = [wall, processor].map(|results| {
        run.note(spread(&results));
        CRATES.map(|(name, _)| named(&results, name).figures.median)
    });
    let figures = [seconds[0], seconds[1], [sizes[0], sizes[1], sizes[2]]];
    for ((row, unit), [ours, cached, floor]) in ROWS.into_iter().zip(figures) {
        run.add(ratio(row.into(), [ours, cached], CACHED, None, unit));
        run.add(ratio(format!("{row}-floor"), [ours, floor], FLOOR, None, unit));
    }
    Ok(())
}

/// Builds what was changed, and gives seconds of the wall and of processors.
fn rebuild(folder: &Path, krate: Crate, round: usize) -> io::Result<(f64, f64)> {
    source::touch(folder, krate, round)?;
    let (start, before) = (Instant::now(), processor_of_children());
    build(folder, krate)?;
    Ok((start.elapsed().as_secs_f64(), processor_of_children() - before))
}

fn build(folder: &Path, krate: Crate) -> io::Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["build", "--release", "--offline", "--quiet", "--package", krate.name])
        .current_dir(folder)
        .env("CARGO_TARGET_DIR", folder.join("target"))
        .output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()))
}

fn program(folder: &Path, krate: Crate) -> PathBuf {
    folder.join("target/release").join(format!("{}{}", krate.name, std::env::consts::EXE_SUFFIX))
}

/// Kilobytes of a program's code.
fn text(program: &Path) -> io::Result<f64> {
    let bytes = fs::read(program)?;
    let file = object::File::parse(&*bytes).map_err(io::Error::other)?;
    let section = file.section_by_name(".text").ok_or_else(|| io::Error::other("a program without code"))?;
    Ok(section.size() as f64 / 1e3)
}

/// Seconds that ended children took of processors, theirs included; `NaN` where the system does not say.
fn processor_of_children() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name, in brackets, may have spaces; of what follows, the 14th and 15th are ticks of 10 ms.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let ticks = fields.split_whitespace().skip(13).take(2).map(str::parse::<f64>);
    ticks.collect::<std::result::Result<Vec<_>, _>>().map_or(f64::NAN, |ticks| match ticks[..] {
        [user, system] => (user + system) / 100.0,
        _ => f64::NAN,
    })
}
