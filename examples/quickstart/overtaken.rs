//! A load that is overtaken: it has read the row, the row changes and is invalidated, and only then does it land.
//!
//! Whoever asks after the invalidation must neither wait for that load nor find what it brings. Most caches that are
//! made by hand, and several that are not, keep the old row until its time is over.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use strata_cache::scope;

use crate::acts::ensure;
use crate::answers::Answer;
use crate::database::Database;
use crate::facts::Fact;
use crate::report;
use crate::service::{Failure, Service};
use crate::shop::Shop;
use crate::truth::Truth;

const PATIENCE: Duration = Duration::from_secs(5);

/// Overtakes a load by an invalidation of its key, then another by an eviction of its user.
pub(crate) fn overtaken(shop: &Arc<Shop>, truth: &Truth, database: &Database) -> Result<(), Failure> {
    let (org, user) = (5, 5);
    let fact = Fact::Profile { org, user };
    overtake(shop, truth, database, fact, &|| shop.changed(fact))?;
    overtake(shop, truth, database, fact, &|| shop.user_changed(org, user))?;
    report::act(
        5,
        "late loads",
        "two loads read a row, which was then updated and invalidated before they landed",
    );
    report::line("newcomers", "did not wait for them and saw the new row, then and after the landing");
    Ok(())
}

fn overtake(
    shop: &Arc<Shop>,
    truth: &Truth,
    database: &Database,
    fact: Fact,
    invalidate: &dyn Fn() -> Result<(), Failure>,
) -> Result<(), Failure> {
    let Fact::Profile { org, user } = fact else { return Err("only profiles are loaded here".into()) };
    shop.changed(fact)?;
    let (has_read, was_read) = channel();
    let (land, may_land) = channel::<()>();
    let slow = {
        let (shop, database) = (shop.clone(), database.clone());
        thread::spawn(move || -> Result<Answer, Failure> {
            let load = || {
                let row = database.profile(org, user);
                // Whoever waits for these is gone if they fail, and the act has failed before.
                let _ = has_read.send(());
                let _ = may_land.recv();
                row
            };
            Ok(shop.cache().get_or_load_with(scope!(org = org, user = user), "profile", load).wait()?.into())
        })
    };
    let asked_before = truth.debt(fact);
    was_read.recv_timeout(PATIENCE)?;

    let mut pen = database.pen();
    let version = truth.begin(fact);
    pen.write(&[(fact, version)])?;
    truth.commit(&[(fact, version)]);
    drop(pen);
    let place = truth.world().index(fact);
    let promise = truth.promise(place..place + 1);
    invalidate()?;
    truth.owe(promise);

    let (answered, answer) = channel();
    let newcomer = shop.clone();
    thread::spawn(move || answered.send(newcomer.answer(fact)));
    let debt = truth.debt(fact);
    let during = answer.recv_timeout(PATIENCE).map_err(|_| "a newcomer waited for a load from before")??;
    land.send(())?;
    let old = slow.join().map_err(|_| "the slow load panicked")??;
    let after = shop.answer(fact)?;
    ensure(truth.check(fact, asked_before, &old).is_ok(), "who asked before got something else")?;
    ensure(old.stamp().version < version, "the slow load was not overtaken")?;
    ensure(truth.check(fact, debt, &during).is_ok(), "a newcomer was served the old row")?;
    ensure(truth.check(fact, debt, &after).is_ok(), "the late load was stored")
}
