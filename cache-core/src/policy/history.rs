//! How often keys were seen lately, of more keys than a cache holds: small buckets of fingerprints with counts.
//!
//! (1) A bucket holds 8 lanes, the one written last in front; a lane is 12 bits of fingerprint and a count to 15.
//! (2) A key that is not in its bucket takes the lane with the lowest count, of equals the oldest. (3) After a period
//! of increments all counts are halved, a few buckets at each increment, and half of the period counts as passed.
//! (4) Two keys with one fingerprint in one bucket share a count; so do, now and then, any two.
//! Cost: one bucket of 16 bytes read and written per call; 6 bytes per entry above 512 entries.
//! A simplification of the counting filters of TinyLFU (Einziger, Friedman, Manes, ACM ToS 13(4), 2017): fingerprints
//! instead of several hashed counters, so that one line is read instead of four.

use super::duel::Counts;
use super::ghost::Mixed;

const LANES: usize = 8;
/// The lowest bit of each lane.
const ONES: u128 = 0x0001_0001_0001_0001_0001_0001_0001_0001;
/// The counts, and the fingerprints.
const COUNT: u128 = ONES * 0x000F;
const PRINT: u128 = ONES * 0xFFF0;
/// All bits but the highest of each lane, in half a bucket.
const LOW: u64 = ONES as u64 * 0x7FFF;
const TOP: u16 = 15;
/// Increments between two halvings, the first time, as a multiple of the lanes there are.
const PERIOD: u32 = 5;
/// Buckets halved at each increment while a halving lasts: one line of memory.
const SLICE: usize = 4;

/// Counts of keys by their hash.
#[derive(Debug)]
pub(super) struct History {
    buckets: Box<[u128]>,
    increments: u32,
    /// The next bucket to halve; behind the last one if no halving is going on.
    hand: usize,
    /// Increments at which there is something to halve.
    due: u32,
}

impl History {
    /// Room for a number of keys, rounded up to full buckets.
    pub(super) fn new(keys: usize) -> Self {
        let buckets = keys.div_ceil(LANES).max(1);
        let due = PERIOD * (LANES * buckets) as u32;
        Self { buckets: vec![0; buckets].into(), increments: 0, hand: buckets, due }
    }

    /// Bytes it uses beside itself.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.buckets)
    }

    /// Counts increments, and halves counts when it is time.
    #[inline]
    fn age(&mut self, by: u8) {
        self.increments += u32::from(by);
        if self.increments >= self.due {
            self.halve();
        }
    }

    /// Begins a halving, or goes on with it.
    #[cold]
    #[inline(never)]
    fn halve(&mut self) {
        let period = PERIOD * (LANES * self.buckets.len()) as u32;
        if self.increments >= period {
            self.increments /= 2;
            self.hand = 0;
        }
        let rest = self.buckets.get_mut(self.hand..).unwrap_or_default();
        for bucket in rest.iter_mut().take(SLICE) {
            *bucket = *bucket & PRINT | *bucket >> 1 & (COUNT >> 1 & COUNT);
        }
        self.hand = (self.hand + SLICE).min(self.buckets.len());
        self.due = if self.hand < self.buckets.len() { 0 } else { period };
    }

    /// The bucket of a key, and its fingerprint in the place it has in a lane.
    #[inline]
    fn place(&self, key: Mixed) -> (usize, u16) {
        (key.among(self.buckets.len()), (key.0 >> 12) as u16 & PRINT as u16)
    }
}

impl Counts for History {
    #[inline]
    fn count(&self, key: Mixed) -> u8 {
        let (at, print) = self.place(key);
        let bucket = self.buckets.get(at).copied().unwrap_or_default();
        match find(bucket, print) {
            0 => 0,
            lane => count_in(bucket, lane) as u8,
        }
    }

    #[inline]
    fn bump(&mut self, key: Mixed, by: u8) {
        let (at, print) = self.place(key);
        if let Some(bucket) = self.buckets.get_mut(at) {
            let (count, moved) = match find(*bucket, print) {
                0 => (0, up_to_rarest(*bucket)),
                lane => (count_in(*bucket, lane), lane ^ (lane - 1)),
            };
            let entry = print | TOP.min(count + u16::from(by));
            // The lanes in front of this one move back by one, over it.
            *bucket ^= (*bucket ^ (*bucket << 16 | u128::from(entry))) & moved;
        }
        self.age(by);
    }
}

