//! One shard's entries: found by readers without a lock, changed by one writer at a time.
//!
//! The only unsafe island of the engine. Readers hold a [`Pin`]; the writer holds the shard's lock ([`Arena::lock`]).
//! (1) The table names exactly the live slots, and the bit of a slot in `chunks` says the same. (2) A slot is filled
//! before the table names it. (3) A slot that the table names no longer is stamped *after* that, and is emptied or
//! filled again only when its stamp is past: then every reader who could have read its number has unpinned. (4) A slot
//! is live, in limbo, free, or fresh; only live ones and those in limbo are filled. (5) An [`Entry`] borrows either the
//! pin under which it was found, or the lock of a writer, who cannot retire anything meanwhile. (6) A table that was
//! replaced is dropped when no pin can have seen it. (7) No user code runs here but `Eq` of keys, before anything
//! changes; keys and values that leave are handed out, to be dropped without the lock. (8) What is filled is written over only if it
//! is a word (`word`), its slot is live, and the lock is held; then as a word, and before the deadline that goes with it.
//! Cost: a look-up is two cold lines; an entry is 16 bytes beside key and value, 8 in the table and 0.3 in `chunks`.
//! The idea of memory that outlives its removal until readers have passed: Fraser, "Practical lock-freedom", 2004, 5.2.3.

#![allow(unsafe_code, reason = "slots are shared between readers and a writer; the rules are above")]

mod header;
mod limbo;
#[cfg(all(test, loom))]
mod loomed;
mod slots;
mod table;
mod word;
#[cfg(all(test, not(any(shuttle, loom))))]
mod tests;

use std::hash::Hash;

use crossbeam_utils::CachePadded;
use equivalent::Equivalent;

use header::id_of;
pub(super) use header::Header;
use limbo::Limbo;
use slots::{Node, Place, SEGMENTS, Slots, first_of, numbers_of};
use table::{FILL, First, Table};

use super::options::Glance;
use super::removal::guarded;
use crate::clock::{Deadline, Moment};
use crate::epoch::{self, Pin};
use crate::policy::SlotId;
use crate::prefetch::prefetch;
use crate::sync::{AtomicBool, AtomicPtr, AtomicU32, Mutex, MutexGuard, Ordering};

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

/// Segments of few nodes behind those that were expected.
const BEYOND: usize = 2;

/// A shard: entries, and what its writer keeps about them in `books`.
pub(super) struct Arena<K, V, B> {
    reader: CachePadded<Reader<K, V>>,
    writer: CachePadded<Mutex<Writer<K, V, B>>>,
    /// Whether slots are in limbo; a hint for maintenance.
    waiting: AtomicBool,
    /// What the writer lets others know without the lock.
    shown: AtomicU32,
}

struct Reader<K, V> {
    table: AtomicPtr<Table>,
    slots: Slots<K, V>,
}

struct Writer<K, V, B> {
    state: State<K, V>,
    books: B,
}

/// What the writer knows of the slots.
struct State<K, V> {
    chunks: Vec<Chunk>,
    free: Vec<Place>,
    limbo: Limbo,
    /// The next number that was never used, and the end of what is allocated for it.
    fresh: u32,
    fresh_end: u32,
    /// Nodes allocated in each segment.
    allocated: [u32; SEGMENTS],
    len: usize,
    /// Slots expected at most, or 0.
    expected: u32,
    /// No deadline is before this.
    earliest: Moment,
    /// Retirements since the epoch was last raised.
    retired: usize,
    /// A table was replaced since, which waits to be dropped.
    outgrown: bool,
    /// The heat at which uses leave no trace, and the present generation, as the writer was told last.
    hints: [u8; 2],
    payload: std::marker::PhantomData<(K, V)>,
}

#[derive(Clone, Copy)]
struct Chunk {
    live: u64,
    /// No deadline in the chunk is before this.
    earliest: Moment,
}

// SAFETY: readers get `&K` and `&V` on any thread, and whoever reclaims drops keys and values that others made.
unsafe impl<K: Send + Sync, V: Send + Sync, B: Send> Sync for Arena<K, V, B> {}
// SAFETY: as above; nothing in it belongs to a thread.
unsafe impl<K: Send + Sync, V: Send + Sync, B: Send> Send for Arena<K, V, B> {}

