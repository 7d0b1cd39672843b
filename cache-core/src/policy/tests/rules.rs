//! The contract test itself: for each rule, a policy that breaks it and is caught.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::super::{Fifo, Order, Touches, Weight, contract};
use super::{EvictionPolicy, Heat, SlotId};

/// A first-in-first-out policy with one fault.
struct Faulty(Fault);

#[derive(Debug, Clone, Copy, PartialEq)]
enum Fault {
    /// Names a slot that is no member.
    NamesStranger,
    /// Names none when few are left.
    NamesNone,
    /// Never links every fifth slot.
    Loses,
    /// Leaves removed slots linked.
    KeepsRemoved,
    /// Leaves overwritten slots linked.
    KeepsOverwritten,
    /// Takes slots in by a touch alone, whoever they belong to.
    TrustsTouches,
    /// Takes slots of touches to be in the range it has seen.
    TrustsRange,
    /// Walks until it finds a slot it could cool.
    WaitsForCold,
    /// Names the member it named last as long as it can.
    Remembers(Option<SlotId>),
}

impl EvictionPolicy for Faulty {
    fn on_insert(&mut self, order: &mut Order<'_>, slot: SlotId, hash: u32, weight: Weight) {
        if self.0 != Fault::Loses || !slot.0.is_multiple_of(5) {
            Fifo.on_insert(order, slot, hash, weight);
        }
    }

    fn touches(&self) -> Touches {
        if matches!(self.0, Fault::TrustsTouches | Fault::TrustsRange) {
            Touches::Each
        } else {
            Touches::None
        }
    }

    fn on_touch(&mut self, order: &mut Order<'_>, batch: &[SlotId]) {
        match self.0 {
            Fault::TrustsRange => assert!(batch.iter().all(|slot| slot.0 < 40), "a touch out of range"),
            _ => assert!(batch.iter().all(|slot| order.owns(*slot)), "a touch of a stranger"),
        }
    }

    fn on_move(&mut self, order: &mut Order<'_>, from: SlotId, to: SlotId, hash: u32, weight: Weight) {
        match self.0 {
            Fault::KeepsOverwritten => self.on_insert(order, to, hash, weight),
            _ => Fifo.on_move(order, from, to, hash, weight),
        }
    }

    fn on_remove(&mut self, order: &mut Order<'_>, slot: SlotId) {
        if self.0 != Fault::KeepsRemoved {
            Fifo.on_remove(order, slot);
        }
    }

    fn victim(&mut self, order: &mut Order<'_>, heat: &Heat<'_>) -> Option<SlotId> {
        match &mut self.0 {
            Fault::NamesStranger => Some(SlotId(1)),
            Fault::NamesNone if order.members() < 3 => None,
            Fault::WaitsForCold => {
                while heat.of(order.back(0)?) > 0 {
                    heat.cool(order.back(0)?, 0);
                }
                order.back(0)
            }
            Fault::Remembers(last) => {
                *last = last.or(order.back(0));
                *last
            }
            _ => order.back(0),
        }
    }
}

fn broken_rule(fault: Fault) -> String {
    let caught = catch_unwind(AssertUnwindSafe(|| contract::check(|| Box::new(Faulty(fault)))));
    let payload = caught.expect_err("the contract test lets a faulty policy pass");
    payload.downcast_ref::<String>().cloned().unwrap_or_else(|| {
        payload.downcast_ref::<&str>().map(ToString::to_string).expect("the message of an assertion")
    })
}

#[test]
fn contract_catches_a_policy_that_breaks_a_rule() {
    for (fault, rule) in [
        (Fault::NamesStranger, "a victim is a member of the domain"),
        (Fault::NamesNone, "a domain with members has a victim"),
        (Fault::Loses, "a domain with members has a victim"),
        (Fault::KeepsRemoved, "a removed slot is taken out of its list"),
        (Fault::KeepsOverwritten, "an overwritten slot is taken out of its list"),
        (Fault::TrustsTouches, "a touch of a stranger"),
        (Fault::TrustsRange, "a touch out of range"),
        (Fault::WaitsForCold, "naming a victim ends, hot or not"),
        (Fault::Remembers(None), "a victim is a member of the domain"),
    ] {
        let message = broken_rule(fault);
        assert!(message.contains(rule), "{fault:?}: {message}");
    }
}

#[test]
fn contract_names_seed_and_step_and_repeats() {
    let message = broken_rule(Fault::NamesNone);
    assert!(message.contains("(seed 0, step "), "{message}");
    assert_eq!(message, broken_rule(Fault::NamesNone));
}
