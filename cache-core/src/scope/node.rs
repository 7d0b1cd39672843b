//! A node of the live scope tree: one incarnation of a path.
//!
//! (1) A node's id is never used again in its registry. (2) A node is live while neither it nor one above it is dead;
//! death is final. (3) Who holds a node keeps it, and all above it, from being collected. (4) A node's path never
//! changes. (5) `verified` is a word of its registry at which the node was found live *after* the word was read: while
//! the registry's word is the same, no detachment has completed since, so the node may be trusted. No other registry ever has
//! that word. (6) Counters are those of the nearest scope at or above the node that has its own: one at a tracked level, or the
//! root.
//! (7) A cell (`cell`) is a node below its scope that is in no index and has no level: its path, counters and root are its scope's.
//! Cost: 128 bytes and two counts, in one allocation if the id has at most 16 bytes; `is_live_at` compares two words unless
//! something was detached; charges cost two additions per level.

use std::fmt;

use super::budget::{Account, Unit};
use super::cell::{CELL, Cells};
use super::id::IdText;
use super::ledger::Ledger;
use super::name::Name;
use super::number::Numbers;
use super::path::ScopePath;
use super::text::Brief;
use super::tree::{Height, LevelId, ScopeTree};
use crate::stats::{ScopeStats, Tag};
use crate::sync::{Arc, AtomicBool, AtomicU32, AtomicU64, AtomicUsize, OnceLock, Ordering};

/// What all nodes of a registry share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) tree: ScopeTree,
    /// Nodes that exist, the root's among them, wherever they are held.
    pub(super) nodes: AtomicUsize,
    /// Something may have become idle since the flag was last cleared.
    pub(super) stirred: AtomicBool,
    pub(super) numbers: Numbers,
    pub(super) cells: Cells,
}

impl Shared {
    pub(super) fn new(tree: ScopeTree) -> Self {
        Self {
            tree,
            nodes: AtomicUsize::new(0),
            stirred: AtomicBool::new(false),
            numbers: Numbers::default(),
            cells: Cells::default(),
        }
    }

    /// Says that something may have become idle; written only where it is not said yet.
    pub(super) fn stir(&self) {
        if !self.stirred.load(Ordering::Acquire) {
            self.stirred.store(true, Ordering::Release);
        }
    }
}

/// What a detachment took from the tree. Below zero where it met a charge under way that another detachment, below it,
/// has reported already: only the sum over all detachments is what was stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Detached {
    /// Entries that were charged to the node or below it and that no other detachment reports.
    pub entries: i64,
    /// Their weight; that of a charge still under way may be in it. Of two detachments inside one another that meet, each
    /// may report a part.
    pub weight: i64,
}

/// Whether a charge counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a dead charge has to be released again"]
pub enum Charge {
    /// The entry counts at its node and all above.
    Live,
    /// A node on the path is dead: the entry must not be stored, and the charge must be released.
    Dead,
}

/// One incarnation of a scope. What a look-up compares lies together, then what a hit reads, then what writes do.
#[repr(C)]
pub struct Node {
    id: u64,
    /// The parent's id, so that a look-up need not go there.
    above: u64,
    name: Name,
    height: Height,
    /// The registry's word moved after this dead node had been replaced.
    announced: AtomicBool,
    /// Anchors at this node or below it.
    pins: AtomicU32,
    /// Short for `id` while the node exists; in the upper half.
    number: u64,
    path_hash: u64,
    tag: Tag,
    verified: AtomicU64,
    /// Its dead bit is the node's.
    entries: Ledger,
    weight: Ledger,
    /// Where there is a budget at or below its path.
    account: OnceLock<Arc<Account>>,
    parent: Option<Arc<Node>>,
    /// The highest node of the path; none for itself.
    root: Option<Arc<Node>>,
    /// Its own, or those of the nearest scope above that has some.
    stats: Arc<ScopeStats>,
    shared: Arc<Shared>,
}

/// What makes a node, apart from what follows from its parent.
pub(super) struct Seed<'a> {
    pub(super) id: u64,
    pub(super) level: Option<LevelId>,
    pub(super) text: IdText<'a>,
    pub(super) path_hash: u64,
    /// Those of the parent, or below them.
    pub(super) stats: Arc<ScopeStats>,
}

