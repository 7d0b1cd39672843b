//! What is shown after the traffic, one promise at a time: a stampede, an update, an eviction.
//!
//! Each act checks what it shows and fails with a sentence. Nobody else uses the cache meanwhile, so that counts
//! are exact.

use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Instant;

use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::answers::{Preference, Turnover};
use crate::database::Database;
use crate::facts::{Fact, SECTIONS, World};
use crate::report::{self, count, time};
use crate::service::Failure;
use crate::shop::{self, Shop};
use crate::truth::Truth;

/// How many callers stampede.
pub(crate) const CALLERS: usize = 1_000;

/// A thousand callers ask for one report that nobody has; half are threads and half are tasks.
pub(crate) fn stampede(shop: &Arc<Shop>, database: &Database, runtime: &Runtime) -> Result<(), Failure> {
    let org = 1;
    let (queries, before) = (database.queries(), shop.cache().stats());
    let barrier = Barrier::new(CALLERS / 2 + 1);
    let (go, gone) = watch::channel(false);
    let mut tasks = JoinSet::new();
    for _ in 0..CALLERS / 2 {
        let (shop, mut gone) = (shop.clone(), gone.clone());
        let calling = async move {
            gone.changed().await?;
            shop.turnover_task(org).await
        };
        tasks.spawn_on(calling, runtime.handle());
    }
    let (took, answers) = thread::scope(|scope| {
        let call = || {
            barrier.wait();
            shop.turnover(org)
        };
        let callers: Vec<_> = (0..CALLERS / 2)
            .map(|_| thread::Builder::new().stack_size(256 << 10).spawn_scoped(scope, call))
            .collect::<Result<_, _>>()?;
        barrier.wait();
        let started = Instant::now();
        go.send(true)?;
        let mut answers = runtime.block_on(tasks.join_all());
        answers.extend(callers.into_iter().map(|caller| caller.join().map_err(|_| "a caller panicked")?));
        let answers = answers.into_iter().collect::<Result<Vec<Arc<Turnover>>, Failure>>()?;
        Ok::<_, Failure>((started.elapsed(), answers))
    })?;
    let (run, waited) =
        (database.queries() - queries, shop.cache().stats().coalesced_waits - before.coalesced_waits);
    ensure(run == 1, format!("{run} queries were run for one report"))?;
    ensure(
        answers.iter().all(|answer| **answer == *answers[0] && answer.org == org),
        "callers got different reports",
    )?;
    report::act(
        3,
        "stampede",
        &format!(
            "{} callers, half of them threads and half tasks: {run} query; {} waited for it, {} came just after it, all served in {}",
            count(answers.len() as u64),
            count(waited),
            count(answers.len() as u64 - run - waited),
            time(took)
        ),
    );
    Ok(())
}

/// A row changes: its readers see it as soon as the invalidation has returned.
pub(crate) fn update(truth: &Truth, database: &Database) -> Result<(), Failure> {
    let (org, user, section) = (3, 7, 0);
    let fact = Fact::Preference { org, user, section };
    let ask = || -> Result<Arc<Preference>, Failure> {
        let debt = truth.debt(fact);
        let row = shop::preferences(database, org, user, SECTIONS[section])?;
        ensure(truth.check(fact, debt, &row.clone().into()).is_ok(), "the row is not the truth")?;
        Ok(row)
    };
    let old = ask()?;

    let mut pen = database.pen();
    let version = truth.begin(fact);
    pen.write(&[(fact, version)])?;
    truth.commit(&[(fact, version)]);
    drop(pen);
    let queries = database.queries();
    let between = ask()?;
    ensure(*between == *old && database.queries() == queries, "the old row was not cached")?;

    let place = truth.world().index(fact);
    let promise = truth.promise(place..place + 1);
    shop::preferences::invalidate(org, user, SECTIONS[section]);
    truth.owe(promise);
    let new = ask()?;
    ensure(new.stamp.version == version && new.value != old.value, "the update was not seen")?;

    report::act(4, "update", &format!("user {user} of org {org} has {:?} cached", old.value));
    report::line("row updated", &format!("still {:?}: nobody has told the cache", between.value));
    report::line("invalidated", &format!("{:?} at once", new.value));
    Ok(())
}

/// One organisation goes; the others do not notice.
pub(crate) fn eviction(shop: &Shop, world: &World) -> Result<(), Failure> {
    let leaver = 1;
    let cache = shop.cache();
    let entries = |org| cache.stats_of(shop.org(org)).map(|stats| stats.entries);
    let before = (1..=world.orgs()).map(entries).collect::<Result<Vec<u64>, _>>()?;
    let preview = cache.preview_evict(shop.org(leaver)).wait()?;
    let started = Instant::now();
    let evicted = cache.evict_by_scope(shop.org(leaver)).wait()?;
    let took = started.elapsed();
    let after = (1..=world.orgs()).map(entries).collect::<Result<Vec<u64>, _>>()?;
    ensure(evicted.entries == before[0] && preview.entries == before[0], "the count is not exact")?;
    ensure(after[0] == 0, "something was left")?;
    ensure(after[1..] == before[1..], "another organisation lost entries")?;
    report::act(
        6,
        "eviction",
        &format!("org {leaver}: {} entries gone in {}", count(evicted.entries), time(took)),
    );
    let others: u64 = after[1..].iter().sum();
    report::line(
        "others",
        &format!("{} entries of {} organisations untouched", count(others), world.orgs() - 1),
    );
    Ok(())
}

/// Fails an act with a sentence unless something holds.
pub(crate) fn ensure(holds: bool, sentence: impl Into<String>) -> Result<(), Failure> {
    if holds { Ok(()) } else { Err(sentence.into().into()) }
}
