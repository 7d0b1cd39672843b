//! What was asked for on the command line, and what has been found so far.

use std::path::PathBuf;

use crate::measure::Result;
use crate::plot::{Counts, Timeline};
use crate::report::{Judged, Row, short, spread};

/// The command line, and the rows.
#[derive(Default)]
pub struct Run {
    pub quick: bool,
    pub json: bool,
    /// Whether the rows are those of `isolation`, and only those.
    pub tenants: bool,
    /// Whether the rows are those of `macros`, and only those.
    pub macros: bool,
    /// Whether those of compile time are among them.
    pub compile: bool,
    /// Whether the rows are those of `outage`, and only those.
    pub outage: bool,
    /// Whether the rows are those of `loads`, and only those.
    pub loads: bool,
    only: Vec<String>,
    pub traces: Option<PathBuf>,
    pub svg: Option<PathBuf>,
    pub rows: Vec<Row>,
    /// Nanoseconds an operation by contender, for one and for two threads: u64, zipf.
    pub by_threads: Vec<(&'static str, [f64; 2])>,
    /// For each contender (milliseconds since a tenant was dropped, p99 of the gets in that millisecond).
    pub while_dropped: Vec<(&'static str, Vec<(f64, f64)>)>,
    /// Figures over time, each for a plot of its own.
    pub timelines: Vec<Timeline>,
    /// Counts over time, each for a plot of its own.
    pub counts: Vec<Counts>,
}

impl Run {
    /// Reads the arguments.
    ///
    /// # Errors
    /// A sentence about the argument that is not understood.
    pub fn parse(arguments: impl Iterator<Item = String>) -> std::result::Result<Self, String> {
        let mut run =
            Self { traces: std::env::var_os("STRATA_TRACES").map(PathBuf::from), ..Self::default() };
        let mut arguments = arguments;
        while let Some(argument) = arguments.next() {
            let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
            match argument.as_str() {
                "--quick" => run.quick = true,
                "--json" => run.json = true,
                "--tenants" => run.tenants = true,
                "--macros" => run.macros = true,
                "--compile" => run.compile = true,
                "--outage" => run.outage = true,
                "--loads" => run.loads = true,
                "--row" => run.only.push(value()?),
                "--traces" => run.traces = Some(value()?.into()),
                "--svg" => run.svg = Some(value()?.into()),
                _ => {
                    return Err(format!(
                        "`{argument}` is none of --quick, --json, --tenants, --macros, --compile, --outage, --loads, --row PREFIX, --traces DIR, --svg DIR"
                    ));
                }
            }
        }
        Ok(run)
    }

    /// Whether this row is to be measured: `--row` gives the beginnings of names; a name that itself is the
    /// beginning of a wanted one is wanted too.
    pub fn wants(&self, row: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|only| row.starts_with(only.as_str()))
    }

    pub fn wants_any(&self, rows: &[&str]) -> bool {
        rows.iter().any(|row| self.wants(row))
    }

    /// `full`, or `quick` with `--quick`.
    pub fn either<T>(&self, quick: T, full: T) -> T {
        if self.quick { quick } else { full }
    }

    /// moka and foyer with `--quick`: they take longest and decide nothing, so they stay out.
    pub fn unless_quick<C>(&self, make: impl FnOnce() -> C) -> Option<C> {
        (!self.quick).then(make)
    }

    /// A line for whoever watches.
    pub fn note(&self, line: impl AsRef<str>) {
        eprintln!("{}", line.as_ref());
    }

    /// A row is done.
    pub fn add(&mut self, row: Row) {
        if !self.wants(&row.row) {
            return;
        }
        if self.json {
            println!("{}", row.json());
        }
        eprintln!("  {}", row.line());
        self.rows.push(row);
    }

    /// A row judged by ours ÷ the rival that matters; all contenders go to the log. `bounds`: commit, goal.
    pub fn compare(
        &mut self,
        row: &str,
        results: &[Result],
        rival: Result,
        bounds: (Option<f64>, Option<f64>),
    ) {
        if !self.wants(row) {
            return;
        }
        self.note(format!("{row}\n{}", spread(results)));
        let ours = results[0].figures.median;
        let rival = Some((rival.name, rival.figures.median));
        let (commit, goal) = bounds;
        self.add(Row { row: row.into(), ours, rival, judged: Judged::Ratio, commit, goal, unit: "ns" });
    }

    /// Says what a contender holds, and how much of what it may.
    pub fn resident(&self, name: &str, held: usize, of: usize) {
        self.note(format!(
            "    {name:<14} holds {held} of {of} ({} %)",
            short(held as f64 / of as f64 * 100.0)
        ));
    }
}

/// The result of this name.
pub fn named(results: &[Result], name: &str) -> Result {
    *results.iter().find(|result| result.name == name).expect("the contender took part")
}

/// The rival with the best median, of those that evict.
pub fn best(results: &[Result]) -> Result {
    let rivals = results[1..].iter().filter(|result| result.name != "papaya");
    *rivals.min_by(|a, b| a.figures.median.total_cmp(&b.figures.median)).expect("there is a rival")
}
