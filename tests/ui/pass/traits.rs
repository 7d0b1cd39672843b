//! Impls of traits: associated types, async methods, generic impls, types that are not ours; companions beside the impl, or none.
#![deny(warnings)]

use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use strata_cache::cached;

static RUNS: AtomicU64 = AtomicU64::new(0);

trait Load<K> {
    type Item: Debug;
    type Error: Debug;
    const LIMIT: u64 = 4;

    fn load(&self, org_id: u64, key: K) -> Result<Self::Item, Self::Error>;
    fn all(&self) -> Vec<Self::Item>;
    async fn later(&self, org_id: u64, key: &str) -> Option<Self::Item>;
    fn version() -> u32;
}

struct Pg {
    name: String,
}

#[cached]
impl Load<u64> for Pg {
    type Item = String;
    type Error = std::fmt::Error;

    #[cached(scope = "org", receiver = self.name, max = Self::LIMIT)]
    fn load(&self, org_id: u64, key: u64) -> Result<Self::Item, Self::Error> {
        RUNS.fetch_add(1, Relaxed);
        if key == 0 {
            return Err(std::fmt::Error);
        }
        let item: Self::Item = format!("{} {org_id} {key} {}", self.name, Self::LIMIT);
        Ok(item)
    }

    fn all(&self) -> Vec<Self::Item> {
        Vec::new()
    }

    #[cached(scope = "org", receiver = self.name)]
    async fn later(&self, org_id: u64, key: &str) -> Option<Self::Item> {
        RUNS.fetch_add(1, Relaxed);
        std::future::ready(()).await;
        Some(format!("{} {org_id} {key}", self.name))
    }

    #[cached(scope = "global")]
    fn version() -> u32 {
        RUNS.fetch_add(1, Relaxed);
        1
    }
}

/// The key type is not named by the type: the companions get it.
struct Store<S>(S);

trait Source: Send + Sync {
    fn name(&self) -> &str;
}

impl Source for &'static str {
    fn name(&self) -> &str {
        self
    }
}

#[cached]
impl<K, S: Source> Load<Vec<K>> for Store<S>
where
    K: std::hash::Hash + Eq + Clone + Send + Sync + Debug + 'static,
    S: 'static,
{
    type Item = usize;
    type Error = String;

    #[cached(scope = "org", receiver = self.0.name().to_owned())]
    fn load(&self, org_id: u64, key: Vec<K>) -> Result<Self::Item, Self::Error> {
        RUNS.fetch_add(1, Relaxed);
        Ok(key.len() + org_id as usize)
    }

    fn all(&self) -> Vec<Self::Item> {
        Vec::new()
    }

    async fn later(&self, _: u64, _: &str) -> Option<Self::Item> {
        None
    }

    fn version() -> u32 {
        2
    }
}

trait Describe {
    const WORD: &'static str;
    fn describe(&self, language: &str) -> String;
}

// Nothing can be put beside the impl of a type of somebody else's.
#[cached(companions = off)]
impl<T: Clone + std::hash::Hash + Eq + Send + Sync + Debug + 'static> Describe for Vec<T> {
    const WORD: &'static str = "a list";

    #[cached(scope = "global", receiver = self.as_slice(), max = Self::WORD.len())]
    fn describe(&self, language: &str) -> String {
        RUNS.fetch_add(1, Relaxed);
        format!("{language}: {} {self:?}", Self::WORD)
    }
}

struct Borrowing<'a>(&'a str);

#[cached]
impl<'a> Describe for Borrowing<'a> {
    const WORD: &'static str = "a text";

    #[cached(scope = "global", receiver = self.0)]
    fn describe(&self, language: &str) -> String {
        RUNS.fetch_add(1, Relaxed);
        format!("{language}: {} {}", Self::WORD, self.0)
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
    let pg = Pg { name: "pg".into() };
    let call = || pg.load(1, 2).unwrap();
    assert_eq!((call(), call()), ("pg 1 2 4".into(), "pg 1 2 4".into()));
    assert!(pg.load(1, 0).is_err() && pg.load(1, 0).is_err());
    assert_eq!(runs(), 3);
    assert!(matches!(pg.load_peek(1, 2), Some(Ok(_))));
    let _ = pg.load_invalidate(1, 2);
    assert!(pg.load_peek(1, 2).is_none());
    assert_eq!(pg.load_uncached(1, 2).unwrap(), "pg 1 2 4");
    assert!(pg.load_peek(1, 2).is_none());
    assert_eq!(now(pg.later(1, "a")), now(pg.later(1, "a")));
    assert_eq!(now(pg.later_refresh(1, "a")).as_deref(), Some("pg 1 a"));
    assert_eq!((<Pg as Load<u64>>::version(), Pg::version(), Pg::version_peek()), (1, 1, Some(1)));
    assert_eq!(runs(), 4);
    assert!(pg.all().is_empty());

    let store = Store("s");
    assert_eq!((store.load(1, vec![1_u8]), store.load(1, vec![1_u16, 2]), store.load(1, vec![1_u8])), (Ok(2), Ok(3), Ok(2)));
    assert_eq!(runs(), 2);
    assert_eq!(store.load_peek(1, vec![1_u8]), Some(Ok(2)));
    let _ = Store::<&'static str>::load_invalidate_scope::<u8>(1);
    assert_eq!((store.load_peek(1, vec![1_u8]), store.load_peek(1, vec![1_u16, 2])), (None, Some(Ok(3))));

    assert_eq!((vec![1].describe("en"), vec![1].describe("en"), vec!['a'].describe("en")), ("en: a list [1]".into(), "en: a list [1]".into(), "en: a list ['a']".into()));
    assert_eq!((Borrowing("x").describe("en"), Borrowing("x").describe("en")), ("en: a text x".into(), "en: a text x".into()));
    assert_eq!(runs(), 3);
    assert!(Borrowing("x").describe_peek("en").is_some());
    assert_eq!(<Store<&'static str> as Load<Vec<u8>>>::version(), 2);
    drop(<Store<&'static str> as Load<Vec<u8>>>::later(&store, 1, ""));
    assert!(<Store<&'static str> as Load<Vec<u8>>>::all(&store).is_empty());
}
