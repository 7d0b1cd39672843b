//! Where a verb acts: an exact path, one level out of a bag of ids, or a resolved handle. No third way.
//!
//! (1) Each resolves to exactly one scope or to a typed error; nothing falls back to the root. (2) A handle of another
//! cache is an error. (3) Destructive verbs refuse ids that the asked level does not need but its tree knows.

use std::sync::Arc;

use strata_cache_core::engine::Place;
use strata_cache_core::epoch::{Held, Pin};
use strata_cache_core::error::{Error, ErrorKind, Result};
use strata_cache_core::scope::{ExactPath, Locate, Node, PathIds, Registry, ScopeIds, ScopePath};
use strata_cache_core::stats::{Event, tally};

use crate::cache::Cache;
use crate::handle::Scope;

/// Names one scope: what every verb takes to say where it acts.
///
/// Three things do: an exact path `scope!(org = "acme", user = 42)`, one level out of a bag of ids
/// `("user", &ids)`, and a resolved [`Scope`] handle.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not name a scope",
    note = "use `scope!(org = .., user = ..)`, `scope!(global)`, `(\"level\", &ids)` or a resolved `&Scope`"
)]
pub trait ToScope {
    /// Calls with the scope's node, if the cache keeps one, to read under it. Creates nothing. What runs under the pin should
    /// be short.
    ///
    /// # Errors
    /// If this names no scope of the cache.
    fn with_node<R>(
        &self,
        pin: &Pin,
        cache: &Cache,
        operation: &'static str,
        run: impl FnOnce(Option<&Node>) -> R,
    ) -> Result<R>;

    /// As [`with_node`](Self::with_node), where one look tells that there is a node: the way of a hit. To be asked where
    /// [`resolved`](Self::resolved) knows nothing. `None` says nothing.
    fn glance<R>(&self, pin: &Pin, cache: &Cache, run: impl FnOnce(&Node) -> Option<R>) -> Option<R>;

    /// The scope's node, where that is known without a look-up, and of the cache whose registry has this word now.
    #[inline]
    fn resolved<'p>(&'p self, _pin: &'p Pin, _word: u64) -> Option<Held<'p, Node>> {
        None
    }

