//! Load limits: turns against a naive model, and the gate's promises one by one and in every schedule.

#[cfg(shuttle)]
mod explored;
#[cfg(not(shuttle))]
mod model;
#[cfg(not(shuttle))]
mod rules;

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use super::*;
use crate::clock::{TestClock, TimeSource};
use crate::flight::{FlightId, LeaseTimes, Watch};
use crate::scope::{Node, Registry, ScopePath, ScopeTree, TrackedLevels};
use crate::sync::Arc;

/// The limits of a cache of the default tree, its scopes and its clock.
struct World {
    registry: Registry,
    limits: Arc<LoadLimits>,
    watch: Arc<Watch>,
    clock: TestClock,
}

impl World {
    fn new() -> Self {
        let clock = TestClock::new();
        let (watch, time) = (Watch::new(), TimeSource::Custom(std::sync::Arc::new(clock.clone())));
        let limits = LoadLimits::new(Defaults::default(), LeaseTimes::default(), time, Arc::clone(&watch));
        Self { registry: Registry::new(ScopeTree::default(), TrackedLevels::First), limits, watch, clock }
    }

    /// The node of an org; of the root for an empty name.
    fn node(&self, org: &str) -> Arc<Node> {
        let node = match org {
            "" => self.registry.find_or_create(&crate::scope!(global), "test"),
            org => self.registry.find_or_create(&crate::scope!(org = org), "test"),
        };
        node.expect("a path of the tree")
    }

    fn path(&self, org: &str) -> ScopePath {
        self.node(org).path()
    }

    fn set(&self, org: &str, limit: Option<LoadLimit>) {
        self.limits.set(&self.path(org), limit);
    }

    fn ask(&self, org: &str, load: FlightId) -> Permission {
        self.limits.ask((load, Run::Leader), &self.node(org), WhenFull::Refuse)
    }

    /// Nothing runs or waits; paths with a limit may be left.
    #[track_caller]
    fn assert_idle(&self, paths: usize) {
        assert_eq!(self.limits.state.lock().sizes(), (paths, 0), "paths, requests");
        self.watch.check(TimeSource::Custom(std::sync::Arc::new(self.clock.clone())).now());
        assert!(self.watch.is_empty(), "nobody is looked after");
    }
}

fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}
