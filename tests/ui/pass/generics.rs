//! Type and const parameters, of functions and of impl blocks: one region for each instance, also where the key does not tell
//! them apart.
#![deny(warnings, missing_docs)]

use std::fmt::Display;
use std::hash::Hash;
use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use strata_cache::cached;

static RUNS: AtomicU64 = AtomicU64::new(0);

/// What a function may stand for.
pub trait Entity: Clone + Send + Sync + 'static {
    /// Its table.
    const TABLE: &'static str;
}

#[derive(Debug, Clone, PartialEq)]
struct User;
#[derive(Debug, Clone, PartialEq)]
struct Plan;

impl Entity for User {
    const TABLE: &'static str = "users";
}
impl Entity for Plan {
    const TABLE: &'static str = "plans";
}

// The type is in no argument.
#[cached(scope = "org")]
fn table<T: Entity>(org_id: u64, id: u64) -> String {
    RUNS.fetch_add(1, Relaxed);
    format!("{} {org_id} {id}", T::TABLE)
}

#[cached(scope = "org", ttl = 60, idle = "10s", max = 9)]
fn echo<K, V>(org_id: u64, key: K, value: &V) -> Result<(K, V), String>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Hash + Eq + Clone + Send + Sync + 'static,
{
    RUNS.fetch_add(1, Relaxed);
    let _ = org_id;
    Ok((key, value.clone()))
}

#[cached(scope = "global")]
fn times<const N: usize, const NEGATIVE: bool>(n: i64) -> i64 {
    RUNS.fetch_add(1, Relaxed);
    if NEGATIVE { -n * N as i64 } else { n * N as i64 }
}

#[cached(scope = "global", skip(show))]
async fn shown<'a, T: ?Sized + Display + 'static>(text: &'a str, show: &T) -> String {
    RUNS.fetch_add(1, Relaxed);
    std::future::ready(()).await;
    format!("{text} {show}")
}

// A type without a name is left out of the key, and need not be `'static`.
#[cached(scope = "global", skip(load))]
fn made<T: Entity>(id: u64, load: impl Fn(u64) -> T) -> Option<T> {
    RUNS.fetch_add(1, Relaxed);
    Some(load(id))
}

/// A store of entities.
#[derive(Debug, Clone)]
pub struct Repository<T, const SHARDS: usize> {
    name: &'static str,
    of: PhantomData<T>,
}

#[cached]
impl<T: Entity, const SHARDS: usize> Repository<T, SHARDS> {
    const NAME: &'static str = T::TABLE;

    /// One of them.
    #[cached(scope = "org", receiver = self.name, max = 1 + SHARDS)]
    pub fn find(&self, org_id: u64, id: u64) -> Option<String> {
        RUNS.fetch_add(1, Relaxed);
        Some(format!("{} {} {org_id} {id} {SHARDS}", self.name, Self::NAME))
    }

    /// As another type.
    #[cached(scope = "global", receiver = ())]
    pub async fn all<U: Entity>(&self, page: u8) -> Vec<String> {
        RUNS.fetch_add(1, Relaxed);
        vec![format!("{} {} {page}", T::TABLE, U::TABLE)]
    }

    /// Without a receiver.
    #[cached(scope = "global")]
    pub fn constant() -> usize {
        SHARDS
    }
}

fn now<F: Future>(future: F) -> F::Output {
    match std::pin::pin!(future).poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
        std::task::Poll::Ready(output) => output,
        std::task::Poll::Pending => panic!("not ready"),
    }
}

fn main() {
    let runs = || RUNS.swap(0, Relaxed);
    assert_eq!((table::<User>(1, 2), table::<Plan>(1, 2)), ("users 1 2".into(), "plans 1 2".into()));
    assert_eq!((table::<User>(1, 2), table::<Plan>(1, 2)), ("users 1 2".into(), "plans 1 2".into()));
    assert_eq!(runs(), 2);
    let _ = table::invalidate::<User>(1, 2);
    assert_eq!(table::peek::<User>(1, 2), None);
    assert_eq!(table::peek::<Plan>(1, 2).as_deref(), Some("plans 1 2"));
    assert_eq!((table::stats::<User>().entries, table::stats::<Plan>().entries), (0, 1));
    let _ = table::invalidate_scope::<Plan>(1);
    assert_eq!(table::peek::<Plan>(1, 2), None);

    assert_eq!(echo(1, 7_u8, &8_u16), Ok((7, 8)));
    assert_eq!(echo(1, 7_u16, &8_u8), Ok((7, 8)));
    assert_eq!(echo(1, 7_u8, &8_u16), Ok((7, 8)));
    assert_eq!(echo(1, "a".to_string(), &()), Ok(("a".into(), ())));
    assert_eq!(runs(), 3);

    assert_eq!((times::<2, false>(3), times::<3, false>(3), times::<2, true>(3), times::<2, false>(3)), (6, 9, -6, 6));
    assert_eq!(runs(), 3);
    assert_eq!(times::peek::<2, true>(3), Some(-6));

    assert_eq!((now(shown("a", "b")), now(shown("a", &7)), now(shown("a", "c"))), ("a b".into(), "a 7".into(), "a b".into()));
    assert_eq!(runs(), 2);

    let text = String::from("borrowed");
    assert_eq!(made(1, |_| if text.is_empty() { panic!() } else { User }), Some(User));
    assert_eq!(made(1, |_| Plan), Some(Plan));
    assert_eq!(made(1, |_| -> Plan { panic!("is served") }), Some(Plan));
    assert_eq!(made::peek::<User>(1), Some(Some(User)));
    assert_eq!(runs(), 2);

    let users = Repository::<User, 4> { name: "a", of: PhantomData };
    let plans = Repository::<Plan, 4> { name: "a", of: PhantomData };
    let more = Repository::<User, 8> { name: "a", of: PhantomData };
    for _ in 0..2 {
        assert_eq!(users.find(1, 2).unwrap(), "a users 1 2 4");
        assert_eq!(plans.find(1, 2).unwrap(), "a plans 1 2 4");
        assert_eq!(more.find(1, 2).unwrap(), "a users 1 2 8");
    }
    assert_eq!(runs(), 3);
    let _ = users.find_invalidate(1, 2);
    assert!(users.find_peek(1, 2).is_none() && plans.find_peek(1, 2).is_some() && more.find_peek(1, 2).is_some());
    let _ = Repository::<Plan, 4>::find_invalidate_scope(1);
    assert!(plans.find_peek(1, 2).is_none());
    assert_eq!(now(users.all::<Plan>(1)), now(users.all::<Plan>(1)));
    assert_ne!(now(users.all::<User>(1)), now(users.all::<Plan>(1)));
    assert_eq!(runs(), 2);
    assert_eq!((Repository::<User, 4>::constant(), Repository::<User, 8>::constant()), (4, 8));
}
