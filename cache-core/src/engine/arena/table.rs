//! Where the entries of a shard are found: buckets of twelve ways in one cache line, read without a lock.
//!
//! (1) One writer at a time, the holder of the shard's lock; readers come at any moment. (2) A way that is taken holds the
//! place of an entry that was complete before: place and tag are stored first, then the bit that says so, which readers look at
//! first. Who finds a way taken may meet the place that another entry has there meanwhile. (3) An entry stands in
//! its home bucket or its alternate; `displaced` of the home counts those in the alternate, so a reader looks there
//! only if there are any, and a removal leaves nothing behind. Where both are full, as with keys of one hash, it stands in
//! the crowd, which counts as displaced and is searched from end to end. (4) An entry never moves within one table. (5) Tags only
//! choose candidates; whoever asks compares in full. Cost: 64 bytes a bucket, seven entries in each on average; one
//! line a look-up, two while the home overflows.
//! Two choices after Azar, Broder, Karlin, Upfal, "Balanced Allocations", SIAM J. Comput. 29(1), 1999; tags in a line after
//! Fan, Andersen, Kaminsky, "MemC3", NSDI 2013, section 3.1.

use super::lanes::{Lanes, matches};
use crate::prefetch::prefetch_at;
use crate::sync::{AtomicU32, AtomicU64, Ordering};

/// Entries in a bucket at most.
pub(super) const WAYS: usize = 12;

/// Entries in four buckets of a full table. More would save little memory, and overflow into alternates much oftener: with 32, one
/// entry in nine is displaced after churn, with 29 one in twenty.
const FILL_OF_FOUR: usize = 29;

/// How many entries fill so many buckets.
pub(super) const fn fill_of(buckets: usize) -> usize {
    buckets * FILL_OF_FOUR / 4
}

/// How many buckets so many entries fill.
pub(super) const fn buckets_of(entries: usize) -> usize {
    (entries * 4).div_ceil(FILL_OF_FOUR)
}

const WAYS_MASK: u32 = (1 << WAYS) - 1;

/// `tags[0]` has the tags of eight ways, the low half of `tags[1]` those of four. Above it 16 bits count the displaced, and 16
/// say which ways are taken.
#[derive(Debug, Default)]
#[repr(C, align(64))]
struct Bucket {
    tags: [AtomicU64; 2],
    slots: [AtomicU32; WAYS],
}

/// Where the bits of ways that are taken begin.
const TAKEN: u32 = 48;

/// Where the count of the displaced begins, and as many as are counted: this many, once reached, stay.
const DISPLACED: u32 = 32;
const MOST_DISPLACED: u64 = (1 << (TAKEN - DISPLACED)) - 1;

/// What is in a bucket, as it was at one look; each half may be of another moment.
#[derive(Debug, Clone, Copy)]
struct Words([u64; 2]);

impl Words {
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "sixteen bits")]
    fn taken(self) -> u32 {
        (self.0[1] >> TAKEN) as u32
    }

    /// Ways that are taken and whose tag is that of a hash.
    #[inline]
    fn fits(self, hash: u32) -> u32 {
        matches(self.0, tag_of(hash)) & self.taken()
    }

    #[inline]
    fn displaced(self) -> u64 {
        self.0[1] >> DISPLACED & MOST_DISPLACED
    }
}

/// What one look at the home of a hash tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum First<R> {
    /// What was made of it.
    Found(R),
    /// There is none in the table.
    Absent,
    /// If there is one, it stands elsewhere.
    Elsewhere,
}

/// The buckets of one size of a table.
#[derive(Debug)]
pub(super) struct Table {
    buckets: Box<[Bucket]>,
    /// Slots of keys for which there was no way, `VACANT` between them.
    crowd: Box<[AtomicU32]>,
    /// Written when the table goes, so that loom sees who looks too late.
    #[cfg(loom)]
    end: crate::sync::UnsafeCell<()>,
}

#[cfg(loom)]
impl Drop for Table {
    fn drop(&mut self) {
        self.end.with_mut(|_| ());
    }
}

/// By how many ways an alternate has to be emptier than a home with one way left to be preferred. Entries displaced cost readers a
/// line, homes without a way left displace all who come after.
const LEANING: u32 = 3;

/// No slot.
const VACANT: u32 = u32::MAX;

/// In a [`Room`]: not a bucket.
const CROWD: usize = usize::MAX;

/// A place that nobody has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    bucket: usize,
    way: usize,
    displaced: bool,
}

