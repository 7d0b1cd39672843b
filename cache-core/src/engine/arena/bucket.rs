//! One bucket of a table: tags, the slots that go with them, which ways are taken, and how many entries it had to send elsewhere.
//!
//! (1) A way that is taken holds the name of a slot whose entry was complete before: name and tag are stored first, then the bit that says
//! so. Who finds a way taken may meet who has it meanwhile. (2) What is seen at one look is of several moments: what was in the
//! bucket all along is found, and a way that changed hands is compared in full.
//! Cost: [`Near`] half a line for 5.5 entries on average in a full table, [`Wide`] a line for 7.25.

use super::lanes;
use super::slots::{Long, Name, Short};
use crate::sync::{AtomicU16, AtomicU32, AtomicU64, Ordering};

/// A bucket. All but the first three are for the holder of the shard's lock.
pub(super) trait Bucket: Default + Send + Sync + 'static {
    /// Entries at most.
    const WAYS: usize;

    /// Entries in four buckets of a full table. More would save little memory, and overflow into alternates much oftener.
    const FILL_OF_FOUR: usize;

    /// What it calls a slot.
    type Name: Name;

    /// Ways that are taken and whose tag is that of a hash.
    fn fits(&self, hash: u32) -> u32;

    /// How many entries do not stand in the bucket though it is their home: as many, or more.
    fn displaced(&self) -> u32;

    /// Who is in a way.
    ///
    /// # Safety
    /// There is such a way.
    unsafe fn name(&self, way: usize) -> Self::Name;

    /// Puts another in a way.
    fn set_name(&self, way: usize, name: Self::Name);

    /// Ways that are not taken.
    fn free(&self) -> u32;

    /// Fills an empty way.
    fn put(&self, way: usize, hash: u32, name: Self::Name);

    /// Empties a way.
    fn clear(&self, way: usize);

    /// One entry more, or less, stands elsewhere. As many as can be counted, once reached, stay.
    fn displace(&self, by: i32);
}

/// Of twelve ways, in a line.
///
/// `tags[0]` has the tags of eight ways, the low half of `tags[1]` those of four. Above it 16 bits count the displaced, and 16
/// say which ways are taken.
#[derive(Debug, Default)]
#[repr(C, align(64))]
pub(super) struct Wide {
    tags: [AtomicU64; 2],
    names: [AtomicU32; 12],
}

/// Where the bits of ways that are taken begin, and where the count of the displaced.
const WIDE_TAKEN: u32 = 48;
const WIDE_DISPLACED: u32 = 32;
const WIDE_MOST: u64 = (1 << (WIDE_TAKEN - WIDE_DISPLACED)) - 1;

impl Bucket for Wide {
    const WAYS: usize = 12;
    // With 32, one entry in nine is displaced after churn, with 29 one in seventeen.
    const FILL_OF_FOUR: usize = 29;
    type Name = Long;

    #[inline(always)]
    fn fits(&self, hash: u32) -> u32 {
        let words = || {
            // The lower first: an explorer shall find that nothing relies on any order.
            let [lower, upper] = &self.tags;
            let lower = lower.load(Ordering::Acquire);
            let upper = upper.load(Ordering::Acquire);
            ([lower, upper], (upper >> WIDE_TAKEN) as u32)
        };
        // SAFETY: it is a line, and begins one. No way is taken that there is not.
        unsafe { lanes::fits::<_, { 8 + WIDE_TAKEN as usize / 8 }, 16>(self, tag_of(hash), words) }
    }

    #[inline(always)]
    fn displaced(&self) -> u32 {
        (self.tags[1].load(Ordering::Acquire) >> WIDE_DISPLACED & WIDE_MOST) as u32
    }

    #[inline(always)]
    unsafe fn name(&self, way: usize) -> Long {
        // SAFETY: the caller's promise.
        Long(unsafe { self.names.get_unchecked(way) }.load(Ordering::Acquire))
    }

    fn set_name(&self, way: usize, name: Long) {
        self.names[way].store(name.0, Ordering::Release);
    }

    #[inline]
    fn free(&self) -> u32 {
        !(self.tags[1].load(Ordering::Relaxed) >> WIDE_TAKEN) as u32 & ((1 << Self::WAYS) - 1)
    }

    #[inline]
    fn put(&self, way: usize, hash: u32, name: Long) {
        self.set_name(way, name);
        let [lower, upper] = &self.tags;
        let mut word = upper.load(Ordering::Relaxed);
        if way < 8 {
            lower.store(with_tag(lower.load(Ordering::Relaxed), way, hash), Ordering::Release);
        } else {
            word = with_tag(word, way - 8, hash);
        }
        upper.store(word | 1 << (WIDE_TAKEN + way as u32), Ordering::Release);
    }

