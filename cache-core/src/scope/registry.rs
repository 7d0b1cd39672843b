//! The live scope tree: which nodes exist, and how one is put in the place of another.
//!
//! (1) A node that somebody holds is in the index, or was detached, or stands below one that was: only the collector
//! removes nodes, and only those that nothing but the index holds, seen under the write lock that look-ups would need.
//! (2) The index is keyed by the parent's id, which is never used again: below a replaced node nothing can be found.
//! (3) `detach` kills, then replaces, then raises the word. So whoever reads the new word (or calls after `detach`
//! returned) finds the successor, never the dead node nor anything below it; whoever verified a node under the old word
//! verifies it again. (4) Look-ups never create. (5) At most one shard is locked at a time, and nothing that could be
//! the last holder of a node is dropped under its lock.
//! Cost: a look-up is one shared lock and one comparison of ids per level; a detachment one exclusive lock, whatever
//! lies below.

use std::hash::{BuildHasher, Hasher};

use ahash::RandomState;
use arc_swap::ArcSwap;
use hashbrown::HashTable;

use super::id::IdText;
use super::node::{Detached, Node, Seed, Shared};
use super::number::Numbers;
use super::path::Locate;
use super::tree::{LevelId, ScopeTree};
use crate::error::Result;
use crate::stats::ScopeStats;
use crate::sync::{Arc, AtomicBool, AtomicU64, AtomicUsize, Mutex, Ordering, RwLock};

mod collect;

const SHARDS: usize = if cfg!(shuttle) { 2 } else { 64 };

/// Which levels count look-ups; loads and removals are counted at all of them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum TrackedLevels {
    /// The levels directly under the root scope.
    #[default]
    First,
    /// These levels.
    Levels(Vec<LevelId>),
    /// No level.
    None,
}

type Shard = HashTable<Arc<Node>>;

/// The nodes of one cache.
pub struct Registry {
    shared: Arc<Shared>,
    /// By place of the level.
    tracked: Box<[bool]>,
    state: RandomState,
    shards: Box<[RwLock<Shard>]>,
    root: ArcSwap<Node>,
    /// The id of `root`, or of one that came before while a detachment of it is under way.
    root_id: AtomicU64,
    next_id: AtomicU64,
    word: AtomicU64,
    collector: Mutex<collect::Cursor>,
}

impl Registry {
    /// A registry with a root and nothing below it.
    pub fn new(tree: ScopeTree, tracked: TrackedLevels) -> Self {
        let tracked = tree.levels().map(|level| match &tracked {
            TrackedLevels::First => tree.is_first(level),
            TrackedLevels::Levels(levels) => levels.contains(&level),
            TrackedLevels::None => false,
        });
        let tracked = tracked.collect();
        // Schedules can be replayed only if nothing else is random.
        let state = if cfg!(shuttle) { RandomState::with_seeds(1, 2, 3, 4) } else { RandomState::new() };
        let shared = Arc::new(Shared {
            tree,
            nodes: AtomicUsize::new(0),
            stirred: AtomicBool::new(false),
            numbers: Numbers::default(),
        });
        let root = Seed {
            id: 0,
            level: None,
            text: IdText::borrowed(""),
            path_hash: state.hash_one(()),
            stats: Arc::default(),
        };
        let root = Node::new(&shared, None, root);
        // The root is never idle.
        shared.stirred.store(false, Ordering::Release);
        Self {
            shared,
            tracked,
            state,
            shards: (0..SHARDS).map(|_| RwLock::new(Shard::new())).collect(),
            root: ArcSwap::new(root),
            root_id: AtomicU64::new(0),
            next_id: AtomicU64::new(1),
            word: AtomicU64::new(0),
            collector: Mutex::new(collect::Cursor::default()),
        }
    }

    /// The tree of levels.
    #[inline]
    pub fn tree(&self) -> &ScopeTree {
        &self.shared.tree
    }

    /// The present root.
    pub fn root(&self) -> Arc<Node> {
        self.root.load_full()
    }

    /// Moves whenever a detachment completes. What was found live after this was read stays live while it does not move.
    #[inline]
    pub fn word(&self) -> u64 {
        self.word.load(Ordering::Acquire)
    }

