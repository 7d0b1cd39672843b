use super::*;
use crate::error::ErrorKind;
use crate::scope;
use crate::scope::{Anchor, Charge, ScopeId};
use crate::stats::{Event, tally};

mod counts;
mod model;

fn registry() -> Registry {
    Registry::new(ScopeTree::default(), TrackedLevels::First)
}

fn find(registry: &Registry, place: impl Locate) -> Option<Arc<Node>> {
    registry.find(&place, "test").unwrap()
}

fn create(registry: &Registry, place: impl Locate) -> Arc<Node> {
    registry.find_or_create(&place, "test").unwrap()
}

/// Collects until a pass finds nothing more and nothing is leaving.
fn collect(registry: &Registry) -> usize {
    let (mut removed, mut idle_passes) = (0, 0);
    let limit = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while idle_passes < 2 || registry.is_letting_go() {
        // What handles let go of is held until readers have passed, those of other tests among them.
        while !crate::epoch::settle() {
            assert!(std::time::Instant::now() < limit, "readers never pass");
        }
        match registry.collect_idle(usize::MAX) {
            0 => idle_passes += 1,
            more => (removed, idle_passes) = (removed + more, 0),
        }
    }
    removed
}

#[test]
fn look_up_creates_nothing_and_finds_what_was_created() {
    let registry = registry();
    assert!(find(&registry, scope!(org = 1, user = 2)).is_none());
    assert!(registry.is_empty() && !registry.idle_work());
    let user = create(&registry, scope!(org = 1, user = 2));
    assert_eq!(registry.len(), 2);
    assert!(Arc::ptr_eq(&user, &create(&registry, scope!(org = "1", user = "2"))));
    assert!(Arc::ptr_eq(&user, &find(&registry, ("user", &[("org_id", 1), ("user_id", 2)])).unwrap()));
    assert!(Arc::ptr_eq(user.parent().unwrap(), &find(&registry, scope!(org = 1)).unwrap()));
    assert!(Arc::ptr_eq(&registry.root(), &find(&registry, scope!(global)).unwrap()));
    assert_eq!(registry.len(), 2);
}

#[test]
fn glance_of_a_path_finds_what_a_look_up_finds() {
    fn glance<const N: usize>(registry: &Registry, level: &str, path: &PathIds<'_, N>) -> Option<u64> {
        let level = registry.tree().level(level);
        let id = registry.glance_path(&epoch::pin(), (level, path), |node| Some(node.id()));
        if level.is_some() || N == 0 {
            assert_eq!(id, registry.find(path, "test").ok().flatten().map(|node| node.id()));
        }
        id
    }
    let registry = registry();
    let (long, longest) = ("x".repeat(40), "x".repeat(crate::scope::MAX_ID_BYTES));
    for org in ["1", "2", "a", &long, &longest, "0123456789abcdef", "0123456789abcdefg"] {
        let path = |user: &'static str| PathIds::new(&["org", "user"], [org, user].map(IdText::borrowed));
        assert_eq!(glance(&registry, "user", &path("7")), None);
        let user = create(&registry, path("7"));
        assert_eq!(glance(&registry, "user", &path("7")), Some(user.id()));
        assert_eq!(glance(&registry, "user", &path("8")), None);
        assert_eq!(glance(&registry, "user", &path("")), None);
        // A path and a level that do not fit find nothing.
        assert_eq!(registry.glance_path(&epoch::pin(), (None, &path("7")), |_| Some(())), None);
        let org = PathIds::new(&["org"], [IdText::borrowed(org)]);
        assert_eq!(glance(&registry, "org", &org), user.parent().map(|org| org.id()));
        let user_level = registry.tree().level("user");
        assert_eq!(registry.glance_path(&epoch::pin(), (user_level, &org), |_| Some(())), None);
        registry.detach(user.parent().expect("it has one"));
        assert_eq!(glance(&registry, "user", &path("7")), None);
        assert_ne!(create(&registry, path("7")).id(), user.id());
        assert_ne!(glance(&registry, "user", &path("7")), Some(user.id()));
    }
    let too_long =
        PathIds::new(&["org"], ["y".repeat(crate::scope::MAX_ID_BYTES + 1).id_text().into_owned()]);
    assert_eq!(glance(&registry, "org", &too_long), None);
    let root = PathIds::new(&[], []);
    assert_eq!(glance(&registry, "global", &root), Some(registry.root().id()));
    registry.detach(&registry.root());
    assert_eq!(glance(&registry, "global", &root), Some(registry.root().id()));
}

