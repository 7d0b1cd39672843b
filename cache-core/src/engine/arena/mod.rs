//! One shard's entries: found by readers without a lock, changed by one writer at a time.
//!
//! The only unsafe island of the engine. Readers hold a [`Pin`]; the writer holds the shard's lock ([`Arena::lock`]).
//! (1) The table names exactly the live slots, and the bit of a slot in `chunks` says the same. (2) A slot is filled
//! before the table names it. (3) A slot that the table names no longer is stamped *after* that, and is emptied or
//! filled again only when its stamp is past: then every reader who could have read its number has unpinned. (4) A slot
//! is live, in limbo, free, or fresh; only live ones and those in limbo are filled. (5) An [`Entry`] borrows either the
//! pin under which it was found, or the lock of a writer, who cannot retire anything meanwhile. (6) A table that was
//! replaced is dropped when no pin can have seen it. (7) No user code runs here but `Eq` of keys, before anything
//! changes; keys and values that leave are handed out, to be dropped without the lock. (8) What is filled is written
//! over only if it is a word (`word`), its slot is live, and the lock is held; then as a word, and before the deadline
//! that goes with it. (9) What stands beside a tagged or kept entry (`beside`) is written before the table names its slot, as in (2);
//! of an entry that has nothing there it says so.
//! Cost: a look-up is two cold lines; an entry is 16 bytes beside key and value, 6 or 9 in the table and 0.3 in `chunks`.
//! The idea of memory that outlives its removal until readers have passed: Fraser, "Practical lock-freedom", 2004, 5.2.3.

#![allow(unsafe_code, reason = "slots are shared between readers and a writer; the rules are above")]

mod beside;
mod bucket;
mod entry;
mod growth;
mod header;
mod kept;
mod lanes;
mod limbo;
#[cfg(all(test, loom))]
mod loomed;
mod slots;
mod state;
mod table;
#[cfg(all(test, not(any(shuttle, loom))))]
mod tests;
mod view;
mod word;
mod writer;

use std::hash::Hash;

use crossbeam_utils::CachePadded;
use equivalent::Equivalent;

use beside::{Shown, Words};
pub(super) use entry::Entry;
use header::id_of;
pub(super) use header::{Header, State as HeaderState};
pub(super) use kept::Kept;
use slots::{Name, Slots};
use state::State;
use table::{First, Seek, Size, Table};
pub(super) use view::View;
use view::slots_of;
pub(super) use writer::Locked;

use super::options::Glance;
use super::removal::guarded;
use crate::epoch::Pin;
use crate::policy::SlotId;
use crate::scope::CellWord;
use crate::sync::{AtomicBool, AtomicPtr, AtomicU32, Mutex, Ordering};

/// Slots whose state is kept in one word.
pub(super) const CHUNK: usize = 64;

/// Retired slots that wait before the writer looks whether readers have passed, in a large shard.
const BATCH: usize = 64;

/// The same in a small shard.
const FEWEST: usize = 4;

/// Retired slots that share a stamp in a large shard.
const SHARE: u32 = 8;

/// Retired slots that may wait beside as many as are live; then nothing more is taken in until a reader moves on.
const STALLED: usize = 4096;

/// How many times as large as it has to be what a shard keeps is when it is given back in part; and slots for which no memory is.
pub(super) const ROOMY: usize = if cfg!(any(shuttle, loom)) { 4 } else { 16 };
const FEW: usize = if cfg!(any(shuttle, loom)) { 16 } else { 1024 };

/// Segments of few nodes behind those that were expected.
const BEYOND: usize = 2;

/// A shard: entries, and what its writer keeps about them in `books`. What readers use lies apart from what a writer changes.
pub(super) struct Arena<K, V, B> {
    reader: CachePadded<Reader<K, V>>,
    writing: CachePadded<Writing<K, V, B>>,
}

struct Writing<K, V, B> {
    writer: Mutex<Writer<K, V, B>>,
    /// Whether slots are in limbo; a hint for maintenance.
    waiting: AtomicBool,
    /// What the writer lets others know without the lock.
    shown: AtomicU32,
}

struct Reader<K, V> {
    table: AtomicPtr<Table>,
    slots: Slots<K, V>,
    cells: Shown<1>,
    kept: Shown<{ kept::WORDS }>,
}

struct Writer<K, V, B> {
    state: State<K, V>,
    books: B,
}

