//! How a loader comes to run: under a lease, alone beside one, or uncached; the first two with the permits of its scope's
//! load limits.
//!
//! (1) Nothing of the loader is made before its permits are there. (2) A call that could not say why it brings no value
//! waits in a full queue; others are refused. (3) A solo run has its key's permit first, so that of one key only as many
//! wait for those of its scope.

use std::sync::Arc;

use strata_cache_core::engine::{Key, Lease, Place, Value};
use strata_cache_core::error::Error;
use strata_cache_core::flight::{FlightId, LoadPermit, Permission, Run, Solo, Trial, WhenFull};
use strata_cache_core::scope::Node;
use strata_cache_core::stats::Counter;

use super::{Answer, Drive, Loader, Name, Next, Stage};
use crate::plan::Reply;

impl<K: Key, V: Value, L: Loader<V>> Drive<K, V, L> {
    /// The lease is this call's: asks for the permits of the load.
    pub(super) fn lead(&mut self, mut lease: Lease<K, V>) -> Next<V, L::Error> {
        self.count_miss(lease.node());
        let act = self.plan.step(Reply::Lead);
        let when_full = if self.plan.may_be_refused() { WhenFull::Refuse } else { WhenFull::Wait };
        match lease.ask(when_full) {
            Permission::Granted(permit) => self.run_leading(lease, permit),
            Permission::Wait(waiter) => self.stage = Stage::WaitingToLead(waiter, lease),
            Permission::Refused(error) => {
                let node = Arc::clone(lease.node());
                lease.refuse(&error);
                self.trace("load refused");
                return Next::Answer(self.or_fall_back(&node, Answer::Refused(error)));
            }
        }
        Next::Act(act, None)
    }

    pub(super) fn run_leading(&mut self, mut lease: Lease<K, V>, permit: Option<LoadPermit>) {
        self.trace("load");
        lease.declare(&self.terms.tags);
        lease.begin(permit);
        self.stage = Stage::Leading(lease);
    }

    pub(super) fn run_uncached(&mut self) {
        self.terms.store.counters().count(Counter::Bypassed);
        self.stage = Stage::Alone(Name::None, None, None);
    }

    pub(super) fn run_alone(&mut self, name: Name, permit: Option<LoadPermit>, trial: Option<Trial>) {
        self.terms.store.count_load(permit.as_ref());
        self.stage = Stage::Alone(name, permit, trial);
    }

    /// Runs the loader beside one that runs, for a caller that does not wait for it.
    pub(super) fn run_beside(&mut self) -> Result<Option<Answer<V, L::Error>>, Error> {
        let node = self.terms.place.create(self.terms.engine.registry())?;
        self.count_miss(&node);
        Ok(self.limit_alone(Name::Own(FlightId::fresh()), &node))
    }

    /// Asks the region's breaker, and for the permits of a run alone.
    pub(super) fn limit_alone(&mut self, name: Name, node: &Node) -> Option<Answer<V, L::Error>> {
        let Some(id) = name.id() else {
            self.run_alone(name, None, None);
            return None;
        };
        let trial = match self.terms.store.try_out(&self.terms.engine) {
            Ok(trial) => trial,
            Err(error) => {
                self.terms.store.counters().count(Counter::BreakerRefused);
                return Some(self.or_fall_back(node, Answer::Refused(error)));
            }
        };
        // It has no words for a refusal, or it would not run alone.
        match self.terms.engine.ask_for_load((id, Run::Solo), node, WhenFull::Wait) {
            Permission::Granted(permit) => self.run_alone(name, permit, trial),
            Permission::Wait(waiter) => self.stage = Stage::WaitingAlone(waiter, name, trial),
            Permission::Refused(error) => return Some(self.or_fall_back(node, Answer::Refused(error))),
        }
        None
    }

    /// Asks for a permit to run alone.
    pub(super) fn ask_alone(&mut self) -> Result<Option<Answer<V, L::Error>>, Error> {
        let node = self.terms.place.create(self.terms.engine.registry())?;
        if let Some(answer) = self.fall_back(&node) {
            return Ok(Some(answer));
        }
        self.count_miss(&node);
        match self.terms.store.solo(&self.terms.engine, &node, &self.terms.key) {
            Solo::Granted(permit) => return Ok(self.limit_alone(Name::Solo(permit), &node)),
            Solo::Wait(waiter) => self.stage = Stage::WaitingForPermit(waiter, node),
            // The key was given; without one the run is as good as one inside its own load.
            Solo::Recursion | Solo::NeedsKey => self.run_uncached(),
        }
        Ok(None)
    }
}