impl Node {
    pub(super) fn new(shared: &Arc<Shared>, parent: Option<Arc<Node>>, seed: Seed<'_>) -> Arc<Self> {
        shared.nodes.fetch_add(1, Ordering::Relaxed);
        shared.stir();
        Self::build(shared, parent, seed, shared.numbers.take())
    }

    /// The node of a cell: below its scope, but no path leads there, and it passes for its scope where somebody asks for one.
    pub(super) fn cell(scope: &Arc<Self>, id: u64) -> Arc<Self> {
        let seed = Seed {
            id,
            level: scope.level(),
            text: IdText::borrowed(""),
            path_hash: scope.path_hash,
            stats: Arc::clone(&scope.stats),
        };
        Self::build(&scope.shared, Some(Arc::clone(scope)), seed, scope.shared.cells().take_number())
    }

    fn build(shared: &Arc<Shared>, parent: Option<Arc<Node>>, seed: Seed<'_>, number: u32) -> Arc<Self> {
        let Seed { id, level, text, path_hash, stats } = seed;
        let above = parent.as_ref().map_or(0, |parent| parent.id);
        let root = parent.as_ref().map(|parent| Arc::clone(parent.root.as_ref().unwrap_or(parent)));
        Arc::new(Self {
            id,
            above,
            name: Name::of(&text),
            height: Height::of(level),
            announced: AtomicBool::new(false),
            pins: AtomicU32::new(0),
            number: u64::from(number) << 32,
            path_hash,
            tag: stats.tag(),
            // No registry counts that far, so a new node is trusted only after a walk.
            verified: AtomicU64::new(u64::MAX),
            entries: Ledger::new(),
            weight: Ledger::new(),
            account: OnceLock::new(),
            parent,
            root,
            stats,
            shared: Arc::clone(shared),
        })
    }

    /// A dead node that is in no registry's tree: where a handle points that has not found its scope yet.
    pub(super) fn nowhere(tree: &ScopeTree) -> Arc<Self> {
        let shared = Shared::new(tree.clone());
        let seed =
            Seed { id: 0, level: None, text: IdText::borrowed(""), path_hash: 0, stats: Arc::default() };
        let node = Self::new(&Arc::new(shared), None, seed);
        node.entries.kill();
        node.weight.kill();
        node
    }

    /// A number that no other node of the registry has or will have.
    #[inline]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// A number that no other node of the registry has while this one exists.
    #[inline]
    pub fn number(&self) -> u32 {
        (self.number >> 32) as u32
    }

    /// The [number](Self::number) times 2^32.
    #[inline]
    pub(crate) fn number_above(&self) -> u64 {
        self.number
    }

    /// Whether it is a cell: who is charged for entries of a scope that have tags.
    #[inline]
    pub(crate) fn is_cell(&self) -> bool {
        self.number() & CELL != 0
    }

    /// Itself, or the scope that this cell is of.
    pub(crate) fn scope(self: &Arc<Self>) -> &Arc<Self> {
        self.parent.as_ref().filter(|_| self.is_cell()).unwrap_or(self)
    }

    /// The node above; none for the root.
    #[inline]
    pub fn parent(&self) -> Option<&Arc<Node>> {
        self.parent.as_ref()
    }

    /// The highest node of the path.
    #[inline]
    pub fn root(&self) -> &Node {
        self.root.as_deref().unwrap_or(self)
    }

    /// The level; none for the root.
    pub fn level(&self) -> Option<LevelId> {
        self.height.level()
    }

    /// The id on its level; empty for the root.
    pub fn text(&self) -> &str {
        self.name.as_str()
    }

    /// Whether this is the child of that id on that level. The root, which is nobody's child, has no level.
    #[inline(always)]
    pub(super) fn is_child(&self, above: u64, level: LevelId, brief: Brief, id: &IdText<'_>) -> bool {
        self.above == above && self.height == Height::of(Some(level)) && self.name.is(brief, id)
    }

    /// The parent's id, the level and the id on it: what the index is keyed by. None for the root.
    pub(super) fn key(&self) -> Option<(u64, LevelId, IdText<'_>)> {
        self.level().map(|level| (self.above, level, self.name.id()))
    }

