//! Policies that misbehave in every way, behind the guard.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use proptest::prelude::*;

use super::super::guard::{Fault, Guarded};
use super::super::{Adaptive, Fifo, Lfu, Lru, Order, Policy, Touches, Weight, contract};
use super::{Bed, EvictionPolicy, Heads, Heat, SlotId};

#[derive(Debug, Clone, Copy, PartialEq)]
enum Call {
    Insert,
    Move,
    Touch,
    Remove,
    Victim,
    Wants,
}

/// What a policy does at the call it fails at.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    Panics,
    NamesStranger,
    NamesNone,
}

/// First in, first out, until it fails at one kind of call, after so many of them. Counts its calls.
struct Failing {
    at: Call,
    way: Way,
    after: u32,
    links: bool,
    calls: Arc<AtomicU32>,
}

impl Failing {
    fn new(at: Call, way: Way, after: u32) -> Self {
        Self { at, way, after, links: true, calls: Arc::default() }
    }

    /// Whether this call is the one to fail at.
    fn met(&mut self, call: Call) -> bool {
        self.calls.fetch_add(1, Ordering::Relaxed);
        if call != self.at {
            return false;
        }
        let due = self.after == 0;
        self.after = self.after.saturating_sub(1);
        assert!(!(due && self.way == Way::Panics), "the policy panics");
        due
    }
}

impl EvictionPolicy for Failing {
    fn on_insert(&mut self, order: &mut Order<'_>, slot: SlotId, hash: u32, weight: Weight) {
        self.met(Call::Insert);
        if self.links {
            Fifo.on_insert(order, slot, hash, weight);
        }
    }

    fn on_move(&mut self, order: &mut Order<'_>, from: SlotId, to: SlotId, hash: u32, weight: Weight) {
        self.met(Call::Move);
        Fifo.on_move(order, from, to, hash, weight);
    }

    fn touches(&self) -> Touches {
        assert!(self.at != Call::Wants, "the policy panics");
        Touches::Each
    }

    fn on_touch(&mut self, _order: &mut Order<'_>, _batch: &[SlotId]) {
        self.met(Call::Touch);
    }

    fn on_remove(&mut self, order: &mut Order<'_>, slot: SlotId) {
        self.met(Call::Remove);
        Fifo.on_remove(order, slot);
    }

    fn victim(&mut self, order: &mut Order<'_>, heat: &Heat<'_>) -> Option<SlotId> {
        match (self.met(Call::Victim), self.way) {
            (true, Way::NamesStranger) => Some(SlotId(99)),
            (true, Way::NamesNone) => None,
            _ => Fifo.victim(order, heat),
        }
    }
}

fn guarded(policy: impl EvictionPolicy + 'static) -> Guarded {
    Guarded::new(Box::new(policy))
}

#[test]
fn policy_that_panics_anywhere_leaves_its_domain_first_in_first_out() {
    for at in [Call::Insert, Call::Move, Call::Touch, Call::Remove, Call::Victim, Call::Wants] {
        let mut bed = Bed::with(guarded(Failing::new(at, Way::Panics, 1)), [4, 1, 3, 2]);
        bed.touch(&[1]);
        bed.touch(&[1]);
        bed.overwrite(4, 7);
        bed.overwrite(7, 6);
        assert_eq!(bed.evict(), Some(6), "{at:?}");
        assert_eq!(bed.evict(), Some(1), "{at:?}");
        assert!(bed.policy.panicked(), "{at:?}");
        bed.insert(5);
        assert_eq!(bed.drain(), [3, 2, 5], "{at:?}");
        assert!(bed.orders.of(&mut bed.heads).is_empty(), "{at:?}");
    }
}

#[test]
fn policy_that_was_set_aside_is_not_called_again() {
    let policy = Failing::new(Call::Victim, Way::Panics, 0);
    let calls = policy.calls.clone();
    let mut bed = Bed::with(guarded(policy), [1, 2]);
    assert_eq!(bed.policy.touches(), Touches::Each);
    assert_eq!(bed.victim(), Some(1));
    assert_eq!(bed.policy.touches(), Touches::None);
    let before = calls.load(Ordering::Relaxed);
    bed.insert(3);
    bed.touch(&[1]);
    bed.drain();
    assert_eq!(calls.load(Ordering::Relaxed), before);
}

#[test]
fn policy_that_names_a_stranger_or_nobody_is_set_aside() {
    for (way, fault) in [(Way::NamesStranger, Fault::Stranger), (Way::NamesNone, Fault::Silent)] {
        let mut bed = Bed::with(guarded(Failing::new(Call::Victim, way, 1)), [1, 2, 3]);
        assert_eq!((bed.victim(), bed.policy.fault()), (Some(1), None));
        assert_eq!((bed.victim(), bed.policy.fault()), (Some(1), Some(fault)));
        assert!(!bed.policy.panicked());
        assert_eq!(bed.drain(), [1, 2, 3]);
    }
}

#[test]
fn empty_domain_without_a_victim_is_no_fault() {
    let mut bed = Bed::new(guarded(Lru));
    assert_eq!((bed.victim(), bed.policy.fault()), (None, None));
}

