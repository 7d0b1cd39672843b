//! Which policy, and how many entries? Tries all policies on a trace of your keys.
//!
//! `cargo run --release --example simulator -- [FILE [SIZE ...]]`: a text with one key a line, or CSV with the key in the
//! first column. Without a file, a made-up trace: favourites, a nightly scan, and a change of favourites.
#![allow(clippy::print_stdout, reason = "a program talks to its user")]

use std::collections::HashSet;
use std::error::Error;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use strata_cache::policy::{Policy, Simulation};

/// A key as a number. Keys with the same hash would count as one, which is rare enough.
fn number(line: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    line.split([',', ';', '\t']).next().unwrap_or_default().trim().hash(&mut hasher);
    hasher.finish()
}

/// 120,000 requests for 5,000 products, the favourites first, and two reports that read them all.
fn made_up() -> Vec<u64> {
    let mut state = 42_u64;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    let mut keys = Vec::new();
    for season in 0..3 {
        keys.extend((0..40_000).map(|_| (random() * 5_000_f64.ln()).exp() as u64 + season * 1_000));
        keys.extend(0..5_000);
    }
    keys
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let keys: Vec<u64> = match arguments.next() {
        Some(path) => std::fs::read_to_string(path)?.lines().map(number).collect(),
        None => made_up(),
    };
    let mut sizes = arguments.map(|size| size.parse()).collect::<Result<Vec<usize>, _>>()?;
    let distinct = keys.iter().collect::<HashSet<_>>().len();
    if sizes.is_empty() {
        sizes = [64, 16, 4].map(|part| (distinct / part).max(1)).to_vec();
    }

    println!("{} requests for {distinct} keys; hits per hundred requests at {sizes:?} entries:", keys.len());
    let mut means = Vec::new();
    for policy in Policy::BUILT_IN {
        let hits = |size: &usize| {
            let mut simulation = Simulation::new(&policy, *size);
            keys.iter().for_each(|key| {
                simulation.access(*key);
            });
            100.0 * simulation.hit_ratio()
        };
        let ratios: Vec<f64> = sizes.iter().map(hits).collect();
        let row: String = ratios.iter().map(|ratio| format!("{ratio:8.2}")).collect();
        println!("{:>10} {row}", policy.name());
        means.push((ratios.iter().sum::<f64>() / sizes.len() as f64, policy));
    }

    // The default is listed first. Another has to be clearly better: the next trace will differ from this one.
    let (ours, _) = means[0].clone();
    let (best, policy) = means.into_iter().max_by(|a, b| a.0.total_cmp(&b.0)).ok_or("there are policies")?;
    if best > ours + 1.0 {
        println!("`{policy}` keeps {:.1} points more than the default, on this trace.", best - ours);
    } else {
        println!("The default, `adaptive`, is the best here or within a point of it.");
    }
    assert!(best >= ours && best <= 100.0);
    Ok(())
}
