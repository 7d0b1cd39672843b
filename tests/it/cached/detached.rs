//! `coalesce = detached`: a run that does not end with its caller.

use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use strata_cache::{Cache, InCache, InScope, ambient_scope, cached, scope, tag_load, with_cache};
use tokio::sync::oneshot;

use crate::support::{Outcome, parked};

type Gate = Arc<Mutex<Option<oneshot::Receiver<()>>>>;

/// A gate for one run, and what opens it.
fn gate() -> (oneshot::Sender<()>, Gate) {
    let (open, gate) = oneshot::channel();
    (open, Arc::new(Mutex::new(Some(gate))))
}

// The first run waits at its gate.
#[cached(scope = "org", ttl = 60, coalesce = detached, skip(gate, told), tags("name:{name}"))]
async fn gated(
    org_id: u64,
    name: &str,
    sizes: Option<&[u8]>,
    gate: &Gate,
    told: mpsc::Sender<String>,
) -> Result<String, std::fmt::Error> {
    let waits = gate.lock().expect("nobody panics with it").take();
    if let Some(waits) = waits {
        waits.await.map_err(|_| std::fmt::Error)?;
    }
    let ambient = ambient_scope().map(|scope| scope.to_string());
    // The test may not listen.
    let _ = told.send(ambient.unwrap_or_default());
    Ok(format!("{org_id} {name} {sizes:?}"))
}

fn heard(told: &mpsc::Receiver<String>) -> String {
    told.recv_timeout(Duration::from_secs(60)).expect("the run goes on")
}

/// Waits until the cache has so many entries, for the run lands after it told.
fn holds(cache: &Cache, entries: u64) {
    let begun = std::time::Instant::now();
    while cache.stats().entries != entries {
        assert!(begun.elapsed() < Duration::from_secs(60), "nothing was stored");
        std::thread::yield_now();
    }
}

#[test]
fn run_goes_on_without_its_caller_and_is_stored_where_it_belongs() -> Outcome {
    let cache = Cache::builder().build()?;
    let ((open, gate), (tell, told)) = (gate(), mpsc::channel());
    let acme = cache.scope(scope!(org = "acme"))?;
    {
        let name = String::from("borrowed");
        let call = gated(1, &name, Some(&[1, 2]), &gate, tell.clone()).in_scope(acme).in_cache(&cache);
        let mut call = Box::pin(call);
        parked(&mut call);
    }
    assert_eq!(cache.stats().flights, 1, "its caller has gone");
    open.send(()).expect("the run waits");
    assert_eq!(heard(&told), "org:acme", "it keeps the ambient scope");
    holds(&cache, 1);
    let stored = with_cache(&cache, || gated::peek(1, "borrowed", Some(&[1, 2])));
    assert_eq!(stored, Some(Ok("1 borrowed Some([1, 2])".into())));
    assert_eq!(cache.invalidate_tag(scope!(org = 1), "name:borrowed").wait()?.entries, 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_of_a_detached_run_share_it_and_get_its_answer() -> Outcome {
    let cache = Cache::builder().build()?;
    let ((open, gate), (tell, told)) = (gate(), mpsc::channel());
    let call = |tell: &mpsc::Sender<String>| {
        let (gate, tell, cache) = (Arc::clone(&gate), tell.clone(), cache.clone());
        tokio::spawn(async move { gated(2, "shared", None, &gate, tell).in_cache(&cache).await })
    };
    let first = call(&tell);
    while cache.stats().flights == 0 {
        tokio::task::yield_now().await;
    }
    let others: Vec<_> = (0..9).map(|_| call(&tell)).collect();
    first.abort();
    open.send(()).expect("the run waits");
    for other in others {
        assert_eq!(other.await??, "2 shared None");
    }
    drop(tell);
    assert_eq!((heard(&told), told.try_recv().is_err()), (String::new(), true), "one run");
    Ok(())
}

#[test]
fn withdrawn_run_stores_nothing_though_it_goes_on() -> Outcome {
    let cache = Cache::builder().build()?;
    let ((open, gate), (tell, told)) = (gate(), mpsc::channel());
    let mut call = Box::pin(gated(3, "withdrawn", None, &gate, tell).in_cache(&cache));
    parked(&mut call);
    drop(call);
    assert_eq!(cache.evict_by_scope(scope!(org = 3)).wait()?.entries, 0);
    open.send(()).expect("the run waits");
    heard(&told);
    // It is counted after its flight has ended.
    let begun = std::time::Instant::now();
    while cache.stats().refused_detached == 0 {
        assert!(begun.elapsed() < Duration::from_secs(60), "it was not refused");
        std::thread::yield_now();
    }
    assert_eq!((cache.stats().entries, cache.stats().flights), (0, 0));
    Ok(())
}

#[cached(scope = "global", coalesce = detached)]
async fn fails(how: u8) -> Result<u8, String> {
    tokio::task::yield_now().await;
    match how {
        0 => Err("of its own".into()),
        1 => panic!("on purpose"),
        how => {
            tag_load("added").map_err(|error| error.to_string())?;
            Ok(how)
        }
    }
}

#[tokio::test]
async fn error_and_panic_of_a_detached_run_are_its_callers() -> Outcome {
    let cache = Cache::builder().build()?;
    assert_eq!(fails(0).in_cache(&cache).await, Err("of its own".into()));
    let inside = cache.clone();
    let panicked = tokio::spawn(async move { fails(1).in_cache(&inside).await }).await;
    assert!(panicked.is_err_and(|error| error.is_panic()));
    assert_eq!(fails(2).in_cache(&cache).await, Ok(2));
    assert_eq!((cache.stats().entries, cache.stats().flights), (1, 0));
    assert_eq!(cache.invalidate_tag(scope!(global), "added").await?.entries, 1);
    Ok(())
}

#[derive(Clone)]
struct Reports {
    name: String,
}

#[cached]
impl Reports {
    #[cached(scope = "org", receiver = self.name, coalesce = detached)]
    async fn monthly(&self, org_id: u64, month: u8) -> String {
        tokio::task::yield_now().await;
        format!("{} {org_id} {month}", self.name)
    }
}

#[tokio::test]
async fn method_takes_a_receiver_of_its_own_along() -> Outcome {
    let cache = Cache::builder().build()?;
    let reports = Reports { name: "r".into() };
    let monthly = || reports.monthly(1, 2).in_cache(&cache);
    assert_eq!((monthly().await, monthly().await), ("r 1 2".into(), "r 1 2".into()));
    assert_eq!(cache.stats().loads, 1);
    Ok(())
}
