//! Where the entries of a shard are found: buckets of ten or twelve ways, read without a lock.
//!
//! (1) One writer at a time, the holder of the shard's lock; readers come at any moment. (2) Each bucket keeps the rules of
//! [`bucket`](super::bucket). (3) An entry stands in its home bucket or its alternate; `displaced` of the home counts those in the
//! alternate, so a reader looks there only if there are any, and a removal leaves nothing behind. Where both are full, as with keys
//! of one hash, it stands in the crowd, which counts as displaced and is searched from end to end. (4) An entry never moves within
//! one table. (5) Tags only choose candidates; whoever asks compares in full. (6) The buckets of a large table are near, half a
//! line each, as long as sixteen bits are enough for every slot: a hit waits for what of the table is not beside the processor
//! (record 25).
//! Cost: 5.8 bytes an entry, or 8.8 in a small table and where slots are more; one line a look-up, two while the home overflows.
//! Two choices after Azar, Broder, Karlin, Upfal, "Balanced Allocations", SIAM J. Comput. 29(1), 1999; tags in a line after
//! Fan, Andersen, Kaminsky, "MemC3", NSDI 2013, section 3.1.

use super::bucket::{Bucket, Near, Wide};
use super::slots::{Long, Name, Short};
use crate::prefetch::prefetch_at;
use crate::sync::{AtomicU32, Ordering};

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

/// What is to be made of slots whose tag fits.
pub(super) trait Seek {
    type Found;

    /// What is made of one, if anything.
    fn look<N: Name>(&mut self, name: N) -> Option<Self::Found>;
}

/// A table of one size.
#[derive(Debug)]
pub(super) struct Table {
    rows: Rows,
    /// Slots of keys for which there was no way, `VACANT` between them.
    crowd: Box<[AtomicU32]>,
    /// Written when the table goes, so that loom sees who looks too late.
    #[cfg(loom)]
    end: crate::sync::UnsafeCell<()>,
}

#[derive(Debug)]
enum Rows {
    Near(Buckets<Near>),
    Wide(Buckets<Wide>),
}

#[derive(Debug)]
struct Buckets<B>(Box<[B]>);

#[cfg(loom)]
impl Drop for Table {
    fn drop(&mut self) {
        self.end.with_mut(|_| ());
    }
}

/// By how many ways an alternate has to be emptier than a home with one way left to be preferred. Entries displaced cost readers a
/// line, homes without a way left displace all who come after.
const LEANING: u32 = 3;

/// Entries from which on buckets are near. A smaller table stays beside the processor anyhow, and a long name is read sooner.
const FEWEST_NEAR: usize = if cfg!(any(shuttle, loom)) { 0 } else { 2048 };

/// No slot.
const VACANT: u32 = u32::MAX;

/// How large a table is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Size {
    pub(super) buckets: usize,
    /// Seats beside them.
    pub(super) crowd: usize,
    /// Whether all slots are of sixteen bits.
    pub(super) is_near: bool,
}

impl Size {
    /// Of so many entries, whose slots are below `slots`.
    pub(super) fn of(entries: usize, slots: u32) -> Self {
        let is_near = entries >= FEWEST_NEAR && slots <= Short::HIGHEST + 1;
        let size = Self { buckets: 1, crowd: 0, is_near };
        Self { buckets: size.buckets_of(entries).max(1), ..size }
    }

    /// How many buckets of its kind so many entries fill.
    pub(super) fn buckets_of(self, entries: usize) -> usize {
        (entries * 4).div_ceil(self.fill_of_four())
    }

    /// How many entries fill it.
    pub(super) fn fill(self) -> usize {
        self.buckets * self.fill_of_four() / 4
    }

    fn fill_of_four(self) -> usize {
        if self.is_near { Near::FILL_OF_FOUR } else { Wide::FILL_OF_FOUR }
    }
}

/// A place that nobody has.
#[derive(Debug, Clone, Copy)]
enum Room {
    Way { bucket: usize, way: usize, displaced: bool },
    Seat(usize),
}

impl Table {
    pub(super) fn new(Size { buckets, crowd, is_near }: Size) -> Self {
        let rows = match is_near {
            true => Rows::Near(Buckets::new(buckets)),
            false => Rows::Wide(Buckets::new(buckets)),
        };
        Self {
            rows,
            crowd: (0..crowd).map(|_| AtomicU32::new(VACANT)).collect(),
            #[cfg(loom)]
            end: crate::sync::UnsafeCell::new(()),
        }
    }

