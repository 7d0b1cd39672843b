//! What the attribute of a cached function says, as far as it counts for all of its calls.
//!
//! (1) It is made once for each cache that the function meets, not at each call.

use std::any::Any;
use std::time::Duration;

use super::outcome::Outcome;
use crate::cache::Cache;
use crate::default::default_cache;

/// What the attribute says.
#[derive(Debug)]
pub struct Spec {
    /// The module of the function.
    pub module: &'static str,
    /// The type whose method it is.
    pub owner: Option<&'static str>,
    /// The function's name.
    pub item: &'static str,
    /// The types that a generic function stands for here.
    pub types: Option<&'static str>,
    /// The scope's levels, the first one down.
    pub levels: &'static [&'static str],
    /// Time-to-live.
    pub ttl: Ttl,
    /// How long an entry may go unused.
    pub idle: Option<Duration>,
    /// The part of its time-to-live by which an entry may be short.
    pub jitter: f64,
    /// Entries at most in one scope.
    pub max: Option<u64>,
    /// What a value weighs.
    pub weigh: Option<Weigh>,
    /// Whose run is whose answer.
    pub coalesce: Coalesce,
    /// How loads are cared for.
    pub care: Care,
    /// What a call does that has no scope.
    pub without_scope: WithoutScope,
    /// The function's cache.
    pub cache: fn() -> Cache,
}

/// By so much of its time-to-live an entry of a cached function may be short where it does not say: the entries of one wave
/// of calls do not all expire together.
const JITTER: f64 = 0.05;

impl Spec {
    /// What is so where the attribute says nothing.
    pub fn new(module: &'static str, item: &'static str, levels: &'static [&'static str]) -> Self {
        Self {
            module,
            owner: None,
            item,
            types: None,
            levels,
            ttl: Ttl::Inherit,
            idle: None,
            jitter: JITTER,
            max: None,
            weigh: None,
            coalesce: Coalesce::On { wait: None },
            care: Care::default(),
            without_scope: WithoutScope::Bypass,
            cache: || default_cache().clone(),
        }
    }

    pub(super) fn name(&self) -> String {
        let Self { module, owner, item, types, .. } = self;
        match (owner, types) {
            (Some(owner), _) => format!("{owner}::{item}"),
            (None, Some(types)) => format!("{module}::{item}{types}"),
            (None, None) => format!("{module}::{item}"),
        }
    }
}

/// How long a function's values may be served.
#[derive(Debug, Clone, Copy)]
pub enum Ttl {
    /// As long as the cache says.
    Inherit,
    /// For ever.
    Never,
    /// This long.
    After(Duration),
}

/// How the loads of a function are cared for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Care {
    /// A stale value is served at once for so long.
    pub stale: Option<Duration>,
    /// It is served in place of an error for so long.
    pub on_error: OnError,
    /// It is loaded anew before its time is over.
    pub refresh: Refresh,
    /// How long a call waits where a stale value is there.
    pub soft: Option<Duration>,
    /// How long it waits at all.
    pub hard: Option<Duration>,
    /// How soon it is tried again.
    pub throttle: Option<Duration>,
    /// After so many failures in a row no load is begun for so long.
    pub breaker: Option<(u32, Duration)>,
}

/// For how long a stale value is served in place of an error.
#[derive(Debug, Clone, Copy, Default)]
pub enum OnError {
    /// It is not.
    #[default]
    Never,
    /// As long again as the time-to-live.
    AsTtl,
    /// This long.
    For(Duration),
}

/// When a value is loaded anew before its time is over.
#[derive(Debug, Clone, Copy, Default)]
pub enum Refresh {
    /// Not.
    #[default]
    Never,
    /// After this part of its time.
    After(f64),
    /// By chance, by the cost of the load times this.
    Early(f64),
}

/// How long a breaker stays open where that is not said.
pub const COOL_DOWN: Duration = Duration::from_secs(10);

/// Whose run is whose answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Coalesce {
    /// One call runs the function and the others wait for it, so long at most.
    On {
        /// How long a call waits for another one; then it runs the function by itself.
        wait: Option<Duration>,
    },
    /// Each call runs the function by itself; one of those that run at the same time stores.
    Off,
}

/// What a call does that has no scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WithoutScope {
    /// Runs the function uncached.
    Bypass,
    /// Returns an error.
    Error,
    /// Panics.
    Panic,
}

/// Weighs values of a type that is known to who made it: a `fn(&V) -> u64`.
#[derive(Debug)]
pub struct Weigh(Box<dyn Any + Send + Sync>);

impl Weigh {
    pub(super) fn of<V: 'static>(&self) -> Option<fn(&V) -> u64> {
        self.0.downcast_ref().copied()
    }
}

/// What values weigh that this kind of function stores.
pub fn weigh<R, O: Outcome<R>>(_: O, weigh: fn(&O::Value) -> u64) -> Weigh {
    Weigh(Box::new(weigh))
}

/// The cache that an expression names: a static, whatever it hides behind, or a call.
pub fn cache_of(cache: &Cache) -> Cache {
    cache.clone()
}
