//! What the database answers: typed rows, each with the tenant and version that the *row* carries.

use std::sync::Arc;
use std::time::Instant;

/// Where a row came from, read from the row itself and never from the question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// The organisation in the row.
    pub(crate) org: u32,
    /// The user in the row; 0 for rows of an organisation.
    pub(crate) user: u32,
    /// The version in the row.
    pub(crate) version: u32,
    /// When the row was read.
    pub(crate) read: Instant,
}

impl Stamp {
    /// Stamps a row that is being read now.
    pub(crate) fn now(org: u32, user: u32, version: u32) -> Self {
        Self { org, user, version, read: Instant::now() }
    }
}

/// A section of a user's preferences.
#[derive(Debug, PartialEq)]
pub(crate) struct Preference {
    pub(crate) stamp: Stamp,
    pub(crate) section: String,
    pub(crate) value: String,
}

/// Who a user is.
#[derive(Debug, PartialEq)]
pub(crate) struct Profile {
    pub(crate) stamp: Stamp,
    pub(crate) address: String,
}

/// A user's last orders, newest first: number and amount in cents.
#[derive(Debug, PartialEq)]
pub(crate) struct Orders {
    pub(crate) stamp: Stamp,
    pub(crate) last: Vec<(u32, u32)>,
}

/// What a role may do, in the order of [`ACTIONS`](crate::facts::ACTIONS).
#[derive(Debug, PartialEq)]
pub(crate) struct Permissions {
    pub(crate) stamp: Stamp,
    pub(crate) role: String,
    pub(crate) allowed: Vec<bool>,
}

/// What an organisation took, in cents, and its rank among all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Turnover {
    pub(crate) org: u32,
    pub(crate) cents: i64,
    pub(crate) rank: u32,
}

/// An answer to any question. Shared: a hit clones a pointer.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    Preference(Arc<Preference>),
    Profile(Arc<Profile>),
    Orders(Arc<Orders>),
    Permissions(Arc<Permissions>),
}

impl Answer {
    /// Where the answer came from.
    pub(crate) fn stamp(&self) -> Stamp {
        match self {
            Self::Preference(row) => row.stamp,
            Self::Profile(row) => row.stamp,
            Self::Orders(rows) => rows.stamp,
            Self::Permissions(rows) => rows.stamp,
        }
    }

    /// Whether both say the same, whenever they were read.
    pub(crate) fn agrees(&self, other: &Self) -> bool {
        let (mine, theirs) = (self.stamp(), other.stamp());
        (mine.org, mine.user, mine.version) == (theirs.org, theirs.user, theirs.version)
            && match (self, other) {
                (Self::Preference(a), Self::Preference(b)) => a.section == b.section && a.value == b.value,
                (Self::Profile(a), Self::Profile(b)) => a.address == b.address,
                (Self::Orders(a), Self::Orders(b)) => a.last == b.last,
                (Self::Permissions(a), Self::Permissions(b)) => a.role == b.role && a.allowed == b.allowed,
                _ => false,
            }
    }
}

macro_rules! answers {
    ($($row:ident),*) => {
        $(impl From<Arc<$row>> for Answer {
            fn from(row: Arc<$row>) -> Self {
                Self::$row(row)
            }
        }

        impl From<$row> for Answer {
            fn from(row: $row) -> Self {
                Self::$row(Arc::new(row))
            }
        })*
    };
}
answers!(Preference, Profile, Orders, Permissions);
