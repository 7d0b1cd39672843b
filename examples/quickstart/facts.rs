//! What the shop's customers can ask for, and what the right answer looks like at every version.
//!
//! (1) Users are numbered within their organisation: user 7 exists in all of them, so that a cache which forgets
//! the tenant answers with somebody else's data and is caught. (2) The contents of a row follow from its identity
//! and its version alone: whoever holds an answer can tell whether it is whole, whose it is and how old it is.

use std::ops::Range;

/// Sections of a user's preferences.
pub(crate) const SECTIONS: [&str; 3] = ["theme", "language", "alerts"];
/// Roles of an organisation, each with its permissions.
pub(crate) const ROLES: [&str; 4] = ["owner", "manager", "clerk", "guest"];
/// What a role may be allowed to do.
pub(crate) const ACTIONS: [&str; 6] = ["view", "order", "refund", "invite", "export", "close"];

const FACTS_PER_USER: usize = SECTIONS.len() + 2;

/// One thing that can be asked for; the identity of a row, or of a few rows that change together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Fact {
    /// One section of a user's preferences (index into [`SECTIONS`]).
    Preference { org: u32, user: u32, section: usize },
    /// A user's name and address.
    Profile { org: u32, user: u32 },
    /// A user's last orders.
    Orders { org: u32, user: u32 },
    /// What a role may do in an organisation (index into [`ROLES`]).
    Permissions { org: u32, role: usize },
}

impl Fact {
    /// The organisation whose fact this is.
    pub(crate) fn org(self) -> u32 {
        match self {
            Self::Preference { org, .. }
            | Self::Profile { org, .. }
            | Self::Orders { org, .. }
            | Self::Permissions { org, .. } => org,
        }
    }

    /// The version a fresh database holds. A user's orders count as many versions as there are orders.
    pub(crate) fn first_version(self) -> u32 {
        match self {
            Self::Orders { .. } => 1 + (self.mixed(0) % 9) as u32,
            _ => 1,
        }
    }

    /// The text of a preference or of a profile's address at a version.
    pub(crate) fn text(self, version: u32) -> String {
        match self {
            Self::Preference { section, .. } => {
                format!("{}-{:08x}", SECTIONS[section], self.mixed(version) as u32)
            }
            Self::Profile { org, user } => {
                format!("user{user}.{:04x}@org{org}.example", self.mixed(version) as u16)
            }
            Self::Orders { .. } | Self::Permissions { .. } => String::new(),
        }
    }

    /// The amount of a user's order of that number.
    pub(crate) fn cents(self, number: u32) -> u32 {
        199 + (self.mixed(number) % 50_000) as u32
    }

    /// Whether a role may do the action at a version.
    pub(crate) fn allowed(self, action: usize, version: u32) -> bool {
        self.mixed(version) >> action & 1 == 1
    }

    /// Identity and version mixed into 64 bits (the finaliser of SplitMix64, Steele et al., OOPSLA 2014).
    fn mixed(self, version: u32) -> u64 {
        let (kind, org, user) = match self {
            Self::Preference { org, user, section } => (section as u64, org, user),
            Self::Profile { org, user } => (8, org, user),
            Self::Orders { org, user } => (9, org, user),
            Self::Permissions { org, role } => (16 + role as u64, org, 0),
        };
        let seed = kind << 56 ^ u64::from(org) << 40 ^ u64::from(user) << 20 ^ u64::from(version);
        mix(seed.wrapping_add(0x9e37_79b9_7f4a_7c15))
    }
}

/// Scrambles 64 bits so that each depends on all.
pub(crate) fn mix(mut z: u64) -> u64 {
    z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ z >> 31
}

/// Who exists: organisations numbered from 1, each with users numbered from 1; the first are the largest.
#[derive(Debug)]
pub(crate) struct World {
    users: Vec<u32>,
    starts: Vec<usize>,
}

impl World {
    /// Spreads the users over the organisations, a few large and many small.
    pub(crate) fn new(orgs: u32, total_users: u32) -> Self {
        let share = |org: u32| 1.0 / (f64::from(org) + 5.0);
        let shares: f64 = (1..=orgs).map(share).sum();
        let mut users: Vec<u32> =
            (1..=orgs).map(|org| (f64::from(total_users) * share(org) / shares) as u32).collect();
        users[0] += total_users - users.iter().sum::<u32>();
        let mut starts = vec![0];
        for count in &users {
            starts.push(starts[starts.len() - 1] + ROLES.len() + *count as usize * FACTS_PER_USER);
        }
        Self { users, starts }
    }

    /// How many organisations there are.
    pub(crate) fn orgs(&self) -> u32 {
        self.users.len() as u32
    }

    /// How many users an organisation has.
    pub(crate) fn users(&self, org: u32) -> u32 {
        self.users[org as usize - 1]
    }

    /// The place of a fact in a table of all facts.
    pub(crate) fn index(&self, fact: Fact) -> usize {
        let start = self.starts[fact.org() as usize - 1];
        match fact {
            Fact::Permissions { role, .. } => start + role,
            Fact::Preference { org, user, section } => self.of_user(org, user).start + section,
            Fact::Profile { org, user } => self.of_user(org, user).end - 2,
            Fact::Orders { org, user } => self.of_user(org, user).end - 1,
        }
    }

    /// The places of all facts of an organisation, its users' included.
    pub(crate) fn of_org(&self, org: u32) -> Range<usize> {
        self.starts[org as usize - 1]..self.starts[org as usize]
    }

    /// The places of all facts of a user.
    pub(crate) fn of_user(&self, org: u32, user: u32) -> Range<usize> {
        let start = self.starts[org as usize - 1] + ROLES.len() + (user as usize - 1) * FACTS_PER_USER;
        start..start + FACTS_PER_USER
    }

    /// Every fact, in the order of [`index`](Self::index).
    pub(crate) fn all(&self) -> impl Iterator<Item = Fact> + '_ {
        (1..=self.orgs()).flat_map(|org| {
            let roles = (0..ROLES.len()).map(move |role| Fact::Permissions { org, role });
            roles.chain((1..=self.users(org)).flat_map(move |user| of_user(org, user)))
        })
    }
}

/// All facts of a user.
pub(crate) fn of_user(org: u32, user: u32) -> impl Iterator<Item = Fact> {
    let sections = (0..SECTIONS.len()).map(move |section| Fact::Preference { org, user, section });
    sections.chain([Fact::Profile { org, user }, Fact::Orders { org, user }])
}