// SAFETY: readers get `&K` and `&V` on any thread, and whoever reclaims drops keys and values that others made.
unsafe impl<K: Send + Sync, V: Send + Sync, B: Send> Sync for Arena<K, V, B> {}
// SAFETY: as above; nothing in it belongs to a thread.
unsafe impl<K: Send + Sync, V: Send + Sync, B: Send> Send for Arena<K, V, B> {}

/// The shards of a region, a power of two.
pub(super) struct Shards<K, V, B> {
    all: Box<[Arena<K, V, B>]>,
    /// How many there are, less one.
    mask: u32,
    /// The same in bytes, if a shard takes a power of two of them.
    bytes: usize,
}

impl<K, V, B> Shards<K, V, B> {
    pub(super) fn new(count: usize, shard: impl FnMut(usize) -> Arena<K, V, B>) -> Self {
        let count = count.next_power_of_two().min(1 << 16);
        #[allow(clippy::cast_possible_truncation, reason = "there are 2^16 at most")]
        let mask = count as u32 - 1;
        Self {
            all: (0..count).map(shard).collect(),
            mask,
            bytes: mask as usize * size_of::<Arena<K, V, B>>(),
        }
    }

    /// The number of a hash's shard.
    #[inline]
    pub(super) fn index(&self, hash: u64) -> usize {
        ((hash >> 32) as u32 & self.mask) as usize
    }

    /// The shard of a hash.
    #[inline]
    pub(super) fn of(&self, hash: u64) -> &Arena<K, V, B> {
        let size = size_of::<Arena<K, V, B>>();
        if size.is_power_of_two() && size_of::<usize>() == size_of::<u64>() {
            // The index, times the size of a shard, in one shift.
            let offset = (hash >> (32 - size.ilog2())) as usize & self.bytes;
            let shard = self.all.as_ptr().wrapping_byte_add(offset);
            // SAFETY: it is the offset of a shard, for no index is above the mask, and there are more shards than that.
            return unsafe { &*shard };
        }
        // SAFETY: as above.
        unsafe { self.all.get_unchecked(self.index(hash)) }
    }
}

impl<K, V, B> std::ops::Deref for Shards<K, V, B> {
    type Target = [Arena<K, V, B>];

    fn deref(&self) -> &Self::Target {
        &self.all
    }
}

impl<K, V, B> Arena<K, V, B> {
    /// An empty shard that expects so many slots at most, or 0 where nobody knows.
    pub(super) fn new(expected: u32, books: B) -> Self {
        let table = Box::into_raw(Box::new(Table::new(Size::of(0, 0))));
        Self {
            reader: CachePadded::new(Reader {
                table: AtomicPtr::new(table),
                slots: Slots::new(),
                cells: Shown::new(None),
                kept: Shown::new(None),
            }),
            writing: CachePadded::new(Writing {
                writer: Mutex::new(Writer { state: State::new(expected), books }),
                waiting: AtomicBool::new(false),
                shown: AtomicU32::new(u32::MAX),
            }),
        }
    }

    /// Finds the entry of a key under one scope. Compares hash, scope and key in full. No lock.
    #[inline]
    pub(super) fn find<'a, Q>(
        &'a self,
        _pin: &'a Pin,
        hash: u32,
        scope: u32,
        key: &Q,
    ) -> Option<Entry<'a, K, V>>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        // SAFETY: the caller is pinned for 'a.
        unsafe { self.reader.find(hash, scope, key) }
    }

    /// As [`find`](Self::find), but looks at one bucket only, which nearly always tells.
    /// `scope_above` is the scope's number times 2^32.
    #[inline(always)]
    pub(super) fn glance<'a, Q>(
        &'a self,
        _pin: &'a Pin,
        hash: u32,
        scope_above: u64,
        key: &Q,
    ) -> Glance<Entry<'a, K, V>>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        // SAFETY: the caller is pinned for 'a.
        unsafe { self.reader.glance(hash, scope_above | u64::from(hash), key) }
    }

    /// What was kept beside a tagged entry that the caller has found under this pin.
    #[inline]
    pub(super) fn cell_of(&self, pin: &Pin, entry: Entry<'_, K, V>) -> CellWord {
        let [word] = Words::read(&self.reader.cells, pin, entry.slot().0);
        CellWord::from_bits(word)
    }

    /// The times of an entry that the caller has found under this pin, if it is kept past them.
    #[inline]
    pub(super) fn kept_of(&self, pin: &Pin, entry: Entry<'_, K, V>) -> Option<Kept> {
        Kept::of(Words::read(&self.reader.kept, pin, entry.slot().0))
    }

    /// Asks for the table's line ahead of its use.
    #[inline]
    pub(super) fn prefetch(&self, _pin: &Pin, hash: u32) {
        // SAFETY: the caller is pinned, so by (6) the table lives.
        unsafe { &*self.reader.table.load(Ordering::Acquire) }.prefetch(hash);
    }

    /// Waits for the shard's lock.
    pub(super) fn lock(&self) -> Locked<'_, K, V, B> {
        Locked { arena: self, writer: self.writing.writer.lock() }
    }

    /// What a writer [showed](Locked::show) last; all bits before.
    pub(super) fn shown(&self) -> u32 {
        self.writing.shown.load(Ordering::Relaxed)
    }

    /// Whether what left waits to be dropped or used again. May be out of date.
    pub(super) fn has_waiting(&self) -> bool {
        self.writing.waiting.load(Ordering::Relaxed)
    }
}