#[test]
fn members_that_the_policy_never_linked_are_found() {
    let mut policy = Failing::new(Call::Victim, Way::Panics, 0);
    policy.links = false;
    let mut bed = Bed::with(guarded(policy), [3, 1, 2]);
    assert_eq!(bed.drain(), [1, 2, 3]);
}

#[test]
fn setting_aside_leaves_the_other_domain_alone() {
    let mut bed = Bed::new(guarded(Failing::new(Call::Victim, Way::Panics, 0)));
    // A second domain of the same arena, with one member in a list and one in none.
    let mut other = Heads::new(1);
    assert!(bed.orders.adopt(&mut other, SlotId(1)) && bed.orders.adopt(&mut other, SlotId(3)));
    assert!(bed.orders.of(&mut other).push_front(2, SlotId(1)));
    assert!(bed.insert(0) && bed.insert(2));
    assert_eq!(bed.drain(), [0, 2]);
    let order = bed.orders.of(&mut other);
    assert_eq!((order.members(), order.back(2), order.list_of(SlotId(3))), (2, Some(SlotId(1)), None));
}

#[test]
fn no_policy_lets_heat_rise_above_the_most_there_is() {
    struct Wide(u8);
    impl EvictionPolicy for Wide {
        fn on_insert(&mut self, _: &mut Order<'_>, _: SlotId, _: u32, _: Weight) {}
        fn on_remove(&mut self, _: &mut Order<'_>, _: SlotId) {}
        fn victim(&mut self, _: &mut Order<'_>, _: &Heat<'_>) -> Option<SlotId> {
            None
        }
        fn heat_limit(&self) -> u8 {
            self.0
        }
    }
    assert_eq!([0, 7, 126, 127, 255].map(|limit| guarded(Wide(limit)).heat_limit()), [0, 7, 126, 126, 126]);
}

/// Links by frequency like LFU, then panics: what it left in its lists must go all the same.
#[test]
fn members_left_in_any_list_go_before_new_ones() {
    struct Then(Lfu);
    impl EvictionPolicy for Then {
        fn on_insert(&mut self, order: &mut Order<'_>, slot: SlotId, hash: u32, weight: Weight) {
            self.0.on_insert(order, slot, hash, weight);
        }
        fn on_touch(&mut self, order: &mut Order<'_>, batch: &[SlotId]) {
            assert!(!batch.is_empty(), "the policy panics");
            self.0.on_touch(order, batch);
        }
        fn on_remove(&mut self, order: &mut Order<'_>, slot: SlotId) {
            self.0.on_remove(order, slot);
        }
        fn victim(&mut self, order: &mut Order<'_>, heat: &Heat<'_>) -> Option<SlotId> {
            self.0.victim(order, heat)
        }
    }
    let mut bed = Bed::with(guarded(Then(Lfu::default())), [1, 2]);
    bed.touch(&[1, 1]);
    assert_eq!(bed.victim(), Some(2), "1 is in a list of its own now");
    bed.policy.on_touch(&mut bed.orders.of(&mut bed.heads), &[]);
    bed.insert(3);
    assert_eq!(bed.drain(), [1, 2, 3]);
}

#[test]
fn panic_while_made_or_dropped_stays_behind_the_guard() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("dropped");
        }
    }
    impl EvictionPolicy for Bomb {
        fn on_insert(&mut self, _: &mut Order<'_>, _: SlotId, _: u32, _: Weight) {
            // The payload, too, panics when it is dropped.
            std::panic::panic_any(Bomb);
        }
        fn on_remove(&mut self, _: &mut Order<'_>, _: SlotId) {}
        fn victim(&mut self, _: &mut Order<'_>, _: &Heat<'_>) -> Option<SlotId> {
            None
        }
    }
    drop(guarded(Bomb));
    assert_eq!(Bed::with(guarded(Bomb), [1, 2]).drain(), [1, 2]);

    let never = Guarded::build(&Policy::custom("never", || panic!("not made")));
    assert!(never.panicked());
    assert_eq!(Bed::with(never, [1, 2]).drain(), [1, 2]);
    assert_eq!(Bed::with(Guarded::build(&Policy::Lru), [1, 2]).drain(), [1, 2]);
}

/// Does whatever the numbers say with the lists, names any slot, panics now and then.
struct Chaos {
    numbers: Vec<u8>,
    at: usize,
}

impl Chaos {
    fn draw(&mut self) -> u8 {
        self.at += 1;
        self.numbers[self.at % self.numbers.len()]
    }

    fn act(&mut self, order: &mut Order<'_>) {
        let (slot, list) = (SlotId(u32::from(self.draw() % 50)), self.draw() % 20);
        match self.draw() % 32 {
            0..=7 => order.push_front(list, slot),
            8..=15 => order.push_back(list, slot),
            16..=19 => order.move_to_front(list, slot),
            20..=30 => order.remove(slot),
            _ => panic!("chaos"),
        };
    }
}

