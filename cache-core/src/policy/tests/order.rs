//! The lists against a model of plain queues, with every kind of wrong slot.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::super::{Heads, LISTS, Order, Orders, SlotId};

/// Slots 0..SLOTS are used; above that, numbers that no domain ever adopts.
const SLOTS: u32 = 10;

#[derive(Debug, Clone, Copy)]
enum Step {
    Adopt,
    Release,
    PushFront(u8),
    PushBack(u8),
    MoveToFront(u8),
    Remove,
    Replace(u32),
    Enter(u8),
    Leave,
}

/// What to do, in which of two domains, to which slot.
fn steps() -> impl Strategy<Value = Vec<(Step, usize, SlotId)>> {
    let list = prop_oneof![6 => 0u8..3, 1 => Just(15u8), 1 => Just(16u8), 1 => Just(255u8)];
    let step = prop_oneof![
        4 => Just(Step::Adopt),
        1 => Just(Step::Release),
        3 => list.clone().prop_map(Step::PushFront),
        3 => list.clone().prop_map(Step::PushBack),
        2 => list.prop_map(Step::MoveToFront),
        1 => Just(Step::Remove),
        2 => (0..SLOTS + 1).prop_map(Step::Replace),
        3 => (0u8..3).prop_map(Step::Enter),
        1 => Just(Step::Leave),
    ];
    let slot = prop_oneof![12 => 0..SLOTS, 1 => SLOTS..SLOTS + 3, 1 => Just(u32::MAX)].prop_map(SlotId);
    prop::collection::vec((step, 0..2usize, slot), 0..150)
}

/// A domain as queues, front first.
#[derive(Default)]
struct Model {
    members: Vec<SlotId>,
    lists: [VecDeque<SlotId>; LISTS],
}

impl Model {
    fn unlink(&mut self, slot: SlotId) -> bool {
        let linked = self.list_of(slot).is_some();
        self.lists.iter_mut().for_each(|list| list.retain(|held| *held != slot));
        linked
    }

    fn list_of(&self, slot: SlotId) -> Option<u8> {
        self.lists.iter().position(|list| list.contains(&slot)).map(|list| list as u8)
    }

    fn push(&mut self, list: u8, slot: SlotId, front: bool) -> bool {
        if usize::from(list) >= LISTS || !self.members.contains(&slot) {
            return false;
        }
        self.unlink(slot);
        let list = &mut self.lists[usize::from(list)];
        if front {
            list.push_front(slot)
        } else {
            list.push_back(slot)
        }
        true
    }
}

impl Model {
    fn replace(&mut self, from: SlotId, to: SlotId) -> bool {
        let Some(list) = self.list_of(from).filter(|_| from != to && self.members.contains(&to)) else {
            return false;
        };
        self.unlink(to);
        self.lists[usize::from(list)].iter_mut().filter(|held| **held == from).for_each(|held| *held = to);
        true
    }
}

/// Everything the view says, against the model.
fn compare(order: &Order<'_>, model: &Model) -> Result<(), TestCaseError> {
    for (number, list) in (0u8..).zip(&model.lists) {
        prop_assert_eq!(order.len(number), list.len());
        prop_assert_eq!(order.front(number), list.front().copied());
        prop_assert_eq!(order.back(number), list.back().copied());
        for (at, &slot) in list.iter().enumerate() {
            prop_assert_eq!(order.next(slot), list.get(at + 1).copied());
            prop_assert_eq!(order.prev(slot), at.checked_sub(1).map(|at| list[at]));
        }
    }
    for slot in (0..SLOTS + 3).chain([u32::MAX]).map(SlotId) {
        prop_assert_eq!(order.owns(slot), model.members.contains(&slot));
        prop_assert_eq!(order.list_of(slot), model.list_of(slot));
        if model.list_of(slot).is_none() {
            prop_assert_eq!((order.next(slot), order.prev(slot)), (None, None));
        }
    }
    prop_assert_eq!((order.len(16), order.front(16), order.back(255)), (0, None, None));
    prop_assert_eq!(order.is_empty(), model.lists.iter().all(VecDeque::is_empty));
    prop_assert_eq!(order.members(), model.members.len());
    Ok(())
}

