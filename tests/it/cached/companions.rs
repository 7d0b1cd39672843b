//! The companions that run a function or stand in for it: `refresh`, `uncached`, `prime`.

use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::thread;

use strata_cache::{Cache, InCache, cached, with_cache};

use crate::support::Outcome;

static VERSION: AtomicU32 = AtomicU32::new(0);

#[cached(scope = "org", ttl = 600)]
fn version(org_id: u64) -> Result<u32, u32> {
    let version = VERSION.fetch_add(1, SeqCst);
    if org_id == 0 { Err(version) } else { Ok(version) }
}

#[test]
fn refresh_runs_and_replaces_and_uncached_does_neither_look_nor_store() -> Outcome {
    with_cache(&Cache::builder().build()?, || {
        let first = version(1)?;
        assert_eq!(version::uncached(1), Ok(first + 1));
        assert_eq!(version(1), Ok(first), "what was stored stays");
        assert_eq!(version::refresh(1), Ok(first + 2));
        assert_eq!(version(1), Ok(first + 2));
        let failed = version::refresh(0);
        assert!(failed.is_err() && version::peek(0).is_none());
        let stats = version::stats();
        assert_eq!((stats.loads, stats.bypassed, stats.replaced), (3, 1, 1));
        Ok(())
    })
    .map_err(|error: u32| format!("version {error} failed").into())
}

#[test]
fn primed_value_is_served_without_a_run_and_an_error_is_not_stored() -> Outcome {
    with_cache(&Cache::builder().build()?, || {
        assert!(version::prime(2, Ok(77)).wait()?);
        assert_eq!(version(2), Ok(77));
        assert!(!version::prime(2, Err(1)).wait()?);
        assert_eq!((version(2), version::stats().loads), (Ok(77), 0));
        Ok(())
    })
}

static GATE: Barrier = Barrier::new(2);
static SLOW: AtomicU32 = AtomicU32::new(0);

#[cached(scope = "global")]
fn slow(gated: bool) -> u32 {
    let run = SLOW.fetch_add(1, SeqCst);
    if run == 0 && gated {
        GATE.wait();
        GATE.wait();
    }
    run
}

#[test]
fn refresh_does_not_join_a_run_that_began_before_and_that_run_stores_nothing() -> Outcome {
    let cache = Cache::builder().build()?;
    thread::scope(|threads| {
        let old = threads.spawn(|| with_cache(&cache, || slow(true)));
        GATE.wait();
        let fresh = with_cache(&cache, || slow::refresh(true));
        GATE.wait();
        assert_eq!((old.join().ok(), fresh), (Some(0), 1));
    });
    assert_eq!(with_cache(&cache, || slow::peek(true)), Some(1));
    Ok(())
}

#[cached(scope = "org")]
async fn later(org_id: u64, text: &str) -> String {
    tokio::task::yield_now().await;
    format!("{org_id} {text} {}", VERSION.fetch_add(1, SeqCst))
}

#[tokio::test]
async fn async_function_has_the_same_companions() -> Outcome {
    let cache = Cache::builder().build()?;
    let first = later(1, "a").in_cache(&cache).await;
    assert_ne!(later::uncached(1, "a").in_cache(&cache).await, first);
    assert_eq!(later(1, "a").in_cache(&cache).await, first);
    let second = later::refresh(1, "a").in_cache(&cache).await;
    assert_ne!(second, first);
    assert_eq!(later(1, "a").in_cache(&cache).await, second);
    assert_eq!(with_cache(&cache, || later::peek(1, "a")), Some(second));
    Ok(())
}

#[cached(scope = "global")]
fn inner(n: u32) -> u32 {
    VERSION.fetch_add(1, SeqCst);
    n
}

#[cached(scope = "global")]
fn outer(n: u32) -> u32 {
    inner(n) + inner(n)
}

#[test]
fn order_for_a_function_is_not_one_for_those_it_calls() -> Outcome {
    with_cache(&Cache::builder().build()?, || {
        outer(2);
        assert_eq!(outer::uncached(3), 6);
        assert_eq!((inner::stats().loads, inner::stats().hits, inner::peek(3)), (2, 2, Some(3)));
        assert_eq!((outer::peek(3), outer::stats().bypassed, outer::stats().loads), (None, 1, 1));
    });
    Ok(())
}

#[test]
fn panic_of_an_uncached_run_leaves_no_order_behind() -> Outcome {
    #[cached(scope = "global")]
    fn fragile(broken: bool) -> u32 {
        assert!(!broken, "broken");
        1
    }
    with_cache(&Cache::builder().build()?, || {
        assert!(std::panic::catch_unwind(|| fragile::uncached(true)).is_err());
        assert_eq!((fragile(false), fragile(false), fragile::stats().hits), (1, 1, 1));
    });
    Ok(())
}

static RENEWED: AtomicU32 = AtomicU32::new(0);
static OPEN: AtomicBool = AtomicBool::new(false);

// The first two runs go on until they are let go.
#[cached(scope = "org", coalesce = off)]
fn renewed(org_id: u64) -> u32 {
    let run = RENEWED.fetch_add(1, SeqCst);
    while run < 2 && !OPEN.load(SeqCst) {
        thread::yield_now();
    }
    run + org_id as u32
}

#[test]
fn refreshes_that_meet_store_also_where_calls_do_not_wait_for_one_another() -> Outcome {
    let cache = Cache::builder().build()?;
    with_cache(&cache, || renewed::prime(0, 100).wait())?;
    let refresh = || with_cache(&cache, || renewed::refresh(0));
    thread::scope(|threads| {
        let first = [(); 2].map(|()| threads.spawn(refresh));
        while RENEWED.load(SeqCst) < 2 {
            thread::yield_now();
        }
        let last = threads.spawn(refresh);
        // It would run beside them if it did not wait for a place.
        for _ in 0..5_000 {
            thread::yield_now();
        }
        OPEN.store(true, SeqCst);
        assert!(first.into_iter().all(|call| call.join().is_ok_and(|run| run < 2)));
        assert_eq!(last.join().ok(), Some(2));
    });
    assert_eq!(with_cache(&cache, || renewed::peek(0)), Some(2), "the last one has the last word");
    Ok(())
}

struct Folder {
    name: &'static str,
    parent: Option<Box<Folder>>,
}

#[cached]
impl Folder {
    // What identifies it is found by the function itself.
    #[cached(scope = "global", receiver = (self.name, self.parent.as_ref().map(|parent| parent.path())))]
    fn path(&self) -> String {
        if self.parent.is_some() {
            VERSION.fetch_add(1, SeqCst);
        }
        format!("{}/{}", self.parent.as_ref().map_or(String::new(), |parent| parent.path()), self.name)
    }
}

#[test]
fn order_is_for_the_call_and_not_for_those_that_make_its_key() -> Outcome {
    let cache = Cache::builder().build()?;
    let folder = Folder { name: "b", parent: Some(Box::new(Folder { name: "a", parent: None })) };
    with_cache(&cache, || {
        assert_eq!(
            (folder.path(), folder.path_uncached(), folder.path_refresh()),
            ("/a/b".into(), "/a/b".into(), "/a/b".into())
        );
        let stats = Folder::path_stats();
        assert_eq!((stats.bypassed, stats.replaced, stats.loads), (1, 1, 3));
    });
    Ok(())
}
