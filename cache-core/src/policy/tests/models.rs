//! Policies against models too simple to be wrong.

use proptest::prelude::*;

use super::super::{Fifo, Lfu, Lru, Policy, S3Fifo, Sieve, contract};
use super::{Bed, EvictionPolicy};

/// A step names slots by number; what was overwritten moves to a slot further up.
#[derive(Debug, Clone)]
enum Step {
    Insert(u32),
    Touch(Vec<u32>),
    Overwrite(u32, u32),
    Remove(u32),
    Evict,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let slot = 0u32..12;
    let step = prop_oneof![
        4 => slot.clone().prop_map(Step::Insert),
        4 => prop::collection::vec(slot.clone(), 0..8).prop_map(Step::Touch),
        1 => (slot.clone(), slot.clone()).prop_map(|(from, to)| Step::Overwrite(from, to)),
        1 => slot.prop_map(Step::Remove),
        2 => Just(Step::Evict),
    ];
    prop::collection::vec(step, 0..120)
}

/// A policy as plain lists of slots with their heat.
trait Model {
    fn insert(&mut self, slot: u32);
    fn touch(&mut self, slot: u32);
    fn overwrite(&mut self, from: u32, to: u32);
    fn remove(&mut self, slot: u32);
    /// Names the next to go, and removes it.
    fn evict(&mut self) -> Option<u32>;
}

/// FIFO, and LRU if touches count. The next to go comes first.
struct Queue {
    slots: Vec<u32>,
    touches: bool,
}

impl Model for Queue {
    fn insert(&mut self, slot: u32) {
        self.slots.push(slot);
    }
    fn touch(&mut self, slot: u32) {
        if self.touches && self.slots.contains(&slot) {
            self.remove(slot);
            self.slots.push(slot);
        }
    }
    fn overwrite(&mut self, from: u32, to: u32) {
        self.slots.iter_mut().filter(|slot| **slot == from).for_each(|slot| *slot = to);
        self.touch(to);
    }
    fn remove(&mut self, slot: u32) {
        self.slots.retain(|held| *held != slot);
    }
    fn evict(&mut self) -> Option<u32> {
        (!self.slots.is_empty()).then(|| self.slots.remove(0))
    }
}

/// SIEVE: slots with their bit, oldest first, and the place of the hand.
#[derive(Default)]
struct Ring {
    slots: Vec<(u32, bool)>,
    hand: usize,
}

impl Model for Ring {
    fn insert(&mut self, slot: u32) {
        self.slots.push((slot, false));
        // A hand that stands behind the newest stands for the oldest, whoever comes.
        if self.hand == self.slots.len() - 1 {
            self.hand = 0;
        }
    }
    fn touch(&mut self, slot: u32) {
        self.slots.iter_mut().filter(|held| held.0 == slot).for_each(|held| held.1 = true);
    }
    fn overwrite(&mut self, from: u32, to: u32) {
        self.slots.iter_mut().filter(|held| held.0 == from).for_each(|held| held.0 = to);
    }
    fn remove(&mut self, slot: u32) {
        if let Some(at) = self.slots.iter().position(|held| held.0 == slot) {
            self.slots.remove(at);
            self.hand -= usize::from(self.hand > at);
        }
    }
    fn evict(&mut self) -> Option<u32> {
        if self.slots.is_empty() {
            return None;
        }
        loop {
            self.hand %= self.slots.len();
            if !std::mem::take(&mut self.slots[self.hand].1) {
                return Some(self.slots.remove(self.hand).0);
            }
            self.hand += 1;
        }
    }
}

/// S3-FIFO without ghosts, which these runs do not meet: no key comes back.
#[derive(Default)]
struct Queues {
    small: Vec<(u32, u8)>,
    main: Vec<(u32, u8)>,
}

impl Model for Queues {
    fn insert(&mut self, slot: u32) {
        self.small.push((slot, 0));
    }
    fn touch(&mut self, slot: u32) {
        let all = self.small.iter_mut().chain(&mut self.main);
        all.filter(|held| held.0 == slot).for_each(|held| held.1 = (held.1 + 1).min(3));
    }
    fn overwrite(&mut self, from: u32, to: u32) {
        let all = self.small.iter_mut().chain(&mut self.main);
        all.filter(|held| held.0 == from).for_each(|held| held.0 = to);
    }
    fn remove(&mut self, slot: u32) {
        self.small.retain(|held| held.0 != slot);
        self.main.retain(|held| held.0 != slot);
    }
    fn evict(&mut self) -> Option<u32> {
        let part = (self.small.len() + self.main.len()) / 10;
        // As patient as the policy: 32 slots.
        for looked in 0.. {
            let from_small = self.small.len() > part || self.main.is_empty();
            let queue = if from_small { &mut self.small } else { &mut self.main };
            if queue.is_empty() {
                return None;
            }
            let (slot, heat) = queue.remove(0);
            if heat == 0 || looked == 32 {
                return Some(slot);
            }
            self.main.push((slot, if from_small { 0 } else { heat - 1 }));
        }
        None
    }
}

