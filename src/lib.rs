//! A hierarchical multi-tenant cache: the scope (organisation, user, session, or whatever tree is configured) is part
//! of an entry's identity.
//!
//! Start at [`Cache`], or put [`cached`] on a function.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod builder;
mod cache;
mod context;
mod default;
mod driver;
mod handle;
mod operation;
mod place;
mod plan;
#[doc(hidden)]
pub mod private;
mod region;
mod trace;

pub use builder::{CacheBuilder, IntoBytes, IntoPolicy};
pub use cache::Cache;
pub use context::{InScope, Scoped, ambient_scope};
pub use default::{default_cache, install};
pub use handle::{Scope, ScopeReport};
pub use operation::{Below, Done, Evicted, GetOrLoad, LoadError, Loading, Operation, Set};
pub use place::ToScope;
pub use region::{Region, RegionBuilder, ToKey};

pub use equivalent::Equivalent;
pub use strata_cache_core::clock::{Clock, TestClock};
pub use strata_cache_core::engine::{Key, Maintenance, Removal, Value};
pub use strata_cache_core::error::{Error, ErrorKind, Result};
pub use strata_cache_core::event::RemovalCause;
pub use strata_cache_core::expiry::{IntoTtl, Ttl};
pub use strata_cache_core::policy::{self, Policy};
pub use strata_cache_core::scope;
pub use strata_cache_core::scope::{Ids, ScopeId, ScopeIds, ScopePath, ScopeTree, ScopeTreeBuilder};
pub use strata_cache_core::stats::Stats;

#[cfg(feature = "macros")]
pub use strata_cache_macros::cached;
