//! Batches: a page needs fifty users, one query brings those that are missing, and pages that overlap share it.
#![allow(clippy::print_stdout, reason = "a program talks to its user")]

use std::sync::atomic::{AtomicUsize, Ordering};

use strata_cache::{Cache, Error, LoadError, scope};

static QUERIES: AtomicUsize = AtomicUsize::new(0);
static ROWS: AtomicUsize = AtomicUsize::new(0);

/// `SELECT … WHERE id IN (…)`: a result for each id, in their order.
async fn users(ids: Vec<u32>) -> Vec<Result<String, &'static str>> {
    QUERIES.fetch_add(1, Ordering::Relaxed);
    ROWS.fetch_add(ids.len(), Ordering::Relaxed);
    tokio::task::yield_now().await; // stands for the query
    ids.into_iter().map(|id| if id == 13 { Err("no such user") } else { Ok(format!("user {id}")) }).collect()
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let cache = Cache::builder().capacity(10_000).build()?;
    let names = cache.region::<u32, String>("names")?;
    let acme = cache.scope(scope!(org = "acme"))?;

    // Two pages are shown at the same time, and ten of their users are the same.
    let (first, second) =
        tokio::join!(names.load_many(&acme, 0..50, users), names.load_many(&acme, 40..90, users));
    let (first, second) = (first?, second?);
    assert_eq!((first.len(), second.len()), (50, 50));
    assert_eq!((QUERIES.load(Ordering::Relaxed), ROWS.load(Ordering::Relaxed)), (2, 90), "no user twice");

    // One that fails does so alone.
    assert!(matches!(first[13], Err(LoadError::Load("no such user"))));
    assert_eq!(first.iter().filter(|name| name.is_ok()).count(), 49);

    // Shown again, only the one that failed is asked for.
    let again = names.load_many(&acme, 0..50, users).await?;
    assert_eq!(again[7].as_deref().ok(), Some("user 7"));
    assert_eq!((QUERIES.load(Ordering::Relaxed), ROWS.load(Ordering::Relaxed)), (3, 91));

    // A loader that gives another number of results has given none: nobody is served another one's row.
    let short = |_: Vec<u32>| async { vec![Ok::<_, &str>("somebody".to_string())] };
    let answers = names.load_many(&acme, [100, 101], short).await?;
    assert!(answers.iter().all(|answer| matches!(answer, Err(LoadError::Cache(_)))));
    assert_eq!(names.get_many(&acme, &[100, 101]).await?, [None, None]);
    println!("{} queries", QUERIES.load(Ordering::Relaxed));
    Ok(())
}
