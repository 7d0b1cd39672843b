//! Which entry goes: eviction policies, one algorithm a file, and the lists they keep their order in.
//!
//! (1) A policy proposes, the engine disposes: it checks every victim, so a wrong one spoils the hit ratio and
//! nothing else. (2) A policy names no key and no value, only slots; it is told about members of one domain.
//! (3) A hit never calls a policy: it raises the slot's [`Heat`], and reaches the policy later, in batches, only if
//! the policy wants that, which makes hits slower.
//! (4) Policies run under a shard's lock: they must not call the cache, block or allocate without bound.
//! Cost: one boxed call per insert, removal and eviction, none for the default; links cost 8 bytes a slot ([`order`]).
//!
//! The engine keeps this sequence: [`Orders::adopt`], [`EvictionPolicy::on_insert`], touches, then
//! [`EvictionPolicy::on_remove`], [`Orders::release`]; for an overwrite [`Orders::adopt`] of the new slot,
//! [`EvictionPolicy::on_move`], [`Orders::release`] of the old one. It asks for victims *before* it tells of the insert that
//! needs the room, for some policies (LFU) would otherwise name the newcomer. The default is called by ways
//! of its own, which are shorter and come to the same ([`guard`]).

pub mod adaptive;
pub mod contract;
mod duel;
pub mod fifo;
mod ghost;
pub mod guard;
mod heads;
pub mod heat;
mod history;
pub mod kind;
pub mod lfu;
mod link;
pub mod lru;
pub mod order;
pub mod s3fifo;
pub mod sieve;
pub mod simulation;
mod sketch;
pub mod w_tinylfu;

#[cfg(test)]
mod tests;

pub use adaptive::Adaptive;
pub use fifo::Fifo;
pub use guard::{Fault, Guarded};
pub use heads::{Heads, LISTS};
pub(crate) use heat::MOST_HEAT;
pub use heat::{Heat, HeatSource};
pub use kind::{Custom, Policy};
pub use lfu::Lfu;
pub use lru::Lru;
pub use order::{Order, Orders};
pub(crate) use order::{cut, grow};
pub use s3fifo::S3Fifo;
pub use sieve::Sieve;
pub use simulation::Simulation;
pub use w_tinylfu::WTinyLfu;

/// The cost of an entry, without a unit: 1 where entries are counted, bytes where they are weighed.
pub type Weight = u64;

/// The number of a slot in its shard's arena.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotId(pub u32);

impl SlotId {
    /// The number as an index into an arena.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Which hits a policy has to be told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Touches {
    /// None.
    #[default]
    None,
    /// The latest of each slot. In a cache of more than 1,024 entries one that comes shortly after another, by writes to
    /// the cache, may be left out.
    Latest,
    /// Each.
    Each,
}

/// Decides what goes within one eviction domain.
///
/// One policy serves one domain, and keeps its order in the [`Order`] it is given each time (or in state of its
/// own). It may panic or name a wrong slot without harm to the cache: see [`Guarded`]. [`contract::check`] tests
/// an implementation against everything that is expected here.
///
/// ```
/// use strata_cache_core::policy::{EvictionPolicy, Heat, Order, SlotId, Weight, contract};
///
/// /// Evicts the newest first.
/// struct Stack;
///
/// impl EvictionPolicy for Stack {
///     fn on_insert(&mut self, order: &mut Order<'_>, slot: SlotId, _hash: u32, _weight: Weight) {
///         order.push_front(0, slot);
///     }
///     fn on_remove(&mut self, order: &mut Order<'_>, slot: SlotId) {
///         order.remove(slot);
///     }
///     fn victim(&mut self, order: &mut Order<'_>, _heat: &Heat<'_>) -> Option<SlotId> {
///         order.front(0)
///     }
/// }
///
/// contract::check(|| Box::new(Stack));
/// ```
pub trait EvictionPolicy: Send {
    /// A slot entered the domain: the hash of its key, which [`Heat::hash`] repeats, and its weight.
    fn on_insert(&mut self, order: &mut Order<'_>, slot: SlotId, hash: u32, weight: Weight);

    /// The entry in one slot was overwritten and lives in another slot from now on: the first is about to leave the
    /// domain, the second entered it and is in no list. Its heat is the old one, raised by the overwrite as by a hit.
    /// [`Order::replace`] keeps the place in the list; by default the entry leaves and enters anew.
    fn on_move(&mut self, order: &mut Order<'_>, from: SlotId, to: SlotId, hash: u32, weight: Weight) {
        self.on_remove(order, from);
        self.on_insert(order, to, hash, weight);
    }

    /// How far hits raise the heat of a slot, 126 at most. A low limit spares writes: a hit writes nothing where the limit is
    /// reached. Asked once, when the domain is made.
    fn heat_limit(&self) -> u8 {
        3
    }

    /// Of which hits [`EvictionPolicy::on_touch`] is to be told. Asked once, when the domain is made.
    fn touches(&self) -> Touches {
        Touches::None
    }

    /// Slots that were hit or overwritten, in that order; one may stand there repeatedly.
    fn on_touch(&mut self, _order: &mut Order<'_>, _batch: &[SlotId]) {}

    /// A slot is about to leave the domain, for whatever reason; it will not be named again before its next insert.
    fn on_remove(&mut self, order: &mut Order<'_>, slot: SlotId);

    /// Names the member that should go next, or none if the domain is empty. Nothing has happened to it yet: the
    /// engine calls [`EvictionPolicy::on_remove`] if it agrees, and may ask again if it does not.
    fn victim(&mut self, order: &mut Order<'_>, heat: &Heat<'_>) -> Option<SlotId>;
}

impl<P: EvictionPolicy + ?Sized> EvictionPolicy for Box<P> {
    fn on_insert(&mut self, order: &mut Order<'_>, slot: SlotId, hash: u32, weight: Weight) {
        (**self).on_insert(order, slot, hash, weight);
    }

    fn on_move(&mut self, order: &mut Order<'_>, from: SlotId, to: SlotId, hash: u32, weight: Weight) {
        (**self).on_move(order, from, to, hash, weight);
    }

    fn heat_limit(&self) -> u8 {
        (**self).heat_limit()
    }

    fn touches(&self) -> Touches {
        (**self).touches()
    }

    fn on_touch(&mut self, order: &mut Order<'_>, batch: &[SlotId]) {
        (**self).on_touch(order, batch);
    }

    fn on_remove(&mut self, order: &mut Order<'_>, slot: SlotId) {
        (**self).on_remove(order, slot);
    }

    fn victim(&mut self, order: &mut Order<'_>, heat: &Heat<'_>) -> Option<SlotId> {
        (**self).victim(order, heat)
    }
}
