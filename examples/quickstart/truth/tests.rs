//! The truth checker is told untruths. Run with `cargo test --example quickstart`.

use std::sync::Arc;

use tokio::runtime::Builder;

use super::{Fault, Truth, Verdict};
use crate::answers::{Answer, Orders, Preference, Stamp};
use crate::data::{self, Folder};
use crate::database::Database;
use crate::facts::{Fact, SECTIONS, World};
use crate::rivals::{Flaw, HandMade};
use crate::service::Service;
use crate::traffic;

const FACT: Fact = Fact::Preference { org: 2, user: 3, section: 1 };

fn truth() -> Truth {
    Truth::new(World::new(4, 80))
}

/// The honest row of a user of an organisation at a version.
fn row(org: u32, user: u32, version: u32) -> Preference {
    let value = Fact::Preference { org, user, section: 1 }.text(version);
    Preference { stamp: Stamp::now(org, user, version), section: SECTIONS[1].to_string(), value }
}

/// Commits the next version of the fact, and invalidates it if asked to.
fn update(truth: &Truth, invalidate: bool) -> u32 {
    let version = truth.begin(FACT);
    truth.commit(&[(FACT, version)]);
    let place = truth.world().index(FACT);
    if invalidate {
        truth.owe(truth.promise(place..place + 1));
    }
    version
}

#[test]
fn row_of_its_own_tenant_and_version_is_the_truth() {
    let truth = truth();
    assert_eq!(truth.check(FACT, truth.debt(FACT), &row(2, 3, 1).into()), Ok(()));
    assert!(truth.verdict().is_clean());
}

#[test]
fn row_of_another_tenant_user_or_section_is_foreign() {
    let truth = truth();
    let other_section = Preference { section: SECTIONS[0].to_string(), ..row(2, 3, 1) };
    let orders = Orders { stamp: Stamp::now(2, 3, 1), last: Vec::new() };
    let untrue: [Answer; 4] = [row(1, 3, 1).into(), row(2, 4, 1).into(), other_section.into(), orders.into()];
    for answer in &untrue {
        assert_eq!(truth.check(FACT, 1, answer), Err(Fault::Foreign));
    }
    assert_eq!((truth.verdict().checked, truth.verdict().foreign), (4, 4));
}

#[test]
fn row_is_stale_only_after_its_invalidation_has_returned() {
    let truth = truth();
    update(&truth, false);
    assert_eq!(truth.check(FACT, truth.debt(FACT), &row(2, 3, 1).into()), Ok(()));
    let asked_before = truth.debt(FACT);
    let version = update(&truth, true);
    assert_eq!(truth.check(FACT, asked_before, &row(2, 3, 1).into()), Ok(()));
    assert_eq!(truth.check(FACT, truth.debt(FACT), &row(2, 3, version - 1).into()), Err(Fault::Stale));
    assert_eq!(truth.check(FACT, truth.debt(FACT), &row(2, 3, version).into()), Ok(()));
}

#[test]
fn promise_covers_what_was_committed_before_the_invalidation_began_and_no_more() {
    let truth = truth();
    let place = truth.world().index(FACT);
    let promise = truth.promise(place..place + 1);
    let late = update(&truth, false);
    truth.owe(promise);
    assert_eq!(truth.debt(FACT), late - 1);
}

#[test]
fn debt_never_falls_when_invalidations_end_out_of_order() {
    let truth = truth();
    let place = truth.world().index(FACT);
    let early = truth.promise(place..place + 1);
    let late = update(&truth, true);
    truth.owe(early);
    assert_eq!(truth.debt(FACT), late);
}

#[test]
fn row_from_the_future_or_with_contents_of_another_version_is_wrong() {
    let truth = truth();
    assert_eq!(truth.check(FACT, 1, &row(2, 3, 2).into()), Err(Fault::Wrong));
    update(&truth, true);
    let torn = Preference { value: FACT.text(1), ..row(2, 3, 2) };
    assert_eq!(truth.check(FACT, 1, &torn.into()), Err(Fault::Wrong));
}

#[test]
fn every_fact_has_a_place_of_its_own() {
    let world = World::new(200, 20_000);
    assert_eq!((1..=world.orgs()).map(|org| world.users(org)).sum::<u32>(), 20_000);
    assert_eq!(world.all().count(), world.of_org(200).end);
    assert!(world.all().enumerate().all(|(place, fact)| world.index(fact) == place));
}

#[test]
fn hand_made_caches_are_caught_and_no_cache_is_not() {
    let uncached = verdict(|database| database);
    assert!(uncached.is_clean(), "{uncached:?}");
    let flat = verdict(|database| HandMade::new(database, Flaw::FlatKeys));
    assert!(flat.foreign > 0, "{flat:?}");
    let forgetful = verdict(|database| HandMade::new(database, Flaw::NoInvalidation));
    assert!(forgetful.stale > 0 && forgetful.foreign == 0, "{forgetful:?}");
}

/// What is found in a little traffic through a service, on a database of its own.
fn verdict<S: Service>(service: impl FnOnce(Database) -> S) -> Verdict {
    let folder = Folder::new().expect("a temporary folder can be made");
    let truth = Arc::new(Truth::new(World::new(20, 400)));
    data::make(&folder.database(), truth.world()).expect("the database can be made");
    let database = Database::open(&folder.database(), 20).expect("the database can be opened");
    let service = Arc::new(service(database.clone()));
    let runtime = Builder::new_multi_thread().worker_threads(1).max_blocking_threads(2).build();
    let runtime = runtime.expect("a runtime can be started");
    traffic::run(&service, &truth, &database, &runtime, (20_000, 20)).expect("the traffic is served");
    truth.verdict()
}
