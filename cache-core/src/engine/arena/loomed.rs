//! Readers against the writer of one shard, under every schedule and every value a load may see that loom finds: who finds
//! a key may clone its value, whatever becomes of the slot and of the table meanwhile. Run by `cargo xtask model`. What was
//! broken to see these fail stands in `docs/proof.md`.
//!
//! loom watches the cells of the slots, a cell in each value that its drop writes to, and one in each table.

use std::sync::Arc;

use loom::model::Builder;

use super::*;
use crate::clock::{Deadline, Moment};
use crate::epoch::{advance, collect, glimpse, pin};
use crate::sync::{UnsafeCell, thread};

/// All keys have it, so that they meet in one bucket and under one tag.
const HASH: u32 = 5;
const SCOPE: u32 = 1;

/// A value of a key and a version, which is gone once it was dropped.
#[derive(Debug)]
struct Thing {
    content: UnsafeCell<(u32, u32)>,
}

impl Thing {
    fn new(key: u32, version: u32) -> Self {
        Self { content: UnsafeCell::new((key, version)) }
    }

    fn read(&self) -> (u32, u32) {
        // SAFETY: that nobody writes is what is tested.
        self.content.with(|content| unsafe { *content })
    }
}

impl Clone for Thing {
    fn clone(&self) -> Self {
        let (key, version) = self.read();
        Self::new(key, version)
    }
}

impl Drop for Thing {
    fn drop(&mut self) {
        // SAFETY: that nobody reads is what is tested.
        self.content.with_mut(|content| unsafe { *content = (u32::MAX, u32::MAX) });
    }
}

// SAFETY: the cell is what the tests are about; loom fails a test in which two accesses of it race.
unsafe impl Sync for Thing {}

type Shard = Arena<u32, Thing, ()>;

fn header() -> Header {
    Header::new(SCOPE, HASH, Deadline::NEVER, 0)
}

fn shard(keys: &[u32], is_near: bool) -> Arc<Shard> {
    let shard = Shard::new(0, ());
    shard.reader.exchange(Table::new(Size { is_near, ..Size::of(0, 0) }));
    keys.iter().for_each(|&key| drop(insert(&shard, key)));
    Arc::new(shard)
}

fn insert(shard: &Shard, key: u32) -> Option<(u32, Thing)> {
    let mut old = None;
    let payload = || Some((key, Thing::new(key, 1)));
    shard.lock().insert(header(), Moment::NEVER, payload, |left| old = Some(left)).expect("there is memory");
    old
}

/// What a caller of `get` would get.
fn get(shard: &Shard, key: u32) -> Option<u32> {
    let pin = pin();
    let entry = shard.find(&pin, HASH, SCOPE, &key)?;
    let (of, version) = entry.value().read();
    assert_eq!(of, key, "a foreign value");
    Some(version)
}

/// What a caller of `get` would get at one look.
fn glance(shard: &Shard, key: u32) -> Option<u32> {
    drop(pin());
    let glimpse = glimpse().expect("the thread has a record, and no pin");
    let Glance::Found(entry) = shard.glance(&glimpse, HASH, u64::from(SCOPE) << 32, &key) else {
        return None;
    };
    let (of, version) = entry.value().read();
    assert_eq!(of, key, "a foreign value");
    Some(version)
}

fn retire(shard: &Shard, key: u32) {
    let mut shard = shard.lock();
    let slot = shard.find(HASH, SCOPE, &key).expect("it is there").slot();
    assert!(shard.retire(slot, HASH));
}

/// Puts the second version of 1 in the place of the first.
fn replace(shard: &Shard) {
    let mut shard = shard.lock();
    let slot = shard.find(HASH, SCOPE, &1).expect("it is there").slot();
    let payload = || Some((1, Thing::new(1, 2)));
    shard.replace(slot, header(), Moment::NEVER, payload, drop).expect("there is memory");
}

/// Puts 2 in the place of 1, as a newcomer in a full cache.
fn exchange(shard: &Shard) {
    let mut shard = shard.lock();
    let leaving = shard.find(HASH, SCOPE, &1).expect("it is there").slot();
    let payload = (2, Thing::new(2, 1));
    let taken = shard.exchange((leaving, HASH), header(), Moment::NEVER, payload, drop);
    assert!(taken.is_ok(), "there is memory");
}

