//! Frequent events, kept by the thread that saw them until somebody wants to know.
//!
//! Each thread has a record of cells. A cell belongs to one pair of region and scope, and holds plain counts; look-ups have
//! more cells, and smaller ones, than all other events.
//! (1) A pair and its counts change under the record's lock; but while the pair can be counted, its own thread alone
//! adds to the counts, with a load and a store. (2) `settled` is how much of a count has been added to the shared
//! counters, under the lock, by whoever asked. So nothing is lost or doubled, and no reader writes what a thread adds to.
//! (3) A cell keeps its scope's counters alive and knows its region's weakly: a region that goes clears its cells, a
//! settlement those whose scope nobody else holds. In both cases nobody can count the pair any more. Pairs are told apart by
//! numbers that are not used again (`Tag`). (4) A thread that ends settles; what it counts later (in destructors of
//! thread-locals) is added at once. (5) Counters are not dropped under a lock of this module.
//! Cost: an event whose pair has a cell is one comparison, a load and a store, on a line of the thread's own. Without a
//! cell it is added to the shared counters, and every 32nd such event takes a cell over. A settlement visits every
//! cell of every thread. 19 KiB a thread, and 24 to 48 bytes a pair.
//! Built with `--cfg shuttle` or `--cfg loom`, records are explored by themselves, and [`count`] adds to the shared counters at once.

#[cfg(not(any(shuttle, loom)))]
use std::cell::Cell as StdCell;
// Numbers of tags and pairs order nothing, so explorers need not see them.
use std::sync::atomic::AtomicU64;

use super::scope::ScopeStats;
use super::{Counter, Counters};
use crate::event::RemovalCause;
use crate::sync::{Arc, AtomicU32, Mutex, Ordering::Relaxed, RwLock, Weak};

/// What happens too often for a shared counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(usize)]
pub enum Event {
    /// A lookup that was served a usable value.
    Hit,
    /// A lookup that was not.
    Miss,
    /// A look without a trace.
    Peek,
    /// An entry that came to be.
    Insert,
    /// An entry whose time was over.
    Expired,
    /// An entry that went to keep a capacity or limit.
    Evicted,
    /// An entry withdrawn by key, region, scope or `clear`.
    Invalidated,
    /// An entry taken out by `remove` or `pop`.
    Removed,
    /// A value overwritten by a newer one.
    Replaced,
}

impl Event {
    const ALL: [Self; 9] = [
        Self::Hit,
        Self::Miss,
        Self::Peek,
        Self::Insert,
        Self::Expired,
        Self::Evicted,
        Self::Invalidated,
        Self::Removed,
        Self::Replaced,
    ];

    /// Why an entry left, if one did.
    pub(super) fn cause(self) -> Option<RemovalCause> {
        Some(match self {
            Self::Hit | Self::Miss | Self::Peek | Self::Insert => return None,
            Self::Expired => RemovalCause::Expired,
            Self::Evicted => RemovalCause::Evicted,
            Self::Invalidated => RemovalCause::Invalidated,
            Self::Removed => RemovalCause::Removed,
            Self::Replaced => RemovalCause::Replaced,
        })
    }

    fn counter(self) -> Counter {
        match self {
            Self::Hit => Counter::Hits,
            Self::Miss => Counter::Misses,
            Self::Peek => Counter::Peeks,
            Self::Insert => Counter::Inserts,
            Self::Expired => Counter::Expired,
            Self::Evicted => Counter::Evicted,
            Self::Invalidated => Counter::Invalidated,
            Self::Removed => Counter::Removed,
            Self::Replaced => Counter::Replaced,
        }
    }
}

impl From<RemovalCause> for Event {
    fn from(cause: RemovalCause) -> Self {
        match cause {
            RemovalCause::Expired => Self::Expired,
            RemovalCause::Evicted => Self::Evicted,
            RemovalCause::Invalidated => Self::Invalidated,
            RemovalCause::Removed => Self::Removed,
            RemovalCause::Replaced => Self::Replaced,
        }
    }
}

/// Whom an event counts for: a region, a scope with those above it, or both.
type Whom<'a> = (Option<&'a Arc<Counters>>, Option<&'a Arc<ScopeStats>>);

/// Counts one event for a region and for a scope's path. No lock, no shared line, once the thread knows the pair. Answers how
/// many such events of the pair the thread has counted, or 0 where it does not know.
#[inline]
pub fn count_up(region: Option<&Arc<Counters>>, scope: Option<&Arc<ScopeStats>>, event: Event) -> u32 {
    #[cfg(not(any(shuttle, loom)))]
    if let Some(record) = mine() {
        return record.count((region, scope), event);
    }
    count_first((region, scope), event);
    0
}

