//! A resolved handle: a path and the node it was last found at, which finds its way by itself after an eviction.
//!
//! (1) A node is used only if it was found live at the registry's present word, or was found again after that word was
//! read. (2) Absence is never remembered: another thread may make the node at any time. (3) What is stored is one
//! pointer; the word at which a node was verified is the node's own, so the two cannot be mixed up between threads.
//! (4) An anchor pins its node's path: a node with a handle is not idle.
//! Cost: resolved and nothing detached since, a use is one load under a pin and two comparisons; no allocation.

use super::node::Node;
use super::path::{Locate, ScopePath};
use super::registry::Registry;
use crate::epoch::{self, FullSlot, Held, Pin};
use crate::error::Result;
use crate::sync::Arc;

/// A path in one registry, with its node once it has one.
pub struct Anchor {
    path: ScopePath,
    /// A node of the path, or the registry's `nowhere`, which is dead.
    resolved: FullSlot<Node>,
}

impl Anchor {
    /// An anchor at a path of a registry's tree; nothing is looked up yet.
    pub fn new(registry: &Registry, path: ScopePath) -> Self {
        Self { path, resolved: FullSlot::new(Arc::clone(registry.nowhere())) }
    }

    /// An anchor at a place of a registry's tree. Creates no node.
    ///
    /// # Errors
    /// Those of [`Locate`].
    pub fn at(registry: &Registry, place: &(impl Locate + ?Sized), operation: &'static str) -> Result<Self> {
        Ok(Self::new(registry, ScopePath::of(registry.tree(), place, operation)?))
    }

    /// The path.
    pub fn path(&self) -> &ScopePath {
        &self.path
    }

    /// Calls with the path's present node, if it has one. The registry must be the one the anchor was made for.
    #[inline]
    pub fn with<R>(&self, pin: &Pin, registry: &Registry, f: impl FnOnce(Option<&Node>) -> R) -> R {
        let word = registry.word();
        let node = self.resolved.load(pin);
        if node.is_live_at(word) {
            return f(Some(&node));
        }
        f(self.resolve(pin, registry).as_deref())
    }

    /// The path's present node, if it is known at one look, and of the registry whose present word this is.
    #[inline(always)]
    pub fn resolved<'p>(&'p self, pin: &'p Pin, word: u64) -> Option<Held<'p, Node>> {
        Some(self.resolved.load(pin)).filter(|node| node.is_verified_at(word))
    }

    #[cold]
    fn resolve(&self, pin: &Pin, registry: &Registry) -> Option<Arc<Node>> {
        let had_one = !Arc::ptr_eq(&self.resolved.load(pin), registry.nowhere());
        // The path has been checked against the tree; one of another tree has no node here.
        let found = registry.find(&self.path, "scope").ok().flatten();
        if had_one || found.is_some() {
            self.keep(found.as_ref());
        }
        found
    }

    /// The path's present node, if it has one.
    pub fn find(&self, registry: &Registry) -> Option<Arc<Node>> {
        let pin = epoch::pin();
        // The anchor's own hold lasts as long as the pin, so another one may be taken here.
        let word = registry.word();
        let node = self.resolved.load(&pin);
        if node.is_live_at(word) { Some(Arc::clone(&node)) } else { self.resolve(&pin, registry) }
    }

    /// The path's present node, made if it has none.
    ///
    /// # Errors
    /// Those of [`Locate`] for a path that is not one of the registry's tree.
    pub fn create(&self, registry: &Registry) -> Result<Arc<Node>> {
        let word = registry.word();
        let pin = epoch::pin();
        let known = self.resolved.load(&pin);
        if known.is_live_at(word) {
            return Ok(Arc::clone(&known));
        }
        drop(pin);
        let node = registry.find_or_create(&self.path, "scope")?;
        self.keep(Some(&node));
        Ok(node)
    }

    fn keep(&self, node: Option<&Arc<Node>>) {
        if let Some(node) = node {
            node.pin();
        }
        if let Some(before) = self.resolved.swap(node.cloned()) {
            before.unpin();
        }
    }
}

impl Drop for Anchor {
    fn drop(&mut self) {
        // Nobody reads through a handle that is dropped.
        if let Some(node) = self.resolved.take() {
            node.unpin();
        }
    }
}

impl std::fmt::Debug for Anchor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Anchor({})", self.path)
    }
}
