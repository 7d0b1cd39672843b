//! Every kind of argument: borrowed ones are keyed without a copy on a hit; patterns, `mut`, `&mut` and strange names.
#![deny(warnings)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use strata_cache::cached;

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Month(u16, u8);

pub struct Db;

type Name<'a> = &'a str;

#[cached(scope = "global")]
fn all(
    text: &str,
    list: &[Month],
    one: &Month,
    owned: String,
    maybe: Option<&str>,
    several: Option<&[u8]>,
    shared: Arc<str>,
    twice: &&str,
    path: &Path,
    buffer: PathBuf,
    map: BTreeMap<u8, u8>,
    array: [u8; 4],
    pair: (u8, String),
    fixed: &'static str,
    nested: Option<Vec<u8>>,
) -> usize {
    let owned: String = owned;
    text.len()
        + list.len()
        + one.0 as usize
        + owned.len()
        + maybe.map_or(0, str::len)
        + several.map_or(0, <[u8]>::len)
        + shared.len()
        + twice.len()
        + path.as_os_str().len()
        + buffer.as_os_str().len()
        + map.len()
        + array.len()
        + pair.1.len()
        + fixed.len()
        + nested.map_or(0, |nested| nested.len())
}

// Names that an expansion might use itself.
#[cached(scope = "org")]
fn names(org_id: u64, key: u8, cache: u8, result: u8, scope: u8, ids: u8, view: u8, pending: u8, arg1: u8) -> [u8; 8] {
    let returned = [key, cache, result, scope, ids, view, pending, arg1];
    assert_ne!(org_id, 0);
    returned
}

#[cached(scope = "org", skip(db, log, extra))]
fn taken_apart(
    mut org_id: u64,
    (a, mut b): (u64, u64),
    Month(year, _): Month,
    [first, ..]: [u8; 3],
    db: &Db,
    log: &mut Vec<u64>,
    extra: impl Fn(u64) -> u64,
    _: u8,
) -> u64 {
    let Db = *db;
    org_id += 1;
    b += a;
    log.push(b);
    extra(org_id + b) + u64::from(year) + u64::from(first)
}

#[cached(scope = "org", ids(org = tenant.org), skip(tenant))]
fn of_tenant<'t>(tenant: &'t Tenant, name: Name<'static>) -> String {
    format!("{} {name}", tenant.org)
}

pub struct Tenant {
    org: String,
}

#[cached(scope = "global")]
fn r#match(r#type: u8) -> u8 {
    r#type
}

#[cached(scope = "global")]
fn nothing() -> Option<u8> {
    None
}

fn main() {
    let call = || {
        all(
            "a", &[Month(1, 2)], &Month(3, 4), "b".into(), Some("c"), None, "d".into(), &"e", Path::new("f"),
            "g".into(), BTreeMap::new(), [0; 4], (1, "h".into()), "i", Some(vec![]),
        )
    };
    assert_eq!((call(), call()), (17, 17));
    assert_eq!(names(1, 1, 2, 3, 4, 5, 6, 7, 8), [1, 2, 3, 4, 5, 6, 7, 8]);
    assert!(names::peek(1, 1, 2, 3, 4, 5, 6, 7, 8).is_some());

    let mut log = Vec::new();
    let mut apart = |b| taken_apart(1, (2, b), Month(1, 1), [1; 3], &Db, &mut log, |n| n, 0);
    assert_eq!((apart(3), apart(3), apart(4)), (9, 9, 10));
    assert_eq!(log, [5, 6]);
    let _ = taken_apart::invalidate(1, (2, 3), Month(1, 1), [1; 3], 0);
    assert_eq!(taken_apart::peek(1, (2, 3), Month(1, 1), [1; 3], 0), None);
    assert_eq!(taken_apart::peek(1, (2, 4), Month(1, 1), [1; 3], 0), Some(10));

    let tenant = |org: &str| Tenant { org: org.into() };
    assert_eq!(of_tenant(&tenant("x"), "n"), "x n");
    assert_eq!(of_tenant(&tenant("y"), "n"), "y n");
    let _ = of_tenant::invalidate(&tenant("x"), "n");
    assert_eq!(of_tenant::peek(&tenant("x"), "n"), None);
    let _ = of_tenant::invalidate_scope("y");
    assert_eq!(of_tenant::peek(&tenant("y"), "n"), None);

    assert_eq!((r#match(3), r#match::peek(3)), (3, Some(3)));
    assert_eq!((nothing(), nothing::peek()), (None, Some(None)));
}
