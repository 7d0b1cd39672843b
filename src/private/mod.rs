//! What expansions of `#[cached]` name. Not for users; it changes without notice.

mod call;
mod companions;
pub mod key;
pub mod outcome;
pub mod owned;
mod place;
pub mod probe;
mod rules;
mod site;
mod spec;
pub mod tags;

pub use call::{Pending, Start, start};
pub use companions::{
    Evicting, Explaining, Invalidated, Marked, Primed, RegionStats, explain, invalidate, invalidate_scope,
    marked, marked_async, peek, prime, refresh, refresh_async, stats, uncached, uncached_async,
};
pub use key::{View, view};
pub use outcome::{Outcome, SharedError};
pub use place::{Place, id};
pub use rules::{Absent, Failed, Rules, rules};
pub use site::{At, Site, is_static};
pub use spec::{
    COOL_DOWN, Care, Coalesce, OnError, Refresh, Spec, Ttl, Weigh, WithoutScope, cache_of, weigh,
};
pub use strata_cache_core::scope;
pub use strata_cache_core::scope::{IdText, ScopeId};
