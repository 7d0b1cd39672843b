//! `negative` is for what can be absent, and for errors that can be kept.
use strata_cache::cached;

#[cached(scope = "org", negative = "30s")]
fn never_absent(org_id: u64) -> u64 {
    org_id
}

#[cached(scope = "org", negative(err = "5s"))]
fn never_an_error(org_id: u64) -> Option<u64> {
    Some(org_id)
}

#[cached(scope = "org", negative(err = "5s"))]
fn error_not_clone(org_id: u64) -> std::io::Result<u64> {
    Ok(org_id)
}

#[cached(scope = "org", negative(error = "5s"))]
fn misspelled(org_id: u64) -> Result<u64, String> {
    Ok(org_id)
}

fn main() {}
