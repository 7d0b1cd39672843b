//! The same functions under each attribute, and by hand.
//!
//! (1) All may hold [`MOST`] calls, more than are ever made. (2) A body counts that it ran, so that whoever measures hits
//! can say that nothing but hits was measured. (3) Where an attribute takes no borrowed argument, the key is made as its
//! manual says; where it has no such form at all, there is no function.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Calls that each function may hold; the literals below are this.
pub const MOST: usize = 10_000;

pub type Bytes = Arc<[u8; 256]>;

static RUNS: AtomicU64 = AtomicU64::new(0);

/// How many bodies have run.
pub fn runs() -> u64 {
    RUNS.load(Ordering::Relaxed)
}

fn ran<T>(value: T) -> T {
    RUNS.fetch_add(1, Ordering::Relaxed);
    value
}

fn bytes_of(n: u64) -> Bytes {
    ran(Arc::new([n as u8; 256]))
}

/// strata-cache.
pub mod ours {
    use strata_cache::cached;

    use super::{Bytes, bytes_of, ran};

    #[cached(scope = "global", max = 10_000)]
    pub fn number(n: u64) -> u64 {
        ran(n)
    }

    #[cached(scope = "global", max = 10_000, ttl = "1h")]
    pub fn timed(n: u64) -> u64 {
        ran(n)
    }

    #[cached(scope = "global", max = 10_000)]
    pub fn text(text: &str) -> u64 {
        ran(text.len() as u64)
    }

    #[cached(scope = "global", max = 10_000)]
    pub fn bytes(n: u64) -> Bytes {
        bytes_of(n)
    }

    #[cached(scope = "user", max = 10_000)]
    pub fn of_user(org_id: u64, user_id: u64, n: u64) -> u64 {
        ran(org_id ^ user_id ^ n)
    }

    #[cached(scope = "global", max = 10_000)]
    pub async fn awaited(n: u64) -> u64 {
        ran(n)
    }

    #[cached(scope = "global", max = 10_000)]
    pub fn slice(numbers: &[u32]) -> u64 {
        ran(numbers.len() as u64)
    }

    #[cached(scope = "global", max = 10_000)]
    pub fn optional(text: Option<&str>) -> u64 {
        ran(text.map_or(0, str::len) as u64)
    }
}

/// cached, its attribute of this name: one store under one lock.
pub mod lru {
    use cached::macros::cached;

    use super::{Bytes, bytes_of, ran};

    #[cached(max_size = 10_000)]
    pub fn number(n: u64) -> u64 {
        ran(n)
    }

    #[cached(max_size = 10_000, ttl_secs = 3600)]
    pub fn timed(n: u64) -> u64 {
        ran(n)
    }

    #[cached(max_size = 10_000, key = "String", convert = { String::from(text) })]
    pub fn text(text: &str) -> u64 {
        ran(text.len() as u64)
    }

    #[cached(max_size = 10_000)]
    pub fn bytes(n: u64) -> Bytes {
        bytes_of(n)
    }

    #[cached(max_size = 10_000)]
    pub fn of_user(org_id: u64, user_id: u64, n: u64) -> u64 {
        ran(org_id ^ user_id ^ n)
    }

    #[cached(max_size = 10_000)]
    pub async fn awaited(n: u64) -> u64 {
        ran(n)
    }

    #[cached(max_size = 10_000, key = "Vec<u32>", convert = { numbers.to_vec() })]
    pub fn slice(numbers: &[u32]) -> u64 {
        ran(numbers.len() as u64)
    }

    #[cached(max_size = 10_000, key = "Option<String>", convert = { text.map(String::from) })]
    pub fn optional(text: Option<&str>) -> u64 {
        ran(text.map_or(0, str::len) as u64)
    }
}

/// cached, its attribute for stores of several locks.
pub mod sharded {
    use cached::macros::concurrent_cached;

    use super::{Bytes, bytes_of, ran};

    #[concurrent_cached(max_size = 10_000)]
    pub fn number(n: u64) -> u64 {
        ran(n)
    }

    #[concurrent_cached(max_size = 10_000, ttl_secs = 3600)]
    pub fn timed(n: u64) -> u64 {
        ran(n)
    }

    #[concurrent_cached(max_size = 10_000, key = "String", convert = { String::from(text) })]
    pub fn text(text: &str) -> u64 {
        ran(text.len() as u64)
    }

