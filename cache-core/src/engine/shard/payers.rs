//! Who of a shard may go for somebody else: the next victims of its domains, and what they offer to a claim.
//!
//! (1) An entry is chosen out of the domain it belongs to: one whose domain is another by now is brought there first, and chosen
//! from there. (2) Once all have been brought home, nobody looks again until budgets have another structure.
//! Cost: a few domains a question, or all of them where it has to be thorough.

use super::super::Thoroughness;
use super::super::arena::{CHUNK, View};
use super::super::claim::{Claim, Offer, Standing};
use super::super::domain::Domains;
use super::{Books, LockedShard};
use crate::policy::SlotId;

/// How far entries have been brought into the domains that they belong to.
#[derive(Debug, Default)]
pub(super) struct Homing {
    /// The structure of budgets for which all are.
    pub(super) done: u64,
    /// That for which it is under way, and the chunks that were looked at.
    under_way: u64,
    chunks: usize,
}

/// Entries that are brought home at one look for a victim.
const HOMED_ON_THE_WAY: usize = 64;

/// How an offer is asked for.
#[derive(Debug, Clone, Copy)]
pub(in crate::engine) struct Wanted {
    /// Who does not pay.
    pub(in crate::engine) spare: Option<SlotId>,
    pub(in crate::engine) generation: u8,
    pub(in crate::engine) structure: u64,
    /// Which domains are asked.
    pub(in crate::engine) how: Thoroughness,
}

impl<K, V: Send + Sync + 'static> LockedShard<'_, K, V> {
    /// The coldest next victim of a few domains, `spare` excepted, and its age in generations, which is shown to others.
    pub(in crate::engine) fn victim(
        &mut self,
        spare: Option<SlotId>,
        generation: u8,
    ) -> Option<(SlotId, u8)> {
        let victim = self.coldest(spare, generation);
        self.show(victim.map_or(u32::MAX, |(_, age)| generation.wrapping_sub(age).into()));
        victim
    }

    fn coldest(&mut self, spare: Option<SlotId>, generation: u8) -> Option<(SlotId, u8)> {
        let (view, Books { spaces, domains, .. }) = self.parts();
        if !spaces.are_separate() {
            let slot = domains.victim(0, view, spare)?;
            return Some((slot, age_of(view, slot, generation)?.0));
        }
        let offers = domains.candidates().filter_map(|domain| {
            let slot = domains.victim(domain, view, spare)?;
            Some((slot, age_of(view, slot, generation)?))
        });
        // Of equally cold ones the last: turns are taken.
        offers.max_by_key(|&(_, age)| age).map(|(slot, (age, _))| (slot, age))
    }

    /// The next to go of a domain. Entries that belong to another one by now are brought there on the way.
    pub(in crate::engine) fn victim_of(
        &mut self,
        domain: u32,
        structure: u64,
        spare: Option<SlotId>,
    ) -> Option<SlotId> {
        for _ in 0..HOMED_ON_THE_WAY {
            let (view, Books { domains, homing, .. }) = self.parts();
            let slot = domains.victim(domain, view, spare)?;
            if homing.done == structure || !self.bring_home(slot, structure) {
                return Some(slot);
            }
        }
        None
    }

    /// Brings an entry into the domain it belongs to; whether it was in another.
    fn bring_home(&mut self, slot: SlotId, structure: u64) -> bool {
        let (view, Books { domains, spaces, weights, .. }) = self.parts();
        let Some(entry) = view.entry(slot) else { return false };
        let home = spaces.home_of(view.charged_of(entry), structure, domains);
        let (Some(home), Some(present)) = (home, domains.of(slot)) else { return false };
        domains.rehome([present, home], slot, entry.header().hash(), weights.of(slot));
        home != present
    }

    /// Brings entries among the next so many chunks of slots into the domains they belong to; whether all are there now.
    pub(in crate::engine) fn go_on_homing(&mut self, structure: u64, chunks: usize) -> bool {
        let homing = &mut self.books().homing;
        if homing.done == structure {
            return true;
        }
        if homing.under_way != structure {
            (homing.under_way, homing.chunks) = (structure, 0);
        }
        let from = homing.chunks;
        let end = self.view().span() / CHUNK;
        let to = end.min(from.saturating_add(chunks));
        for chunk in from..to {
            for slot in self.view().live_in(chunk) {
                self.bring_home(slot, structure);
            }
        }
        let homing = &mut self.books().homing;
        homing.chunks = to;
        if to == end {
            homing.done = structure;
        }
        to == end
    }

    /// How far whoever is furthest beyond its reserve is, of a few domains that can pay for a claim.
    pub(in crate::engine) fn furthest(&mut self, claim: &Claim<'_>, shards: usize) -> Option<Standing> {
        let domains = &mut self.books().domains;
        let few = domains.candidates();
        few.filter_map(|domain| standing(domains, domain, claim, shards)).max()
    }

    /// The best offer of a few domains, or of all, to a claim, and who would go. `shards` says how many shards there are like this
    /// one.
    pub(in crate::engine) fn offer(
        &mut self,
        claim: &Claim<'_>,
        wanted: &Wanted,
        shards: usize,
    ) -> Option<(Offer, SlotId)> {
        let Wanted { spare, generation, structure, how } = *wanted;
        let domains = &mut self.books().domains;
        let own = (how == Thoroughness::Own).then(|| domains.of_number(claim.within.number()));
        let few = (how == Thoroughness::Few).then(|| domains.candidates());
        let is_thorough = matches!(how, Thoroughness::All | Thoroughness::EvenOwn);
        let all = is_thorough.then(|| domains.all());
        let asked =
            own.flatten().into_iter().chain(few.into_iter().flatten()).chain(all.into_iter().flatten());
        let mut best: Option<(Offer, SlotId)> = None;
        for domain in asked {
            let Some(standing) = standing(&self.books().domains, domain, claim, shards) else { continue };
            if best.is_some_and(|(offer, _)| offer.standing > standing) {
                continue;
            }
            let Some(slot) = self.victim_of(domain, structure, spare) else { continue };
            let Some((age, coolness)) = age_of(self.view(), slot, generation) else { continue };
            let offer = Offer { standing, age, coolness };
            if best.is_none_or(|(known, _)| offer > known) {
                best = Some((offer, slot));
            }
        }
        best
    }
}

/// How the owner of a domain stands to a claim, if it can pay. There are about so many shards like this one.
fn standing(domains: &Domains, domain: u32, claim: &Claim<'_>, shards: usize) -> Option<Standing> {
    let held = domains.len(domain).saturating_mul(shards as u64);
    claim.standing(domains.owner(domain).map(|owner| &**owner), held)
}

/// Generations since an entry was last used, and how little it was hit.
fn age_of<K, V>(view: View<'_, K, V>, slot: SlotId, generation: u8) -> Option<(u8, u8)> {
    let header = view.entry(slot)?.header();
    Some((generation.wrapping_sub(header.age()), u8::MAX - header.heat(view.heat_limit())))
}
