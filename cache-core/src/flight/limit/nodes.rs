//! The paths that loads run or wait for, as a tree: what each of them holds, and what is set for it.
//!
//! (1) A node exists while something runs, waits or is set at it or below it; the root always does. (2) A number of a
//! node is used again only after (1) has ended it, so permits and waiting loads keep theirs. (3) Paths are compared by
//! whole segments. Cost: a hash per level to find a path.

use std::collections::{BTreeMap, HashMap};

use hashbrown::Equivalent;

use super::LoadLimit;
use crate::scope::LevelId;

/// One node of a [`Tree`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct NodeId(u32);

impl NodeId {
    pub(super) const ROOT: Self = Self(0);

    const fn index(self) -> usize {
        self.0 as usize
    }
}

/// One step of a path: a level and the id on it, from the first level down.
pub(super) type Step<'a> = (LevelId, &'a str);

/// The limits of whole levels.
#[derive(Debug, Default)]
pub struct Defaults {
    /// Of the root scope.
    pub root: Option<LoadLimit>,
    /// Of each scope on a level.
    pub levels: HashMap<LevelId, LoadLimit>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    above: NodeId,
    level: LevelId,
    id: Box<str>,
}

#[derive(Hash)]
struct Look<'a> {
    above: NodeId,
    level: LevelId,
    id: &'a str,
}

impl Equivalent<Key> for Look<'_> {
    fn equivalent(&self, key: &Key) -> bool {
        self.above == key.above && self.level == key.level && *self.id == *key.id
    }
}

/// Who asks for turns at a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tenant {
    /// Loads for the node's own scope.
    Own,
    /// Loads for a child's, or below it.
    Child(NodeId),
}

/// What is known of one path.
#[derive(Debug, Default)]
pub(super) struct Node {
    key: Option<Key>,
    children: u32,
    /// The limit set for this path.
    set: Option<LoadLimit>,
    /// Permits held here, by loads here and below.
    pub(super) held: u32,
    /// Loads that wait, here and below.
    pub(super) waiting: u32,
    /// Tenants of which something waits.
    pub(super) claimants: u32,
    /// Who waits for this very scope, by arrival.
    pub(super) queue: BTreeMap<u64, u64>,
    /// Tenants that could go on if this node had room, by whose turn it is.
    pub(super) ready: BTreeMap<u64, Tenant>,
    /// The place of its own queue in `ready`.
    pub(super) own_turn: Option<u64>,
    /// The place of the node in `ready` of the one above.
    pub(super) turn: Option<u64>,
}

/// All nodes.
#[derive(Debug)]
pub(super) struct Tree {
    nodes: Vec<Node>,
    free: Vec<NodeId>,
    index: hashbrown::HashMap<Key, NodeId, ahash::RandomState>,
    defaults: Defaults,
    /// Paths with a limit of their own.
    set: usize,
}

impl Tree {
    pub(super) fn new(defaults: Defaults) -> Self {
        let index = hashbrown::HashMap::with_hasher(ahash::RandomState::new());
        Self { nodes: vec![Node::default()], free: Vec::new(), index, defaults, set: 0 }
    }

    /// Whether any limit is set.
    pub(super) fn has_limits(&self) -> bool {
        self.set > 0 || self.defaults.root.is_some() || !self.defaults.levels.is_empty()
    }

    /// The node of a path, made if need be. Whoever made it lets something run or wait there, or prunes it.
    pub(super) fn open<'a>(&mut self, path: impl Iterator<Item = Step<'a>>) -> NodeId {
        let mut at = NodeId::ROOT;
        for (level, id) in path {
            at = match self.index.get(&Look { above: at, level, id }) {
                Some(&known) => known,
                None => self.add(Key { above: at, level, id: id.into() }),
            };
        }
        at
    }

    /// The limit of a path, whether there is a node for it or not.
    pub(super) fn limit_of<'a>(&self, path: impl Iterator<Item = Step<'a>>) -> Option<LoadLimit> {
        let (mut at, mut last) = (Some(NodeId::ROOT), None);
        for (level, id) in path {
            at = at.and_then(|above| self.index.get(&Look { above, level, id }).copied());
            last = Some(level);
        }
        at.and_then(|at| self[at].set).or_else(|| self.default_of(last))
    }

    pub(super) fn set_limit(&mut self, at: NodeId, limit: Option<LoadLimit>) {
        let before = std::mem::replace(&mut self[at].set, limit);
        self.set = self.set + usize::from(limit.is_some()) - usize::from(before.is_some());
    }

    /// The limit that holds at a node: its path's, or its level's.
    pub(super) fn limit(&self, at: NodeId) -> Option<LoadLimit> {
        let node = &self[at];
        node.set.or_else(|| self.default_of(node.key.as_ref().map(|key| key.level)))
    }

    pub(super) fn has_room(&self, at: NodeId) -> bool {
        self.limit(at).is_none_or(|limit| self[at].held < limit.most())
    }

    pub(super) fn above(&self, at: NodeId) -> Option<NodeId> {
        self[at].key.as_ref().map(|key| key.above)
    }

    /// The nodes of a path, the root last.
    pub(super) fn path(&self, at: NodeId) -> impl Iterator<Item = NodeId> {
        std::iter::successors(Some(at), |&at| self.above(at))
    }

    /// Forgets a node that nothing is known of, and those above it that were kept for its sake.
    pub(super) fn prune(&mut self, mut at: NodeId) {
        while let Some(above) = self.above(at) {
            let node = &self[at];
            if node.children > 0 || node.held > 0 || node.waiting > 0 || node.set.is_some() {
                return;
            }
            if let Some(key) = self[at].key.take() {
                self.index.remove(&key);
            }
            self[at] = Node::default();
            self.free.push(at);
            self[above].children -= 1;
            at = above;
        }
        if self.index.is_empty() {
            // Nothing is kept for tenants that are gone.
            self.nodes.truncate(1);
            self.free = Vec::new();
            self.index.shrink_to_fit();
        }
    }

    /// How many paths are known, the root's among them.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.index.len() + 1
    }

    fn default_of(&self, level: Option<LevelId>) -> Option<LoadLimit> {
        match level {
            Some(level) => self.defaults.levels.get(&level).copied(),
            None => self.defaults.root,
        }
    }

    fn add(&mut self, key: Key) -> NodeId {
        let at = self.free.pop().unwrap_or_else(|| {
            self.nodes.push(Node::default());
            NodeId(u32::try_from(self.nodes.len() - 1).expect("fewer than 2^32 scopes load at once"))
        });
        self[key.above].children += 1;
        self[at].key = Some(key.clone());
        self.index.insert(key, at);
        at
    }
}

impl std::ops::Index<NodeId> for Tree {
    type Output = Node;

    fn index(&self, at: NodeId) -> &Node {
        &self.nodes[at.index()]
    }
}

impl std::ops::IndexMut<NodeId> for Tree {
    fn index_mut(&mut self, at: NodeId) -> &mut Node {
        &mut self.nodes[at.index()]
    }
}
