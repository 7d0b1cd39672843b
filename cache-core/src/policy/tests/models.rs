//! LRU, FIFO and LFU against models too simple to be wrong, and the choice of a policy by name.

use proptest::prelude::*;

use super::super::{Fifo, Lfu, Lru, Policy, Touches, contract};
use super::{Bed, EvictionPolicy};
use crate::error::ErrorKind;

#[derive(Debug, Clone)]
enum Step {
    Insert(u32),
    Touch(Vec<u32>),
    Remove(u32),
    Evict,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let slot = 0u32..12;
    let step = prop_oneof![
        3 => slot.clone().prop_map(Step::Insert),
        4 => prop::collection::vec(slot.clone(), 0..16).prop_map(Step::Touch),
        1 => slot.prop_map(Step::Remove),
        1 => Just(Step::Evict),
    ];
    prop::collection::vec(step, 0..120)
}

/// A policy as one list of slots, the next to go first.
trait Model {
    fn insert(&mut self, slot: u32);
    fn touch(&mut self, slot: u32);
    fn slots(&self) -> Vec<u32>;
    fn remove(&mut self, slot: u32);
}

/// FIFO, and LRU if touches count.
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
    fn slots(&self) -> Vec<u32> {
        self.slots.clone()
    }
    fn remove(&mut self, slot: u32) {
        self.slots.retain(|held| *held != slot);
    }
}

/// LFU: frequency and slot, sorted by frequency, those of one frequency by when they reached it.
#[derive(Default)]
struct Counts {
    pairs: Vec<(u32, u32)>,
    touches: usize,
}

impl Counts {
    fn put(&mut self, frequency: u32, slot: u32) {
        let at = self.pairs.partition_point(|pair| pair.0 <= frequency);
        self.pairs.insert(at, (frequency, slot));
    }
}

impl Model for Counts {
    fn insert(&mut self, slot: u32) {
        self.put(0, slot);
    }
    fn touch(&mut self, slot: u32) {
        let Some(at) = self.pairs.iter().position(|pair| pair.1 == slot) else {
            return;
        };
        let (frequency, _) = self.pairs.remove(at);
        self.put((frequency + 1).min(15), slot);
        self.touches += 1;
        if self.touches >= 8 * self.pairs.len() {
            self.touches = 0;
            self.pairs.iter_mut().for_each(|pair| pair.0 /= 2);
        }
    }
    fn slots(&self) -> Vec<u32> {
        self.pairs.iter().map(|pair| pair.1).collect()
    }
    fn remove(&mut self, slot: u32) {
        self.pairs.retain(|pair| pair.1 != slot);
    }
}

fn agree(policy: impl EvictionPolicy, mut model: impl Model, steps: &[Step]) -> Result<(), TestCaseError> {
    let mut bed = Bed::new(policy);
    for step in steps {
        match step {
            Step::Insert(slot) => {
                if bed.insert(*slot) {
                    model.insert(*slot);
                }
            }
            Step::Touch(batch) => {
                bed.touch(batch);
                batch.iter().for_each(|slot| model.touch(*slot));
            }
            Step::Remove(slot) => {
                bed.remove(*slot);
                model.remove(*slot);
            }
            Step::Evict => {
                let victim = bed.evict();
                prop_assert_eq!(victim, model.slots().first().copied());
                victim.into_iter().for_each(|slot| model.remove(slot));
            }
        }
        prop_assert_eq!(bed.victim(), model.slots().first().copied());
        prop_assert_eq!(bed.heads.members(), model.slots().len());
    }
    prop_assert_eq!(bed.drain(), model.slots());
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
    fn lfu_agrees_with_sorted_counts(steps in steps()) {
        agree(Lfu::default(), Counts::default(), &steps)?;
    }
}

#[test]
fn every_policy_passes_the_contract() {
    contract::check(|| Policy::Lru.build());
    contract::check(|| Policy::Lfu.build());
    contract::check(|| Policy::Fifo.build());
    contract::check(|| Box::new(Policy::default().build()));
}

#[test]
fn only_policies_that_order_by_use_want_touches() {
    let wants = |policy: Policy| Box::new(policy.build()).touches();
    assert_eq!(wants(Policy::Lru), Touches::Latest);
    assert_eq!(wants(Policy::Lfu), Touches::Each);
    assert_eq!(wants(Policy::Fifo), Touches::None);
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
fn lfu_forgets_use_of_long_ago() {
    let mut bed = Bed::with(Lfu::default(), [1, 2]);
    bed.touch(&[1; 15]);
    // 16 touches of two members: each halves, so 1 falls from 15 to 0 in four periods, while 2 is used.
    bed.touch(&[2; 65]);
    assert_eq!(bed.drain(), [1, 2]);
}

#[test]
fn lfu_counts_no_touch_of_a_slot_that_left() {
    let mut bed = Bed::with(Lfu::default(), [1, 2]);
    bed.touch(&[1]);
    bed.touch(&[7; 100]);
    assert_eq!(bed.drain(), [2, 1]);
}

#[test]
fn policy_is_read_by_name_in_any_case() {
    for (text, name) in [("lru", "lru"), ("LFU", "lfu"), ("Fifo", "fifo")] {
        assert_eq!(text.parse::<Policy>().unwrap().to_string(), name);
    }
    assert!(matches!(Policy::default(), Policy::Lru));
    let own = Policy::custom("mine", || Box::new(Fifo));
    assert_eq!((own.to_string(), own.clone().name()), ("mine".to_owned(), "mine"));
    assert_eq!(format!("{own:?}"), "Custom(\"mine\")");
    assert_eq!(Bed::with(own.build(), [5, 6]).drain(), [5, 6]);
}

#[test]
fn unknown_policy_is_an_error_that_lists_the_known() {
    let error = "clock-9".parse::<Policy>().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidConfig);
    let text = error.to_string();
    assert!(text.contains("policy: `clock-9`, known: lru, lfu, fifo"), "{text}");
    assert!(!text.contains("did you mean"), "{text}");
    assert_eq!("".parse::<Policy>().unwrap_err().kind(), ErrorKind::InvalidConfig);
    assert!(" lru".parse::<Policy>().is_err());
}

#[test]
fn near_name_of_a_policy_is_suggested() {
    for (text, meant) in [
        ("lr", "lru"),
        ("lrru", "lru"),
        ("lxu", "lru"),
        ("TinyLFU", "lfu"),
        ("fiffo", "fifo"),
        ("s3-fifo", "fifo"),
    ] {
        let error = text.parse::<Policy>().unwrap_err().to_string();
        assert!(error.ends_with(&format!("did you mean `{meant}`?")), "{error}");
    }
}

#[test]
fn hostile_name_of_a_policy_is_shown_short_and_escaped() {
    let error = format!("\u{1b}[31m{}", "x".repeat(1 << 20)).parse::<Policy>().unwrap_err().to_string();
    assert!(error.len() < 300 && !error.contains('\u{1b}'), "{error}");
}