/// What threads know a region's or a scope's counters by: a number that no others ever have, so arranged that the two of a pair
/// make one word, in which stands the place of the pair's cell.
///
/// Of a word, bits 4 to 13 are the place, bits 14 to 39 the rest of the scope's number, bits 40 to 63 the region's. Bits 0 and 1
/// say that the region's or the scope's numbers have run out: then there is no cell, and every event is added at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tag(u64);

/// Where a place begins in a word, and how many there are.
const PLACE: u32 = 4;
const PLACES: u64 = 1 << 10;

impl Tag {
    /// No region, or no scope.
    pub(super) const NONE: Self = Self(0);

    const SPENT: [u64; 2] = [1, 2];

    /// The tag of a region that is new.
    pub(super) fn of_new_region() -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        Self::of_region(NEXT.fetch_add(1, Relaxed))
    }

    /// The tag of a scope's counters that are new. Those that look-ups count for are numbered by themselves, so that as many of
    /// them as there are places have places of their own.
    pub(super) fn of_new_scope(is_tracked: bool) -> Self {
        static NEXT: [AtomicU64; 2] = [AtomicU64::new(1), AtomicU64::new(0)];
        let number = NEXT[usize::from(is_tracked)].fetch_add(1, Relaxed);
        Self::of_scope(number << 1 | u64::from(is_tracked))
    }

    const fn of_region(number: u64) -> Self {
        // Neighbours lie far apart, so that a few scopes in each have cells of their own.
        let place = number.wrapping_mul(363) % PLACES;
        if number >> 24 == 0 { Self(number << 40 | place << PLACE) } else { Self(Self::SPENT[0]) }
    }

    /// `number` is twice the number of its kind, and one more if it is tracked.
    const fn of_scope(number: u64) -> Self {
        let (place, rest) = ((number >> 1) % PLACES, (((number >> 1) / PLACES) << 1) | (number & 1));
        if rest >> 26 == 0 { Self(rest << 14 | place << PLACE) } else { Self(Self::SPENT[1]) }
    }

    /// The word of a pair.
    #[inline]
    const fn with(self, other: Self) -> Pair {
        Pair(self.0 ^ other.0)
    }
}

/// Counts a look-up, as [`count_up`] does, where that takes one look; else it counts nothing. Whoever is answered a count gives
/// it to [`settle_at`] before he counts on.
#[inline(always)]
pub(crate) fn try_count_look(region: Tag, scope: Tag, event: Event) -> Option<u32> {
    #[cfg(not(any(shuttle, loom)))]
    return MINE.get().looks.try_count(region.with(scope), event);
    #[cfg(any(shuttle, loom))]
    {
        let _ = (region, scope, event);
        None
    }
}

/// Settles if a count says that it is due. Counts run around, so this must not be forgotten at those that are a multiple of
/// [`SETTLE`]; at others it need not be asked.
pub(crate) fn settle_at(count: u32) {
    if count.is_multiple_of(SETTLE) {
        settle();
    }
}

/// Counts an event of each kind, where that takes one look; else it counts none. No kind is a look-up.
#[inline(always)]
pub(crate) fn try_count<const N: usize>(region: Tag, scope: Tag, events: [Event; N]) -> bool {
    #[cfg(not(any(shuttle, loom)))]
    return MINE.get().others.try_count_all(region.with(scope), events);
    #[cfg(any(shuttle, loom))]
    {
        let _ = (region, scope, events);
        false
    }
}

/// As [`count_up`], without an answer.
#[inline]
pub fn count(region: Option<&Arc<Counters>>, scope: Option<&Arc<ScopeStats>>, event: Event) {
    count_up(region, scope, event);
}

/// Counts where the thread has no record, or none any more.
#[cold]
#[inline(never)]
fn count_first(whom: Whom<'_>, event: Event) {
    #[cfg(not(any(shuttle, loom)))]
    if LEAVER.try_with(|_| ()).is_ok() {
        let record = ROLL.enter();
        MINE.set(record);
        record.count(whom, event);
        return;
    }
    add((whom.0.map(Arc::as_ref), whom.1.map(Arc::as_ref)), event, 1);
}

/// Brings what all threads have counted to the shared counters: every call that returned before is in them after.
/// Lets go of scopes that are no more.
pub fn settle() {
    #[cfg(not(any(shuttle, loom)))]
    ROLL.settle();
}