    pub(super) fn size(&self) -> Size {
        let crowd = self.crowd.len();
        match &self.rows {
            Rows::Near(rows) => Size { buckets: rows.0.len(), crowd, is_near: true },
            Rows::Wide(rows) => Size { buckets: rows.0.len(), crowd, is_near: false },
        }
    }

    /// Looks at the home of a hash, until something is made of a slot whose tag fits. As [`find`](Self::find), but short, and
    /// without a call.
    #[inline(always)]
    pub(super) fn first<S: Seek>(&self, hash: u32, what: S) -> First<S::Found> {
        #[cfg(loom)]
        self.end.with(|_| ());
        match &self.rows {
            Rows::Near(rows) => rows.first(hash, what),
            Rows::Wide(rows) => rows.first(hash, what),
        }
    }

    /// Slots whose tag fits, until something is made of one.
    #[inline]
    pub(super) fn find<S: Seek>(&self, hash: u32, what: S) -> Option<S::Found> {
        #[cfg(loom)]
        self.end.with(|_| ());
        match &self.rows {
            Rows::Near(rows) => rows.find(&self.crowd, hash, what),
            Rows::Wide(rows) => rows.find(&self.crowd, hash, what),
        }
    }

    /// Adds a slot. `false` if there is no room, or the slot is too high for such a table. For the writer.
    #[inline(always)]
    pub(super) fn insert(&self, hash: u32, slot: u32) -> bool {
        match &self.rows {
            Rows::Near(rows) => slot <= Short::HIGHEST && rows.insert(&self.crowd, hash, slot),
            Rows::Wide(rows) => rows.insert(&self.crowd, hash, slot),
        }
    }

    /// Takes a slot out; whether it was there. For the writer.
    #[inline(always)]
    pub(super) fn remove(&self, hash: u32, slot: u32) -> bool {
        match &self.rows {
            Rows::Near(rows) => rows.remove(&self.crowd, hash, slot),
            Rows::Wide(rows) => rows.remove(&self.crowd, hash, slot),
        }
    }

    /// Puts a slot in the place of another of the same hash; `false` if that was not there, or the slot is too high for such a
    /// table. Readers find one or the other. For the writer.
    pub(super) fn replace(&self, hash: u32, from: u32, to: u32) -> bool {
        match &self.rows {
            Rows::Near(rows) => to <= Short::HIGHEST && rows.replace(&self.crowd, hash, from, to),
            Rows::Wide(rows) => rows.replace(&self.crowd, hash, from, to),
        }
    }

    /// Asks for the line of a hash ahead of its use.
    #[inline]
    pub(super) fn prefetch(&self, hash: u32) {
        match &self.rows {
            Rows::Near(rows) => prefetch_at(&rows.0, rows.home(hash)),
            Rows::Wide(rows) => prefetch_at(&rows.0, rows.home(hash)),
        }
    }
}

/// The seat of a slot in a crowd.
fn seat(crowd: &[AtomicU32], slot: u32) -> Option<&AtomicU32> {
    crowd.iter().find(|seat| seat.load(Ordering::Relaxed) == slot)
}

impl<B: Bucket> Buckets<B> {
    fn new(buckets: usize) -> Self {
        Self((0..buckets.clamp(1, 1 << 27)).map(|_| B::default()).collect())
    }

    #[inline(always)]
    fn first<S: Seek>(&self, hash: u32, mut what: S) -> First<S::Found> {
        // SAFETY: as many buckets as there are, times a number below 2^32, divided by 2^32, are fewer.
        let home = unsafe { self.0.get_unchecked(self.home(hash)) };
        let mut fits = home.fits(hash);
        // The first is written out, for it nearly always is what is looked for.
        if fits != 0 {
            // SAFETY: a look finds no other ways than there are.
            if let Some(found) = what.look(unsafe { home.name(fits.trailing_zeros() as usize) }) {
                return First::Found(found);
            }
            fits &= fits - 1;
        }
        while fits != 0 {
            // SAFETY: as above.
            if let Some(found) = what.look(unsafe { home.name(fits.trailing_zeros() as usize) }) {
                return First::Found(found);
            }
            fits &= fits - 1;
        }
        if home.displaced() == 0 { First::Absent } else { First::Elsewhere }
    }

    #[inline(always)]
    fn find<S: Seek>(&self, crowd: &[AtomicU32], hash: u32, mut what: S) -> Option<S::Found> {
        let home = &self.0[self.home(hash)];
        if let Some(found) = search(home, hash, &mut what) {
            return Some(found);
        }
        if home.displaced() == 0 {
            return None;
        }
        self.find_displaced(crowd, hash, what)
    }

