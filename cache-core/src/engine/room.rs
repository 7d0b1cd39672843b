//! Keeping the bounds: who pays when the cache is too full.
//!
//! Expired entries go first. Then the newcomer's shard and a few regions sampled by their size offer their next
//! victim, and the coldest goes (age counted in generations of the cache). Shards show how old their next victim was when it was
//! last looked for: a newcomer whose own is as old pays at once, under the lock it holds, without asking the others. Where scopes
//! have budgets, a few shards are asked what their domains offer to the claim (`claim.rs`); a newcomer beyond its reserve pays
//! at once, unless whoever paid last was further beyond its own; one in 32 looks for such, so that shares even out. (1) The newcomer pays for itself only if
//! the bounds are too low for it alone: they were lowered during its write, or all else is reserved. (2) The loop ends at the
//! bounds, or when nothing is left. (3) No lock is held between steps. (4) Where a few that were asked cannot pay, all are asked.
//! Cost: none but its own lock for a newcomer that pays at once; up to five more for one that does not, and a look at every
//! domain where those few cannot pay.

use std::sync::atomic::Ordering::Relaxed;

use super::claim::{Claim, LastPayer, Standing};
use super::{Engine, RegionId, RegionOps, Thoroughness};
use crate::clock::Moment;
use crate::policy::SlotId;
use crate::scope::{Node, Unit};
use crate::sync::Arc;

/// Slots that an insert looks at on its way while entries of evicted scopes wait to be swept.
const SWEEP_STEP: usize = 64;

/// Regions asked for a victim beside the newcomer's.
const SAMPLES: usize = 2;

