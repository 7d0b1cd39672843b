//! The suite itself under test: backends broken one way each, and the behaviour that must catch them.

use std::collections::HashSet;

use super::*;
use crate::error::Result;
use crate::key::{Segment, StorageKey};
use crate::reference::Reference;
use crate::storage::{Count, Storage, Value};

mod broken;

use broken::{Broken, Fault};

/// Each fault with a behaviour that must fail; others may fail with it.
const CAUGHT: &[(Fault, &str)] = &[
    (Fault::ErrsOnAbsent, "absent_key_is_none_and_no_error"),
    (Fault::DropsPuts, "put_is_readable_at_once_and_byte_for_byte"),
    (Fault::CutsValues, "put_is_readable_at_once_and_byte_for_byte"),
    (Fault::EmptyIsAbsent, "empty_value_differs_from_absent"),
    (Fault::AppendsToOld, "put_replaces_the_whole_old_value"),
    (Fault::JoinsIds, "scopes_that_look_alike_share_nothing"),
    (Fault::IgnoresLevels, "levels_are_part_of_identity"),
    (Fault::FoldsRegions, "regions_that_look_alike_share_nothing"),
    (Fault::KeysAsText, "keys_that_look_alike_share_nothing"),
    (Fault::JoinsRegionAndKey, "parts_cannot_be_shifted_between_scope_region_and_key"),
    (Fault::CutsIds, "long_parts_are_not_cut"),
    (Fault::TakesAnyDepth, "path_deeper_than_any_tree_is_refused"),
    (Fault::LosesEveryThirdPut, "concurrent_puts_of_many_keys_all_arrive"),
    (Fault::AppendsToOld, "concurrent_puts_of_one_key_leave_one_of_the_values"),
    (Fault::TearsPuts, "dropped_put_leaves_the_old_or_the_new_value"),
    (Fault::WritesBeforePoll, "dropped_put_leaves_the_old_or_the_new_value"),
    (Fault::StoresTooLarge, "value_above_the_limit_is_refused_and_changes_nothing"),
    (Fault::RemovesWholeRegion, "remove_takes_one_entry_and_leaves_its_neighbours"),
    (Fault::RefusesEvictedScopes, "removed_key_can_be_put_again"),
    (Fault::EvictsOnlyTheScopeItself, "evict_scope_takes_the_scope_and_all_below_in_every_region"),
    (Fault::EvictsByTextPrefix, "evict_scope_leaves_parents_siblings_and_look_alikes"),
    (Fault::EvictsById, "evict_scope_compares_levels_too"),
    (Fault::EvictsNoRoot, "evict_scope_of_the_root_takes_everything"),
    (Fault::ErrsOnEmptyScope, "evict_scope_of_nothing_is_no_error"),
    (Fault::RefusesEvictedScopes, "evicted_scope_can_be_filled_again"),
    (Fault::ClearForgetsOne, "clear_takes_everything"),
    (Fault::ClearCloses, "cleared_storage_can_be_filled_again"),
    (Fault::NeverForgets, "clear_takes_everything"),
    (Fault::MiscountsRemovals, "removals_count_exactly_what_went"),
    (Fault::CountsNothingAsOne, "removals_of_nothing_count_zero"),
    (Fault::CountsWithoutPromise, "removals_are_reported_as_unknown"),
    (Fault::GetManyBackwards, "get_many_answers_each_key_in_its_place"),
    (Fault::PutManyDropsLast, "put_many_stores_every_entry"),
    (Fault::PutManyKeepsFirst, "put_many_of_one_key_twice_keeps_the_later"),
    (Fault::EmptyBatchClears, "empty_batches_do_nothing"),
];

fn run(fault: Fault) -> Report {
    block_on(check(async || Broken::new(fault)))
}

#[test]
fn each_broken_backend_is_caught_by_its_behaviour() {
    for (fault, behaviour) in CAUGHT {
        let report = run(*fault);
        let failed: Vec<_> = report.failed.iter().map(|(name, _)| *name).collect();
        assert!(failed.contains(behaviour), "{fault:?} was not caught by {behaviour} but by {failed:?}");
    }
}

#[test]
fn each_behaviour_catches_a_broken_backend() {
    let caught: HashSet<_> = CAUGHT.iter().map(|(_, behaviour)| *behaviour).collect();
    for behaviour in [entries::ALL, removals::ALL, batches::ALL].concat() {
        assert!(caught.contains(behaviour.name), "nothing shows that {} can fail", behaviour.name);
    }
}

#[test]
fn the_same_backend_unbroken_passes() {
    run(Fault::None).assert_ok();
}

#[test]
fn behaviours_that_are_not_promised_are_listed_as_skipped() {
    let report = block_on(check(async || Reference::new()));
    let skipped =
        ["value_above_the_limit_is_refused_and_changes_nothing", "removals_are_reported_as_unknown"];
    assert_eq!(report.skipped, skipped);
    let all = [entries::ALL, removals::ALL, batches::ALL].concat().len();
    assert_eq!(report.passed.len() + report.skipped.len(), all);
}

#[test]
#[should_panic(expected = "clear_takes_everything")]
fn report_of_a_failure_panics_with_its_name() {
    run(Fault::ClearForgetsOne).assert_ok();
}

/// A backend that may evict at any time: it answers `None` for what it was given, but never anything else.
struct Forgetful(Reference);

impl Storage for Forgetful {
    fn capability(&self) -> Capability {
        Capability::new()
    }
    async fn get(&self, key: StorageKey<'_>) -> Result<Option<Value>> {
        Ok(self.0.get(key).await?.filter(|value| value.len() % 2 == 0))
    }
    async fn put(&self, key: StorageKey<'_>, value: Value) -> Result<()> {
        self.0.put(key, value).await
    }
    async fn remove(&self, key: StorageKey<'_>) -> Result<Count> {
        self.0.remove(key).await.map(|_| Count::Unknown)
    }
    async fn evict_scope(&self, path: &[Segment<'_>]) -> Result<Count> {
        self.0.evict_scope(path).await.map(|_| Count::Unknown)
    }
    async fn clear(&self) -> Result<Count> {
        self.0.clear().await.map(|_| Count::Unknown)
    }
}

#[test]
fn backend_that_promises_little_passes_with_little() {
    block_on(check(async || Forgetful(Reference::new()))).assert_ok();
}