    #[inline(never)]
    fn find_displaced<S: Seek>(&self, crowd: &[AtomicU32], hash: u32, mut what: S) -> Option<S::Found> {
        let other = &self.0[self.alternate(hash)];
        let found = search(other, hash, &mut what);
        let seated = || crowd.iter().map(|slot| slot.load(Ordering::Acquire));
        found.or_else(|| seated().filter(|&slot| slot != VACANT).find_map(|slot| what.look(Long::of(slot))))
    }

    /// Where a slot can be added if its home is nearly full.
    fn room(&self, crowd: &[AtomicU32], hash: u32) -> Option<Room> {
        let home = self.home(hash);
        let free = self.0[home].free();
        let other = self.alternate(hash);
        let spare = self.0[other].free();
        if free != 0 && spare.count_ones() <= free.count_ones() + LEANING {
            return Some(Room::Way { bucket: home, way: free.trailing_zeros() as usize, displaced: false });
        }
        if spare != 0 {
            return Some(Room::Way { bucket: other, way: spare.trailing_zeros() as usize, displaced: true });
        }
        crowd.iter().position(|seat| seat.load(Ordering::Relaxed) == VACANT).map(Room::Seat)
    }

    #[inline(never)]
    fn insert_beside(&self, crowd: &[AtomicU32], hash: u32, slot: u32) -> bool {
        let displaced = match self.room(crowd, hash) {
            None => return false,
            Some(Room::Way { bucket, way, displaced }) => {
                self.0[bucket].put(way, hash, B::Name::of(slot));
                displaced
            }
            Some(Room::Seat(seat)) => {
                crowd[seat].store(slot, Ordering::Release);
                true
            }
        };
        if displaced {
            // A reader who finds the count risen finds the slot as well.
            self.0[self.home(hash)].displace(1);
        }
        true
    }

    #[inline(always)]
    fn insert(&self, crowd: &[AtomicU32], hash: u32, slot: u32) -> bool {
        let home = &self.0[self.home(hash)];
        let free = home.free();
        // At least two, which is cheaper to see than to count.
        if free & free.wrapping_sub(1) == 0 {
            return self.insert_beside(crowd, hash, slot);
        }
        home.put(free.trailing_zeros() as usize, hash, B::Name::of(slot));
        true
    }

    #[inline(always)]
    fn remove(&self, crowd: &[AtomicU32], hash: u32, slot: u32) -> bool {
        let home = &self.0[self.home(hash)];
        if clear(home, hash, slot) {
            return true;
        }
        self.remove_displaced(home, crowd, hash, slot)
    }

    #[inline(never)]
    fn remove_displaced(&self, home: &B, crowd: &[AtomicU32], hash: u32, slot: u32) -> bool {
        if !clear(&self.0[self.alternate(hash)], hash, slot) {
            let Some(seat) = seat(crowd, slot) else { return false };
            seat.store(VACANT, Ordering::Release);
        }
        home.displace(-1);
        true
    }

    fn replace(&self, crowd: &[AtomicU32], hash: u32, from: u32, to: u32) -> bool {
        let in_bucket = [self.home(hash), self.alternate(hash)].into_iter().any(|at| {
            let bucket = &self.0[at];
            let way = way_of(bucket, hash, from);
            way.is_some_and(|way| {
                bucket.set_name(way, B::Name::of(to));
                true
            })
        });
        in_bucket
            || seat(crowd, from).is_some_and(|seat| {
                seat.store(to, Ordering::Release);
                true
            })
    }

    #[inline]
    fn home(&self, hash: u32) -> usize {
        ((u64::from(hash) * self.0.len() as u64) >> 32) as usize
    }

    fn alternate(&self, hash: u32) -> usize {
        let home = self.home(hash);
        let other = self.home(hash.rotate_left(16).wrapping_mul(0x9e37_79b1));
        if other == home { (home + 1) % self.0.len() } else { other }
    }
}

#[inline(always)]
fn search<B: Bucket, S: Seek>(bucket: &B, hash: u32, what: &mut S) -> Option<S::Found> {
    let mut fits = bucket.fits(hash);
    while fits != 0 {
        // SAFETY: no other ways fit than there are.
        let found = what.look(unsafe { bucket.name(fits.trailing_zeros() as usize) });
        if found.is_some() {
            return found;
        }
        fits &= fits - 1;
    }
    None
}

