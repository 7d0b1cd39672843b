//! A function is run once per scope and arguments, and its companions see what it stored.
#![deny(warnings)]

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use strata_cache::cached;

static RUNS: AtomicU64 = AtomicU64::new(0);

/// Documented once.
#[cached(scope = "user", ttl = 600)]
pub fn preferences(org_id: u64, user_id: u64, section: &str) -> Result<String, std::fmt::Error> {
    RUNS.fetch_add(1, Relaxed);
    if section == "bad" {
        return Err(std::fmt::Error);
    }
    Ok(format!("{org_id}-{user_id}-{section}"))
}

fn main() {
    assert_eq!(preferences(7, 42, "theme").unwrap(), "7-42-theme");
    assert_eq!(preferences(7, 42, "theme").unwrap(), "7-42-theme");
    assert_eq!(RUNS.load(Relaxed), 1);
    assert_eq!(preferences(8, 42, "theme").unwrap(), "8-42-theme");
    assert_eq!(preferences(7, 42, "font").unwrap(), "7-42-font");
    assert_eq!(RUNS.load(Relaxed), 3);
    assert!(preferences(7, 42, "bad").is_err() && preferences(7, 42, "bad").is_err());
    assert_eq!(RUNS.load(Relaxed), 5);
    assert!(matches!(preferences::peek(7, 42, "theme"), Some(Ok(_))));
    let _ = preferences::invalidate(7, 42, "theme");
    assert!(preferences::peek(7, 42, "theme").is_none());
    assert!(preferences::peek(7, 42, "font").is_some());
    let _ = preferences::invalidate_scope(7, 42);
    assert!(preferences::peek(7, 42, "font").is_none());
    assert!(preferences::peek(8, 42, "theme").is_some());
    let _ = preferences::stats();
}
