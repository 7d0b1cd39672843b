use std::cell::Cell;

use super::{ASK, IDLE, Keeper, Observer, REREAD, Tick};

const MS: u64 = 1_000_000;

/// A clock that stands still until it is set, and counts who reads it and who asks.
struct World {
    tick: Tick,
    now: Cell<u64>,
    readings: Cell<u32>,
    asked: Cell<u32>,
}

/// What asking does, and the keeper's first step.
fn arm(tick: &Tick, reading: u64) -> Keeper<'_> {
    tick.arm(reading);
    Keeper::new(tick, reading)
}

impl World {
    fn at(now: u64) -> Self {
        Self { tick: Tick::new(), now: Cell::new(now), readings: Cell::new(0), asked: Cell::new(0) }
    }

    fn clock(&self) -> u64 {
        self.readings.set(self.readings.get() + 1);
        self.now.get()
    }

    fn look_up(&self, observer: &Observer) -> u64 {
        let look = || self.tick.look(observer, || self.clock(), || self.asked.set(self.asked.get() + 1));
        self.tick.glance(observer).unwrap_or_else(look)
    }

    fn read(&self, observer: &Observer) -> u64 {
        self.tick.read(observer, || self.clock())
    }
}

#[test]
fn look_up_reads_the_clock_while_the_word_is_not_armed() {
    let (world, observer) = (World::at(100 * MS), Observer::new());
    for step in 1..200 {
        world.now.set(step * MS);
        assert_eq!(world.look_up(&observer), step * MS);
    }
    assert_eq!(world.asked.get(), 0, "so few need no keeper");
}

#[test]
fn thread_asks_after_many_readings_in_one_step_and_only_then() {
    let (world, observer) = (World::at(1 << 30), Observer::new());
    // Many look-ups, but never so many in one step.
    for step in 0..50 {
        world.now.set((1 << 30) + (step << super::STEP));
        (0..ASK - 1).for_each(|_| _ = world.look_up(&observer));
    }
    assert_eq!(world.asked.get(), 0);
    world.now.set(1 << 31);
    (0..ASK).for_each(|_| _ = world.look_up(&observer));
    assert_eq!(world.asked.get(), 1);
    (0..ASK - 1).for_each(|_| _ = world.look_up(&observer));
    assert_eq!(world.asked.get(), 1, "it does not ask again at once");
}

#[test]
fn armed_word_is_read_instead_of_the_clock() {
    let (world, observer) = (World::at(100 * MS), Observer::new());
    let mut keeper = arm(&world.tick, 100 * MS);
    world.now.set(104 * MS);
    assert_eq!(world.look_up(&observer), 100 * MS, "a little late");
    assert!(keeper.keep(104 * MS));
    assert_eq!(world.look_up(&observer), 104 * MS);
    assert_eq!(world.readings.get(), 0);
    (0..REREAD * 100).for_each(|_| _ = world.look_up(&observer));
    assert_eq!(world.readings.get(), 100);
}

#[test]
fn stale_answers_end_after_some_look_ups_when_the_keeper_does_not_run() {
    let world = World::at(100 * MS);
    let (busy, seldom) = (Observer::new(), Observer::new());
    let _starved = arm(&world.tick, 100 * MS);
    world.look_up(&seldom);
    for seconds in 1..20 {
        world.now.set(seconds * 1000 * MS);
        let fresh = (0..REREAD).position(|_| world.look_up(&busy) == seconds * 1000 * MS);
        assert!(fresh.is_some(), "no look-up of {REREAD} saw the time");
        assert_eq!(world.look_up(&seldom), seconds * 1000 * MS, "one thread reads for all");
    }
}

#[test]
fn time_never_goes_back_for_a_thread() {
    let (world, observer) = (World::at(500 * MS), Observer::new());
    assert_eq!(world.read(&observer), 500 * MS);
    // The keeper read the clock long ago and arms the word only now.
    let mut late = arm(&world.tick, 100 * MS);
    assert_eq!(world.look_up(&observer), 500 * MS);
    late.keep(501 * MS);
    late.keep(490 * MS);
    assert_eq!(world.look_up(&observer), 501 * MS);
    drop(late);
    world.now.set(502 * MS);
    assert_eq!(world.look_up(&observer), 502 * MS);
    let (mut last, mut keeper, mut reading) = (0, None, world.now.get());
    for round in 0_u64..5_000 {
        world.now.set((600 + round / 7) * MS);
        match round % 11 {
            // Read after the word was last disarmed, and long before it is armed.
            3 => keeper = Some(arm(&world.tick, reading)),
            6 => {
                keeper = None;
                reading = world.now.get();
            }
            8 => _ = keeper.as_mut().map(|keeper| keeper.keep(world.now.get())),
            _ => {}
        }
        let told = if round % 5 == 0 { world.read(&observer) } else { world.look_up(&observer) };
        assert!(told >= last, "{told} after {last} in round {round}");
        last = told;
    }
}

#[test]
fn reading_of_a_writer_is_seen_by_look_ups_of_others() {
    let world = World::at(100 * MS);
    let _keeper = arm(&world.tick, 100 * MS);
    world.now.set(150 * MS);
    assert_eq!(world.read(&Observer::new()), 150 * MS);
    assert_eq!(world.look_up(&Observer::new()), 150 * MS);
}

/// No keeper comes: what a thread reads is seen by all others after its next rereading, also where a write of its own, within one
/// step of the clock, read it first.
#[test]
fn reading_that_is_known_to_its_thread_raises_the_word_for_others() {
    let begin = 24 << super::STEP;
    let (world, ours, other) = (World::at(begin), Observer::new(), Observer::new());
    let _keeper = arm(&world.tick, begin);
    assert_eq!(world.read(&ours), begin);
    world.now.set(begin + MS);
    assert_eq!(world.read(&ours), begin + MS);
    assert_eq!(world.look_up(&other), begin, "the write did not raise it");
    (0..REREAD).for_each(|_| _ = world.look_up(&ours));
    assert_eq!(world.look_up(&other), begin + MS);
}

#[test]
fn keeper_stops_when_nobody_uses_the_word_and_not_before() {
    let (world, observer) = (World::at(1000 * MS), Observer::new());
    let mut keeper = arm(&world.tick, 1000 * MS);
    for tick in 1..100 {
        world.now.set((1000 + 4 * tick) * MS);
        (0..REREAD).for_each(|_| _ = world.look_up(&observer));
        assert!(keeper.keep(world.now.get()), "it is used");
    }
    let last_use = world.now.get();
    assert!(keeper.keep(last_use + IDLE - 1));
    assert!(!keeper.keep(last_use + IDLE));
    drop(keeper);
    world.now.set(5000 * MS);
    assert_eq!(world.look_up(&observer), 5000 * MS, "by the clock again");
}

#[test]
fn raise_after_the_word_was_disarmed_does_not_arm_it() {
    let (world, observer) = (World::at(100 * MS), Observer::new());
    drop(arm(&world.tick, 100 * MS));
    world.now.set(200 * MS);
    world.read(&observer);
    world.now.set(300 * MS);
    assert_eq!(world.look_up(&Observer::new()), 300 * MS);
}
