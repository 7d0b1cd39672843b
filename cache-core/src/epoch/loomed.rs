//! The room's promise under every schedule, and every value a load may see, that loom finds: what a reader can have found is
//! not touched while it reads. Run: `RUSTFLAGS="--cfg loom" cargo test -p strata-cache-core --release --lib loom_` with a target
//! directory of its own. What was broken to see these fail stands in `docs/proof.md`.

#![allow(unsafe_code, reason = "the cells that loom watches are reached through pointers")]

use std::sync::Arc;

use loom::model::Builder;

use super::domain::Domain;
use crate::sync::{AtomicUsize, Ordering, UnsafeCell, thread};

const IN_REACH: usize = 0;
const OUT_OF_REACH: usize = 1;

/// A thing behind a shared pointer.
struct World {
    domain: &'static Domain,
    pointer: AtomicUsize,
    thing: UnsafeCell<u32>,
}

// SAFETY: the cell is what the tests are about; loom fails a test in which two accesses of it race.
unsafe impl Sync for World {}

impl World {
    fn new() -> Arc<Self> {
        let domain = Box::leak(Box::new(Domain::new()));
        Arc::new(Self { domain, pointer: AtomicUsize::new(IN_REACH), thing: UnsafeCell::new(7) })
    }

    /// Reads the thing under a pin, if it is in reach, as often as told.
    fn read(&self, times: usize) {
        let record = self.domain.records().take();
        for _ in 0..times {
            let pin = record.pin(self.domain.epoch());
            if self.pointer.load(Ordering::Acquire) == IN_REACH {
                // SAFETY: the pointer lives for the call; that nobody writes is what is tested.
                let found = self.thing.with(|thing| unsafe { *thing });
                assert_eq!(found, 7, "a thing that was used again");
            }
            drop(pin);
        }
        assert!(record.leave());
    }

    fn unlink(&self) {
        self.pointer.store(OUT_OF_REACH, Ordering::Release);
    }

    fn use_again(&self) {
        // SAFETY: the pointer lives for the call; that nobody reads is what is tested.
        self.thing.with_mut(|thing| unsafe { *thing = 8 });
    }

    fn unlink_and_use_again(&self, raises: usize) {
        self.unlink();
        let stamp = self.domain.stamp();
        for _ in 0..raises {
            self.domain.advance();
            if self.domain.is_past(stamp) {
                self.use_again();
                return;
            }
        }
    }
}

fn check(test: impl Fn() + Send + Sync + 'static) {
    let mut model = Builder::new();
    // Three changes of thread against its will find all that was broken; the model is to end in seconds.
    model.preemption_bound = Some(3);
    model.check(test);
}

#[test]
fn loom_thing_is_not_used_again_while_a_reader_may_hold_it() {
    check(|| {
        let world = World::new();
        let reader = thread::spawn({
            let world = world.clone();
            move || world.read(1)
        });
        world.unlink_and_use_again(2);
        reader.join().expect("the reader ends");
    });
}

#[test]
fn loom_second_pin_does_not_hide_the_first_ones_reads() {
    check(|| {
        let world = World::new();
        let reader = thread::spawn({
            let world = world.clone();
            move || world.read(2)
        });
        world.unlink_and_use_again(2);
        reader.join().expect("the reader ends");
    });
}

#[test]
fn loom_raise_by_a_third_thread_is_as_good() {
    check(|| {
        let world = World::new();
        let others = [
            thread::spawn({
                let world = world.clone();
                move || world.read(1)
            }),
            thread::spawn({
                let world = world.clone();
                move || {
                    world.domain.advance();
                    world.domain.advance();
                }
            }),
        ];
        world.unlink_and_use_again(1);
        for other in others {
            other.join().expect("it ends");
        }
    });
}

#[test]
fn loom_thing_is_used_again_after_one_raise_when_nobody_reads() {
    check(|| {
        let world = World::new();
        let reader = thread::spawn({
            let world = world.clone();
            move || world.read(1)
        });
        reader.join().expect("the reader ends");
        world.unlink();
        let stamp = world.domain.stamp();
        assert!(!world.domain.is_past(stamp), "nobody has looked yet");
        world.domain.advance();
        assert!(world.domain.is_past(stamp));
        world.use_again();
    });
}