/// Clears the cells of a region that is being dropped.
pub(super) fn forget(region: &Counters) {
    #[cfg(not(any(shuttle, loom)))]
    ROLL.forget(region);
    #[cfg(any(shuttle, loom))]
    let _ = region;
}

#[cfg(not(any(shuttle, loom)))]
static ROLL: Roll = Roll { records: RwLock::new(Vec::new()), idle: Mutex::new(Vec::new()) };

#[cfg(not(any(shuttle, loom)))]
thread_local! {
    /// The thread's record. The cell has no destructor, so that it costs one load.
    static MINE: StdCell<&'static Record> = const { StdCell::new(&NOBODYS) };
    static LEAVER: Leaver = const { Leaver };
}

/// The record of threads that have none: no pair has a cell there, so that a quick count needs no look of its own at
/// whether there is one.
#[cfg(not(any(shuttle, loom)))]
static NOBODYS: Record = Record::new();

#[cfg(not(any(shuttle, loom)))]
#[inline]
fn mine() -> Option<&'static Record> {
    Some(MINE.get()).filter(|&mine| !std::ptr::eq(mine, &raw const NOBODYS))
}

/// Settles, and gives the record back, when its thread ends.
#[cfg(not(any(shuttle, loom)))]
struct Leaver;

#[cfg(not(any(shuttle, loom)))]
impl Drop for Leaver {
    fn drop(&mut self) {
        if let Some(record) = mine() {
            MINE.set(&NOBODYS);
            ROLL.leave(record);
        }
    }
}

/// Adds events to shared counters.
fn add((region, scope): (Option<&Counters>, Option<&ScopeStats>), event: Event, events: u64) {
    if let Some(region) = region {
        region.add(event.counter(), events);
    }
    if let Some(scope) = scope {
        scope.add(event, events);
    }
}

/// The records of all threads, and those whose threads have ended. Lock order: this, then one record.
#[derive(Default)]
struct Roll {
    records: RwLock<Vec<&'static Record>>,
    idle: Mutex<Vec<&'static Record>>,
}

impl Roll {
    /// A record that nobody uses, or a new one, which is never freed.
    fn enter(&self) -> &'static Record {
        if let Some(record) = self.idle.lock().pop() {
            return record;
        }
        let record: &'static Record = Box::leak(Box::new(Record::new()));
        self.records.write().push(record);
        record
    }

    fn settle(&self) {
        let mut spent = Vec::new();
        self.records.read().iter().for_each(|record| record.settle(&mut spent));
        drop(spent);
    }

    fn forget(&self, region: &Counters) {
        self.records.read().iter().for_each(|record| record.forget(region));
    }

    /// Settles first: whoever reads meanwhile finds the counts here or there.
    fn leave(&self, record: &'static Record) {
        let (mut spent, mut looks, mut others) = (Vec::new(), Vec::new(), Vec::new());
        record.settle(&mut spent);
        record.looks.clear(&mut looks);
        record.others.clear(&mut others);
        self.idle.lock().push(record);
        drop((spent, looks, others));
    }
}

/// Cells of a record for look-ups, and for other events.
const LOOKS: usize = if cfg!(any(shuttle, loom)) { 2 } else { PLACES as usize };
const OTHERS: usize = if cfg!(any(shuttle, loom)) { 2 } else { 64 };

/// Of so many events without a cell, one takes a cell over.
const PATIENCE: u32 = if cfg!(any(shuttle, loom)) { 2 } else { 32 };

/// A count is settled when it is a multiple of this, if nobody wanted to know before: twice before it has run around.
const SETTLE: u32 = 1 << 31;

/// The first event that is no look-up.
const FIRST_OTHER: usize = Event::Peek as usize;

/// What one thread has counted.
struct Record {
    looks: Cells<LOOKS, FIRST_OTHER, 0>,
    others: Cells<OTHERS, { Event::ALL.len() - FIRST_OTHER }, FIRST_OTHER>,
}

/// Cells for as many kinds of events, from `FIRST` on.
struct Cells<const N: usize, const EVENTS: usize, const FIRST: usize> {
    cells: [Cell<EVENTS>; N],
    /// Who the cells belong to, as far as they ever belonged to anybody.
    owners: Mutex<Vec<Owner<EVENTS>>>,
    /// Events without a cell; written by the record's thread.
    strays: AtomicU32,
}

#[repr(C)]
struct Cell<const EVENTS: usize> {
    pair: AtomicU64,
    counts: [AtomicU32; EVENTS],
}

struct Owner<const EVENTS: usize> {
    region: Option<Weak<Counters>>,
    scope: Option<Arc<ScopeStats>>,
    settled: [u32; EVENTS],
}

