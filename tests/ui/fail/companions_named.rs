//! The companions of a method stand beside it; those of a function on a type, of another name if need be.
use strata_cache::cached;

mod plans {}

// A module has the name already: write `companions = plans_cache`.
#[cached(scope = "org")]
fn plans(org_id: u64) -> u64 {
    org_id
}

struct Service;

#[cached]
impl Service {
    #[cached(scope = "org", receiver = (), companions = service_cache)]
    fn limits(&self, org_id: u64) -> u64 {
        org_id
    }
}

#[cached(scope = "org", companions = "off")]
fn quoted(org_id: u64) -> u64 {
    org_id
}

fn main() {}