impl EvictionPolicy for Chaos {
    fn on_move(&mut self, order: &mut Order<'_>, from: SlotId, _to: SlotId, _hash: u32, _weight: Weight) {
        self.act(order);
        order.remove(from);
    }

    fn on_insert(&mut self, order: &mut Order<'_>, _slot: SlotId, _hash: u32, _weight: Weight) {
        self.act(order);
    }
    fn touches(&self) -> Touches {
        if self.numbers[0].is_multiple_of(2) { Touches::Each } else { Touches::None }
    }
    fn on_touch(&mut self, order: &mut Order<'_>, _batch: &[SlotId]) {
        self.act(order);
    }
    fn on_remove(&mut self, order: &mut Order<'_>, slot: SlotId) {
        self.act(order);
        order.remove(slot);
    }
    fn victim(&mut self, order: &mut Order<'_>, _heat: &Heat<'_>) -> Option<SlotId> {
        self.act(order);
        order.back(self.draw() % 3).or_else(|| order.back(0)).or_else(|| order.front(1))
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_policy_behind_the_guard_passes_the_contract(numbers in prop::collection::vec(any::<u8>(), 1..64)) {
        contract::check(|| Box::new(guarded(Chaos { numbers: numbers.clone(), at: 0 })));
    }
}

#[test]
fn good_policy_is_followed_behind_the_guard() {
    let mut bed = Bed::with(Guarded::build(&Policy::Lfu), [1, 2, 3]);
    bed.touch(&[1, 1, 2]);
    assert_eq!((bed.drain(), bed.policy.fault()), (vec![3, 2, 1], None));
}

#[test]
fn good_policies_pass_the_contract_behind_the_guard() {
    for policy in Policy::BUILT_IN {
        contract::check(|| Box::new(Guarded::build(&policy)));
    }
}

#[test]
fn guard_shows_its_fault() {
    let mut bed = Bed::with(guarded(Failing::new(Call::Victim, Way::NamesNone, 0)), [1]);
    bed.victim();
    assert_eq!(format!("{:?}", bed.policy), "Guarded { fault: Some(Silent), .. }");
    let names = [Fault::Panicked, Fault::Stranger, Fault::Silent].map(Fault::name);
    assert_eq!(names, ["panicked", "stranger", "silent"]);
}

/// The default's short ways, as the engine takes them, against the same policy called through the trait.
#[test]
fn default_decides_the_same_whichever_way_it_is_called() {
    // With a memory, and without.
    for capacity in [1_000, 12] {
        let quick = named_the_short_way(capacity);
        assert!(quick > 2_500, "{quick} were named the short way, of {capacity} entries");
    }
}

/// Both are asked and told the same for a while, at this size.
fn named_the_short_way(capacity: u32) -> u32 {
    let (mut short, mut plain) = (Bed::new(Guarded::build(&Policy::Adaptive)), Bed::new(Adaptive::default()));
    let (mut state, mut quick) = (11u64, 0);
    let mut free: Vec<u32> = (0..capacity + capacity / 5).collect();
    let mut live = Vec::new();
    for step in 0..20_000 {
        state = state.wrapping_mul(0x5851_F42D_4C95_7F2D).wrapping_add(0x1405_7B7E_F767_814F);
        let draw = (state >> 33) as u32;
        match draw % 8 {
            0 | 1 if !live.is_empty() => {
                let slot = live[draw as usize / 8 % live.len()];
                short.touch(&[slot]);
                plain.touch(&[slot]);
            }
            2 if step % 16 == 0 && !live.is_empty() => {
                let slot = live.swap_remove(draw as usize / 8 % live.len());
                leave(&mut short, slot);
                plain.remove(slot);
                free.push(slot);
            }
            _ => {
                if live.len() >= capacity as usize {
                    let named = short.policy.quick_victim(&short.heads, &short.warmth).map(|slot| slot.0);
                    quick += u32::from(named.is_some());
                    let victim = named.or_else(|| short.victim()).unwrap();
                    assert_eq!(plain.victim(), Some(victim), "step {step}");
                    leave(&mut short, victim);
                    plain.remove(victim);
                    live.retain(|slot| *slot != victim);
                    free.push(victim);
                }
                let (slot, hash) = (free.swap_remove(draw as usize % free.len()), draw % (3 * capacity));
                let id = SlotId(slot);
                short.warmth.0[slot as usize] = (Cell::new(0), Cell::new(hash));
                if !short.policy.quick_enter(&mut short.orders, &mut short.heads, id, hash) {
                    short.policy.enter(&mut short.orders, &mut short.heads, id, hash, 1);
                }
                assert!(plain.insert_hashed(slot, hash));
                live.push(slot);
            }
        }
    }
    assert_eq!(short.drain(), plain.drain());
    quick
}

fn leave(bed: &mut Bed<Guarded>, slot: u32) {
    if !bed.policy.quick_leave(&mut bed.orders, &mut bed.heads, SlotId(slot)) {
        bed.policy.leave(&mut bed.orders, &mut bed.heads, SlotId(slot));
    }
}
