//! The cache of functions that name none.
//!
//! (1) There is one for the life of the process: the installed one, or a bounded one made at the first use.

use std::sync::OnceLock;

use strata_cache_core::error::{Error, ErrorKind, Result};

use crate::cache::Cache;

static DEFAULT: OnceLock<Cache> = OnceLock::new();

/// Makes a cache the one that cached functions use. Call it before the first of them runs.
///
/// # Errors
/// [`ErrorKind::AlreadyInstalled`] if a cache was installed, or the default one used, before.
pub fn install(cache: Cache) -> Result<()> {
    DEFAULT.set(cache).map_err(|_| {
        Error::new(ErrorKind::AlreadyInstalled, "install")
            .because("install a cache once, before the first cached function runs")
    })
}

/// The cache that cached functions use: the installed one, or one of 10,000 entries over the default tree.
///
/// # Panics
/// Never: the options of the made one are constants known to be good.
pub fn default_cache() -> &'static Cache {
    DEFAULT.get_or_init(|| Cache::builder().build().expect("a cache without options can be built"))
}
