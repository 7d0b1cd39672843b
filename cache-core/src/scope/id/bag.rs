//! Bags of ids by name, as a request carries them.
//!
//! (1) A bag answers by the exact name. (2) Where a name occurs twice, the first one counts; [`Ids`] keeps the last one
//! given. (3) What a bag holds beyond the names asked for has no effect.
//! Cost: lists compare names one by one.

use std::borrow::Borrow;
use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::hash::{BuildHasher, Hash};

use super::{IdText, ScopeId};

/// A bag of ids by id name (`org_id`, `user_id`), from a request for example.
///
/// Where a name occurs more than once the first one counts.
pub trait ScopeIds {
    /// The id of this name, if the bag has one.
    fn id(&self, name: &str) -> Option<IdText<'_>>;
}

impl<N: AsRef<str>, T: ScopeId> ScopeIds for [(N, T)] {
    fn id(&self, name: &str) -> Option<IdText<'_>> {
        self.iter().find(|(known, _)| known.as_ref() == name).map(|(_, id)| id.id_text())
    }
}

impl<N: AsRef<str>, T: ScopeId, const COUNT: usize> ScopeIds for [(N, T); COUNT] {
    fn id(&self, name: &str) -> Option<IdText<'_>> {
        self.as_slice().id(name)
    }
}

impl<N: AsRef<str>, T: ScopeId> ScopeIds for Vec<(N, T)> {
    fn id(&self, name: &str) -> Option<IdText<'_>> {
        self.as_slice().id(name)
    }
}

impl<N: Borrow<str> + Eq + Hash, T: ScopeId, S: BuildHasher> ScopeIds for HashMap<N, T, S> {
    fn id(&self, name: &str) -> Option<IdText<'_>> {
        self.get(name).map(ScopeId::id_text)
    }
}

impl<N: Borrow<str> + Ord, T: ScopeId> ScopeIds for BTreeMap<N, T> {
    fn id(&self, name: &str) -> Option<IdText<'_>> {
        self.get(name).map(ScopeId::id_text)
    }
}

impl<T: ScopeIds + ?Sized> ScopeIds for &T {
    fn id(&self, name: &str) -> Option<IdText<'_>> {
        (**self).id(name)
    }
}

/// An owned bag of ids of any types.
///
/// ```
/// use strata_cache_core::scope::{Ids, ScopeIds};
///
/// let ids = Ids::new().with("org_id", 7u64).with("user_id", "bob");
/// assert_eq!(ids.id("org_id").unwrap().as_str(), "7");
/// assert!(ids.id("session_id").is_none());
/// ```
#[derive(Clone, Default)]
pub struct Ids(Vec<(Box<str>, IdText<'static>)>);

impl Ids {
    /// An empty bag.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an id, in place of one of the same name.
    #[must_use]
    pub fn with(mut self, name: impl Into<Box<str>>, id: impl ScopeId) -> Self {
        let (name, id) = (name.into(), id.id_text().into_owned());
        match self.0.iter_mut().find(|(known, _)| *known == name) {
            Some(place) => place.1 = id,
            None => self.0.push((name, id)),
        }
        self
    }
}

impl ScopeIds for Ids {
    fn id(&self, name: &str) -> Option<IdText<'_>> {
        self.0.as_slice().id(name)
    }
}

/// Names only: ids may be personal.
impl fmt::Debug for Ids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}
