//! How long a call waits: for others only, for a fresh value where a stale one is there, for any value at all.
//!
//! (1) Times run from the call's first wait. (2) The shortest answer wins: what ends the call goes before what only lets it have less.
//! Cost: an alarm each, once the call waits.

use std::sync::Arc;
use std::task::Context;
use std::time::Duration;

use strata_cache_core::engine::{Care, Engine, Key, Value};
use strata_cache_core::flight::Alarm;

use super::LoadTerms;
use crate::plan::{Coalescing, Reply};

/// The bells of one call.
pub(crate) struct Bells {
    hard: Bell,
    soft: Bell,
    wait: Bell,
}

struct Bell {
    after: Option<Duration>,
    alarm: Option<Arc<Alarm>>,
}

impl Bell {
    fn after(after: Option<Duration>) -> Self {
        Self { after, alarm: None }
    }

    /// Whether it is time; if not, the task of the context is woken when it is.
    fn rings(&mut self, engine: &Engine, context: &Context<'_>) -> bool {
        let Some(after) = self.after else { return false };
        let alarm = self.alarm.get_or_insert_with(|| engine.alarm_in(after));
        alarm.rings(engine.now(), context)
    }

    /// Whether it is time, and it has not rung before.
    fn rings_once(&mut self, engine: &Engine, context: &Context<'_>) -> bool {
        let rings = self.rings(engine, context);
        if rings {
            (self.after, self.alarm) = (None, None);
        }
        rings
    }
}

impl Bells {
    pub(crate) fn new<K: Key, V: Value>(terms: &LoadTerms<K, V>) -> Self {
        let wait = match terms.coalescing {
            Coalescing::On(wait) => wait,
            Coalescing::Off => None,
        };
        let soft = terms.care.soft.filter(|_| terms.has_kept);
        Self { hard: Bell::after(terms.care.hard), soft: Bell::after(soft), wait: Bell::after(wait) }
    }

    /// Of a run that goes on without its call.
    pub(crate) fn of_run(care: &Care) -> Self {
        let hard = care.hard.filter(|_| !care.is_detached);
        Self { hard: Bell::after(hard), soft: Bell::after(None), wait: Bell::after(None) }
    }

    /// Of who waits for others.
    pub(crate) fn ring(&mut self, engine: &Engine, context: &Context<'_>) -> Option<Reply> {
        let in_line = self.ring_in_line(engine, context);
        in_line.or_else(|| self.wait.rings(engine, context).then_some(Reply::Late))
    }

    /// Of who waits to run, or for one's own run elsewhere.
    pub(crate) fn ring_in_line(&mut self, engine: &Engine, context: &Context<'_>) -> Option<Reply> {
        if self.hard.rings(engine, context) {
            return Some(Reply::Hard);
        }
        self.soft.rings_once(engine, context).then_some(Reply::Soft)
    }

    /// Of who runs.
    pub(crate) fn ring_hard(&mut self, engine: &Engine, context: &Context<'_>) -> bool {
        self.hard.rings(engine, context)
    }
}
