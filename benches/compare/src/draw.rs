//! Keys, drawn before any clock starts.
//!
//! (1) Every contender walks the same sequence. (2) Seeds are fixed, one a thread. (3) Sequences lie in one piece, so
//! that walking them costs one prefetched line a key, not a pointer chase.

use std::fmt::Write as _;

/// Bytes of a text key.
pub const TEXT: usize = 24;

/// A small generator (SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014).
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.next()) * bound as u128) >> 64) as usize
    }

    /// In `0.0..1.0`.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// A permutation of the 64-bit numbers: the key of an index, so that keys are not consecutive.
pub const fn mix(index: u64) -> u64 {
    let x = (index ^ (index >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// How often which rank is asked for.
pub enum Draw {
    Uniform(usize),
    /// The sums of the ranks' probabilities.
    Zipf(Vec<f64>),
}

impl Draw {
    /// Rank `r` (from 1) with a probability proportional to `r^-exponent`.
    pub fn zipf(ranks: usize, exponent: f64) -> Self {
        let mut sum = 0.0;
        let sums = (1..=ranks).map(|rank| {
            sum += (rank as f64).powf(-exponent);
            sum
        });
        Self::Zipf(sums.collect())
    }

    /// A rank from 0.
    pub fn next(&self, rng: &mut Rng) -> usize {
        match self {
            Self::Uniform(ranks) => rng.below(*ranks),
            Self::Zipf(sums) => {
                let total = sums.last().copied().unwrap_or(0.0);
                let point = rng.unit() * total;
                sums.partition_point(|sum| *sum <= point).min(sums.len() - 1)
            }
        }
    }
}

/// Borrowed keys in an order.
pub trait Sequence<Q: ?Sized>: Send + Sync {
    fn of(indices: impl Iterator<Item = u64>) -> Self;
    fn len(&self) -> usize;
    fn at(&self, place: usize) -> &Q;
}

impl Sequence<u64> for Vec<u64> {
    fn of(indices: impl Iterator<Item = u64>) -> Self {
        indices.map(mix).collect()
    }

    fn len(&self) -> usize {
        Vec::len(self)
    }

    fn at(&self, place: usize) -> &u64 {
        &self[place]
    }
}

/// Texts of [`TEXT`] bytes, one after the other.
pub struct Texts(String);

impl Sequence<str> for Texts {
    fn of(indices: impl Iterator<Item = u64>) -> Self {
        let mut texts = String::new();
        for index in indices {
            let _ = write!(texts, "key:{:020}", mix(index));
        }
        Self(texts)
    }

    fn len(&self) -> usize {
        self.0.len() / TEXT
    }

    fn at(&self, place: usize) -> &str {
        &self.0[place * TEXT..(place + 1) * TEXT]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zipf_gives_the_first_rank_its_share_and_stays_in_range() {
        let (draw, mut rng) = (Draw::zipf(1_000, 0.99), Rng::new(7));
        let mut counts = vec![0_u32; 1_000];
        (0..100_000).for_each(|_| counts[draw.next(&mut rng)] += 1);
        let share: f64 = 1.0 / (1..=1_000).map(|rank| f64::from(rank).powf(-0.99)).sum::<f64>();
        let measured = f64::from(counts[0]) / 100_000.0;
        assert!((measured - share).abs() < 0.01, "{measured} against {share}");
        assert!(counts[0] > counts[9] && counts[9] > counts[99], "seed 7");
    }

    #[test]
    fn texts_are_as_long_as_said_and_differ() {
        let texts = Texts::of(0..3);
        assert_eq!((texts.len(), texts.at(2).len()), (3, TEXT));
        assert_ne!(texts.at(0), texts.at(1));
    }
}
