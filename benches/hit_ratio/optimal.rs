//! The most hits any policy could have: what is wanted again last goes first, or is not kept at all.
//!
//! After Belady, "A Study of Replacement Algorithms for a Virtual-Storage Computer", IBM Systems Journal 5(2), 1966.

use std::collections::{BinaryHeap, HashMap};

/// Hits in requests, 0 to 1.
pub(crate) fn hit_ratio(keys: &[u64], capacity: usize) -> f64 {
    let next = next_uses(keys);
    // Kept keys by their next use, the latest first. An entry is stale if the key was asked for since.
    let mut kept: HashMap<u64, usize> = HashMap::with_capacity(capacity + 1);
    let mut by_use: BinaryHeap<(usize, u64)> = BinaryHeap::new();
    let mut hits = 0usize;
    for (key, next) in keys.iter().zip(next) {
        let held = kept.insert(*key, next).is_some();
        hits += usize::from(held);
        by_use.push((next, *key));
        while kept.len() > capacity {
            let Some((at, key)) = by_use.pop() else { break };
            if kept.get(&key) == Some(&at) {
                kept.remove(&key);
            }
        }
    }
    hits as f64 / keys.len().max(1) as f64
}

/// For each request, when its key is asked for again.
fn next_uses(keys: &[u64]) -> Vec<usize> {
    let mut seen: HashMap<u64, usize> = HashMap::new();
    let mut next = vec![usize::MAX; keys.len()];
    for (at, key) in keys.iter().enumerate().rev() {
        if let Some(later) = seen.insert(*key, at) {
            next[at] = later;
        }
    }
    next
}