/// An entry that cannot be emptied while this lives; see (5).
pub(super) struct Entry<'a, K, V> {
    node: &'a Node<K, V>,
    place: Place,
}

impl<K, V> Clone for Entry<'_, K, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, V> Copy for Entry<'_, K, V> {}

/// Where an entry is, or was.
#[derive(Debug, Clone, Copy)]
pub(super) struct Whereabouts {
    place: Place,
    /// The number that has this place.
    slot: SlotId,
}

impl Whereabouts {
    #[inline]
    fn of(slot: SlotId) -> Self {
        Self { place: Place::of(slot.0), slot }
    }

    #[inline]
    pub(super) fn slot(self) -> SlotId {
        self.slot
    }
}

impl<'a, K, V> Entry<'a, K, V> {
    #[inline]
    pub(super) fn slot(self) -> SlotId {
        SlotId(self.place.slot())
    }

    #[inline]
    pub(super) fn whereabouts(self) -> Whereabouts {
        Whereabouts { place: self.place, slot: self.slot() }
    }

    #[inline]
    pub(super) fn header(self) -> &'a Header {
        &self.node.header
    }

    #[inline]
    pub(super) fn key(self) -> &'a K {
        // SAFETY: by (5) the node stays filled for 'a.
        unsafe { self.node.key() }
    }
}

impl<'a, K, V: Clone + 'static> Entry<'a, K, V> {
    /// The value, as it is now.
    #[inline(always)]
    pub(super) fn value(self) -> V {
        if word::is_word::<V>() {
            // SAFETY: by (5) the node stays filled, and by (8) words are written by `write` only.
            return unsafe { word::read(self.node.value()) };
        }
        // SAFETY: by (5) the node stays filled for 'a, and by (8) nobody writes over what is no word.
        let (_, value) = unsafe { self.node.payload() };
        value.clone()
    }

    /// As [`value`](Self::value), for a look.
    pub(super) fn with_value<R>(self, look: impl FnOnce(&V) -> R) -> R {
        if word::is_word::<V>() {
            return look(&self.value());
        }
        // SAFETY: as above.
        let (_, value) = unsafe { self.node.payload() };
        look(value)
    }
}

/// The shards of a region, a power of two.
pub(super) struct Shards<K, V, B> {
    all: Box<[Arena<K, V, B>]>,
    /// How many there are, less one.
    mask: u32,
}

impl<K, V, B> Shards<K, V, B> {
    pub(super) fn new(count: usize, shard: impl FnMut(usize) -> Arena<K, V, B>) -> Self {
        let count = count.next_power_of_two().min(1 << 16);
        #[allow(clippy::cast_possible_truncation, reason = "there are 2^16 at most")]
        let mask = count as u32 - 1;
        Self { all: (0..count).map(shard).collect(), mask }
    }

    /// The number of a hash's shard.
    #[inline]
    pub(super) fn index(&self, hash: u64) -> usize {
        ((hash >> 32) as u32 & self.mask) as usize
    }

