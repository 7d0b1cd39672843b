//! What expansions of `#[cached]` name. Not for users; it changes without notice.

mod call;
pub mod key;
pub mod outcome;
pub mod probe;
mod site;

pub use call::{
    Evicting, Invalidated, Pending, Place, RegionStats, Start, id, invalidate, invalidate_scope, peek, start,
    stats,
};
pub use key::{View, view};
pub use outcome::{Outcome, SharedError};
pub use site::{At, Site, Spec, Ttl, WithoutScope};
pub use strata_cache_core::scope;
pub use strata_cache_core::scope::{IdText, ScopeId};