    /// A hash of the path: the same for all incarnations, different in every process.
    #[inline]
    pub fn path_hash(&self) -> u64 {
        self.path_hash
    }

    /// The counters that count for this scope: its own, or those of the nearest scope above that has some; for
    /// [`tally::count`](crate::stats::tally::count).
    #[inline]
    pub fn stats(&self) -> &Arc<ScopeStats> {
        &self.stats
    }

    /// The scope's own counters; none where those of a scope above count for it.
    pub fn own_stats(&self) -> Option<&Arc<ScopeStats>> {
        let is_own = |parent: &Arc<Self>| !Arc::ptr_eq(&parent.stats, &self.stats);
        self.parent.as_ref().is_none_or(is_own).then_some(&self.stats)
    }

    /// What threads know the counters by.
    #[inline]
    pub(crate) fn tag(&self) -> Tag {
        self.tag
    }

    /// The entries charged here and below.
    pub fn entries(&self) -> u64 {
        u64::try_from(self.entries.count()).unwrap_or(0)
    }

    /// The weight charged here and below.
    pub fn weight(&self) -> u64 {
        u64::try_from(self.weight.count()).unwrap_or(0)
    }

    /// Entries or weight charged here and below.
    pub fn held(&self, unit: Unit) -> u64 {
        match unit {
            Unit::Entries => self.entries(),
            Unit::Weight => self.weight(),
        }
    }

    /// What the path may hold, if there is a budget at or below it.
    #[inline]
    pub fn account(&self) -> Option<&Arc<Account>> {
        self.account.get()
    }

    /// Asks for what a write looks at ahead of its use: its account's bounds.
    #[inline]
    pub(crate) fn prefetch_account(&self) {
        if let Some(account) = self.account() {
            account.prefetch();
        }
    }

    /// Gives the node the account of its path, unless it has it.
    pub(super) fn attach(&self, account: &Arc<Account>) {
        // Whoever was faster gave it the same.
        _ = self.account.set(Arc::clone(account));
    }

    /// Whether the entries of this scope are ordered among themselves.
    fn has_budget(&self) -> bool {
        self.account().is_some_and(|account| account.has_terms())
    }

    /// The lowest scope of the path that has a budget: in whose domain the entries of this one are.
    pub(crate) fn payer(self: &Arc<Self>) -> Option<&Arc<Node>> {
        std::iter::successors(Some(self), |node| node.parent()).find(|node| node.has_budget())
    }

    /// Whether so much more of a unit is above the capacity of the scope.
    fn is_over_with(&self, unit: Unit, more: u64) -> bool {
        let most = self.account().map_or(u64::MAX, |account| account.capacity(unit));
        most != u64::MAX && self.held(unit).saturating_add(more) > most
    }

    /// The lowest scope of the path that would be above its capacity with so many entries and so much weight more, and in which
    /// unit. The root, whose capacity is the cache's, is left out.
    pub(crate) fn first_over(&self, more: [u64; 2]) -> Option<(&Node, Unit)> {
        let over =
            |node: &Node| Unit::BOTH.into_iter().find(|&unit| node.is_over_with(unit, more[unit as usize]));
        self.chain().find_map(|node| over(node).map(|unit| (node, unit)))
    }

    /// By how much the scope, with so much more, holds more than its reserve; `None` if it is within it.
    pub(crate) fn beyond_reserve(&self, unit: Unit, more: u64) -> Option<u64> {
        let reserve = self.account().map_or(0, |account| account.reserve(unit));
        let held = self.held(unit).saturating_add(more);
        if reserve > 0 && held <= reserve { None } else { Some(held - reserve.min(held)) }
    }

    /// Whether neither this node nor one above it was detached.
    pub fn is_live(&self) -> bool {
        let mut node = self;
        loop {
            if node.entries.is_dead() {
                return false;
            }
            match &node.parent {
                Some(parent) => node = parent,
                None => return true,
            }
        }
    }

    /// Whether it was found live at this word of the registry: then it is, if that is the present word, to everybody whom no
    /// detachment has answered yet.
    #[inline]
    pub(crate) fn is_verified_at(&self, word: u64) -> bool {
        self.verified.load(Ordering::Acquire) == word
    }