    /// The shard of a hash.
    #[inline]
    pub(super) fn of(&self, hash: u64) -> &Arena<K, V, B> {
        // SAFETY: no index is above the mask, and there are more shards than that.
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
        let table = Box::into_raw(Box::new(Table::new(1, 0)));
        Self {
            reader: CachePadded::new(Reader { table: AtomicPtr::new(table), slots: Slots::new() }),
            writer: CachePadded::new(Mutex::new(Writer { state: State::new(expected), books })),
            waiting: AtomicBool::new(false),
            shown: AtomicU32::new(u32::MAX),
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

    /// Asks for the table's line ahead of its use.
    #[inline]
    pub(super) fn prefetch(&self, _pin: &Pin, hash: u32) {
        // SAFETY: the caller is pinned, so by (6) the table lives.
        unsafe { &*self.reader.table.load(Ordering::Acquire) }.prefetch(hash);
    }

    /// Waits for the shard's lock.
    pub(super) fn lock(&self) -> Locked<'_, K, V, B> {
        Locked { arena: self, writer: self.writer.lock() }
    }

    /// What a writer [showed](Locked::show) last; all bits before.
    pub(super) fn shown(&self) -> u32 {
        self.shown.load(Ordering::Relaxed)
    }

    /// Whether what left waits to be dropped or used again. May be out of date.
    pub(super) fn has_waiting(&self) -> bool {
        self.waiting.load(Ordering::Relaxed)
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
        // SAFETY: the caller's promise, and the table named the place.
        table.find(hash, |place| unsafe { self.check(Place(place), id, key) })
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
        // SAFETY: the caller's promise, and the table named the place.
        match table.first(hash, |place| unsafe { self.check(Place(place), id, key) }) {
            First::Found(entry) => Glance::Found(entry),
            First::Absent => Glance::Absent,
            First::Elsewhere => Glance::Unsure,
        }
    }

    /// The entry of a place, if it is the one that is looked for.
    ///
    /// # Safety
    /// The table named the place while the caller was pinned, or held the lock, and so the caller is for 'a.
    #[inline]
    unsafe fn check<'a, Q>(&'a self, place: Place, id: u64, key: &Q) -> Option<Entry<'a, K, V>>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        // SAFETY: by (2) and (3) the slot is filled and stays so for 'a.
        let node = unsafe { self.slots.node(place) };
        if !node.header.is(id) {
            return None;
        }
        // SAFETY: as above.
        let known = unsafe { node.key() };
        key.equivalent(known).then_some(Entry { node, place })
    }
}

/// A shard whose lock is held.
pub(super) struct Locked<'a, K, V, B> {
    arena: &'a Arena<K, V, B>,
    writer: MutexGuard<'a, Writer<K, V, B>>,
}

/// The entries of a shard, read-only, beside its books.
pub(super) struct View<'a, K, V> {
    reader: &'a Reader<K, V>,
    state: &'a State<K, V>,
}

impl<K, V> Clone for View<'_, K, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, V> Copy for View<'_, K, V> {}

impl<'a, K, V> View<'a, K, V> {
    /// The entry of a slot, if it is live.
    pub(super) fn entry(self, slot: SlotId) -> Option<Entry<'a, K, V>> {
        if !self.state.is_live(slot.0) {
            return None;
        }
        let place = Place::of(slot.0);
        // SAFETY: a live slot is filled (4) and its segment allocated; the lock is held for 'a.
        Some(Entry { node: unsafe { self.reader.slots.node(place) }, place })
    }

    /// Asks for the line of a slot ahead of its use.
    #[inline(always)]
    pub(super) fn prefetch(self, slot: SlotId) {
        prefetch(self.reader.slots.line_of(Place::of(slot.0)));
    }

    /// Asks for the table's line of a hash ahead of its use.
    #[inline(always)]
    pub(super) fn prefetch_home(self, hash: u32) {
        // SAFETY: the lock is held.
        unsafe { self.reader.table() }.prefetch(hash);
    }

    /// Lowers the heat of a live slot.
    #[inline]
    pub(super) fn cool(self, slot: SlotId, to: u8) {
        if let Some(entry) = self.entry(slot) {
            let [limit, generation] = self.state.hints;
            entry.header().cool(to, limit, generation);
        }
    }

    /// Live slots.
    pub(super) fn len(self) -> usize {
        self.state.len
    }

    /// Numbers in use or used before: those a scan has to visit.
    pub(super) fn span(self) -> usize {
        self.state.chunks.len() * CHUNK
    }

    /// The live slots of a chunk, by rising number.
    pub(super) fn live_in(self, chunk: usize) -> impl Iterator<Item = SlotId> + use<K, V> {
        let bits = self.state.chunks.get(chunk).map_or(0, |chunk| chunk.live);
        slots_of(chunk, bits)
    }
}

fn slots_of(chunk: usize, mut bits: u64) -> impl Iterator<Item = SlotId> + use<> {
    std::iter::from_fn(move || {
        let bit = (bits != 0).then(|| bits.trailing_zeros())?;
        bits &= bits - 1;
        u32::try_from(chunk * CHUNK).ok().map(|first| SlotId(first + bit))
    })
}

impl<'a, K, V, B> Locked<'a, K, V, B> {
    /// What the writer keeps beside the entries.
    pub(super) fn books(&mut self) -> &mut B {
        &mut self.writer.books
    }

