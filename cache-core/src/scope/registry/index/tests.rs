//! The index against a map, with hashes that meet all the time.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::scope::node::{Seed, Shared};
use crate::scope::tree::ScopeTree;
use crate::sync::AtomicBool;

/// The parent's id and the id of a node, both small.
type Name = (u64, u64);

#[derive(Debug, Clone)]
enum Step {
    Insert(Name),
    Replace(Name),
    TakeIdle(Name),
    /// Keeps a hold of what is there, or lets go of it.
    Hold(Name),
    Sweep(usize),
}

fn name() -> impl Strategy<Value = Name> {
    (1u64..3, 0u64..60)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => name().prop_map(Step::Insert),
        2 => name().prop_map(Step::Replace),
        3 => name().prop_map(Step::TakeIdle),
        2 => name().prop_map(Step::Hold),
        1 => (1usize..100).prop_map(Step::Sweep),
    ]
}

struct World {
    index: Index,
    shared: Arc<Shared>,
    level: LevelId,
    made: u64,
    /// The id of the node of each name.
    model: BTreeMap<Name, u64>,
    held: BTreeMap<Name, Arc<Node>>,
    /// How many of the hash's bits count.
    bits: u64,
}

impl World {
    fn new(bits: u64) -> Self {
        let tree = ScopeTree::default();
        let level = tree.level("user").unwrap();
        let shared = Arc::new(Shared::new(tree));
        let index = Index::new(&RandomState::with_seeds(1, 2, 3, 4));
        Self { index, shared, level, made: 10, model: BTreeMap::new(), held: BTreeMap::new(), bits }
    }

    fn with<R>(&self, (above, id): Name, run: impl FnOnce(&Key<'_>) -> R) -> R {
        let text = IdText::display(format_args!("a user of some length: {id}"));
        let mut key = self.index.key(above, self.level, (&text, text.brief()));
        key.hash = key.hash & self.bits | 1;
        run(&key)
    }

    fn make(&mut self, (above, id): Name) -> Arc<Node> {
        let seed = |id, text, level| Seed { id, level, text, path_hash: 0, stats: Arc::default() };
        let parent = Node::new(&self.shared, None, seed(above, IdText::borrowed(""), None));
        self.made += 1;
        let text = IdText::display(format_args!("a user of some length: {id}"));
        Node::new(&self.shared, Some(parent), seed(self.made, text, Some(self.level)))
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Insert(name) => {
                let fresh = self.make(name);
                let there = self.with(name, |key| self.index.insert(key, &fresh));
                assert_eq!(*self.model.entry(name).or_insert(fresh.id()), there.id());
            }
            Step::Replace(name) => {
                let (fresh, old) = (self.make(name), self.model.get(&name).copied());
                let id = fresh.id();
                let left = self.with(name, |key| self.index.replace(key, old.unwrap_or(1), fresh)).unwrap();
                assert_eq!(left.id(), old.unwrap_or(id));
                if old.is_some() {
                    self.model.insert(name, id);
                    self.held.remove(&name);
                }
            }
            Step::TakeIdle(name) => {
                let id = self.model.get(&name).copied();
                let taken = self.with(name, |key| self.index.take_idle(key, id.unwrap_or(1)));
                assert!(taken.is_none() || !self.held.contains_key(&name), "somebody holds it");
                if let Some(taken) = taken {
                    assert_eq!(self.model.remove(&name), Some(taken.value().id()));
                }
            }
            Step::Hold(name) => match self.with(name, |key| self.index.hold(key)) {
                Some(node) if !self.held.contains_key(&name) => drop(self.held.insert(name, node)),
                _ => drop(self.held.remove(&name)),
            },
            Step::Sweep(most) => {
                let mut idle = Vec::new();
                for shard in 0..Index::shards() {
                    let mut from = Some(0);
                    while let Some(place) = from {
                        from = self.index.sweep(shard, place, most, &mut idle, |_| ()).1;
                    }
                }
                for node in idle {
                    let name =
                        self.model.iter().find(|(_, id)| **id == node.value().id()).map(|(name, _)| *name);
                    let name = name.expect("it was there");
                    assert!(!self.held.contains_key(&name), "somebody holds it");
                    self.model.remove(&name);
                }
            }
        }
        self.check();
    }

    fn check(&self) {
        let pin = epoch::pin();
        for above in 1..3 {
            for id in 0..60 {
                let found = self.with((above, id), |key| self.index.id(&pin, key));
                assert_eq!(found, self.model.get(&(above, id)).copied(), "{above} {id}");
            }
        }
        let nodes: usize = self.index.books.iter().map(|books| books.read().nodes).sum();
        assert_eq!(nodes, self.model.len());
        for (table, books) in self.index.tables.iter().zip(self.index.books.iter()) {
            if let Some(table) = table.load(&pin) {
                let words =
                    table.places.iter().filter(|place| place.word.load(Ordering::Relaxed) != 0).count();
                assert_eq!(words, books.read().words);
                assert!(words * 4 <= table.places.len() * 3, "look-ups need an end");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]
    #[test]
    fn index_agrees_with_a_map(
        bits in prop::sample::select(vec![0, 0b110, 0xFF, u64::MAX]),
        steps in prop::collection::vec(step(), 1..200),
    ) {
        let mut world = World::new(bits);
        steps.into_iter().for_each(|step| world.take(step));
        // What nobody holds goes, the old tables when nobody can read them.
        world.held.clear();
        for _ in 0..1_000 {
            epoch::settle();
            world.take(Step::Sweep(7));
        }
        prop_assert!(world.model.is_empty());
    }
}

/// Many scopes come and go in one place; what stays is found all the time.
#[test]
fn what_stays_is_found_while_others_come_and_go_and_tables_change() {
    let world = std::sync::RwLock::new(World::new(u64::MAX));
    let stays: Vec<Arc<Node>> = (0..200)
        .map(|id| {
            let mut world = world.write().unwrap();
            let node = world.make((1, id));
            world.with((1, id), |key| world.index.insert(key, &node))
        })
        .collect();
    let nodes: Vec<Arc<Node>> = (0..8_000).map(|id| world.write().unwrap().make((2, id))).collect();
    let (world, done) = (world.read().unwrap(), AtomicBool::new(false));
    std::thread::scope(|threads| {
        for _ in 0..2 {
            threads.spawn(|| {
                let mut rounds = 0;
                while !done.load(Ordering::Acquire) || rounds == 0 {
                    for (id, node) in stays.iter().enumerate() {
                        let pin = epoch::pin();
                        let found = world.with((1, id as u64), |key| world.index.id(&pin, key));
                        assert_eq!(found, Some(node.id()));
                    }
                    rounds += 1;
                }
            });
        }
        for round in 0..4 {
            for (id, node) in nodes.iter().enumerate() {
                world.with((2, id as u64), |key| world.index.insert(key, node));
            }
            for (id, node) in nodes.iter().enumerate().skip(round) {
                let fresh = Arc::clone(&nodes[(id + 1) % nodes.len()]);
                world.with((2, id as u64), |key| world.index.replace(key, node.id(), fresh));
                world.with((2, id as u64), |key| {
                    let pin = epoch::pin();
                    let mut shard = world.index.lock(Index::shard(key.hash));
                    let table = shard.slot.load(&pin).unwrap();
                    let found = table.at(&pin, key.hash, |_| true);
                    found.map(|(place, _)| shard.take_out(place))
                });
            }
        }
        done.store(true, Ordering::Release);
    });
}
