//! Structured events of look-ups: fields `region` and `scope`, never a key or a value.
//!
//! Cost where nobody listens: none for what one glimpse tells. A thread finds out whether somebody listens at all other look-ups,
//! of which there is one in 32 at least; until then it may tell nothing of hits.

use strata_cache_core::epoch;
use strata_cache_core::scope::Node;

/// Whether anybody might listen to look-ups.
#[inline]
fn is_on() -> bool {
    tracing::level_filters::LevelFilter::current() == tracing::level_filters::LevelFilter::TRACE
}

/// A lookup was served, or not.
#[inline]
pub(crate) fn lookup(region: &str, node: Option<&Node>, hit: bool) {
    let is_on = is_on();
    epoch::permit_glimpses(!is_on);
    if is_on {
        tell(region, node, hit);
    }
}

#[cold]
fn tell(region: &str, node: Option<&Node>, hit: bool) {
    let scope = node.map(tracing::field::display);
    if hit {
        tracing::trace!(target: "strata_cache", region, scope, "hit");
    } else {
        tracing::trace!(target: "strata_cache", region, scope, "miss");
    }
}
