//! A load that has tags: what it is charged to, and whether one of them was withdrawn since it began.
//!
//! (1) The cell is found before anybody looks for withdrawals: one that comes after the look kills it. (2) Tags that were declared and
//! those that the loader added are told apart.

use crate::engine::Engine;
use crate::flight::Adding;
use crate::scope::{Cell, Node, Tags};
use crate::sync::Arc;

/// What a landing has to look at because of its tags.
pub(super) struct Fenced {
    /// What its entry is charged to, if it has tags.
    pub(super) cell: Option<Cell>,
    declared: Vec<u64>,
    added: Vec<u64>,
    since: u64,
}

impl Fenced {
    pub(super) fn of(engine: &Engine, node: &Arc<Node>, tags: &Adding, since: u64) -> Self {
        let Adding { declared, added, .. } = tags;
        if declared.is_empty() && added.is_empty() {
            return Self { cell: None, declared: Vec::new(), added: Vec::new(), since };
        }
        let cell = Some(engine.registry().cell(node, &declared.and(added)));
        let hashes = |tags: &Tags| tags.as_slice().iter().map(|tag| engine.tag_hash(node, tag)).collect();
        Self { cell, declared: hashes(declared), added: hashes(added), since }
    }

    /// Whether one of the tags was withdrawn since the load began, and whether it is one that the loader added.
    pub(super) fn look(&self, engine: &Engine) -> [bool; 2] {
        let is_broken = |tags: &[u64]| engine.fences().is_broken(self.since, tags);
        let is_outdated = is_broken(&self.added);
        [is_outdated || is_broken(&self.declared), is_outdated]
    }
}