    /// Nodes that exist besides the root, living or dead, in the index or held.
    pub fn len(&self) -> usize {
        self.shared.nodes.load(Ordering::Relaxed).saturating_sub(1)
    }

    /// Whether there is no node besides the root.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a node is of this registry.
    pub fn owns(&self, node: &Node) -> bool {
        Arc::ptr_eq(&self.shared, node.shared())
    }

    /// The node of a place, if it has one. Creates nothing, allocates nothing.
    ///
    /// # Errors
    /// Those of [`Locate`]: they do not depend on what exists.
    pub fn find(&self, place: &(impl Locate + ?Sized), operation: &'static str) -> Result<Option<Arc<Node>>> {
        let tree = self.tree();
        let Some(level) = place.level(tree, operation)? else {
            return Ok(Some(self.root()));
        };
        let Some((&last, above)) = tree.path(level).split_last() else {
            return Ok(None);
        };
        // The root's id alone: nothing below needs to hold the nodes it passes.
        let mut parent = Some(self.root_id.load(Ordering::Acquire));
        for (position, &level) in above.iter().enumerate() {
            let id = place.id(tree, level, position, operation)?;
            parent = parent.and_then(|parent| self.look(parent, level, id.as_bytes(), |node| node.id()));
        }
        let id = place.id(tree, last, above.len(), operation)?;
        Ok(parent.and_then(|parent| self.look(parent, last, id.as_bytes(), Arc::clone)))
    }

    /// The lowest node on the way to a place: its own, or one above. Creates nothing, allocates nothing.
    ///
    /// # Errors
    /// Those of [`Locate`].
    pub fn nearest(&self, place: &(impl Locate + ?Sized), operation: &'static str) -> Result<Arc<Node>> {
        let tree = self.tree();
        let mut node = self.root();
        let path = place.level(tree, operation)?.map_or(&[][..], |level| tree.path(level));
        for (position, &level) in path.iter().enumerate() {
            let id = place.id(tree, level, position, operation)?;
            match self.look(node.id(), level, id.as_bytes(), Arc::clone) {
                Some(found) => node = found,
                None => break,
            }
        }
        Ok(node)
    }

    /// The node of a place, made if it has none. Under a concurrent detachment it may be dead: its charges say so.
    ///
    /// # Errors
    /// Those of [`Locate`]; then nothing is created.
    pub fn find_or_create(
        &self,
        place: &(impl Locate + ?Sized),
        operation: &'static str,
    ) -> Result<Arc<Node>> {
        // This also checks every id, so that a path with a bad one leaves no nodes behind.
        if let Some(found) = self.find(place, operation)? {
            return Ok(found);
        }
        let tree = self.tree();
        let mut node = self.root();
        // A detachment may have put this root in place and not yet said so to look-ups. What is made below it has to be
        // found, and detached, by whoever comes from now on.
        if self.root_id.load(Ordering::Acquire) < node.id() {
            self.root_id.fetch_max(node.id(), Ordering::AcqRel);
        }
        let path = place.level(tree, operation)?.map_or(&[][..], |level| tree.path(level));
        for (position, &level) in path.iter().enumerate() {
            let id = place.id(tree, level, position, operation)?;
            node = match self.look(node.id(), level, id.as_bytes(), Arc::clone) {
                Some(found) => found,
                None => self.create(node, level, id),
            };
        }
        Ok(node)
    }

    /// Detaches a node and all below it: whatever begins after this returned sees none of it, and a path found again
    /// has a new node with the same counters. `None` if the node was dead already, or is not of this registry.
    pub fn detach(&self, node: &Arc<Node>) -> Option<Detached> {
        if !self.owns(node) {
            return None;
        }
        let taken = if node.is_live() { node.kill() } else { None };
        // Also where another thread killed it first: this call may not return before (3) holds. What is highest hides
        // all below it.
        if let Some(highest) = node.chain().filter(|node| node.is_dead()).last() {
            self.announce(highest);
        }
        taken
    }

