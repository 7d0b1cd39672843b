//! What budgets promise, against a naive model that adds up everything anew.

use proptest::prelude::*;

use super::account::Unit;
use super::asked::{Budget, Terms, UNBOUNDED};
use super::promises::{Promises, ROOT};
use crate::error::ErrorKind;
use crate::scope;
use crate::scope::{Registry, ScopePath, ScopeTree, TrackedLevels};
use crate::sync::Arc;

/// Places 1..=3 are below the root, 4..=9 below those.
const PLACES: u32 = 9;

fn above(place: u32) -> u32 {
    if place <= 3 { ROOT } else { (place - 4) / 2 + 1 }
}

/// What a place takes of the one above, by adding up all below it.
fn taken(terms: &[Terms], unit: usize, place: u32) -> u64 {
    let below = (1..=PLACES).filter(|&lower| lower != place && above(lower) == place);
    let below: u64 = below.map(|lower| taken(terms, unit, lower)).sum();
    terms[place as usize].reserve[unit].max(below)
}

fn fits(terms: &[Terms]) -> bool {
    (0..2).all(|unit| {
        (0..=PLACES).all(|place| taken(terms, unit, place) <= terms[place as usize].capacity[unit])
    })
}

fn amounts() -> impl Strategy<Value = Terms> {
    let capacity = prop_oneof![Just(UNBOUNDED), 1..40u64];
    let reserve = prop_oneof![Just(0), 1..25u64];
    ([capacity.clone(), capacity], [reserve.clone(), reserve])
        .prop_map(|(capacity, reserve)| Terms { capacity, reserve })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn promises_are_given_exactly_where_they_fit(asked in proptest::collection::vec((1..=PLACES, amounts()), 1..60)) {
        let bounds = [50, 60];
        let mut promises = Promises::new(bounds);
        for place in 1..=PLACES {
            prop_assert_eq!(promises.open(above(place)), place);
        }
        let mut terms = vec![Terms::NONE; PLACES as usize + 1];
        terms[0].capacity = bounds;
        for (place, wanted) in asked {
            let mut then = terms.clone();
            then[place as usize] = wanted;
            prop_assert_eq!(promises.ask(place, wanted).is_ok(), fits(&then), "{:?} for {}", wanted, place);
            if fits(&then) {
                promises.give(place, wanted);
                terms = then;
            }
            for unit in Unit::BOTH {
                prop_assert_eq!(promises.total(unit), taken(&terms, unit as usize, ROOT));
            }
        }
        for place in (1..=PLACES).rev() {
            promises.close(place);
        }
        prop_assert_eq!(Unit::BOTH.map(|unit| promises.total(unit)), [0, 0]);
    }
}

fn registry(entries: u64) -> Registry {
    let registry = Registry::new(ScopeTree::default(), TrackedLevels::First);
    registry.budgets().set_bounds([Some(entries), None]).unwrap();
    registry
}

fn path(registry: &Registry, org: &str) -> ScopePath {
    ScopePath::of(registry.tree(), &scope!(org = org), "test").unwrap()
}

#[test]
fn reserve_of_a_level_is_granted_while_it_fits_and_again_when_one_is_returned() {
    let registry = registry(100);
    let org = registry.tree().level("org").unwrap();
    registry.set_budget_of_level(org, Some(Budget::unbounded().reserve(40))).unwrap();
    let nodes = ["a", "b", "c"].map(|org| registry.find_or_create(&scope!(org = org), "test").unwrap());
    let reserves = |at: usize| nodes[at].account().unwrap().reserve(Unit::Entries);
    assert_eq!([0, 1, 2].map(reserves), [40, 40, 0]);
    assert!(nodes[2].account().unwrap().was_refused());
    registry.set_budget(&path(&registry, "a"), Some(Budget::unbounded().reserve(10))).unwrap();
    assert_eq!([0, 1, 2].map(reserves), [10, 40, 40]);
    assert_eq!(registry.budgets().reserved(Unit::Entries), 90);
}

#[test]
fn reserve_goes_back_with_the_last_hold_of_its_path() {
    let registry = registry(100);
    let org = registry.tree().level("org").unwrap();
    registry.set_budget_of_level(org, Some(Budget::unbounded().reserve(40))).unwrap();
    drop(registry.find_or_create(&scope!(org = "a"), "test").unwrap());
    assert_eq!(registry.budgets().reserved(Unit::Entries), 40);
    while registry.idle_work() {
        registry.collect_idle(usize::MAX);
    }
    assert_eq!(registry.budgets().reserved(Unit::Entries), 0);
}

#[test]
fn budget_by_name_outlives_its_scope_and_waits_for_the_next() {
    let registry = registry(100);
    let acme = path(&registry, "acme");
    registry.set_budget(&acme, Some(Budget::entries(7).reserve(5))).unwrap();
    let first = registry.find_or_create(&acme, "test").unwrap();
    assert_eq!(first.account().unwrap().capacity(Unit::Entries), 7);
    registry.detach(&first);
    let second = registry.find_or_create(&acme, "test").unwrap();
    assert_ne!(first.id(), second.id());
    assert_eq!(second.account().unwrap().reserve(Unit::Entries), 5);
    registry.detach(&registry.root());
    let third = registry.find_or_create(&acme, "test").unwrap();
    assert_eq!(third.account().unwrap().reserve(Unit::Entries), 5);
    assert_eq!(registry.budgets().reserved(Unit::Entries), 5, "counted once, whatever incarnation");
}

