//! `key` names parameters, alone.
use strata_cache::cached;

#[cached(scope = "org", key = |quer| quer.len())]
fn misspelled(org_id: u64, query: &str) -> usize {
    query.len()
}

#[cached(scope = "org", key = |(query, _)| query.len())]
fn taken_apart(org_id: u64, query: &str) -> usize {
    query.len()
}

#[cached(scope = "org", key = query)]
fn no_closure(org_id: u64, query: &str) -> usize {
    query.len()
}

#[cached(scope = "org", key = || 1)]
fn of_nothing(org_id: u64, query: &str) -> usize {
    query.len()
}

#[cached(scope = "org", key = |query| query.weight())]
fn no_key(org_id: u64, query: &Query) -> usize {
    1
}

struct Query;

impl Query {
    fn weight(&self) -> f64 {
        0.0
    }
}

fn main() {}
