//! What the policies are for: hit ratios on made-up sequences, each of which some policy fails on.

use super::super::{Policy, Simulation};

/// Hits per hundred requests.
fn ratio(policy: &Policy, capacity: usize, keys: impl IntoIterator<Item = u64>) -> f64 {
    let mut simulation = Simulation::new(policy, capacity);
    keys.into_iter().for_each(|key| {
        simulation.access(key);
    });
    100.0 * simulation.hit_ratio()
}

/// A sequence of repeatable random numbers.
fn random(seed: u64) -> impl Iterator<Item = u64> {
    let mut state = seed;
    std::iter::repeat_with(move || {
        state = state.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
        (state ^ state >> 22) >> (22 + (state >> 61))
    })
}

/// A loop a tenth longer than the cache.
fn looped(capacity: u64) -> impl Iterator<Item = u64> {
    (0..capacity + capacity / 10).cycle().take(60 * capacity as usize)
}

/// Half new keys, half one of the latest that a cache four fifths full could hold.
fn recent(capacity: u64) -> impl Iterator<Item = u64> {
    let (span, mut newest) = (capacity * 4 / 5, capacity);
    random(5).take(100_000).map(move |number| {
        if number.is_multiple_of(2) {
            newest += 1;
            return newest;
        }
        newest - number / 2 % span
    })
}

/// Mostly a skewed choice of 4,000 keys, with a scan of new keys now and then.
fn scanned() -> impl Iterator<Item = u64> {
    let (mut numbers, mut new) = (random(9), 1 << 40);
    (0..60_000).filter_map(move |at| {
        let number = numbers.next()?;
        if at % 3_000 < 2_000 {
            let rank = (number % 4_000) * (number / 4_000 % 4_000) / 4_000;
            return Some(rank * (number / 16_000_000 % 100) / 100);
        }
        new += 1;
        Some(new)
    })
}

#[test]
fn loop_longer_than_the_cache_gets_hits_from_the_adaptive_policy() {
    for capacity in [64, 256, 1_000] {
        let (ours, lru) =
            [Policy::Adaptive, Policy::Lru].map(|p| ratio(&p, capacity, looped(capacity as u64))).into();
        assert!(ours > 55.0 && lru == 0.0, "{capacity}: {ours:.1}, LRU {lru:.1}");
    }
}

#[test]
fn use_of_what_is_new_gets_hits_from_the_adaptive_policy() {
    for capacity in [64, 256] {
        let [ours, lru, fixed] = [Policy::Adaptive, Policy::Lru, Policy::WTinyLfu]
            .map(|policy| ratio(&policy, capacity, recent(capacity as u64)));
        assert!(ours > lru - 5.0, "{capacity}: {ours:.1}, LRU {lru:.1}");
        assert!(fixed < lru - 15.0, "{capacity}: a window that does not adapt is no match: {fixed:.1}");
    }
}

#[test]
fn scans_cost_the_adaptive_policy_little() {
    for capacity in [256, 1_000] {
        let [ours, lru] = [Policy::Adaptive, Policy::Lru].map(|policy| ratio(&policy, capacity, scanned()));
        assert!(ours > lru + 5.0, "{capacity}: {ours:.1}, LRU {lru:.1}");
    }
}

#[test]
fn policies_that_resist_scans_beat_fifo() {
    let fifo = ratio(&Policy::Fifo, 500, scanned());
    for policy in [Policy::Lfu, Policy::Sieve, Policy::S3Fifo, Policy::WTinyLfu, Policy::Adaptive] {
        let ours = ratio(&policy, 500, scanned());
        assert!(ours > fifo + 4.0, "{policy}: {ours:.1}, FIFO {fifo:.1}");
    }
}

#[test]
fn every_policy_holds_a_set_that_fits() {
    for policy in Policy::BUILT_IN {
        assert_eq!(ratio(&policy, 100, (0..100).cycle().take(1_000)), 90.0, "{policy}");
    }
}

#[test]
fn shards_cost_few_hits() {
    let mut whole = Simulation::new(&Policy::Adaptive, 8_192);
    let mut split = Simulation::sharded(&Policy::Adaptive, 8_192, 16);
    for key in random(3).take(100_000).map(|number| number % 60_000 * (number / 60_000 % 1_000) / 1_000) {
        whole.access(key);
        split.access(key);
    }
    assert_eq!(split.requests(), 100_000);
    let (whole, split) = (100.0 * whole.hit_ratio(), 100.0 * split.hit_ratio());
    assert!((whole - split).abs() < 1.5 && whole > 20.0, "{whole:.1} against {split:.1}");
}

#[test]
fn adaptive_counts_whom_it_held_before_it_first_evicted() {
    let mut simulation = Simulation::new(&Policy::Adaptive, 64);
    for key in (0..64).chain(1_000..1_100) {
        assert!(!simulation.access(key));
    }
    // Those who came first have been seen as often as those who passed by, and a tie goes to who is there.
    let kept = (0..64).filter(|&key| simulation.access(key)).count();
    assert!(kept >= 48, "{kept} of 64 are left");
}
