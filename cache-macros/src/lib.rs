//! The `#[cached]` attribute of strata-cache.