#[test]
fn errors_do_not_depend_on_what_exists_and_create_nothing() {
    let registry = registry();
    for _ in 0..2 {
        for place in [scope!(org = 1, user = ""), scope!(org = "", user = 1)] {
            assert_eq!(registry.find(&place, "test").unwrap_err().kind(), ErrorKind::InvalidId);
            assert_eq!(registry.find_or_create(&place, "test").unwrap_err().kind(), ErrorKind::InvalidId);
        }
        let deep = scope!(org = 99, user = "", session = 1);
        assert_eq!(registry.find(&deep, "test").unwrap_err().kind(), ErrorKind::InvalidId);
        let partial = ("user", &[("org_id", 7)]);
        assert_eq!(registry.find(&partial, "test").unwrap_err().kind(), ErrorKind::MissingId);
        assert_eq!(registry.find_or_create(&partial, "test").unwrap_err().kind(), ErrorKind::MissingId);
        assert!(find(&registry, scope!(org = 7)).is_none());
        create(&registry, scope!(org = 1, user = 1));
    }
}

#[test]
fn hostile_ids_stay_on_their_own_path() {
    let registry = registry();
    let victim = create(&registry, scope!(org = "1", user = "2"));
    let ids = [
        "1/user:2",
        "1/user=2",
        "1,2",
        "../1",
        "1\0",
        "1\0user\x002",
        " 1",
        "1 ",
        "01",
        "+1",
        "1\n",
        "１",
        "1\u{200b}",
        "а",
        "a",
        "é",
        "e\u{301}",
        "global",
        "org",
        "%31",
        "*",
        "1%",
    ];
    let mut nodes = vec![Arc::clone(&victim)];
    for id in ids {
        nodes.push(create(&registry, scope!(org = id)));
        nodes.push(create(&registry, scope!(org = id, user = 2)));
        nodes.push(create(&registry, scope!(org = 1, user = id)));
    }
    for (place, node) in nodes.iter().enumerate() {
        for other in &nodes[..place] {
            assert!(node.id() != other.id() && !node.same_path(other), "{node} {other}");
        }
    }
    for id in ids {
        assert_eq!(find(&registry, scope!(org = id)).unwrap().text(), id);
        registry.detach(&find(&registry, scope!(org = id)).unwrap());
    }
    assert!(victim.is_live());
    assert!(Arc::ptr_eq(&victim, &find(&registry, scope!(org = 1, user = 2)).unwrap()));
}

#[test]
fn siblings_and_other_trees_do_not_share_nodes_for_equal_ids() {
    let tree = ScopeTree::builder()
        .level("org", "org_id")
        .child("org", "user", "user_id")
        .child("org", "team", "team_id")
        .level("tenant", "tenant_id")
        .build()
        .unwrap();
    let registry = Registry::new(tree, TrackedLevels::First);
    let user = create(&registry, scope!(org = 1, user = 1));
    let team = create(&registry, scope!(org = 1, team = 1));
    let tenant = create(&registry, scope!(tenant = 1));
    assert_eq!(registry.len(), 4);
    assert!(!user.same_path(&team) && !tenant.same_path(user.parent().unwrap()));
    registry.detach(&team);
    registry.detach(&tenant);
    assert!(user.is_live() && !team.is_live() && !tenant.is_live());
}

#[test]
fn detached_scope_is_gone_at_once_with_all_below_it_and_nothing_else() {
    let registry = registry();
    let kept = create(&registry, scope!(org = 2, user = 2));
    let session = create(&registry, scope!(org = 1, user = 2, session = 3));
    let user = session.parent().unwrap();
    let org = Arc::clone(user.parent().unwrap());
    for (node, weight) in [(&session, 1), (&session, 10), (user, 100), (&org, 1000), (&kept, 10_000)] {
        assert_eq!(node.charge(weight), Charge::Live);
    }
    let word = registry.word();
    assert_eq!(registry.detach(&org), Some(Detached { entries: 4, weight: 1111 }));
    assert!(registry.word() > word);
    assert!([&session, user, &org].iter().all(|node| !node.is_live()) && kept.is_live());
    assert!(find(&registry, scope!(org = 1, user = 2, session = 3)).is_none());
    assert!(find(&registry, scope!(org = 1, user = 2)).is_none());
    let fresh = find(&registry, scope!(org = 1)).unwrap();
    assert!(fresh.id() != org.id() && fresh.is_live() && fresh.same_path(&org));
    assert!(Arc::ptr_eq(fresh.stats(), org.stats()));
    assert_eq!((fresh.entries(), registry.root().entries(), registry.root().weight()), (0, 1, 10_000));
    // Sweeping the dead changes nothing above.
    session.release(1);
    assert_eq!((registry.root().entries(), registry.root().weight()), (1, 10_000));
}

