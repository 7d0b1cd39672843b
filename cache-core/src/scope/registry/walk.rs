//! Going through all nodes of a level, for reports.
//!
//! (1) No lock is taken. A table is held while it is gone through: if another one takes its place, what is seen is the moment of
//! that change. (2) A thread is pinned for a slice of places at a time, so that it holds back little. (3) A node that is there all
//! the time, in a table that is not replaced, is seen once. A path whose node went and came again meanwhile may be seen twice: who
//! minds compares paths.
//! Cost: a look at each place of the index, whatever its level.

use super::Registry;
use super::index::Index;
use crate::epoch::{self, Slot};
use crate::scope::node::Node;
use crate::scope::tree::LevelId;
use crate::sync::Arc;

/// Places looked at under one pin.
const SLICE: usize = 256;

impl Registry {
    /// Calls for every live node of a level; `None` is the root. What runs should be short: readers are held back by it.
    pub fn for_each_at(&self, level: Option<LevelId>, mut see: impl FnMut(&Node)) {
        let Some(level) = level else { return see(&self.root()) };
        self.index.for_each(|node| {
            if node.level() == Some(level) && node.is_live() {
                see(node);
            }
        });
    }

    /// Whether scopes of a level have counters of their own.
    pub fn is_tracked(&self, level: LevelId) -> bool {
        self.tracked[level.index()]
    }
}

impl Index {
    pub(super) fn for_each(&self, mut see: impl FnMut(&Node)) {
        for slot in self.tables() {
            let table = Slot::load(slot, &epoch::pin()).map(|table| Arc::clone(&table));
            for places in table.iter().flat_map(|table| table.slices(SLICE)) {
                let pin = epoch::pin();
                places.iter().filter_map(|place| place.node(&pin)).for_each(|node| see(&node));
            }
        }
    }
}
