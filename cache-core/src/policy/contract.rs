//! One test that every eviction policy passes, for ours and for yours.
//!
//! What is checked, by seeded random runs over integers, in two domains of one arena at a time:
//! (1) a victim is a member of the domain, and there is one exactly as long as there are members; (2) members that
//! leave only as victims are each named, once; (3) a removal may come at any time, and leaves the slot in no list;
//! (4) touches may repeat a slot and name slots that have left or moved to the other domain meanwhile; (5) naming
//! a victim ends, even if heat cannot be cooled; (6) an engine may decline a victim and ask again, and may insert
//! before it asks or after; (7) slot numbers are used again; (8) after all are gone no list holds any; (9) an
//! overwrite moves a member to another slot: the old one is in no list then; (10) heat goes as high as the policy
//! wants at most, and a slot's hash is the one it was inserted with.
//! Not checked: how good the choice is. Cost: some 20,000 calls, well under a second.

use std::cell::Cell;

use super::{EvictionPolicy, Heads, Heat, HeatSource, Order, Orders, SlotId, Touches};

const SLOTS: u32 = 40;
const SEEDS: u64 = 24;
const STEPS: u32 = 400;
/// More reads of heat than any walk needs that cools each slot from 255 to 0 one by one.
const READS: u32 = SLOTS * 600;

/// Tests a policy against the contract.
///
/// ```
/// use strata_cache_core::policy::{Policy, contract};
///
/// contract::check(|| Policy::Lfu.build());
/// ```
///
/// # Panics
/// If the policy breaks a rule; the message names the rule, the seed and the step, and runs are repeatable.
pub fn check(policy: impl Fn() -> Box<dyn EvictionPolicy>) {
    for seed in 0..SEEDS {
        let mut run = Run::new(&policy, seed);
        while run.step < STEPS {
            run.step += 1;
            run.random_step();
        }
        let first = (seed % 2) as usize;
        run.drain(first);
        run.drain(1 - first);
    }
}

/// One domain, and what is known to be in it.
struct Domain {
    heads: Heads,
    policy: Box<dyn EvictionPolicy>,
    members: Vec<SlotId>,
}

struct Run {
    seed: u64,
    step: u32,
    random: Random,
    orders: Orders,
    domains: [Domain; 2],
    heat: Table,
}

impl Run {
    fn new(policy: &impl Fn() -> Box<dyn EvictionPolicy>, seed: u64) -> Self {
        let domain = |number| Domain { heads: Heads::new(number), policy: policy(), members: Vec::new() };
        Self {
            seed,
            step: 0,
            random: Random(seed),
            orders: Orders::new(),
            domains: [domain(3), domain(9)],
            heat: Table::new(seed.is_multiple_of(3)),
        }
    }

    /// One random thing, of those an engine does. Growth and shrinkage take turns.
    fn random_step(&mut self) {
        let at = self.random.below(2) as usize;
        let grows = (self.step / 50).is_multiple_of(2);
        match self.random.below(10) {
            0..=3 if grows => self.insert(at),
            0 => self.insert(at),
            1..=3 => self.evict(at),
            4 => {
                self.victim(at);
            }
            5 => self.remove(at),
            6 => self.overwrite(at),
            7 => {
                let (slot, by) = (self.random.slot(), 1 << self.random.below(8));
                self.heat.warm(slot, by, self.heat_limit_of(slot));
            }
            _ => self.touch(at),
        }
    }

    fn insert(&mut self, at: usize) {
        let slot = self.random.slot();
        let (hash, weight) = (self.random.next() as u32, 1 + u64::from(self.random.below(1000)));
        let domain = &mut self.domains[at];
        if self.orders.adopt(&mut domain.heads, slot) {
            self.heat.name(slot, hash);
            domain.policy.on_insert(&mut self.orders.of(&mut domain.heads), slot, hash, weight);
            domain.members.push(slot);
        }
    }

    /// Moves a member to a free slot, as an engine does whose entries never change in place.
    fn overwrite(&mut self, at: usize) {
        let (to, weight) = (self.random.slot(), 1 + u64::from(self.random.below(1000)));
        let domain = &mut self.domains[at];
        if domain.members.is_empty() || !self.orders.adopt(&mut domain.heads, to) {
            return;
        }
        let place = self.random.below(domain.members.len() as u32) as usize;
        let from = std::mem::replace(&mut domain.members[place], to);
        self.heat.carry(from, to);
        let hash = self.heat.hash(to);
        let mut order = self.orders.of(&mut domain.heads);
        domain.policy.on_move(&mut order, from, to, hash, weight);
        let unlinked = order.list_of(from).is_none();
        self.orders.release(&mut domain.heads, from);
        self.heat.set(from, 0);
        self.claim(unlinked, "an overwritten slot is taken out of its list");
    }

    fn heat_limit_of(&self, slot: SlotId) -> u8 {
        let owner = self.domains.iter().find(|domain| domain.members.contains(&slot));
        owner.map_or(0, |domain| domain.policy.heat_limit())
    }