    /// Lets others know something without the lock, which may be out of date when they do.
    pub(super) fn show(&self, word: u32) {
        self.arena.shown.store(word, Ordering::Relaxed);
    }

    /// Entries and books at the same time.
    pub(super) fn parts(&mut self) -> (View<'_, K, V>, &mut B) {
        let Writer { state, books } = &mut *self.writer;
        (View { reader: &self.arena.reader, state }, books)
    }

    pub(super) fn view(&self) -> View<'_, K, V> {
        View { reader: &self.arena.reader, state: &self.writer.state }
    }

    /// Finds the entry of a key under one scope.
    pub(super) fn find<Q>(&self, hash: u32, scope: u32, key: &Q) -> Option<Entry<'_, K, V>>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        // SAFETY: the lock is held while `self` is borrowed.
        unsafe { self.arena.reader.find(hash, scope, key) }
    }

    /// As [`Arena::glance`].
    #[inline(always)]
    pub(super) fn glance<Q>(&self, hash: u32, scope_above: u64, key: &Q) -> Glance<Entry<'_, K, V>>
    where
        Q: Hash + Equivalent<K> + ?Sized,
    {
        // SAFETY: the lock is held while `self` is borrowed.
        unsafe { self.arena.reader.glance(hash, scope_above | u64::from(hash), key) }
    }

    /// The entry of a live slot, for as long as the caller is pinned: also after it was taken out.
    pub(super) fn hold<'p>(&self, _pin: &'p Pin, slot: SlotId) -> Option<Entry<'p, K, V>>
    where
        'a: 'p,
    {
        if !self.writer.state.is_live(slot.0) {
            return None;
        }
        let place = Place::of(slot.0);
        // SAFETY: it is live now, so whoever retires it does so after the caller pinned: (3).
        Some(Entry { node: unsafe { self.arena.reader.slots.node(place) }, place })
    }

    /// Takes an entry in, of a key that is absent, and whose deadline is `due`. `payload` is asked once there is a slot for it; what the slot held before
    /// goes to `leaves`, to be dropped without the lock. `None`, and nothing changed, if `payload` has none or readers
    /// have been held up for so long that there is no memory to use again.
    #[inline]
    pub(super) fn insert(
        &mut self,
        header: Header,
        due: Moment,
        payload: impl FnOnce() -> Option<(K, V)>,
        leaves: impl FnMut((K, V)),
    ) -> Option<SlotId> {
        let hash = header.hash();
        let state = &mut self.writer.state;
        let slot = self.arena.fill(state, header, payload, leaves)?;
        // SAFETY: the lock is held.
        let table = unsafe { self.arena.reader.table() };
        if state.len >= table.buckets() * FILL || !table.insert(hash, Place::of(slot).0) {
            self.arena.reader.insert_growing(state, hash, slot);
        }
        state.set_live(slot, due);
        Some(SlotId(slot))
    }

    /// Whether [`write_over`](Self::write_over) can be.
    #[inline(always)]
    pub(super) fn can_write_over() -> bool
    where
        V: 'static,
    {
        word::is_word::<V>()
    }

    /// Gives the live entry of a slot another value and deadline, and heat and age (`hints`). Readers find the old value or the new one; who finds
    /// the new deadline finds the new value. `false`, and nothing is changed, if it is not live or its value no word.
    #[inline(always)]
    pub(super) fn write_over(
        &mut self,
        Whereabouts { place, slot }: Whereabouts,
        value: V,
        (deadline, due): (Deadline, Moment),
        hints: [u8; 2],
    ) -> bool
    where
        V: 'static,
    {
        let state = &mut self.writer.state;
        let Some(chunk) = state.chunks.get_mut(slot.index() / CHUNK) else { return false };
        if !word::is_word::<V>() || chunk.live >> (slot.index() % CHUNK) & 1 == 0 {
            return false;
        }
        chunk.earliest = chunk.earliest.min(due);
        state.earliest = state.earliest.min(due);
        // SAFETY: the place is that of the slot, which is live, so it is filled (4).
        let node = unsafe { self.arena.reader.slots.node(place) };
        // SAFETY: as above, and the lock is held: (8).
        unsafe { word::write(node.value(), value) };
        node.header.overwrite(deadline, hints);
        true
    }

    /// Takes a live entry out, and one in of a key that is absent, and whose deadline is `due`: [`retire_of`](Self::retire_of)
    /// and [`insert`](Self::insert) in one. The payload comes back, and nothing is changed, where it can not be taken in.
    #[inline(always)]
    pub(super) fn exchange(
        &mut self,
        (leaving, leaving_hash): (Whereabouts, u32),
        header: Header,
        due: Moment,
        payload: (K, V),
        leaves: impl FnMut((K, V)),
    ) -> std::result::Result<SlotId, (K, V)> {
        let hash = header.hash();
        let state = &mut self.writer.state;
        let Some(place) = self.arena.vacate(state, leaves) else { return Err(payload) };
        let slot = place.slot();
        // SAFETY: `vacate` handed out an empty slot that no reader knows.
        unsafe { self.arena.reader.slots.fill(place, Node::new(header, payload)) };
        // SAFETY: the lock is held.
        let table = unsafe { self.arena.reader.table() };
        if table.remove(leaving_hash, leaving.place.0) {
            self.arena.bury(state, leaving);
        }
        if !table.insert(hash, place.0) {
            self.arena.reader.insert_growing(state, hash, slot);
        }
        state.set_live(slot, due);
        Ok(SlotId(slot))
    }

    /// Puts a new entry in the place of the live one of the same scope and key. Readers find one of them at any moment.
    /// Otherwise as [`insert`](Self::insert); where nothing is taken in, the old entry stays.
    #[inline]
    pub(super) fn replace(
        &mut self,
        slot: SlotId,
        header: Header,
        due: Moment,
        payload: impl FnOnce() -> Option<(K, V)>,
        leaves: impl FnMut((K, V)),
    ) -> Option<SlotId> {
        let hash = header.hash();
        let state = &mut self.writer.state;
        let fresh = self.arena.fill(state, header, payload, leaves)?;
        // SAFETY: the lock is held.
        let at = Whereabouts::of(slot);
        // SAFETY: the lock is held.
        unsafe { self.arena.reader.table() }.replace(hash, at.place.0, Place::of(fresh).0);
        state.set_live(fresh, due);
        self.arena.bury(state, at);
        Some(SlotId(fresh))
    }

    /// Takes a live slot out of the table; readers who have found it may go on reading it. `false` if it is not live.
    /// It may share a stamp with what is retired after it: see [`stamp`](Self::stamp).
    #[inline]
    pub(super) fn retire(&mut self, slot: SlotId) -> bool {
        let hash = self.view().entry(slot).map(|entry| entry.header().hash());
        hash.is_some_and(|hash| self.retire_of(slot, hash))
    }

    /// As [`retire`](Self::retire), for who knows the hash. `false` also if it is another's.
    #[inline]
    pub(super) fn retire_of(&mut self, slot: SlotId, hash: u32) -> bool {
        let state = &mut self.writer.state;
        // SAFETY: the lock is held.
        let at = Whereabouts::of(slot);
        // SAFETY: the lock is held.
        if !unsafe { self.arena.reader.table() }.remove(hash, at.place.0) {
            return false;
        }
        self.arena.bury(state, at);
        true
    }

    /// Sees to it that the next raise of the epoch counts for all that was retired.
    pub(super) fn stamp(&mut self) {
        self.writer.state.limbo.stamp();
    }

    /// The slot that will be filled next, probably; its line is asked for.
    #[inline(always)]
    pub(super) fn prefetch_next(&self) -> Option<SlotId> {
        let place = self.writer.state.limbo.first()?;
        prefetch(self.arena.reader.slots.line_of(place));
        Some(SlotId(place.slot()))
    }

    /// Asks for the table's line of a hash ahead of its use.
    #[inline]
    pub(super) fn prefetch(&self, hash: u32) {
        // SAFETY: the lock is held.
        unsafe { self.arena.reader.table() }.prefetch(hash);
    }

    /// Frees slots that no reader can see any more, so many at most; how many those were. Their keys and values are to be
    /// dropped without the lock.
    pub(super) fn reclaim(&mut self, most: usize, into: &mut Vec<(K, V)>) -> usize {
        let state = &mut self.writer.state;
        let mut freed = 0;
        while freed < most
            && let Some(place) = self.arena.reclaim(state, |payload| into.push(payload))
        {
            state.free.push(place);
            freed += 1;
        }
        state.limbo.stamp();
        if state.len == 0 && state.limbo.is_empty() && state.fresh > 0 {
            self.arena.reader.release(state);
        }
        freed
    }

    /// Says at which heat uses leave no trace, and which generation it is.
    #[inline]
    pub(super) fn set_hints(&mut self, limit: u8, generation: u8) {
        self.writer.state.hints = [limit, generation];
    }

    /// Says how many slots are expected at most; memory is taken in fitting steps from then on.
    pub(super) fn expect(&mut self, slots: u32) {
        self.writer.state.expected = slots;
    }

    /// Whether it is time to raise the epoch: enough has been retired since. Says so once, and all that was retired counts.
    #[inline]
    pub(super) fn is_tired(&mut self) -> bool {
        let state = &mut self.writer.state;
        let is_quiet = state.retired * 2 < FEWEST || state.limbo.is_first_known_past();
        if is_quiet && !state.outgrown {
            return false;
        }
        state.is_tired()
    }

    /// No deadline is before this moment.
    pub(super) fn earliest(&self) -> Moment {
        self.writer.state.earliest
    }

    /// The live slots of the next chunk, from `chunk` on, that holds what is due, and the number of that chunk. At the
    /// end `None`, and the earliest deadline is exact up to entries that were put off.
    pub(super) fn due(
        &mut self,
        chunk: usize,
        now: Moment,
    ) -> Option<(usize, impl Iterator<Item = SlotId> + use<K, V, B>)> {
        let Self { arena, writer } = self;
        let state = &mut writer.state;
        let found = state.chunks.iter().skip(chunk).position(|chunk| chunk.earliest <= now);
        let Some(at) = found.map(|offset| chunk + offset) else {
            state.earliest = state.chunks.iter().map(|chunk| chunk.earliest).min().unwrap_or(Moment::NEVER);
            return None;
        };
        let (mut due, mut earliest) = (0, Moment::NEVER);
        for slot in slots_of(at, state.chunks[at].live) {
            // SAFETY: a live slot is filled (4).
            let deadline = unsafe { arena.reader.slots.node(Place::of(slot.0)) }.header.deadline().moment();
            if deadline <= now {
                due |= 1 << (slot.index() % CHUNK);
            } else {
                earliest = earliest.min(deadline);
            }
        }
        state.chunks[at].earliest = earliest;
        Some((at, slots_of(at, due)))
    }
}

