//! Maps and sets of the standard library, with their tables and nodes.
//!
//! A hash table has a power of two of buckets, of which an eighth stays free, one control byte a bucket and a group of
//! 16 more (std's `HashMap` is hashbrown's). A B-tree's node has room for eleven entries; how full nodes are cannot be
//! asked, so beyond the first seven in eleven places are taken to be used, which random inserts come to (ascending ones
//! use fewer). Exact for hash tables that never shrank, within a sixth for B-trees.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::{HeapSize, allocated, sum};

/// Control bytes beyond those of the buckets, and the alignment of the control bytes.
const GROUP: usize = 16;

/// Entries of a B-tree's node, and of a node as it is on average.
const NODE: usize = 11;
const USED: usize = 7;

/// The block of a hash table that can take so many entries.
fn table<T>(capacity: usize) -> usize {
    let buckets = match capacity {
        0 => return 0,
        1..=3 => 4,
        4..=7 => 8,
        more => more.saturating_mul(8).div_ceil(7).checked_next_power_of_two().unwrap_or(usize::MAX),
    };
    let entries = buckets.saturating_mul(size_of::<T>()).checked_next_multiple_of(GROUP);
    allocated(entries.unwrap_or(usize::MAX).saturating_add(buckets).saturating_add(GROUP))
}

/// The nodes of a B-tree of so many entries.
fn nodes<K, V>(entries: usize) -> usize {
    if entries == 0 {
        return 0;
    }
    // A pointer upward, the place there and the number of entries, each in the parent's node of its own.
    let pair = size_of::<K>() + size_of::<V>();
    let leaf = (NODE * pair + size_of::<usize>() + 4).next_multiple_of(size_of::<usize>());
    let inner = leaf + (NODE + 1) * size_of::<usize>();
    if entries <= NODE {
        return allocated(leaf);
    }
    // Every entry is in some node; of an inner node's children each is a node.
    let all = entries.div_ceil(USED);
    let inners = all.div_ceil(USED + 1);
    let leaves = all.saturating_sub(inners);
    leaves.saturating_mul(allocated(leaf)).saturating_add(inners.saturating_mul(allocated(inner)))
}

impl<K: HeapSize, V: HeapSize, S> HeapSize for HashMap<K, V, S> {
    fn heap_bytes(&self) -> usize {
        table::<(K, V)>(self.capacity()).saturating_add(sum(self.keys())).saturating_add(sum(self.values()))
    }
}

impl<T: HeapSize, S> HeapSize for HashSet<T, S> {
    fn heap_bytes(&self) -> usize {
        table::<T>(self.capacity()).saturating_add(sum(self.iter()))
    }
}

impl<K: HeapSize, V: HeapSize> HeapSize for BTreeMap<K, V> {
    fn heap_bytes(&self) -> usize {
        nodes::<K, V>(self.len()).saturating_add(sum(self.keys())).saturating_add(sum(self.values()))
    }
}

impl<T: HeapSize> HeapSize for BTreeSet<T> {
    fn heap_bytes(&self) -> usize {
        nodes::<T, ()>(self.len()).saturating_add(sum(self.iter()))
    }
}
