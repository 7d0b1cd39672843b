//! What is asked for, in which order: five traces, each for three sizes of cache.
//!
//! (1) Real: five files `NAME.u64.xz` in a directory that the user gives, keys as u64, little-endian. They are not part
//! of this project. (2) Synthetic, without a directory: five patterns, 300,000 requests each, drawn from fixed seeds.

use std::io::BufReader;
use std::path::Path;

use crate::draw::{Draw, Rng, mix};

/// A trace, and the sizes of cache it is run through.
pub struct Trace {
    pub name: &'static str,
    pub keys: Vec<u64>,
    pub sizes: [usize; 3],
}

const REAL: [(&str, [usize; 3]); 5] = [
    ("arc-oltp", [1_000, 5_000, 15_000]),
    ("corda-vault", [1_024, 8_192, 32_768]),
    ("cache2k-orm-busy", [500, 2_500, 10_000]),
    ("cache2k-web12", [300, 1_200, 4_000]),
    ("lirs-multi3", [400, 1_000, 3_000]),
];

/// Reads the five files.
///
/// # Errors
/// A sentence that names the file that cannot be read.
pub fn real(directory: &Path) -> Result<Vec<Trace>, String> {
    let read = |(name, sizes): (&'static str, [usize; 3])| {
        let path = directory.join(format!("{name}.u64.xz"));
        let fault = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let file = std::fs::File::open(&path).map_err(|error| fault(&error))?;
        let mut bytes = Vec::new();
        lzma_rs::xz_decompress(&mut BufReader::new(file), &mut bytes)
            .map_err(|error| fault(&format!("{error:?}")))?;
        let (words, rest) = bytes.as_chunks::<8>();
        if words.is_empty() || !rest.is_empty() {
            return Err(fault(&"not whole numbers of eight bytes"));
        }
        Ok(Trace { name, keys: words.iter().map(|word| u64::from_le_bytes(*word)).collect(), sizes })
    };
    REAL.into_iter().map(read).collect()
}

/// Five patterns that caches meet.
pub fn synthetic() -> Vec<Trace> {
    const REQUESTS: usize = 300_000;
    let sizes = [500, 2_500, 10_000];
    let zipf = Draw::zipf(50_000, 0.9);
    let narrow = Draw::zipf(5_000, 0.8);
    let make = |name, seed, mut next: Box<dyn FnMut(usize, &mut Rng) -> u64>| {
        let mut rng = Rng::new(seed);
        Trace { name, keys: (0..REQUESTS).map(|at| mix(next(at, &mut rng))).collect(), sizes }
    };
    let (zipf, narrow) = (&zipf, &narrow);
    // Each from a family of keys of its own.
    let steady = (0..REQUESTS).scan(Rng::new(91), |rng, _| Some(mix(zipf.next(rng) as u64))).collect();
    let moving = |at: usize, rng: &mut Rng| (1 << 40) + (at / 30_000 * 1_500 + narrow.next(rng)) as u64;
    let moving = (0..REQUESTS).scan(Rng::new(92), |rng, at| Some(mix(moving(at, rng)))).collect();
    // A scan of 3,000 new keys every 10,000 requests.
    let scanned = |at: usize, rng: &mut Rng| {
        if at % 10_000 < 3_000 { (2 << 40) + at as u64 } else { (3 << 40) + zipf.next(rng) as u64 }
    };
    let scanned = (0..REQUESTS).scan(Rng::new(93), |rng, at| Some(mix(scanned(at, rng)))).collect();
    vec![
        Trace { name: "zipf", keys: steady, sizes },
        Trace { name: "moving", keys: moving, sizes },
        Trace { name: "scanned", keys: scanned, sizes },
        make("looping", 94, Box::new(|at, rng| {
            // Half of the requests walk around 4,000 keys.
            if rng.below(2) == 0 { (4 << 40) + (at / 2 % 4_000) as u64 } else { (5 << 40) + rng.below(20_000) as u64 }
        })),
        make("recent", 95, Box::new({
            let mut newest = 0_u64;
            move |_, rng| {
                // A third is new; the rest was new lately, the later the likelier.
                if rng.below(3) == 0 {
                    newest += 1;
                }
                let back = (rng.unit().powi(4) * 20_000.0) as u64;
                (6 << 40) + newest.saturating_sub(back)
            }
        })),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn synthetic_traces_are_the_same_each_time_and_differ_from_one_another() {
        let (once, again) = (synthetic(), synthetic());
        for (one, other) in once.iter().zip(&again) {
            assert_eq!(one.keys, other.keys, "{}", one.name);
        }
        assert!(once.windows(2).all(|two| two[0].keys != two[1].keys));
    }
}
