//! The shop: everything strata-cache does here, in one file. Two cached functions, one typed region and one
//! programmatic key; the rest of this example is a database, traffic and a checker that has never heard of caches.

use std::cmp::Reverse;
use std::sync::Arc;

use strata_cache::{Cache, Region, Scope, ScopeReport, cached, scope};

use crate::answers::{Answer, Orders, Permissions, Preference, Turnover};
use crate::database::{Database, DbError};
use crate::facts::{Fact, ROLES, SECTIONS, World};
use crate::service::{Failure, Service};

/// How many entries the cache may hold: half of what there is to ask for.
const CAPACITY: u64 = 50_000;

/// A cached function: `org_id` and `user_id` say where, `section` is the key, the database is neither.
#[cached(scope = "user", ttl = "10m", skip(database))]
pub(crate) fn preferences(
    database: &Database,
    org_id: u32,
    user_id: u32,
    section: &str,
) -> Result<Arc<Preference>, DbError> {
    Ok(Arc::new(database.preference(org_id, user_id, section)?))
}

/// The same for tasks: the body may await.
#[cached(scope = "user", ttl = 600, skip(database))]
pub(crate) async fn orders(database: Database, org_id: u32, user_id: u32) -> Result<Arc<Orders>, DbError> {
    let orders = database.blocking(move |database| database.orders(org_id, user_id)).await?;
    Ok(Arc::new(orders))
}

/// The cache and what it stands before.
pub(crate) struct Shop {
    database: Database,
    cache: Cache,
    permissions: Region<&'static str, Arc<Permissions>>,
    /// Scopes of the organisations, resolved once; they survive the eviction of what they name.
    orgs: Vec<Scope>,
}

impl Shop {
    /// Builds the cache and makes it the one that cached functions use.
    pub(crate) fn open(database: Database, world: &World) -> Result<Self, Failure> {
        let cache = Cache::builder().capacity(CAPACITY).build()?;
        strata_cache::install(cache.clone())?;
        let permissions = cache.region("permissions")?;
        let orgs = (1..=world.orgs()).map(|org| cache.scope(scope!(org = org))).collect::<Result<_, _>>()?;
        Ok(Self { database, cache, permissions, orgs })
    }

    /// The cache itself, for its statistics and for admin work.
    pub(crate) fn cache(&self) -> &Cache {
        &self.cache
    }

    /// The scope of an organisation.
    pub(crate) fn org(&self, org: u32) -> &Scope {
        &self.orgs[org as usize - 1]
    }

    /// The organisations that were asked about most.
    pub(crate) fn busiest(&self, how_many: usize) -> Result<Vec<(u32, ScopeReport)>, Failure> {
        let stats = |(org, scope)| Ok((org, self.cache.stats_of(scope)?));
        let mut all = (1..).zip(&self.orgs).map(stats).collect::<Result<Vec<_>, strata_cache::Error>>()?;
        all.sort_by_key(|(_, stats)| Reverse(stats.hits + stats.misses));
        all.truncate(how_many);
        Ok(all)
    }

    /// An expensive report, for a thread.
    pub(crate) fn turnover(&self, org: u32) -> Result<Arc<Turnover>, Failure> {
        Ok(self.org(org).get_or_load_with("turnover", || self.database.turnover(org)).ttl("1h").wait()?)
    }

    /// The same report, for a task; both share one load.
    pub(crate) async fn turnover_task(&self, org: u32) -> Result<Arc<Turnover>, Failure> {
        let load = || self.database.blocking(move |database| database.turnover(org));
        Ok(self.org(org).get_or_load("turnover", load).ttl("1h").await?)
    }
}

impl Service for Shop {
    fn answer(&self, fact: Fact) -> Result<Answer, Failure> {
        Ok(match fact {
            Fact::Preference { org, user, section } => {
                preferences(&self.database, org, user, SECTIONS[section])?.into()
            }
            Fact::Profile { org, user } => {
                let place = scope!(org = org, user = user);
                let load = || self.database.profile(org, user);
                self.cache.get_or_load_with(place, "profile", load).ttl("10m").wait()?.into()
            }
            Fact::Permissions { org, role } => {
                let load = || self.database.permissions(org, ROLES[role]).map(Arc::new);
                self.permissions.get_or_load_with(self.org(org), &ROLES[role], load).wait()?.into()
            }
            Fact::Orders { .. } => return Err("orders are for tasks".into()),
        })
    }

    async fn answer_task(&self, fact: Fact) -> Result<Answer, Failure> {
        Ok(match fact {
            Fact::Orders { org, user } => orders(self.database.clone(), org, user).await?.into(),
            Fact::Profile { org, user } => {
                let place = scope!(org = org, user = user);
                let load = || self.database.blocking(move |database| database.profile(org, user));
                self.cache.get_or_load(place, "profile", load).ttl("10m").await?.into()
            }
            Fact::Permissions { org, role } => {
                let load = || async move {
                    self.database
                        .blocking(move |database| database.permissions(org, ROLES[role]))
                        .await
                        .map(Arc::new)
                };
                self.permissions.get_or_load(self.org(org), &ROLES[role], load).await?.into()
            }
            Fact::Preference { .. } => return Err("preferences are for threads".into()),
        })
    }

    fn changed(&self, fact: Fact) -> Result<(), Failure> {
        // Each of these acts at the call; waiting is for what lies below memory, which is nothing here.
        match fact {
            Fact::Preference { org, user, section } => {
                preferences::invalidate(org, user, SECTIONS[section]);
            }
            Fact::Orders { org, user } => {
                orders::invalidate(org, user);
            }
            Fact::Profile { org, user } => {
                self.cache.remove(scope!(org = org, user = user), "profile").wait()?;
            }
            Fact::Permissions { org, role } => {
                self.permissions.remove(self.org(org), &ROLES[role]).wait()?;
            }
        }
        Ok(())
    }

    fn user_changed(&self, org: u32, user: u32) -> Result<(), Failure> {
        self.cache.evict_by_scope(scope!(org = org, user = user)).wait()?;
        Ok(())
    }

    fn org_changed(&self, org: u32) -> Result<(), Failure> {
        self.org(org).evict_by_scope().wait()?;
        Ok(())
    }
}
