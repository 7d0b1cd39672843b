use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

use super::domain::Domain;
use super::local::advance;
use super::{FullSlot, Pin, collect, defer, deferred, is_past, local, pin, stamp};

/// A domain that nobody else uses, so that what is past does not depend on other tests.
fn domain() -> &'static Domain {
    Box::leak(Box::new(Domain::new()))
}

#[test]
fn stamp_is_past_only_after_who_was_pinned_has_left() {
    let domain = domain();
    let record = domain.records().take();
    let outer = record.pin(domain.epoch());
    let stamp = domain.stamp();
    let inner = record.pin(domain.epoch());
    for _ in 0..3 {
        domain.advance();
        assert!(!domain.is_past(stamp), "a reader is pinned since before");
    }
    drop(outer);
    domain.advance();
    assert!(!domain.is_past(stamp), "a nested pin keeps the first one's epoch");
    drop(inner);
    assert!(!domain.is_past(stamp), "nobody has looked since");
    domain.advance();
    assert!(domain.is_past(stamp));
}

#[test]
fn reader_that_came_later_does_not_hold_a_stamp_back() {
    let domain = domain();
    let stamp = domain.stamp();
    domain.advance();
    let record = domain.records().take();
    let _late = record.pin(domain.epoch());
    domain.advance();
    assert!(domain.is_past(stamp));
}

#[test]
fn reader_that_shows_an_old_epoch_late_does_not_lower_the_safe_one() {
    let domain = domain();
    (0..5).for_each(|_| domain.advance());
    let safe = domain.safe();
    let long_ago = crate::sync::AtomicU64::new(super::record::word_of(1));
    let record = domain.records().take();
    let late = record.pin(&long_ago);
    domain.advance();
    assert_eq!(domain.safe(), safe);
    drop(late);
}

#[test]
fn glimpse_holds_a_stamp_back_until_it_ends() {
    let domain = domain();
    let record = domain.records().take();
    let glimpse = record.glimpse(domain.epoch()).expect("there is no pin");
    assert!(record.is_pinned() && record.is_in_a_glimpse());
    let stamp = domain.stamp();
    domain.advance();
    assert!(!domain.is_past(stamp));
    drop(glimpse);
    domain.advance();
    assert!(domain.is_past(stamp) && !record.is_pinned());
    let pin = record.pin(domain.epoch());
    assert!(record.glimpse(domain.epoch()).is_none(), "there is a pin");
    drop(pin);
}

#[test]
fn pin_that_outlives_the_glimpse_it_was_made_in_holds_a_stamp_back() {
    thread::spawn(|| {
        local::prepare();
        drop(pin());
        local::permit_glimpses(true);
        let glimpse = local::glimpse().expect("the thread has a record");
        let kept = pin();
        let nested = pin();
        drop(glimpse);
        let stamp = stamp();
        drop(nested);
        (0..3).for_each(|_| advance());
        assert!(!is_past(stamp), "a pin is left");
        drop(kept);
        // Other tests of this process pin, though not for long.
        while !is_past(stamp) {
            advance();
        }
    })
    .join()
    .expect("it ends");
}

#[test]
fn thread_glimpses_only_while_it_may_and_has_a_record_and_no_pin() {
    thread::spawn(|| {
        local::prepare();
        local::permit_glimpses(true);
        assert!(local::glimpse().is_none(), "it has no record");
        let pinned = pin();
        local::permit_glimpses(true);
        assert!(local::glimpse().is_none(), "it is pinned");
        drop(pinned);
        assert!(local::glimpse().is_some());
        local::permit_glimpses(false);
        assert!(local::glimpse().is_none(), "it may not");
        local::permit_glimpses(true);
        let glimpse = local::glimpse().expect("it may again");
        assert!(local::glimpse().is_none(), "it is in one");
        drop(glimpse);
    })
    .join()
    .expect("it ends");
}

#[test]
fn record_of_a_thread_that_ended_is_used_again() {
    let domain = domain();
    let first = domain.records().take();
    assert!(first.leave());
    assert!(std::ptr::eq(first, domain.records().take()));
    assert!(!std::ptr::eq(first, domain.records().take()), "it is taken");
    assert_eq!(domain.records().iter().count(), 2);
}

#[test]
fn threads_that_join_at_once_have_records_of_their_own() {
    let domain = domain();
    let taken = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                domain.records().take();
                taken.fetch_add(1, SeqCst);
            });
        }
    });
    assert_eq!(taken.load(SeqCst), 8);
    assert_eq!(domain.records().iter().count(), 8);
}

#[test]
fn pin_that_is_forgotten_holds_memory_back_for_good() {
    let domain = domain();
    let record = domain.records().take();
    std::mem::forget(record.pin(domain.epoch()));
    drop(record.pin(domain.epoch()));
    let stamp = domain.stamp();
    assert!(!record.leave(), "the record stays with who forgot the pin");
    assert!(!std::ptr::eq(record, domain.records().take()));
    domain.advance();
    domain.advance();
    assert!(!domain.is_past(stamp));
}

