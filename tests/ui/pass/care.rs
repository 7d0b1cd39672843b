//! All that cares for loads, on functions of every kind: their callers, and what runs in the background, need nothing more than is said.
#![deny(warnings)]

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use strata_cache::{Error, cached};

#[derive(Debug, Clone, PartialEq)]
pub enum Failed {
    Cache(String),
    Own,
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Cache(error.to_string())
    }
}

/// An error that does not clone, and is not shared.
#[derive(Debug)]
pub struct Whole(#[allow(dead_code)] Error);

impl From<Error> for Whole {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

const HARD: Duration = Duration::from_secs(5);

#[cached(
    scope = "org",
    ttl = "1m",
    stale = "30s",
    on_error = stale("1h"),
    refresh = 0.8,
    soft = "200ms",
    hard = HARD,
    throttle = "2s",
    breaker(failures = 5, cool_down = "10s"),
    tags("name:{name}"),
    skip(sizes)
)]
fn sync(org_id: u64, name: &str, sizes: Option<&[u8]>) -> Result<String, Failed> {
    if name.is_empty() {
        return Err(Failed::Own);
    }
    Ok(format!("{org_id} {name} {}", sizes.map_or(0, <[u8]>::len)))
}

#[cached(
    scope = "org",
    ttl = "1m",
    stale = "30s",
    on_error = stale,
    refresh = early(2.0),
    soft = "200ms",
    hard = "5s",
    throttle = 2,
    breaker = 5,
    coalesce = detached,
    negative(none = "5s"),
    without_scope = error
)]
async fn asynchronous(org_id: &str, (page, _): (u8, u8), name: &&str) -> Result<Option<String>, Whole> {
    std::future::ready(()).await;
    Ok((page > 0).then(|| format!("{org_id} {page} {name}")))
}

#[cached(scope = "org", ttl = "1m", refresh = early, hard = "5s", coalesce = detached)]
fn sync_detached(org_id: u64, names: &[String]) -> Result<usize, Failed> {
    Ok(names.len() + org_id as usize)
}

pub trait Entity: Clone + Send + Sync + 'static {
    const TABLE: &'static str;
}

#[derive(Clone)]
pub struct User;

impl Entity for User {
    const TABLE: &'static str = "users";
}

#[cached(scope = "org", ttl = "1m", stale = "30s", on_error = stale, soft = "1s", companions = off)]
pub fn generic<T: Entity, const N: usize>(org_id: u64, ids: [u8; N]) -> String {
    format!("{} {org_id} {ids:?}", T::TABLE)
}

#[cached(scope = "global", ttl = "1m", stale = "30s", companions = generic_async_cache, skip(load))]
async fn generic_async<T: Entity>(id: u64, load: impl Fn(u64) -> u64 + Clone + Send + Sync + 'static) -> String {
    format!("{} {}", T::TABLE, load(id))
}

// Nothing of it runs in the background: what is skipped may be lent to it.
#[cached(scope = "org", ttl = "1m", on_error = stale, throttle = "1s", hard = "5s", breaker = 3, skip(log))]
fn lent(org_id: u64, log: &mut Vec<u64>) -> Result<u64, Failed> {
    log.push(org_id);
    Ok(org_id)
}

#[derive(Clone)]
pub struct Reports<T> {
    name: Arc<str>,
    kind: std::marker::PhantomData<T>,
}

#[cached]
impl<T: Entity> Reports<T> {
    #[cached(scope = "org", ttl = "1m", receiver = &*self.name, stale = "30s", refresh = "80%")]
    pub fn monthly(&self, org_id: u64, month: u8) -> String {
        format!("{} {} {org_id} {month}", T::TABLE, self.name)
    }

    #[cached(
        scope = "org",
        ttl = "1m",
        receiver = &*self.name,
        on_error = stale("2m"),
        soft = "1s",
        hard = "2s",
        breaker = 1
    )]
    pub async fn daily(&self, org_id: u64, day: &str) -> Result<String, Whole> {
        std::future::ready(()).await;
        Ok(format!("{} {org_id} {day}", self.name))
    }

    #[cached(scope = "org", ttl = "1m", stale = "30s", companions = off)]
    fn open(org_id: u64, name: &str) -> Self {
        Self { name: format!("{name} of {org_id}").into(), kind: std::marker::PhantomData }
    }
}

fn is_send<F: Future + Send>(future: F) -> F {
    future
}

fn now<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("not ready"),
    }
}

fn main() {
    for _ in 0..2 {
        assert_eq!(sync(1, "a", Some(&[1, 2])), Ok("1 a 2".into()));
        assert_eq!(generic::<User, 2>(1, [1, 2]), "users 1 [1, 2]");
        assert_eq!(now(is_send(generic_async::<User>(1, |id| id + 1))), "users 2");
        let reports = Reports::<User>::open(1, "r");
        assert_eq!(reports.monthly(1, 2), "users r of 1 1 2");
        assert_eq!(lent(1, &mut Vec::new()), Ok(1));
    }
    assert_eq!(sync(1, "", None), Err(Failed::Own));
    assert_eq!((sync::stats().loads, sync::stats().hits), (2, 1));
    assert!(sync::peek(1, "a").is_some());
    let _ = sync::invalidate(1, "a");
    assert_eq!(sync::refresh(1, "a", None), Ok("1 a 0".into()));
    assert_eq!(generic_async_cache::stats::<User>().loads, 1);
    assert_eq!(sync_detached(1, &["a".into(), "b".into()]), Ok(3));
    // What goes on without its caller is answered from elsewhere: they are only compiled here.
    drop(is_send(asynchronous("acme", (1, 2), &"b")));
    drop(is_send(Reports::<User>::open(1, "r").daily(1, "monday")));
}