    #[inline]
    fn clear(&self, way: usize) {
        let word = &self.tags[1];
        word.store(word.load(Ordering::Relaxed) & !(1 << (WIDE_TAKEN + way as u32)), Ordering::Release);
    }

    fn displace(&self, by: i32) {
        let word = &self.tags[1];
        let known = word.load(Ordering::Relaxed);
        if known >> WIDE_DISPLACED & WIDE_MOST != WIDE_MOST {
            word.store(known.wrapping_add_signed(i64::from(by) << WIDE_DISPLACED), Ordering::Release);
        }
    }
}

/// Of ten ways, in half a line: for slots of sixteen bits.
///
/// `tags` has the tags of eight ways, the low half of `more` those of two. Above it ten bits say which ways are taken, and six count
/// the displaced.
#[derive(Debug, Default)]
#[repr(C, align(32))]
pub(super) struct Near {
    tags: AtomicU64,
    more: AtomicU32,
    names: [AtomicU16; 10],
}

#[cfg(not(any(shuttle, loom)))]
const _: () = assert!(size_of::<Near>() == 32 && size_of::<Wide>() == 64);

const NEAR_TAKEN: u32 = 16;
const NEAR_DISPLACED: u32 = 26;
const NEAR_MOST: u32 = u32::MAX >> NEAR_DISPLACED;

impl Bucket for Near {
    const WAYS: usize = 10;
    // With 24, one entry in fourteen is displaced after churn, with 22 one in twenty-one.
    const FILL_OF_FOUR: usize = 22;
    type Name = Short;

    #[inline(always)]
    fn fits(&self, hash: u32) -> u32 {
        let words = || {
            let tags = self.tags.load(Ordering::Acquire);
            let more = self.more.load(Ordering::Acquire);
            ([tags, more.into()], more >> NEAR_TAKEN)
        };
        // SAFETY: it is half a line, and begins one.
        unsafe {
            lanes::fits::<_, { 8 + NEAR_TAKEN as usize / 8 }, { Self::WAYS }>(self, tag_of(hash), words)
        }
    }

    #[inline(always)]
    fn displaced(&self) -> u32 {
        self.more.load(Ordering::Acquire) >> NEAR_DISPLACED
    }

    #[inline(always)]
    unsafe fn name(&self, way: usize) -> Short {
        // SAFETY: the caller's promise.
        Short(unsafe { self.names.get_unchecked(way) }.load(Ordering::Acquire))
    }

    fn set_name(&self, way: usize, name: Short) {
        self.names[way].store(name.0, Ordering::Release);
    }

    #[inline]
    fn free(&self) -> u32 {
        !(self.more.load(Ordering::Relaxed) >> NEAR_TAKEN) & ((1 << Self::WAYS) - 1)
    }

    #[inline]
    fn put(&self, way: usize, hash: u32, name: Short) {
        self.set_name(way, name);
        let mut word = self.more.load(Ordering::Relaxed);
        if way < 8 {
            let tags = self.tags.load(Ordering::Relaxed);
            self.tags.store(with_tag(tags, way, hash), Ordering::Release);
        } else {
            let shift = (way - 8) * 8;
            word = word & !(0xff << shift) | u32::from(tag_of(hash)) << shift;
        }
        self.more.store(word | 1 << (NEAR_TAKEN + way as u32), Ordering::Release);
    }

    #[inline]
    fn clear(&self, way: usize) {
        let word = self.more.load(Ordering::Relaxed);
        self.more.store(word & !(1 << (NEAR_TAKEN + way as u32)), Ordering::Release);
    }

    fn displace(&self, by: i32) {
        let known = self.more.load(Ordering::Relaxed);
        if known >> NEAR_DISPLACED != NEAR_MOST {
            self.more.store(known.wrapping_add_signed(by << NEAR_DISPLACED), Ordering::Release);
        }
    }
}

/// A word of eight tags, one of which is that of a hash now.
#[inline]
fn with_tag(word: u64, way: usize, hash: u32) -> u64 {
    let shift = way * 8;
    word & !(0xff << shift) | u64::from(tag_of(hash)) << shift
}

/// A tag from bits that choose no bucket.
#[inline]
fn tag_of(hash: u32) -> u8 {
    let [low, ..] = hash.to_le_bytes();
    low
}
