//! Does one tenant hurt another, and what does it cost that it does not? Run with `--tenants`.
//!
//! (1) Ours has one scope a tenant, rivals have the tenant in the key. (2) What is counted, hits and entries held, comes
//! from one thread that takes all turns in a fixed order: what is left to chance is each cache's hasher. (3) Nothing is
//! judged but ours with budgets; ours without any and the rivals stand beside it.

mod cost;
mod lent;
mod noisy;
mod scan;
mod storm;

pub use cost::is_counted_run;

use strata_cache::{Cache, CacheBuilder, Region, Scope, scope};

use crate::Group;
use crate::draw::mix;
use crate::report::{Judged, Row};
use crate::run::Run;

pub const GROUPS: [Group; 5] = [
    ("noisy", noisy::rows),
    ("scan", scan::rows),
    ("cost", cost::rows),
    ("lent", lent::rows),
    ("storm", storm::rows),
];

/// A cache that all tenants share.
pub trait Shared {
    fn name(&self) -> &'static str;
    /// Whether it is there; what is not is loaded.
    fn read(&self, tenant: usize, key: u64) -> bool;
    fn write(&self, tenant: usize, key: u64);
    /// Entries of each of the first tenants.
    fn held(&self, tenants: usize) -> Vec<u64>;
}

/// strata-cache: an org for each tenant.
pub struct Ours {
    name: &'static str,
    pub cache: Cache,
    region: Region<u64, u64>,
    scopes: Vec<Scope>,
}

impl Ours {
    pub fn new(name: &'static str, builder: CacheBuilder, tenants: usize) -> Self {
        let cache = builder.build().expect("the options are valid");
        let region = cache.region("compared").expect("the name is valid");
        let scope = |org| cache.scope(scope!(org = org)).expect("the path is valid");
        let scopes = (0..tenants as u64).map(scope).collect();
        Self { name, cache, region, scopes }
    }
}

impl Shared for Ours {
    fn name(&self) -> &'static str {
        self.name
    }

    fn read(&self, tenant: usize, key: u64) -> bool {
        let hit = self.region.get_now(&self.scopes[tenant], &mix(key)).expect("the scope is this cache's");
        if hit.is_none() {
            self.write(tenant, key);
        }
        hit.is_some()
    }

    fn write(&self, tenant: usize, key: u64) {
        let set = self.region.set(&self.scopes[tenant], mix(key), key);
        set.wait().expect("an entry weighs less than the capacity");
    }

    fn held(&self, tenants: usize) -> Vec<u64> {
        let held = |scope: &Scope| scope.stats().expect("the scope is this cache's").entries;
        self.scopes[..tenants].iter().map(held).collect()
    }
}

/// quick_cache, the tenant in the key.
pub struct Quick(quick_cache::sync::Cache<(u32, u64), u64>);

impl Quick {
    pub fn new(capacity: u64) -> Self {
        Self(quick_cache::sync::Cache::new(capacity as usize))
    }
}

/// moka, the tenant in the key.
pub struct Moka(moka::sync::Cache<(u32, u64), u64>);

impl Moka {
    pub fn new(capacity: u64) -> Self {
        Self(moka::sync::Cache::new(capacity))
    }
}

/// What both do alike: the tenant is a part of the key, and a read that misses writes.
macro_rules! shared {
    ($cache:ty, $name:literal, $settle:expr) => {
        impl Shared for $cache {
            fn name(&self) -> &'static str {
                $name
            }

            fn read(&self, tenant: usize, key: u64) -> bool {
                let hit = self.0.get(&(tenant as u32, mix(key))).is_some();
                if !hit {
                    self.write(tenant, key);
                }
                hit
            }

            fn write(&self, tenant: usize, key: u64) {
                self.0.insert((tenant as u32, mix(key)), key);
            }

            fn held(&self, tenants: usize) -> Vec<u64> {
                $settle(&self.0);
                counted(tenants, self.0.iter().map(|(key, _)| key.0))
            }
        }
    };
}

shared!(Quick, "quick_cache", |_| ());
shared!(Moka, "moka", |cache: &moka::sync::Cache<_, _>| cache.run_pending_tasks());

fn counted(tenants: usize, of: impl Iterator<Item = u32>) -> Vec<u64> {
    let mut held = vec![0; tenants];
    of.filter(|tenant| (*tenant as usize) < tenants).for_each(|tenant| held[tenant as usize] += 1);
    held
}

/// What somebody came to.
type Figure = (&'static str, f64);

/// A row in which ours with budgets, the first, is judged, beside the best rival; and one for each of the others, without bounds.
/// `bound` is the most, or with [`Judged::Large`] the least.
pub fn add(
    run: &mut Run,
    row: &str,
    figures: &[Figure],
    judged: Judged,
    bound: Option<f64>,
    unit: &'static str,
) {
    let is_rival = |figure: &&Figure| !figure.0.starts_with("strata");
    let better = |a: &&Figure, b: &&Figure| match judged {
        Judged::Large => b.1.total_cmp(&a.1),
        _ => a.1.total_cmp(&b.1),
    };
    let rival = figures[1..].iter().filter(is_rival).min_by(better).copied();
    let made = |row: String, ours, rival, commit| Row { row, ours, rival, judged, commit, goal: None, unit };
    run.add(made(row.into(), figures[0].1, rival, bound));
    for (name, figure) in &figures[1..] {
        let name = name.trim_start_matches("strata, ").replace(' ', "-");
        run.add(made(format!("{row}-{name}"), *figure, None, None));
    }
}

/// Reads in a hundred that hit.
fn percent(hits: u64, reads: u64) -> f64 {
    hits as f64 / reads.max(1) as f64 * 100.0
}
