//! What the engine calls: our default policy directly, others behind a guard that sets aside one that misbehaves; from then
//! on its domain is first in, first out.
//!
//! (1) No panic of a policy leaves this file, not even of its drop. (2) A victim named here is a member of the
//! domain, and there is one as long as the domain has members: a policy that names another slot, or none, is set
//! aside like one that panics. (3) A policy that was set aside is never called again. (4) [`Adaptive`] has nothing in
//! it that panics and names what stands in its lists, so it goes unguarded. Its short ways (`quick_…`) do all that the
//! long ones do, or nothing.
//! Cost: a landing pad per call, none for [`Adaptive`]; setting aside reads every link of the shard, once in a
//! domain's life.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::heat::MOST_HEAT;
use super::{
    Adaptive, EvictionPolicy, Heads, Heat, HeatSource, LISTS, Order, Orders, Policy, SlotId, Touches, Weight,
};

/// The list that new members enter once a policy was set aside.
const NEW: u8 = 0;

/// Why a policy was set aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// It panicked.
    Panicked,
    /// It named a victim that is no member of its domain.
    Stranger,
    /// It named no victim though its domain has members.
    Silent,
}

impl Fault {
    /// A word for events.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Panicked => "panicked",
            Self::Stranger => "stranger",
            Self::Silent => "silent",
        }
    }
}

/// Whom a guard has.
enum Held {
    /// The default, which needs no guard.
    Ours(Adaptive),
    Boxed(Box<dyn EvictionPolicy>),
    /// It was set aside.
    Nobody,
}

/// A policy behind a guard. This is what the engine calls.
pub struct Guarded {
    policy: Held,
    touches: Touches,
    heat_limit: u8,
    fault: Option<Fault>,
}

impl Guarded {
    /// Guards a policy.
    pub fn new(policy: Box<dyn EvictionPolicy>) -> Self {
        match caught(|| (policy.touches(), policy.heat_limit())) {
            Some((touches, heat_limit)) => {
                let heat_limit = heat_limit.min(MOST_HEAT);
                Self { policy: Held::Boxed(policy), touches, heat_limit, fault: None }
            }
            None => {
                caught(|| drop(policy));
                Self::without(Fault::Panicked)
            }
        }
    }

    /// A guard whose policy was set aside from the start.
    fn without(fault: Fault) -> Self {
        Self { policy: Held::Nobody, touches: Touches::None, heat_limit: 0, fault: Some(fault) }
    }

    /// Makes the policy of a new domain and guards it, and the making of it.
    pub fn build(policy: &Policy) -> Self {
        if let Policy::Adaptive = policy {
            let ours = Adaptive::default();
            let (touches, heat_limit) = (ours.touches(), ours.heat_limit());
            return Self { policy: Held::Ours(ours), touches, heat_limit, fault: None };
        }
        match caught(|| policy.build()) {
            Some(policy) => Self::new(policy),
            None => Self::without(Fault::Panicked),
        }
    }

    /// Whether the policy panicked and was set aside.
    pub fn panicked(&self) -> bool {
        self.fault == Some(Fault::Panicked)
    }

    /// Why the policy was set aside, if it was.
    pub fn fault(&self) -> Option<Fault> {
        self.fault
    }

    /// Whether it is the default policy.
    #[inline(always)]
    pub(crate) fn is_default(&self) -> bool {
        matches!(self.policy, Held::Ours(_))
    }

    /// A slot enters the domain, where that is short; else nothing is done, and `false`: it is [`Self::enter`] then.
    #[inline(always)]
    pub(crate) fn quick_enter(
        &mut self,
        orders: &mut Orders,
        heads: &mut Heads,
        slot: SlotId,
        hash: u32,
    ) -> bool {
        let Held::Ours(ours) = &mut self.policy else { return false };
        ours.quick_enter(orders, heads, slot, hash)
    }

    /// A slot leaves the domain, where that is short; else nothing is done, and `false`: it is [`Self::leave`] then.
    #[inline(always)]
    pub(crate) fn quick_leave(&mut self, orders: &mut Orders, heads: &mut Heads, slot: SlotId) -> bool {
        let Held::Ours(ours) = &mut self.policy else { return false };
        let left = orders.leave(heads, slot);
        if left {
            ours.note_leaver(slot);
        }
        left
    }

    /// A slot enters the domain: [`Orders::adopt`], and the policy is told.
    pub(crate) fn enter(
        &mut self,
        orders: &mut Orders,
        heads: &mut Heads,
        slot: SlotId,
        hash: u32,
        weight: Weight,
    ) {
        orders.adopt(heads, slot);
        self.on_insert(&mut orders.of(heads), slot, hash, weight);
    }

    /// A slot leaves the domain: the policy is told, and [`Orders::release`].
    pub(crate) fn leave(&mut self, orders: &mut Orders, heads: &mut Heads, slot: SlotId) {
        self.on_remove(&mut orders.of(heads), slot);
        orders.release(heads, slot);
    }

