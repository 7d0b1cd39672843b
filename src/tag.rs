//! Tags that a load gives its own result, while it runs.
//!
//! (1) A tag goes to the innermost load that the calling thread is inside of. (2) Where that load runs past the cache, it goes
//! nowhere, without an error: a loader need not know how it is run.

use strata_cache_core::error::Result;
use strata_cache_core::flight::Chain;
use strata_cache_core::scope::IntoTag;

/// Adds a tag to what the running load will store: in a loader, or in the body of a cached function, for what is known only there.
///
/// It is to be called on the thread, or in the task, that runs the loader; of loads inside of one another the innermost is meant. If
/// the tag is invalidated before the load ends, even before this call, what it loaded is not stored, and only its own caller gets it;
/// whoever waited for it loads anew. Where the loader runs past the cache, inside its own load say, tags go nowhere.
///
/// ```
/// use strata_cache::{Cache, scope, tag_load};
///
/// # fn main() -> Result<(), strata_cache::Error> {
/// let cache = Cache::builder().build()?;
/// let org = cache.scope(scope!(org = "acme"))?;
/// let load = || {
///     let plan = "gold";
///     tag_load(format!("plan:{plan}"))?;
///     Ok::<_, strata_cache::Error>(30)
/// };
/// org.get_or_load_with("seats", load).wait().expect("it loads");
/// assert_eq!(org.invalidate_tag("plan:gold").wait()?.entries, 1);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`ErrorKind::NoLoad`](crate::ErrorKind::NoLoad) outside of a load, [`ErrorKind::InvalidTag`](crate::ErrorKind::InvalidTag) for a bad
/// tag, or for more than 16 with those that the call was given.
pub fn tag_load(tag: impl IntoTag) -> Result<()> {
    Chain::add_tag(tag.into_tag()?)
}
