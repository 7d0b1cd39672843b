//! What a loader said of its result, and what is unchanged.
//!
//! (1) What the loader said goes before what the call says, and that before the region. (2) What is unchanged gets new times where it is, if
//! it is still there: value, weight and tags stay. If not, what the loader gave is stored as any other value, with the tags of what was
//! there; so a tag that was withdrawn meanwhile keeps it out.

use super::super::options::{Early, Key, Value, Write};
use super::super::shard::{Draft, LockedShard};
use super::super::store::{Store, short};
use super::Lease;
use crate::engine::Engine;
use crate::scope::Node;
use crate::sync::Arc;
use std::time::Duration;

impl<K: Key, V: Value> Lease<K, V> {
    /// How the result is to be stored, of which the call says this.
    pub(super) fn answered(&self, write: Option<Write>) -> Option<Write> {
        let answer = self.tags.answer;
        let mut write = write.filter(|_| !answer.is_unwanted)?;
        write.weight = answer.weight.or(write.weight);
        write.ttl = answer.ttl.or(write.ttl);
        if write.early.is_none() {
            write.early = Some(self.store.options.care.early);
        }
        if let Some(Early::ByCost(factor)) = write.early {
            let cost = self.begun.map_or(Duration::ZERO, |begun| self.engine.now().since(begun));
            let mean = Duration::try_from_secs_f64(cost.as_secs_f64() * factor).unwrap_or(Duration::ZERO);
            write.early = Some(if mean.is_zero() { Early::Never } else { Early::Within(mean) });
        }
        if answer.ttl.is_some_and(crate::expiry::Ttl::is_never) {
            // Without an end there is nothing to be kept beyond.
            (write.keep, write.early) = (Some(Duration::ZERO), Some(Early::Never));
        }
        Some(write)
    }
}

impl<K: Key, V: Value> Store<K, V> {
    /// Gives what is stored of a draft's key the draft's times, if it is there and was not withdrawn. Whether it was.
    pub(super) fn renew(
        &self,
        engine: &Engine,
        shard: &mut LockedShard<'_, K, V>,
        node: &Arc<Node>,
        hash: u64,
        draft: Option<&Draft<K, V>>,
    ) -> bool {
        let Some(Draft { key, terms, .. }) = draft else { return false };
        let Some(entry) = shard.find(short(hash), node.number(), key) else { return false };
        let is_gone = shard.is_gone(entry, || terms.now(engine));
        let slot = entry.slot();
        if is_gone || self.is_withdrawn(shard, slot) {
            return false;
        }
        engine.note_deadline(terms.due());
        match terms.kept {
            Some(kept) => shard.keep(slot, kept),
            None => shard.renew(slot, terms.deadline),
        }
        if self.options.idle.is_some() {
            shard.note_last(slot, terms.last);
        }
        true
    }
}
