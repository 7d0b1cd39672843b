//! The scopes that a shard has entries of: their nodes, held while there are any, and their domains.
//!
//! A cell, which is charged for the entries of a scope that have certain tags, counts as a scope here, and is in its scope's domain.
//! (1) The number in an entry's header, or that of its cell if it has tags, is the number of the node that is kept here under it; a
//! cell holds its scope. A node's number goes to another node only after the node was dropped, so while an entry lives its number
//! means one scope and no other.
//! (2) A node leaves with the last entry of its scope. Cost: one hash look-up of four bytes; 32 bytes a scope.

use hashbrown::HashTable;
use hashbrown::hash_table::OccupiedEntry;

use super::arena::ROOMY;
use super::domain::Domains;
use crate::scope::Node;
use crate::sync::Arc;

/// A scope that has entries in a shard.
struct Space {
    node: Arc<Node>,
    entries: u32,
    domain: u32,
    /// The number of the domain's owner, which this one's path holds.
    owner: u32,
    /// The structure of budgets that the domain is right for.
    structure: u64,
}

impl Space {
    /// A domain goes with its last entry, also while entries of this scope wait elsewhere to be brought there.
    fn settle(&mut self, structure: u64, separate: bool, domains: &mut Domains) -> u32 {
        if self.structure != structure || domains.number_of(self.domain) != Some(self.owner) {
            let owner = owner(&self.node, separate);
            (self.domain, self.owner, self.structure) =
                (domains.place(owner), owner_number(owner), structure);
        }
        self.domain
    }
}

/// Takes out a scope without entries.
#[inline(never)]
fn close(space: OccupiedEntry<'_, Space>) -> Arc<Node> {
    let (space, place) = space.remove();
    let spaces = place.into_table();
    if spaces.is_empty() {
        *spaces = HashTable::new();
    }
    space.node
}

/// In whose domain the entries of a scope are.
pub(super) fn owner(node: &Arc<Node>, separate: bool) -> Option<&Arc<Node>> {
    if separate { Some(node.scope()) } else { node.payer() }
}

/// The number of an owner; that of none is no node's.
pub(super) fn owner_number(owner: Option<&Arc<Node>>) -> u32 {
    owner.map_or(u32::MAX, |owner| owner.number())
}

/// The scopes of a shard.
#[derive(Default)]
pub(super) struct Spaces {
    spaces: HashTable<Space>,
    /// Whether each scope has a domain of its own; if not, all below a budget have one, and all others domain 0.
    separate: bool,
    /// Scopes that the present sweep found dead.
    dead: Dead,
}

/// Numbers of dead scopes.
type Dead = std::collections::HashSet<u32, ahash::RandomState>;

/// Spreads a small number over the bits that the table uses (multiplicative hashing, Knuth, TAOCP 3, 6.4).
pub(super) fn spread(number: u32) -> u64 {
    u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

impl Spaces {
    pub(super) fn new(separate: bool) -> Self {
        Self { spaces: HashTable::new(), separate, dead: Dead::default() }
    }

    /// An entry of a scope comes in; answers its domain, which is made for the first. Where budgets have another `structure` than
    /// when the domain was found, it is found again.
    #[inline(never)]
    pub(super) fn enter(&mut self, node: &Arc<Node>, structure: u64, domains: &mut Domains) -> u32 {
        let (number, separate) = (node.number(), self.separate);
        if let Some(space) = self.spaces.find_mut(spread(number), |space| space.node.number() == number) {
            space.entries += 1;
            return space.settle(structure, separate, domains);
        }
        let owner = owner(node, separate);
        let domain = domains.place(owner);
        let space =
            Space { node: Arc::clone(node), entries: 1, domain, owner: owner_number(owner), structure };
        self.spaces.insert_unique(spread(number), space, |space| spread(space.node.number()));
        domain
    }

    /// The domain that the entries with a number are to be in. Otherwise as [`enter`](Self::enter).
    pub(super) fn home_of(&mut self, number: u32, structure: u64, domains: &mut Domains) -> Option<u32> {
        let separate = self.separate;
        let space = self.spaces.find_mut(spread(number), |space| space.node.number() == number)?;
        Some(space.settle(structure, separate, domains))
    }

    /// Whether each scope has a domain of its own.
    pub(super) fn are_separate(&self) -> bool {
        self.separate
    }

    /// The node of a number.
    pub(super) fn node(&self, number: u32) -> Option<&Arc<Node>> {
        self.spaces.find(spread(number), |space| space.node.number() == number).map(|space| &space.node)
    }

    /// Places to look through for dead scopes.
    pub(super) fn places(&self) -> usize {
        self.spaces.num_buckets()
    }

    /// Looks for dead scopes among these places; a sweep begins with the first.
    pub(super) fn look_for_dead(&mut self, places: std::ops::Range<usize>) {
        if places.start == 0 {
            self.dead.clear();
        }
        let spaces = places.filter_map(|place| self.spaces.get_bucket(place));
        let dead = spaces.filter(|space| !space.node.is_live()).map(|space| space.node.number());
        self.dead.extend(dead);
    }

    /// After a sweep: forgets what it found, and makes a table smaller that many scopes have left.
    pub(super) fn give_back(&mut self) {
        if self.dead.capacity() > 0 {
            self.dead = Dead::default();
        }
        if self.spaces.capacity() / ROOMY >= self.spaces.len().max(1) {
            self.spaces.shrink_to(self.spaces.len() * 2, |space| spread(space.node.number()));
        }
    }

    /// Whether the sweep has found a dead scope.
    pub(super) fn has_dead(&self) -> bool {
        !self.dead.is_empty()
    }

    /// Whether the scope of a number is dead. One that died since the sweep began may pass for alive.
    pub(super) fn is_dead(&self, number: u32) -> bool {
        // The number of a scope that has gone may be another's by now, so what was found is looked at again.
        self.dead.contains(&number) && self.node(number).is_some_and(|node| !node.is_live())
    }

    /// So many entries of a scope go, which `settle` is told of. With the last one goes the node, to be dropped without the lock.
    pub(super) fn leave<R>(
        &mut self,
        number: u32,
        entries: u32,
        settle: impl FnOnce(&Arc<Node>) -> R,
    ) -> Option<(R, Option<Arc<Node>>)> {
        let mut space = self.entry(number)?;
        let settled = settle(&space.get().node);
        space.get_mut().entries -= entries;
        let node = if space.get().entries > 0 { None } else { Some(close(space)) };
        Some((settled, node))
    }

    // Apart, so that it is compiled once and not wherever somebody leaves.
    fn entry(&mut self, number: u32) -> Option<OccupiedEntry<'_, Space>> {
        self.spaces.find_entry(spread(number), |space| space.node.number() == number).ok()
    }
}
