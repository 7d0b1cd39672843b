//! Who may run next: limits of nested scopes, turns among their tenants, bounded queues. No lock, no waker, no clock.
//!
//! (1) After every call nobody waits who could run: whoever calls what gives room calls [`Turns::next`] until it says no.
//! (2) A tenant is in a node's `ready` exactly while somebody of it could run if the node and those above it had room.
//!     It comes in at the end, and goes there again with each permit it gets.
//! (3) `held`, `waiting` and `claimants` count for a node and all above it.
//! Cost: O(depth · log(waiting)).

use super::LoadLimit;
use super::nodes::{Defaults, NodeId, Step, Tenant, Tree};

/// Turns at all nodes of a tree. Waiting loads are named by tokens of the caller's.
#[derive(Debug)]
pub(super) struct Turns {
    tree: Tree,
    /// Places and turns given so far.
    given: u64,
}

/// A load that waits: at a node, at a place in its queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) at: NodeId,
    order: u64,
}

/// What asking comes to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// It has its permit: of these nodes.
    Taken(Vec<NodeId>),
    /// It waits.
    Queued(Place),
    /// The queue is full of the node so many levels below the root, which has this limit.
    Full(usize, LoadLimit),
}

impl Turns {
    pub(super) fn new(defaults: Defaults) -> Self {
        Self { tree: Tree::new(defaults), given: 0 }
    }

    pub(super) fn tree(&self) -> &Tree {
        &self.tree
    }

    pub(super) fn waiting(&self) -> u32 {
        self.tree[NodeId::ROOT].waiting
    }

