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

/// Takes out all keys but these, waits for readers, and has memory given back; answers how many numbers are left.
fn leave_only(arena: &Plain, keys: std::ops::Range<u64>, stays: impl Fn(u64) -> bool) -> usize {
    for key in keys.filter(|key| !stays(*key)) {
        let hash = spread(key);
        let slot = arena.find(&pin(), hash, 1, &key).map(|entry| entry.slot());
        assert!(arena.lock().retire(slot.expect("it is there"), hash));
    }
    let began = std::time::Instant::now();
    while arena.has_waiting() {
        assert!(began.elapsed() < std::time::Duration::from_secs(20), "slots stay");
        crate::epoch::advance();
        while arena.lock().reclaim(64, &mut Vec::new()) == 64 {}
    }
    arena.lock().give_back()
}

fn spread(key: u64) -> u32 {
    (key as u32).wrapping_mul(0x9e37_79b1)
}

#[test]
fn memory_of_many_goes_when_few_are_left_and_comes_back() {
    for expected in [0, 1_000, 100_000] {
        let arena = Plain::new(expected, ());
        let mut added = 0..0;
        for wave in 1..4 {
            added = added.end..added.end + 20_000 * wave;
            added.clone().for_each(|key| _ = add(&arena, spread(key), key).expect("there is memory"));
            assert!(added.clone().all(|key| value(&arena, spread(key), key) == Some(key)), "wave {wave}");
            let left = arena.lock().give_back();
            let end = arena.lock().writer.state.fresh_end;
            assert_eq!(left, end as usize, "all are used");
            let numbers = leave_only(&arena, added.clone(), |key| key < 10);
            assert!(numbers <= 1_024, "{numbers} numbers for ten entries, {expected} expected");
            assert!((0..10).all(|key| value(&arena, spread(key), key) == Some(key)), "who stays is found");
            let [chunks, free] = {
                let state = &arena.lock().writer.state;
                [state.chunks.len(), state.free.len()]
            };
            assert!(chunks <= numbers.div_ceil(CHUNK) && free <= numbers, "{chunks}, {free}");
            // SAFETY: the lock was held a moment ago, and nobody else has the arena.
            assert!(unsafe { arena.reader.table() }.size().buckets < 64);
        }
        assert!(added.end > 100_000);
    }
}

#[test]
fn memory_stays_below_who_came_last() {
    let arena = Plain::new(0, ());
    (0..20_000).for_each(|key| _ = add(&arena, spread(key), key).expect("there is memory"));
    let stays = |key| key == 3 || key == 19_999;
    assert!(leave_only(&arena, 0..20_000, stays) > 19_999, "its number is the highest");
    assert!([3, 19_999].into_iter().all(|key| value(&arena, spread(key), key) == Some(key)));
    assert!(leave_only(&arena, 19_999..20_000, |_| false) <= 1_024);
    assert_eq!(value(&arena, spread(3), 3), Some(3));
}

#[test]
fn memory_of_a_slot_that_waits_for_readers_stays() {
    let arena = Plain::new(0, ());
    (0..20_000).for_each(|key| _ = add(&arena, spread(key), key).expect("there is memory"));
    leave_only(&arena, 0..20_000, |key| key == 3 || key == 19_999);
    let pin = pin();
    let held = arena.find(&pin, spread(19_999), 1, &19_999).expect("it is there");
    assert!(arena.lock().retire(held.slot(), spread(19_999)));
    assert!(arena.lock().give_back() > 19_999, "somebody may read it");
    assert_eq!(held.value(), 19_999);
}

/// A shard is found by one shift and one mask where it takes a power of two of bytes.
#[test]
fn shard_takes_a_power_of_two_of_bytes() {
    type Shard<K, V> = super::Arena<K, V, crate::engine::shard::Books<K, V>>;
    assert_eq!([size_of::<Shard<u64, u64>>(), size_of::<Shard<String, String>>()], [1024; 2]);
}

/// Puts another value in the place of a key's, in another slot.
fn replace(arena: &Plain, key: u64, value: u64) {
    let mut locked = arena.lock();
    let slot = locked.find(spread(key), 1, &key).expect("it is there").slot();
    let payload = || Some((key, value));
    locked.replace(slot, header(spread(key)), Moment::NEVER, payload, drop).expect("there is memory");
}

#[test]
fn slots_beyond_short_names_are_found_whether_they_come_by_an_insert_or_by_an_overwrite() {
    let is_near = |arena: &Plain| {
        let _locked = arena.lock();
        // SAFETY: the lock is held.
        unsafe { arena.reader.table() }.size().is_near
    };
    let last = 1 << 16;
    for overwrites in [true, false] {
        let arena = Plain::new(0, ());
        assert!(!is_near(&arena), "a small table has long names");
        (0..last).for_each(|key| _ = add(&arena, spread(key), key).expect("there is memory"));
        assert!(is_near(&arena), "all slots have short names");
        if overwrites {
            replace(&arena, 7, 77);
        } else {
            add(&arena, spread(last), last).expect("there is memory");
        }
        assert!(!is_near(&arena), "one has none");
        let expected = |key| if overwrites && key == 7 { 77 } else { key };
        let there = if overwrites { 0..last } else { 0..last + 1 };
        assert!(there.clone().all(|key| value(&arena, spread(key), key) == Some(expected(key))));
        leave_only(&arena, there, |key| key < 3_000);
        (last + 1..last + 20_000).for_each(|key| _ = add(&arena, spread(key), key).expect("there is memory"));
        let there = (0..3_000).chain(last + 1..last + 20_000);
        assert!(there.clone().all(|key| value(&arena, spread(key), key) == Some(expected(key))));
    }
}