impl Table {
    pub(super) fn new(buckets: usize, crowd: usize) -> Self {
        Self {
            buckets: (0..buckets.clamp(1, 1 << 27)).map(|_| Bucket::default()).collect(),
            crowd: (0..crowd).map(|_| AtomicU32::new(VACANT)).collect(),
            #[cfg(loom)]
            end: crate::sync::UnsafeCell::new(()),
        }
    }

    pub(super) fn crowd(&self) -> usize {
        self.crowd.len()
    }

    pub(super) fn buckets(&self) -> usize {
        self.buckets.len()
    }

    /// Looks at the home of a hash, until `what` makes something of a place whose tag fits. As [`find`](Self::find), but short,
    /// and without a call.
    #[inline(always)]
    pub(super) fn first<R>(&self, hash: u32, mut what: impl FnMut(u32) -> Option<R>) -> First<R> {
        #[cfg(loom)]
        self.end.with(|_| ());
        // SAFETY: as many buckets as there are, times a number below 2^32, divided by 2^32, are fewer.
        let home = unsafe { self.buckets.get_unchecked(self.home(hash)) };
        let look = Look::at(home);
        let mut fits = look.fits(hash);
        // The first is written out, for it nearly always is what is looked for.
        if fits != 0 {
            // SAFETY: a look finds no other ways than there are.
            if let Some(found) = what(unsafe { home.first_of(fits) }) {
                return First::Found(found);
            }
            fits &= fits - 1;
        }
        while fits != 0 {
            // SAFETY: as above.
            if let Some(found) = what(unsafe { home.first_of(fits) }) {
                return First::Found(found);
            }
            fits &= fits - 1;
        }
        if look.displaced() == 0 { First::Absent } else { First::Elsewhere }
    }

    /// Slots whose tag fits, until `what` makes something of one.
    #[inline]
    pub(super) fn find<R>(&self, hash: u32, mut what: impl FnMut(u32) -> Option<R>) -> Option<R> {
        #[cfg(loom)]
        self.end.with(|_| ());
        let home = &self.buckets[self.home(hash)];
        let words = home.words();
        if let Some((_, found)) = home.search(words, hash, &mut what) {
            return Some(found);
        }
        if words.displaced() == 0 {
            return None;
        }
        self.find_displaced(hash, what)
    }

    #[inline(never)]
    fn find_displaced<R>(&self, hash: u32, mut what: impl FnMut(u32) -> Option<R>) -> Option<R> {
        let other = &self.buckets[self.alternate(hash)];
        let found = other.search(other.words(), hash, &mut what).map(|(_, found)| found);
        let crowd = || self.crowd.iter().map(|slot| slot.load(Ordering::Acquire));
        found.or_else(|| crowd().filter(|&slot| slot != VACANT).find_map(what))
    }

    /// Where a slot can be added if its home is nearly full. For the writer.
    fn room(&self, hash: u32) -> Option<Room> {
        let home = self.home(hash);
        let free = self.buckets[home].free();
        let other = self.alternate(hash);
        let spare = self.buckets[other].free();
        if free != 0 && spare.count_ones() <= free.count_ones() + LEANING {
            return Some(Room { bucket: home, way: free.trailing_zeros() as usize, displaced: false });
        }
        if spare != 0 {
            return Some(Room { bucket: other, way: spare.trailing_zeros() as usize, displaced: true });
        }
        let seat = self.crowd.iter().position(|seat| seat.load(Ordering::Relaxed) == VACANT)?;
        Some(Room { bucket: CROWD, way: seat, displaced: true })
    }

    #[inline(never)]
    fn insert_beside(&self, hash: u32, slot: u32) -> bool {
        let Some(room) = self.room(hash) else { return false };
        if room.bucket == CROWD {
            self.crowd[room.way].store(slot, Ordering::Release);
        } else {
            self.buckets[room.bucket].put(room.way, hash, slot);
        }
        if room.displaced {
            // A reader who finds the count risen finds the slot as well.
            self.buckets[self.home(hash)].displace(1);
        }
        true
    }

    /// The place of a slot in the crowd.
    fn seat(&self, slot: u32) -> Option<&AtomicU32> {
        self.crowd.iter().find(|seat| seat.load(Ordering::Relaxed) == slot)
    }