impl<K, V> Reader<K, V> {
    /// # Safety
    /// The caller is pinned, or holds the lock, for 'a.
    #[inline]
    unsafe fn find<'a, Q>(&'a self, hash: u32, scope: u32, key: &Q) -> Option<Entry<'a, K, V>>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        // SAFETY: by (6) the table lives while the caller is pinned; only a lock's holder replaces it.
        let table = unsafe { &*self.table.load(Ordering::Acquire) };
        let id = id_of(scope, hash);
        // SAFETY: the caller's promise, and the table looks at slots that it names.
        table.find(hash, unsafe { self.seek(id, key) })
    }

    /// # Safety
    /// As of [`find`](Self::find).
    #[inline(always)]
    unsafe fn glance<'a, Q>(&'a self, hash: u32, id: u64, key: &Q) -> Glance<Entry<'a, K, V>>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        // SAFETY: by (6) the table lives while the caller is pinned; only a lock's holder replaces it.
        let table = unsafe { &*self.table.load(Ordering::Acquire) };
        // SAFETY: the caller's promise, and the table looks at slots that it names.
        match table.first(hash, unsafe { self.seek(id, key) }) {
            First::Found(entry) => Glance::Found(entry),
            First::Absent => Glance::Absent,
            First::Elsewhere => Glance::Unsure,
        }
    }

    /// Looks for the entry of a key and its [`id_of`].
    ///
    /// # Safety
    /// It is shown slots only that the table names while the caller is pinned, or holds the lock, and so the caller is for 'a.
    #[inline(always)]
    unsafe fn seek<'a, 'q, Q: ?Sized>(&'a self, id: u64, key: &'q Q) -> Wanted<'a, 'q, K, V, Q> {
        Wanted { slots: &self.slots, id, key }
    }
}

/// The entry that is looked for.
struct Wanted<'a, 'q, K, V, Q: ?Sized> {
    slots: &'a Slots<K, V>,
    id: u64,
    key: &'q Q,
}

impl<'a, K, V, Q> Seek for Wanted<'a, '_, K, V, Q>
where
    Q: Hash + Equivalent<K> + ?Sized,
{
    type Found = Entry<'a, K, V>;

    #[inline(always)]
    fn look<N: Name>(&mut self, name: N) -> Option<Self::Found> {
        // SAFETY: by (2) and (3) the slot is filled and stays so for 'a, as whoever looks has promised.
        let node = unsafe { self.slots.named(name) };
        if !node.header.is(self.id) {
            return None;
        }
        // SAFETY: as above.
        let known = unsafe { node.key() };
        self.key.equivalent(known).then(|| Entry { node, slot: SlotId(name.slot()) })
    }
}

impl<K, V, B> Drop for Arena<K, V, B> {
    fn drop(&mut self) {
        let Writer { state, .. } = self.writing.writer.get_mut();
        if std::mem::needs_drop::<(K, V)>() {
            let live = (0..state.chunks.len()).flat_map(|chunk| slots_of(chunk, state.chunks[chunk].live));
            for slot in live.map(|slot| slot.0).chain(state.limbo.iter()) {
                // SAFETY: nobody else has the arena, and these slots are filled (4).
                let node = unsafe { self.reader.slots.node(slot) };
                // SAFETY: it is filled, and nobody else reaches it.
                let payload = unsafe { node.take() };
                guarded("drop", || drop(payload));
            }
        }
        for (segment, nodes) in state.allocated.iter().copied().enumerate().filter(|&(_, nodes)| nodes > 0) {
            // SAFETY: everything in it has been emptied.
            unsafe { self.reader.slots.free(segment, nodes) };
        }
        // SAFETY: nobody else has the arena; the pointer came from a box.
        drop(unsafe { Box::from_raw(self.reader.table.load(Ordering::Relaxed)) });
    }
}
