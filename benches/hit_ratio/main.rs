//! Which policy keeps what is wanted again? Hit ratios of all policies, at several sizes, on traces of one's own or on
//! made-up ones, with the best that can be done with knowledge of the future (OPT) beside them.
//!
//! `cargo bench --bench hit_ratio -- [--svg FILE] [--shards N] [TRACE ...]`, where a trace is `path`, `path:500,2500` or
//! `name=path:500,2500`: u64 little-endian (`.bin`, anything unknown), such a file under `.xz` (the program `xz` unpacks
//! it), or text (`.csv`, `.txt`), one key a line, in the first column. Without sizes, eight parts of the number of keys.
#![allow(clippy::print_stdout, reason = "a benchmark talks to its user")]

mod chart;
mod optimal;
mod synthetic;
mod trace;

use std::process::ExitCode;

use strata_cache::policy::{Policy, Simulation};
use trace::Trace;

/// Hit ratios, in percent, of one policy at the sizes of a trace.
struct Curve {
    name: String,
    points: Vec<f64>,
}

struct Options {
    svg: Option<String>,
    shards: usize,
    traces: Vec<Trace>,
}

fn main() -> ExitCode {
    let options = match options() {
        Ok(options) => options,
        Err(message) => {
            eprintln!("{message}");
            return ExitCode::FAILURE;
        }
    };
    let mut charts = Vec::new();
    let mut cells: Vec<Vec<f64>> = vec![Vec::new(); Policy::BUILT_IN.len() + 1];
    for trace in &options.traces {
        let curves = curves(trace, options.shards);
        print(trace, &curves);
        for (all, curve) in cells.iter_mut().zip(&curves) {
            all.extend(&curve.points);
        }
        charts.push(chart::Chart {
            title: trace.name.clone(),
            sizes: trace.sizes.clone(),
            curves: curves.into_iter().map(|curve| (curve.name, curve.points)).collect(),
        });
    }
    let means = cells.iter().map(|cells| cells.iter().sum::<f64>() / cells.len().max(1) as f64);
    println!("| **mean of {} cells** | |{} |", cells[0].len(), row(means));
    match options.svg.map(|path| std::fs::write(path, chart::page(&charts))) {
        Some(Err(error)) => {
            eprintln!("cannot write the chart: {error}");
            ExitCode::FAILURE
        }
        _ => ExitCode::SUCCESS,
    }
}

/// What the command line asks for. Cargo adds `--bench`.
fn options() -> Result<Options, String> {
    let mut options = Options { svg: None, shards: 1, traces: Vec::new() };
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a value"));
        match argument.as_str() {
            "--svg" => options.svg = Some(value()?),
            "--shards" => options.shards = value()?.parse().map_err(|_| "--shards needs a number")?,
            other if other.starts_with("--") => return Err(format!("unknown option {other}")),
            _ => options.traces.push(Trace::read(&argument)?),
        }
    }
    if options.traces.is_empty() {
        options.traces = synthetic::all();
    }
    Ok(options)
}

/// OPT and every policy at every size, two simulations at a time.
fn curves(trace: &Trace, shards: usize) -> Vec<Curve> {
    let jobs: Vec<(Option<Policy>, usize)> = std::iter::once(None)
        .chain(Policy::BUILT_IN.map(Some))
        .flat_map(|policy| trace.sizes.iter().map(move |size| (policy.clone(), *size)))
        .collect();
    let run = |(policy, size): &(Option<Policy>, usize)| match policy {
        None => optimal::hit_ratio(&trace.keys, *size),
        Some(policy) => simulated(policy, *size, shards, &trace.keys),
    };
    let next = std::sync::atomic::AtomicUsize::new(0);
    let mut ratios = vec![0.0; jobs.len()];
    std::thread::scope(|scope| {
        let work = || {
            let mut done = Vec::new();
            loop {
                let at = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
                let Some(job) = jobs.get(at) else { return done };
                done.push((at, 100.0 * run(job)));
            }
        };
        for worker in [scope.spawn(work), scope.spawn(work)] {
            for (at, ratio) in worker.join().expect("a simulation does not panic") {
                ratios[at] = ratio;
            }
        }
    });
    let names = std::iter::once("OPT".to_owned()).chain(Policy::BUILT_IN.iter().map(ToString::to_string));
    let points = ratios.chunks(trace.sizes.len().max(1));
    names.zip(points).map(|(name, points)| Curve { name, points: points.to_vec() }).collect()
}

/// Caches are split into shards where each keeps 512 entries or more, as the memory engine splits them.
fn simulated(policy: &Policy, size: usize, shards: usize, keys: &[u64]) -> f64 {
    let shards = shards.min(size / 512).max(1);
    let mut simulation = Simulation::sharded(policy, size, 1 << shards.ilog2());
    for key in keys {
        simulation.access(*key);
    }
    simulation.hit_ratio()
}

fn print(trace: &Trace, curves: &[Curve]) {
    let names: Vec<&str> = curves.iter().map(|curve| curve.name.as_str()).collect();
    println!("\n{}: {} requests, {} keys\n", trace.name, trace.keys.len(), trace.distinct());
    println!("| trace | entries | {} |\n|---|---:|{}", names.join(" | "), "---:|".repeat(names.len()));
    for (at, size) in trace.sizes.iter().enumerate() {
        println!("| {} | {size} |{} |", trace.name, row(curves.iter().map(|curve| curve.points[at])));
    }
}

fn row(ratios: impl Iterator<Item = f64>) -> String {
    ratios.map(|ratio| format!(" {ratio:.2}")).collect::<Vec<_>>().join(" |")
}