/// The highest bit of each lane that has a fingerprint; 0 if none has.
#[inline]
fn find(bucket: u128, print: u16) -> u128 {
    let half = u64::from(print) * ONES as u64;
    let within = |bucket: u64| {
        let differs = bucket ^ half;
        // A lane whose lower bits differ carries into its highest bit; no lane carries into the next.
        let carried = (differs & (PRINT as u64 & LOW)) + LOW;
        !(carried | differs) & !LOW
    };
    u128::from(within((bucket >> 64) as u64)) << 64 | u128::from(within(bucket as u64))
}

/// The count of the first of the lanes that are marked; there is one.
#[inline]
fn count_in(bucket: u128, lanes: u128) -> u16 {
    let (half, mark) = match lanes as u64 {
        0 => ((bucket >> 64) as u64, (lanes >> 64) as u64),
        mark => (bucket as u64, mark),
    };
    (half >> (mark.trailing_zeros() & 48)) as u16 & TOP
}

/// All bits from the front up to the lane with the lowest count, of equals the one furthest back.
#[inline]
fn up_to_rarest(bucket: u128) -> u128 {
    // The highest bit of a lane is set if its count is above 0, then 1, and so on; no lane carries into the next.
    let (mut front, mut back) =
        ((bucket as u64 & COUNT as u64) + LOW, ((bucket >> 64) as u64 & COUNT as u64) + LOW);
    for _ in 0..TOP {
        if front & back & !LOW != !LOW {
            break;
        }
        (front, back) = (front - ONES as u64, back - ONES as u64);
    }
    match !back & !LOW {
        0 => u128::from(u64::MAX >> (!front & !LOW).leading_zeros()),
        rare => u128::from(u64::MAX >> rare.leading_zeros()) << 64 | u128::from(u64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::super::ghost::mix;
    use super::*;

    /// Invariants (1) to (3) without tricks: a list of fingerprint and count, per bucket.
    #[test]
    fn history_agrees_with_plain_lists() {
        let mut history = History::new(64);
        let mut plain = vec![vec![(0u16, 0u8); LANES]; 8];
        let mut state = 7u64;
        // Short enough not to reach a halving.
        for _ in 0..100 {
            state = state.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(1);
            let (hash, by) = ((state >> 40) as u32 % 150, 1 + (state >> 60) as u8 % 3);
            let (at, print) = history.place(mix(hash));
            let list = &mut plain[at];
            let known = list.iter().position(|(held, _)| *held == print);
            assert_eq!(history.count(mix(hash)), known.map_or(0, |lane| list[lane].1));
            let least = list.iter().map(|(_, count)| *count).min().unwrap();
            let rarest = list.iter().rposition(|(_, count)| *count == least).unwrap();
            let (_, count) = list.remove(known.unwrap_or(rarest));
            let count = if known.is_some() { count } else { 0 };
            list.insert(0, (print, (count + by).min(15)));
            history.bump(mix(hash), by);
            for (bucket, list) in history.buckets.iter().zip(&plain) {
                let lanes: Vec<u16> = (0..LANES).map(|lane| (bucket >> (16 * lane)) as u16).collect();
                let expected: Vec<u16> =
                    list.iter().map(|(print, count)| print | u16::from(*count)).collect();
                assert_eq!(lanes, expected);
            }
        }
    }

    #[test]
    fn all_counts_are_halved_once_a_period() {
        let mut history = History::new(800);
        for key in 0..100 {
            history.bump(mix(key), 12);
        }
        let before: Vec<u8> = (0..100).map(|key| history.count(mix(key))).collect();
        assert!(before.iter().filter(|count| **count == 12).count() > 90);
        // 1,200 increments so far, of 4,000; no key of the hundred is among those that follow.
        for _ in 0..2_799 {
            history.bump(mix(1 << 20), 1);
        }
        assert_eq!(history.count(mix(3)), before[3]);
        for _ in 0..26 {
            history.bump(mix(1 << 20), 1);
        }
        assert_eq!(
            (0..100).map(|key| history.count(mix(key))).collect::<Vec<_>>(),
            before.iter().map(|c| c / 2).collect::<Vec<_>>()
        );
        assert_eq!(history.increments, 2_025);
    }
}
