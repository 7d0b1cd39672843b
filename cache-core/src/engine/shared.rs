//! What the regions of one cache share: registry, bounds, policy, clock, and the counts of what is dead.
//!
//! (1) An eviction of a scope is counted once, and what had expired by then is not in it. (2) `dead_entries` is what
//! evictions took and the sweep has not unlinked yet. Cost: an eviction is O(depth), beside what has expired.

use std::future::Future;
use std::num::NonZeroU64;
use std::pin::Pin;
use std::sync::atomic::{AtomicI64, Ordering::Acquire, Ordering::Relaxed, Ordering::SeqCst};
use std::time::Duration;

use crossbeam_utils::CachePadded;

use super::arena::Header;
use super::removal::guarded;
use super::shard::LockedShard;
use super::{Detached, Limits, Listener, Maintenance, Observer, Regions, Spare, maintenance};
use crate::clock::{Deadline, Moment, REREAD, TimeSource};
use crate::epoch;
use crate::error::Result;
use crate::expiry::Ttl;
use crate::flight::{Alarm, Defaults, Errands, Fences, LeaseTimes, LoadLimits, Reaper, Setup, Watch};
use crate::policy::Policy;
use crate::scope::{Node, Registry, ScopeTree, TrackedLevels};
use crate::stats::Stats;
use crate::sync::{Arc, AtomicU32, AtomicU64, Mutex, Weak};

/// Up to so many entries a region is in one shard, and its order exact.
const EXACT: u64 = 1024;

/// What a shard has to have for itself at least: so many entries, or so many bytes.
const LEAST_ENTRIES: u64 = 512;
const LEAST_BYTES: u64 = 640 << 10;

/// Slots of a shard up to which its table is near (see [`arena`](super::arena)), with some to spare; and shards at most for the sake of that.
const NEAR_SLOTS: u64 = (1 << 16) - 512;
const MOST_SHARDS: usize = 1 << 12;

/// Everything an engine is made from. All of it has been checked.
pub struct EngineConfig {
    /// The levels of the cache.
    pub tree: ScopeTree,
    /// The levels whose scopes count lookups.
    pub tracked: TrackedLevels,
    /// The bounds.
    pub limits: Limits,
    /// The eviction policy of every region.
    pub policy: Policy,
    /// Time-to-live where neither entry nor region says one.
    pub ttl: Ttl,
    /// The clock.
    pub time: TimeSource,
    /// Who expires and sweeps.
    pub maintenance: Maintenance,
    /// Whether the system's allocator is asked to give memory back once much has gone.
    pub trim_heap: bool,
    /// When a leader counts as stalled.
    pub lease_times: LeaseTimes,
    /// How many loads a scope of each level may run at once.
    pub load_limits: Defaults,
    /// How many loads may run that nobody waits for.
    pub background_loads: usize,
    /// Where they run, if not where their caller is.
    pub spawner: Option<Spawner>,
    /// Told of each removal.
    pub listener: Option<Listener>,
    /// Told of what happens to loads.
    pub observer: Option<Observer>,
}

/// Takes a run on, and polls it to its end.
pub type Spawner = Arc<dyn Fn(Pin<Box<dyn Future<Output = ()> + Send>>) + Send + Sync>;

/// What the regions of one cache share.
pub struct Engine {
    registry: Registry,
    regions: Regions,
    limits: Limits,
    policy: Policy,
    ttl: Ttl,
    time: TimeSource,
    lease_times: LeaseTimes,
    load_limits: Arc<LoadLimits>,
    listener: Option<Listener>,
    observer: Option<Observer>,
    hasher: ahash::RandomState,
    pub(super) fences: Arc<Fences>,
    watch: Arc<Watch>,
    errands: Arc<Errands>,
    spawner: Option<Spawner>,
    pub(super) upkeep: maintenance::Upkeep,
    /// What the age of entries is counted in: about sixteen to as many writes as the cache holds entries. Read by hits.
    generation: Arc<CachePadded<AtomicU32>>,
    /// Regions that hold entries, dead ones included.
    populated: AtomicI64,
    /// Samples drawn so far.
    draws: AtomicU64,
    /// Entries of evicted scopes that are not swept yet.
    pub(super) dead_entries: AtomicI64,
    /// Held by whoever makes others pay than itself.
    pub(super) turn: Mutex<()>,
    /// A note of who paid last for the root scope.
    pub(super) payer: AtomicU64,
}

