//! What reviewers found: shapes that did not compile with the attribute, or took an order of somebody else's.
#![deny(warnings)]

use std::hash::{Hash, Hasher};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use strata_cache::cached;

static RUNS: AtomicU64 = AtomicU64::new(0);

mod db {
    use super::Duration;
    pub const TTL: Duration = Duration::from_secs(60);
    pub struct Db;
}

pub struct Tenant {
    db: u64,
}

// Parameters of the name of a module, a path's segment, a field.
#[cached(scope = "org", skip(db, tenant), ttl = db::TTL, ids(org = tenant.db))]
fn named(tenant: &Tenant, db: &db::Db, x: u8) -> u64 {
    let db::Db = db;
    tenant.db + u64::from(x)
}

// An impl inside of the body has a `Self` of its own.
#[cached(scope = "org")]
fn rows(org_id: u64) -> Vec<u8> {
    struct Row(u8);
    impl From<u64> for Row {
        fn from(x: u64) -> Self {
            Self(x as u8)
        }
    }
    vec![Row::from(org_id).0]
}

#[derive(Clone, Copy)]
pub struct Ordered<T>(T);

impl PartialEq for Ordered<f64> {
    fn eq(&self, other: &Self) -> bool {
        self.0.total_cmp(&other.0).is_eq()
    }
}
impl Eq for Ordered<f64> {}
impl Hash for Ordered<f64> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}

// A float that its type orders.
#[cached(scope = "org")]
fn price(org_id: u64, p: Ordered<f64>) -> u64 {
    org_id + p.0 as u64
}

trait Base {
    type Error;
}
trait Load<K>: Base {
    type Item;
    fn load(&self, org_id: u64, key: K) -> Result<Self::Item, Self::Error>;
    fn find(&self, org_id: u64, key: K) -> Option<Self::Item>;
}

#[derive(Clone)]
struct Pg(u64);

impl Base for Pg {
    type Error = std::fmt::Error;
}

// A trait of a borrowed key, a supertrait's type, and one trait for two parameters.
#[cached]
impl Load<&str> for Pg {
    type Item = String;

    #[cached(scope = "org", receiver = self.0, companions = off)]
    fn load(&self, org_id: u64, key: &str) -> Result<Self::Item, Self::Error> {
        Ok(format!("{org_id} {key}"))
    }

    #[cached(scope = "org", receiver = self.0, companions = find_text)]
    fn find(&self, org_id: u64, key: &str) -> Option<Self::Item> {
        self.load(org_id, key).ok()
    }
}

#[cached]
impl Load<u64> for Pg {
    type Item = (u64, u64);

    fn load(&self, org_id: u64, key: u64) -> Result<Self::Item, Self::Error> {
        Ok((org_id, key))
    }

    #[cached(scope = "org", receiver = self.0)]
    fn find(&self, org_id: u64, key: u64) -> Option<Self::Item> {
        self.load(org_id, key).ok()
    }
}

mod api {
    pub trait Counts<K> {
        const LIMIT: u64 = 2;
        fn id(&self) -> u64;
        fn count(&self, org_id: u64, of: K) -> u64;
        fn total(&self, of: K) -> u64;
    }
}

// A trait that is not imported, and options that name its items.
#[cached]
impl api::Counts<u8> for Pg {
    fn id(&self) -> u64 {
        self.0
    }

    #[cached(scope = "org", receiver = self.id(), max = Self::LIMIT, key = |of| u64::from(*of) % Self::LIMIT)]
    fn count(&self, org_id: u64, of: u8) -> u64 {
        org_id + u64::from(of) + self.id()
    }

    #[cached(scope = "global", receiver = self.id(), max = Self::LIMIT, companions = off)]
    fn total(&self, of: u8) -> u64 {
        self.count(0, of)
    }
}

trait Gat {
    type Owned;
    fn owned(&self) -> Self::Owned;
}

