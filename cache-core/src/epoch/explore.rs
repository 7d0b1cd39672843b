//! The room's promise in schedules that shuttle chooses, through the functions of the process: threads come and go, pins
//! nest, stamps serve for several unlinks, garbage is collected by everybody.

use std::sync::Arc;

use super::{advance, collect, defer, is_past, pin, stamp};
use crate::sync::{AtomicBool, AtomicUsize, Ordering::SeqCst, thread};

const RUNS: usize = 400;
const SLOTS: usize = 3;

fn explore(test: impl Fn() + Send + Sync + Clone + 'static) {
    shuttle::check_random(test.clone(), RUNS);
    shuttle::check_pct(test, RUNS, 3);
}

/// Slots behind one pointer each; a slot is `freed` when its writer believes that nobody can hold it.
#[derive(Default)]
struct World {
    in_reach: [AtomicBool; SLOTS],
    freed: [AtomicBool; SLOTS],
    dropped: AtomicUsize,
}

impl World {
    fn new() -> Arc<Self> {
        let world = Self::default();
        world.in_reach.iter().for_each(|slot| slot.store(true, SeqCst));
        Arc::new(world)
    }

    fn read(&self, slot: usize) {
        let _pin = pin();
        if self.in_reach[slot].load(SeqCst) {
            let nested = pin();
            assert!(!self.freed[slot].load(SeqCst), "slot {slot} was used again under a pin");
            drop(nested);
            assert!(!self.freed[slot].load(SeqCst), "slot {slot} was used again after a nested pin");
        }
    }

    /// Takes every slot out of reach, then tries to use each again.
    fn write(&self) {
        self.in_reach.iter().for_each(|slot| slot.store(false, SeqCst));
        let stamp = stamp();
        for freed in &self.freed {
            advance();
            if is_past(stamp) {
                freed.store(true, SeqCst);
            }
        }
    }
}

#[test]
fn shuttle_slots_are_not_used_again_under_a_pin() {
    explore(|| {
        let world = World::new();
        let readers: Vec<_> = (0..SLOTS)
            .map(|slot| {
                let world = world.clone();
                thread::spawn(move || {
                    world.read(slot);
                    world.read((slot + 1) % SLOTS);
                })
            })
            .collect();
        world.write();
        for reader in readers {
            reader.join().expect("no reader fails");
        }
        let last = stamp();
        advance();
        assert!(is_past(last), "all readers have left");
    });
}

/// Garbage that says which slot it was.
struct Slot(Arc<World>, usize);

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.freed[self.1].store(true, SeqCst);
        self.0.dropped.fetch_add(1, SeqCst);
        // It may come back here, and goes no deeper.
        collect();
    }
}

#[test]
fn shuttle_garbage_is_dropped_once_and_not_under_a_pin() {
    explore(|| {
        let world = World::new();
        let threads: Vec<_> = (0..SLOTS)
            .map(|slot| {
                let world = world.clone();
                thread::spawn(move || {
                    world.read((slot + 1) % SLOTS);
                    world.in_reach[slot].store(false, SeqCst);
                    defer(Slot(world.clone(), slot));
                    collect();
                })
            })
            .collect();
        for thread in threads {
            thread.join().expect("no thread fails");
        }
        collect();
        assert_eq!(world.dropped.load(SeqCst), SLOTS);
    });
}