proptest! {
    #[test]
    fn lists_agree_with_queues_whatever_slot_is_named(steps in steps()) {
        let mut orders = Orders::new();
        let mut heads = [Heads::new(0), Heads::new(7)];
        let mut models = [Model::default(), Model::default()];
        for (step, at, slot) in steps {
            let other = models[1 - at].members.contains(&slot);
            let (domain, model) = (&mut heads[at], &mut models[at]);
            let member = model.members.contains(&slot);
            let (answer, expected) = match step {
                // Numbers above SLOTS stay out of every domain, to be strangers.
                Step::Adopt if slot.0 >= SLOTS && slot.0 != u32::MAX => continue,
                Step::Adopt => {
                    let expected = !member && !other && slot.0 != u32::MAX;
                    if expected {
                        model.members.push(slot);
                    }
                    (orders.adopt(domain, slot), expected)
                }
                Step::Release => {
                    model.unlink(slot);
                    model.members.retain(|held| *held != slot);
                    (orders.release(domain, slot), member)
                }
                Step::PushFront(list) => (orders.of(domain).push_front(list, slot), model.push(list, slot, true)),
                Step::PushBack(list) => (orders.of(domain).push_back(list, slot), model.push(list, slot, false)),
                Step::MoveToFront(list) => {
                    let expected = model.list_of(slot).is_some() && model.push(list, slot, true);
                    (orders.of(domain).move_to_front(list, slot), expected)
                }
                Step::Replace(to) => {
                    (orders.of(domain).replace(slot, SlotId(to)), model.replace(slot, SlotId(to)))
                }
                Step::Remove => (orders.of(domain).remove(slot), model.unlink(slot)),
                Step::Enter(_) if slot.0 >= SLOTS && slot.0 != u32::MAX => continue,
                // The short ways may be refused; then nothing has changed.
                Step::Enter(list) => {
                    let entered = orders.enter(domain, list, slot);
                    if entered {
                        prop_assert!(!member && !other);
                        model.members.push(slot);
                        model.push(list, slot, true);
                    }
                    (entered, entered)
                }
                Step::Leave => {
                    let left = orders.leave(domain, slot);
                    if left {
                        prop_assert!(model.unlink(slot));
                        model.members.retain(|held| *held != slot);
                    }
                    (left, left)
                }
            };
            prop_assert_eq!(answer, expected, "{:?} of {:?}", step, slot);
            for (domain, model) in heads.iter_mut().zip(&models) {
                compare(&orders.of(domain), model)?;
            }
        }
    }
}

#[test]
fn short_ways_are_open_where_nothing_has_to_be_made() {
    let (mut orders, mut ours, mut theirs) = (Orders::new(), Heads::new(1), Heads::new(2));
    assert!((0..4).all(|slot| orders.adopt(&mut ours, SlotId(slot))));
    assert!(orders.release(&mut ours, SlotId(3)));
    assert!(orders.enter(&mut ours, 1, SlotId(3)) && orders.of(&mut ours).back(1) == Some(SlotId(3)));
    assert!(!orders.enter(&mut ours, 1, SlotId(3)) && !orders.leave(&mut ours, SlotId(0)));
    assert!(orders.leave(&mut ours, SlotId(3)) && orders.enter(&mut ours, 0, SlotId(3)));
    assert!(orders.adopt(&mut theirs, SlotId(9)));
    assert!(!orders.leave(&mut theirs, SlotId(3)) && orders.leave(&mut ours, SlotId(3)));
    assert!(orders.enter(&mut theirs, 0, SlotId(3)) && !orders.enter(&mut ours, 0, SlotId(3)));
    assert_eq!((orders.domain_of(SlotId(3)), ours.members(), theirs.members()), (Some(2), 3, 2));
    let mut nowhere = Heads::new(u32::MAX);
    assert!(orders.leave(&mut theirs, SlotId(3)) && !orders.enter(&mut nowhere, 0, SlotId(3)));
    assert!(!orders.enter(&mut ours, 0, SlotId(10)), "a slot that nobody had");
}

#[test]
fn slot_of_another_domain_is_refused() {
    let (mut orders, mut ours, mut theirs) = (Orders::new(), Heads::new(1), Heads::new(2));
    assert!(orders.adopt(&mut ours, SlotId(4)));
    assert!(orders.of(&mut ours).push_front(0, SlotId(4)));
    assert!(!orders.adopt(&mut theirs, SlotId(4)));
    let mut order = orders.of(&mut theirs);
    assert!(!order.push_front(0, SlotId(4)) && !order.remove(SlotId(4)) && !order.owns(SlotId(4)));
    assert!(!orders.release(&mut theirs, SlotId(4)));
    assert_eq!(orders.of(&mut ours).back(0), Some(SlotId(4)));
    assert_eq!((orders.domain_of(SlotId(4)), orders.domain_of(SlotId(5))), (Some(1), None));
}

#[test]
fn domain_without_a_number_takes_nothing() {
    let (mut orders, mut nowhere) = (Orders::new(), Heads::new(u32::MAX));
    assert!(!orders.adopt(&mut nowhere, SlotId(0)));
    assert!(!orders.of(&mut nowhere).owns(SlotId(0)));
}

#[test]
fn slot_number_that_no_link_can_hold_is_refused() {
    let (mut orders, mut heads) = (Orders::new(), Heads::new(0));
    assert!(!orders.adopt(&mut heads, SlotId((1 << 28) - 1)) && !orders.adopt(&mut heads, SlotId(1 << 28)));
    assert!(!orders.of(&mut heads).push_front(0, SlotId(1 << 28)));
    assert_eq!(heads.members(), 0);
}
