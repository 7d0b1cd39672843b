//! What a loader says of its own result, while it runs: for how long it holds, what it weighs, that it is not to be stored, or that
//! nothing has changed.
//!
//! Call these in a loader, or in the body of a cached function, on the thread or in the task that runs it; of loads inside of one
//! another the innermost is meant. Where the loader runs past the cache they go nowhere, without an error: a loader need not know how it is
//! run. [`tag_load`](crate::tag_load) adds a tag in the same way.
//!
//! ```
//! use strata_cache::{Cache, answer, scope};
//!
//! # fn main() -> Result<(), strata_cache::Error> {
//! let cache = Cache::builder().build()?;
//! let org = cache.scope(scope!(org = "acme"))?;
//! let load = || {
//!     // The database says how long this holds.
//!     answer::ttl("5s")?;
//!     Ok::<_, strata_cache::Error>(30)
//! };
//! org.get_or_load_with("seats", load).ttl("1h").wait().expect("it loads");
//! # Ok(())
//! # }
//! ```

use std::any::Any;
use std::sync::Arc;

use strata_cache_core::error::{Error, ErrorKind, Result};
use strata_cache_core::expiry::IntoTtl;
use strata_cache_core::flight::Chain;

use crate::cache::Payload;

/// The result holds for so long, in place of what the call, the function or the region says.
///
/// # Errors
/// [`ErrorKind::NoLoad`] outside of a load, [`ErrorKind::InvalidTtl`].
pub fn ttl(ttl: impl IntoTtl) -> Result<()> {
    let ttl = ttl.into_ttl()?;
    Chain::answer("answer::ttl", |adding| adding.answer.ttl = Some(ttl))
}

/// The result weighs so much, in place of what the weigher would say.
///
/// # Errors
/// [`ErrorKind::NoLoad`] outside of a load, [`ErrorKind::InvalidWeight`] for zero. A weight above the capacity serves the value, and does
/// not store it.
pub fn weight(weight: u64) -> Result<()> {
    if weight == 0 {
        return Err(Error::new(ErrorKind::InvalidWeight, "answer::weight").because("a weight is at least 1"));
    }
    Chain::answer("answer::weight", |adding| adding.answer.weight = Some(weight))
}

/// The result is served to whoever waits for it, and not stored. What is stored stays.
///
/// # Errors
/// [`ErrorKind::NoLoad`] outside of a load.
pub fn do_not_store() -> Result<()> {
    Chain::answer("answer::do_not_store", |adding| adding.answer.is_unwanted = true)
}

/// What is stored is what the result would be: it stays, with its weight and tags, and its time begins anew. The loader gives the value all
/// the same, for whoever waits; where nothing is stored any more, it is stored as any other, with the tags of what was there.
///
/// ```
/// use strata_cache::{Cache, TestClock, answer, scope};
/// use std::time::Duration;
///
/// # fn main() -> Result<(), strata_cache::Error> {
/// let clock = TestClock::new();
/// let cache = Cache::builder().clock(clock.clone()).build()?;
/// let org = cache.scope(scope!(org = "acme"))?;
/// let load = || {
///     // Ask the source with the version of what is stored; it says that nothing has changed.
///     match answer::previous::<u64>()? {
///         Some(seats) => {
///             answer::not_modified()?;
///             Ok::<u64, strata_cache::Error>(*seats)
///         }
///         None => Ok(30),
///     }
/// };
/// let get = || org.get_or_load_with("seats", load).ttl("1m").stale_on_error("1h").wait();
/// assert_eq!(get().ok().as_deref(), Some(&30));
/// clock.advance(Duration::from_secs(90));
/// assert_eq!(get().ok().as_deref(), Some(&30));
/// assert_eq!(cache.stats().unchanged, 1);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`ErrorKind::NoLoad`] outside of a load.
pub fn not_modified() -> Result<()> {
    Chain::answer("answer::not_modified", |adding| adding.answer.is_unchanged = true)
}

/// What is stored so far, if something is: of a refresh, or of an entry that is kept past its time. None also where it is of another type.
///
/// # Errors
/// [`ErrorKind::NoLoad`] outside of a load.
pub fn previous<T: Any + Send + Sync>() -> Result<Option<Arc<T>>> {
    // Taken apart outside of the chain, where the user's types may do as they like.
    let Some(stored) = Chain::answer("answer::previous", |adding| adding.previous.clone())? else {
        return Ok(None);
    };
    let previous = Arc::clone(&stored.value);
    let known = previous.downcast_ref::<Payload>().map(Arc::clone);
    Ok(match known {
        Some(payload) => payload.downcast::<T>().ok(),
        None => previous.downcast::<T>().ok(),
    })
}
