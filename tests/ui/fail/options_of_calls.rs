//! What is found once for all calls is made of no call's arguments.
use std::time::Duration;

use strata_cache::cached;

#[cached(scope = "org", ttl = ttl_of(plan), max = plan.len())]
fn limits(org_id: u64, plan: &str) -> u64 {
    org_id
}

fn ttl_of(_: &str) -> Duration {
    Duration::from_secs(1)
}

struct Service {
    cache: strata_cache::Cache,
}

#[cached]
impl Service {
    #[cached(scope = "org", receiver = (), cache = self.cache)]
    fn limits(&self, org_id: u64) -> u64 {
        org_id
    }
}

fn main() {}
