//! Admin code: look what would go, evict an organisation with everything below it, and see that nobody else noticed.
#![allow(clippy::print_stdout, reason = "a program talks to its user")]

use strata_cache::{Cache, Error, ErrorKind, scope};

fn main() -> Result<(), Error> {
    let cache = Cache::builder().capacity(10_000).build()?;
    for org in ["acme", "globex"] {
        cache.set(scope!(org = org), "plan", "gold".to_string()).wait()?;
        for user in 1..=100 {
            cache.set(scope!(org = org, user = user), "theme", "dark".to_string()).wait()?;
        }
    }
    let alice = cache.scope(scope!(org = "acme", user = 1))?;

    // What would go; nothing has happened yet.
    assert_eq!(cache.preview_evict(scope!(org = "acme")).wait()?.entries, 101);
    assert_eq!(cache.stats().entries, 202);

    // A forgotten level must not widen an eviction: a user's id beside `org` is refused.
    let ids = [("org_id", "acme"), ("user_id", "1")];
    let refused = cache.evict_by_scope(("org", &ids)).wait();
    assert!(matches!(refused, Err(error) if error.kind() == ErrorKind::InvalidPath));
    assert_eq!(cache.evict_by_scope(("user", &ids)).wait()?.entries, 1);

    // The eviction has happened when the call returns, however many entries there are; `wait` only reports.
    let evicted = cache.evict_by_scope(scope!(org = "acme")).wait()?;
    assert_eq!(evicted.entries, 100);
    assert!(alice.get::<String>("theme").wait()?.is_none());
    assert_eq!(cache.stats_of(scope!(org = "globex"))?.entries, 101);

    // The handle that was kept goes on: it resolves again by itself.
    alice.set("theme", "light".to_string()).wait()?;
    assert_eq!(alice.get::<String>("theme").wait()?.as_deref().map(String::as_str), Some("light"));
    println!("acme: {} entries evicted · globex: 101 untouched", evicted.entries);
    Ok(())
}