impl Engine {
    /// Makes an engine. Its maintenance thread, if any, starts with the first deadline or eviction of a scope.
    pub fn new(config: EngineConfig) -> Arc<Self> {
        let EngineConfig { tree, tracked, limits, policy, ttl, time, maintenance, lease_times, .. } = config;
        let EngineConfig { load_limits, background_loads, spawner, listener, observer, trim_heap, .. } =
            config;
        epoch::prepare();
        let watch = Watch::new();
        let load_limits = LoadLimits::new(load_limits, lease_times, time.clone(), Arc::clone(&watch));
        let registry = Registry::new(tree, tracked);
        // There is nothing yet that these could be too small for.
        _ = registry.budgets().set_bounds(limits.both());
        let clock = time.clone();
        let engine = Arc::new_cyclic(|this| Self {
            registry,
            regions: Regions::default(),
            limits,
            policy,
            ttl,
            time,
            lease_times,
            load_limits,
            listener,
            observer,
            hasher: ahash::RandomState::new(),
            fences: Arc::default(),
            watch,
            errands: Errands::new(background_loads),
            spawner,
            upkeep: maintenance::Upkeep::new(maintenance, trim_heap, this.clone()),
            generation: Arc::new(CachePadded::new(AtomicU32::new(0))),
            populated: AtomicI64::new(0),
            draws: AtomicU64::new(0),
            dead_entries: AtomicI64::new(0),
            turn: Mutex::new(()),
            payer: AtomicU64::new(0),
        });
        let this = Arc::downgrade(&engine);
        // Wakers run in here.
        let look = |engine: Arc<Self>| guarded("a waker", || engine.look_after_waiters());
        clock.watch(Box::new(move || this.upgrade().map(look).is_some()));
        engine
    }

    /// The scopes of the cache.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The regions of the cache.
    pub fn regions(&self) -> &Regions {
        &self.regions
    }

    /// The bounds of the cache.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The cache's clock.
    pub fn time(&self) -> &TimeSource {
        &self.time
    }

    /// The present moment on the cache's clock.
    pub fn now(&self) -> Moment {
        self.time.now()
    }

    /// When leaders of this cache count as stalled.
    pub fn lease_times(&self) -> LeaseTimes {
        self.lease_times
    }

    /// How many loads of a scope may run at once.
    #[inline]
    pub fn load_limits(&self) -> &Arc<LoadLimits> {
        &self.load_limits
    }

    /// Time-to-live where neither entry nor region says one.
    pub fn default_ttl(&self) -> Ttl {
        self.ttl
    }

    pub(crate) fn policy(&self) -> Policy {
        self.policy.clone()
    }

    pub(crate) fn listener(&self) -> Option<&Listener> {
        self.listener.as_ref()
    }

    /// The loads that nobody waits for.
    pub fn errands(&self) -> &Arc<Errands> {
        &self.errands
    }

    /// Where they run, if not where their caller is.
    pub fn spawner(&self) -> Option<&Spawner> {
        self.spawner.as_ref()
    }

    pub(crate) fn observer(&self) -> Option<&Observer> {
        self.observer.as_ref()
    }

    pub(crate) fn watch(&self) -> &Arc<Watch> {
        &self.watch
    }

    /// Detaches a scope with everything below it. O(1), beside what has already expired and is not swept yet.
    /// Counts each entry once, also when an eviction above or below runs at the same time.
    pub fn evict(&self, node: &Arc<Node>) -> Detached {
        self.expire_due();
        let Some(detached) = self.registry.detach(node) else { return Detached::default() };
        self.dead_entries.fetch_add(detached.entries, SeqCst);
        self.upkeep.wake();
        tracing::info!(target: "strata_cache", scope = %node, entries = detached.entries, "scope evicted");
        // Less than none is another eviction's, which has reported an entry that never came to be.
        let count = |taken: i64| u64::try_from(taken).unwrap_or(0);
        Detached { entries: count(detached.entries), weight: count(detached.weight) }
    }

    /// What [`evict`](Self::evict) would take now.
    pub fn preview(&self, node: &Node) -> Detached {
        self.expire_due();
        if !node.is_live() {
            return Detached::default();
        }
        Detached { entries: node.entries(), weight: node.weight() }
    }

