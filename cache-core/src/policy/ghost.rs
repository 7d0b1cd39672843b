//! Whom a cache let go lately: fingerprints of victims, and how long ago.
//!
//! (1) A bucket holds 4 victims; a new one replaces the one that left first. (2) Ages count victims of one kind, remembered or not.
//! (3) A fingerprint has 15 bits: fewer and chance hits drown the real ones. (4) An age beyond a few times the size
//! of the table may be told too low, but by then the victim was replaced, all but surely.
//! Cost: one bucket of 16 bytes per call, all ways at once in one register; 4 bytes per victim remembered.
//! Ghost lists: Megiddo, Modha, "ARC", FAST 2003; as a table of fingerprints: Yang et al., "FIFO Queues are All You
//! Need for Cache Eviction", SOSP 2023, section 4.3.

use crate::prefetch::prefetch_at;

const WAYS: usize = 4;

/// Spreads the bits of a hash, some of which may be the same for all keys of a shard.
#[inline]
pub(super) const fn mix(hash: u32) -> Mixed {
    let mixed = (hash as u64 ^ 0x9E37_79B9_0000_0000).wrapping_mul(0xD6E8_FEB8_6659_FD93);
    Mixed((mixed ^ mixed >> 32).wrapping_mul(0xD6E8_FEB8_6659_FD93))
}

/// A hash whose bits are spread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mixed(pub(super) u64);

impl Mixed {
    /// One of so many places, chosen by the upper bits.
    #[inline]
    pub(super) const fn among(self, places: usize) -> usize {
        (((self.0 >> 32) * places as u64) >> 32) as usize
    }
}

/// Which of two ways a victim went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// It left before it was let into the main list.
    Rejected = 0,
    /// It left the main list.
    Evicted = 1,
}

/// Victims of two kinds. A cell is 15 bits of fingerprint, the kind, and 16 bits of the time it left; 0 if free.
#[derive(Debug)]
pub(super) struct Ghost {
    buckets: Box<[[u32; WAYS]]>,
    /// Victims so far, by kind.
    left: [u32; 2],
    /// Times are written in units of 2^this.
    unit: u32,
    /// 3 to 0. Read from memory, so that the compiler treats all ways alike, in one register.
    places: [i32; WAYS],
}

impl Ghost {
    /// Room for a number of victims; ages are told up to a limit at least.
    pub(super) fn new(victims: usize, ages: usize) -> Self {
        let buckets = victims.div_ceil(WAYS).max(1);
        let unit = (usize::BITS - (victims.max(ages) * 16).leading_zeros()).saturating_sub(16);
        Self { buckets: vec![[0; WAYS]; buckets].into(), left: [0; 2], unit, places: [3, 2, 1, 0] }
    }

    /// Bytes it uses beside itself.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.buckets)
    }

    /// Remembers a victim.
    #[allow(clippy::needless_range_loop, reason = "two arrays, way by way")]
    #[inline(always)]
    pub(super) fn add(&mut self, key: Mixed, kind: Kind) {
        let times = self.left.map(|left| left >> self.unit);
        let left = &mut self.left[kind as usize];
        *left = left.wrapping_add(1);
        let at = key.among(self.buckets.len());
        let Some(bucket) = self.buckets.get_mut(at) else { return };
        let differ = times[0] ^ times[1];
        let mut oldest = i32::MIN;
        for way in 0..WAYS {
            let cell = bucket[way];
            let is_second = ((cell << 15).cast_signed() >> 31).cast_unsigned();
            let age = (times[0] ^ is_second & differ).wrapping_sub(cell) << 16 >> 14;
            // Below the age stands the place, so that the greatest number tells it. Who is free goes before all.
            let age = if cell == 0 { 1 << 20 } else { age };
            oldest = oldest.max(age.cast_signed() | self.places[way]);
        }
        let way = WAYS - 1 - (oldest & 3).cast_unsigned() as usize;
        bucket[way] = print(key) << 17 | (kind as u32) << 16 | times[kind as usize] & 0xFFFF;
    }

    /// A victim of a kind is not remembered.
    #[inline(always)]
    pub(super) fn pass(&mut self, kind: Kind) {
        let left = &mut self.left[kind as usize];
        *left = left.wrapping_add(1);
    }

    /// Asks for the line of a key ahead of its use.
    #[inline(always)]
    pub(super) fn prefetch(&self, key: Mixed) {
        prefetch_at(&self.buckets, key.among(self.buckets.len()));
    }

    /// Whether a victim is remembered. Reads all four at once: most keys that come in were not here lately.
    #[inline(always)]
    pub(super) fn holds(&self, key: Mixed) -> bool {
        let bucket = self.buckets.get(key.among(self.buckets.len()));
        bucket.is_some_and(|bucket| bucket.iter().fold(false, |any, cell| any | (cell >> 17 == print(key))))
    }

    /// Forgets a victim, and tells its kind and how many of that kind left since.
    pub(super) fn take(&mut self, key: Mixed) -> Option<(Kind, usize)> {
        let (at, print) = (key.among(self.buckets.len()), print(key));
        let cell = self.buckets.get_mut(at)?.iter_mut().find(|cell| **cell >> 17 == print)?;
        let found = std::mem::take(cell);
        let kind = if found >> 16 & 1 == 0 { Kind::Rejected } else { Kind::Evicted };
        let age = self.time(kind).wrapping_sub(found as u16);
        Some((kind, usize::from(age) << self.unit))
    }

    #[inline]
    fn time(&self, kind: Kind) -> u16 {
        (self.left[kind as usize] >> self.unit) as u16
    }
}

