//! The end of the show: the cache against the database, and its books against everybody else's.

use std::collections::HashSet;

use tokio::runtime::Runtime;

use crate::acts::{CALLERS, ensure};
use crate::database::Database;
use crate::facts::Fact;
use crate::report::{self, count};
use crate::service::{Failure, Service};
use crate::shop::Shop;
use crate::stream::{Random, Side, Stream};
use crate::truth::Truth;
use crate::writers::first_evicted;

const AUDITED: usize = 20_000;

/// The cache is compared with what the database says now, question by question.
pub(crate) fn audit(
    shop: &Shop,
    truth: &Truth,
    auditor: &Database,
    runtime: &Runtime,
    seed: u64,
) -> Result<(), Failure> {
    let (world, mut random) = (truth.world(), Random::new(seed, u64::MAX));
    let stream = Stream::new(world);
    let mut seen = HashSet::new();
    for _ in 0..AUDITED {
        let fact = stream.draw(world, &mut random, Side::Any);
        let debt = truth.debt(fact);
        let served = match fact {
            Fact::Orders { .. } => runtime.block_on(shop.answer_task(fact))?,
            _ => shop.answer(fact)?,
        };
        let _ = truth.check(fact, debt, &served);
        let row = auditor.query_for(fact)?;
        ensure(served.agrees(&row), format!("served {served:?}, but the database says {row:?}"))?;
        seen.insert(fact);
    }
    ensure(truth.verdict().is_clean(), "answers were not the truth")?;
    report::act(
        7,
        "audit",
        &format!(
            "{} answers about {} rows compared with the database itself: all agree",
            count(AUDITED as u64),
            count(seen.len() as u64)
        ),
    );
    Ok(())
}

/// Each organisation's loads must be the queries that the database has answered for it.
///
/// For those that were never evicted as a whole: a scope that is evicted and then unused for a while is forgotten
/// with its counters.
pub(crate) fn tenants(shop: &Shop, truth: &Truth, database: &Database) -> Result<(), Failure> {
    for org in 1..first_evicted(truth.world()) {
        let (loads, queries) = (shop.cache().stats_of(shop.org(org))?.loads, database.queries_of(org));
        ensure(loads == queries, format!("org {org}: {loads} loads, {queries} queries"))?;
    }
    let compared = count(u64::from(first_evicted(truth.world()) - 1));
    report::line(
        "tenants",
        &format!("the cache's loads = SQL run, for each of {compared} organisations compared"),
    );
    Ok(())
}

/// The cache's own books: they must agree with what the callers, the checker and the database have counted.
pub(crate) fn books(shop: &Shop, truth: &Truth, database: &Database) -> Result<(), Failure> {
    let stats = shop.cache().stats();
    let asked = truth.verdict().checked + CALLERS as u64;
    ensure(stats.lookups() == asked, format!("{asked} lookups were made, {} counted", stats.lookups()))?;
    ensure(
        stats.loads == database.queries(),
        format!("{} loads, {} queries", stats.loads, database.queries()),
    )?;
    let gone = stats.removed + stats.evicted + stats.expired + stats.invalidated;
    ensure(stats.inserts == stats.entries + gone, "entries were lost or made up")?;
    ensure(stats.flights == 0, "a load is still running")?;
    report::stats(&stats);
    Ok(())
}
