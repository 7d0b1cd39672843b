//! What a function is generic over in its key or its value can be kept.
use strata_cache::cached;

#[cached(scope = "org")]
fn echo<K: 'static, V: 'static>(org_id: u64, key: K, value: fn() -> V) -> V {
    value()
}

fn main() {}