    /// An entry of an evicted scope was unlinked.
    pub(crate) fn forget_dead(&self) {
        self.dead_entries.fetch_sub(1, Relaxed);
    }

    /// An entry was linked whose scope is evicted, and which no eviction has counted.
    pub(crate) fn note_dead(&self) {
        self.dead_entries.fetch_add(1, SeqCst);
        self.upkeep.wake();
    }

    /// Whether entries of evicted scopes may be left.
    pub(crate) fn has_dead(&self) -> bool {
        self.dead_entries.load(SeqCst) > 0
    }

    /// What hashes keys, keyed per cache.
    pub(crate) fn hasher(&self) -> &ahash::RandomState {
        &self.hasher
    }

    /// The present generation.
    #[inline]
    pub(crate) fn generation(&self) -> u8 {
        let [generation, ..] = self.generation.load(Relaxed).to_le_bytes();
        generation
    }

    /// Where that is read.
    pub(super) fn generations(&self) -> &Arc<CachePadded<AtomicU32>> {
        &self.generation
    }

    /// Counts a write in a shard, and answers the generation it belongs to. `heat_limit` is that of the region's policies.
    #[inline]
    pub(super) fn tick<K, V: Send + Sync + 'static>(
        &self,
        shard: &mut LockedShard<'_, K, V>,
        heat_limit: u8,
    ) -> u8 {
        let most = self.limits.max_entries().unwrap_or(EXACT * 16);
        if shard.books().is_new_generation(most / 16) {
            let next = self.generation().wrapping_add(1);
            self.generation.store(next.into(), Relaxed);
        }
        let generation = self.generation();
        shard.set_hints(heat_limit, generation);
        generation
    }

    /// Whether at most one region holds entries.
    pub(super) fn is_alone(&self) -> bool {
        self.populated.load(Relaxed) <= 1
    }

    /// A region got its first entry, or lost its last.
    pub(super) fn count_populated(&self, change: i64) {
        self.populated.fetch_add(change, Relaxed);
    }

    /// The present moment, for look-ups.
    pub(crate) fn present(&self) -> Moment {
        self.time.now_cached()
    }

    /// After look-ups of a thread: now and then reads the clock for all.
    #[inline]
    pub(super) fn after(&self, look_ups: u32) {
        if look_ups.is_multiple_of(REREAD) {
            self.time.reread();
        }
    }

    /// Whether an entry's time is over, for a look-up.
    #[inline]
    pub(super) fn is_over_for(&self, header: &Header) -> bool {
        let state = header.state();
        !state.is_ahead_of(self.time.face().load(Acquire)) && self.is_past(state.deadline())
    }

    #[cold]
    #[inline(never)]
    fn is_past(&self, deadline: Deadline) -> bool {
        deadline.moment() <= self.present()
    }

    pub(crate) fn next_draw(&self) -> u64 {
        self.draws.fetch_add(1, Relaxed)
    }

    /// What the flights of a store need.
    pub(crate) fn flight_setup(&self, reaper: Weak<dyn Reaper>) -> Setup {
        Setup { times: self.lease_times, time: self.time.clone(), watch: Arc::clone(&self.watch), reaper }
    }

    /// Somebody waits for a load, so stalled leaders have to be looked for.
    pub(crate) fn wake_maintenance(&self) {
        self.upkeep.wake();
    }

    /// Rings after a time from now, on the cache's clock; looked at by maintenance, and by threads that wait.
    pub fn alarm_in(&self, time: Duration) -> Arc<Alarm> {
        let alarm = Alarm::set(&self.watch, self.now().checked_add(time).unwrap_or(Moment::NEVER));
        self.hurry_maintenance();
        alarm
    }

    /// A scope may have been made, which will have to go when it is idle.
    pub(crate) fn note_scope(&self) {
        if !self.registry.is_empty() {
            self.upkeep.wake();
        }
    }

    pub(crate) fn note_deadline(&self, deadline: Moment) {
        self.upkeep.note_deadline(deadline);
    }

    /// How many shards a region gets: one while the order has to be exact, several where threads may meet. Fewer in a small
    /// cache, so that what a shard keeps for itself is little beside its entries.
    pub(crate) fn shards_for(&self, max_per_scope: Option<u64>) -> usize {
        let [entries, weight] = [self.limits.max_entries(), self.limits.max_weight()];
        if entries.or(weight).unwrap_or(u64::MAX) <= EXACT {
            return 1;
        }
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let wanted = (8 * cores).next_power_of_two().clamp(8, 128);
        // Nobody knows what is counted in weights. Below so many shards' worth of bytes it may be anything.
        let by_weight =
            weight.map(|most| (most / LEAST_BYTES).max(most.min(LEAST_ENTRIES * 8) / LEAST_ENTRIES));
        let fit = entries.map(|most| most / LEAST_ENTRIES).or(by_weight).unwrap_or(u64::MAX);
        let fit = usize::try_from(fit).map_or(wanted, |fit| fit.clamp(1, wanted));
        let shards = if max_per_scope.is_some() { wanted } else { prev_power_of_two(fit) };
        // More of them where so many entries are expected that a shard could not name them in sixteen bits.
        let entries = entries.unwrap_or(0);
        let is_near = |shards: &usize| self.slots_for(*shards, entries) <= NEAR_SLOTS;
        std::iter::successors(Some(shards), |shards| Some(shards * 2))
            .find(|shards| is_near(shards) || *shards >= MOST_SHARDS)
            .unwrap_or(shards)
    }

    /// Slots that each of so many shards needs for so many entries at most.
    fn slots_for(&self, shards: usize, entries: u64) -> u64 {
        let share = entries / shards as u64;
        // Shares differ by chance, and some slots wait for readers to pass.
        let chance = if shards == 1 { 0 } else { share.isqrt() * 3 };
        share.saturating_add(chance + (share / 64).min(64) + 8)
    }

    /// Slots that each of so many shards needs at most, if a bound says so for entries as heavy as those held; 0 if not.
    pub(crate) fn expected_in(&self, shards: usize, entries: u64, weight: u64) -> u32 {
        // Whole numbers all along: a mean weight rounded up would be too few slots, of small entries.
        let by_weight = |most: u64| u128::from(most) * u128::from(entries) / u128::from(weight.max(1));
        let by_weight = self.limits.max_weight().filter(|_| weight > 0).map(by_weight);
        let bounds = [self.limits.max_entries().map(u128::from), by_weight];
        let Some(most) = bounds.into_iter().flatten().min() else { return 0 };
        let slots = u64::try_from(most).map_or(u64::MAX, |most| self.slots_for(shards, most));
        u32::try_from(slots).unwrap_or(0)
    }

    /// Changes the bounds, and evicts down to them. Locks one shard at a time.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidBudget`](crate::error::ErrorKind::InvalidBudget) if more is reserved by name; then nothing has changed.
    pub fn set_limits(&self, entries: Option<NonZeroU64>, weight: Option<NonZeroU64>) -> Result<()> {
        self.registry.budgets().set_bounds([entries, weight].map(|bound| bound.map(NonZeroU64::get)))?;
        self.limits.set_entries(entries);
        self.limits.set_weight(weight);
        self.make_room(Spare::NOBODY, None);
        self.keep_budgets();
        tracing::info!(target: "strata_cache", ?entries, ?weight, "capacity changed");
        Ok(())
    }

    /// What the regions of a name have done and hold; several functions may share one name. `None` if none is open.
    pub fn stats_of_region(&self, name: &str) -> Option<Stats> {
        self.maintain();
        let mut stats = Stats::default();
        for region in self.regions.named(name) {
            region.report(&mut stats);
            stats.regions += 1;
        }
        (stats.regions > 0).then_some(stats)
    }

    /// Everything counted and held, in total. Does first what maintenance is owed, so that it is exact.
    pub fn stats(&self) -> Stats {
        self.maintain();
        let mut stats = self.regions.retired();
        for region in self.regions.all().iter() {
            region.report(&mut stats);
        }
        stats.queued = self.load_limits.waiting();
        stats.scopes = self.registry.len() as u64;
        stats.tag_sets = self.registry.tag_sets() as u64;
        stats.tag_invalidations = self.fences.count();
        stats.regions = self.regions.len() as u64;
        stats
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("limits", &self.limits).finish_non_exhaustive()
    }
}

fn prev_power_of_two(n: usize) -> usize {
    if n.is_power_of_two() { n } else { n.next_power_of_two() / 2 }
}
