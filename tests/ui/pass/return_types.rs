//! `Ok` is stored and `Err` is not, through aliases and with every kind of error; all else is stored whole.
#![deny(warnings)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use strata_cache::cached;

static RUNS: AtomicU64 = AtomicU64::new(0);

type Hidden<T> = Result<T, Box<dyn std::error::Error>>;

#[cached(scope = "global")]
fn aliased(bad: bool) -> Hidden<u64> {
    RUNS.fetch_add(1, Relaxed);
    if bad { Err("bad".into()) } else { Ok("7".parse()?) }
}

#[cached(scope = "global")]
fn aliased_io(bad: bool) -> std::io::Result<u64> {
    RUNS.fetch_add(1, Relaxed);
    if bad { Err(std::io::Error::other("bad")) } else { Ok(7) }
}

#[cached(scope = "global")]
fn shared(bad: bool) -> Result<Arc<[u8]>, String> {
    RUNS.fetch_add(1, Relaxed);
    if bad {
        return Err("bad".into());
    }
    Ok(vec![1].into())
}

#[cached(scope = "global")]
fn option(bad: bool) -> Option<u64> {
    RUNS.fetch_add(1, Relaxed);
    let found = if bad { None } else { Some(1) };
    Some(found?)
}

#[must_use = "said once"]
#[cached(scope = "global")]
fn function_pointer(_n: u8) -> fn(u8) -> u8 {
    #![allow(clippy::identity_op)]
    RUNS.fetch_add(1, Relaxed);
    |n| n + 0
}

fn main() {
    let runs = |call: &dyn Fn()| {
        (call(), call());
        RUNS.swap(0, Relaxed)
    };
    assert_eq!(runs(&|| assert_eq!(aliased(false).unwrap(), 7)), 1);
    assert_eq!(runs(&|| drop(aliased(true).unwrap_err())), 2);
    assert_eq!(runs(&|| assert_eq!(aliased_io(false).unwrap(), 7)), 1);
    assert_eq!(runs(&|| drop(aliased_io(true).unwrap_err())), 2);
    assert_eq!(runs(&|| drop(shared(false).unwrap())), 1);
    assert_eq!(runs(&|| drop(shared(true).unwrap_err())), 2);
    assert_eq!(runs(&|| assert_eq!(option(true), None)), 1);
    assert_eq!(runs(&|| assert_eq!(option(false), Some(1))), 1);
    assert_eq!(runs(&|| assert_eq!(function_pointer(1)(2), 2)), 1);
}
