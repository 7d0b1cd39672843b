//! A shard by itself: what the table must name, and how many slots there may be.

use super::*;
use crate::clock::Deadline;
use crate::clock::Moment;
use crate::epoch::pin;
use crate::policy::SlotId;

type Plain = Arena<u64, u64, ()>;

fn header(hash: u32) -> Header {
    Header::new(1, hash, Deadline::NEVER, 0)
}

fn add(arena: &Plain, hash: u32, key: u64) -> Option<SlotId> {
    arena.lock().insert(header(hash), Moment::NEVER, || Some((key, key)), drop)
}

fn value(arena: &Plain, hash: u32, key: u64) -> Option<u64> {
    arena.find(&pin(), hash, 1, &key).map(|entry| entry.value())
}

#[test]
fn keys_of_one_hash_are_all_found_however_many() {
    for hash in [0, 7, u32::MAX] {
        for expected in [0, 40, 193] {
            let arena = Plain::new(expected, ());
            for key in 0..200 {
                add(&arena, hash, key).expect("there is memory");
                for known in 0..=key {
                    assert_eq!(
                        value(&arena, hash, known),
                        Some(known),
                        "{known} of {key}, expected {expected}"
                    );
                }
            }
        }
    }
}

#[test]
fn keys_of_few_hashes_among_many_are_all_found() {
    for crowded in [13, 24, 25, 30, 60] {
        let arena = Plain::new(0, ());
        for key in 0..2_000 {
            let hash =
                if key % 3 == 0 && key / 3 < crowded { 5 } else { (key as u32).wrapping_mul(0x9e37_79b1) };
            add(&arena, hash, key).expect("there is memory");
            assert_eq!(value(&arena, hash, key), Some(key), "just added, with {crowded} of one hash");
        }
    }
}

#[test]
fn shard_takes_in_far_more_than_was_expected() {
    for expected in [1, 193, 1_143, 5_000] {
        let arena = Plain::new(expected, ());
        for key in 0..40 * u64::from(expected) + 20_000 {
            let hash = (key as u32).wrapping_mul(0x9e37_79b1);
            assert!(add(&arena, hash, key).is_some(), "{key} of {expected} expected");
        }
    }
}
/// A shard is found by one shift and one mask where it takes a power of two of bytes.
#[test]
fn shard_takes_a_power_of_two_of_bytes() {
    type Shard<K, V> = super::Arena<K, V, crate::engine::shard::Books<K, V>>;
    assert_eq!([size_of::<Shard<u64, u64>>(), size_of::<Shard<String, String>>()], [1024; 2]);
}