fn agree(policy: impl EvictionPolicy, mut model: impl Model, steps: &[Step]) -> Result<(), TestCaseError> {
    let mut bed = Bed::new(policy);
    for (at, step) in (0..).zip(steps) {
        match step {
            Step::Insert(slot) => {
                if bed.insert_hashed(*slot, 1000 + at) {
                    model.insert(*slot);
                }
            }
            Step::Touch(batch) => {
                bed.touch(batch);
                batch.iter().for_each(|slot| model.touch(*slot));
            }
            Step::Overwrite(from, to) => {
                if bed.overwrite(*from, *to) {
                    model.overwrite(*from, *to);
                }
            }
            Step::Remove(slot) => {
                bed.remove(*slot);
                model.remove(*slot);
            }
            Step::Evict => prop_assert_eq!(bed.evict(), model.evict()),
        }
    }
    prop_assert_eq!(bed.drain(), std::iter::from_fn(|| model.evict()).collect::<Vec<_>>());
    Ok(())
}

proptest! {
    #[test]
    fn lru_agrees_with_a_queue_that_touches_renew(steps in steps()) {
        agree(Lru, Queue { slots: Vec::new(), touches: true }, &steps)?;
    }

    #[test]
    fn fifo_agrees_with_a_queue(steps in steps()) {
        agree(Fifo, Queue { slots: Vec::new(), touches: false }, &steps)?;
    }

    #[test]
    fn sieve_agrees_with_a_ring_of_bits(steps in steps()) {
        agree(Sieve::default(), Ring::default(), &steps)?;
    }

    #[test]
    fn s3_fifo_agrees_with_two_queues(steps in steps()) {
        agree(S3Fifo::default(), Queues::default(), &steps)?;
    }

    #[test]
    fn lfu_names_one_of_the_least_frequent(rounds in prop::collection::vec(prop::collection::vec(0u32..40, 0..30), 1..90)) {
        let mut bed = Bed::with(Lfu::default(), 0..40);
        for hits in &rounds {
            bed.touch(hits);
            let victim = bed.victim().unwrap();
            // After the answer, for what was asked may be halved by it.
            let heat = |slot: u32| bed.warmth.0[slot as usize].0.get();
            prop_assert_eq!(heat(victim), (0..40).map(heat).min().unwrap());
            bed.remove(victim);
            bed.insert(victim);
        }
    }
}

#[test]
fn every_policy_passes_the_contract() {
    for policy in Policy::BUILT_IN {
        contract::check(|| policy.build());
    }
    contract::check(|| Box::new(Policy::default().build()));
}

#[test]
fn lru_spares_what_was_used() {
    let mut bed = Bed::with(Lru, [1, 2, 3]);
    bed.touch(&[1, 1, 2]);
    assert_eq!(bed.drain(), [3, 1, 2]);
}

#[test]
fn fifo_ignores_use() {
    let mut bed = Bed::with(Fifo, [1, 2, 3]);
    bed.touch(&[1, 1, 2]);
    assert_eq!(bed.drain(), [1, 2, 3]);
}

#[test]
fn lfu_takes_the_rarest_and_of_equals_the_oldest() {
    let mut bed = Bed::with(Lfu::default(), [1, 2, 3, 4]);
    bed.touch(&[1, 1, 2, 3]);
    assert_eq!(bed.drain(), [4, 2, 3, 1]);
}

#[test]
fn lfu_tells_five_hits_from_three() {
    let mut bed = Bed::with(Lfu::default(), [1, 2, 3]);
    bed.touch(&[1, 1, 1, 1, 1, 2, 2, 2, 3, 3, 3, 3]);
    assert_eq!(bed.drain(), [2, 3, 1]);
}

#[test]
fn lfu_forgets_use_of_long_ago() {
    let mut bed = Bed::with(Lfu::default(), [1, 2, 3]);
    bed.touch(&[1; 15]);
    bed.touch(&[2; 3]);
    // Halved every 64 questions: 1 falls from 15 to nothing, while 2 goes on being used and 3 is new each time.
    let mut gone = std::iter::from_fn(|| {
        bed.touch(&[2]);
        let gone = bed.evict()?;
        bed.insert(gone).then_some(gone)
    });
    assert!(gone.by_ref().take(190).all(|slot| slot == 3));
    assert!(gone.take(200).any(|slot| slot == 1));
}

#[test]
fn lfu_of_a_large_domain_spares_the_frequent() {
    let mut bed = Bed::with(Lfu::default(), 0..4000);
    for slot in (0..4000).step_by(2) {
        bed.touch(&[slot, slot]);
    }
    let gone: Vec<u32> = (0..1500).filter_map(|_| bed.evict()).collect();
    assert!(gone.iter().all(|slot| slot % 2 == 1), "of the unused there were more");
}