impl<K, V, B> Arena<K, V, B> {
    /// Fills an empty slot that no reader knows; what it held goes to `leaves`.
    #[inline]
    fn fill(
        &self,
        state: &mut State<K, V>,
        header: Header,
        payload: impl FnOnce() -> Option<(K, V)>,
        leaves: impl FnMut((K, V)),
    ) -> Option<u32> {
        let place = self.vacate(state, leaves)?;
        let Some(payload) = payload() else {
            state.free.push(place);
            return None;
        };
        // SAFETY: `vacate` handed out an empty slot that no reader knows.
        unsafe { self.reader.slots.fill(place, Node::new(header, payload)) };
        Some(place.slot())
    }

    /// An empty slot that no reader knows; `None` while readers keep too much from being reused.
    #[inline(always)]
    fn vacate(&self, state: &mut State<K, V>, leaves: impl FnMut((K, V))) -> Option<Place> {
        if let Some(place) = state.free.pop() {
            return Some(place);
        }
        if let Some(place) = self.reclaim(state, leaves) {
            return Some(place);
        }
        self.take_fresh(state).map(Place::of)
    }

    /// A slot that was never used, unless too many wait for readers.
    #[inline(never)]
    fn take_fresh(&self, state: &mut State<K, V>) -> Option<u32> {
        if state.limbo.len() > state.len + STALLED || !self.reader.extend(state) {
            // Nothing may be retired for a while, but somebody has to look whether the readers have gone.
            state.retired = BATCH;
            return None;
        }
        state.fresh += 1;
        Some(state.fresh - 1)
    }