impl<const EVENTS: usize> Owner<EVENTS> {
    fn nobody() -> Self {
        Self { region: None, scope: None, settled: [0; EVENTS] }
    }
}

/// A region's and a scope's [`Tag`] in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Pair(u64);

impl Pair {
    /// In a cell that belongs to nobody; no pair is that.
    const NOBODY: Self = Self(u64::MAX);

    #[inline]
    fn of((region, scope): Whom<'_>) -> Self {
        let region = region.map_or(Tag::NONE, |region| region.tag());
        region.with(scope.map_or(Tag::NONE, |scope| scope.tag()))
    }

    /// Whether it can have a cell.
    fn has_place(self) -> bool {
        self.0 & (Tag::SPENT[0] | Tag::SPENT[1]) == 0
    }

    /// The place of its cell among so many, a power of two.
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "few bits are wanted")]
    const fn place(self, cells: usize) -> usize {
        (self.0 >> PLACE) as usize % cells
    }
}

impl<const EVENTS: usize> Cell<EVENTS> {
    #[cfg(not(any(shuttle, loom)))]
    const fn new() -> Self {
        Self { pair: AtomicU64::new(Pair::NOBODY.0), counts: [const { AtomicU32::new(0) }; EVENTS] }
    }

    #[cfg(any(shuttle, loom))]
    fn new() -> Self {
        Self { pair: AtomicU64::new(Pair::NOBODY.0), counts: std::array::from_fn(|_| AtomicU32::new(0)) }
    }

    #[inline]
    fn is_of(&self, pair: Pair) -> bool {
        self.pair.load(Relaxed) == pair.0
    }

    /// Adds one, and answers the new count.
    #[inline]
    fn bump(&self, event: usize) -> u32 {
        let count = &self.counts[event];
        let next = count.load(Relaxed).wrapping_add(1);
        count.store(next, Relaxed);
        next
    }

    /// Adds to the shared counters what is not in them yet. `first` is the first of its events. Answers the region, to be dropped
    /// without the lock.
    fn settle(&self, owner: &mut Owner<EVENTS>, first: usize) -> Option<Arc<Counters>> {
        let mut held = None;
        for (event, settled) in owner.settled.iter_mut().enumerate() {
            let count = self.counts[event].load(Relaxed);
            let events = count.wrapping_sub(*settled);
            if events > 0 {
                *settled = count;
                held = held.or_else(|| owner.region.as_ref().and_then(Weak::upgrade));
                add((held.as_deref(), owner.scope.as_deref()), Event::ALL[first + event], events.into());
            }
        }
        held
    }

    /// Gives a settled cell, whose pair nobody else counts, to another pair.
    fn hand_over(&self, owner: &mut Owner<EVENTS>, pair: Pair, next: Owner<EVENTS>) {
        self.pair.store(pair.0, Relaxed);
        self.counts.iter().for_each(|count| count.store(0, Relaxed));
        *owner = next;
    }
}

impl<const N: usize, const EVENTS: usize, const FIRST: usize> Cells<N, EVENTS, FIRST> {
    #[cfg(not(any(shuttle, loom)))]
    const fn new() -> Self {
        Self { cells: [const { Cell::new() }; N], owners: Mutex::new(Vec::new()), strays: AtomicU32::new(0) }
    }

    #[cfg(any(shuttle, loom))]
    fn new() -> Self {
        Self {
            cells: std::array::from_fn(|_| Cell::new()),
            owners: Mutex::new(Vec::new()),
            strays: AtomicU32::new(0),
        }
    }

    #[inline]
    fn of(&self, pair: Pair) -> &Cell<EVENTS> {
        &self.cells[pair.place(N)]
    }

    /// For the record's own thread only.
    #[inline]
    fn count(&self, whom: Whom<'_>, event: Event) -> u32 {
        let pair = Pair::of(whom);
        let Some(count) = self.try_count(pair, event) else {
            self.count_stray(whom, pair, event);
            return 0;
        };
        if count.is_multiple_of(SETTLE) {
            self.settle_one(pair);
        }
        count
    }

    /// For the record's own thread only. The count is to be settled if it is a multiple of [`SETTLE`].
    #[inline(always)]
    fn try_count(&self, pair: Pair, event: Event) -> Option<u32> {
        let cell = self.of(pair);
        cell.is_of(pair).then(|| cell.bump(event as usize - FIRST))
    }

