//! The live scope tree: which nodes exist, and how one is put in the place of another.
//!
//! (1) A node that somebody holds is in the index, or was detached, or stands below one that was: only the collector
//! removes nodes, and only those that nothing but the index holds, seen under the write lock that whoever takes a hold
//! would need.
//! (2) The index is keyed by the parent's id, which is never used again: below a replaced node nothing can be found.
//! (3) `detach` kills, then replaces, then raises the word. So whoever reads the new word (or calls after `detach`
//! returned) finds the successor, never the dead node nor anything below it; whoever verified a node under the old word
//! verifies it again. (4) Look-ups never create. (5) At most one shard is locked at a time, and nothing that could be
//! the last holder of a node is dropped under its lock. (6) A look-up alone (`with`) takes no lock and no hold: what it finds
//! is good while the caller is pinned, and may have been collected meanwhile, for want of entries.
//! Cost: a look-up is one hash, one look at a table and one comparison of ids per level; with a hold one shared lock more;
//! a detachment is one exclusive lock, whatever lies below.

use ahash::RandomState;

use super::budget::{Account, Budget, Budgets};
use super::cell::{Cell, CellWord, Live, Withdrawn};
use super::id::{IdText, accepted};
use super::node::{Detached, Node, Seed, Shared};
use super::path::{Locate, PathIds, ScopePath};
use super::tag::Tags;
use super::tree::{LevelId, ScopeTree};
use super::word::Word;
use crate::epoch::{self, Pin, Slot};
use crate::error::Result;
use crate::stats::ScopeStats;
use crate::sync::{Arc, AtomicU64, Mutex, Ordering};

mod collect;
mod index;
mod walk;

use index::Index;

/// Which levels have counters of their own, beside the root scope, which counts everything but look-ups. What happens in scopes of
/// other levels counts for the nearest scope above that has some.
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

