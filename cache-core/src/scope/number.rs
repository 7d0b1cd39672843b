//! Short numbers for the nodes that exist.
//!
//! (1) Two nodes of a registry that exist at the same time have different numbers. (2) A number is used again after its
//! node was dropped, so they stay as small as there are nodes. Cost: a lock a node's life begins and ends with.

use crate::sync::Mutex;

/// The numbers of a registry.
#[derive(Debug, Default)]
pub(super) struct Numbers(Mutex<Given>);

#[derive(Debug, Default)]
struct Given {
    next: u32,
    back: Vec<u32>,
}

impl Numbers {
    pub(super) fn take(&self) -> u32 {
        let mut given = self.0.lock();
        given.back.pop().unwrap_or_else(|| {
            // Four thousand million nodes at a time do not fit into memory.
            given.next = given.next.checked_add(1).expect("fewer than 2^32 scopes exist at a time");
            given.next - 1
        })
    }

    pub(super) fn give_back(&self, number: u32) {
        self.0.lock().back.push(number);
    }
}