    /// Touches slots of any kind: members, slots that left, slots of the other domain, numbers never used.
    fn touch(&mut self, at: usize) {
        let count = self.random.below(12);
        let batch: Vec<SlotId> = (0..count).map(|_| SlotId(self.random.below(SLOTS + 5))).collect();
        let domain = &mut self.domains[at];
        if domain.policy.touches() != Touches::None {
            domain.policy.on_touch(&mut self.orders.of(&mut domain.heads), &batch);
        }
    }

    fn remove(&mut self, at: usize) {
        let members = &self.domains[at].members;
        if !members.is_empty() {
            let slot = members[self.random.below(members.len() as u32) as usize];
            self.take_out(at, slot);
        }
    }

    fn take_out(&mut self, at: usize, slot: SlotId) {
        let domain = &mut self.domains[at];
        let mut order = self.orders.of(&mut domain.heads);
        domain.policy.on_remove(&mut order, slot);
        let unlinked = order.list_of(slot).is_none();
        self.orders.release(&mut domain.heads, slot);
        domain.members.retain(|member| *member != slot);
        self.heat.set(slot, 0);
        self.claim(unlinked, "a removed slot is taken out of its list");
    }

    /// Asks for a victim, and checks it.
    fn victim(&mut self, at: usize) -> Option<SlotId> {
        self.heat.reads.set(0);
        let domain = &mut self.domains[at];
        let mut order = self.orders.of(&mut domain.heads);
        let named = domain.policy.victim(&mut order, &Heat::new(&self.heat));
        let members = &self.domains[at].members;
        match named {
            None => self.claim(members.is_empty(), "a domain with members has a victim"),
            Some(slot) => self.claim(members.contains(&slot), "a victim is a member of the domain"),
        }
        named
    }

    fn evict(&mut self, at: usize) {
        if let Some(slot) = self.victim(at) {
            self.take_out(at, slot);
        }
    }

    /// Lets all members leave as victims. Each leaves `members` when it is named, so none is named twice.
    fn drain(&mut self, at: usize) {
        for _ in 0..self.domains[at].members.len() {
            self.step += 1;
            self.evict(at);
        }
        let gone = self.domains[at].members.is_empty();
        self.claim(gone, "members that leave only as victims are each named");
        let named = self.victim(at);
        self.claim(named.is_none(), "an empty domain has no victim");
        let order: Order<'_> = self.orders.of(&mut self.domains[at].heads);
        let empty = order.is_empty() && order.members() == 0;
        self.claim(empty, "an empty domain has empty lists");
    }

    fn claim(&self, holds: bool, rule: &str) {
        assert!(holds, "policy contract broken: {rule} (seed {}, step {})", self.seed, self.step);
    }
}

/// The heat of slots; if stuck, cooling has no effect, as if hits raced with it.
struct Table {
    heat: Vec<Cell<u8>>,
    hashes: Vec<Cell<u32>>,
    stuck: bool,
    reads: Cell<u32>,
}

impl Table {
    fn new(stuck: bool) -> Self {
        let heat = (0..SLOTS).map(|_| Cell::new(0)).collect();
        Self { heat, hashes: (0..SLOTS).map(Cell::new).collect(), stuck, reads: Cell::new(0) }
    }

    fn set(&self, slot: SlotId, to: u8) {
        if let Some(cell) = self.heat.get(slot.index()) {
            cell.set(to);
        }
    }

    fn warm(&self, slot: SlotId, by: u8, limit: u8) {
        self.set(slot, self.heat.get(slot.index()).map_or(0, Cell::get).saturating_add(by).min(limit));
    }

    /// A new entry in a slot.
    fn name(&self, slot: SlotId, hash: u32) {
        if let Some(cell) = self.hashes.get(slot.index()) {
            cell.set(hash);
        }
    }

    /// The entry of one slot goes on in another.
    fn carry(&self, from: SlotId, to: SlotId) {
        self.set(to, self.heat.get(from.index()).map_or(0, Cell::get));
        self.name(to, self.hash(from));
    }
}

impl HeatSource for Table {
    fn heat(&self, slot: SlotId) -> u8 {
        self.reads.set(self.reads.get() + 1);
        assert!(self.reads.get() <= READS, "policy contract broken: naming a victim ends, hot or not");
        self.heat.get(slot.index()).map_or(0, Cell::get)
    }

    fn cool(&self, slot: SlotId, to: u8) {
        if !self.stuck && self.heat.get(slot.index()).is_some_and(|heat| heat.get() > to) {
            self.set(slot, to);
        }
    }

    fn hash(&self, slot: SlotId) -> u32 {
        self.hashes.get(slot.index()).map_or(0, Cell::get)
    }
}

/// SplitMix64 (Steele, Lea, Flood, OOPSLA 2014): repeatable, and no dependency of the library.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u32) -> u32 {
        (self.next() % u64::from(bound)) as u32
    }

    fn slot(&mut self) -> SlotId {
        SlotId(self.below(SLOTS))
    }
}
