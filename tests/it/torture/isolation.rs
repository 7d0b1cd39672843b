//! Every value carries the name of its owner; whatever is read belongs to whoever asked.
//!
//! Fifty tenants with three users each, one of them a thousand times as busy as any other, in a cache that is far
//! too small, with budgets per function and scope, while scopes are evicted all the time.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, LazyLock};
use std::thread;

use strata_cache::{Cache, Region, cached, default_cache, scope};

use super::{Dice, Run, once};

const TENANTS: u64 = 50;
const USERS: u64 = 3;
const KEYS: u64 = 40;
const CAPACITY: u64 = 150;
const BUDGET: u64 = 5;
const THREADS: u64 = 5;
const TASKS: u64 = 3;
/// Others have these organisations in the default cache to themselves.
const FIRST_TENANT: u64 = 1_000_000;

/// Values in memory now.
static ALIVE: AtomicI64 = AtomicI64::new(0);

/// A value that knows whose it is.
#[derive(Debug, PartialEq, Eq)]
struct Tag {
    owner: Owner,
}

/// Where a value belongs: kind of store, tenant, user (none for the tenant's own), key.
type Owner = (&'static str, u64, Option<u64>, u64);

impl Tag {
    fn new(owner: Owner) -> Arc<Self> {
        ALIVE.fetch_add(1, Relaxed);
        Arc::new(Self { owner })
    }
}

impl Drop for Tag {
    fn drop(&mut self) {
        ALIVE.fetch_sub(1, Relaxed);
    }
}

#[cached(scope = "user", max = BUDGET)]
fn of_user(org_id: u64, user_id: u64, key: u64) -> Arc<Tag> {
    Tag::new(("fn", org_id, Some(user_id), key))
}

#[cached(scope = "org", max = BUDGET)]
async fn of_org(org_id: u64, key: u64) -> Result<Arc<Tag>, String> {
    tokio::task::yield_now().await;
    Ok(Tag::new(("async fn", org_id, None, key)))
}

struct World {
    cache: Cache,
    plain: Region<u64, Arc<Tag>>,
    budgeted: Region<u64, Arc<Tag>>,
    reads: AtomicU64,
    evictions: AtomicU64,
}

static WORLD: LazyLock<World> = LazyLock::new(|| {
    let cache = Cache::builder().capacity(CAPACITY).build().expect("good options");
    World {
        plain: cache.region("plain").expect("it opens"),
        budgeted: cache.region_builder("budgeted").max_per_scope(BUDGET).open().expect("it opens"),
        cache,
        reads: AtomicU64::new(0),
        evictions: AtomicU64::new(0),
    }
});

/// Whom a step is for.
#[derive(Clone, Copy)]
struct Who {
    org: u64,
    user: u64,
    key: u64,
}

fn choose(dice: &mut Dice) -> Who {
    // The first tenant is asked for a thousand times as often as each other.
    let org = dice.below(1_000 + TENANTS - 1).saturating_sub(999);
    Who { org: FIRST_TENANT + org, user: dice.below(USERS), key: dice.below(KEYS) }
}

impl World {
    #[track_caller]
    fn check(&self, got: &Tag, owner: Owner) {
        self.reads.fetch_add(1, Relaxed);
        assert_eq!(got.owner, owner, "a foreign value");
    }

    /// One step of a thread.
    fn step(&self, dice: &mut Dice) {
        let who = choose(dice);
        let Who { org, user, key } = who;
        let text = format!("{key}");
        let place = scope!(org = org, user = user);
        match dice.below(12) {
            0 | 1 => {
                let load = || Ok::<_, ()>(Tag::new(("key", org, Some(user), key)));
                let got = self.cache.get_or_load_with(place, &text, load).wait().expect("it loads");
                self.check(&got, ("key", org, Some(user), key));
            }
            2 => {
                if let Some(got) = self.cache.get::<Arc<Tag>>(place, &text).wait().expect("a good place") {
                    self.check(&got, ("key", org, Some(user), key));
                }
            }
            3 => {
                let value = Tag::new(("key", org, Some(user), key));
                self.cache.set(place, &text, value).wait().expect("a good place");
            }
            4 => {
                let load = || Ok::<_, ()>(Tag::new(("plain", org, Some(user), key)));
                let got = self.plain.get_or_load_with(place, &key, load).wait().expect("it loads");
                self.check(&got, ("plain", org, Some(user), key));
            }
            5 => {
                // The same key in the scope above is another entry.
                let load = || Ok::<_, ()>(Tag::new(("plain", org, None, key)));
                let got = self.plain.get_or_load_with(scope!(org = org), &key, load).wait();
                self.check(&got.expect("it loads"), ("plain", org, None, key));
            }
            6 | 7 => {
                let load = || Ok::<_, ()>(Tag::new(("budgeted", org, Some(user), key)));
                let got = self.budgeted.get_or_load_with(place, &key, load).wait().expect("it loads");
                self.check(&got, ("budgeted", org, Some(user), key));
            }
            8 => {
                for region in [&self.plain, &self.budgeted] {
                    if let Some(got) = region.get_now(scope!(org = org, user = user), &key).expect("good") {
                        self.check(&got, (region.name_tag(), org, Some(user), key));
                    }
                }
            }
            9 | 10 => self.check(&of_user(org, user, key), ("fn", org, Some(user), key)),
            _ => self.withdraw(who, dice),
        }
    }

    fn withdraw(&self, who: Who, dice: &mut Dice) {
        let Who { org, user, key } = who;
        self.evictions.fetch_add(1, Relaxed);
        match dice.below(9) {
            0 => drop(self.cache.evict_by_scope(scope!(org = org))),
            1 => drop(self.cache.evict_by_scope(scope!(org = org, user = user))),
            2 => drop(self.cache.remove(scope!(org = org, user = user), &format!("{key}"))),
            3 => {
                let popped = self.plain.pop(scope!(org = org, user = user), &key);
                if let Some(got) = popped.wait().expect("a good place") {
                    self.check(&got, ("plain", org, Some(user), key));
                }
            }
            4 => drop(self.budgeted.invalidate_scope(scope!(org = org, user = user))),
            5 => {
                drop(default_cache().evict_by_scope(scope!(org = org)));
                // That cache is never full, so nothing but maintenance sweeps it: by who withdraws, so that what waits depends neither
                // on how much is withdrawn between two rounds of its thread nor on how often another thread gets a processor.
                if dice.one_in(4) {
                    default_cache().maintain();
                }
            }
            6 => drop(of_user::invalidate_scope(org, user)),
            7 => drop(of_user::invalidate(org, user, key)),
            _ if dice.one_in(50) => drop(self.cache.clear()),
            _ => {}
        }
    }

    /// One step of a task.
    async fn step_of_task(&self, dice: &mut Dice) {
        let who = choose(dice);
        let Who { org, user, key } = who;
        match dice.below(5) {
            0 => {
                let got = of_org(org, key).await.expect("it loads");
                self.check(&got, ("async fn", org, None, key));
            }
            1 => {
                let place = scope!(org = org, user = user);
                let load = move || async move {
                    tokio::task::yield_now().await;
                    Ok::<_, ()>(Tag::new(("plain", org, Some(user), key)))
                };
                let got = self.plain.get_or_load(place, &key, load).await.expect("it loads");
                self.check(&got, ("plain", org, Some(user), key));
            }
            2 => {
                let handle = self.cache.scope(scope!(org = org)).expect("a good place");
                let text = format!("{key}");
                let load = move || async move {
                    tokio::task::yield_now().await;
                    Ok::<_, ()>(Tag::new(("key", org, None, key)))
                };
                let got = handle.get_or_load(&text, load).await.expect("it loads");
                self.check(&got, ("key", org, None, key));
                if dice.one_in(10) {
                    handle.evict_by_scope().await.expect("a good place");
                }
                // Polled once and cancelled.
                let mut call = Box::pin(handle.get_or_load(&text, load));
                if let std::task::Poll::Ready(got) = once(&mut call).await {
                    self.check(&got.expect("it loads"), ("key", org, None, key));
                }
            }
            // It may wait for a load that another task leads, which this thread would not poll meanwhile.
            3 => tokio::task::block_in_place(|| self.step(dice)),
            _ => tokio::task::yield_now().await,
        }
    }
}

/// The kind of a region in its values.
trait NameTag {
    fn name_tag(&self) -> &'static str;
}

impl NameTag for Region<u64, Arc<Tag>> {
    fn name_tag(&self) -> &'static str {
        if self.name() == "plain" { "plain" } else { "budgeted" }
    }
}

