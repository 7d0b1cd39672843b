//! An async function is cached as a sync one is; its future is `Send` when the original's is, and needs no runtime.
#![deny(warnings)]

use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, Waker};
use strata_cache::cached;

static RUNS: AtomicU64 = AtomicU64::new(0);

#[derive(Debug)]
pub struct NotSend(#[allow(dead_code)] Rc<str>);

#[cached(scope = "org", ttl = "5m", skip(db))]
async fn limits(db: String, org_id: &str, plan: Option<&str>, sizes: &[u8]) -> Result<Vec<u8>, std::io::Error> {
    RUNS.fetch_add(1, Relaxed);
    std::future::ready(()).await;
    let parsed: u8 = db.parse().map_err(std::io::Error::other)?;
    if plan.is_none() {
        return Ok(vec![]);
    }
    let _ = org_id;
    Ok(sizes.iter().map(|size| size * parsed).collect())
}

// The error is not `Send`, but does not live across an await: the future is `Send` all the same.
#[cached(scope = "org")]
async fn fallible(org_id: u64) -> Result<u8, NotSend> {
    std::future::ready(()).await;
    if org_id == 0 { Err(NotSend("no".into())) } else { Ok(1) }
}

// Coercions and inference in the body are those of the function.
#[cached(scope = "org")]
async fn coerced(org_id: u64, text: &str) -> Result<u64, Box<dyn std::error::Error>> {
    if text.is_empty() {
        return Err(Box::new(std::fmt::Error));
    }
    let parsed = text.parse::<u64>()?;
    Ok(org_id + parsed + u64::from("1".parse::<u8>()?))
}

#[cached(scope = "org")]
async fn never_done(org_id: u64) -> u8 {
    let _ = org_id;
    std::future::pending().await
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
    let call = || now(is_send(limits("2".into(), "acme", Some("gold"), &[1, 2]))).unwrap();
    assert_eq!(call(), [2, 4]);
    assert_eq!(call(), [2, 4]);
    assert_eq!(RUNS.load(Relaxed), 1);
    assert_eq!(now(limits("2".into(), "acme", None, &[1, 2])).unwrap(), []);
    assert!(now(limits("x".into(), "acme", Some("gold"), &[])).is_err());
    assert!(limits::peek("acme", None, &[1, 2]).is_some());
    let _ = limits::invalidate("acme", None, &[1, 2]);
    assert!(limits::peek("acme", None, &[1, 2]).is_none());
    assert_eq!(now(is_send(fallible(1))).unwrap(), 1);
    assert!(now(fallible(0)).is_err());
    assert_eq!(now(coerced(7, "30")).unwrap(), 38);
    assert!(now(coerced(7, "")).is_err() && now(coerced(7, "x")).is_err());
    drop(is_send(never_done(1)));
}
