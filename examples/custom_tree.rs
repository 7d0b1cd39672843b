//! A tree of scopes from TOML: tenant → project → environment, and staff beside it in a tree of their own.
#![allow(clippy::print_stdout, reason = "a program talks to its user")]

use strata_cache::{Cache, ErrorKind, ScopeTree, cached, scope};

const TREE: &str = r#"
[[level]]
name = "tenant"
id = "tenant_id"

[[level]]
name = "project"
id = "project_id"
parent = "tenant"

[[level]]
name = "environment"
id = "environment_id"
parent = "project"

[[level]]
name = "staff"
id = "staff_id"
"#;

/// With a tree of one's own the whole path is written, so that the macro knows every level.
#[cached(scope = "tenant/project", ttl = "1h")]
fn quota(tenant_id: &str, project_id: &str) -> usize {
    tenant_id.len() * 100 + project_id.len()
}

fn main() -> Result<(), strata_cache::Error> {
    let cache = Cache::builder().scopes(ScopeTree::from_toml(TREE)?).capacity(1_000).build()?;
    strata_cache::install(cache.clone())?;
    assert_eq!(quota("acme", "rocket"), 406);

    let production = scope!(tenant = "acme", project = "rocket", environment = "production");
    cache.set(production, "replicas", 3_u32).ttl("1h").wait()?;

    // One level out of a request's bag of ids: exactly that level, from exactly the ids on its path.
    let ids = [
        ("tenant_id", "acme"),
        ("project_id", "rocket"),
        ("environment_id", "production"),
        ("staff_id", "bob"),
    ];
    let replicas = cache.get::<u32>(("environment", &ids), "replicas").wait()?;
    assert_eq!(replicas.as_deref(), Some(&3));
    assert!(cache.get::<u32>(("staff", &ids), "replicas").wait()?.is_none());

    // A path with a gap is no path of the tree, and says so.
    let gap = cache.get::<u32>(scope!(tenant = "acme", environment = "production"), "replicas").wait();
    assert!(matches!(&gap, Err(error) if error.kind() == ErrorKind::InvalidPath));
    println!("{}", gap.err().map(|error| error.to_string()).unwrap_or_default());

    // A project goes with all its environments, and with what functions cached for it.
    assert_eq!(cache.evict_by_scope(scope!(tenant = "acme", project = "rocket")).wait()?.entries, 2);
    Ok(())
}
