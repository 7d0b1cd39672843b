//! How many bytes an entry takes, for caches that are bounded in bytes.
//!
//! (1) A weight is what the allocator sets aside for the entry, not what the types ask for: each allocation is rounded
//! as glibc rounds on 64-bit machines ([`allocated`]). (2) What is shared is counted in full for every handle of it: the
//! cache cannot know who else holds it. (3) Sums saturate; a weight above the capacity is refused by the write.
//! Cost: fixed-size types are free; containers of types that own memory are walked at each write.
//! Source of the rounding: glibc's manual, "The GNU allocator", and the comment on chunks in its `malloc/malloc.c`.

mod collections;
mod owned;
mod plain;
mod text;

pub use text::parse_bytes;

#[cfg(test)]
mod tests;

/// Memory that a value owns outside itself.
pub trait HeapSize {
    /// Bytes on the heap, with what the allocator adds. Without the value's own `size_of_val`.
    fn heap_bytes(&self) -> usize;
}

/// Smallest block of glibc's allocator, its header, and its grain, in bytes.
const LEAST: usize = 32;
const HEADER: usize = 8;
const GRAIN: usize = 16;

/// What an allocation of so many bytes takes: 8 more, rounded up to 16, at least 32; nothing for none.
///
/// Other allocators round otherwise: jemalloc and mimalloc have no header and steps of an eighth to a quarter, so for
/// small blocks this is 0 to 16 bytes too high, for large ones up to a tenth too low.
///
/// ```
/// # use strata_cache_core::weight::allocated;
/// assert_eq!([0, 1, 24, 25, 1_000].map(allocated), [0, 32, 32, 48, 1_008]);
/// ```
#[inline]
pub const fn allocated(bytes: usize) -> usize {
    if bytes == 0 {
        return 0;
    }
    let block = bytes.saturating_add(HEADER + GRAIN - 1) / GRAIN * GRAIN;
    if block < LEAST { LEAST } else { block }
}

/// What the cache keeps for an entry beside its key and value: header, its places in the index, the order and the policy's
/// memory, and what of all that stays free. Bytes. A deadline adds nothing. The weight itself is kept only where entries may
/// differ: where key or value has something to drop.
pub const fn entry_overhead<K, V>() -> usize {
    let padding = size_of::<(K, V)>() - size_of::<K>() - size_of::<V>();
    let weight = if std::mem::needs_drop::<(K, V)>() { WEIGHT } else { 0 };
    let slot = SLOT + weight + padding;
    slot + (slot + size_of::<K>() + size_of::<V>()) / SPARE
}

/// A slot without key, value and weight. By layout: header 16, index 6 or 9, order 8, the default policy's counts and ghosts 7; what a
/// shard has once makes up the rest, measured by `tests/weights.rs`.
const SLOT: usize = 39;

/// What is kept of a weight.
const WEIGHT: usize = 8;

/// Of so many slots one is free: shares of shards differ by chance.
const SPARE: usize = 32;

/// The weight of an entry in bytes: key, value, what they own, and [`entry_overhead`]. Saturates.
pub fn entry_bytes<K: HeapSize, V: HeapSize>(key: &K, value: &V) -> u64 {
    let fixed = size_of::<K>() + size_of::<V>() + entry_overhead::<K, V>();
    fixed.saturating_add(key.heap_bytes()).saturating_add(value.heap_bytes()) as u64
}

/// What several values own together.
fn sum<'a, T: HeapSize + 'a>(values: impl Iterator<Item = &'a T>) -> usize {
    values.fold(0, |bytes, value| bytes.saturating_add(value.heap_bytes()))
}
