//! A hierarchical multi-tenant cache: the scope (organisation, user, session, or whatever tree is configured) is part
//! of an entry's identity.
//!
//! Three ways in:
//!
//! * put [`#[cached]`](macro@cached) on a function: its ids say where its values belong, its other arguments are the key;
//! * use a [`Cache`], or a resolved [`Scope`], with text keys: [`get`](Cache::get), [`set`](Cache::set),
//!   [`get_or_load`](Cache::get_or_load);
//! * open a typed [`Region`]: the fast path, with borrowed keys and limits of its own.
//!
//! Where something is to happen is always said by one exact path, [`scope!`], by one level out of a bag of ids,
//! `("user", &ids)`, or by a resolved handle. Every verb returns an operation: `.await` it in a task, `.wait()` for it in a
//! thread; no runtime is needed. Verbs that take trust away ([`remove`](Cache::remove), [`invalidate`](Cache::invalidate),
//! [`invalidate_tag`](Cache::invalidate_tag), [`evict_by_scope`](Cache::evict_by_scope), [`clear`](Cache::clear)) act at the call.
//!
//! When loads are slow or fail: [`stale`](GetOrLoad::stale), [`stale_on_error`](GetOrLoad::stale_on_error), [`soft`](GetOrLoad::soft) and
//! [`hard`](GetOrLoad::hard) on a load, a [region](RegionBuilder::stale) or a function, a [breaker](RegionBuilder::breaker), and what a loader
//! says of its own result in [`answer`].
//!
//! What is promised: an entry is served only to the scope, region and key it was stored under. What was there before an
//! invalidation returned is not served to any call that begins after, and a load that began before it stores nothing.
//! A look-up never runs user code under a lock, `Hash` and `Eq` of keys excepted, which must not call the cache.

mod along;
pub mod answer;
mod budget;
mod builder;
mod cache;
mod care;
mod context;
mod default;
mod driver;
mod exceptions;
mod faults;
mod handle;
mod load_limit;
mod operation;
mod place;
mod plan;
#[doc(hidden)]
pub mod private;
mod region;
mod setting;
mod stack;
mod tag;
mod trace;

pub use budget::ScopeBudget;
pub use builder::CacheBuilder;
pub use cache::{Cache, Rank, TopScope};
pub use context::{InScope, Scoped, ambient_scope};
pub use default::{default_cache, install};
pub use exceptions::{InCache, WithCache, with_cache};
pub use faults::{Faults, Wrapped};
pub use handle::{Scope, ScopeReport};
pub use operation::{
    AsyncLoader, Below, Done, Evicted, GetOrLoad, LoadError, LoadMany, Loading, LoadingMany, Marked,
    Operation, Runs, Served, Set, SyncLoader,
};
pub use place::ToScope;
pub use region::{Region, RegionBuilder, ToKey};
pub use setting::{IntoBytes, IntoPolicy};
pub use tag::tag_load;

pub use equivalent::Equivalent;
pub use strata_cache_core::clock::{Clock, ClockWatcher, TestClock};
pub use strata_cache_core::engine::{
    EventScope, Explained, Freshness, Key, LoadEvent, Maintenance, Removal, Value,
};
pub use strata_cache_core::error::{Error, ErrorKind, Result};
pub use strata_cache_core::event::{LoadEventKind, RemovalCause};
pub use strata_cache_core::expiry::{IntoTtl, Ttl};
pub use strata_cache_core::flight::{Condition, LoadLimit};
pub use strata_cache_core::policy::{self, Policy};
pub use strata_cache_core::scope::{
    Amount, Budget, Granted, IdText, Ids, IntoAmount, IntoTag, ScopeId, ScopeIds, ScopePath, ScopeTree,
    ScopeTreeBuilder, Tag,
};
pub use strata_cache_core::stats::Stats;
pub use strata_cache_core::weight;

#[cfg(feature = "macros")]
pub use strata_cache_macros::cached;

/// Writes one exact path: levels from the first one down, each with its id, or `scope!(global)`.
///
/// Level names are plain words, keywords among them. Ids are text, integers, or whatever implements [`ScopeId`], by value or
/// by reference.
///
/// ```
/// use strata_cache::{Cache, scope};
///
/// # fn main() -> Result<(), strata_cache::Error> {
/// let cache = Cache::builder().build()?;
/// let alice = cache.scope(scope!(org = "acme", user = 42))?;
/// assert_eq!(alice.to_string(), "org:acme/user:42");
/// assert!(cache.scope(scope!(user = 42)).is_err(), "a user is below an org");
/// # Ok(())
/// # }
/// ```
#[macro_export]
macro_rules! scope {
    ($($path:tt)*) => {
        $crate::private::scope!($($path)*)
    };
}

/// The code of the README and of the guide, compiled and run.
#[cfg(all(doctest, feature = "macros"))]
mod prose {
    #[doc = include_str!("../README.md")]
    mod readme {}
    #[doc = include_str!("../docs/guide/invalidation.md")]
    mod invalidation {}
    #[doc = include_str!("../docs/guide/loads.md")]
    mod loads {}
    #[doc = include_str!("../docs/guide/memoize.md")]
    mod memoize {}
    #[doc = include_str!("../docs/guide/migrating-from-cached.md")]
    mod migrating_from_cached {}
    #[doc = include_str!("../docs/guide/tenants.md")]
    mod tenants {}
    #[doc = include_str!("../docs/guide/tuning.md")]
    mod tuning {}
}