fn reclaim(shard: &Shard) -> usize {
    advance();
    let mut gone = Vec::new();
    shard.lock().reclaim(usize::MAX, &mut gone);
    gone.len()
}

/// Runs a writer and readers at once. The writer has a thread of its own: from the first one loom explores little.
fn play(keys: &'static [u32], readers: &'static [fn(&Shard)], write: fn(&Shard)) {
    play_without(keys, &[], readers, write);
}

/// As [`play`], but some of the keys have gone before.
fn play_without(
    keys: &'static [u32],
    gone: &'static [u32],
    readers: &'static [fn(&Shard)],
    write: fn(&Shard),
) {
    for is_near in [true, false] {
        play_in(is_near, keys, gone, readers, write);
    }
}

/// The same, in a table of one kind.
fn play_in(
    is_near: bool,
    keys: &'static [u32],
    gone: &'static [u32],
    readers: &'static [fn(&Shard)],
    write: fn(&Shard),
) {
    let mut model = Builder::new();
    // Three changes of thread against its will find all that was broken; the models are to end in seconds.
    model.preemption_bound = Some(3);
    model.max_branches = 20_000;
    model.check(move || {
        let shard = shard(keys, is_near);
        gone.iter().for_each(|&key| retire(&shard, key));
        assert_eq!(reclaim(&shard), gone.len());
        // They begin together: loom does not go back to before a thread was there.
        let gate = Arc::new(Mutex::new(()));
        let closed = gate.lock();
        let begin = |part: fn(&Shard)| {
            let (shard, gate) = (Arc::clone(&shard), Arc::clone(&gate));
            thread::spawn(move || {
                drop(gate.lock());
                part(&shard);
            })
        };
        let writer = begin(write);
        let readers: Vec<_> = readers.iter().map(|&read| begin(read)).collect();
        drop(closed);
        writer.join().expect("the writer ends");
        readers.into_iter().for_each(|reader| reader.join().expect("the reader ends"));
    });
}

#[test]
fn loom_entry_that_is_found_is_complete() {
    play(&[], &[|shard| assert!(matches!(get(shard, 1), None | Some(1)))], |shard| {
        insert(shard, 1);
        assert_eq!(get(shard, 1), Some(1));
    });
}

#[test]
fn loom_entry_that_is_found_at_one_look_is_complete() {
    play(&[1], &[|shard| assert!(matches!(glance(shard, 1), None | Some(1)))], |shard| {
        retire(shard, 1);
        advance();
        drop(insert(shard, 2));
    });
}

#[test]
fn loom_table_that_was_outgrown_lives_until_who_took_one_look_has_passed() {
    play(&[1], &[|shard| assert!(matches!(glance(shard, 1), Some(1)))], |shard| {
        let locked = shard.lock();
        shard.reader.grow(&locked.writer.state);
        drop(locked);
        collect();
    });
}

#[test]
fn loom_replaced_entry_is_found_old_or_new_and_never_missed() {
    play(&[1], &[|shard| assert!(matches!(get(shard, 1), Some(1 | 2)))], |shard| {
        replace(shard);
        reclaim(shard);
        assert_eq!(get(shard, 1), Some(2));
    });
}

#[test]
fn loom_retired_slot_is_used_again_for_another_key_only_when_readers_have_passed() {
    play(&[1], &[|shard| assert!(matches!(get(shard, 1), None | Some(1)))], |shard| {
        retire(shard, 1);
        advance();
        // The value that the slot held before, if readers had passed: dropped here.
        drop(insert(shard, 2));
        assert_eq!(get(shard, 2), Some(1));
    });
}

#[test]
fn loom_retired_slot_is_used_again_at_once_for_a_reader_of_the_newcomer() {
    play(&[1], &[|shard| assert!(matches!(get(shard, 2), None | Some(1)))], |shard| {
        retire(shard, 1);
        advance();
        drop(insert(shard, 2));
    });
}

#[test]
fn loom_table_that_was_outgrown_lives_until_readers_have_passed() {
    play(&[1], &[|shard| assert!(matches!(get(shard, 1), None | Some(1)))], |shard| {
        let locked = shard.lock();
        shard.reader.grow(&locked.writer.state);
        drop(locked);
        assert_eq!(get(shard, 1), Some(1));
        collect();
        retire(shard, 1);
        reclaim(shard);
    });
}

