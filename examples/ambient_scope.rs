//! The ambient scope: set once where a request comes in, used where a value is needed, however deep.
#![allow(clippy::print_stdout, reason = "a program talks to its user")]

use strata_cache::{Cache, InScope, cached, scope};

/// Needs no id: it asks the ambient scope for its user, and for nothing below or beside.
#[cached(scope = "user", ids(ambient), ttl = "10m")]
fn menu(page: &str) -> Result<String, String> {
    Ok(format!("menu of {page}"))
}

async fn handler(page: &'static str) -> Result<String, String> {
    tokio::task::yield_now().await; // the scope follows the future, not the thread
    menu(page)
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let cache = Cache::builder().capacity(1_000).build()?;
    strata_cache::install(cache.clone())?;
    let alice = cache.scope(scope!(org = "acme", user = "alice"))?;
    let bob = cache.scope(scope!(org = "acme", user = "bob"))?;

    // Threads: for the time of a closure. Nested scopes restore the outer one.
    alice.enter(|| {
        menu("home")?;
        bob.enter(|| menu("home"))?;
        menu("home")
    })?;
    assert_eq!((menu::stats().loads, menu::stats().hits), (2, 1), "alice and bob loaded, alice hit");

    // Tasks: for each poll of a future.
    let (hers, his) =
        tokio::join!(handler("home").in_scope(alice.clone()), handler("cart").in_scope(bob.clone()));
    assert_eq!((hers?, his?), ("menu of home".into(), "menu of cart".into()));
    assert_eq!((menu::stats().loads, menu::stats().hits), (3, 2));

    // Without a scope nothing falls back to a shared place: the function runs, and nothing is stored.
    menu("home")?;
    assert_eq!((menu::stats().loads, menu::stats().bypassed), (3, 1));

    assert_eq!(cache.evict_by_scope(scope!(org = "acme", user = "bob")).await?.entries, 2);
    println!("bob's two menus are gone, alice's stayed: {} entry", cache.stats().entries);
    assert_eq!(cache.stats().entries, 1);
    Ok(())
}