    /// The slot that has been in limbo for longest, if readers have passed it; what it held goes to `leaves`.
    #[inline(always)]
    fn reclaim(&self, state: &mut State<K, V>, mut leaves: impl FnMut((K, V))) -> Option<Place> {
        let place = state.limbo.pop()?;
        if state.limbo.is_empty() {
            self.waiting.store(false, Ordering::Relaxed);
        }
        if std::mem::needs_drop::<(K, V)>() {
            // SAFETY: the slot is filled (4).
            let node = unsafe { self.reader.slots.node(place) };
            // SAFETY: it is filled, and no reader can still know it (3).
            leaves(unsafe { node.take() });
        }
        Some(place)
    }

    /// Puts a slot that the table names no longer into limbo.
    #[inline(always)]
    fn bury(&self, state: &mut State<K, V>, Whereabouts { place, slot }: Whereabouts) {
        state.clear_live(slot.0);
        state.retired += 1;
        if state.limbo.is_empty() {
            self.waiting.store(true, Ordering::Relaxed);
        }
        // After the table's store, as (3) asks.
        state.limbo.push(place, state.share());
    }
}

impl<K, V> Reader<K, V> {
    /// # Safety
    /// The caller holds the lock.
    unsafe fn table(&self) -> &Table {
        // SAFETY: only the holder of the lock replaces the table, and old ones live on for readers only.
        unsafe { &*self.table.load(Ordering::Relaxed) }
    }

