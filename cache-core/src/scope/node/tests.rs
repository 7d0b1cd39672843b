use super::*;
use crate::event::RemovalCause;
use crate::scope;
use crate::scope::{Registry, ScopeCounts, TrackedLevels};
use crate::stats::{Event, tally};

fn registry(tracked: TrackedLevels) -> Registry {
    Registry::new(ScopeTree::default(), tracked)
}

fn user(registry: &Registry) -> Arc<Node> {
    registry.find_or_create(&scope!(org = "acme", user = 42), "test").unwrap()
}

#[test]
fn charge_counts_along_the_path_and_release_takes_it_back() {
    let registry = registry(TrackedLevels::First);
    let user = user(&registry);
    assert_eq!(user.charge(5), Charge::Live);
    assert_eq!(user.charge(u64::MAX), Charge::Live);
    user.reweigh(2);
    user.release(u64::MAX);
    for node in user.chain() {
        assert_eq!((node.entries(), node.weight()), (1, 7), "{node:?}");
    }
    assert_eq!(user.chain().count(), 3);
    user.release(7);
    assert_eq!((registry.root().entries(), registry.root().weight()), (0, 0));
}

#[test]
fn charge_under_a_dead_ancestor_is_dead_and_leaves_nothing_above_it() {
    let registry = registry(TrackedLevels::First);
    let user = user(&registry);
    registry.detach(user.parent().unwrap());
    assert_eq!(user.charge(3), Charge::Dead);
    assert_eq!((registry.root().entries(), registry.root().weight()), (0, 0));
    user.release(3);
    assert_eq!((user.entries(), user.weight(), user.parent().unwrap().entries()), (0, 0, 0));
}

#[test]
fn node_prints_its_path_only() {
    let registry = registry(TrackedLevels::First);
    let node = registry.find_or_create(&scope!(org = "a/b", user = 1), "test").unwrap();
    assert_eq!(node.to_string(), "org:a%2Fb/user:1");
    assert_eq!(registry.root().to_string(), "global");
    assert_eq!(node.path().level_name(), "user");
    assert!(format!("{node:?}").contains("live: true"));
}

#[test]
fn same_path_holds_across_incarnations_and_not_across_paths_or_registries() {
    let one = registry(TrackedLevels::First);
    let old = user(&one);
    one.detach(&one.root());
    let new = user(&one);
    assert!(old.id() != new.id() && old.same_path(&new) && new.same_path(&old));
    assert_eq!(old.path_hash(), new.path_hash());
    assert!(old.same_path(&old) && !old.same_path(old.parent().unwrap()));
    let other = one.find_or_create(&scope!(org = "acme", user = 43), "test").unwrap();
    assert!(!old.same_path(&other));
    let same_text = one.find_or_create(&scope!(org = "umbrella", user = 42), "test").unwrap();
    assert!(!old.same_path(&same_text));
    let foreign = user(&registry(TrackedLevels::First));
    assert!(!old.same_path(&foreign));
}

#[test]
fn events_count_at_tracked_levels_and_all_but_lookups_at_the_root() {
    let tree = ScopeTree::default();
    let levels = |names: &[&str]| {
        TrackedLevels::Levels(names.iter().map(|name| tree.level(name).unwrap()).collect::<Vec<_>>())
    };
    for (tracked, own) in [
        (TrackedLevels::First, [false, true]),
        (levels(&["user"]), [true, false]),
        (levels(&["org", "user"]), [true, true]),
        (TrackedLevels::None, [false, false]),
    ] {
        let registry = registry(tracked);
        let user = user(&registry);
        let tally = |event| tally::count(None, Some(user.stats()), event);
        tally(Event::Hit);
        tally(Event::Miss);
        (0..3).for_each(|_| tally(Event::Evicted));
        user.stats().count_load();
        user.stats().count_load_failure();
        for (node, (is_own, lookups)) in
            user.chain().zip(own.map(|own| (own, 1)).into_iter().chain([(true, 0)]))
        {
            let Some(counts) = node.own_stats().map(|stats| stats.counts()) else {
                assert!(!is_own && Arc::ptr_eq(node.stats(), node.parent().unwrap().stats()), "{node:?}");
                continue;
            };
            let mut wanted = ScopeCounts {
                hits: lookups,
                misses: lookups,
                loads: 1,
                load_failures: 1,
                ..Default::default()
            };
            wanted.removals[RemovalCause::Evicted.index()] = 3;
            assert!(is_own && counts == wanted, "{node:?} {counts:?}");
            assert_eq!(counts.removed(RemovalCause::Evicted), 3);
        }
    }
}

#[test]
fn node_with_a_short_id_takes_160_bytes() {
    // With its two counts; and 21 to 43 bytes in the index: a million of them are to take less than 200 bytes each.
    assert!(size_of::<Node>() <= 144, "{}", size_of::<Node>());
}

fn is_child(node: &Node, above: u64, level: LevelId, text: &str) -> bool {
    let id = IdText::borrowed(text);
    node.is_child(above, level, id.brief(), &id)
}

/// The index compares keys in full; a hash that collides must not matter.
#[test]
fn child_is_recognised_by_parent_level_and_text_together() {
    let registry = registry(TrackedLevels::First);
    let user = user(&registry);
    let (above, level) = (user.parent().unwrap().id(), user.level().unwrap());
    assert!(is_child(&user, above, level, "42"));
    let org = user.parent().unwrap().level().unwrap();
    assert!(!is_child(&user, above + 1, level, "42"));
    assert!(!is_child(&user, above, org, "42"));
    assert!(!is_child(&user, above, level, "4") && !is_child(&user, above, level, "420"));
    assert!(!is_child(&registry.root(), 0, org, ""));
}

#[test]
fn same_path_does_not_rely_on_the_hash() {
    let registry = registry(TrackedLevels::First);
    let root = registry.root();
    let forged = |id: u64, text: &'static str, level: usize| {
        let seed = Seed {
            id,
            level: registry.tree().levels().nth(level),
            text: IdText::borrowed(text),
            path_hash: 7,
            stats: Arc::default(),
        };
        Node::new(root.shared(), Some(Arc::clone(&root)), seed)
    };
    let node = forged(100, "a", 0);
    assert!(node.same_path(&forged(101, "a", 0)));
    assert!(!node.same_path(&forged(102, "b", 0)) && !node.same_path(&forged(103, "a", 1)));
}

#[test]
fn detachments_that_meet_a_charge_under_way_add_up_to_what_is_swept() {
    let registry = Registry::new(ScopeTree::default(), TrackedLevels::First);
    let org = registry.find_or_create(&scope!(org = 1), "test").unwrap();
    let root = registry.root();
    // A charge has reached the org; before it reaches the root both are detached.
    org.add_weight(5);
    assert!(org.entries.add(1));
    let first = registry.detach(&org).unwrap();
    let second = registry.detach(&root).unwrap();
    assert!(!root.entries.add(1));
    // It is dead and taken back, so nothing is left to be swept.
    assert!(!org.release(5));
    assert_eq!(first.entries + second.entries, 0);
}
