//! Removing nodes that nobody uses, in slices.
//!
//! (1) Slots, flights, anchors and children each hold their node, so a node is idle if and only if the index alone holds
//! it. That is seen under the shard's write lock: whoever could take another hold needs that lock or has one already.
//! (2) A node that was taken out of the index *leaves*: readers who found it before may still look at it, so it is dropped
//! when they have passed, and only then what it alone kept above it is looked at. Nobody can take a hold of it any more.
//! (3) A removed node takes no counters along that its ancestors lack (see `stats`). (4) `stirred` is cleared when a pass
//! begins; it is set again by whatever may leave something idle behind the cursor: a new node, a release, an anchor
//! that goes, and by the pass itself when it sees a node that is held by none of those, for such a holder goes silently.
//! (5) Dead nodes that are still indexed, below a detached one, are idle under the same condition.
//! (6) Memory that readers have passed, user values among it, is dropped outside of the lock here.
//! Cost: a shard's lock is held for at most 256 places; removed nodes are dropped outside it.

use super::Registry;
use super::index::Index;
use crate::epoch;
use crate::scope::node::Node;
use crate::scope::tree::MAX_DEPTH;
use crate::sync::{Arc, Ordering};

/// The most places looked at under one lock.
const SLICE: usize = 256;

/// Where the present pass goes on.
#[derive(Debug, Default)]
pub(super) struct Cursor {
    under_way: bool,
    shard: usize,
    place: usize,
    /// Taken out of the index; readers may not have passed.
    leaving: Vec<Arc<Node>>,
}

impl Registry {
    /// Removes idle nodes, looking at about as many places of the index as the budget says; goes on where the last call
    /// stopped. With an unlimited budget a call makes one whole pass of its own. Answers how many it removed; none while another thread is at it.
    pub fn collect_idle(&self, budget: usize) -> usize {
        let Some(mut removed) = self.look_for_idle(budget) else {
            return 0;
        };
        // Each time those that left let go of what is above them. Readers are waited for a little, and never for long.
        let mut have_passed = true;
        for _ in 0..MAX_DEPTH {
            if !have_passed || self.collector.try_lock().is_none_or(|cursor| cursor.leaving.is_empty()) {
                break;
            }
            have_passed = epoch::settle();
            let Some(mut cursor) = self.collector.try_lock() else { break };
            removed += self.let_go(&mut cursor);
        }
        removed
    }

    /// Whether a pass is under way, or nodes have not left yet, or something happened since the last pass that may have left
    /// nodes idle.
    pub fn idle_work(&self) -> bool {
        let has_more = |cursor: &Cursor| cursor.under_way || !cursor.leaving.is_empty();
        self.collector.try_lock().is_none_or(|cursor| has_more(&cursor))
            || self.shared.stirred.load(Ordering::Acquire)
    }

    /// Takes idle nodes out of the index; answers how many, `None` while another thread is at it.
    fn look_for_idle(&self, budget: usize) -> Option<usize> {
        let mut cursor = self.collector.try_lock()?;
        let mut removed = self.let_go(&mut cursor);
        let (mut looked, mut began) = (0, false);
        while looked < budget {
            if !cursor.under_way {
                if !self.shared.stirred.swap(false, Ordering::AcqRel) {
                    break;
                }
                cursor.under_way = true;
                began = true;
            }
            let before = cursor.leaving.len();
            looked += self.slice(&mut cursor, SLICE.min(budget - looked));
            removed += cursor.leaving.len() - before;
            if cursor.shard == Index::shards() {
                (cursor.under_way, cursor.shard) = (false, 0);
                // One whole pass a call, or nodes that are held would be looked at again and again.
                if began {
                    break;
                }
            }
        }
        Some(removed)
    }

    /// Takes idle nodes out of the next places of one shard; answers how many places it looked at, at least one.
    fn slice(&self, cursor: &mut Cursor, most: usize) -> usize {
        let stays = |node: &Node| {
            if node.is_bare() {
                self.shared.stir();
            }
        };
        let (looked, next) = self.index.sweep(cursor.shard, cursor.place, most, &mut cursor.leaving, stays);
        cursor.shard += usize::from(next.is_none());
        cursor.place = next.unwrap_or(0);
        looked.max(1)
    }

    /// Drops the nodes that readers have passed, and takes out those above that they alone kept; answers how many.
    fn let_go(&self, cursor: &mut Cursor) -> usize {
        let mut removed = 0;
        for mut node in std::mem::take(&mut cursor.leaving) {
            // By (2) nobody but the garbage of readers shares it, and nobody will.
            if Arc::get_mut(&mut node).is_none() {
                cursor.leaving.push(node);
                continue;
            }
            let above = node.parent().cloned();
            drop(node);
            let idle = above.and_then(|above| self.take_idle(above));
            removed += usize::from(idle.is_some());
            cursor.leaving.extend(idle);
        }
        removed
    }

    fn take_idle(&self, node: Arc<Node>) -> Option<Arc<Node>> {
        let (above, level, text) =
            node.key().map(|(above, level, text)| (above, level, text.into_owned()))?;
        let (id, is_bare) = (node.id(), node.is_bare());
        // From here the index alone may hold it.
        drop(node);
        let idle = self.index.take_idle(&self.index.key(above, level, (&text, text.brief())), id);
        if idle.is_none() && is_bare {
            // A holder that goes silently, an old table or another child that leaves: to be looked at again.
            self.shared.stir();
        }
        idle
    }

    /// Whether nodes wait for readers to pass, for tests.
    #[cfg(test)]
    pub(in crate::scope) fn is_letting_go(&self) -> bool {
        self.collector.try_lock().is_none_or(|cursor| !cursor.leaving.is_empty())
    }
}
