//! What tests of the engine begin with: a cache with nothing special about it, and a region whose entries weigh one.

use std::num::NonZeroU64;

use crate::clock::{TestClock, TimeSource};
use crate::engine::*;
use crate::expiry::Ttl;
use crate::flight::{Defaults, LeaseTimes};
use crate::policy::Policy;
use crate::scope::{ScopeTree, TrackedLevels};

/// The default tree, no bounds, nothing that is limited or told.
pub(crate) fn config(maintenance: Maintenance, time: TimeSource) -> EngineConfig {
    EngineConfig {
        tree: ScopeTree::default(),
        tracked: TrackedLevels::First,
        limits: Limits::new(None, None),
        policy: Policy::default(),
        ttl: Ttl::never(),
        time,
        maintenance,
        trim_heap: false,
        lease_times: LeaseTimes::default(),
        load_limits: Defaults::default(),
        background_loads: 8,
        spawner: None,
        listener: None,
        observer: None,
    }
}

/// On a clock that stands still, without a thread.
pub(crate) fn manual(clock: &TestClock) -> EngineConfig {
    config(Maintenance::Manual, TimeSource::Custom(std::sync::Arc::new(clock.clone())))
}

/// The same, of so many entries.
#[cfg(not(loom))]
pub(crate) fn small(clock: &TestClock, capacity: u64) -> Arc<Engine> {
    Engine::new(EngineConfig { limits: Limits::new(NonZeroU64::new(capacity), None), ..manual(clock) })
}

/// Of a region whose entries weigh one.
pub(crate) fn options<K: Key, V: Value>() -> StoreOptions<K, V> {
    StoreOptions { weigher: Some(Arc::new(|_, _| 1)), ..StoreOptions::default() }
}