    /// As [`is_live`](Self::is_live), but walks only if the registry's word moved since the last walk. The word must
    /// have been read before this call.
    #[inline]
    pub fn is_live_at(&self, word: u64) -> bool {
        if self.is_verified_at(word) {
            return true;
        }
        let live = self.is_live();
        if live {
            // A late store of an older word only costs another walk.
            self.verified.store(word, Ordering::Release);
        }
        live
    }

    /// Whether both are incarnations of one path of one registry.
    pub fn same_path(&self, other: &Self) -> bool {
        if !Arc::ptr_eq(&self.shared, &other.shared) || self.path_hash != other.path_hash {
            return false;
        }
        let (mut own, mut theirs) = (self.chain(), other.chain());
        loop {
            match (own.next(), theirs.next()) {
                (None, None) => return true,
                (Some(a), Some(b)) if a.id == b.id => return true,
                (Some(a), Some(b)) if a.height == b.height && a.name == b.name => {}
                _ => return false,
            }
        }
    }

    /// Charges one entry of this weight to the node and all above.
    ///
    /// A dead charge leaves its marks on dead nodes (and on living ones below them): [`release`](Self::release) it.
    /// Weight goes first and a detachment takes it last, so what a detachment counts as an entry it also weighs.
    pub fn charge(&self, weight: u64) -> Charge {
        self.add_weight(signed(weight));
        if self.add_entries(1) { Charge::Live } else { Charge::Dead }
    }

    /// Takes a charge back, dead or alive, when its entry has left memory. Tells whether the whole path was alive:
    /// if not, a detachment has counted the entry.
    pub fn release(&self, weight: u64) -> bool {
        self.release_many(1, weight)
    }

    /// As [`release`](Self::release), of so many entries of this weight in all.
    pub fn release_many(&self, entries: u32, weight: u64) -> bool {
        let counted = self.add_entries(-i64::from(entries));
        self.add_weight(signed(weight).wrapping_neg());
        // After the subtraction, so that a collector that cleared the flag before sees either.
        self.shared.stir();
        counted
    }

    /// Charges one entry to this node in place of one that leaves another (or this one), which is released; what both
    /// paths share is not touched, for it would be one up and one down. The newcomer's weight comes first.
    ///
    /// A newcomer whose charge is dead has to be [released](Self::release), as after [`charge`](Self::charge).
    #[inline]
    pub fn exchange(&self, leaving: &Self, [weight, left]: [u64; 2]) -> (Charge, bool) {
        if self.id == leaving.id && weight == left {
            // As if both happened at this look.
            let live = self.is_live();
            return (if live { Charge::Live } else { Charge::Dead }, live);
        }
        self.exchange_along(leaving, [weight, left])
    }

    fn exchange_along(&self, leaving: &Self, [weight, left]: [u64; 2]) -> (Charge, bool) {
        let shared = self.chain().find(|node| leaving.chain().any(|other| other.id == node.id));
        let Some(shared) = shared else {
            // Roots of two incarnations of the cache.
            let counted = leaving.release(left);
            return (self.charge(weight), counted);
        };
        let ends_before = |node: &&Self| node.id != shared.id;
        let below = |of: &Self, entries: i64, weight: i64| {
            let weighed = of.chain().take_while(ends_before).all(|node| node.weight.add(weight));
            (of.chain().take_while(ends_before).all(|node| node.entries.add(entries)), weighed)
        };
        let (counted, weighed) = below(leaving, -1, signed(left).wrapping_neg());
        self.shared.stir();
        let (charged, charged_weight) = below(self, 1, signed(weight));
        // Where a walk stopped at a dead node, it changes nothing above: the other one is not made up for.
        let entries = i64::from(charged) - i64::from(counted);
        let weight = if charged_weight { signed(weight) } else { 0 };
        let change = weight.wrapping_sub(if weighed { signed(left) } else { 0 });
        if change != 0 {
            shared.add_weight(change);
        }
        // Where one walk goes on alone, its steps say what they met; where both would, they are as if taken at this look.
        let live = if entries == 0 { shared.is_live() } else { shared.add_entries(entries) };
        (if charged && live { Charge::Live } else { Charge::Dead }, counted && live)
    }

    /// Changes the weight of a charged entry.
    pub fn reweigh(&self, delta: i64) {
        self.add_weight(delta);
    }