    /// Carries a detachment from the kill to its end, unless that is done. Several threads may, each from the start.
    fn announce(&self, dead: &Node) {
        if dead.is_announced() {
            return;
        }
        let fresh = self.successor(dead);
        if dead.level().is_some() {
            self.replace(dead, fresh);
        } else {
            let present = self.root.load();
            if present.id() == dead.id() {
                self.root.compare_and_swap(&*present, fresh);
            }
            // Ids rise, so this also waits for nobody: whoever swapped, the word moves after the id did.
            self.root_id.fetch_max(self.root.load().id(), Ordering::AcqRel);
        }
        self.word.fetch_add(1, Ordering::AcqRel);
        dead.set_announced();
    }

    /// Finds a child and answers something about it, under the shard's lock.
    #[inline]
    fn look<R>(
        &self,
        parent: u64,
        level: LevelId,
        text: &[u8],
        answer: impl FnOnce(&Arc<Node>) -> R,
    ) -> Option<R> {
        let hash = self.hash((parent, level, text));
        let shard = self.shard(hash).read();
        shard.find(hash, |node| node.is_child(parent, level, text)).map(answer)
    }

    fn create(&self, parent: Arc<Node>, level: LevelId, text: IdText<'_>) -> Arc<Node> {
        let above = parent.id();
        let stats = ScopeStats::new(Some(Arc::clone(parent.stats())), self.tracked[level.index()]);
        let fresh = self.make(parent, level, text.into_owned(), Arc::new(stats));
        let text = fresh.id_text().as_bytes();
        let hash = self.hash((above, level, text));
        let mut shard = self.shard(hash).write();
        let entry = shard.entry(hash, |node| node.is_child(above, level, text), |node| self.hash_of(node));
        let node = Arc::clone(entry.or_insert_with(|| Arc::clone(&fresh)).get());
        drop(shard);
        // Where another thread was faster, `fresh` goes here, outside the lock.
        node
    }

    fn make(
        &self,
        parent: Arc<Node>,
        level: LevelId,
        text: IdText<'static>,
        stats: Arc<ScopeStats>,
    ) -> Arc<Node> {
        let seed = Seed {
            id: self.next_id.fetch_add(1, Ordering::Relaxed),
            level: Some(level),
            path_hash: self.state.hash_one((parent.path_hash(), level, text.as_bytes())),
            text,
            stats,
        };
        Node::new(&self.shared, Some(parent), seed)
    }

    fn successor(&self, node: &Node) -> Arc<Node> {
        let stats = Arc::clone(node.stats());
        if let (Some(parent), Some(level)) = (node.parent(), node.level()) {
            return self.make(Arc::clone(parent), level, node.id_text().clone(), stats);
        }
        let seed = Seed {
            id: self.next_id.fetch_add(1, Ordering::Relaxed),
            level: None,
            text: IdText::borrowed(""),
            path_hash: node.path_hash(),
            stats,
        };
        Node::new(&self.shared, None, seed)
    }

    fn replace(&self, dead: &Node, mut fresh: Arc<Node>) {
        let hash = self.hash_of(dead);
        let mut shard = self.shard(hash).write();
        if let Some(held) = shard.find_mut(hash, |held| held.id() == dead.id()) {
            std::mem::swap(held, &mut fresh);
        }
        drop(shard);
        // The dead node, or a successor that was not needed, goes here, outside the lock.
        drop(fresh);
    }

    #[inline]
    fn hash(&self, (parent, level, text): (u64, LevelId, &[u8])) -> u64 {
        // One number and one text, of which the hasher takes the length itself: collisions cost time only.
        let mut hasher = self.state.build_hasher();
        hasher.write_u64(parent.rotate_left(16) ^ level.index() as u64);
        hasher.write(text);
        hasher.finish()
    }

    fn hash_of(&self, node: &Node) -> u64 {
        // The root is not in the index; every other node has a key.
        node.key().map_or(0, |key| self.hash(key))
    }

    #[inline]
    fn shard(&self, hash: u64) -> &RwLock<Shard> {
        // The table uses the lowest and the highest bits.
        &self.shards[(hash >> 32) as usize % SHARDS]
    }
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry")
            .field("tree", self.tree())
            .field("len", &self.len())
            .field("word", &self.word())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[cfg(not(shuttle))]
mod tests;