    /// Adds a slot, in as large a table as that takes.
    #[cold]
    fn insert_growing(&self, state: &mut State<K, V>, hash: u32, slot: u32) {
        // More buckets while it is dense, then more seats, so this ends.
        loop {
            self.grow(state);
            state.outgrown = true;
            // SAFETY: the lock is held.
            if unsafe { self.table() }.insert(hash, Place::of(slot).0) {
                return;
            }
        }
    }

    /// Moves to a table with room for one entry more, of whatever hash.
    fn grow(&self, state: &State<K, V>) {
        // SAFETY: whoever has the state holds the lock.
        let old = unsafe { self.table() };
        let (mut buckets, mut crowd) = (old.buckets(), old.crowd());
        // A full table gets more buckets. One with room elsewhere had bad luck, or has many keys of one hash.
        if state.len >= buckets * FILL || (crowd * 8 >= buckets && state.len >= buckets * FILL / 2) {
            let (wanted, full) = ((state.expected as usize).div_ceil(FILL), state.len >= buckets * FILL);
            buckets += match wanted {
                _ if wanted > buckets && wanted <= buckets * 2 => wanted - buckets,
                // What is expected is not exceeded by much, so in small steps.
                _ if full && wanted <= buckets && buckets < wanted + wanted / 2 => buckets / 16 + 1,
                _ => buckets,
            };
        } else {
            crowd = (crowd * 2).max(16);
        }
        let fresh = loop {
            let fresh = Table::new(buckets, crowd);
            let live = (0..state.chunks.len()).flat_map(|chunk| slots_of(chunk, state.chunks[chunk].live));
            let moved = live.map(|slot| slot.0).all(|slot| {
                // SAFETY: a live slot is filled (4).
                let hash = unsafe { self.slots.node(Place::of(slot)) }.header.hash();
                fresh.insert(hash, Place::of(slot).0)
            });
            if moved {
                break fresh;
            }
            crowd = (crowd * 2).max(16);
        };
        self.exchange(fresh);
    }

    fn exchange(&self, table: Table) {
        let old = self.table.swap(Box::into_raw(Box::new(table)), Ordering::AcqRel);
        // SAFETY: the pointer came from a box, and was taken out just now.
        epoch::defer(unsafe { Box::from_raw(old) });
    }

    /// Sees to it that there is a fresh slot; `false` if there are no more numbers.
    fn extend(&self, state: &mut State<K, V>) -> bool {
        if state.fresh < state.fresh_end {
            return true;
        }
        let Some(segment) = state.allocated.iter().position(|&nodes| nodes == 0) else { return false };
        let (first, numbers) = (first_of(segment), numbers_of(segment));
        let missing = state.expected.saturating_sub(first);
        let nodes = if state.expected == 0 {
            numbers
        } else if missing > 0 {
            numbers.min(missing)
        } else if first_of(segment.saturating_sub(BEYOND)) < state.expected {
            // What is expected is not exceeded by much, so in small steps.
            numbers.min((state.expected / 16).clamp(16, 256))
        } else {
            // It was too little, as when the capacity was raised: segments are few, so twice as many each time.
            numbers.min(state.allocated.iter().sum::<u32>().max(256))
        };
        self.slots.allocate(segment, nodes);
        state.allocated[segment] = nodes;
        (state.fresh, state.fresh_end) = (first, first + nodes);
        true
    }

