//! How often keys were seen lately, of more keys than a cache holds: small buckets of fingerprints with counts.
//!
//! (1) A bucket holds 8 lanes, the one written last in front; a lane is 12 bits of fingerprint and a count to 15.
//! (2) A key that is not in its bucket takes the lane with the lowest count, of equals the oldest. (3) After a period
//! of increments all counts are halved, a few buckets at each increment, and half of the period counts as passed.
//! (4) Two keys with one fingerprint in one bucket share a count; so do, now and then, any two.
//! Cost: one bucket of 16 bytes read and written per call, all lanes at once in one register, no branch but whether the key
//! is known; 6 bytes per entry above 512 entries.
//! A simplification of the counting filters of TinyLFU (Einziger, Friedman, Manes, ACM ToS 13(4), 2017): fingerprints
//! instead of several hashed counters, so that one line is read instead of four.

use super::duel::Counts;
use super::ghost::Mixed;
use crate::prefetch::prefetch_at;

const LANES: usize = 8;
/// The count of a lane, which is the highest count, too.
const TOP: u16 = 15;
/// Increments between two halvings, the first time, as a multiple of the lanes there are.
const PERIOD: u32 = 5;
/// Buckets halved at each increment while a halving lasts: one line of memory.
const SLICE: usize = 4;

/// Keys that were seen, the one written last in front.
type Bucket = [u16; LANES];

/// By lane, front first: 8 to 1.
const PLACES: [i16; LANES] = [8, 7, 6, 5, 4, 3, 2, 1];

/// Counts of keys by their hash.
#[derive(Debug)]
pub(super) struct History {
    buckets: Box<[Bucket]>,
    increments: u32,
    /// The next bucket to halve; behind the last one if no halving is going on.
    hand: usize,
    /// Increments at which there is something to halve.
    due: u32,
    /// [`PLACES`]. Read from memory, so that the compiler treats all lanes alike, in one register.
    places: [i16; LANES],
}

impl History {
    /// Room for a number of keys, rounded up to full buckets.
    pub(super) fn new(keys: usize) -> Self {
        let buckets = keys.div_ceil(LANES).max(1);
        let due = PERIOD * (LANES * buckets) as u32;
        Self { buckets: vec![[0; LANES]; buckets].into(), increments: 0, hand: buckets, due, places: PLACES }
    }

    /// Bytes it uses beside itself.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.buckets)
    }

    /// Counts a key as seen some times more; whether [`Self::halve`] is to be called.
    #[allow(clippy::needless_range_loop, reason = "three arrays, lane by lane")]
    #[inline(always)]
    pub(super) fn add(&mut self, key: Mixed, by: u8) -> bool {
        let (at, print) = self.place(key);
        if let Some(bucket) = self.buckets.get_mut(at) {
            // The least number belongs to the key's own lane, else to the rarest, of equals the one furthest back; its lower
            // bits tell the place.
            let mut least = i16::MAX;
            for lane in 0..LANES {
                let rank = if is_of(bucket[lane], print) { TOP } else { ((bucket[lane] & TOP) + 1) << 4 };
                least = least.min(rank.cast_signed() ^ self.places[lane]);
            }
            let top = TOP.cast_signed();
            let (place, count) = if least <= top {
                let place = top - least;
                (place, bucket[(8 - place).cast_unsigned() as usize % LANES] & TOP)
            } else {
                (least & top, 0)
            };
            let [a, b, c, d, e, f, g, _] = *bucket;
            let moved = [print | TOP.min(count + u16::from(by)), a, b, c, d, e, f, g];
            for lane in 0..LANES {
                bucket[lane] = if self.places[lane] >= place { moved[lane] } else { bucket[lane] };
            }
        }
        self.increments += u32::from(by);
        self.is_due()
    }

    /// Asks for the line of a key ahead of its use.
    #[inline(always)]
    pub(super) fn prefetch(&self, key: Mixed) {
        prefetch_at(&self.buckets, key.among(self.buckets.len()));
    }

    /// Whether there is something to halve.
    #[inline]
    pub(super) fn is_due(&self) -> bool {
        self.increments >= self.due
    }

    /// Begins a halving, or goes on with it.
    #[inline(never)]
    pub(super) fn halve(&mut self) {
        let period = PERIOD * (LANES * self.buckets.len()) as u32;
        if self.increments >= period {
            self.increments /= 2;
            self.hand = 0;
        }
        let rest = self.buckets.get_mut(self.hand..).unwrap_or_default();
        for bucket in rest.iter_mut().take(SLICE) {
            *bucket = bucket.map(|lane| lane & !TOP | (lane & TOP) >> 1);
        }
        self.hand = (self.hand + SLICE).min(self.buckets.len());
        self.due = if self.hand < self.buckets.len() { 0 } else { period };
    }

    /// The bucket of a key, and its fingerprint in the place it has in a lane.
    #[inline]
    fn place(&self, key: Mixed) -> (usize, u16) {
        (key.among(self.buckets.len()), (key.0 >> 12) as u16 & !TOP)
    }
}

impl Counts for History {
    #[inline(always)]
    fn count(&self, key: Mixed) -> u8 {
        let (at, print) = self.place(key);
        let Some(bucket) = self.buckets.get(at) else { return 0 };
        let counts = bucket.iter().map(|lane| if is_of(*lane, print) { lane & TOP } else { 0 });
        // No more than one is above 0: a fingerprint stands in a bucket once, but for that of lanes never written.
        counts.fold(0, |all, count| all | count) as u8
    }

    #[inline(never)]
    fn bump(&mut self, key: Mixed, by: u8) {
        if self.add(key, by) {
            self.halve();
        }
    }
}

/// Whether a lane has this fingerprint.
#[inline(always)]
fn is_of(lane: u16, print: u16) -> bool {
    lane ^ print <= TOP
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
                let expected: Vec<u16> =
                    list.iter().map(|(print, count)| print | u16::from(*count)).collect();
                assert_eq!(bucket.to_vec(), expected);
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
