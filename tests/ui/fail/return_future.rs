//! A future is awaited once; it is the async function that is cached.
use std::future::Future;
use std::pin::Pin;

use strata_cache::cached;

#[cached(scope = "org")]
fn abstracted(org_id: u64) -> impl Future<Output = u64> {
    async move { org_id }
}

#[cached(scope = "org")]
fn boxed(org_id: u64) -> Pin<Box<dyn Future<Output = u64> + Send>> {
    Box::pin(async move { org_id })
}

fn main() {}
