//! A lease under load limits: it asks for its permits, begins with them, or is refused.
//!
//! (1) A load counts as one from when its loader runs, and its lease's time runs from then. (2) Whoever waits for a load
//! that is refused is told the same: none of them is left to ask in its place, one after the other.

use super::Lease;
use crate::engine::Engine;
use crate::engine::options::{Key, Value};
use crate::engine::store::Store;
use crate::error::Error;
use crate::flight::{Failure, FlightId, LoadPermit, Permission, Run, WhenFull};
use crate::scope::Node;
use crate::stats::Counter;
use crate::sync::Arc;

/// Why a load was not begun, for those who waited for it.
struct Refused(Error);

impl<K: Key, V: Value> Lease<K, V> {
    /// Asks for the permits that the load needs. Its time does not run while it waits for them.
    pub fn ask(&self, when_full: WhenFull) -> Permission {
        let Some(ticket) = &self.ticket else { return Permission::Granted(None) };
        let permission = self.engine.ask_for_load((ticket.id(), Run::Leader), &self.node, when_full);
        if matches!(permission, Permission::Wait(_)) {
            ticket.pulse().hold();
        }
        permission
    }

    /// The loader is about to run, with the permit that was asked for.
    pub fn begin(&mut self, permit: Option<LoadPermit>) {
        self.store.count_load(permit.as_ref());
        self.has_begun = true;
        if let (Some(permit), Some(ticket)) = (permit, &self.ticket) {
            ticket.pulse().run(self.engine.now());
            self.permit = Some(permit);
        }
    }

    /// Ends a load that was refused its permit: everybody who waits for it is told the same.
    pub fn refuse(mut self, error: &Error) {
        self.store.counters().count(Counter::Overloaded);
        self.end(Some(Arc::new(Refused(error.clone()))), false);
    }
}

impl<K: Key, V: Value> Store<K, V> {
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