    /// Asks for a permit of every node of a path. Who may not be refused waits in a full queue too.
    pub(super) fn ask<'a>(
        &mut self,
        path: impl Iterator<Item = Step<'a>>,
        token: u64,
        may_be_refused: bool,
    ) -> Asked {
        let at = self.tree.open(path);
        if self.tree.path(at).all(|node| self.tree.has_room(node)) {
            return Asked::Taken(self.take(at, |_| false).0);
        }
        if may_be_refused && let Some((full, limit)) = self.full(at) {
            let depth = self.tree.path(full).count() - 1;
            self.tree.prune(at);
            return Asked::Full(depth, limit);
        }
        Asked::Queued(self.queue(at, token))
    }

    /// Takes permits of all nodes of a path but those that are held already, room or not; and whether there was none at one
    /// of them.
    pub(super) fn take_inside<'a>(
        &mut self,
        path: impl Iterator<Item = Step<'a>>,
        is_held: impl Fn(NodeId) -> bool,
    ) -> (Vec<NodeId>, bool) {
        let at = self.tree.open(path);
        self.take(at, is_held)
    }

    /// Lets a load wait that may not be refused.
    pub(super) fn queue(&mut self, at: NodeId, token: u64) -> Place {
        let order = self.give();
        self.tree[at].queue.insert(order, token);
        if self.tree[at].queue.len() == 1 {
            self.tree[at].claimants += 1;
            let turn = self.give();
            self.tree[at].own_turn = Some(turn);
            self.tree[at].ready.insert(turn, Tenant::Own);
        }
        self.change_waiting(at, true);
        self.refresh(at);
        Place { at, order }
    }

    /// Gives the permit that is next, if there is room and anybody waits: whose it is, and its nodes.
    pub(super) fn next(&mut self) -> Option<(u64, Vec<NodeId>)> {
        let mut at = NodeId::ROOT;
        if !self.is_ready(at) {
            return None;
        }
        // Whoever's turn it is goes to the end, on every level.
        while let Some((_, tenant)) = self.tree[at].ready.pop_first() {
            let turn = self.give();
            self.tree[at].ready.insert(turn, tenant);
            match tenant {
                Tenant::Own => {
                    self.tree[at].own_turn = Some(turn);
                    break;
                }
                Tenant::Child(child) => {
                    self.tree[child].turn = Some(turn);
                    at = child;
                }
            }
        }
        let (&order, &token) = self.tree[at].queue.first_key_value()?;
        self.dequeue(Place { at, order });
        Some((token, self.take(at, |_| false).0))
    }

    /// A waiting load goes away.
    pub(super) fn leave(&mut self, place: Place) {
        self.dequeue(place);
        self.tree.prune(place.at);
    }

    /// A waiting load gets its permit, room or not; and whether there was none somewhere.
    pub(super) fn admit(&mut self, place: Place) -> (Vec<NodeId>, bool) {
        self.dequeue(place);
        self.take(place.at, |_| false)
    }

    /// A permit of these nodes ends. Call [`next`](Self::next) until it says no.
    pub(super) fn release(&mut self, nodes: &[NodeId]) {
        for &at in nodes {
            self.tree[at].held -= 1;
        }
        // They lie on one path, the lowest one first.
        if let Some(&lowest) = nodes.first() {
            self.refresh(lowest);
            self.tree.prune(lowest);
        }
    }

    /// Sets a path's limit, or takes it back. Call [`next`](Self::next) until it says no.
    pub(super) fn set_limit<'a>(&mut self, path: impl Iterator<Item = Step<'a>>, limit: Option<LoadLimit>) {
        let at = self.tree.open(path);
        self.tree.set_limit(at, limit);
        self.refresh(at);
        self.tree.prune(at);
    }

    fn take(&mut self, at: NodeId, is_held: impl Fn(NodeId) -> bool) -> (Vec<NodeId>, bool) {
        let nodes: Vec<NodeId> = self.tree.path(at).filter(|&node| !is_held(node)).collect();
        let over = nodes.iter().any(|&node| !self.tree.has_room(node));
        for &node in &nodes {
            self.tree[node].held += 1;
        }
        self.refresh(at);
        if nodes.is_empty() {
            self.tree.prune(at);
        }
        (nodes, over)
    }

    /// The lowest node of a path that has no room, and no place in its queue for a load from there.
    fn full(&self, at: NodeId) -> Option<(NodeId, LoadLimit)> {
        let mut tenant = Tenant::Own;
        for node in self.tree.path(at) {
            let limit = self.tree.limit(node).filter(|_| !self.tree.has_room(node));
            if let Some(limit) = limit.filter(|limit| self.is_full(node, tenant, *limit)) {
                return Some((node, limit));
            }
            tenant = Tenant::Child(node);
        }
        None
    }

    fn is_full(&self, at: NodeId, tenant: Tenant, limit: LoadLimit) -> bool {
        let node = &self.tree[at];
        if node.waiting < limit.max_waiting() {
            return false;
        }
        let its = match tenant {
            Tenant::Own => u32::try_from(node.queue.len()).unwrap_or(u32::MAX),
            Tenant::Child(child) => self.tree[child].waiting,
        };
        let tenants = node.claimants + u32::from(its == 0);
        its >= limit.max_waiting() / tenants
    }

    fn dequeue(&mut self, Place { at, order }: Place) {
        let node = &mut self.tree[at];
        if node.queue.remove(&order).is_none() {
            return;
        }
        if node.queue.is_empty() {
            node.claimants -= 1;
            if let Some(turn) = node.own_turn.take() {
                node.ready.remove(&turn);
            }
        }
        self.change_waiting(at, false);
        self.refresh(at);
    }

    /// One more load waits at a node and all above it, or one less.
    fn change_waiting(&mut self, at: NodeId, more: bool) {
        let mut next = Some(at);
        while let Some(at) = next {
            let node = &mut self.tree[at];
            node.waiting = if more { node.waiting + 1 } else { node.waiting - 1 };
            let (first, last) = (more && node.waiting == 1, node.waiting == 0);
            next = self.tree.above(at);
            if let Some(above) = next {
                let claimants = &mut self.tree[above].claimants;
                *claimants = *claimants + u32::from(first) - u32::from(last);
            }
        }
    }

    fn is_ready(&self, at: NodeId) -> bool {
        self.tree.has_room(at) && !self.tree[at].ready.is_empty()
    }

    /// Restores (2) for a node that changed, and for those above it.
    fn refresh(&mut self, mut at: NodeId) {
        while let Some(above) = self.tree.above(at) {
            match (self.is_ready(at), self.tree[at].turn) {
                (true, None) => {
                    let turn = self.give();
                    self.tree[at].turn = Some(turn);
                    self.tree[above].ready.insert(turn, Tenant::Child(at));
                }
                (false, Some(turn)) => {
                    self.tree[at].turn = None;
                    self.tree[above].ready.remove(&turn);
                }
                _ => {}
            }
            at = above;
        }
    }

    fn give(&mut self) -> u64 {
        self.given += 1;
        self.given
    }
}