    /// This node and all above it, the root last.
    pub fn chain(&self) -> impl Iterator<Item = &Node> {
        std::iter::successors(Some(self), |node| node.parent.as_deref())
    }

    /// Calls for this node and all above it, the root last.
    pub fn for_each_on_path(&self, f: impl FnMut(&Node)) {
        self.chain().for_each(f);
    }

    /// How its ids compare with those of a path of its level, from the first level down.
    pub fn cmp_ids(&self, path: &ScopePath) -> std::cmp::Ordering {
        self.cmp_with(path.ids())
    }

    fn cmp_with(&self, ids: &[Box<str>]) -> std::cmp::Ordering {
        let (Some(parent), Some((own, above))) = (&self.parent, ids.split_last()) else {
            return std::cmp::Ordering::Equal;
        };
        parent.cmp_with(above).then_with(|| self.text().cmp(own))
    }

    /// The path, for errors, handles and people.
    pub fn path(&self) -> ScopePath {
        if let Some(scope) = self.parent.as_ref().filter(|_| self.is_cell()) {
            return scope.path();
        }
        let mut ids: Vec<Box<str>> =
            self.chain().filter(|node| node.level().is_some()).map(|node| Box::from(node.text())).collect();
        ids.reverse();
        ScopePath::from_checked(&self.shared.tree, self.level(), ids)
    }

    /// Kills the node and takes its counts from those above. A count whose subtraction met a dead node was taken by that
    /// node's own detachment (ledger (6)) and is none here; `None` if both were, or if the node was dead before.
    pub(super) fn kill(&self) -> Option<Detached> {
        let entries = self.entries.kill()?;
        let weight = self.weight.kill().unwrap_or(0);
        let above = self.parent.as_deref();
        let weight = above.is_none_or(|above| above.add_weight(weight.wrapping_neg())).then_some(weight);
        let entries = above.is_none_or(|above| above.add_entries(-entries)).then_some(entries);
        if entries.is_none() && weight.is_none() {
            return None;
        }
        Some(Detached { entries: entries.unwrap_or(0), weight: weight.unwrap_or(0) })
    }

    pub(super) fn is_dead(&self) -> bool {
        self.entries.is_dead()
    }

    pub(super) fn is_announced(&self) -> bool {
        self.announced.load(Ordering::Acquire)
    }

    pub(super) fn set_announced(&self) {
        self.announced.store(true, Ordering::Release);
    }

    /// Whether a holder that will not report its leaving may be all that keeps this node.
    pub(super) fn is_bare(&self) -> bool {
        self.entries.count() <= 0 && self.pins.load(Ordering::Acquire) == 0
    }

    /// An anchor begins to hold this node.
    pub(super) fn pin(&self) {
        self.for_each_on_path(|node| {
            node.pins.fetch_add(1, Ordering::AcqRel);
        });
    }

    /// An anchor is about to let go.
    pub(super) fn unpin(&self) {
        self.for_each_on_path(|node| {
            node.pins.fetch_sub(1, Ordering::AcqRel);
        });
        self.shared.stir();
    }

    /// Entries and weight as they stand in the ledgers, negative where a charge is missing.
    #[cfg(test)]
    pub(super) fn counts(&self) -> (i64, i64) {
        (self.entries.count(), self.weight.count())
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    fn add_entries(&self, count: i64) -> bool {
        self.chain().all(|node| node.entries.add(count))
    }

    fn add_weight(&self, weight: i64) -> bool {
        self.chain().all(|node| node.weight.add(weight))
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if self.is_cell() {
            self.shared.cells().forget(self.number(), self);
            // What it kept may be idle now.
            self.shared.stir();
            return;
        }
        self.shared.nodes.fetch_sub(1, Ordering::Relaxed);
        self.shared.numbers.give_back(self.number());
    }
}

/// Weights above what a ledger holds wrap, the same way in a charge and in its release.
fn signed(weight: u64) -> i64 {
    weight.cast_signed()
}

impl fmt::Display for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path().fmt(f)
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node")
            .field("id", &self.id)
            .field("path", &format_args!("{self}"))
            .field("live", &self.is_live())
            .field("entries", &self.entries.count())
            .field("weight", &self.weight.count())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
#[cfg(not(shuttle))]
mod tests;