    /// Gives all memory back. Nothing is live and nothing in limbo.
    fn release(&self, state: &mut State<K, V>) {
        self.exchange(Table::new(1, 0));
        for segment in 0..SEGMENTS {
            let nodes = std::mem::take(&mut state.allocated[segment]);
            if nodes > 0 {
                // SAFETY: nothing is filled (4); a reader who knew a number would keep it in limbo (3).
                unsafe { self.slots.free(segment, nodes) };
            }
        }
        *state = State { hints: state.hints, ..State::new(state.expected) };
    }
}

impl<K, V> State<K, V> {
    fn new(expected: u32) -> Self {
        Self {
            chunks: Vec::new(),
            free: Vec::new(),
            limbo: Limbo::new(),
            fresh: 0,
            fresh_end: 0,
            allocated: [0; SEGMENTS],
            len: 0,
            expected,
            earliest: Moment::NEVER,
            retired: 0,
            outgrown: false,
            hints: [u8::MAX, 0],
            payload: std::marker::PhantomData,
        }
    }

    fn is_live(&self, slot: u32) -> bool {
        self.chunks
            .get(slot as usize / CHUNK)
            .is_some_and(|chunk| chunk.live >> (slot as usize % CHUNK) & 1 != 0)
    }

    /// A slot is live from now on, and the deadline of its entry is this one.
    #[inline(always)]
    fn set_live(&mut self, slot: u32, due: Moment) {
        let at = slot as usize / CHUNK;
        if self.chunks.len() <= at {
            self.add_chunks(at);
        }
        let chunk = &mut self.chunks[at];
        chunk.live |= 1 << (slot as usize % CHUNK);
        chunk.earliest = chunk.earliest.min(due);
        self.earliest = self.earliest.min(due);
        self.len += 1;
    }

    #[cold]
    fn add_chunks(&mut self, at: usize) {
        self.chunks.resize(at + 1, Chunk { live: 0, earliest: Moment::NEVER });
    }

    #[inline(never)]
    fn is_tired(&mut self) -> bool {
        let batch = self.batch();
        let waits = self.retired >= batch / 2 && self.limbo.len() >= batch && !self.limbo.is_first_past();
        let tired = std::mem::take(&mut self.outgrown) || waits;
        if tired {
            self.retired = 0;
            self.limbo.stamp();
        }
        tired
    }

    /// Retired slots that wait before the writer looks whether readers have passed.
    fn batch(&self) -> usize {
        // What has to be dropped may be large, so little of it waits.
        let share = if std::mem::needs_drop::<(K, V)>() { self.len / 64 } else { self.len / 16 };
        share.clamp(FEWEST, BATCH)
    }

    /// How many retired slots share a stamp: one in a small shard, where each of them counts.
    #[inline]
    fn share(&self) -> u32 {
        let many = if std::mem::needs_drop::<(K, V)>() { 64 * 2 * SHARE } else { 16 * 2 * SHARE };
        if self.len >= many as usize { SHARE } else { 1 }
    }

    #[inline(always)]
    fn clear_live(&mut self, slot: u32) {
        let chunk = &mut self.chunks[slot as usize / CHUNK];
        chunk.live &= !(1 << (slot as usize % CHUNK));
        if chunk.live == 0 {
            chunk.earliest = Moment::NEVER;
        }
        self.len -= 1;
    }
}

impl<K, V, B> Drop for Arena<K, V, B> {
    fn drop(&mut self) {
        let Writer { state, .. } = self.writer.get_mut();
        if std::mem::needs_drop::<(K, V)>() {
            let live = (0..state.chunks.len()).flat_map(|chunk| slots_of(chunk, state.chunks[chunk].live));
            for place in live.map(|slot| Place::of(slot.0)).chain(state.limbo.iter()) {
                // SAFETY: nobody else has the arena, and these slots are filled (4).
                let node = unsafe { self.reader.slots.node(place) };
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
