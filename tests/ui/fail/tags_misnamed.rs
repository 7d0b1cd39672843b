//! Tags name parameters and hold nothing that is no tag.
use strata_cache::cached;

#[cached(scope = "org", tags("plan:{pln}"))]
fn misspelled(org_id: u64, plan: &str) -> u64 {
    org_id
}

#[cached(scope = "org", tags("plan:{}", "{plan.name}", "", "a\nb"))]
fn malformed(org_id: u64, plan: &str) -> u64 {
    org_id
}

#[cached(scope = "org", tags(plan))]
fn no_text(org_id: u64, plan: &str) -> u64 {
    org_id
}

fn main() {}
