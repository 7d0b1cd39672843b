//! The call site of a cached function: its static, which finds cache and region at the first call.
//!
//! (1) A site's identity is the address of its static, so two functions of one name never share entries. (2) What is wrong
//! with the options is found at the first call and reported once; such a function runs uncached.
//! Cost of a call: one load and one type comparison.

use std::any::Any;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use strata_cache_core::engine::{AnyRegion, Key, RegionKey, Store, Value};
use strata_cache_core::error::{Error, ErrorKind, Result};
use strata_cache_core::scope::{LevelId, ScopeTree};

use crate::cache::Cache;
use crate::default::default_cache;

/// The static of one cached function.
pub struct Site(OnceLock<Opened>);

impl Site {
    /// A site that was not used yet.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "a site is a static")]
    pub const fn new() -> Self {
        Self(OnceLock::new())
    }

    #[inline]
    pub(super) fn opened(&self) -> Option<&Opened> {
        self.0.get()
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

/// What the attribute says.
#[derive(Debug)]
pub struct Spec {
    /// The module of the function.
    pub module: &'static str,
    /// The type whose method it is.
    pub owner: Option<&'static str>,
    /// The function's name.
    pub item: &'static str,
    /// The scope's levels, the first one down.
    pub levels: &'static [&'static str],
    /// Time-to-live.
    pub ttl: Ttl,
    /// Entries at most in one scope.
    pub max: Option<u64>,
    /// What a call does that has no scope.
    pub without_scope: WithoutScope,
}

impl Spec {
    fn name(&self) -> String {
        match self.owner {
            Some(owner) => format!("{owner}::{}", self.item),
            None => format!("{}::{}", self.module, self.item),
        }
    }
}

/// A site and how to make its options.
#[derive(Clone, Copy)]
pub struct At {
    pub(super) site: &'static Site,
    spec: fn() -> Spec,
}

impl At {
    /// A site with its options.
    #[must_use]
    #[inline]
    pub const fn new(site: &'static Site, spec: fn() -> Spec) -> Self {
        Self { site, spec }
    }

    /// The site's cache and region, found at the first call.
    pub(super) fn open<K: Key, V: Value>(self) -> &'static Opened {
        let site = self.site;
        site.0.get_or_init(|| Opened::new::<K, V>(site, (self.spec)()))
    }
}

/// The level whose path has exactly these names.
fn level_of(tree: &ScopeTree, names: &[&str]) -> Option<LevelId> {
    let level = tree.level(names.last()?)?;
    tree.path(level).iter().map(|&level| tree.name(level)).eq(names.iter().copied()).then_some(level)
}

/// A site that has been used.
pub(super) struct Opened {
    pub(super) cache: Cache,
    pub(super) without_scope: WithoutScope,
    name: String,
    /// An `Arc<Store<K, V>>`.
    store: Result<Box<dyn Any + Send + Sync>>,
    pub(super) region: Option<Arc<dyn AnyRegion>>,
    /// The function's level in the cache's tree; `None` for the root scope, and for levels the tree does not have, which
    /// each call reports by itself.
    pub(super) level: Option<LevelId>,
    reported: AtomicBool,
}

impl Opened {
    fn new<K: Key, V: Value>(site: &'static Site, spec: Spec) -> Self {
        let cache = default_cache().clone();
        let name = spec.name();
        let opened = Self::open_store::<K, V>(&cache, site, &name, &spec);
        let level = level_of(cache.tree(), spec.levels);
        let region = opened.as_ref().ok().map(|store| Arc::clone(store) as Arc<dyn AnyRegion>);
        Self {
            cache,
            without_scope: spec.without_scope,
            name,
            store: opened.map(|store| Box::new(store) as Box<dyn Any + Send + Sync>),
            region,
            level,
            reported: AtomicBool::new(false),
        }
    }

    fn open_store<K: Key, V: Value>(
        cache: &Cache,
        site: &'static Site,
        name: &str,
        spec: &Spec,
    ) -> Result<Arc<Store<K, V>>> {
        let mut builder = cache.region_builder::<K, V>(name);
        builder = match spec.ttl {
            Ttl::Inherit => builder,
            Ttl::Never => builder.ttl(crate::Ttl::never()),
            Ttl::After(time) => builder.ttl(time),
        };
        if let Some(max) = spec.max {
            builder = builder.max_per_scope(max);
        }
        let address = std::ptr::from_ref(site).addr();
        Ok(Arc::clone(builder.open_as(RegionKey::Site(address))?.store()))
    }

    /// The site's region.
    ///
    /// # Errors
    /// What is wrong with the function's options.
    pub(super) fn store<K: Key, V: Value>(&self) -> Result<&Arc<Store<K, V>>> {
        if let Err(fault) = &self.store {
            return Err(Error::new(ErrorKind::InvalidConfig, "cached")
                .with("function", &self.name)
                .because(fault.to_string()));
        }
        self.known_store()
            .ok_or_else(|| Error::new(ErrorKind::TypeMismatch, "cached").with("function", &self.name))
    }

    /// The site's region, if there is one of these types.
    #[inline]
    pub(super) fn known_store<K: Key, V: Value>(&self) -> Option<&Arc<Store<K, V>>> {
        self.store.as_ref().ok()?.downcast_ref()
    }

    /// A call runs past the cache: counted always, logged once.
    pub(super) fn bypassed(&self, why: &Error) {
        if let Some(region) = &self.region {
            region.count_bypass();
        }
        if !self.reported.swap(true, Ordering::Relaxed) {
            let region = self.name.as_str();
            tracing::warn!(target: "strata_cache", region, %why, "cached function runs uncached");
        }
    }
}