    /// The member that should go next, where it is soon found; a live one. Else [`EvictionPolicy::victim`] finds it.
    #[inline(always)]
    pub(crate) fn quick_victim(&mut self, heads: &Heads, heat: &impl HeatSource) -> Option<SlotId> {
        let Held::Ours(ours) = &mut self.policy else { return None };
        ours.quick_victim(heads, heat)
    }

    /// A key of this hash comes in.
    #[inline(always)]
    pub(crate) fn expect(&self, hash: u32) {
        if let Held::Ours(ours) = &self.policy {
            ours.expect(hash);
        }
    }

    /// The hash of whom the next victim will be chosen from, and the slot of who comes after, where they are at hand.
    #[inline(always)]
    pub(crate) fn look_ahead(
        &self,
        orders: &Orders,
        heads: &Heads,
        heat: &impl HeatSource,
    ) -> Option<(u32, Option<SlotId>)> {
        let Held::Ours(ours) = &self.policy else { return None };
        ours.look_ahead(orders, heads, heat)
    }

    /// Calls the policy, if there still is one; a panic sets it aside.
    fn call<T>(
        &mut self,
        order: &mut Order<'_>,
        act: impl FnOnce(&mut dyn EvictionPolicy, &mut Order<'_>) -> T,
    ) -> Option<T> {
        let policy = match &mut self.policy {
            Held::Ours(ours) => return Some(act(ours, order)),
            Held::Boxed(policy) => &mut **policy,
            Held::Nobody => return None,
        };
        let answer = caught(|| act(policy, order));
        if answer.is_none() {
            self.set_aside(order, Fault::Panicked);
        }
        answer
    }

    /// Goes on without the policy: members it kept in lists stay there, the others are put in one.
    fn set_aside(&mut self, order: &mut Order<'_>, fault: Fault) {
        self.dismiss(fault);
        order.gather(NEW);
    }

    fn dismiss(&mut self, fault: Fault) {
        (self.fault, self.touches, self.heat_limit) = (Some(fault), Touches::None, 0);
        let policy = std::mem::replace(&mut self.policy, Held::Nobody);
        caught(|| drop(policy));
    }
}

impl EvictionPolicy for Guarded {
    fn on_insert(&mut self, order: &mut Order<'_>, slot: SlotId, hash: u32, weight: Weight) {
        let told = self.call(order, |policy, order| policy.on_insert(order, slot, hash, weight));
        if told.is_none() {
            order.push_front(NEW, slot);
        }
    }

    fn on_move(&mut self, order: &mut Order<'_>, from: SlotId, to: SlotId, hash: u32, weight: Weight) {
        let told = self.call(order, |policy, order| policy.on_move(order, from, to, hash, weight));
        if told.is_none() && !order.replace(from, to) {
            order.push_front(NEW, to);
        }
    }

    fn heat_limit(&self) -> u8 {
        self.heat_limit
    }

    fn touches(&self) -> Touches {
        self.touches
    }

    fn on_touch(&mut self, order: &mut Order<'_>, batch: &[SlotId]) {
        self.call(order, |policy, order| policy.on_touch(order, batch));
    }

    fn on_remove(&mut self, order: &mut Order<'_>, slot: SlotId) {
        let told = self.call(order, |policy, order| policy.on_remove(order, slot));
        if told.is_none() {
            order.remove(slot);
        }
    }

    fn victim(&mut self, order: &mut Order<'_>, heat: &Heat<'_>) -> Option<SlotId> {
        match &mut self.policy {
            Held::Ours(ours) => ours.victim(order, heat),
            _ => self.guarded_victim(order, heat),
        }
    }
}

impl Guarded {
    fn guarded_victim(&mut self, order: &mut Order<'_>, heat: &Heat<'_>) -> Option<SlotId> {
        let named = self.call(order, |policy, order| policy.victim(order, heat));
        match named {
            Some(Some(slot)) if order.owns(slot) => return Some(slot),
            Some(None) if order.members() == 0 => return None,
            Some(Some(_)) => self.set_aside(order, Fault::Stranger),
            Some(None) => self.set_aside(order, Fault::Silent),
            None => {}
        }
        oldest(order)
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        if let Held::Boxed(policy) = std::mem::replace(&mut self.policy, Held::Nobody) {
            caught(|| drop(policy));
        }
    }
}

impl std::fmt::Debug for Guarded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Guarded").field("fault", &self.fault).finish_non_exhaustive()
    }
}

/// The next to go without a policy. What it left in higher lists is older than what has entered since, so these
/// are emptied first.
fn oldest(order: &Order<'_>) -> Option<SlotId> {
    (0..LISTS as u8).rev().find_map(|list| order.back(list))
}

/// Runs foreign code; `None` if it panicked.
fn caught<T>(act: impl FnOnce() -> T) -> Option<T> {
    // What the closures capture is either never used again after a panic (the policy) or sound at every point
    // where foreign code can unwind (the order: its methods do not panic).
    let caught: Result<T, Box<dyn Any + Send>> = catch_unwind(AssertUnwindSafe(act));
    match caught {
        Ok(answer) => Some(answer),
        Err(payload) => {
            // A payload is foreign too: if its drop panics, the second one is left alone.
            if let Err(second) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
                std::mem::forget(second);
            }
            None
        }
    }
}