/// Newcomers beyond their reserve in whose hash these bits are zero look whether others are further beyond theirs.
const ASKED: u64 = 31;

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
        self.claim_with(node, [1, weight]).is_some()
    }

    /// After a write to a node: whether [`make_room`](Self::make_room) has something to do.
    #[inline]
    pub(crate) fn is_over_at(&self, node: &Node) -> bool {
        self.has_dead() || self.claim_with(node, [0, 0]).is_some()
    }

    /// What a newcomer to a scope needs room for: in the lowest scope of its path that is full.
    #[inline]
    pub(crate) fn claim_with<'a>(&self, of: &'a Node, more: [u64; 2]) -> Option<Claim<'a>> {
        if self.has_budgets()
            && let Some((within, unit)) = of.first_over(more)
        {
            return Some(Claim { of, within, unit, more: more[unit as usize] });
        }
        let within = of.root();
        let [entries, weight] = Unit::BOTH.map(|unit| within.held(unit).saturating_add(more[unit as usize]));
        let unit = self.limits().exceeded_in(entries, weight)?;
        Some(Claim { of, within, unit, more: more[unit as usize] })
    }

    /// Where there are budgets: whether a newcomer to a scope pays at once, out of the domain it comes to. Not within a reserve,
    /// nor where whoever paid last was further beyond its own. Now and then it has to be asked whether somebody is; then this says no
    /// where `asks` does, which locks another shard.
    pub(crate) fn pays_itself(
        &self,
        claim: &Claim<'_>,
        hash: u64,
        asks: impl FnOnce(Standing) -> bool,
    ) -> bool {
        if claim.is_its_own() {
            return true;
        }
        let own = claim.own_standing();
        let note = self.note_of(claim.within);
        let last = LastPayer::unpack(note.load(Relaxed));
        let is_asked = hash >> 8 & ASKED == 0;
        if own.is_within_reserve() || own.is_well_before(last.class) || (is_asked && asks(own)) {
            return false;
        }
        if own.class() > last.class {
            note.store(LastPayer { class: own.class(), ..last }.pack(), Relaxed);
        }
        true
    }

    /// Whether a shard that is chosen at random has somebody who is further beyond its reserve; it is noted then.
    pub(crate) fn has_somebody_further(&self, claim: &Claim<'_>, own: Standing) -> bool {
        let regions = self.regions().present();
        let [place, ..] = self.places(&regions);
        let Some((region, shard)) = place else { return false };
        let Some(class) = regions[region].furthest(shard, claim).map(Standing::class) else { return false };
        if !own.is_well_before(class) {
            return false;
        }
        self.note_of(claim.within).store(LastPayer { region, shard, class }.pack(), Relaxed);
        true
    }

    /// Evicts until the cache is within its bounds again, and so are the scopes on the path of a newcomer.
    pub(crate) fn make_room(&self, spare: Spare, of: Option<&Arc<Node>>) {
        if self.has_dead() && self.is_physically_full() {
            self.sweep_step(SWEEP_STEP);
        }
        loop {
            let (root, causer) = (self.registry().root(), of.map(|node| &**node));
            // What an evicted scope held is no longer in anybody's way.
            let of = of.filter(|node| node.is_live()).unwrap_or(&root);
            let Some(claim) = self.claim_with(of, [0, 0]) else { break };
            // Whoever expired in our stead has made room as well.
            if self.expire_due() > 0 {
                continue;
            }
            let evicts = |spare| {
                if self.has_budgets() { self.evict_for(spare, &claim) } else { self.evict_one(spare, causer) }
            };
            if evicts(spare) || self.claim_with(of, [0, 0]).is_none() || evicts(Spare::NOBODY) {
                continue;
            }
            break;
        }
    }

    /// Evicts one that may pay for a claim.
    fn evict_for(&self, spare: Spare, claim: &Claim<'_>) -> bool {
        let regions = self.regions().present();
        let own = regions.iter().position(|region| region.id() == spare.region).map(|at| (at, spare.shard));
        let note = self.note_of(claim.within);
        let LastPayer { region: at, shard, .. } = LastPayer::unpack(note.load(Relaxed));
        let known = regions.get(at).filter(|region| shard < region.shards()).map(|_| (at, shard));
        let asked = self.places(&regions).into_iter().chain([own, known]).flatten();
        let offers = asked.filter_map(|(at, shard)| {
            regions[at].offer(self, shard, claim, spare).map(|offer| (offer, (at, shard)))
        });
        let evicts = |(region, shard): (usize, usize), how| {
            let paid = regions[region].evict_for(self, shard, claim, spare, how);
            if let Some(standing) = paid {
                note.store(LastPayer { region, shard, class: standing.class() }.pack(), Relaxed);
            }
            paid.is_some()
        };
        let all = || {
            let shards = |(at, region): (usize, &Arc<dyn RegionOps>)| {
                (0..region.shards()).map(move |shard| (at, shard))
            };
            regions.iter().enumerate().flat_map(shards)
        };
        if claim.is_its_own() {
            // One look a shard tells whether it has entries of one owner.
            let next = own.map_or(0, |(_, shard)| shard + 1);
            let turned = |(at, shard): (usize, usize)| (at, (shard + next) % regions[at].shards());
            if all().map(turned).any(|place| evicts(place, Thoroughness::Own)) {
                return true;
            }
        } else if let Some((_, place)) = offers.max_by_key(|(offer, _)| *offer)
            && evicts(place, Thoroughness::Few)
        {
            return true;
        }
        if all().any(|place| evicts(place, Thoroughness::All)) {
            return true;
        }
        // Some may be in domains where they do not belong any more, and so are not offered.
        all().for_each(|(at, shard)| regions[at].bring_home(self, shard));
        all().any(|place| evicts(place, Thoroughness::All))
            || all().any(|place| evicts(place, Thoroughness::EvenOwn))
    }

    /// Dead entries count towards this bound only. Asks every region, while there are dead entries.
    fn is_physically_full(&self) -> bool {
        let held = |(entries, weight): (u64, u64), region: &Arc<dyn RegionOps>| {
            (entries.saturating_add(region.entries()), weight.saturating_add(region.weight()))
        };
        let (entries, weight) = self.regions().all().iter().fold((0, 0), held);
        self.limits().exceeded_by(entries.saturating_add(1), weight.saturating_add(1))
    }

    fn evict_one(&self, spare: Spare, of: Option<&Node>) -> bool {
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
            && regions[at].evict_from(self, shard, spare, of)
        {
            return true;
        }
        // None of the candidates could pay: ask everybody in turn.
        regions
            .iter()
            .any(|region| (0..region.shards()).any(|shard| region.evict_from(self, shard, spare, of)))
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
        self.places(regions).map(|place| place.filter(|&(at, _)| regions[at].id() != own))
    }

    /// One shard each of a few regions, chosen with a chance that grows with their size.
    fn places(&self, regions: &[Arc<dyn RegionOps>]) -> [Option<(usize, usize)>; SAMPLES] {
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
            Some((at, shard))
        })
    }
}

impl Engine {
    /// A number above 0 and at most 1, each as likely as any other.
    pub(super) fn chance(&self) -> f64 {
        ((scramble(self.next_draw()) >> 11) + 1) as f64 / (1_u64 << 53) as f64
    }

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
