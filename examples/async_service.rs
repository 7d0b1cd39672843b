//! A cached async function: a hundred tasks ask at once, one of them loads, the others wait without a thread.
#![allow(clippy::print_stdout, reason = "a program talks to its user")]

use std::error::Error;
use std::sync::atomic::{AtomicU32, Ordering};

use strata_cache::cached;

static QUERIES: AtomicU32 = AtomicU32::new(0);

#[cached(scope = "user", ttl = "10m")]
async fn greeting(org_id: u64, user_id: u64, language: &str) -> Result<String, String> {
    QUERIES.fetch_add(1, Ordering::Relaxed);
    tokio::task::yield_now().await; // stands for a query
    match language {
        "en" => Ok(format!("hello, user {user_id} of {org_id}")),
        "it" => Ok(format!("ciao, user {user_id} of {org_id}")),
        _ => Err(format!("no greeting in {language}")),
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..100 {
        tasks.spawn(greeting(7, 42, "en"));
    }
    for answer in tasks.join_all().await {
        assert_eq!(answer?, "hello, user 42 of 7");
    }
    assert_eq!(QUERIES.load(Ordering::Relaxed), 1, "a hundred callers, one load");

    // User 42 of another organisation is somebody else.
    assert_eq!(greeting(8, 42, "en").await?, "hello, user 42 of 8");
    assert_eq!(QUERIES.load(Ordering::Relaxed), 2);

    // Errors reach the caller as they are, and are not stored.
    assert!(greeting(7, 42, "xx").await.is_err());
    assert!(greeting(7, 42, "xx").await.is_err());
    assert_eq!(QUERIES.load(Ordering::Relaxed), 4);

    // Forgotten now, not when the next deadline passes.
    greeting::invalidate(7, 42, "en");
    assert_eq!(greeting(7, 42, "en").await?, "hello, user 42 of 7");
    assert_eq!(QUERIES.load(Ordering::Relaxed), 5);
    println!("hit ratio {:.2}", greeting::stats().hit_ratio());
    Ok(())
}