/// The nodes of one cache.
pub struct Registry {
    shared: Arc<Shared>,
    /// By place of the level.
    tracked: Box<[bool]>,
    state: RandomState,
    index: Index,
    /// Never empty.
    root: Slot<Node>,
    /// Where handles point that have not found their scope.
    nowhere: Arc<Node>,
    /// The id of `root`, or of one that came before while a detachment of it is under way.
    root_id: AtomicU64,
    next_id: AtomicU64,
    word: Arc<Word>,
    budgets: Budgets,
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
        let (nowhere, budgets) = (Node::nowhere(&tree), Budgets::new(&tree));
        let shared = Arc::new(Shared::new(tree));
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
            index: Index::new(&state),
            state,
            root: Slot::new(Some(root)),
            nowhere,
            root_id: AtomicU64::new(0),
            next_id: AtomicU64::new(1),
            word: Arc::new(Word::new()),
            budgets,
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
        // Whoever is pinned may take a hold of it: a root is never idle.
        let root = self.root.load(&epoch::pin()).map(|root| Arc::clone(&root));
        root.expect("there is a root from the beginning, and only another one takes its place")
    }

    /// The entries and the weight charged to the present root.
    pub fn total(&self) -> (u64, u64) {
        let pin = epoch::pin();
        let root = self.root.load(&pin);
        root.map_or((0, 0), |root| (root.entries(), root.weight()))
    }

    /// Moves whenever a detachment completes. What was found live after this was read stays live while it does not move.
    #[inline]
    pub fn word(&self) -> u64 {
        self.word.read()
    }

    /// Where handles point that have not found their scope.
    pub(super) fn nowhere(&self) -> &Arc<Node> {
        &self.nowhere
    }

    /// What scopes may hold.
    #[inline]
    pub fn budgets(&self) -> &Budgets {
        &self.budgets
    }

    /// Where the word is read.
    pub fn words(&self) -> &Arc<Word> {
        &self.word
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

    /// Calls with the node of a place, if it has one. No lock, no count, no allocation; creates nothing. The node is good
    /// for as long as the pin, for reading: whoever wants to keep it, or to charge it, asks [`find`](Self::find).
    ///
    /// # Errors
    /// Those of [`Locate`]: they do not depend on what exists. Then nothing is called.
    #[inline]
    pub fn with<R>(
        &self,
        pin: &Pin,
        place: &(impl Locate + ?Sized),
        operation: &'static str,
        run: impl FnOnce(Option<&Node>) -> R,
    ) -> Result<R> {
        let tree = self.tree();
        let path = place.level(tree, operation)?.map_or(&[][..], |level| tree.path(level));
        // One call at the end, so that what is run is compiled once.
        let (table, mut kept);
        let found = match path.split_last() {
            None => self.root.load(pin),
            Some((&last, above)) => {
                let parent = self.parent(pin, place, above, operation)?;
                kept = None;
                let text = place.id_brief(tree, (last, above.len()), &mut kept, operation)?;
                match parent {
                    Some(parent) => {
                        let key = self.index.key(parent, last, text);
                        table = self.index.table(pin, &key);
                        table.as_ref().and_then(|table| table.find(pin, &key))
                    }
                    None => None,
                }
            }
        };
        Ok(run(found.as_ref().map(|node| &***node)))
    }

    /// As [`with`](Self::with), where there is a node. Says nothing of what may be wrong with the place.
    #[inline]
    pub fn glance<R>(
        &self,
        pin: &Pin,
        place: &(impl Locate + ?Sized),
        run: impl FnOnce(&Node) -> Option<R>,
    ) -> Option<R> {
        self.with(pin, place, "glance", |node| node.and_then(run)).ok().flatten()
    }

    /// As [`glance`](Self::glance), of a path whose `level` is what [`Locate::level`] said of its names, for this registry's tree:
    /// the level has as many above it as the path has names, or none where it has none.
    #[inline(always)]
    pub fn glance_path<R, const N: usize>(
        &self,
        pin: &Pin,
        (level, path): (Option<LevelId>, &PathIds<'_, N>),
        run: impl FnOnce(&Node) -> Option<R>,
    ) -> Option<R> {
        if N == 0 {
            return run(&*self.root.load(pin)?);
        }
        let levels: &[LevelId; N] = self.tree().path(level?).try_into().ok()?;
        let (top, path) = (self.root_id.load(Ordering::Acquire), (levels, path.ids()));
        // Written out for the usual ones: what is indexed by a variable cannot stay in registers.
        let parent = match N {
            1 => top,
            2 => self.id_below(pin, top, path, 0)?,
            3 => self.id_below(pin, self.id_below(pin, top, path, 0)?, path, 1)?,
            _ => (0..N - 1).try_fold(top, |parent, at| self.id_below(pin, parent, path, at))?,
        };
        let key = self.key_below(parent, path, N - 1)?;
        let table = self.index.table(pin, &key)?;
        let node = table.find(pin, &key)?;
        run(&node)
    }

    /// The id of the node at a position of a path, below a parent.
    #[inline(always)]
    fn id_below<const N: usize>(
        &self,
        pin: &Pin,
        parent: u64,
        path: (&[LevelId; N], &[IdText<'_>; N]),
        at: usize,
    ) -> Option<u64> {
        self.index.id(pin, &self.key_below(parent, path, at)?)
    }

    #[inline(always)]
    fn key_below<'a, const N: usize>(
        &self,
        parent: u64,
        (levels, ids): (&[LevelId; N], &'a [IdText<'_>; N]),
        at: usize,
    ) -> Option<index::Key<'a>> {
        let id = &ids[at];
        Some(self.index.key(parent, levels[at], (id, accepted(id)?)))
    }

    /// The node of a place, if it has one, held. Creates nothing, allocates nothing.
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
        let parent = self.parent(&epoch::pin(), place, above, operation)?;
        let mut kept = None;
        let id = place.id_brief(tree, (last, above.len()), &mut kept, operation)?;
        Ok(parent.and_then(|parent| self.index.hold(&self.index.key(parent, last, id))))
    }

    /// The id of the node that a place's own would be below. Nothing needs to hold the nodes on the way.
    #[inline(always)]
    fn parent(
        &self,
        pin: &Pin,
        place: &(impl Locate + ?Sized),
        above: &[LevelId],
        operation: &'static str,
    ) -> Result<Option<u64>> {
        let mut parent = Some(self.root_id.load(Ordering::Acquire));
        for (position, &level) in above.iter().enumerate() {
            let mut kept = None;
            let id = place.id_brief(self.tree(), (level, position), &mut kept, operation)?;
            parent = match parent {
                Some(parent) => self.index.id(pin, &self.index.key(parent, level, id)),
                None => None,
            };
        }
        Ok(parent)
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
            match self.index.hold(&self.index.key(node.id(), level, (&id, id.brief()))) {
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
            node = match self.index.hold(&self.index.key(node.id(), level, (&id, id.brief()))) {
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
        let (changes, fresh) = (self.budgets.changes(), self.successor(dead));
        if let Some((above, level, id)) = dead.key() {
            let key = self.index.key(above, level, (&id, id.brief()));
            // The dead node, or a successor that was not needed, goes here, outside the lock.
            drop(self.index.replace(&key, dead.id(), Arc::clone(&fresh)));
            if self.budgets.changes() != changes {
                self.attach(&fresh);
            }
        } else {
            let present = self.root();
            if present.id() == dead.id() {
                self.root.replace(&present, fresh);
            }
            // Ids rise, so this also waits for nobody: whoever swapped, the word moves after the id did.
            self.root_id.fetch_max(self.root().id(), Ordering::AcqRel);
        }
        self.word.moves();
        dead.set_announced();
    }

    /// Who is charged for entries of a scope with these tags. What a withdrawal of one of them takes out of reach later has been
    /// charged to it, or to one that was found after that.
    pub fn cell(&self, scope: &Arc<Node>, tags: &Tags) -> Cell {
        self.shared.cells().cell(scope, tags, &self.next_id)
    }

    /// Withdraws all entries that have a tag of this owner.
    pub fn withdraw(&self, owner: &Node, text: &str) -> Withdrawn {
        self.shared.cells().withdraw(owner.id(), text)
    }

    /// The tags that what is kept beside an entry stands for.
    pub(crate) fn tags_of(&self, word: CellWord) -> Option<Tags> {
        self.shared.cells().tags_of(word)
    }

    /// Which cells live.
    pub(crate) fn live_cells(&self) -> &Arc<Live> {
        self.shared.cells().live()
    }

    /// Sets of tags that entries of a scope have, or that are written just now; those of each scope by themselves.
    pub fn tag_sets(&self) -> usize {
        self.shared.cells().len()
    }

    fn create(&self, parent: Arc<Node>, level: LevelId, text: IdText<'_>) -> Arc<Node> {
        let (above, changes) = (parent.id(), self.budgets.changes());
        let mut stats = Arc::clone(parent.stats());
        if self.tracked[level.index()] {
            stats = Arc::new(ScopeStats::new(Some(stats), true));
        }
        let account = self.budgets.account_for(parent.account(), level, text.as_str());
        let key = self.index.key(above, level, (&text, text.brief()));
        let fresh = self.make(parent, level, text.reborrow(), stats);
        if let Some(account) = account {
            fresh.attach(&account);
        }
        // Where another thread was faster, `fresh` goes here, outside the lock.
        let node = self.index.insert(&key, &fresh);
        if self.budgets.changes() != changes {
            self.attach(&node);
        }
        node
    }

    /// Gives a node that exists, and those above it, the accounts of their paths.
    fn attach(&self, node: &Node) {
        let (Some(parent), Some((_, level, text))) = (node.parent(), node.key()) else { return };
        self.attach(parent);
        if node.account().is_none()
            && let Some(account) = self.budgets.account_for(parent.account(), level, text.as_str())
        {
            node.attach(&account);
            self.budgets.reorder();
        }
    }

    /// The present node of an account's path, if there is one.
    pub(crate) fn node_of(&self, account: &Account) -> Option<Arc<Node>> {
        let above = match account.parent() {
            Some(parent) => self.node_of(parent)?,
            None => self.root(),
        };
        let id = IdText::borrowed(account.text());
        self.index.hold(&self.index.key(above.id(), account.level(), (&id, id.brief())))
    }

    /// Sets the budget of a path by name, or lets it have its level's again. Answers its account.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidBudget`](crate::error::ErrorKind::InvalidBudget); then nothing has changed.
    pub fn set_budget(&self, path: &ScopePath, budget: Option<Budget>) -> Result<Option<Arc<Account>>> {
        let (mut accounts, mut changed) = self.budgets.set(path, budget)?;
        // Nodes that are made from now on have theirs, or look again.
        let mut node = self.root();
        for ((level, text), account) in path.levels().zip(&accounts) {
            let id = IdText::borrowed(text);
            let Some(found) = self.index.hold(&self.index.key(node.id(), level, (&id, id.brief()))) else {
                break;
            };
            changed |= found.account().is_none();
            found.attach(account);
            node = found;
        }
        if changed {
            self.budgets.reorder();
        }
        Ok(accounts.pop())
    }

    /// Gives each scope of a level a budget, or takes it away. Looks at every node there is, a slice at a time.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidBudget`](crate::error::ErrorKind::InvalidBudget); then nothing has changed.
    pub fn set_budget_of_level(&self, level: LevelId, budget: Option<Budget>) -> Result<()> {
        self.budgets.set_level(level, budget)?;
        self.index.for_each(|node| self.attach(node));
        Ok(())
    }

    fn make(&self, parent: Arc<Node>, level: LevelId, text: IdText<'_>, stats: Arc<ScopeStats>) -> Arc<Node> {
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
        if let (Some(parent), Some((_, level, text))) = (node.parent(), node.key()) {
            let fresh = self.make(Arc::clone(parent), level, text, stats);
            if let Some(account) = node.account() {
                fresh.attach(account);
            }
            return fresh;
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
