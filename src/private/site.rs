//! The call site of a cached function: its static, which finds cache and region at the first call.
//!
//! (1) A site's identity is the address of its static, so two functions of one name never share entries; the instances of a
//! generic function are told apart by the types they stand for. (2) What is wrong with the options is found at the first call and
//! reported once; such a function runs uncached. (3) Where another cache stands in for the function's own, its region is looked up
//! there at each call, and the site keeps nothing of that cache.
//! Cost of a call: two loads and a comparison of types, and one more for each instance before its own.

use std::any::TypeId;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use strata_cache_core::clock::TimeSource;
use strata_cache_core::engine::{AnyRegion, Key, RegionKey, Store, Value};
use strata_cache_core::error::{Error, ErrorKind, Result};
use strata_cache_core::scope::{LevelId, ScopeTree};
use strata_cache_core::typed::Typed;

use super::spec::{Care, Coalesce, OnError, Refresh, Spec, Ttl, WithoutScope};
use crate::cache::Cache;
use crate::exceptions::{self, Order};
use crate::region::RegionBuilder;

/// The static of one cached function.
pub struct Site {
    first: OnceLock<Opened>,
    /// It was logged that a call ran uncached.
    reported: AtomicBool,
}

impl Site {
    /// A site that was not used yet.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "a site is a static")]
    pub const fn new() -> Self {
        Self { first: OnceLock::new(), reported: AtomicBool::new(false) }
    }

    fn address(&'static self) -> usize {
        std::ptr::from_ref(self).addr()
    }

    fn report(&self, region: &str, why: &Error) {
        if !self.reported.swap(true, Ordering::Relaxed) {
            tracing::warn!(target: "strata_cache", region, %why, "cached function runs uncached");
        }
    }
}

/// A site, which of its instances is meant, and how to make its options.
#[derive(Clone, Copy)]
pub struct At {
    site: &'static Site,
    /// None where there is one only.
    instance: Option<TypeId>,
    spec: fn() -> Spec,
    order: Option<Order>,
    /// Nothing was different at the beginning of the call.
    is_plain: bool,
}

impl At {
    /// The site of a function that is not generic.
    #[must_use]
    #[inline]
    pub const fn new(site: &'static Site, spec: fn() -> Spec) -> Self {
        Self { site, instance: None, spec, order: None, is_plain: true }
    }

    /// The site of a generic function for the types that `I` was made of.
    #[must_use]
    #[inline]
    pub fn of<I: 'static>(site: &'static Site, spec: fn() -> Spec) -> Self {
        Self { site, instance: Some(TypeId::of::<I>()), spec, order: None, is_plain: true }
    }

    /// The site at the beginning of a call, before its place and key are made: these may call the function too, and the order that was
    /// given for this call is not theirs.
    #[must_use]
    #[inline(always)]
    pub fn begin(self) -> Self {
        if exceptions::are_none() { self } else { self.begin_otherwise() }
    }

    #[cold]
    fn begin_otherwise(self) -> Self {
        Self { order: exceptions::take_order(self.address()), is_plain: false, ..self }
    }

    /// Itself, if nothing was different at the beginning of the call.
    #[inline(always)]
    pub(super) fn if_plain(self) -> Option<Self> {
        self.is_plain.then_some(self)
    }

    /// The order for this call.
    pub(super) fn order(self) -> Option<Order> {
        self.order
    }

    /// What orders for the function go by.
    pub(super) fn address(self) -> usize {
        self.site.address()
    }

    /// The instance, if it was used before.
    #[inline]
    pub(super) fn known(self) -> Option<&'static Opened> {
        let mut opened = self.site.first.get()?;
        if self.instance.is_some() {
            while opened.instance != self.instance {
                opened = opened.next.get()?;
            }
        }
        Some(opened)
    }

    /// The cache and the region of a call.
    pub(super) fn open<K: Key, V: Value>(self) -> Found {
        if let Some(cache) = exceptions::stand_in() {
            return Found::Here(Box::new(Opened::new::<K, V>(self, (self.spec)(), cache)));
        }
        let new = || {
            let spec = (self.spec)();
            let cache = (spec.cache)();
            Opened::new::<K, V>(self, spec, cache)
        };
        let mut opened = self.site.first.get_or_init(new);
        while opened.instance != self.instance {
            opened = opened.next.get_or_init(|| Box::new(new()));
        }
        Found::Kept(opened)
    }

    /// The cache and the region of a call, if there is a region by now.
    pub(super) fn region(self) -> Option<(Cache, Arc<dyn AnyRegion>)> {
        let cache = match exceptions::stand_in() {
            Some(cache) => cache,
            None => self.known()?.cache.clone(),
        };
        let region = cache.engine().regions().find(&self.region_key())?;
        Some((cache, region))
    }

    /// A call cannot but run past the cache: counted always, logged once.
    pub(super) fn bypassed(self, region: &dyn AnyRegion, why: &Error) {
        region.count_bypass();
        self.site.report(region.region_name(), why);
    }

    /// The level of the function in the tree of a cache.
    pub(super) fn level_in(self, cache: &Cache) -> Option<LevelId> {
        level_of(cache.tree(), (self.spec)().levels)
    }

    fn region_key(self) -> RegionKey {
        RegionKey::Site(self.address(), self.instance)
    }
}

/// Asks that a type parameter of a cached function is `'static`: each instance has a region of its own.
pub fn is_static<T: ?Sized + 'static>() {}