#[test]
fn scopes_that_exist_get_the_budget_of_their_level() {
    let registry = registry(100);
    let user = registry.find_or_create(&scope!(org = "a", user = 1), "test").unwrap();
    assert!(user.account().is_none());
    let level = registry.tree().level("user").unwrap();
    registry.set_budget_of_level(level, Some(Budget::entries(9))).unwrap();
    assert_eq!(user.account().unwrap().capacity(Unit::Entries), 9);
    let above = user.parent().unwrap().account().unwrap();
    assert!(!above.has_terms(), "the one above stands for those below it");
    registry.set_budget_of_level(level, None).unwrap();
    assert_eq!(user.account().unwrap().capacity(Unit::Entries), UNBOUNDED);
}

#[test]
fn what_does_not_fit_is_refused_and_changes_nothing() {
    let registry = registry(100);
    let [acme, umbrella] = ["acme", "umbrella"].map(|org| path(&registry, org));
    registry.set_budget(&acme, Some(Budget::unbounded().reserve(70))).unwrap();
    let refused = registry.set_budget(&umbrella, Some(Budget::unbounded().reserve(31))).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::InvalidBudget);
    let text = refused.to_string();
    assert!(text.contains("reserves would take 101 entries of 100"), "{text}");
    assert!(registry.budgets().named(&umbrella).is_none());
    let user = ScopePath::of(registry.tree(), &scope!(org = "acme", user = 1), "test").unwrap();
    registry.set_budget(&acme, Some(Budget::entries(70).reserve(70))).unwrap();
    let text = registry.set_budget(&user, Some(Budget::unbounded().reserve(71))).unwrap_err().to_string();
    assert!(text.contains("short: acme"), "{text}");
    let text = registry.budgets().set_bounds([Some(69), None]).unwrap_err().to_string();
    assert!(text.contains("acme: "), "{text}");
    assert_eq!(registry.budgets().reserved(Unit::Entries), 70);
    let text = registry.set_budget(&ScopePath::global(registry.tree()), None).unwrap_err().to_string();
    assert!(text.contains("capacity"), "{text}");
    let [org, user] = ["org", "user"].map(|level| registry.tree().level(level).unwrap());
    registry.set_budget_of_level(org, Some(Budget::share("10%"))).unwrap();
    let text =
        registry.set_budget_of_level(user, Some(Budget::unbounded().reserve(11))).unwrap_err().to_string();
    assert!(text.contains("above the 10 that its org may hold"), "{text}");
}

#[test]
fn budgets_by_name_go_with_their_cache() {
    let registry = registry(100);
    let acme = path(&registry, "acme");
    let account = registry
        .set_budget(&acme, Some(Budget::entries(7).reserve(5)))
        .unwrap()
        .map(|own| Arc::downgrade(&own));
    let account = account.unwrap();
    assert!(account.upgrade().is_some(), "kept by its name");
    drop(registry);
    assert!(account.upgrade().is_none());
}

#[test]
fn reserves_that_did_not_fit_take_turns() {
    let registry = registry(10);
    let org = registry.tree().level("org").unwrap();
    registry.set_budget_of_level(org, Some(Budget::unbounded().reserve(10))).unwrap();
    // Nothing holds their nodes; who holds the account of a path keeps its place in the queue.
    let account = |org: usize| {
        let node = registry.find_or_create(&scope!(org = org), "test").unwrap();
        Arc::clone(node.account().unwrap())
    };
    let mut held: Vec<_> = (0..100).map(account).collect();
    let mut first: Vec<_> = held.iter().map(Arc::downgrade).collect();
    // Whoever has the reserve goes, and a new one comes, while the others wait.
    for org in 100..500 {
        held.retain(|account| account.reserve(Unit::Entries) == 0);
        held.push(account(org));
        while registry.idle_work() {
            registry.collect_idle(usize::MAX);
        }
        registry.budgets().reserved(Unit::Entries);
        first.retain(|account| account.strong_count() > 0);
    }
    assert_eq!(first.len(), 0, "nobody waits for ever");
}

#[test]
fn refused_reserves_of_scopes_that_have_gone_do_not_pile_up() {
    let registry = registry(10);
    let org = registry.tree().level("org").unwrap();
    registry.set_budget_of_level(org, Some(Budget::unbounded().reserve(10))).unwrap();
    let first = registry.find_or_create(&scope!(org = "first"), "test").unwrap();
    let kept = Arc::clone(first.account().unwrap());
    drop(first);
    for org in 0..5_000 {
        // The path has a node no longer than this, and so has its account.
        let node = registry.find_or_create(&scope!(org = org), "test").unwrap();
        drop(node);
        if org % 100 == 99 {
            while registry.idle_work() {
                registry.collect_idle(usize::MAX);
            }
        }
    }
    assert_eq!(kept.reserve(Unit::Entries), 10);
    assert!(registry.budgets().refused() <= 400, "{} are remembered", registry.budgets().refused());
}
