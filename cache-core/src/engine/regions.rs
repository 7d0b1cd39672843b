//! The open regions of a cache: found by name or by call site, forgotten when nobody holds or fills them.
//!
//! (1) A region's key names one pair of types; asking for others is an error. (2) What a forgotten region counted
//! stays in the totals. Cost: finding one is a read lock and a hash; a walk over all clones one `Arc`.

use std::any::TypeId;
use std::collections::HashMap;

use arc_swap::{ArcSwap, Guard};

use super::options::{Key, StoreOptions, Value};
use super::store::Store;
use super::{AnyRegion, Engine, RegionId, RegionOps};
use crate::error::{Error, ErrorKind, Result};
use crate::flight::Reaper;
use crate::stats::{Stats, tally};
use crate::sync::{Arc, AtomicU64, AtomicUsize, Mutex, Ordering, Weak};

/// What identifies a region in its cache.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RegionKey {
    /// The region of programmatic keys.
    Programmatic,
    /// A region opened by name.
    Named(Box<str>),
    /// A cached function: the address of its call site, unique in the process, and the types that it stands for there if it is
    /// generic.
    Site(usize, Option<TypeId>),
}

/// Regions below which a new one does not look for idle ones.
const ROOM: usize = 64;

/// The open regions.
pub struct Regions {
    open: Mutex<HashMap<RegionKey, Arc<dyn RegionOps>>>,
    all: ArcSwap<Vec<Arc<dyn RegionOps>>>,
    next: AtomicU64,
    /// How many are open when the next new one forgets the idle ones first; written under `open`.
    limit: AtomicUsize,
    retired: Mutex<Stats>,
}

impl Default for Regions {
    fn default() -> Self {
        Self {
            open: Mutex::new(HashMap::new()),
            all: ArcSwap::from_pointee(Vec::new()),
            next: AtomicU64::new(0),
            limit: AtomicUsize::new(ROOM),
            retired: Mutex::new(Stats::default()),
        }
    }
}

impl Regions {
    /// All regions now.
    pub(crate) fn all(&self) -> Arc<Vec<Arc<dyn RegionOps>>> {
        self.all.load_full()
    }

    /// As [`all`](Self::all), for a look.
    pub(crate) fn present(&self) -> Guard<Arc<Vec<Arc<dyn RegionOps>>>> {
        self.all.load()
    }

    /// The number of open regions.
    pub fn len(&self) -> usize {
        self.all.load().len()
    }

    /// Whether no region is open.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What regions that are no longer open have counted.
    pub(crate) fn retired(&self) -> Stats {
        *self.retired.lock()
    }

    /// Opens a region, or finds it.
    ///
    /// # Errors
    /// [`ErrorKind::TypeMismatch`] if it is open with other types.
    pub fn open<K: Key, V: Value>(
        &self,
        engine: &Engine,
        key: RegionKey,
        name: &str,
        options: impl FnOnce() -> StoreOptions<K, V>,
    ) -> Result<Arc<Store<K, V>>> {
        let mut options = Some(options);
        let region = self.open_any(key, &mut |id| {
            let options = options.take().expect("a region is made once");
            Arc::new_cyclic(|this: &Weak<Store<K, V>>| {
                Store::new(engine, id, name.into(), options(), this.clone() as Weak<dyn Reaper>)
            })
        });
        region.as_any().downcast().map_err(|_| of_other_types(name))
    }

    /// As [`open`](Self::open), of whatever types; compiled once.
    fn open_any(
        &self,
        key: RegionKey,
        make: &mut dyn FnMut(RegionId) -> Arc<dyn RegionOps>,
    ) -> Arc<dyn RegionOps> {
        let mut gone = Vec::new();
        let mut open = self.open.lock();
        if let Some(region) = open.get(&key) {
            return Arc::clone(region);
        }
        if open.len() >= self.limit.load(Ordering::Relaxed) {
            // Maintenance may have nothing else to do: what nobody holds must not pile up.
            gone = take_idle(&mut open);
            self.limit.store(open.len() * 2 + ROOM, Ordering::Relaxed);
        }
        let region = make(RegionId(self.next.fetch_add(1, Ordering::Relaxed)));
        open.insert(key, Arc::clone(&region));
        self.all.store(Arc::new(open.values().map(Arc::clone).collect()));
        drop(open);
        self.retire(gone);
        region
    }

    /// The region of a key, if it is open.
    pub fn find(&self, key: &RegionKey) -> Option<Arc<dyn AnyRegion>> {
        self.open.lock().get(key).map(|region| Arc::clone(region) as Arc<dyn AnyRegion>)
    }

    /// Every open region of a name (functions of one name in different places have one each).
    pub(crate) fn named(&self, name: &str) -> Vec<Arc<dyn RegionOps>> {
        self.all.load().iter().filter(|region| region.name() == name).map(Arc::clone).collect()
    }

    /// Forgets regions that hold nothing, run nothing and are held by nobody.
    pub(crate) fn retire_idle(&self) {
        let mut open = self.open.lock();
        let gone = take_idle(&mut open);
        if gone.is_empty() {
            return;
        }
        self.all.store(Arc::new(open.values().map(Arc::clone).collect()));
        drop(open);
        self.retire(gone);
    }

    /// Keeps what regions have counted, and drops them.
    fn retire(&self, gone: Vec<Arc<dyn RegionOps>>) {
        if gone.is_empty() {
            return;
        }
        tally::settle();
        let mut retired = self.retired.lock();
        gone.iter().for_each(|region| region.report(&mut retired));
        drop(retired);
        drop(gone);
    }
}

fn take_idle(open: &mut HashMap<RegionKey, Arc<dyn RegionOps>>) -> Vec<Arc<dyn RegionOps>> {
    // One reference is the map's and one the list's.
    let is_idle = |region: &Arc<dyn RegionOps>| {
        Arc::strong_count(region) == 2 && region.entries() == 0 && region.flights() == 0
    };
    open.extract_if(|_, region| is_idle(region)).map(|(_, region)| region).collect()
}

impl std::fmt::Debug for Regions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Regions").field("open", &self.len()).finish_non_exhaustive()
    }
}

fn of_other_types(name: &str) -> Error {
    Error::new(ErrorKind::TypeMismatch, "region")
        .with("region", name)
        .because("it is open with another key or value type")
}
