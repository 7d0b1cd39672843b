//! Keeping the bounds: who pays when the cache is too full.
//!
//! Expired entries go first. Then the newcomer's shard and a few regions sampled by their size offer their next
//! victim, and the coldest goes (age counted in generations of the cache). Shards show how old their next victim was when it was
//! last looked for: a newcomer whose own is as old pays at once, under the lock it holds, without asking the others. (1) The newcomer pays for itself only if the
//! bounds are too low for it alone: they were lowered during its write. (2) The loop ends at the bounds, or when
//! nothing is left. (3) No lock is held between steps.
//! Cost: none but its own lock for a newcomer that pays at once; up to four more for one that does not.

use super::{Engine, RegionId, RegionOps};
use crate::clock::Moment;
use crate::policy::SlotId;
use crate::scope::Node;
use crate::sync::Arc;

/// Slots that an insert looks at on its way while entries of evicted scopes wait to be swept.
const SWEEP_STEP: usize = 64;

/// Regions asked for a victim beside the newcomer's.
const SAMPLES: usize = 2;

/// An entry that was just written and does not have to pay for its own place.
#[derive(Debug, Clone, Copy)]
pub struct Spare {
    pub(crate) region: RegionId,
    pub(crate) shard: usize,
    pub(crate) slot: SlotId,
}

impl Spare {
    /// Nobody is spared.
    pub(crate) const NOBODY: Self = Self { region: RegionId(u64::MAX), shard: 0, slot: SlotId(u32::MAX) };

    /// The spared slot, if it is in this shard.
    pub(crate) fn in_shard(&self, region: RegionId, shard: usize) -> Option<SlotId> {
        (self.region == region && self.shard == shard).then_some(self.slot)
    }
}

impl Engine {
    /// Whether one entry more of this weight is too much. `node` is any of the present scopes.
    #[inline]
    pub(crate) fn is_full_for(&self, node: &Node, weight: u64) -> bool {
        let root = node.root();
        self.limits().exceeded_by(root.entries().saturating_add(1), root.weight().saturating_add(weight))
    }

    /// After a write to a node: whether [`make_room`](Self::make_room) has something to do.
    #[inline]
    pub(crate) fn is_over_at(&self, node: &Node) -> bool {
        let root = node.root();
        self.has_dead() || self.limits().exceeded_by(root.entries(), root.weight())
    }

    /// Evicts until the cache is within its bounds again.
    pub(crate) fn make_room(&self, spare: Spare) {
        if self.has_dead() && self.is_physically_full() {
            self.sweep_step(SWEEP_STEP);
        }
        while self.is_over() {
            // Whoever expired in our stead has made room as well.
            if self.expire_due() > 0 || !self.is_over() {
                continue;
            }
            if self.evict_one(spare) {
                continue;
            }
            if !self.is_over() || !self.evict_one(Spare::NOBODY) {
                break;
            }
        }
    }

    fn is_over(&self) -> bool {
        let (entries, weight) = self.registry().total();
        self.limits().exceeded_by(entries, weight)
    }

    /// Dead entries count towards this bound only. Asks every region, while there are dead entries.
    fn is_physically_full(&self) -> bool {
        let held = |(entries, weight): (u64, u64), region: &Arc<dyn RegionOps>| {
            (entries.saturating_add(region.entries()), weight.saturating_add(region.weight()))
        };
        let (entries, weight) = self.regions().all().iter().fold((0, 0), held);
        self.limits().exceeded_by(entries.saturating_add(1), weight.saturating_add(1))
    }

    fn evict_one(&self, spare: Spare) -> bool {
        let regions = self.regions().present();
        let own = regions.iter().position(|region| region.id() == spare.region).map(|at| (at, spare.shard));
        let generation = self.generation();
        let mut coldest = own;
        let samples = self.samples(&regions, spare.region);
        if own.is_none() || samples != [None; SAMPLES] {
            let offers = samples.into_iter().chain([own]).flatten().filter_map(|(at, shard)| {
                regions[at].coldest(shard, spare, generation).map(|age| (age, (at, shard)))
            });
            coldest = offers.max_by_key(|(age, _)| *age).map(|(_, place)| place);
        }
        if let Some((at, shard)) = coldest
            && regions[at].evict_from(self, shard, spare)
        {
            return true;
        }
        // None of the candidates could pay: ask everybody in turn.
        regions.iter().any(|region| (0..region.shards()).any(|shard| region.evict_from(self, shard, spare)))
    }

    /// How old the next to go in a newcomer's own shard has to be to pay for it: as old as what a few other regions showed last.
    /// `None` if somebody has to look. Takes no lock.
    #[inline]
    pub(crate) fn age_to_pay(&self, own: RegionId) -> Option<u8> {
        if self.is_alone() { Some(0) } else { self.age_of_others(own) }
    }

    #[inline(never)]
    fn age_of_others(&self, own: RegionId) -> Option<u8> {
        let (regions, generation) = (self.regions().present(), self.generation());
        let shown = |(at, shard): (usize, usize)| regions[at].shown_age(shard, generation);
        self.samples(&regions, own)
            .into_iter()
            .flatten()
            .try_fold(0, |age, place| Some(age.max(shown(place)?)))
    }

    /// One shard each of a few regions, chosen with a chance that grows with their size; none where the choice is this one.
    fn samples(&self, regions: &[Arc<dyn RegionOps>], own: RegionId) -> [Option<(usize, usize)>; SAMPLES] {
        let total: u64 = regions.iter().map(|region| region.entries()).sum();
        std::array::from_fn(|_| {
            let draw = scramble(self.next_draw());
            let mut point = draw.checked_rem(total)?;
            let at = regions.iter().position(|region| match point.checked_sub(region.entries()) {
                Some(rest) => {
                    point = rest;
                    false
                }
                None => true,
            })?;
            let shard = (draw >> 40) as usize % regions[at].shards();
            (regions[at].id() != own).then_some((at, shard))
        })
    }
}

impl Engine {
    /// A deadline that comes earlier by a part of its own, up to so many 256ths of the time from now.
    pub(super) fn shorten(&self, now: Moment, deadline: Moment, jitter: u8) -> Moment {
        if jitter == 0 {
            return deadline;
        }
        let most = (u128::from(deadline.nanos().saturating_sub(now.nanos())) * u128::from(jitter)) >> 8;
        let part = (most * u128::from(scramble(self.next_draw()) >> 32)) >> 32;
        let less = u64::try_from(part).unwrap_or(0);
        Moment::from_nanos(deadline.nanos().saturating_sub(less).max(now.nanos().saturating_add(1)))
    }
}

/// Spreads a counter over all bits: the finaliser of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014, section 4).
fn scramble(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