/// The way of a slot in a bucket.
#[inline]
fn way_of<B: Bucket>(bucket: &B, hash: u32, slot: u32) -> Option<usize> {
    let (mut fits, name) = (bucket.fits(hash), B::Name::of(slot));
    while fits != 0 {
        let way = fits.trailing_zeros() as usize;
        // SAFETY: no other ways fit than there are.
        if unsafe { bucket.name(way) } == name {
            return Some(way);
        }
        fits &= fits - 1;
    }
    None
}

#[inline]
fn clear<B: Bucket>(bucket: &B, hash: u32, slot: u32) -> bool {
    way_of(bucket, hash, slot).is_some_and(|way| {
        bucket.clear(way);
        true
    })
}

#[cfg(all(test, not(any(shuttle, loom))))]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashMap;

    /// Slots as they are.
    struct Plainly<F>(F);

    impl<R, F: FnMut(u32) -> Option<R>> Seek for Plainly<F> {
        type Found = R;

        fn look<N: Name>(&mut self, name: N) -> Option<R> {
            (self.0)(name.slot())
        }
    }

    impl Table {
        fn displaced(&self) -> u64 {
            fn of<B: Bucket>(rows: &Buckets<B>) -> u64 {
                rows.0.iter().map(|bucket| u64::from(bucket.displaced())).sum()
            }
            match &self.rows {
                Rows::Near(rows) => of(rows),
                Rows::Wide(rows) => of(rows),
            }
        }

        fn has_room(&self, hash: u32) -> bool {
            match &self.rows {
                Rows::Near(rows) => rows.room(&self.crowd, hash).is_some(),
                Rows::Wide(rows) => rows.room(&self.crowd, hash).is_some(),
            }
        }

        fn is_at_home(&self, hash: u32, slot: u32) -> bool {
            match &self.rows {
                Rows::Near(rows) => way_of(&rows.0[rows.home(hash)], hash, slot).is_some(),
                Rows::Wide(rows) => way_of(&rows.0[rows.home(hash)], hash, slot).is_some(),
            }
        }
    }

    proptest! {
        #[test]
        fn table_holds_what_a_map_holds(
            buckets in 1usize..6,
            crowd in 0usize..9,
            is_near: bool,
            steps in prop::collection::vec((0u8..4, 0u32..40, any::<u8>()), 1..300),
        ) {
            let (table, mut map) = (Table::new(Size { buckets, crowd, is_near }), HashMap::<u32, u32>::new());
            let hash_of = |key: u32| key.wrapping_mul(0x85eb_ca6b) % 7 * 0x2000_0001;
            for (step, key, slot) in steps {
                let slot = key << 8 | u32::from(slot);
                let hash = hash_of(key);
                match (step, map.get(&key).copied()) {
                    (0 | 1, None) => {
                        let room = table.has_room(hash);
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
                    let is_it = |slot: u32| (slot >> 8 == key).then_some(slot);
                    let found = table.find(hash_of(key), Plainly(is_it));
                    prop_assert_eq!(found, map.get(&key).copied());
                    match table.first(hash_of(key), Plainly(is_it)) {
                        First::Found(slot) => prop_assert_eq!(Some(slot), found),
                        First::Absent => prop_assert_eq!(None, found),
                        First::Elsewhere => prop_assert!(table.displaced() > 0),
                    }
                }
            }
            let away = map.iter().filter(|&(&key, &slot)| !table.is_at_home(hash_of(key), slot));
            prop_assert_eq!(table.displaced(), away.count() as u64);
        }
    }

    /// What a full table is made of, and whom it prefers, is for the sake of this.
    #[test]
    fn one_entry_in_fifteen_is_displaced_at_most_however_long_entries_come_and_go() {
        for slots in [5_000, 100_000] {
            let entries = 5_000;
            let table = Table::new(Size { crowd: 16, ..Size::of(entries, slots) });
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
            let displaced = table.displaced();
            assert!(displaced < entries as u64 / 15, "{displaced} of {:?}", table.size());
        }
    }

    #[test]
    fn near_table_takes_no_slot_that_it_could_not_name() {
        let near = Table::new(Size::of(5_000, Short::HIGHEST + 1));
        assert!(
            near.size().is_near
                && !Size::of(5_000, Short::HIGHEST + 2).is_near
                && !Size::of(100, 100).is_near
        );
        assert!(near.insert(7, Short::HIGHEST) && !near.insert(7, Short::HIGHEST + 1));
        assert!(!near.replace(7, Short::HIGHEST, Short::HIGHEST + 7) && near.remove(7, Short::HIGHEST));
        assert_eq!(near.find(7, Plainly(Some)), None);
    }
}
