//! Where the entries of a shard lie: segments of nodes that never move and never shrink while anybody may look.
//!
//! (1) A number belongs to one place for as long as its segment lives: segment `k` holds `16 << k` numbers, of which it
//! may have allocated fewer. (2) Only the holder of the shard's lock allocates, fills, empties and frees. (3) A place
//! is filled while no reader can know its number, and emptied when none can still know it. What makes (3) true is the
//! arena's business; here every access that relies on it is unsafe and says so.
//! Cost: one load and three instructions from a number to its node.

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
    /// By the binary logarithm of a number plus [`FIRST`]: as many as there can be, so that choosing needs no check. Each
    /// pointer stands so far before its segment that the number is added as it is.
    segments: [AtomicPtr<Node<K, V>>; 32],
}

/// The logarithm that chooses a segment, and what is added to its pointer.
#[inline]
const fn place(slot: u32) -> (usize, usize) {
    let number = slot.wrapping_add(FIRST);
    // What is or-ed changes no logarithm of a number there is; it says that there is one, which spares a check.
    ((number | FIRST).ilog2() as usize, number as usize)
}

/// The logarithm of a segment, and by how much its pointer stands before it.
const fn bias(segment: usize) -> (usize, usize) {
    (segment + FIRST.ilog2() as usize, (FIRST as usize) << segment)
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
        let (at, before) = bias(segment);
        let start: *mut Node<K, V> = Box::into_raw(memory).cast();
        self.segments[at].store(start.wrapping_sub(before), Ordering::Release);
    }

    /// Gives a segment's memory back.
    ///
    /// # Safety
    /// It was allocated with this number of nodes, all are empty, and no reader knows a number in it.
    pub(super) unsafe fn free(&self, segment: usize, nodes: u32) {
        let (at, before) = bias(segment);
        let memory = self.segments[at].swap(std::ptr::null_mut(), Ordering::Relaxed).wrapping_add(before);
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

    /// Where the node of a number begins, if there is one; to be prefetched.
    #[inline]
    pub(super) fn line_of(&self, slot: u32) -> *const Node<K, V> {
        self.address(slot)
    }

    #[inline]
    fn address(&self, slot: u32) -> *mut Node<K, V> {
        let (at, offset) = place(slot);
        // Whoever has a number has it from a release that came after the segment's.
        self.segments[at].load(Ordering::Acquire).wrapping_add(offset)
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
            let (at, before) = bias(segment);
            assert_eq!(place(next), (at, before));
            next += numbers_of(segment);
            assert_eq!(place(next - 1), (at, before + numbers_of(segment) as usize - 1));
        }
        assert_eq!(next, (1 << 28) - 16);
    }
}
