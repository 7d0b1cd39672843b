//! The report: numbered acts, figures in columns, written for people.

use std::time::Duration;

use strata_cache::{ScopeReport, Stats};

use crate::data::Rows;
use crate::database::Database;
use crate::traffic::{Served, TASKS, THREADS, WRITERS};
use crate::truth::Verdict;

/// Opens an act: its number, name and one line.
pub(crate) fn act(number: u32, name: &str, line: &str) {
    println!("\n{number}  {name:<13} {line}");
}

/// A line of an act.
pub(crate) fn line(name: &str, line: &str) {
    println!("     {name:<11} {line}");
}

/// What was made.
pub(crate) fn database(orgs: u32, rows: Rows, took: Duration) {
    let Rows { users, preferences, orders, permissions } = rows;
    act(1, "database", &format!("SQLite {} in WAL mode, made in {}", rusqlite::version(), time(took)));
    line(
        "rows",
        &format!(
            "{orgs} organisations · {} users · {} preferences · {} orders · {} permissions",
            count(users),
            count(preferences),
            count(orders),
            count(permissions)
        ),
    );
}

/// What was served, and how fast.
pub(crate) fn traffic(served: &Served, database: &Database) {
    let (requests, queries) = (served.requests, database.queries());
    act(
        2,
        "traffic",
        &format!(
            "{} requests from {THREADS} threads and {TASKS} tasks in {}, {} updates by {WRITERS} writers beside them",
            count(requests),
            time(served.took),
            count(served.writes)
        ),
    );
    line(
        "SQL run",
        &format!(
            "{} queries for {} requests: one in {:.1}",
            count(queries),
            count(requests),
            requests as f64 / queries.max(1) as f64
        ),
    );
    line("latency", "     p50       p99");
    for (name, times) in [("hit", &served.hits), ("load", &served.loads), ("SQL alone", database.times())] {
        let (half, most) = (time(times.quantile(0.5)), time(times.quantile(0.99)));
        line(&format!("  {name}"), &format!("{half:>8}  {most:>8}   of {}", count(times.len())));
    }
}

/// What the truth checker found.
pub(crate) fn verdict(verdict: &Verdict) {
    line(
        "truth",
        &format!(
            "{} answers checked: {} foreign, {} stale, {} wrong",
            count(verdict.checked),
            count(verdict.foreign),
            count(verdict.stale),
            count(verdict.wrong)
        ),
    );
    for example in &verdict.examples {
        line("", example);
    }
}

/// How often the busiest organisations were served from memory.
pub(crate) fn tenants(total: f64, busiest: &[(u32, ScopeReport)]) {
    line("hit ratio", &format!("{:>7}   in total", percent(total)));
    for (org, stats) in busiest {
        let (ratio, lookups) = (percent(stats.hit_ratio()), count(stats.hits + stats.misses));
        line("", &format!("{ratio:>7}   org {org}: {lookups} lookups, {} entries", count(stats.entries)));
    }
}

/// The cache's own books.
pub(crate) fn stats(stats: &Stats) {
    let Stats { hits, misses, loads, coalesced_waits, refused_detached, entries, scopes, flights, .. } =
        *stats;
    let Stats { inserts, evicted, invalidated, removed, expired, replaced, .. } = *stats;
    act(
        8,
        "books",
        &format!("{} lookups = {} hits + {} misses", count(stats.lookups()), count(hits), count(misses)),
    );
    line(
        "loads",
        &format!(
            "{} = SQL run; {} waited for another's, {} came too late to be stored",
            count(loads),
            count(coalesced_waits),
            count(refused_detached)
        ),
    );
    line(
        "entries",
        &format!(
            "{} inserted = {} here + {} evicted + {} invalidated + {} removed + {} expired; {} replaced",
            count(inserts),
            count(entries),
            count(evicted),
            count(invalidated),
            count(removed),
            count(expired),
            count(replaced)
        ),
    );
    line("now", &format!("{} scopes, {flights} loads running", count(scopes)));
}

/// A number with its thousands apart.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev();
    let groups: Vec<String> = groups.map(|group| String::from_utf8_lossy(group).into_owned()).collect();
    groups.join(",")
}

/// A share in percent.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// A time with the unit that suits it.
pub(crate) fn time(time: Duration) -> String {
    match time.as_nanos() as f64 {
        nanos if nanos < 1e3 => format!("{nanos:.0} ns"),
        nanos if nanos < 1e6 => format!("{:.1} µs", nanos / 1e3),
        nanos if nanos < 1e9 => format!("{:.1} ms", nanos / 1e6),
        nanos => format!("{:.1} s", nanos / 1e9),
    }
}
