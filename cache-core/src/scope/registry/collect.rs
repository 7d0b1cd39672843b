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
//! (7) An allocator gives memory back from its upper end, and keeps the first few pieces that a thread frees for that thread. So
//! the nodes of a turn are dropped from the lowest address up, and whatever outlives a pass (tables, numbers) is moved after the
//! pass, when the nodes are gone, or it would lie above them.
//! Cost: a shard's lock is held for at most 256 places; removed nodes are dropped outside it, by whoever collects. 16 bytes a node
//! while it leaves, and few leave at a time, so that collecting a million takes no memory to speak of.

use super::Registry;
use super::index::Index;
use crate::epoch::{self, Leaving};
use crate::scope::node::Node;
use crate::scope::tree::MAX_DEPTH;
use crate::sync::{Arc, Ordering};

/// The most places looked at under one lock.
const SLICE: usize = 256;

/// When so many nodes are leaving, no others are looked for until readers have passed.
const LEAVING: usize = if cfg!(shuttle) { 2 } else { 4096 };

/// Where the present pass goes on.
#[derive(Debug, Default)]
pub(super) struct Cursor {
    under_way: bool,
    shard: usize,
    place: usize,
    /// How many nodes went in the present pass.
    removed: usize,
    /// Taken out of the index; readers may not have passed.
    leaving: Vec<Leaving<Node>>,
}

/// What one call may look at, and what becomes of its pass.
struct Turn {
    budget: usize,
    /// Whether the present pass is its own.
    began: bool,
    /// Whether a pass ended.
    ended: bool,
}

impl Registry {
    /// Removes idle nodes, looking at about as many places of the index as the budget says; goes on where the last call
    /// stopped. With an unlimited budget a call makes one whole pass of its own, unless readers hold it up. Answers how many it
    /// removed; none while another thread is at it.
    pub fn collect_idle(&self, budget: usize) -> usize {
        let mut turn = Turn { budget, began: false, ended: false };
        let (mut removed, mut is_over) = (0, false);
        // Tables that were outgrown hold what was in them.
        epoch::settle_garbage();
        while !is_over {
            let Some(mut cursor) = self.collector.try_lock() else { break };
            removed += self.let_go(&mut cursor);
            let before = cursor.leaving.len();
            is_over = before >= LEAVING || self.look_for_idle(&mut cursor, &mut turn);
            removed += cursor.leaving.len() - before;
            drop(cursor);
            removed += self.see_off();
        }
        if let Some(mut cursor) = self.collector.try_lock() {
            cursor.removed += removed;
            if cursor.leaving.is_empty() {
                cursor.leaving = Vec::new();
            }
            if turn.ended {
                let is_much = std::mem::take(&mut cursor.removed) >= LEAVING;
                drop(cursor);
                self.index.shrink(is_much);
                self.shared.numbers.shrink();
                self.budgets.give_back();
                epoch::settle_garbage();
            }
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

    /// Takes idle nodes out of the index. Whether the turn is over; else many are leaving.
    fn look_for_idle(&self, cursor: &mut Cursor, turn: &mut Turn) -> bool {
        while turn.budget > 0 {
            if cursor.leaving.capacity() == 0 {
                // At once, by (7).
                cursor.leaving.reserve(LEAVING);
            }
            if cursor.leaving.len() >= LEAVING {
                return false;
            }
            if !cursor.under_way {
                if !self.shared.stirred.swap(false, Ordering::AcqRel) {
                    return true;
                }
                (cursor.under_way, turn.began) = (true, true);
            }
            turn.budget = turn.budget.saturating_sub(self.slice(cursor, SLICE.min(turn.budget)));
            if cursor.shard == Index::shards() {
                (cursor.under_way, cursor.shard, turn.ended) = (false, 0, true);
                // One whole pass a call, or nodes that are held would be looked at again and again.
                if turn.began {
                    return true;
                }
            }
        }
        true
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

    /// Has those that leave dropped, and what they alone kept above them leave. Readers are waited for a little, and never for
    /// long. Answers how many left.
    fn see_off(&self) -> usize {
        let (mut removed, mut have_passed) = (0, true);
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

    /// Drops the nodes that readers have passed, and takes out those above that they alone kept; answers how many.
    fn let_go(&self, cursor: &mut Cursor) -> usize {
        let mut removed = 0;
        if cursor.leaving.is_empty() {
            return 0;
        }
        // (7)
        let stay = Vec::with_capacity(cursor.leaving.len().max(LEAVING));
        let mut leaving = std::mem::replace(&mut cursor.leaving, stay);
        leaving.sort_unstable_by_key(Leaving::address);
        for node in leaving {
            let node = match node.passed() {
                Ok(node) => node,
                Err(leaving) => {
                    cursor.leaving.push(leaving);
                    continue;
                }
            };
            let above = node.parent().cloned();
            drop(node);
            let idle = above.and_then(|above| self.take_idle(above));
            removed += usize::from(idle.is_some());
            cursor.leaving.extend(idle);
        }
        removed
    }

    fn take_idle(&self, node: Arc<Node>) -> Option<Leaving<Node>> {
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
