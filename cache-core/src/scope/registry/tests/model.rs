//! The registry against a model that keeps a flat list of entries and compares whole paths.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::scope::ScopePath;

/// A path of up to three levels, ids 0 and 1.
type Path = Vec<u8>;

#[derive(Debug, Clone)]
enum Step {
    Find(Path),
    Create(Path),
    /// Through the anchor of the path, as a handle would.
    Anchored(Path),
    Charge(Path, u64),
    /// The entry at this place of the model's list, if there is one.
    Release(usize),
    Reweigh(usize, u64),
    Detach(Path),
    Collect(usize),
}

fn path() -> impl Strategy<Value = Path> {
    prop::collection::vec(0u8..2, 0..=3)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => path().prop_map(Step::Find),
        2 => path().prop_map(Step::Create),
        3 => path().prop_map(Step::Anchored),
        6 => (path(), 0u64..1000).prop_map(|(path, weight)| Step::Charge(path, weight)),
        4 => any::<usize>().prop_map(Step::Release),
        2 => (any::<usize>(), 0u64..1000).prop_map(|(place, weight)| Step::Reweigh(place, weight)),
        2 => path().prop_map(Step::Detach),
        2 => (0usize..300).prop_map(Step::Collect),
    ]
}

struct Entry {
    path: Path,
    weight: u64,
    live: bool,
    node: Arc<Node>,
}

fn place(tree: &ScopeTree, path: &Path) -> ScopePath {
    let ids: Vec<(&str, u8)> =
        ["org_id", "user_id", "session_id"].into_iter().zip(path.iter().copied()).collect();
    let level = ["global", "org", "user", "session"][path.len()];
    ScopePath::of(tree, &(level, ids.as_slice()), "test").unwrap()
}

#[derive(Default)]
struct Model {
    entries: Vec<Entry>,
    /// The path of every node ever seen, and whether it should be live.
    seen: BTreeMap<u64, (Path, bool)>,
    anchors: BTreeMap<Path, Anchor>,
}

impl Model {
    fn see(&mut self, path: &Path, node: &Arc<Node>) {
        assert!(node.is_live());
        let (known, live) = self.seen.entry(node.id()).or_insert_with(|| (path.clone(), true));
        assert_eq!((&*known, *live), (path, true), "an id stands for one incarnation of one path");
    }

    /// What lives at or below a path.
    fn below(&self, path: &Path) -> Detached {
        let live = self.entries.iter().filter(|entry| entry.live && entry.path.starts_with(path));
        live.fold(Detached { entries: 0, weight: 0 }, |sum, entry| Detached {
            entries: sum.entries + 1,
            weight: sum.weight + entry.weight.cast_signed(),
        })
    }
}

fn run(steps: Vec<Step>) {
    let tree = ScopeTree::default();
    let registry = Registry::new(tree.clone(), TrackedLevels::First);
    let mut model = Model::default();
    for step in steps {
        match step {
            Step::Find(path) => {
                let before = registry.len();
                let found = find(&registry, place(&tree, &path));
                // Other tests' threads may drop what this registry left to readers.
                assert!(registry.len() <= before, "a look creates nothing");
                if let Some(node) = found {
                    model.see(&path, &node);
                }
            }
            Step::Create(path) => {
                let node = create(&registry, place(&tree, &path));
                model.see(&path, &node);
            }
            Step::Anchored(path) => {
                let anchor = model
                    .anchors
                    .entry(path.clone())
                    .or_insert_with(|| Anchor::new(&registry, place(&tree, &path)));
                let (found, created) = (anchor.find(&registry), anchor.create(&registry).unwrap());
                assert!(found.is_none_or(|found| Arc::ptr_eq(&found, &created)));
                model.see(&path, &created);
            }
            Step::Charge(path, weight) => {
                let node = create(&registry, place(&tree, &path));
                model.see(&path, &node);
                assert_eq!(node.charge(weight), Charge::Live);
                model.entries.push(Entry { path, weight, live: true, node });
            }
            Step::Release(place) if !model.entries.is_empty() => {
                let entry = model.entries.swap_remove(place % model.entries.len());
                tally::count(None, Some(entry.node.stats()), Event::Removed);
                entry.node.release(entry.weight);
            }
            Step::Reweigh(place, weight) if !model.entries.is_empty() => {
                let place = place % model.entries.len();
                let entry = &mut model.entries[place];
                entry.node.reweigh(weight as i64 - entry.weight as i64);
                entry.weight = weight;
            }
            Step::Detach(path) => {
                if let Some(node) = find(&registry, place(&tree, &path)) {
                    assert_eq!(registry.detach(&node), Some(model.below(&path)));
                    assert_eq!(registry.detach(&node), None);
                }
                model.entries.iter_mut().for_each(|entry| entry.live &= !entry.path.starts_with(&path));
                model.seen.values_mut().for_each(|(at, live)| *live &= !at.starts_with(&path));
            }
            Step::Collect(budget) => {
                registry.collect_idle(budget);
            }
            Step::Release(_) | Step::Reweigh(..) => {}
        }
        quiescent(&registry, &tree, &mut model);
    }
    model.entries.drain(..).for_each(|entry| {
        entry.node.release(entry.weight);
    });
    model.anchors.clear();
    collect(&registry);
    assert!(registry.is_empty() && !registry.idle_work(), "{registry:?}");
    assert_eq!(registry.root().counts(), (0, 0));
}

/// Between steps everything is exact.
fn quiescent(registry: &Registry, tree: &ScopeTree, model: &mut Model) {
    for path in all_paths() {
        let Detached { entries, weight } = model.below(&path);
        let Some(node) = find(registry, place(tree, &path)) else {
            assert_eq!(entries, 0, "a path with entries has a node");
            continue;
        };
        model.see(&path, &node);
        assert_eq!(node.counts(), (entries, weight), "{node:?}");
    }
    let word = registry.word();
    for entry in &model.entries {
        assert_eq!((entry.node.is_live(), entry.node.is_live_at(word)), (entry.live, entry.live));
        let found = find(registry, place(tree, &entry.path));
        let same = found.is_some_and(|found| Arc::ptr_eq(&found, &entry.node));
        assert_eq!(same, entry.live, "{:?}", entry.node);
    }
}

fn all_paths() -> Vec<Path> {
    let mut paths = vec![Path::new()];
    for place in 0.. {
        let Some(path) = paths.get(place).cloned() else {
            break;
        };
        if path.len() < 3 {
            paths.extend((0..2).map(|id| [path.as_slice(), &[id]].concat()));
        }
    }
    paths
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]
    #[test]
    fn registry_agrees_with_a_flat_list_of_entries(steps in prop::collection::vec(step(), 1..80)) {
        run(steps);
    }
}
