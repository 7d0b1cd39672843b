//! Made-up traces, each of which some policy does badly on.

use super::trace::Trace;

const REQUESTS: usize = 300_000;
const KEYS: u64 = 20_000;
const SIZES: [usize; 6] = [64, 128, 256, 512, 1_000, 2_000];
/// Where keys begin that are not part of the Zipf distribution.
const BEYOND: u64 = 1 << 32;

pub(crate) fn all() -> Vec<Trace> {
    vec![
        Trace::new("zipf-0.9", zipf_shifting(usize::MAX), &SIZES),
        Trace::new("zipf-shifting", zipf_shifting(20_000), &SIZES),
        Trace::new("zipf-with-scans", with_scans(), &SIZES),
        Trace::new("loop-of-1100", (0..1_100).cycle().take(REQUESTS).collect(), &SIZES),
        Trace::new("recency", recency(), &SIZES),
    ]
}

/// SplitMix64 (Steele, Lea, Flood, OOPSLA 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Ranks by Zipf's law with exponent 0.9, out of a table of cumulated weights.
struct Zipf {
    cumulated: Vec<f64>,
    random: Random,
}

impl Zipf {
    fn new(seed: u64) -> Self {
        let mut total = 0.0;
        let weight = |rank: u64| {
            total += (rank as f64).powf(-0.9);
            total
        };
        Self { cumulated: (1..=KEYS).map(weight).collect(), random: Random(seed) }
    }

    fn draw(&mut self) -> u64 {
        let total = self.cumulated.last().copied().unwrap_or_default();
        let at = self.random.unit() * total;
        self.cumulated.partition_point(|sum| *sum < at) as u64
    }
}

/// Zipf whose favourites become others after so many requests.
fn zipf_shifting(after: usize) -> Vec<u64> {
    let mut zipf = Zipf::new(1);
    (0..REQUESTS).map(|at| (zipf.draw() + (at / after) as u64 * 7_000) % KEYS).collect()
}

/// Zipf, and every 2,000 requests a run of 1,000 keys that are never asked for again.
fn with_scans() -> Vec<u64> {
    let mut zipf = Zipf::new(2);
    (0..REQUESTS).map(|at| if at % 3_000 < 2_000 { zipf.draw() } else { BEYOND + at as u64 }).collect()
}

/// Half of the requests name a new key, half one of the 400 latest: what was hit long ago is worth nothing.
fn recency() -> Vec<u64> {
    let mut random = Random(3);
    let mut newest = 400;
    let key = |_| {
        if random.next().is_multiple_of(2) {
            newest += 1;
            return newest;
        }
        newest - random.next() % 400
    };
    (0..REQUESTS).map(key).collect()
}
