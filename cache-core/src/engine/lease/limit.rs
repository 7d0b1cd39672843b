//! A lease under load limits: it asks for its permits, begins with them, or is refused.
//!
//! (1) A load counts as one from when its loader runs, and its lease's time runs from then. (2) Whoever waits for a load
//! that is refused is told the same: none of them is left to ask in its place, one after the other.

use super::Lease;
use crate::engine::Engine;
use crate::engine::options::{Key, Value};
use crate::engine::store::Store;
use crate::error::{Error, ErrorKind, Result};
use crate::event::LoadEventKind;
use crate::flight::{Failure, FlightId, LoadPermit, Permission, Run, Trial, Turn, Verdict, WhenFull};
use crate::scope::Node;
use crate::stats::Counter;
use crate::sync::Arc;

/// Why a load was not begun, for those who waited for it.
struct Refused(Error);

impl<K: Key, V: Value> Lease<K, V> {
    /// Asks the region's breaker, and for the permits that the load needs. Its time does not run while it waits for them.
    pub fn ask(&mut self, when_full: WhenFull) -> Permission {
        if let Err(error) = self.ask_breaker() {
            return Permission::Refused(error);
        }
        let Some(ticket) = &self.ticket else { return Permission::Granted(None) };
        let permission = self.engine.ask_for_load((ticket.id(), Run::Leader), &self.node, when_full);
        if matches!(permission, Permission::Wait(_)) {
            ticket.pulse().hold();
        }
        permission
    }

    /// Asks the region's breaker only: for one of several that one loader brings.
    ///
    /// # Errors
    /// [`ErrorKind::BreakerOpen`].
    pub fn ask_breaker(&mut self) -> Result<()> {
        self.trial = self.store.try_out(&self.engine)?;
        Ok(())
    }

    /// The loader is about to run, with the permit that was asked for.
    pub fn begin(&mut self, permit: Option<LoadPermit>) {
        self.store.count_load(permit.as_ref());
        self.begun = Some(self.engine.now());
        if let (Some(permit), Some(ticket)) = (permit, &self.ticket) {
            ticket.pulse().run(self.engine.now());
            self.permit = Some(permit);
        }
    }

    /// Ends a load that was refused: everybody who waits for it is told the same.
    pub fn refuse(mut self, error: &Error) {
        let is_broken = error.kind() == ErrorKind::BreakerOpen;
        self.store.counters().count(if is_broken { Counter::BreakerRefused } else { Counter::Overloaded });
        // Nothing is known of the loader.
        drop(self.trial.take());
        self.end(Some(Arc::new(Refused(error.clone()))), false);
    }

    /// Ends a load whose loader takes longer than it may: it counts as failed, and everybody who waits for it is told.
    pub fn time_out(mut self, error: &Error) {
        self.count_failure(false);
        self.end(Some(Arc::new(Refused(error.clone()))), false);
    }

    /// Ends a load whose loader panicked.
    pub fn panicked(mut self) {
        self.end_in_failure(None, true);
    }

    /// Tells the region's breaker how the loader ended.
    pub(super) fn end_trial(&mut self, went_well: bool) {
        if let Some(trial) = self.trial.take() {
            self.store.conclude(&self.engine, &self.node, trial, went_well);
        }
    }
}

impl<K: Key, V: Value> Store<K, V> {
    /// Asks the region's breaker, if it has one.
    ///
    /// # Errors
    /// [`ErrorKind::BreakerOpen`].
    pub fn try_out(&self, engine: &Engine) -> Result<Option<Trial>> {
        let Some(breaker) = self.breaker() else { return Ok(None) };
        match breaker.ask(engine.now()) {
            Verdict::Run(trial) => Ok(Some(trial)),
            Verdict::Refused(left) => {
                let error = Error::new(ErrorKind::BreakerOpen, "load").with("region", self.name());
                Err(error
                    .with("retry_in", format_args!("{left:?}"))
                    .because("loads of this region have failed one after the other"))
            }
        }
    }

    /// Tells the region's breaker how a loader has ended that it let pass.
    pub fn conclude(&self, engine: &Engine, node: &Node, trial: Trial, went_well: bool) {
        let what = match trial.end(engine.now(), went_well) {
            Turn::None => return,
            Turn::Opened => {
                self.counters().count(Counter::BreakerOpened);
                tracing::warn!(target: "strata_cache", region = self.name(), "breaker opened");
                LoadEventKind::BreakerOpened
            }
            Turn::Closed => {
                tracing::info!(target: "strata_cache", region = self.name(), "breaker closed");
                LoadEventKind::BreakerClosed
            }
        };
        engine.tell(self.name(), node, what);
    }

    /// A loader is about to run, with this permit.
    pub fn count_load(&self, permit: Option<&LoadPermit>) {
        self.counters().count(Counter::Loads);
        if permit.is_some_and(LoadPermit::is_over) {
            self.counters().count(Counter::OverLimit);
        }
    }
}

impl Failure {
    /// Why the load was not begun, if that is how it failed.
    pub(super) fn refusal(&self) -> Option<Error> {
        self.shared.as_ref()?.downcast_ref::<Refused>().map(|Refused(error)| error.clone())
    }
}

impl Engine {
    /// Asks for the permits that a load needs which has this name and is for this scope.
    pub fn ask_for_load(&self, load: (FlightId, Run), node: &Node, when_full: WhenFull) -> Permission {
        let permission = self.load_limits().ask(load, node, when_full);
        if matches!(permission, Permission::Wait(_)) {
            self.wake_maintenance();
        }
        permission
    }
}
