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

const LANES: usize = 8;
/// The lowest bit of each lane.
const ONES: u128 = 0x0001_0001_0001_0001_0001_0001_0001_0001;
/// The counts, and the fingerprints.
const COUNT: u128 = ONES * 0x000F;
const PRINT: u128 = ONES * 0xFFF0;
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
}

impl History {
    /// Room for a number of keys, rounded up to full buckets.
    pub(super) fn new(keys: usize) -> Self {
        let buckets = keys.div_ceil(LANES).max(1);
        Self { buckets: vec![0; buckets].into(), increments: 0, hand: buckets }
    }

    /// Bytes it uses beside itself.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.buckets)
    }

    fn age(&mut self, by: u8) {
        self.increments += u32::from(by);
        if self.increments >= PERIOD * (LANES * self.buckets.len()) as u32 {
            self.increments /= 2;
            self.hand = 0;
        }
        if let Some(slice) = self.buckets.get_mut(self.hand..) {
            for bucket in slice.iter_mut().take(SLICE) {
                *bucket = *bucket & PRINT | *bucket >> 1 & (COUNT >> 1 & COUNT);
            }
            self.hand = (self.hand + SLICE).min(self.buckets.len());
        }
    }

    /// The bucket of a hash, and its fingerprint in the place it has in a lane.
    fn place(&self, hash: u32) -> (usize, u16) {
        let mixed = super::ghost::mix(hash);
        let at = ((mixed >> 32) * self.buckets.len() as u64) >> 32;
        (at as usize, (mixed >> 12) as u16 & PRINT as u16)
    }
}

impl Counts for History {
    fn count(&self, hash: u32) -> u8 {
        let (at, print) = self.place(hash);
        let bucket = self.buckets.get(at).copied().unwrap_or_default();
        find(bucket, print).map_or(0, |lane| (bucket >> (16 * lane)) as u8 & TOP as u8)
    }

    fn bump(&mut self, hash: u32, by: u8) {
        let (at, print) = self.place(hash);
        if let Some(bucket) = self.buckets.get_mut(at) {
            let (lane, count) = match find(*bucket, print) {
                Some(lane) => (lane, (*bucket >> (16 * lane)) as u16 & TOP),
                None => (rarest(*bucket), 0),
            };
            let entry = print | TOP.min(count + u16::from(by));
            // The lanes in front of this one move back by one, over it.
            let moved = u128::MAX >> (112 - 16 * lane);
            *bucket = *bucket & !moved | (*bucket << 16 | u128::from(entry)) & moved;
        }
        self.age(by);
    }
}

/// The lane of a fingerprint.
fn find(bucket: u128, print: u16) -> Option<u32> {
    let half = u64::from(print) * ONES as u64;
    let differs = (bucket ^ (u128::from(half) << 64 | u128::from(half))) & PRINT;
    // The lowest lane without a bit; higher ones may be told wrongly, but only if there is a lower one.
    let zero = differs.wrapping_sub(ONES) & !differs & (ONES << 15);
    (zero != 0).then(|| zero.trailing_zeros() / 16)
}

/// The lane with the lowest count, of equals the one furthest back.
fn rarest(bucket: u128) -> u32 {
    // The highest bit of a lane is set if its count is above 0, then 1, and so on; no lane carries into the next.
    let mut above = (bucket & COUNT) + ONES * 0x7FFF;
    for _ in 0..=TOP {
        let rare = !above & (ONES << 15);
        if rare != 0 {
            return rare.ilog2() / 16;
        }
        above -= ONES;
    }
    LANES as u32 - 1
}

#[cfg(test)]
mod tests {
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
            let (at, print) = history.place(hash);
            let list = &mut plain[at];
            let known = list.iter().position(|(held, _)| *held == print);
            assert_eq!(history.count(hash), known.map_or(0, |lane| list[lane].1));
            let least = list.iter().map(|(_, count)| *count).min().unwrap();
            let rarest = list.iter().rposition(|(_, count)| *count == least).unwrap();
            let (_, count) = list.remove(known.unwrap_or(rarest));
            let count = if known.is_some() { count } else { 0 };
            list.insert(0, (print, (count + by).min(15)));
            history.bump(hash, by);
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
            history.bump(key, 12);
        }
        let before: Vec<u8> = (0..100).map(|key| history.count(key)).collect();
        assert!(before.iter().filter(|count| **count == 12).count() > 90);
        // 1,200 increments so far, of 4,000; no key of the hundred is among those that follow.
        for _ in 0..2_799 {
            history.bump(1 << 20, 1);
        }
        assert_eq!(history.count(3), before[3]);
        for _ in 0..26 {
            history.bump(1 << 20, 1);
        }
        assert_eq!(
            (0..100).map(|key| history.count(key)).collect::<Vec<_>>(),
            before.iter().map(|c| c / 2).collect::<Vec<_>>()
        );
        assert_eq!(history.increments, 2_025);
    }
}