    #[concurrent_cached(max_size = 10_000)]
    pub fn bytes(n: u64) -> Bytes {
        bytes_of(n)
    }

    #[concurrent_cached(max_size = 10_000)]
    pub fn of_user(org_id: u64, user_id: u64, n: u64) -> u64 {
        ran(org_id ^ user_id ^ n)
    }

    #[concurrent_cached(max_size = 10_000)]
    pub async fn awaited(n: u64) -> u64 {
        ran(n)
    }
}

/// memoize: a map of each thread's own.
pub mod memo {
    use std::time::Duration;

    use memoize::memoize;

    use super::{Bytes, bytes_of, ran};

    #[memoize(Capacity: 10_000)]
    pub fn number(n: u64) -> u64 {
        ran(n)
    }

    #[memoize(Capacity: 10_000, TimeToLive: Duration::from_secs(3600))]
    pub fn timed(n: u64) -> u64 {
        ran(n)
    }

    #[memoize(Capacity: 10_000)]
    pub fn text(text: String) -> u64 {
        ran(text.len() as u64)
    }

    #[memoize(Capacity: 10_000)]
    pub fn bytes(n: u64) -> Bytes {
        bytes_of(n)
    }

    #[memoize(Capacity: 10_000)]
    pub fn of_user(org_id: u64, user_id: u64, n: u64) -> u64 {
        ran(org_id ^ user_id ^ n)
    }
}

/// memoize: one map under one lock.
pub mod shared_memo {
    use std::time::Duration;

    use memoize::memoize;

    use super::{Bytes, bytes_of, ran};

    #[memoize(SharedCache, Capacity: 10_000)]
    pub fn number(n: u64) -> u64 {
        ran(n)
    }

    #[memoize(SharedCache, Capacity: 10_000, TimeToLive: Duration::from_secs(3600))]
    pub fn timed(n: u64) -> u64 {
        ran(n)
    }

    #[memoize(SharedCache, Capacity: 10_000)]
    pub fn text(text: String) -> u64 {
        ran(text.len() as u64)
    }

    #[memoize(SharedCache, Capacity: 10_000)]
    pub fn bytes(n: u64) -> Bytes {
        bytes_of(n)
    }

    #[memoize(SharedCache, Capacity: 10_000)]
    pub fn of_user(org_id: u64, user_id: u64, n: u64) -> u64 {
        ran(org_id ^ user_id ^ n)
    }
}

/// quick_cache without an attribute: get, or insert what the body gives.
pub mod by_hand {
    use std::convert::Infallible;
    use std::hash::Hash;
    use std::sync::LazyLock;

    use quick_cache::sync::Cache;

    use super::{Bytes, MOST, bytes_of, ran};

    type Held<K, V> = LazyLock<Cache<K, V>>;

    fn held<K: Hash + Eq, V: Clone>() -> Cache<K, V> {
        Cache::new(MOST)
    }

    fn never_fails<T>(value: Result<T, Infallible>) -> T {
        value.unwrap_or_else(|never| match never {})
    }

    static NUMBERS: Held<u64, u64> = LazyLock::new(held);
    static TEXTS: Held<String, u64> = LazyLock::new(held);
    static BYTES: Held<u64, Bytes> = LazyLock::new(held);
    static USERS: Held<(u64, u64, u64), u64> = LazyLock::new(held);

    pub fn number(n: u64) -> u64 {
        never_fails(NUMBERS.get_or_insert_with(&n, || Ok(ran(n))))
    }

    pub fn text(text: &str) -> u64 {
        never_fails(TEXTS.get_or_insert_with(text, || Ok(ran(text.len() as u64))))
    }

    pub fn bytes(n: u64) -> Bytes {
        never_fails(BYTES.get_or_insert_with(&n, || Ok(bytes_of(n))))
    }

    pub fn of_user(org_id: u64, user_id: u64, n: u64) -> u64 {
        never_fails(USERS.get_or_insert_with(&(org_id, user_id, n), || Ok(ran(org_id ^ user_id ^ n))))
    }

    pub async fn awaited(n: u64) -> u64 {
        never_fails(NUMBERS.get_or_insert_async(&n, async { Ok(ran(n)) }).await)
    }
}