#[test]
fn nobody_reads_a_foreign_value_and_the_bounds_hold_while_everything_is_evicted() {
    let run = Run::begin("isolation", 5);
    let world = &*WORLD;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().expect("a runtime");
    let (mut most, mut most_alive, mut samples) = (0, 0, 0_u64);
    thread::scope(|threads| {
        for worker in 0..THREADS {
            let mut dice = run.dice(worker);
            threads.spawn({
                let run = &run;
                move || {
                    while !run.is_over() {
                        world.step(&mut dice);
                    }
                }
            });
        }
        let tasks: Vec<_> = (0..TASKS)
            .map(|worker| {
                let (mut dice, end) = (run.dice(100 + worker), run.end);
                runtime.spawn(async move {
                    while std::time::Instant::now() < end {
                        WORLD.step_of_task(&mut dice).await;
                    }
                })
            })
            .collect();
        // The sampler: entries that count, and values in memory whether they count or not.
        while !run.is_over() {
            let held = world.cache.preview_evict(scope!(global)).wait().expect("a good place").entries;
            most = most.max(held);
            most_alive = most_alive.max(ALIVE.load(Relaxed));
            samples += 1;
            assert!(held <= CAPACITY + THREADS + TASKS, "{held} entries");
            thread::park_timeout(std::time::Duration::from_millis(1));
        }
        for task in tasks {
            runtime.block_on(task).expect("no task panics");
        }
    });
    eprintln!(
        "isolation: {} reads, {} withdrawals, {samples} samples, at most {most} entries, {most_alive} values",
        world.reads.load(Relaxed),
        world.evictions.load(Relaxed),
    );
    let stats = world.cache.stats();
    assert!(stats.entries <= CAPACITY && stats.evicted > 0 && stats.invalidated > 0, "{stats:?}");
    assert_eq!(stats.flights, 0, "{stats:?}");
    let gone = stats.removed + stats.evicted + stats.expired + stats.invalidated;
    assert_eq!(stats.inserts, stats.entries + gone, "{stats:?}");
    // Budgets: each function keeps so many of each scope at most, the busy tenant's too.
    for user in 0..USERS {
        let place = scope!(org = FIRST_TENANT, user = user);
        let held = default_cache().stats_of(place).expect("a good place").entries;
        assert!(held <= BUDGET, "{held} of a function in one scope");
    }
    // What was in memory beside the entries of both caches: dead ones that wait for the sweep, and those being read.
    let functions = TENANTS as i64 * (USERS as i64 + 1) * BUDGET as i64;
    assert!(most_alive <= 2 * CAPACITY as i64 + functions + functions / 2, "{most_alive} values");
    world.cache.clear().wait().expect("nothing can fail");
    for org in FIRST_TENANT..FIRST_TENANT + TENANTS {
        default_cache().evict_by_scope(scope!(org = org)).wait().expect("a good place");
    }
    default_cache().maintain();
    // The maintenance thread may be at the very sweep that this would do.
    let begin = std::time::Instant::now();
    loop {
        let stats = world.cache.stats();
        let held = (stats.entries, stats.weight, stats.flights, stats.scopes);
        let functions = of_user::stats().entries + of_org::stats().entries;
        if (held, functions, ALIVE.load(Relaxed)) == ((0, 0, 0, 0), 0, 0) {
            break;
        }
        assert!(begin.elapsed().as_secs() < 20, "{stats:?}, {functions} of functions, {ALIVE:?} alive");
        thread::yield_now();
    }
}