    /// The scope's node, held, if the cache keeps one. Creates nothing.
    ///
    /// # Errors
    /// If this names no scope of the cache.
    fn find_node(&self, cache: &Cache, operation: &'static str) -> Result<Option<Arc<Node>>>;

    /// Counts a lookup in a scope that has no node, for the scopes above it that have one. Creates nothing.
    ///
    /// # Errors
    /// If this names no scope of the cache.
    fn count_absent(&self, cache: &Cache, operation: &'static str) -> Result<()>;

    /// The scope's node, made if need be.
    ///
    /// # Errors
    /// If this names no scope of the cache.
    fn create_node(&self, cache: &Cache, operation: &'static str) -> Result<Arc<Node>>;

    /// The scope's path, checked against the cache's tree.
    ///
    /// # Errors
    /// If this names no scope of the cache.
    fn path(&self, cache: &Cache, operation: &'static str) -> Result<ScopePath>;

    /// Refuses what a destructive verb may not be given.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidPath`] if there are ids for levels beside or below the one asked for.
    fn check_destructive(&self, cache: &Cache, operation: &'static str) -> Result<()>;
}

macro_rules! located {
    ($({$($generics:tt)*} $type:ty),+) => {$(
        impl<$($generics)*> ToScope for $type {
            #[inline]
            fn with_node<R>(
                &self,
                pin: &Pin,
                cache: &Cache,
                operation: &'static str,
                run: impl FnOnce(Option<&Node>) -> R,
            ) -> Result<R> {
                cache.engine().registry().with(pin, self, operation, run)
            }

            #[inline]
            fn glance<R>(
                &self,
                pin: &Pin,
                cache: &Cache,
                run: impl FnOnce(&Node) -> Option<R>,
            ) -> Option<R> {
                cache.engine().registry().glance(pin, self, run)
            }

            fn find_node(&self, cache: &Cache, operation: &'static str) -> Result<Option<Arc<Node>>> {
                cache.engine().registry().find(self, operation)
            }

            fn count_absent(&self, cache: &Cache, operation: &'static str) -> Result<()> {
                cache.engine().registry().nearest(self, operation).map(|node| {
                    tally::count(None, Some(node.stats()), Event::Miss);
                })
            }

            fn create_node(&self, cache: &Cache, operation: &'static str) -> Result<Arc<Node>> {
                cache.engine().registry().find_or_create(self, operation)
            }

            fn path(&self, cache: &Cache, operation: &'static str) -> Result<ScopePath> {
                ScopePath::of(cache.tree(), self, operation)
            }

            fn check_destructive(&self, cache: &Cache, operation: &'static str) -> Result<()> {
                // Also says whether this is a path at all, before anything is touched.
                self.level(cache.tree(), operation)?;
                self.refuse_surplus(cache.tree(), operation)
            }
        }
    )+};
}

located!(
    {const N: usize} ExactPath<N>,
    {const N: usize} PathIds<'_, N>,
    {B: ScopeIds + ?Sized} (&str, &B),
    {} ScopePath
);

impl ToScope for Scope {
    /// What [`resolved`](ToScope::resolved) does not tell is not to be told at one look.
    #[inline(always)]
    fn glance<R>(&self, _: &Pin, _: &Cache, _: impl FnOnce(&Node) -> Option<R>) -> Option<R> {
        None
    }

    fn with_node<R>(
        &self,
        pin: &Pin,
        cache: &Cache,
        operation: &'static str,
        run: impl FnOnce(Option<&Node>) -> R,
    ) -> Result<R> {
        self.check_cache(cache, operation)?;
        Ok(self.anchor().with(pin, cache.engine().registry(), run))
    }

    #[inline(always)]
    fn resolved<'p>(&'p self, pin: &'p Pin, word: u64) -> Option<Held<'p, Node>> {
        self.anchor().resolved(pin, word)
    }

    fn find_node(&self, cache: &Cache, operation: &'static str) -> Result<Option<Arc<Node>>> {
        self.check_cache(cache, operation)?;
        Ok(self.anchor().find(cache.engine().registry()))
    }

    fn count_absent(&self, cache: &Cache, operation: &'static str) -> Result<()> {
        self.check_cache(cache, operation)?;
        self.anchor().path().count_absent(cache, operation)
    }

    fn create_node(&self, cache: &Cache, operation: &'static str) -> Result<Arc<Node>> {
        self.check_cache(cache, operation)?;
        self.anchor().create(cache.engine().registry())
    }

    fn path(&self, cache: &Cache, operation: &'static str) -> Result<ScopePath> {
        self.check_cache(cache, operation)?;
        Ok(self.anchor().path().clone())
    }

    fn check_destructive(&self, cache: &Cache, operation: &'static str) -> Result<()> {
        self.check_cache(cache, operation)
    }
}

impl Scope {
    fn check_cache(&self, cache: &Cache, operation: &'static str) -> Result<()> {
        if self.cache().is_same(cache) {
            return Ok(());
        }
        Err(Error::new(ErrorKind::Foreign, operation)
            .with("scope", self)
            .because("resolve the scope with the cache it is used with"))
    }
}

impl<T: ToScope + ?Sized> ToScope for &T {
    #[inline(always)]
    fn glance<R>(&self, pin: &Pin, cache: &Cache, run: impl FnOnce(&Node) -> Option<R>) -> Option<R> {
        (**self).glance(pin, cache, run)
    }

    fn with_node<R>(
        &self,
        pin: &Pin,
        cache: &Cache,
        operation: &'static str,
        run: impl FnOnce(Option<&Node>) -> R,
    ) -> Result<R> {
        (**self).with_node(pin, cache, operation, run)
    }

    #[inline(always)]
    fn resolved<'p>(&'p self, pin: &'p Pin, word: u64) -> Option<Held<'p, Node>> {
        (**self).resolved(pin, word)
    }

    fn find_node(&self, cache: &Cache, operation: &'static str) -> Result<Option<Arc<Node>>> {
        (**self).find_node(cache, operation)
    }

    fn count_absent(&self, cache: &Cache, operation: &'static str) -> Result<()> {
        (**self).count_absent(cache, operation)
    }

    fn create_node(&self, cache: &Cache, operation: &'static str) -> Result<Arc<Node>> {
        (**self).create_node(cache, operation)
    }

    fn path(&self, cache: &Cache, operation: &'static str) -> Result<ScopePath> {
        (**self).path(cache, operation)
    }

    fn check_destructive(&self, cache: &Cache, operation: &'static str) -> Result<()> {
        (**self).check_destructive(cache, operation)
    }
}

/// A place of one cache, as the engine asks for it.
pub(crate) struct At<'a, P> {
    pub(crate) cache: &'a Cache,
    pub(crate) place: &'a P,
    pub(crate) operation: &'static str,
}

impl<P: ToScope> Place for At<'_, P> {
    fn find(&self, _: &Registry) -> Result<Option<Arc<Node>>> {
        self.place.find_node(self.cache, self.operation)
    }

    fn create(&self, _: &Registry) -> Result<Arc<Node>> {
        self.place.create_node(self.cache, self.operation)
    }

    #[inline]
    fn resolved<'p>(&'p self, pin: &'p Pin, word: u64) -> Option<Held<'p, Node>> {
        self.place.resolved(pin, word)
    }
}