/// The level whose path has exactly these names.
fn level_of(tree: &ScopeTree, names: &[&str]) -> Option<LevelId> {
    let level = tree.level(names.last()?)?;
    tree.path(level).iter().map(|&level| tree.name(level)).eq(names.iter().copied()).then_some(level)
}

/// What a call works with: kept by the site, or found for this call.
pub(super) enum Found {
    Kept(&'static Opened),
    Here(Box<Opened>),
}

impl Deref for Found {
    type Target = Opened;

    fn deref(&self) -> &Opened {
        match self {
            Self::Kept(opened) => opened,
            Self::Here(opened) => opened,
        }
    }
}

/// A site that has been used, with one cache, for one instance of its function.
pub(super) struct Opened {
    pub(super) cache: Cache,
    pub(super) without_scope: WithoutScope,
    pub(super) coalesce: Coalesce,
    name: String,
    /// A `Store<K, V>`, or what is wrong with the function's options.
    store: Typed,
    region: Option<Arc<dyn AnyRegion>>,
    /// The function's level in the cache's tree; `None` for the root scope, and for levels the tree does not have, which
    /// each call reports by itself.
    pub(super) level: Option<LevelId>,
    instance: Option<TypeId>,
    /// Another instance of the function.
    next: OnceLock<Box<Opened>>,
    site: &'static Site,
}

impl Opened {
    fn new<K: Key, V: Value>(at: At, spec: Spec, cache: Cache) -> Self {
        let name = spec.name();
        let opened = open_store::<K, V>(&cache, at.region_key(), &name, &spec);
        let region = opened.as_ref().ok().map(|store| Arc::clone(store) as Arc<dyn AnyRegion>);
        Self {
            level: level_of(cache.tree(), spec.levels),
            cache,
            without_scope: spec.without_scope,
            coalesce: spec.coalesce,
            name,
            store: opened.map_or_else(|fault| Typed::new(Arc::new(fault)), Typed::new),
            region,
            instance: at.instance,
            next: OnceLock::new(),
            site: at.site,
        }
    }

    /// The site's region.
    ///
    /// # Errors
    /// What is wrong with the function's options.
    pub(super) fn store<K: Key, V: Value>(&self) -> Result<Arc<Store<K, V>>> {
        if let Some(fault) = self.store.get::<Error>() {
            return Err(Error::new(ErrorKind::InvalidConfig, "cached")
                .with("function", &self.name)
                .because(fault.to_string()));
        }
        self.store
            .hold()
            .ok_or_else(|| Error::new(ErrorKind::TypeMismatch, "cached").with("function", &self.name))
    }

    /// The site's region, if there is one of these types.
    #[inline(always)]
    pub(super) fn known_store<K: Key, V: Value>(&self) -> Option<&Store<K, V>> {
        self.store.get()
    }

    /// A call was asked to run past the cache: counted.
    pub(super) fn count_bypass(&self) {
        if let Some(region) = &self.region {
            region.count_bypass();
        }
    }

    /// A call cannot but run past the cache: counted always, logged once.
    pub(super) fn bypassed(&self, why: &Error) {
        self.count_bypass();
        self.site.report(&self.name, why);
    }
}

fn open_store<K: Key, V: Value>(
    cache: &Cache,
    key: RegionKey,
    name: &str,
    spec: &Spec,
) -> Result<Arc<Store<K, V>>> {
    let mut builder = cache.region_builder::<K, V>(name);
    builder = match spec.ttl {
        Ttl::Inherit => builder,
        Ttl::Never => builder.ttl(crate::Ttl::never()),
        Ttl::After(time) => builder.ttl(time),
    };
    if let Some(idle) = spec.idle {
        builder = builder.idle(idle);
    }
    // Under a clock of its own a test wants to know when.
    if matches!(cache.engine().time(), TimeSource::System(_)) {
        builder = builder.ttl_jitter(spec.jitter);
    }
    if let Some(max) = spec.max {
        builder = builder.max_per_scope(max);
    }
    if let Some(weigh) = spec.weigh.as_ref().and_then(super::spec::Weigh::of::<V>) {
        builder = builder.weigher(move |_, value| weigh(value));
    }
    let builder = cared_for(builder, spec, cache.engine().default_ttl());
    Ok(Arc::clone(builder.open_as(key)?.store()))
}

/// The region of a function whose loads are cared for like this.
fn cared_for<K: Key, V: Value>(
    mut builder: RegionBuilder<K, V>,
    spec: &Spec,
    default_ttl: crate::Ttl,
) -> RegionBuilder<K, V> {
    let Care { stale, on_error, refresh, soft, hard, throttle, breaker } = spec.care;
    if let Some(window) = stale {
        builder = builder.stale(window);
    }
    builder = match (on_error, spec.ttl) {
        (OnError::Never, _) => builder,
        (OnError::For(window), _) => builder.stale_on_error(window),
        (OnError::AsTtl, Ttl::After(ttl)) => builder.stale_on_error(ttl),
        (OnError::AsTtl, Ttl::Never) => builder.stale_on_error(crate::Ttl::never()),
        (OnError::AsTtl, Ttl::Inherit) => builder.stale_on_error(default_ttl),
    };
    builder = match refresh {
        Refresh::Never => builder,
        Refresh::After(part) => builder.refresh(part),
        Refresh::Early(factor) => builder.refresh_early(factor),
    };
    if let Some(time) = soft {
        builder = builder.soft(time);
    }
    if let Some(time) = hard {
        builder = builder.hard(time);
    }
    if let Some(time) = throttle {
        builder = builder.throttle(time);
    }
    if let Some((failures, cool_down)) = breaker {
        builder = builder.breaker(failures, cool_down);
    }
    builder
}
