//! Who may be asked to pay for whom, where scopes have budgets.
//!
//! A claim says for whose entry room is made, and in which scope there is too much of what. (1) Only entries in that scope can pay.
//! (2) Whoever is within its reserve pays for nobody else: a scope that is not on the path of the claimant protects all below it
//! as long as it holds no more than its reserve of the unit in question. (3) Of those who may pay, the one goes first whose
//! highest scope below the one in question is furthest beyond its reserve, then the one that is itself, then the coldest; what is
//! within a factor of two counts as equal, so that between equals the coldest goes. Cost: one walk up the payer's path, and one
//! up the claimant's for each of its scopes.

use crate::scope::{Node, Unit};

/// A need for room.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Claim<'a> {
    /// The scope that the room is for.
    pub(crate) of: &'a Node,
    /// The scope that holds too much, on the path of that one.
    pub(crate) within: &'a Node,
    /// What it holds too much of.
    pub(crate) unit: Unit,
    /// How much of it the room is for, where the newcomer is not charged yet.
    pub(crate) more: u64,
}

/// How far a payer is beyond what it may keep: the more, the sooner it pays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Standing {
    /// The highest scope of its path that has a budget, below the one that holds too much.
    highest: u8,
    /// The lowest.
    lowest: u8,
}

impl Standing {
    /// Of whoever asks for room within its reserve.
    const WITHIN: Self = Self { highest: 0, lowest: 0 };

    /// How far the highest scope is.
    pub(crate) fn class(self) -> u8 {
        self.highest
    }

    /// Whether another class is so much further that it should pay instead: by more than a factor of two, whatever side of a power
    /// of two both are on.
    pub(crate) fn is_well_before(self, class: u8) -> bool {
        self.highest + 1 < class
    }

    /// Whether it holds no more than it may keep, so that it pays for itself only, and only if nobody else can.
    pub(crate) fn is_within_reserve(self) -> bool {
        self.highest == 0
    }
}

/// What a domain offers: the further beyond its reserve, and the older, the greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Offer {
    pub(crate) standing: Standing,
    /// Generations since the victim was last used.
    pub(crate) age: u8,
    /// The greater, the less it was hit.
    pub(crate) coolness: u8,
}

impl Claim<'_> {
    /// How an owner of about so many entries stands; `None` if it cannot pay. `None` as the owner stands for all scopes without a
    /// budget.
    pub(crate) fn standing(&self, owner: Option<&Node>, entries: u64) -> Option<Standing> {
        let held = self.in_its_unit(entries);
        let Some(owner) = owner else {
            let is_root = self.within.parent().is_none();
            return is_root.then(|| Standing { highest: class(held), lowest: class(held) });
        };
        // What an evicted scope left is nobody's, and makes no room.
        if !owner.is_live() {
            return None;
        }
        let (mut highest, mut lowest, mut is_shared, mut is_within) = (None, None, false, false);
        for node in owner.chain() {
            if node.id() == self.within.id() {
                // Whoever is within its reserve and asks for room pays last.
                if is_within {
                    return Some(Standing::WITHIN);
                }
                let of = |beyond: Option<u64>| class(beyond.unwrap_or(held));
                return Some(Standing { highest: of(highest), lowest: of(lowest) });
            }
            is_shared = is_shared || self.of.chain().any(|own| own.id() == node.id());
            if node.account().is_some_and(|account| account.has_terms()) {
                let beyond = node.beyond_reserve(self.unit, 0);
                if beyond.is_none() && !is_shared {
                    return None;
                }
                is_within |= beyond.is_none();
                highest = beyond;
                lowest = lowest.or(highest);
            }
        }
        // Elsewhere.
        None
    }

    /// How the claimant itself stands with its newcomer; as [`standing`](Self::standing) for its own domain.
    pub(crate) fn own_standing(&self) -> Standing {
        let (mut highest, mut lowest) = (None, None);
        for node in self.of.chain().take_while(|node| node.id() != self.within.id()) {
            if node.account().is_some_and(|account| account.has_terms()) {
                let beyond = node.beyond_reserve(self.unit, self.more);
                if beyond.is_none() {
                    return Standing::WITHIN;
                }
                highest = beyond;
                lowest = lowest.or(highest);
            }
        }
        let of = |beyond: Option<u64>| class(beyond.unwrap_or_else(|| self.within.held(self.unit)));
        Standing { highest: of(highest), lowest: of(lowest) }
    }

    /// Whether the claimant's entries are those of the scope that holds too much, and of no scope with a budget below it.
    pub(crate) fn is_its_own(&self) -> bool {
        let has_terms = |node: &&Node| node.account().is_some_and(|account| account.has_terms());
        self.of.chain().find(has_terms).is_some_and(|payer| payer.id() == self.within.id())
    }

    /// So many entries, by the mean weight where weight is what there is too much of.
    fn in_its_unit(&self, entries: u64) -> u64 {
        match self.unit {
            Unit::Entries => entries,
            Unit::Weight => entries.saturating_mul(self.within.weight() / self.within.entries().max(1)),
        }
    }
}

/// Who paid last for a scope that held too much, as those who come next remember it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LastPayer {
    /// Where it was.
    pub(crate) region: usize,
    pub(crate) shard: usize,
    /// How far it was beyond its reserve.
    pub(crate) class: u8,
}

impl LastPayer {
    pub(crate) fn unpack(word: u64) -> Self {
        let [class, shard @ ..] = (word as u32).to_le_bytes();
        let shard = u32::from_le_bytes([shard[0], shard[1], shard[2], 0]) as usize;
        Self { region: (word >> 32) as usize, shard, class }
    }

    pub(crate) fn pack(self) -> u64 {
        (self.region as u64) << 32 | (self.shard as u64 & 0xff_ffff) << 8 | u64::from(self.class)
    }
}

/// Numbers within a factor of two of each other are of one class.
fn class(count: u64) -> u8 {
    (u64::BITS - count.leading_zeros()) as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_payer_is_remembered_as_it_was() {
        let last = LastPayer { region: 70_000, shard: 127, class: 64 };
        assert_eq!(LastPayer::unpack(last.pack()), last);
    }

    #[test]
    fn numbers_within_a_factor_of_two_are_of_one_class() {
        assert_eq!([0, 1, 2, 3, 4, 7, 8, u64::MAX].map(class), [0, 1, 2, 2, 3, 3, 4, 64]);
    }
}
