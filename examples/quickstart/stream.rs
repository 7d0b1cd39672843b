//! Who asks for what: a skewed stream of questions from a seed.
//!
//! Organisations and their users are asked for by Zipf's law: the n-th as often as 1 / n^s. The same seed and
//! worker give the same questions, whatever the scheduling.

use crate::facts::{Fact, ROLES, SECTIONS, World, mix};

const ORG_SKEW: f64 = 0.9;
const USER_SKEW: f64 = 0.8;

/// A small random generator: SplitMix64 (Steele et al., OOPSLA 2014). Not for secrets.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    /// The generator of one worker.
    pub(crate) fn new(seed: u64, worker: u64) -> Self {
        Self(mix(seed ^ mix(worker.wrapping_add(1))))
    }

    /// A number below `n`.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.unit() * n as f64) as usize
    }

    /// A number from 0 to 1, without 1.
    pub(crate) fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        (mix(self.0) >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Sums of 1 / n^s; a draw is a search in them.
#[derive(Debug)]
struct Zipf(Vec<f64>);

impl Zipf {
    fn new(ranks: usize, skew: f64) -> Self {
        let terms = (1..=ranks).map(|rank| (rank as f64).powf(-skew));
        Self(
            terms
                .scan(0.0, |sum, term| {
                    *sum += term;
                    Some(*sum)
                })
                .collect(),
        )
    }

    /// A rank from 1 to `ranks`; low ranks come often.
    fn draw(&self, random: &mut Random, ranks: usize) -> u32 {
        let wanted = random.unit() * self.0[ranks - 1];
        let rank = self.0[..ranks].partition_point(|sum| *sum <= wanted) + 1;
        rank.min(ranks) as u32
    }
}

/// Where a question comes from; each side has functions of its own beside those it shares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// A thread that may block.
    Thread,
    /// A task that must not.
    Task,
    /// Either, for writers and audits.
    Any,
}

/// Draws questions.
#[derive(Debug)]
pub(crate) struct Stream {
    orgs: Zipf,
    users: Zipf,
}

impl Stream {
    /// Prepares the skew for a world.
    pub(crate) fn new(world: &World) -> Self {
        let most = (1..=world.orgs()).map(|org| world.users(org)).max().unwrap_or(1);
        Self { orgs: Zipf::new(world.orgs() as usize, ORG_SKEW), users: Zipf::new(most as usize, USER_SKEW) }
    }

    /// The next question.
    pub(crate) fn draw(&self, world: &World, random: &mut Random, side: Side) -> Fact {
        let org = self.orgs.draw(random, world.orgs() as usize);
        let user = self.users.draw(random, world.users(org) as usize);
        let section = random.below(SECTIONS.len());
        let (preferences, orders) = match side {
            Side::Thread => (0.6, 0.0),
            Side::Task => (0.0, 0.6),
            Side::Any => (0.3, 0.3),
        };
        let kind = random.unit();
        if kind < preferences {
            Fact::Preference { org, user, section }
        } else if kind < preferences + orders {
            Fact::Orders { org, user }
        } else if kind < 0.8 {
            Fact::Profile { org, user }
        } else {
            Fact::Permissions { org, role: random.below(ROLES.len()) }
        }
    }
}
