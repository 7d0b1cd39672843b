//! An entry as whoever found it sees it.

use super::header::Header;
use super::slots::Node;
use super::word;
use crate::policy::SlotId;

/// An entry that cannot be emptied while this lives; see (5).
pub(in crate::engine) struct Entry<'a, K, V> {
    pub(super) node: &'a Node<K, V>,
    pub(super) slot: SlotId,
}

impl<K, V> Clone for Entry<'_, K, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<K, V> Copy for Entry<'_, K, V> {}

impl<'a, K, V> Entry<'a, K, V> {
    #[inline]
    pub(in crate::engine) fn slot(self) -> SlotId {
        self.slot
    }

    #[inline]
    pub(in crate::engine) fn header(self) -> &'a Header {
        &self.node.header
    }

    #[inline]
    pub(in crate::engine) fn key(self) -> &'a K {
        // SAFETY: by (5) the node stays filled for 'a.
        unsafe { self.node.key() }
    }
}

impl<'a, K, V: Clone + 'static> Entry<'a, K, V> {
    /// The value, as it is now.
    #[inline(always)]
    pub(in crate::engine) fn value(self) -> V {
        if word::is_word::<V>() {
            // SAFETY: by (5) the node stays filled, and by (8) words are written by `write` only.
            return unsafe { word::read(self.node.value()) };
        }
        // SAFETY: by (5) the node stays filled for 'a, and by (8) nobody writes over what is no word.
        let (_, value) = unsafe { self.node.payload() };
        value.clone()
    }

    /// As [`value`](Self::value), for a look.
    pub(in crate::engine) fn with_value<R>(self, look: impl FnOnce(&V) -> R) -> R {
        if word::is_word::<V>() {
            return look(&self.value());
        }
        // SAFETY: as above.
        let (_, value) = unsafe { self.node.payload() };
        look(value)
    }
}
