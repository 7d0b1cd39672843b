//! What threads keep for a scope outlives its node.

use super::*;
use crate::event::RemovalCause;
use crate::stats::Counters;

fn times(n: u64, mut f: impl FnMut()) {
    (0..n).for_each(|_| f());
}

#[test]
fn counts_of_an_evicted_scope_go_on_with_its_successor() {
    let tree = ScopeTree::default();
    let tracked = ["org", "user"].map(|level| tree.level(level).unwrap());
    let registry = Registry::new(tree, TrackedLevels::Levels(tracked.into()));
    let region = Arc::<Counters>::default();
    let create = |user| registry.find_or_create(&scope!(org = 1, user = user), "test").unwrap();
    let old = create(2);
    times(3, || tally::count(Some(&region), Some(old.stats()), Event::Hit));
    times(2, || tally::count(Some(&region), Some(old.stats()), Event::Evicted));
    registry.detach(&old).unwrap();
    let new = create(2);
    assert_ne!(old.id(), new.id());
    times(5, || tally::count(Some(&region), Some(new.stats()), Event::Evicted));
    // Late counts of the old node are the path's, too.
    tally::count(Some(&region), Some(old.stats()), Event::Evicted);
    drop(old);
    assert_eq!(new.stats().counts().removed(RemovalCause::Evicted), 8);
    let org = new.parent().unwrap();
    registry.detach(org).unwrap();
    let newest = create(2);
    tally::count(Some(&region), Some(newest.stats()), Event::Hit);
    let org = newest.parent().unwrap().stats().counts();
    assert_eq!((org.hits, org.removed(RemovalCause::Evicted)), (4, 8));
    assert_eq!(newest.stats().counts().removed(RemovalCause::Evicted), 0, "it stood below what was evicted");
}