#[test]
fn loom_way_that_is_used_again_shows_no_slot_from_before() {
    // The slots of 1 and 2 are empty, and the newcomer has the one of 2 in the way of 1.
    play_without(&[1, 2, 3], &[1, 2], &[|shard| assert_eq!(get(shard, 1), None)], |shard| {
        drop(insert(shard, 4))
    });
}

/// Somebody else raises the epoch at any moment: a stamp from before the unlink would be past too early.
fn raise(_: &Shard) {
    advance();
}

#[test]
fn loom_retired_entry_is_stamped_after_the_table_forgot_it() {
    play(&[1, 2], &[|shard| assert!(matches!(get(shard, 1), None | Some(1))), raise], |shard| {
        retire(shard, 1);
        reclaim(shard);
    });
}

#[test]
fn loom_replaced_entry_is_stamped_after_the_table_forgot_it() {
    play(&[1], &[|shard| assert!(matches!(get(shard, 1), Some(1 | 2))), raise], |shard| {
        replace(shard);
        reclaim(shard);
    });
}

#[test]
fn loom_memory_that_is_given_back_is_known_to_nobody() {
    play(&[1], &[|shard| assert!(matches!(get(shard, 1), None | Some(1)))], |shard| {
        retire(shard, 1);
        if reclaim(shard) == 1 {
            assert_eq!(shard.lock().view().span(), 0, "it was given back");
        }
        collect();
        drop(insert(shard, 1));
    });
}

#[test]
fn loom_value_is_handed_out_after_one_raise_when_nobody_reads() {
    play(&[1, 2], &[|shard| assert!(matches!(get(shard, 2), Some(1)))], |_| ());
    let mut model = Builder::new();
    model.preemption_bound = Some(1);
    model.check(|| {
        let shard = shard(&[1], true);
        assert_eq!(get(&shard, 1), Some(1));
        retire(&shard, 1);
        assert_eq!(reclaim(&shard), 1);
    });
}

#[test]
fn loom_entry_that_goes_in_an_exchange_is_found_whole_or_not_at_all() {
    play(&[1], &[|shard| assert!(matches!(glance(shard, 1), None | Some(1)))], |shard| {
        exchange(shard);
        reclaim(shard);
        assert_eq!(get(shard, 2), Some(1));
    });
}

#[test]
fn loom_entry_that_comes_in_an_exchange_is_found_whole_or_not_at_all() {
    play(&[1], &[|shard| assert!(matches!(glance(shard, 2), None | Some(1)))], |shard| {
        exchange(shard);
        reclaim(shard);
    });
}

#[test]
fn loom_exchanged_entry_is_stamped_after_the_table_forgot_it() {
    play(&[1], &[|shard| assert!(matches!(get(shard, 1), None | Some(1))), raise], |shard| {
        exchange(shard);
        reclaim(shard);
    });
}

#[test]
fn loom_entry_beside_one_that_is_exchanged_is_found_at_one_look() {
    play(&[3, 1], &[|shard| assert!(matches!(glance(shard, 3), Some(1)))], |shard| {
        exchange(shard);
        drop(insert(shard, 4));
    });
}

/// What [`Locked::write_over`] and a hit do to one node, whose value no explorer sees: with a word that it does.
#[test]
fn loom_deadline_that_is_written_over_comes_after_its_value_and_is_lost_to_no_hit() {
    use crate::sync::AtomicU64;

    let moment = |nanos| Deadline::pack(Moment::from_nanos(nanos));
    loom::model(move || {
        let node = Arc::new((Header::new(SCOPE, HASH, moment(1), 0), AtomicU64::new(1)));
        let there = Arc::clone(&node);
        let hit = thread::spawn(move || {
            let (header, value) = &*there;
            let state = header.state();
            header.note_use(state, 3, 7);
            if state.deadline() == moment(2) {
                assert_eq!(value.load(Ordering::Acquire), 2, "an old value for the new time");
            }
        });
        let (header, value) = &*node;
        value.store(2, Ordering::Release);
        header.overwrite(moment(2), [0, 0]);
        hit.join().expect("no assertion fails");
        assert_eq!(header.deadline(), moment(2), "a hit brought the old time back");
    });
}
