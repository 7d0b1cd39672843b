//! Loads that the cache begins by itself, for values that are stale or will be: in the background, and waited for by nobody.
//!
//! (1) Whoever begins one was served already: what becomes of it is counted, told and traced, and nobody's answer. (2) No more run than the
//! cache lets, and they end with it: an async one at its next wake-up, a sync one when its loader returns. (3) A loader that panics ends its
//! run; the entry stays, and is not tried again before its moment comes. (4) Async ones run where the cache's runs do, sync ones on threads of
//! their own, so that one that blocks keeps no task waiting.

use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use strata_cache_core::engine::{Key, Value};
use strata_cache_core::event::LoadEventKind;
use strata_cache_core::flight::Errand;
use strata_cache_core::scope::Node;
use strata_cache_core::stats::Counter;

use super::background::{Kind, Run, send};
use super::body::Body;
use super::load::{Load, LoadTerms, Loader};

/// Begins to load an entry anew, if it is time and there is room. `make` gives the loader and its run, `along` what else it takes along.
pub(crate) fn refresh<K, V, L, B>(
    terms: LoadTerms<K, V>,
    node: Arc<Node>,
    kind: Kind,
    make: impl FnOnce() -> (L, B),
    along: impl FnOnce(Run) -> Run,
) where
    K: Key,
    V: Value,
    L: Loader<V> + Send + 'static,
    B: Body<L::Output> + Unpin + Send + 'static,
{
    let (engine, store) = (Arc::clone(&terms.engine), Arc::clone(&terms.store));
    let told = Arc::clone(&node);
    let postponed = |name: &str| {
        store.counters().count(Counter::Postponed);
        engine.tell(name, &told, LoadEventKind::Postponed);
    };
    let Some(errand) = engine.errands().begin() else { return postponed(store.name()) };
    let throttle = terms.care.throttle();
    let Some(lease) = store.attempt(&engine, node, &terms.key, &terms.tags, throttle) else { return };
    let (loader, body) = make();
    let run = Background { load: Some(Load::of(lease, terms, loader, body)), errand, kind };
    if send(&engine, along(Box::pin(run)), kind).is_ok() {
        store.counters().count(Counter::Refreshes);
        engine.tell(store.name(), &told, LoadEventKind::RefreshBegun);
    } else {
        postponed(store.name());
    }
}

/// A load that nobody waits for.
struct Background<K: Key, V: Value, L, B> {
    // Before the errand: it counts for as long as anything of the load is there.
    load: Option<Load<K, V, L, B>>,
    errand: Errand,
    kind: Kind,
}

// The body is not pinned in place, and nothing else in here is.
impl<K: Key, V: Value, L, B: Unpin> Unpin for Background<K, V, L, B> {}

impl<K: Key, V: Value, L: Loader<V>, B: Body<L::Output> + Unpin> Future for Background<K, V, L, B> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let Some(load) = &mut this.load else { return Poll::Ready(()) };
        if this.errand.is_called_off(context) {
            this.load = None;
            return Poll::Ready(());
        }
        match catch_unwind(AssertUnwindSafe(|| Pin::new(load).poll(context))) {
            Ok(Poll::Pending) => return Poll::Pending,
            // It was counted and traced, whatever it is.
            Ok(Poll::Ready(answer)) => drop(answer),
            Err(panic) => {
                tracing::error!(target: "strata_cache", kind = ?this.kind, "a loader panicked in the background");
                // Whatever the user panicked with may panic when it is dropped.
                _ = catch_unwind(AssertUnwindSafe(|| drop(panic)));
            }
        }
        this.load = None;
        Poll::Ready(())
    }
}