    /// Adds a slot. `false` if there is no room. For the writer.
    #[inline(always)]
    pub(super) fn insert(&self, hash: u32, slot: u32) -> bool {
        let home = &self.buckets[self.home(hash)];
        let free = home.free();
        // At least two, which is cheaper to see than to count.
        if free & free.wrapping_sub(1) == 0 {
            return self.insert_beside(hash, slot);
        }
        home.put(free.trailing_zeros() as usize, hash, slot);
        true
    }

    /// Takes a slot out; whether it was there. For the writer.
    #[inline(always)]
    pub(super) fn remove(&self, hash: u32, slot: u32) -> bool {
        let home = &self.buckets[self.home(hash)];
        if home.clear(hash, slot) {
            return true;
        }
        self.remove_displaced(home, hash, slot)
    }

    #[inline(never)]
    fn remove_displaced(&self, home: &Bucket, hash: u32, slot: u32) -> bool {
        if !self.buckets[self.alternate(hash)].clear(hash, slot) {
            let Some(seat) = self.seat(slot) else { return false };
            seat.store(VACANT, Ordering::Release);
        }
        home.displace(-1);
        true
    }

    /// Puts a slot in the place of another of the same hash; whether that was there. Readers find one or the other. For
    /// the writer.
    pub(super) fn replace(&self, hash: u32, from: u32, to: u32) -> bool {
        let in_bucket = [self.home(hash), self.alternate(hash)].into_iter().any(|at| {
            let bucket = &self.buckets[at];
            let found = bucket.search(bucket.words(), hash, &mut |slot| (slot == from).then_some(()));
            found.is_some_and(|(way, _)| {
                bucket.slots[way].store(to, Ordering::Release);
                true
            })
        });
        in_bucket
            || self.seat(from).is_some_and(|seat| {
                seat.store(to, Ordering::Release);
                true
            })
    }

    /// Asks for the line of a hash ahead of its use.
    #[inline]
    pub(super) fn prefetch(&self, hash: u32) {
        prefetch_at(&self.buckets, self.home(hash));
    }

    #[inline]
    fn home(&self, hash: u32) -> usize {
        ((u64::from(hash) * self.buckets.len() as u64) >> 32) as usize
    }

    fn alternate(&self, hash: u32) -> usize {
        let home = self.home(hash);
        let other = self.home(hash.rotate_left(16).wrapping_mul(0x9e37_79b1));
        if other == home { (home + 1) % self.buckets.len() } else { other }
    }
}

impl Bucket {
    /// The slot of the first of some ways.
    ///
    /// # Safety
    /// There is one, and none that a bucket does not have.
    #[inline(always)]
    unsafe fn first_of(&self, ways: u32) -> u32 {
        let way = ways.trailing_zeros() as usize;
        debug_assert!(way < WAYS);
        // SAFETY: the caller's promise.
        unsafe { self.slots.get_unchecked(way) }.load(Ordering::Acquire)
    }

    #[inline]
    fn words(&self) -> Words {
        // Acquire: places are read after the bits that say that they are there.
        let upper = self.tags[1].load(Ordering::Acquire);
        Words([self.tags[0].load(Ordering::Acquire), upper])
    }

    #[inline]
    fn search<R>(
        &self,
        words: Words,
        hash: u32,
        what: &mut impl FnMut(u32) -> Option<R>,
    ) -> Option<(usize, R)> {
        let mut fits = words.fits(hash);
        while fits != 0 {
            let way = fits.trailing_zeros() as usize;
            let slot = self.slots[way].load(Ordering::Acquire);
            if let Some(found) = what(slot) {
                return Some((way, found));
            }
            fits &= fits - 1;
        }
        None
    }

    #[inline]
    fn free(&self) -> u32 {
        !self.words().taken() & WAYS_MASK
    }

    #[inline]
    fn clear(&self, hash: u32, slot: u32) -> bool {
        let found = self.search(self.words(), hash, &mut |other| (other == slot).then_some(()));
        found.is_some_and(|(way, _)| {
            let word = &self.tags[1];
            word.store(word.load(Ordering::Relaxed) & !(1 << (TAKEN + way as u32)), Ordering::Release);
            true
        })
    }

    /// Fills an empty way.
    #[inline]
    fn put(&self, way: usize, hash: u32, slot: u32) {
        self.slots[way].store(slot, Ordering::Release);
        let shift = way % 8 * 8;
        let tagged = |word: u64| word & !(0xff << shift) | u64::from(tag_of(hash)) << shift;
        let [lower, upper] = &self.tags;
        let mut word = upper.load(Ordering::Relaxed);
        if way < 8 {
            lower.store(tagged(lower.load(Ordering::Relaxed)), Ordering::Release);
        } else {
            word = tagged(word);
        }
        upper.store(word | 1 << (TAKEN + way as u32), Ordering::Release);
    }