#[test]
fn second_detachment_of_a_node_or_of_one_below_it_does_nothing() {
    let registry = registry();
    let user = create(&registry, scope!(org = 1, user = 2));
    let org = Arc::clone(user.parent().unwrap());
    assert_eq!(user.charge(1), Charge::Live);
    assert!(registry.detach(&org).is_some());
    let word = registry.word();
    assert_eq!(registry.detach(&org), None);
    assert_eq!(registry.detach(&user), None);
    assert_eq!((registry.word(), registry.root().entries()), (word, 0));
}

#[test]
fn detached_root_empties_every_scope() {
    let registry = registry();
    let root = registry.root();
    let user = create(&registry, scope!(org = 1, user = 2));
    assert_eq!((user.charge(1), root.charge(2)), (Charge::Live, Charge::Live));
    assert_eq!(registry.detach(&root), Some(Detached { entries: 2, weight: 3 }));
    assert!(!root.is_live() && !user.is_live() && registry.root().is_live());
    assert!(registry.root().id() != root.id() && registry.root().same_path(&root));
    assert!(find(&registry, scope!(org = 1)).is_none());
    assert_eq!(registry.detach(&root), None);
    drop((root, user));
    assert_eq!(collect(&registry), 2);
    assert!(registry.is_empty());
}

#[test]
fn node_of_another_registry_is_not_detached() {
    let (one, other) = (registry(), registry());
    let foreign = create(&other, scope!(org = 1));
    let word = one.word();
    create(&one, scope!(org = 1));
    assert_eq!(one.detach(&foreign), None);
    assert_eq!(one.detach(&other.root()), None);
    assert!(foreign.is_live() && other.root().is_live() && one.word() == word);
}

/// Another thread may have killed a node and not yet replaced it: who is told so may not rely on it before that is done.
#[test]
fn detachment_of_a_node_that_is_just_dying_returns_after_it_is_gone() {
    for of_root in [false, true] {
        let registry = registry();
        let word = registry.word();
        let user = create(&registry, scope!(org = 1, user = 2));
        let dying = if of_root { registry.root() } else { Arc::clone(user.parent().unwrap()) };
        dying.kill().unwrap();
        assert!(find(&registry, scope!(org = 1, user = 2)).is_some(), "half way, on purpose");
        assert_eq!(registry.detach(&user), None);
        assert!(find(&registry, scope!(org = 1, user = 2)).is_none());
        assert!(registry.word() > word);
        assert!(registry.root().is_live());
    }
}

#[test]
fn idle_node_goes_and_takes_idle_ancestors_along() {
    let registry = registry();
    let session = create(&registry, scope!(org = 1, user = 2, session = 3));
    assert_eq!(session.charge(1), Charge::Live);
    assert_eq!(collect(&registry), 0);
    let kept = find(&registry, scope!(org = 1)).unwrap();
    session.release(1);
    drop(session);
    assert!(registry.idle_work());
    assert_eq!(collect(&registry), 2);
    assert_eq!(registry.len(), 1);
    drop(kept);
    assert_eq!(collect(&registry), 1);
    assert!(registry.is_empty() && !registry.idle_work());
}

#[test]
fn one_unlimited_call_collects_a_whole_idle_chain() {
    for _ in 0..20 {
        let registry = registry();
        create(&registry, scope!(org = 1, user = 2, session = 3));
        // Unless readers of other tests hold up what leaves.
        let removed = registry.collect_idle(usize::MAX);
        assert!(removed == 3 || registry.is_letting_go());
        assert_eq!((removed + collect(&registry), registry.len()), (3, 0));
    }
}

#[test]
fn counters_of_a_collected_node_are_in_its_ancestors_already() {
    let registry = registry();
    let user = create(&registry, scope!(org = 1, user = 2));
    tally::count(None, Some(user.stats()), Event::Hit);
    user.stats().count_load();
    let org = Arc::clone(user.parent().unwrap());
    let before = org.stats().counts();
    drop(user);
    assert_eq!(collect(&registry), 1);
    assert_eq!(org.stats().counts(), before);
    assert_eq!((before.hits, before.loads), (1, 1));
}

