//! Where an operation acts, as the engine asks for it.
//!
//! (1) Finding creates nothing. (2) A place finds or makes the present incarnation of its scope, each time it is asked.

use crate::epoch::{Held, Pin};
use crate::error::Result;
use crate::scope::{Node, Registry, ScopePath};
use crate::sync::Arc;

/// Something that names one scope.
pub trait Place {
    /// The scope's node, if the cache keeps one. Creates nothing.
    ///
    /// # Errors
    /// If the place is no path of the cache's tree.
    fn find(&self, registry: &Registry) -> Result<Option<Arc<Node>>>;

    /// The scope's node, made if need be.
    ///
    /// # Errors
    /// If the place is no path of the cache's tree.
    fn create(&self, registry: &Registry) -> Result<Arc<Node>>;

    /// The scope's present node, where that is known without a look-up, and the registry is the one whose present word this is.
    #[inline]
    fn resolved<'p>(&'p self, _pin: &'p Pin, _word: u64) -> Option<Held<'p, Node>> {
        None
    }
}

impl Place for ScopePath {
    fn find(&self, registry: &Registry) -> Result<Option<Arc<Node>>> {
        registry.find(self, "scope")
    }

    fn create(&self, registry: &Registry) -> Result<Arc<Node>> {
        registry.find_or_create(self, "scope")
    }
}