#[test]
fn panic_unpins() {
    let domain = domain();
    let record = domain.records().take();
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _pin = record.pin(domain.epoch());
        panic!("a user's clone");
    }));
    assert!(panicked.is_err());
    assert!(!record.is_pinned());
    assert_eq!(record.shown(), 0);
}

#[test]
fn pin_in_a_destructor_after_the_record_was_given_back_still_holds() {
    thread_local! {
        static LATE: Late = const { Late };
        static KEPT: RefCell<Option<Pin>> = const { RefCell::new(None) };
    }
    static SEEN: AtomicU64 = AtomicU64::new(0);
    static GIVEN_BACK: AtomicU64 = AtomicU64::new(0);
    struct Late;
    impl Drop for Late {
        fn drop(&mut self) {
            GIVEN_BACK.fetch_add(u64::from(local::mine().is_none()), SeqCst);
            for _ in 0..2 {
                let _pin = pin();
                let _nested = pin();
                let stamp = stamp();
                advance();
                let held = local::is_pinned() && !is_past(stamp);
                SEEN.fetch_add(u64::from(held), SeqCst);
            }
            SEEN.fetch_add(u64::from(!local::is_pinned()), SeqCst);
        }
    }
    let before = local::records();
    // Whichever of the destructors runs first, the room's own or these.
    for kept in [false, true] {
        for late_first in [false, true] {
            let run = move || {
                if late_first {
                    LATE.with(|_| ());
                }
                let first = pin();
                if kept {
                    KEPT.with(|cell| *cell.borrow_mut() = Some(first));
                }
                LATE.with(|_| ());
            };
            for _ in 0..50 {
                thread::spawn(run).join().expect("no destructor fails");
            }
        }
    }
    assert!(SEEN.load(SeqCst) >= 50 * (8 + 2), "the pins held, and were gone where none was kept");
    assert_eq!(GIVEN_BACK.load(SeqCst), 2 * 50, "who gave the record back does not use it again");
    assert!(local::records() - before < 40, "the records of threads that ended are used again");
}

/// Serialises the tests that use the line of the process.
static LINE: parking_lot::Mutex<()> = parking_lot::Mutex::new(());

/// Collects until something holds; other tests of this process may be pinned for a moment.
fn collect_until(done: impl Fn() -> bool) {
    let limit = std::time::Instant::now() + std::time::Duration::from_secs(20);
    while !done() {
        assert!(std::time::Instant::now() < limit, "garbage stays");
        collect();
        thread::yield_now();
    }
}

#[test]
fn garbage_is_dropped_outside_of_pins_and_never_inside_of_another_drop() {
    struct Chain {
        length: usize,
        dropped: Arc<AtomicUsize>,
    }
    thread_local! {
        static DEPTH: Cell<usize> = const { Cell::new(0) };
        /// Dropped by this thread. Those of other tests may do it, too.
        static HERE: Cell<usize> = const { Cell::new(0) };
    }
    impl Drop for Chain {
        fn drop(&mut self) {
            assert_eq!(DEPTH.replace(1), 0, "a drop inside of a drop");
            assert!(!local::is_pinned());
            self.dropped.fetch_add(1, SeqCst);
            HERE.set(HERE.get() + 1);
            if let Some(length) = self.length.checked_sub(1) {
                defer(Chain { length, dropped: self.dropped.clone() });
                collect();
            }
            DEPTH.set(0);
        }
    }
    let _alone = LINE.lock();
    let dropped = Arc::new(AtomicUsize::new(0));
    let pinned = pin();
    defer(Chain { length: 20, dropped: dropped.clone() });
    collect();
    advance();
    collect();
    assert_eq!(HERE.get(), 0, "the thread is pinned");
    drop(pinned);
    advance();
    let pinned = pin();
    collect();
    assert_eq!(HERE.get(), 0, "it is past, and the thread is pinned again");
    drop(pinned);
    collect_until(|| dropped.load(SeqCst) == 21);
}

#[test]
fn garbage_whose_drop_panics_keeps_nothing_else() {
    struct Panics;
    impl Drop for Panics {
        fn drop(&mut self) {
            panic!("a user's drop");
        }
    }
    struct Last(Arc<AtomicBool>);
    impl Drop for Last {
        fn drop(&mut self) {
            self.0.store(true, SeqCst);
        }
    }
    let _alone = LINE.lock();
    let gone = Arc::new(AtomicBool::new(false));
    defer(Panics);
    defer(Last(gone.clone()));
    collect_until(|| gone.load(SeqCst));
}

/// What a reader must never see in a thing that it found.
const POISON: u64 = 0xDEAD;
/// Things to a stress run: a fifth of a second.
const THINGS: u64 = if cfg!(miri) { 40 } else { 4_000 };

