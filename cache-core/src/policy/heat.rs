//! How often a slot was hit lately, as policies see it: a small saturating number that hits raise.
//!
//! (1) Heat is a hint: hits race with readers, so it may be raised or lost between two reads; a policy must end
//! even if cooling has no effect. (2) A slot that is not live has heat 0, and cooling it does nothing.
//! (3) Hits raise heat up to the policy's [`heat_limit`](super::EvictionPolicy::heat_limit) and do nothing else.
//! (4) A slot's hash does not change as long as the slot is live.
//! Cost: one indirect call per read, on eviction only; heat and hash together are one read.

use super::SlotId;

/// No heat is above this, whatever limit a policy asks for: the engine keeps a bit of the byte for itself, and a value.
pub(crate) const MOST_HEAT: u8 = u8::MAX / 2 - 1;

/// Where the heat of slots is kept: the engine's arena, or a table in a test.
pub trait HeatSource {
    /// A slot's heat; 0 if it is not live.
    fn heat(&self, slot: SlotId) -> u8;

    /// Lowers a slot's heat to a value; does nothing if it is not higher or the slot is not live.
    fn cool(&self, slot: SlotId, to: u8);

    /// The hash of a slot's key, the same number that [`EvictionPolicy`](super::EvictionPolicy) is told of at the
    /// insert; 0 if the slot is not live.
    fn hash(&self, slot: SlotId) -> u32;

    /// Heat and hash at once, where that is cheaper than one after the other; `None` only if the slot is not live.
    fn look(&self, slot: SlotId) -> Option<(u8, u32)> {
        Some((self.heat(slot), self.hash(slot)))
    }
}

/// A view of the heat of slots, and of the hashes of their keys, handed to [`EvictionPolicy::victim`](super::EvictionPolicy::victim).
#[derive(Clone, Copy)]
pub struct Heat<'a>(&'a dyn HeatSource);

impl<'a> Heat<'a> {
    /// A view of a source.
    pub fn new(source: &'a dyn HeatSource) -> Self {
        Self(source)
    }

    /// A slot's heat; 0 if it is not live.
    pub fn of(&self, slot: SlotId) -> u8 {
        self.0.heat(slot)
    }

    /// Lowers a slot's heat to a value; does nothing if it is not higher or the slot is not live.
    pub fn cool(&self, slot: SlotId, to: u8) {
        self.0.cool(slot, to);
    }

    /// The hash of a slot's key, as at its insert; 0 if the slot is not live.
    pub fn hash(&self, slot: SlotId) -> u32 {
        self.0.hash(slot)
    }

    /// A slot's heat, and the hash of its key as at its insert; 0 and 0 if it is not live. One call for both.
    pub fn look(&self, slot: SlotId) -> (u8, u32) {
        self.0.look(slot).unwrap_or_default()
    }
}

impl Heat<'static> {
    /// A view in which every slot is cold, for tests and for policies that need no heat.
    pub fn cold() -> Self {
        Self(&Cold)
    }
}

impl std::fmt::Debug for Heat<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Heat")
    }
}

struct Cold;

impl HeatSource for Cold {
    fn heat(&self, _slot: SlotId) -> u8 {
        0
    }

    fn cool(&self, _slot: SlotId, _to: u8) {}

    fn hash(&self, _slot: SlotId) -> u32 {
        0
    }
}