    /// For the record's own thread only.
    #[inline(always)]
    #[cfg_attr(any(shuttle, loom), allow(dead_code, reason = "there every event is added at once"))]
    fn try_count_all<const M: usize>(&self, pair: Pair, events: [Event; M]) -> bool {
        let cell = self.of(pair);
        if !cell.is_of(pair) {
            return false;
        }
        for event in events {
            if cell.bump(event as usize - FIRST).is_multiple_of(SETTLE) {
                self.settle_one(pair);
            }
        }
        true
    }

    /// Settles the cell of a pair, which a count of its own thread made due.
    #[cold]
    #[inline(never)]
    fn settle_one(&self, pair: Pair) {
        let mut owners = self.owners.lock();
        let spent = owners.get_mut(pair.place(N)).and_then(|owner| self.of(pair).settle(owner, FIRST));
        drop(owners);
        drop(spent);
    }

    /// Counts for a pair that has no cell.
    #[cold]
    #[inline(never)]
    fn count_stray(&self, whom: Whom<'_>, pair: Pair, event: Event) {
        let strays = self.strays.load(Relaxed);
        self.strays.store(strays.wrapping_add(1), Relaxed);
        let cell = self.of(pair);
        let is_turn = strays.is_multiple_of(PATIENCE) || cell.is_of(Pair::NOBODY);
        if !is_turn || !pair.has_place() {
            return add((whom.0.map(Arc::as_ref), whom.1.map(Arc::as_ref)), event, 1);
        }
        let place = pair.place(N);
        let mut owners = self.owners.lock();
        if owners.len() <= place {
            owners.resize_with(place + 1, Owner::nobody);
        }
        let spent = cell.settle(&mut owners[place], FIRST);
        let next = Owner { region: whom.0.map(Arc::downgrade), scope: whom.1.cloned(), ..Owner::nobody() };
        cell.hand_over(&mut owners[place], pair, next);
        cell.bump(event as usize - FIRST);
        drop(owners);
        drop(spent);
    }

    /// Settles every cell, and clears those whose scope nobody else holds.
    fn settle(&self, spent: &mut Vec<Arc<Counters>>) {
        let mut owners = self.owners.lock();
        for (cell, owner) in self.cells.iter().zip(owners.iter_mut()) {
            // Asked first: whoever let go of the scope before has counted all he will, and all of it is settled now.
            let is_left = owner.scope.as_mut().and_then(Arc::get_mut).is_some();
            spent.extend(cell.settle(owner, FIRST));
            if is_left {
                cell.hand_over(owner, Pair::NOBODY, Owner::nobody());
            }
        }
    }

    /// Forgets every pair of a settled record whose thread has ended. What is to be dropped without the lock goes to `cleared`.
    fn clear(&self, cleared: &mut Vec<Owner<EVENTS>>) {
        self.strays.store(0, Relaxed);
        let mut owners = self.owners.lock();
        for (cell, owner) in self.cells.iter().zip(owners.iter_mut()) {
            cleared.push(std::mem::replace(owner, Owner::nobody()));
            cell.hand_over(owner, Pair::NOBODY, Owner::nobody());
        }
        *owners = Vec::new();
    }

    fn forget(&self, region: &Counters) {
        let address = std::ptr::from_ref(region);
        let mut owners = self.owners.lock();
        for (cell, owner) in self.cells.iter().zip(owners.iter_mut()) {
            // Compared, not followed: nothing of it is left but its address, which nobody has while an owner knows it.
            if owner.region.as_ref().is_some_and(|region| std::ptr::eq(region.as_ptr(), address)) {
                // The region is past being found: only the scope is settled.
                cell.settle(owner, FIRST);
                cell.hand_over(owner, Pair::NOBODY, Owner::nobody());
            }
        }
    }
}

impl Record {
    /// Without owners; nobody may take a cell over in the one that stands for none.
    #[cfg(not(any(shuttle, loom)))]
    const fn new() -> Self {
        Self { looks: Cells::new(), others: Cells::new() }
    }

    #[cfg(any(shuttle, loom))]
    fn new() -> Self {
        Self { looks: Cells::new(), others: Cells::new() }
    }

    /// For the record's own thread only.
    #[inline]
    fn count(&self, whom: Whom<'_>, event: Event) -> u32 {
        if (event as usize) < FIRST_OTHER {
            self.looks.count(whom, event)
        } else {
            self.others.count(whom, event)
        }
    }

    fn settle(&self, spent: &mut Vec<Arc<Counters>>) {
        self.looks.settle(spent);
        self.others.settle(spent);
    }

    fn forget(&self, region: &Counters) {
        self.looks.forget(region);
        self.others.forget(region);
    }
}

#[cfg(test)]
#[cfg(shuttle)]
mod explore;
#[cfg(test)]
#[cfg(not(any(shuttle, loom)))]
mod tests;
