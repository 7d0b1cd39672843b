//! Where the entries of a shard lie: segments of nodes that never move and never shrink while anybody may look.
//!
//! (1) A number has one place: segment `k` holds `16 << k` numbers, of which it may have allocated fewer. (2) Only the
//! holder of the shard's lock allocates, fills, empties and frees. (3) A place is filled while no reader can know its number, and
//! emptied when none can still know it. What makes (3) true is the arena's business; here every access that relies on it
//! is unsafe and says so.
//! Segments begin with a line of memory.
//! Cost: one load and four or five instructions from a name to its node.

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::mem::MaybeUninit;

use super::header::Header;
use crate::sync::{AtomicPtr, Ordering, UnsafeCell};

/// Numbers in the first segment.
const FIRST: u32 = 16;

/// Segments at most; all numbers are below 2^27 − 16.
pub(super) const SEGMENTS: usize = 23;

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
    /// The node is filled, is not emptied while the reference lives, and nobody writes its value over meanwhile.
    #[inline]
    pub(super) unsafe fn payload(&self) -> &(K, V) {
        // SAFETY: nobody writes to a filled node's payload, as the caller says.
        let payload = self.payload.with(|payload| unsafe { &*payload });
        // SAFETY: it is filled.
        unsafe { payload.assume_init_ref() }
    }

    /// The key.
    ///
    /// # Safety
    /// The node is filled, and is not emptied while the reference lives.
    #[inline]
    pub(super) unsafe fn key(&self) -> &K {
        self.payload.with(|payload| {
            // SAFETY: it is filled, and nobody writes to a filled node's key.
            unsafe { &(*payload.cast::<(K, V)>()).0 }
        })
    }

    /// Where the value is.
    #[inline(always)]
    pub(super) fn value(&self) -> *mut V {
        // The pointer is used after the closure: no explorer watches words, and for nothing else is it asked for.
        self.payload.with(|payload| {
            let payload = payload.cast::<(K, V)>().cast_mut();
            // SAFETY: the field lies within the payload, filled or not.
            unsafe { &raw mut (*payload).1 }
        })
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

/// Bytes of a line of memory.
const LINE: usize = 64;

/// A slot as a table writes it down, and as its node is found by.
pub(super) trait Name: Copy + PartialEq {
    /// The name of a slot, which is not too high.
    fn of(slot: u32) -> Self;

    /// The slot that has this name.
    fn slot(self) -> u32;

    /// Its segment.
    fn segment(self) -> usize;
}

/// The number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Short(pub(super) u16);

impl Short {
    /// The highest slot that has such a name.
    pub(super) const HIGHEST: u32 = u16::MAX as u32;
}

impl Name for Short {
    #[inline(always)]
    #[allow(clippy::cast_possible_truncation, reason = "no higher slot is asked for")]
    fn of(slot: u32) -> Self {
        Self(slot as u16)
    }

    #[inline(always)]
    fn slot(self) -> u32 {
        self.0.into()
    }

    #[inline(always)]
    fn segment(self) -> usize {
        segment_of(self.slot())
    }
}

/// The segment above [`NUMBER`] bits, and the number: to find the segment takes some processors longer than all the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Long(pub(super) u32);

impl Name for Long {
    #[inline(always)]
    #[allow(clippy::cast_possible_truncation, reason = "there are few segments")]
    fn of(slot: u32) -> Self {
        Self((segment_of(slot) as u32) << NUMBER | slot)
    }

    #[inline(always)]
    fn slot(self) -> u32 {
        self.0 & ((1 << NUMBER) - 1)
    }

    #[inline(always)]
    fn segment(self) -> usize {
        (self.0 >> NUMBER) as usize
    }
}

/// Bits of a long name that are the number.
const NUMBER: u32 = 27;

/// The segment of a number.
#[inline(always)]
const fn segment_of(slot: u32) -> usize {
    let number = slot.wrapping_add(FIRST);
    // What is or-ed changes no logarithm of a number there is; it says that there is one, which spares a check.
    ((number | FIRST).ilog2() as usize).wrapping_sub(FIRST.ilog2() as usize)
}

/// The places of one shard.
pub(super) struct Slots<K, V> {
    /// Each pointer stands so far before its segment that the number is added as it is.
    segments: [AtomicPtr<Node<K, V>>; SEGMENTS],
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
        let layout = Self::layout(segment, nodes);
        // SAFETY: a node has a header, and there is one at least.
        let memory = unsafe { alloc(layout) };
        if memory.is_null() {
            handle_alloc_error(layout);
        }
        let start: *mut Node<K, V> = memory.cast();
        self.segments[segment].store(start.wrapping_sub(first_of(segment) as usize), Ordering::Release);
    }

    /// Of so many nodes, one at least. They begin with a line of memory, so that those of 16, 32 or 64 bytes lie in one line each.
    fn layout(segment: usize, nodes: u32) -> Layout {
        let nodes = nodes.clamp(1, numbers_of(segment)) as usize;
        let layout = Layout::array::<Node<K, V>>(nodes).and_then(|layout| layout.align_to(LINE));
        layout.expect("a segment is smaller than half of all addresses")
    }

    /// Gives a segment's memory back.
    ///
    /// # Safety
    /// It was allocated with this number of nodes, all are empty, and no reader knows a number in it.
    pub(super) unsafe fn free(&self, segment: usize, nodes: u32) {
        let memory = self.segments[segment].swap(std::ptr::null_mut(), Ordering::Relaxed);
        let memory: *mut u8 = memory.wrapping_add(first_of(segment) as usize).cast();
        // So that whoever still looks there is noticed.
        #[cfg(test)]
        // SAFETY: it was allocated with this very layout, and nobody uses it any more.
        unsafe {
            memory.write_bytes(0xa5, Self::layout(segment, nodes).size());
        }
        // SAFETY: it was allocated with this very layout, and nobody uses it any more.
        unsafe { dealloc(memory, Self::layout(segment, nodes)) };
    }

    /// Fills an empty place.
    ///
    /// # Safety
    /// The place is within what was allocated, it is empty, and no reader knows it.
    #[inline]
    pub(super) unsafe fn fill(&self, slot: u32, node: Node<K, V>) {
        // SAFETY: the place is allocated.
        let address = unsafe { self.address(segment_of(slot), slot) };
        // SAFETY: it is memory that nobody reads or writes.
        unsafe { address.write(node) }
    }

    /// The node of a slot.
    ///
    /// # Safety
    /// The place has been filled, and its segment is not freed while the reference lives.
    #[inline(always)]
    pub(super) unsafe fn node(&self, slot: u32) -> &Node<K, V> {
        // SAFETY: a filled place is allocated.
        let address = unsafe { self.address(segment_of(slot), slot) };
        // SAFETY: it holds a node; what changes in it later is behind cells.
        unsafe { &*address }
    }

    /// The node of a slot that has this name.
    ///
    /// # Safety
    /// As of [`node`](Self::node).
    #[inline(always)]
    pub(super) unsafe fn named(&self, name: impl Name) -> &Node<K, V> {
        // SAFETY: as there.
        let address = unsafe { self.address(name.segment(), name.slot()) };
        // SAFETY: as there.
        unsafe { &*address }
    }

    /// Where a node begins, if there is one; to be prefetched.
    #[inline]
    pub(super) fn line_of(&self, slot: u32) -> *const Node<K, V> {
        let segment = self.segments.get(segment_of(slot)).map(|segment| segment.load(Ordering::Acquire));
        segment.unwrap_or(std::ptr::null_mut()).wrapping_add(slot as usize)
    }

    /// # Safety
    /// The place was allocated.
    #[inline(always)]
    unsafe fn address(&self, segment: usize, slot: u32) -> *mut Node<K, V> {
        // SAFETY: nothing is allocated but in one of the segments.
        let segment = unsafe { self.segments.get_unchecked(segment) };
        // Whoever knows a slot knows it from a release that came after the segment's.
        segment.load(Ordering::Acquire).wrapping_add(slot as usize)
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
            assert_eq!(segment_of(next), segment);
            next += numbers_of(segment);
            assert_eq!(segment_of(next - 1), segment);
        }
        assert_eq!(next, (1 << NUMBER) - 16);
    }

    #[test]
    fn names_are_of_one_slot_each() {
        fn check<N: Name>(slot: u32) {
            let name = N::of(slot);
            assert_eq!((name.slot(), name.segment()), (slot, segment_of(slot)));
        }
        (0..=Short::HIGHEST).for_each(check::<Short>);
        (0..100_000).chain([1 << 20, first_of(SEGMENTS) - 1]).for_each(check::<Long>);
    }

    #[test]
    fn nodes_of_a_power_of_two_lie_in_one_line_each() {
        fn lines<K, V>(slots: &Slots<K, V>, nodes: u32) {
            slots.allocate(3, nodes);
            for offset in 0..nodes {
                let first = slots.line_of(first_of(3) + offset).addr();
                let last = first + size_of::<Node<K, V>>() - 1;
                assert_eq!(first / LINE, last / LINE, "{offset}");
            }
            // SAFETY: nothing was filled.
            unsafe { slots.free(3, nodes) };
        }
        for nodes in [1, 7, 128] {
            lines(&Slots::<u64, u64>::new(), nodes);
            lines(&Slots::<u64, [u64; 5]>::new(), nodes);
        }
    }
}
