//! strata-cache: a hierarchical multi-tenant cache.
