//! Tags of entries, as the engine keeps them: withdrawn at once, and what may not be published since.
//!
//! (1) A withdrawal is noted for loads first, then takes the cells of the tag out of reach, and has done both when it returns.
//! (2) Each entry is counted by one withdrawal, or eviction, and what had expired by none. Cost: O(cells that have the tag) beside what
//! has expired and is not swept yet; a cell is one scope with one set of tags, whatever it holds.

use std::sync::atomic::Ordering::SeqCst;

use super::{Detached, Engine};
use crate::flight::{Fence, Fences};
use crate::scope::{Node, Tag, Tags, Withdrawn};
use crate::sync::Arc;

impl Engine {
    /// Withdraws all entries that have a tag which belongs to this scope, wherever they are. Running loads that have it are not
    /// stored. Exact, as [`evict`](Self::evict).
    pub fn invalidate_tag(&self, owner: &Node, tag: &Tag) -> Detached {
        self.expire_due();
        self.fences().raise(self.hash_of_tag(owner, tag.text()));
        let Withdrawn { entries, weight, cells } = self.registry().withdraw(owner, tag.text());
        self.dead_entries.fetch_add(entries, SeqCst);
        if cells > 0 {
            self.upkeep.wake();
        }
        tracing::info!(target: "strata_cache", scope = %owner, entries, "tag invalidated");
        // Less than none is another detachment's, which has reported an entry that never came to be.
        let count = |taken: i64| u64::try_from(taken).unwrap_or(0);
        Detached { entries: count(entries), weight: count(weight) }
    }

    /// Which tags were withdrawn of late.
    #[inline]
    pub fn fences(&self) -> &Arc<Fences> {
        &self.fences
    }

    /// What keeps latecomers away from a load in a scope that declares these tags.
    pub(super) fn fence_of(&self, node: &Node, tags: &Tags) -> Option<Fence> {
        if tags.is_empty() {
            return None;
        }
        let hashes = tags.as_slice().iter().map(|tag| self.tag_hash(node, tag)).collect();
        Some(Fence::new(&self.fences, hashes))
    }

    /// What a tag of an entry in a scope is noted by.
    pub(super) fn tag_hash(&self, node: &Node, tag: &Tag) -> u64 {
        self.hash_of_tag(if tag.is_global() { node.root() } else { node }, tag.text())
    }

    /// The same for every incarnation of the owner's path.
    fn hash_of_tag(&self, owner: &Node, text: &str) -> u64 {
        self.hasher().hash_one((owner.path_hash(), text))
    }
}
