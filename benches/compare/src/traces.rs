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

/// Requests of a synthetic trace.
const REQUESTS: usize = 300_000;

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
    let (wide, narrow) = (Draw::zipf(50_000, 0.9), Draw::zipf(5_000, 0.8));
    let mut newest = 0_u64;
    vec![
        pattern("zipf", 91, |_, rng| wide.next(rng) as u64),
        // The hot keys move on, ten times.
        pattern("moving", 92, |at, rng| (at / 30_000 * 1_500 + narrow.next(rng)) as u64),
        // Every 10,000 requests a scan of 3,000 new keys.
        pattern("scanned", 93, |at, rng| match at % 10_000 {
            ..3_000 => (1 << 40) + at as u64,
            _ => wide.next(rng) as u64,
        }),
        // Half of the requests walk around 4,000 keys.
        pattern("looping", 94, |at, rng| match rng.below(2) {
            0 => (1 << 40) + (at / 2 % 4_000) as u64,
            _ => rng.below(20_000) as u64,
        }),
        // A third is new; the rest was new lately, the later the likelier.
        pattern("recent", 95, |_, rng| {
            newest += u64::from(rng.below(3) == 0);
            newest.saturating_sub((rng.unit().powi(4) * 20_000.0) as u64)
        }),
    ]
}

fn pattern(name: &'static str, seed: u64, mut next: impl FnMut(usize, &mut Rng) -> u64) -> Trace {
    let mut rng = Rng::new(seed);
    let keys = (0..REQUESTS).map(|at| mix(next(at, &mut rng))).collect();
    Trace { name, keys, sizes: [500, 2_500, 10_000] }
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
