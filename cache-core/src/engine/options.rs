//! What a region is told: bounds on its types, how it differs from its cache, what one call asks for and gets.

use std::hash::Hash;
use std::time::Duration;

use super::aged::Tolerance;
use super::removal::RegionListener;
use crate::expiry::Ttl;
use crate::flight::BreakerSettings;
use crate::sync::Arc;

/// What a key of a region must be.
pub trait Key: Hash + Eq + Clone + Send + Sync + 'static {}
impl<T: Hash + Eq + Clone + Send + Sync + 'static> Key for T {}

/// What a region can hold.
pub trait Value: Clone + Send + Sync + 'static {}
impl<T: Clone + Send + Sync + 'static> Value for T {}

/// Weighs an entry; see [`StoreOptions::weigher`].
pub type Weigher<K, V> = Arc<dyn Fn(&K, &V) -> u64 + Send + Sync>;

/// How a region differs from its cache.
pub struct StoreOptions<K, V> {
    /// Weighs an entry; runs outside of locks, once a write. Without one each weighs what key and value take by
    /// themselves, in bytes.
    pub weigher: Option<Weigher<K, V>>,
    /// Time-to-live of entries written without one; the cache's if absent.
    pub ttl: Option<Ttl>,
    /// How long an entry may go unused; for ever if absent. Never beyond its time-to-live.
    pub idle: Option<Ttl>,
    /// By how much of its time-to-live an entry may be short, in 1/256; each by a part of its own.
    pub jitter: u8,
    /// How loads are cared for that say nothing of it, and their entries, and those that are written.
    pub care: Care,
    /// When loads of the region are not begun.
    pub breaker: Option<BreakerSettings>,
    /// Entries at most in one scope.
    pub max_per_scope: Option<u64>,
    /// Told of each removal, outside of locks.
    pub listener: Option<RegionListener<K, V>>,
}

impl<K, V> Default for StoreOptions<K, V> {
    fn default() -> Self {
        Self {
            weigher: None,
            ttl: None,
            idle: None,
            jitter: 0,
            care: Care::default(),
            breaker: None,
            max_per_scope: None,
            listener: None,
        }
    }
}

impl<K, V> std::fmt::Debug for StoreOptions<K, V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoreOptions")
            .field("ttl", &self.ttl)
            .field("max_per_scope", &self.max_per_scope)
            .finish_non_exhaustive()
    }
}

/// How a load is cared for: what is served in its place, when it is begun, and how long anybody waits for it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Care {
    /// What is served in place of a fresh value.
    pub takes: Tolerance,
    /// When an entry is to be loaded anew before its time is over.
    pub early: Early,
    /// How long a call waits where a stale value is there.
    pub soft: Option<Duration>,
    /// How long it waits at all.
    pub hard: Option<Duration>,
    /// How long nobody tries again to load what is kept, after a load of it was begun in the background or has failed.
    pub throttle: Option<Duration>,
    /// A load that was begun goes on though nobody waits for it.
    pub is_detached: bool,
}

/// The throttle of loads that say nothing of it.
const THROTTLE: Duration = Duration::from_secs(1);

impl Care {
    /// Whether entries need nothing but their time-to-live.
    #[inline]
    pub fn is_plain(&self) -> bool {
        self.takes == Tolerance::default() && self.early == Early::Never
    }

    /// How long nobody tries again.
    pub fn throttle(&self) -> Duration {
        self.throttle.unwrap_or(THROTTLE)
    }
}

/// What one write asks for.
#[derive(Debug, Clone, Copy, Default)]
pub struct Write {
    /// Time-to-live; the region's if absent.
    pub ttl: Option<Ttl>,
    /// Weight; the weigher's if absent.
    pub weight: Option<u64>,
    /// How long the entry is kept past its time-to-live; as the region says if absent.
    pub keep: Option<Duration>,
    /// When it is to be loaded anew before that is over; as the region says if absent.
    pub early: Option<Early>,
}

impl Write {
    /// Whether it asks for nothing beyond a time-to-live and a weight.
    #[inline(always)]
    pub(crate) fn is_plain(&self) -> bool {
        self.keep.is_none() && self.early.is_none()
    }
}

/// When an entry is to be loaded anew before its time-to-live is over.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Early {
    /// Not before.
    #[default]
    Never,
    /// After this part of its time-to-live, above 0 and below 1.
    After(f64),
    /// By chance, the nearer its end the likelier: so long before it on the average of an exponential distribution. After Vattani,
    /// Chierichetti, Lowenstein, "Optimal Probabilistic Cache Stampede Prevention", VLDB 2015, section 4 (XFetch).
    Within(Duration),
    /// The same, where the mean is the time that the load took, times this. What was not loaded has none.
    ByCost(f64),
}

/// How a look is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// A lookup: counted, and a touch for the policy.
    Lookup,
    /// A peek: counted apart, and no touch.
    Peek,
}

/// Where one look goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    /// To the place where a key nearly always is.
    Home,
    /// To all places where it can be.
    All,
}

/// What one look at a key tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Glance<V> {
    /// It is there, and this is its value.
    Found(V),
    /// It is not there.
    Absent,
    /// Nothing: whoever wants to know looks again, in full.
    Unsure,
}

/// What taking a key out comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken<V> {
    /// There was nothing that could have been served.
    Absent,
    /// An entry whose time was over and that was kept; it is in the cache no more, and its value is not handed out.
    Stale,
    /// The value was not accepted; it stays.
    Refused,
    /// The value, which is in the cache no more.
    Value(V),
}