#[test]
fn silent_holder_keeps_idle_work_up_and_an_entry_or_anchor_does_not() {
    let registry = registry();
    let silent = create(&registry, scope!(org = 1, user = 2));
    assert_eq!(collect(&registry), 0);
    assert!(registry.idle_work());
    assert_eq!(silent.charge(1), Charge::Live);
    assert_eq!(collect(&registry), 0);
    assert!(!registry.idle_work());
    let anchor = Anchor::at(&registry, &scope!(org = 1, user = 2), "test").unwrap();
    assert!(anchor.find(&registry).is_some());
    silent.release(1);
    drop(silent);
    assert_eq!(collect(&registry), 0);
    assert!(!registry.idle_work());
    drop(anchor);
    assert!(registry.idle_work());
    assert_eq!(collect(&registry), 2);
    assert!(registry.is_empty() && !registry.idle_work());
}

#[test]
fn collection_in_slices_removes_everything_and_returns_the_memory() {
    let registry = registry();
    for i in 0..10_000 {
        create(&registry, scope!(org = i / 100, user = i));
    }
    let kept = create(&registry, scope!(org = 5, user = 500));
    let (mut removed, mut steps) = (0, 0);
    while registry.idle_work() {
        let step = registry.collect_idle(64);
        // 64 nodes looked at, and at most one idle parent for each.
        assert!(step <= 128, "{step}");
        removed += step;
        steps += 1;
        assert!(steps < 10_000, "the work must end, or pause, while a node is held");
        if registry.len() == 2 && removed > 0 {
            break;
        }
    }
    assert_eq!((removed, registry.len()), (10_098, 2));
    drop(kept);
    collect(&registry);
    assert!(registry.is_empty() && !registry.idle_work());
    let places = registry.index.places();
    assert!(places <= Index::shards() * 64, "{places}");
}

#[test]
fn dead_nodes_below_a_detached_one_are_collected_when_nothing_holds_them() {
    let registry = registry();
    for user in 0..100 {
        create(&registry, scope!(org = 1, user = user, session = 1));
    }
    let session = find(&registry, scope!(org = 1, user = 7, session = 1)).unwrap();
    assert_eq!(session.charge(1), Charge::Live);
    registry.detach(&find(&registry, scope!(org = 1)).unwrap());
    collect(&registry);
    // The dead entry keeps its session, its user and the dead org; the org's successor was idle.
    assert_eq!(registry.len(), 3);
    session.release(1);
    drop(session);
    collect(&registry);
    assert!(registry.is_empty() && !registry.idle_work());
}

#[test]
fn anchor_finds_its_way_after_its_node_was_evicted_or_collected() {
    let registry = registry();
    let anchor = Anchor::at(&registry, &scope!(org = 1, user = 2), "test").unwrap();
    assert!(anchor.find(&registry).is_none() && registry.is_empty());
    let first = create(&registry, scope!(org = 1, user = 2));
    assert!(Arc::ptr_eq(&first, &anchor.find(&registry).unwrap()));
    registry.detach(&first);
    let second = anchor.find(&registry).unwrap();
    assert!(second.is_live() && second.id() != first.id());
    registry.detach(second.parent().unwrap());
    assert!(anchor.find(&registry).is_none());
    let third = anchor.create(&registry).unwrap();
    assert!(third.is_live() && third.same_path(&first));
    assert!(Arc::ptr_eq(&third, &anchor.create(&registry).unwrap()));
    assert!(
        anchor.with(&crate::epoch::pin(), &registry, |node| node.is_some_and(|node| node.id() == third.id()))
    );
    registry.detach(&registry.root());
    assert!(anchor.create(&registry).unwrap().is_live());
    assert_eq!(format!("{anchor:?}"), "Anchor(org:1/user:2)");
}

#[test]
fn anchor_of_the_root_follows_the_root() {
    let registry = registry();
    let anchor = Anchor::at(&registry, &scope!(global), "test").unwrap();
    let first = anchor.find(&registry).unwrap();
    registry.detach(&first);
    assert!(anchor.create(&registry).unwrap().is_live());
    assert!(Arc::ptr_eq(&anchor.find(&registry).unwrap(), &registry.root()));
}

#[test]
fn threads_that_create_and_detach_at_once_leave_exact_counts_and_no_nodes() {
    let registry = registry();
    std::thread::scope(|threads| {
        for thread in 0..4u64 {
            let registry = &registry;
            threads.spawn(move || {
                for i in 0..3_000u64 {
                    let node = create(registry, scope!(org = i % 3, user = i % 7));
                    // Dead or alive, it is taken back.
                    let _ = node.charge(i);
                    if (i + thread) % 5 == 0 {
                        registry.detach(&node);
                    }
                    if i % 64 == thread {
                        registry.detach(node.parent().unwrap());
                        registry.collect_idle(1_000);
                    }
                    node.release(i);
                }
            });
        }
    });
    let root = registry.root();
    assert_eq!(root.counts(), (0, 0));
    collect(&registry);
    assert!(registry.is_empty());
}