/// A fingerprint, which is never 0.
#[inline]
fn print(key: Mixed) -> u32 {
    (key.0 as u32 & 0x7FFF).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn victim_is_remembered_once_with_its_kind_and_age() {
        let mut ghost = Ghost::new(400, 400);
        ghost.add(mix(7), Kind::Rejected);
        for hash in 100..110 {
            ghost.add(mix(hash), Kind::Evicted);
            ghost.add(mix(hash + 100), Kind::Rejected);
        }
        assert_eq!(ghost.take(mix(7)), Some((Kind::Rejected, 11)));
        assert_eq!(ghost.take(mix(7)), None);
        assert_eq!(ghost.take(mix(109)), Some((Kind::Evicted, 1)));
        assert_eq!(ghost.take(mix(8)), None);
    }

    #[test]
    fn latest_victims_stay_and_strangers_are_not_found() {
        let mut ghost = Ghost::new(4_000, 4_000);
        for hash in 0..100_000 {
            ghost.add(mix(hash), Kind::Evicted);
        }
        let found = (98_000..100_000).filter(|hash| ghost.take(mix(*hash)).is_some()).count();
        assert!(found > 1_900, "{found} of the last 2,000");
        let strangers = (200_000..300_000).filter(|hash| ghost.take(mix(*hash)).is_some()).count();
        assert!(strangers < 40, "{strangers} of 100,000");
    }

    #[test]
    fn ages_of_large_tables_are_told_in_steps() {
        let mut ghost = Ghost::new(100_000, 500_000);
        ghost.add(mix(1), Kind::Evicted);
        for hash in 2..20_000 {
            ghost.add(mix(hash), Kind::Evicted);
        }
        let (_, age) = ghost.take(mix(1)).unwrap();
        assert!((19_500..=20_500).contains(&age), "{age}");
    }

    /// Who goes, without tricks: a free way, else the one whose kind has seen most leave since, of equals the first.
    #[test]
    fn newcomer_takes_the_way_that_plain_ages_name() {
        let (mut ghost, mut state) = (Ghost::new(8, 8), 3u64);
        for _ in 0..3_000 {
            state = state.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
            let key = mix((state >> 40) as u32 % 60);
            if (state >> 62) == 0 {
                ghost.take(key);
                continue;
            }
            let kind = if (state >> 60) % 4 == 0 { Kind::Evicted } else { Kind::Rejected };
            let at = key.among(2);
            let age = |cell: u32| match cell {
                0 => u32::MAX,
                _ => u32::from((ghost.left[(cell >> 16 & 1) as usize] as u16).wrapping_sub(cell as u16)),
            };
            let ages = ghost.buckets[at].map(age);
            let oldest = ages.iter().position(|age| Some(age) == ages.iter().max()).unwrap();
            let mut expected = ghost.buckets[at];
            expected[oldest] = print(key) << 17 | (kind as u32) << 16 | ghost.left[kind as usize];
            ghost.add(key, kind);
            assert_eq!(ghost.buckets[at], expected);
            assert_eq!(ghost.holds(key), ghost.buckets[at].iter().any(|cell| cell >> 17 == print(key)));
        }
    }
}
