//! The memory engine: typed regions below one registry of scopes, one set of bounds, one clock.
//!
//! [`Engine`] is what regions share; [`Store`] is a region's entries, read in `store`, written in `write`, taken out in
//! `take`, kept in `shard`; [`Lease`] is the right to load and publish.
//! What spans regions (bounds, sweeps, expiry, statistics) speaks to `dyn RegionOps`, from write paths only.
//! (1) At quiescence the cache is never above its bounds; meanwhile by at most the entries being written.
//! (2) What is alive is never evicted for what is dead: expired entries go first, and entries of evicted scopes
//! do not count against the bounds. (3) No lock is held while a value is dropped or a listener runs.

mod aged;
mod arena;
mod budgets;
mod claim;
mod domain;
mod keeper;
mod lease;
mod limits;
#[cfg_attr(any(shuttle, loom), allow(dead_code, reason = "explored schedules have no thread of ours"))]
mod maintenance;
mod options;
mod place;
mod regions;
#[cfg(all(test, not(any(shuttle, loom))))]
mod regressions;
mod removal;
mod room;
mod seat;
mod shard;
mod shared;
mod space;
mod store;
mod tags;
mod take;
#[cfg(test)]
mod tests;
mod write;

pub use aged::{Aged, Beat, Explained, Freshness, Tolerance};
pub use keeper::AnyRegion;
pub use lease::{Enough, Joined, Landing, Lease, Waited, Waiting};
pub use limits::Limits;
pub use maintenance::Maintenance;
pub use options::{Care, Early, Glance, Key, Look, Sight, StoreOptions, Taken, Value, Weigher, Write};
pub use place::Place;
pub use regions::{RegionKey, Regions};
pub use removal::{EventScope, Listener, LoadEvent, Observer, RegionListener, Removal};
pub use room::Spare;
pub use shared::{Engine, EngineConfig, Spawner};
pub use store::Store;

use std::any::Any;

use claim::{Claim, Offer, Standing};

use crate::clock::Moment;
use crate::scope::Node;
use crate::stats::Stats;
use crate::sync::Arc;

/// The number of a region in its cache; never used again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RegionId(pub(crate) u64);

/// What an eviction of a scope took, or a preview would take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Detached {
    /// Entries.
    pub entries: u64,
    /// Their weight.
    pub weight: u64,
}

/// How far one goes to find somebody who pays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Thoroughness {
    /// That of the scope which holds too much.
    Own,
    /// A few domains are asked.
    Few,
    /// All domains, and whoever is beyond its reserve pays.
    All,
    /// All domains, and the claimant pays even within its own reserve.
    EvenOwn,
}

/// What spans regions asks of each of them. Reached from write paths and maintenance only.
pub(crate) trait RegionOps: AnyRegion + Any {
    fn id(&self) -> RegionId;
    fn name(&self) -> &str;
    /// Entries, dead ones included.
    fn entries(&self) -> u64;
    /// Their weight.
    fn weight(&self) -> u64;
    fn shards(&self) -> usize;
    /// The age, in generations, of the entry of a shard that would go next.
    fn coldest(&self, shard: usize, spare: Spare, generation: u8) -> Option<u8>;
    /// The same, as it was when somebody last looked; `None` if nobody has, or there was none.
    fn shown_age(&self, shard: usize, generation: u8) -> Option<u8>;
    /// Evicts the entry of a shard that should go next, for the sake of a scope, if it is for one; whether there was one.
    fn evict_from(&self, engine: &Engine, shard: usize, spare: Spare, of: Option<&Node>) -> bool;
    /// How far whoever is furthest beyond its reserve is, of a few domains of a shard that can pay for a claim.
    fn furthest(&self, shard: usize, claim: &Claim<'_>) -> Option<Standing>;
    /// What a few domains of a shard, or all, offer to a claim.
    fn offer(&self, engine: &Engine, shard: usize, claim: &Claim<'_>, spare: Spare) -> Option<Offer>;
    /// Evicts whom a few domains of a shard, or all, offer to a claim; how that one stood, if there was one.
    fn evict_for(
        &self,
        engine: &Engine,
        shard: usize,
        claim: &Claim<'_>,
        spare: Spare,
        how: Thoroughness,
    ) -> Option<Standing>;
    /// Brings all entries of a shard into the domains they belong to, a slice a lock.
    fn bring_home(&self, engine: &Engine, shard: usize);
    /// Removes what is due in a shard; how many, and the deadline that comes next.
    fn expire(&self, engine: &Engine, shard: usize, now: Moment) -> (u64, Option<Moment>);
    /// Removes entries of evicted scopes among the slots `from..` of a shard; where to go on, or `None` at its end.
    fn sweep(&self, engine: &Engine, shard: usize, from: usize, slots: usize) -> Option<usize>;
    /// Drops what readers have passed; whether something is left.
    fn reclaim(&self, engine: &Engine) -> bool;
    /// Whether keys or values wait to be dropped.
    fn has_waiting(&self) -> bool;
    /// Entries, weight and running loads now; counters.
    fn report(&self, into: &mut Stats);
    fn flights(&self) -> u64;
    fn as_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
}
