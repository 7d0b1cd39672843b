//! Where the entries of a shard lie: segments of nodes that never move and never shrink while anybody may look.
//!
//! (1) A number belongs to one place for as long as its segment lives: segment `k` holds `16 << k` numbers, of which it
//! may have allocated fewer. (2) Only the holder of the shard's lock allocates, fills, empties and frees. (3) A place
//! is filled while no reader can know its number, and emptied when none can still know it. What makes (3) true is the
//! arena's business; here every access that relies on it is unsafe and says so.
//! Cost: one load and four instructions from a number to its node.

use std::mem::MaybeUninit;

use super::header::Header;
use crate::sync::{AtomicPtr, Ordering, UnsafeCell};

/// Numbers in the first segment.
const FIRST: u32 = 16;

/// Segments at most; all numbers are below 2^28 − 16.
pub(super) const SEGMENTS: usize = 24;

/// An entry: its header, its key and its value.
pub(super) struct Node<K, V> {
    pub(super) header: Header,
    payload: UnsafeCell<MaybeUninit<(K, V)>>,
}

impl<K, V> Node<K, V> {
    pub(super) fn new(header: Header, payload: (K, V)) -> Self {
        Self { header, payload: UnsafeCell::new(MaybeUninit::new(payload)) }
    }

    /// Key and value.
    ///
    /// # Safety
    /// The node is filled, and is not emptied while the reference lives.
    #[inline]
    pub(super) unsafe fn payload(&self) -> &(K, V) {
        // SAFETY: nobody writes to a filled node's payload, as the caller says.
        let payload = self.payload.with(|payload| unsafe { &*payload });
        // SAFETY: it is filled.
        unsafe { payload.assume_init_ref() }
    }

    /// Moves key and value out.
    ///
    /// # Safety
    /// The node is filled, nobody else can reach it, and it counts as empty from now on.
    pub(super) unsafe fn take(&self) -> (K, V) {
        // SAFETY: nobody else reaches the node, and its payload is not used again.
        let payload = self.payload.with_mut(|payload| unsafe { payload.read() });
        // SAFETY: it is filled.
        unsafe { payload.assume_init() }
    }
}

/// The places of one shard.
pub(super) struct Slots<K, V> {
    /// As many as a number can choose, so that choosing needs no check; those above [`SEGMENTS`] are never used.
    segments: [AtomicPtr<Node<K, V>>; 32],
}

/// Segment and offset of a number.
#[inline]
const fn place(slot: u32) -> (usize, usize) {
    let number = slot + FIRST;
    let segment = number.ilog2() - FIRST.ilog2();
    (segment as usize, (number ^ (FIRST << segment)) as usize)
}

/// The first number of a segment.
pub(super) const fn first_of(segment: usize) -> u32 {
    (FIRST << segment) - FIRST
}

/// How many numbers a segment has.
pub(super) const fn numbers_of(segment: usize) -> u32 {
    FIRST << segment
}

impl<K, V> Slots<K, V> {
    pub(super) fn new() -> Self {
        Self { segments: std::array::from_fn(|_| AtomicPtr::new(std::ptr::null_mut())) }
    }

    /// Gives a segment memory for so many nodes. For the writer, once between two calls of `free`.
    pub(super) fn allocate(&self, segment: usize, nodes: u32) {
        let memory =
            Box::<[MaybeUninit<Node<K, V>>]>::new_uninit_slice(nodes.min(numbers_of(segment)) as usize);
        self.segments[segment].store(Box::into_raw(memory).cast(), Ordering::Release);
    }

    /// Gives a segment's memory back.
    ///
    /// # Safety
    /// It was allocated with this number of nodes, all are empty, and no reader knows a number in it.
    pub(super) unsafe fn free(&self, segment: usize, nodes: u32) {
        let memory = self.segments[segment].swap(std::ptr::null_mut(), Ordering::Relaxed);
        let nodes = nodes.min(numbers_of(segment)) as usize;
        let memory = std::ptr::slice_from_raw_parts_mut(memory.cast::<MaybeUninit<Node<K, V>>>(), nodes);
        // SAFETY: it came from a box of this very type and length, which nobody uses any more.
        drop(unsafe { Box::from_raw(memory) });
    }

    /// Fills an empty place.
    ///
    /// # Safety
    /// The number is within what was allocated, the place is empty, and no reader knows the number.
    pub(super) unsafe fn fill(&self, slot: u32, node: Node<K, V>) {
        // SAFETY: the place is allocated memory that nobody reads or writes.
        unsafe { self.address(slot).write(node) }
    }

    /// The node of a number.
    ///
    /// # Safety
    /// The place has been filled, and its segment is not freed while the reference lives.
    #[inline]
    pub(super) unsafe fn node(&self, slot: u32) -> &Node<K, V> {
        // SAFETY: a filled place holds a node; what changes in it later is behind cells.
        unsafe { &*self.address(slot) }
    }

    #[inline]
    fn address(&self, slot: u32) -> *mut Node<K, V> {
        let (segment, offset) = place(slot);
        // Whoever has a number has it from a release that came after the segment's.
        self.segments[segment % 32].load(Ordering::Acquire).wrapping_add(offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_fill_segments_without_gaps_or_overlaps() {
        let mut next = 0;
        for segment in 0..SEGMENTS {
            assert_eq!(first_of(segment), next);
            assert_eq!(place(next), (segment, 0));
            next += numbers_of(segment);
            assert_eq!(place(next - 1), (segment, numbers_of(segment) as usize - 1));
        }
        assert_eq!(next, (1 << 28) - 16);
    }
}
