//! Every way to say the scope and its ids.
#![deny(warnings)]

use strata_cache::cached;

#[cached(scope = "tenant/project")]
fn of_project(tenant_id: &str, project_id: String, name: u8) -> String {
    format!("{tenant_id} {project_id} {name}")
}

#[cached(scope = "/tenant")]
fn of_tenant(tenant_id: u64) -> u64 {
    tenant_id
}

#[cached(scope = "session", ids(org = ids.0, user = &ids.1), skip(ids))]
fn mixed(ids: (u64, String), session_id: &str, ttl: u8) -> u8 {
    assert!(ids.1.len() + session_id.len() > 0);
    ttl
}

// Without an ambient scope it runs uncached.
#[cached(scope = "user", ids(ambient))]
fn ambient(user_id: u64) -> u64 {
    user_id
}

// Ids of levels below the scope are plain arguments.
#[cached(scope = "org")]
fn per_org(org_id: u64, user_id: u64) -> u64 {
    org_id + user_id
}

#[derive(Debug, PartialEq)]
struct Failed;

impl From<strata_cache::Error> for Failed {
    fn from(_: strata_cache::Error) -> Self {
        Self
    }
}

#[cached(scope = "org", ids(ambient), without_scope = error)]
fn errs() -> Result<u8, Failed> {
    Ok(1)
}

#[cached(scope = "org", ids(ambient), without_scope = panic)]
fn panics() -> u8 {
    1
}

#[cached(scope = "org", without_scope = bypass, ttl = "never", max = 10 * 10)]
fn bypasses(org_id: &str) -> usize {
    org_id.len()
}

fn install() -> Result<(), strata_cache::Error> {
    let tree = strata_cache::ScopeTree::builder()
        .level("org", "org_id")
        .child("org", "user", "user_id")
        .child("user", "session", "session_id")
        .level("tenant", "tenant_id")
        .child("tenant", "project", "project_id")
        .build()?;
    strata_cache::install(strata_cache::Cache::builder().scopes(tree).build()?)
}

fn main() {
    install().expect("nothing was cached before");
    assert_eq!(of_project("a", "b".into(), 1), "a b 1");
    assert!(of_project::peek("a", "b".into(), 1).is_some());
    let _ = of_project::invalidate_scope("a", "b".into());
    assert!(of_project::peek("a", "b".into(), 1).is_none());
    assert_eq!(of_tenant(1), 1);
    assert_eq!(mixed((1, "u".into()), "s", 5), 5);
    assert_eq!(mixed::peek((1, "u".into()), "s", 5), Some(5));
    let _ = mixed::invalidate_scope(1_u64, "u", "s");
    assert_eq!(mixed::peek((1, "u".into()), "s", 5), None);
    assert_eq!((ambient(1), ambient::peek(1)), (1, None));
    let _ = ambient::invalidate_scope();
    assert_eq!((per_org(1, 1), per_org(1, 2)), (2, 3));
    assert_eq!(errs(), Err(Failed));
    assert!(std::panic::catch_unwind(panics).is_err());
    assert_eq!((bypasses(""), bypasses::peek("")), (0, None));
}