/// Readers follow a pointer that a writer replaces; what was replaced is poisoned and used again when its stamp is past.
/// The things live in an arena that is never freed, so that a fault here is a wrong number and not a crash.
#[test]
fn readers_never_see_what_was_used_again() {
    struct Thing(AtomicU64);
    let arena: &'static [Thing] = Box::leak((0..64).map(|_| Thing(AtomicU64::new(POISON))).collect());
    let find = |thing: &Thing| std::ptr::from_ref(thing).cast_mut();
    arena[0].0.store(1, SeqCst);
    let pointer = AtomicPtr::new(find(&arena[0]));
    let done = AtomicBool::new(false);
    let read = AtomicU64::new(0);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                let mut last = 0;
                while !done.load(SeqCst) {
                    let _pin = pin();
                    let found = pointer.load(std::sync::atomic::Ordering::Acquire);
                    let thing =
                        arena.iter().find(|thing| std::ptr::eq(*thing, found)).expect("a thing of ours");
                    for _ in 0..4 {
                        let number = thing.0.load(std::sync::atomic::Ordering::Relaxed);
                        assert_ne!(number, POISON, "used again under a pin");
                        assert!(number >= last, "an older thing than before");
                        last = number;
                    }
                    read.fetch_add(1, SeqCst);
                }
            });
        }
        let mut free: Vec<&Thing> = arena[1..].iter().collect();
        let mut limbo = std::collections::VecDeque::new();
        let mut current = &arena[0];
        for number in 2..THINGS {
            while free.is_empty() {
                advance();
                while limbo.front().is_some_and(|&(_, stamp)| is_past(stamp)) {
                    let (thing, _): (&Thing, _) = limbo.pop_front().expect("there is a first");
                    thing.0.store(POISON, std::sync::atomic::Ordering::Relaxed);
                    free.push(thing);
                }
                thread::yield_now();
            }
            let next = free.pop().expect("one is free");
            next.0.store(number, std::sync::atomic::Ordering::Relaxed);
            pointer.store(find(next), std::sync::atomic::Ordering::Release);
            limbo.push_back((current, stamp()));
            current = next;
        }
        done.store(true, SeqCst);
    });
    assert!(read.load(SeqCst) > 0);
}

#[test]
fn full_slot_counts_what_was_put_there_and_not_what_it_rests_on() {
    let (rest, one) = (Arc::new(0), Arc::new(1));
    let mut slot = FullSlot::new(Arc::clone(&rest));
    assert_eq!((**slot.load(&pin()), Arc::strong_count(&rest)), (0, 2));
    assert_eq!(slot.swap(None), None);
    assert_eq!(slot.swap(Some(Arc::clone(&rest))), None, "nothing else is there");
    assert_eq!(slot.swap(Some(Arc::clone(&one))), None, "what it rests on is not handed out");
    assert_eq!((**slot.load(&pin()), Arc::strong_count(&rest), Arc::strong_count(&one)), (1, 2, 2));
    assert_eq!(slot.swap(Some(Arc::new(2))).as_ref(), Some(&one), "and waits for readers");
    assert_eq!((**slot.load(&pin()), slot.swap(None).as_deref()), (2, Some(&2)));
    assert_eq!((**slot.load(&pin()), slot.take()), (0, None));
    slot.swap(Some(Arc::clone(&rest)));
    let two = Arc::new(2);
    slot.swap(Some(Arc::clone(&two)));
    assert_eq!((slot.take().as_ref(), Arc::strong_count(&two)), (Some(&two), 2), "nobody could look");
    slot.swap(Some(Arc::clone(&two)));
    drop(slot);
    assert_eq!((Arc::strong_count(&rest), Arc::strong_count(&two)), (1, 1));
}

#[test]
fn line_that_was_long_keeps_room_for_few() {
    (0..4 * deferred::KEPT).for_each(|piece| defer(Box::new(piece)));
    let began = std::time::Instant::now();
    while deferred::room() > deferred::KEPT {
        assert!(
            began.elapsed().as_secs() < 20,
            "room for {} pieces, of which {} wait",
            deferred::room(),
            deferred::pieces()
        );
        collect();
    }
}

#[test]
fn garbage_that_somebody_is_dropping_is_not_gone_yet() {
    struct Slow(std::sync::mpsc::Sender<()>, std::sync::mpsc::Receiver<()>);

    impl Drop for Slow {
        fn drop(&mut self) {
            let _ = self.0.send(());
            let _ = self.1.recv();
        }
    }

    let _alone = LINE.lock();
    let (begins, has_begun) = std::sync::mpsc::channel();
    let (go_on, goes_on) = std::sync::mpsc::channel();
    defer(Slow(begins, goes_on));
    let (limit, others) = (Instant::now() + Duration::from_secs(20), AtomicBool::new(true));
    std::thread::scope(|threads| {
        let collects = || {
            while others.load(SeqCst) && Instant::now() < limit {
                super::collect();
                std::thread::yield_now();
            }
        };
        threads.spawn(collects);
        has_begun.recv_timeout(Duration::from_secs(20)).expect("it is dropped by somebody");
        let waits = !super::is_clean() && !super::settle();
        go_on.send(()).expect("the drop waits");
        assert!(waits, "it is being dropped");
        while !super::settle() {
            assert!(Instant::now() < limit, "garbage stays");
        }
        others.store(false, SeqCst);
    });
}