    fn displace(&self, by: i64) {
        let word = &self.tags[1];
        let known = word.load(Ordering::Relaxed);
        if Words([0, known]).displaced() != MOST_DISPLACED {
            word.store(known.wrapping_add_signed(by << DISPLACED), Ordering::Release);
        }
    }
}

/// A tag from bits that choose no bucket.
#[inline]
fn tag_of(hash: u32) -> u8 {
    let [low, ..] = hash.to_le_bytes();
    low
}

/// As [`Words`], in one register. Nothing relies on the halves being of one moment: what was in the bucket all along is found, and a
/// way that changed hands is compared in full.
#[derive(Clone, Copy)]
struct Look(Lanes);

impl Look {
    #[inline(always)]
    fn at(bucket: &Bucket) -> Self {
        // SAFETY: a bucket begins a line.
        Self(unsafe { Lanes::at(&bucket.tags) })
    }

    #[inline(always)]
    fn fits(self, hash: u32) -> u32 {
        self.0.equal_to(tag_of(hash)) & self.0.lane::<{ TAKEN.cast_signed() / 16 + 4 }>()
    }

    #[inline(always)]
    fn displaced(self) -> u32 {
        self.0.lane::<{ DISPLACED.cast_signed() / 16 + 4 }>()
    }
}

#[cfg(all(test, not(any(shuttle, loom))))]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    proptest! {
        #[test]
        fn table_holds_what_a_map_holds(
            buckets in 1usize..6,
            crowd in 0usize..9,
            steps in prop::collection::vec((0u8..4, 0u32..40, any::<u16>()), 1..300),
        ) {
            let (table, mut map) = (Table::new(buckets, crowd), HashMap::<u32, u32>::new());
            let hash_of = |key: u32| key.wrapping_mul(0x85eb_ca6b) % 7 * 0x2000_0001;
            for (step, key, slot) in steps {
                let slot = key << 16 | u32::from(slot);
                let hash = hash_of(key);
                match (step, map.get(&key).copied()) {
                    (0 | 1, None) => {
                        let room = table.room(hash).is_some();
                        prop_assert_eq!(table.insert(hash, slot), room);
                        if room {
                            map.insert(key, slot);
                        }
                    }
                    (2, Some(held)) => {
                        prop_assert!(table.remove(hash, held));
                        map.remove(&key);
                    }
                    (3, Some(held)) => {
                        prop_assert!(table.replace(hash, held, slot));
                        map.insert(key, slot);
                    }
                    _ => prop_assert!(map.contains_key(&key) || !table.remove(hash, slot)),
                }
                for key in 0..40 {
                    let found = table.find(hash_of(key), |slot| (slot >> 16 == key).then_some(slot));
                    prop_assert_eq!(found, map.get(&key).copied());
                }
            }
            let displaced: u64 = table.buckets.iter().map(|bucket| bucket.words().displaced()).sum();
            let away = map.iter().filter(|&(&key, &slot)| {
                let home = &table.buckets[table.home(hash_of(key))];
                home.search(home.words(), hash_of(key), &mut |other| (other == slot).then_some(())).is_none()
            });
            prop_assert_eq!(displaced, away.count() as u64);
        }
    }

    /// What a full table is made of, and whom it prefers, is for the sake of this.
    #[test]
    fn one_entry_in_fifteen_is_displaced_at_most_however_long_entries_come_and_go() {
        let entries = 5_000;
        let table = Table::new(buckets_of(entries), 16);
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        let mut draw = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let mut held: Vec<u32> = (0..entries).map(|_| draw() as u32).collect();
        for (slot, hash) in held.iter().enumerate() {
            assert!(table.insert(*hash, slot as u32));
        }
        for _ in 0..entries * 10 {
            let slot = draw() as usize % entries;
            assert!(table.remove(held[slot], slot as u32));
            held[slot] = draw() as u32;
            assert!(table.insert(held[slot], slot as u32), "the crowd is full");
        }
        let displaced: u64 = table.buckets.iter().map(|bucket| bucket.words().displaced()).sum();
        assert!(displaced < entries as u64 / 15, "{displaced}");
    }
}
