//! Waking somebody who has waited long enough.
//!
//! (1) An alarm is looked at like whatever may stall: by maintenance, and by threads that wait. (2) Nobody is woken before the
//! moment by the cache's clock, and who asks at or after it is told so, whether or not somebody looked. (3) It is looked at until it
//! has rung, and remembers that: who lies down later than that does not sleep. (4) One that nobody holds is forgotten.
//! Cost: an allocation, and a place on the watch list.

use std::task::{Context, Waker};

use super::after::Wakes;
use super::stall::{Stalling, Watch};
use crate::clock::Moment;
use crate::sync::{Arc, Mutex, Weak};

/// Rings at a moment.
#[derive(Debug)]
pub struct Alarm {
    at: Moment,
    bed: Mutex<Bed>,
}

#[derive(Debug, Default)]
struct Bed {
    sleeper: Option<Waker>,
    has_rung: bool,
}

impl Alarm {
    /// An alarm for a moment, looked at with what is on the list.
    pub fn set(watch: &Watch, at: Moment) -> Arc<Self> {
        let alarm = Arc::new(Self { at, bed: Mutex::new(Bed::default()) });
        let weak: Weak<Self> = Arc::downgrade(&alarm);
        watch.add(weak as Weak<dyn Stalling>, at);
        alarm
    }

    /// Whether the moment has come; if not, the task of the context is woken then.
    pub fn rings(&self, now: Moment, context: &Context<'_>) -> bool {
        if now >= self.at {
            return true;
        }
        // A waker is the user's: it is cloned and dropped without the lock.
        let waker = context.waker().clone();
        let mut bed = self.bed.lock();
        if bed.has_rung {
            return true;
        }
        let old = bed.sleeper.replace(waker);
        drop(bed);
        drop(old);
        false
    }
}

impl Stalling for Alarm {
    fn look(&self, now: Moment, wakes: &mut Wakes) -> Option<Moment> {
        if now < self.at {
            return Some(self.at);
        }
        let mut bed = self.bed.lock();
        bed.has_rung = true;
        wakes.push(bed.sleeper.take());
        None
    }
}

#[cfg(all(test, not(any(shuttle, loom))))]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    #[derive(Default)]
    struct Bell(AtomicUsize);

    impl Wake for Bell {
        fn wake(self: std::sync::Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn sleeper_is_woken_at_the_moment_and_not_before() {
        let (watch, bell) = (Watch::new(), std::sync::Arc::new(Bell::default()));
        let at = |nanos| Moment::from_nanos(nanos);
        let waker = Waker::from(std::sync::Arc::clone(&bell));
        let alarm = Alarm::set(&watch, at(10));
        assert!(!alarm.rings(at(9), &Context::from_waker(&waker)));
        assert_eq!((watch.check(at(9)), bell.0.load(Ordering::Relaxed)), (Some(at(10)), 0));
        assert_eq!((watch.check(at(10)), bell.0.load(Ordering::Relaxed)), (None, 1));
        assert!(alarm.rings(at(10), &Context::from_waker(&waker)));
    }

    #[test]
    fn who_lies_down_after_it_has_rung_does_not_sleep() {
        let watch = Watch::new();
        let alarm = Alarm::set(&watch, Moment::from_nanos(10));
        // Somebody looks between the clock's reading and the lying down.
        assert_eq!(watch.check(Moment::from_nanos(10)), None);
        assert!(alarm.rings(Moment::from_nanos(9), &Context::from_waker(Waker::noop())));
    }

    #[test]
    fn alarm_that_nobody_holds_is_forgotten() {
        let watch = Watch::new();
        drop(Alarm::set(&watch, Moment::from_nanos(10)));
        assert_eq!((watch.check(Moment::from_nanos(1)), watch.len()), (None, 0));
    }
}
