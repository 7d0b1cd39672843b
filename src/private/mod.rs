//! What expansions of `#[cached]` name. Not for users; it changes without notice.

mod call;
mod key;
mod outcome;
mod site;

pub use call::{
    Evicting, Invalidated, Pending, Place, RegionStats, Start, id, invalidate, invalidate_scope, peek, start,
    stats,
};
pub use key::{View, optional, part, view};
pub use outcome::{Outcome, Refusing, SharedError};
pub use site::{At, Site, Spec, Ttl, WithoutScope};
pub use strata_cache_core::scope::{IdText, ScopeId};

/// What method resolution chooses by.
pub mod probe {
    pub use super::key::{Peel, PeelReference, PeelValue};
    pub use super::outcome::{Probe, ProbeFallible, ProbePlain, ProbeShared};
}