struct Text(&'static str);

#[cached(companions = off)]
impl Gat for Text
where
    Self: Send,
{
    type Owned = Vec<u8>;

    #[cached(scope = "global", receiver = self.0, weigh = |bytes| bytes.len() as u64)]
    fn owned(&self) -> Self::Owned {
        self.0.into()
    }
}

trait Entity {
    const TABLE: &'static str;
}
impl Entity for Pg {
    const TABLE: &'static str = "pg";
}

// A type parameter that is in no argument, beside an abstract one.
#[cached(scope = "org", skip(load))]
fn loaded<T: Entity + 'static>(org_id: u64, load: impl Fn(&str) -> String) -> String {
    format!("{org_id} {}", load(T::TABLE))
}

macro_rules! service {
    ($($item:item)*) => { $(#[cached] $item)* };
}

service! {
    impl Pg {
        #[cached(scope = "org", receiver = self.0)]
        fn made(&self, org_id: u64) -> u64 {
            self.0 + org_id
        }
    }
}

// Tuples of borrows are keys, part by part.
#[cached(scope = "org", key = |query, page, limit| (query.to_lowercase(), page, limit))]
fn search(org_id: u64, query: &str, page: u32, limit: Option<&str>) -> u64 {
    RUNS.fetch_add(1, Relaxed);
    org_id + query.len() as u64 + u64::from(page) + limit.map_or(0, |limit| limit.len() as u64)
}

struct Named {
    name: String,
    number: u8,
}

#[cached]
impl Named {
    #[cached(scope = "global", receiver = (&self.name, self.number))]
    fn both(&self) -> String {
        RUNS.fetch_add(1, Relaxed);
        format!("{}{}", self.name, self.number)
    }
}

fn inside() -> u64 {
    mod local {
        pub trait Level {
            const LEVEL: u8;
            fn level(&self, org_id: u64) -> u64;
        }
    }
    struct Local;
    #[cached]
    impl local::Level for Local {
        const LEVEL: u8 = 3;
        #[cached(scope = "org", receiver = Self::LEVEL)]
        fn level(&self, org_id: u64) -> u64 {
            org_id + u64::from(Self::LEVEL)
        }
    }
    Local.level_refresh(1) + Local.level_peek(1).unwrap_or_default()
}

fn main() {
    assert_eq!(inside(), 8);
    let tenant = Tenant { db: 7 };
    assert_eq!((named(&tenant, &db::Db, 1), named::peek(&tenant, 1)), (8, Some(8)));
    assert_eq!((rows(3), price(1, Ordered(2.0)), price::peek(1, Ordered(2.0))), (vec![3], 3, Some(3)));
    let pg = Pg(5);
    assert_eq!(Load::<&str>::find(&pg, 1, "a").as_deref(), Some("1 a"));
    assert!(pg.find_text_peek(1, "a").is_some());
    assert_eq!((Load::<u64>::find(&pg, 1, 2), pg.find_peek(1, 2)), (Some((1, 2)), Some(Some((1, 2)))));
    assert_eq!((api::Counts::count(&pg, 1, 2), pg.count_peek(1, 4), api::Counts::total(&pg, 2)), (8, Some(8), 7));
    assert_eq!((Text("ab").owned(), Text("ab").owned()), (vec![97, 98], vec![97, 98]));
    assert_eq!(loaded::<Pg>(1, str::to_owned), "1 pg");
    assert_eq!(loaded::refresh::<Pg>(1, str::to_uppercase), "1 PG");
    assert_eq!((pg.made(1), pg.made_peek(1), pg.made_refresh(1)), (6, Some(6), 6));
    assert_eq!((search(1, "AB", 2, None), search(1, "ab", 2, None), search(1, "ab", 2, Some("x"))), (5, 5, 6));
    assert_eq!(RUNS.swap(0, Relaxed), 2);
    let named = |name: &str, number| Named { name: name.into(), number };
    assert_eq!((named("a", 1).both(), named("a", 2).both(), named("a", 1).both()), ("a1".into(), "a2".into(), "a1".into()));
    assert_eq!(RUNS.swap(0, Relaxed), 2);
}
