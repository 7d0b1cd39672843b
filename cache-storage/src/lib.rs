//! The byte storage trait of strata-cache.
