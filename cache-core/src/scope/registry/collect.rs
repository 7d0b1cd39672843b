//! Removing nodes that nobody uses, in slices.
//!
//! (1) Slots, flights, anchors and children each hold their node, so a node is idle if and only if the index alone holds
//! it. That is seen under the shard's write lock: whoever could take another hold needs that lock or has one already.
//! (2) A removed node takes no counters along that its ancestors lack (see `stats`). (3) `stirred` is cleared when a pass
//! begins; it is set again by whatever may leave something idle behind the cursor: a new node, a release, an anchor
//! that goes, and by the pass itself when it sees a node that is held by none of those, for such a holder goes silently.
//! (4) Dead nodes that are still indexed, below a detached one, are idle under the same condition.
//! Cost: a lock is held for at most 256 places; removed nodes are dropped outside it.

use super::{Registry, Shard};
use crate::scope::node::Node;
use crate::sync::{Arc, Ordering};

/// The most places looked at under one lock.
const SLICE: usize = 256;

/// Tables below this many places are not worth shrinking.
const SMALL: usize = 64;

/// Where the present pass goes on.
#[derive(Debug, Default)]
pub(super) struct Cursor {
    under_way: bool,
    shard: usize,
    place: usize,
}

impl Registry {
    /// Removes idle nodes, looking at about as many places of the index as the budget says; goes on where the last call
    /// stopped. With an unlimited budget a call makes one whole pass of its own. Answers how many it removed; none while another thread is at it.
    pub fn collect_idle(&self, budget: usize) -> usize {
        let Some(mut cursor) = self.collector.try_lock() else {
            return 0;
        };
        let (mut looked, mut removed, mut began) = (0, 0, false);
        while looked < budget {
            if !cursor.under_way {
                if !self.shared.stirred.swap(false, Ordering::AcqRel) {
                    break;
                }
                cursor.under_way = true;
                began = true;
            }
            let most = SLICE.min(budget - looked);
            let mut idle = Vec::new();
            looked += self.slice(&mut cursor, most, &mut idle);
            removed += idle.len();
            for node in idle {
                removed += self.drop_chain(node);
            }
            if cursor.shard == self.shards.len() {
                *cursor = Cursor::default();
                // One whole pass a call, or nodes that are held would be looked at again and again.
                if began {
                    break;
                }
            }
        }
        removed
    }

    /// Whether a pass is under way, or something happened since the last one that may have left nodes idle.
    pub fn idle_work(&self) -> bool {
        let under_way = self.collector.try_lock().is_none_or(|cursor| cursor.under_way);
        under_way || self.shared.stirred.load(Ordering::Acquire)
    }

    /// Takes idle nodes out of the next places of one shard; answers how many places it looked at, at least one.
    fn slice(&self, cursor: &mut Cursor, most: usize, idle: &mut Vec<Arc<Node>>) -> usize {
        let mut shard = self.shards[cursor.shard].write();
        let end = shard.num_buckets().min(cursor.place + most);
        let begin = cursor.place.min(end);
        for place in begin..end {
            let Some(node) = shard.get_bucket_mut(place) else {
                continue;
            };
            if Arc::get_mut(node).is_some() {
                if let Ok(entry) = shard.get_bucket_entry(place) {
                    idle.push(entry.remove().0);
                }
            } else if node.is_bare() {
                self.shared.stir();
            }
        }
        cursor.place = end;
        if end == shard.num_buckets() {
            self.shrink(&mut shard);
            cursor.shard += 1;
            cursor.place = 0;
        }
        (end - begin).max(1)
    }

    /// Gives memory back where most places are empty.
    fn shrink(&self, shard: &mut Shard) {
        if shard.num_buckets() > SMALL && shard.len() < shard.num_buckets() / 8 {
            let wanted = shard.len() * 2;
            shard.shrink_to(wanted, |node| self.hash_of(node));
        }
    }

    /// Drops a removed node and then every node above it that it alone kept; answers how many more were removed.
    fn drop_chain(&self, node: Arc<Node>) -> usize {
        let mut removed = 0;
        let mut parent = node.parent().cloned();
        drop(node);
        while let Some(node) = parent {
            if node.level().is_none() {
                break;
            }
            let hash = self.hash_of(&node);
            parent = node.parent().cloned();
            let id = node.id();
            // From here the index alone may hold it.
            drop(node);
            let mut shard = self.shard(hash).write();
            let idle = match shard.find_entry(hash, |held| held.id() == id) {
                Ok(mut entry) => Arc::get_mut(entry.get_mut()).is_some().then(|| entry.remove().0),
                Err(_) => None,
            };
            drop(shard);
            if idle.is_none() {
                break;
            }
            removed += 1;
        }
        removed
    }
}
