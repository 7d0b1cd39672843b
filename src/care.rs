//! How loads are cared for, as users say it: `stale`, `stale_on_error`, `refresh`, `soft`, `hard`, `throttle`, `detached`.
//!
//! (1) What is wrong with an option is kept until all are there, and all faults are told at once, before anything has happened. (2) An
//! option that could have no effect is a fault.

use std::time::Duration;

use strata_cache_core::engine::{Care, Early, Tolerance};
use strata_cache_core::error::{Error, ErrorKind, Result};
use strata_cache_core::expiry::{IntoTtl, Ttl};

/// What was asked for so far, and what was wrong with it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked {
    stale: Option<Duration>,
    on_error: Option<Duration>,
    early: Option<Early>,
    soft: Option<Duration>,
    hard: Option<Duration>,
    throttle: Option<Duration>,
    is_detached: bool,
    faults: Vec<Error>,
}

impl Asked {
    pub(crate) fn stale(&mut self, window: impl IntoTtl) {
        self.stale = self.time(window, "stale");
    }

    pub(crate) fn stale_on_error(&mut self, window: impl IntoTtl) {
        self.on_error = self.time(window, "stale_on_error");
    }

    pub(crate) fn soft(&mut self, time: impl IntoTtl) {
        self.soft = self.time(time, "soft");
    }

    pub(crate) fn hard(&mut self, time: impl IntoTtl) {
        self.hard = self.time(time, "hard");
    }

    pub(crate) fn throttle(&mut self, time: impl IntoTtl) {
        self.throttle = self.time(time, "throttle");
    }

    pub(crate) fn refresh(&mut self, part: f64) {
        if part > 0.0 && part < 1.0 {
            self.early = Some(Early::After(part));
        } else {
            self.fault(
                "refresh",
                "the part of its ttl after which an entry is loaded anew is above 0 and below 1",
            );
        }
    }

    pub(crate) fn refresh_early(&mut self, factor: f64) {
        if factor.is_finite() && factor > 0.0 {
            self.early = Some(Early::ByCost(factor));
        } else {
            self.fault("refresh_early", "the factor of the load's cost is a number above 0; 1.0 is usual");
        }
    }

    pub(crate) fn detached(&mut self) {
        self.is_detached = true;
    }

    fn time(&mut self, time: impl IntoTtl, option: &'static str) -> Option<Duration> {
        match time.into_ttl().map(Ttl::duration) {
            Ok(Some(time)) => Some(time),
            Ok(None) => self.fault(option, "a time with an end is needed"),
            Err(error) => {
                self.faults.push(error);
                None
            }
        }
    }

    fn fault(&mut self, option: &'static str, advice: &'static str) -> Option<Duration> {
        self.faults.push(Error::new(ErrorKind::InvalidConfig, "load").with("option", option).because(advice));
        None
    }

    /// Whether nothing is wrong that can be told from this alone.
    pub(crate) fn is_good(&self) -> bool {
        self.faults.is_empty() && !matches!((self.soft, self.hard), (Some(soft), Some(hard)) if soft >= hard)
    }

    /// The whole, where what was not said is as `of` has it. `ttl` is the time-to-live that entries will have, if that is known.
    ///
    /// # Errors
    /// All faults.
    pub(crate) fn resolve(self, of: &Care, ttl: Option<Ttl>) -> Result<Care> {
        let mut asked = self;
        let care = Care {
            takes: Tolerance {
                stale: asked.stale.unwrap_or(of.takes.stale),
                on_error: asked.on_error.unwrap_or(of.takes.on_error),
            },
            early: asked.early.unwrap_or(of.early),
            soft: asked.soft.or(of.soft),
            hard: asked.hard.or(of.hard),
            throttle: asked.throttle.or(of.throttle),
            is_detached: asked.is_detached || of.is_detached,
        };
        if let (Some(soft), Some(hard)) = (care.soft, care.hard)
            && soft >= hard
        {
            asked.fault(
                "soft",
                "the time after which a stale value will do is shorter than `hard`, which ends the wait",
            );
        }
        if care.soft.is_some() && care.takes.on_error <= care.takes.stale {
            asked.fault(
                "soft",
                "it counts where a stale value is there and not served at once: say `stale_on_error`, longer than `stale`",
            );
        }
        if ttl.is_some_and(Ttl::is_never) && !care.is_plain() {
            asked.fault("stale", "an entry without an end is never stale, nor near its end: give it a `ttl`");
        }
        if care.throttle.is_some() && care.is_plain() {
            asked.fault("throttle", "it counts for what is kept past its ttl, or loaded anew before: say `stale`, `stale_on_error` or `refresh`");
        }
        match together(asked.faults, "load") {
            Some(error) => Err(error),
            None => Ok(care),
        }
    }
}

/// One error for all faults.
pub(crate) fn together(mut faults: Vec<Error>, operation: &'static str) -> Option<Error> {
    if faults.len() <= 1 {
        return faults.pop();
    }
    let all: Vec<String> = faults.iter().map(Error::to_string).collect();
    Some(Error::new(ErrorKind::InvalidConfig, operation).with("faults", faults.len()).because(all.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults_of(ask: impl FnOnce(&mut Asked), ttl: Option<Ttl>) -> Vec<String> {
        let mut asked = Asked::default();
        ask(&mut asked);
        let Err(error) = asked.resolve(&Care::default(), ttl) else { return Vec::new() };
        error.to_string().split("; ").map(str::to_owned).collect()
    }

    #[test]
    fn all_faults_are_told_at_once() {
        let faults = faults_of(
            |asked| {
                asked.stale(0);
                asked.refresh(1.5);
                asked.refresh_early(f64::NAN);
                asked.soft("2s");
                asked.hard("1s");
            },
            Some(Ttl::never()),
        );
        for wrong in
            ["ttl", "option: refresh", "option: refresh_early", "shorter than `hard`", "`stale_on_error`"]
        {
            assert!(faults.iter().any(|fault| fault.contains(wrong)), "{wrong}: {faults:?}");
        }
    }

    #[test]
    fn stale_needs_an_end_and_a_throttle_something_to_throttle() {
        let one = faults_of(|asked| asked.stale("1m"), Some(Ttl::never()));
        assert!(one.len() == 1 && one[0].contains("give it a `ttl`"), "{one:?}");
        assert!(faults_of(|asked| asked.stale("1m"), "5m".into_ttl().ok()).is_empty());
        let both = |asked: &mut Asked| {
            asked.stale("1m");
            asked.refresh_early(1.0);
        };
        assert_eq!(faults_of(both, Some(Ttl::never())).len(), 1);
        assert_eq!(faults_of(|asked| asked.refresh_early(1.0), Some(Ttl::never())).len(), 1);
        let idle = faults_of(|asked| asked.throttle("1m"), None);
        assert!(idle.len() == 1 && idle[0].contains("option: throttle"), "{idle:?}");
    }

    #[test]
    fn what_is_not_said_is_as_the_region_has_it() {
        let region = Care { hard: Some(Duration::from_secs(9)), ..Care::default() };
        let mut asked = Asked::default();
        asked.stale_on_error("1m");
        asked.soft("2s");
        let care = asked.resolve(&region, None).expect("it is all right");
        assert_eq!((care.hard, care.soft), (Some(Duration::from_secs(9)), Some(Duration::from_secs(2))));
        assert_eq!((care.takes.stale, care.takes.on_error), (Duration::ZERO, Duration::from_secs(60)));
    }
}
