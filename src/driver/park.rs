//! A thread that waits for a future: polls it, parks, is unparked by the waker.
//!
//! (1) No logic of an operation lives here; a thread differs from a task only in who wakes it. (2) A wake-up between
//! the poll and the park is not lost. (3) A parked thread looks up from time to time, so that stalled leaders are
//! found without a maintenance thread. Cost: no allocation but one waker per thread.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

/// How long a thread parks before it looks after the loads it may be waiting for.
const LOOK_UP: Duration = Duration::from_millis(250);

struct Unpark {
    thread: Thread,
    woken: AtomicBool,
}

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.woken.swap(true, Ordering::AcqRel) {
            self.thread.unpark();
        }
    }
}

/// Runs a future to its end on this thread. `look_up` is called while the thread has nothing else to do.
pub(crate) fn park_on<F: Future>(future: F, look_up: impl Fn()) -> F::Output {
    let mut future = pin!(future);
    // Most operations are ready at the first poll; they pay for no waker.
    if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        return output;
    }
    let unpark = Arc::new(Unpark { thread: thread::current(), woken: AtomicBool::new(true) });
    let waker = Waker::from(Arc::clone(&unpark));
    let mut context = Context::from_waker(&waker);
    loop {
        if unpark.woken.swap(false, Ordering::AcqRel) {
            if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
                return output;
            }
            continue;
        }
        thread::park_timeout(LOOK_UP);
        if !unpark.woken.load(Ordering::Acquire) {
            look_up();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::future::poll_fn;

    #[test]
    fn future_that_wakes_itself_during_the_poll_is_polled_again() {
        let polls = Cell::new(0);
        let answer = park_on(
            poll_fn(|context| {
                polls.set(polls.get() + 1);
                context.waker().wake_by_ref();
                if polls.get() < 4 { Poll::Pending } else { Poll::Ready(polls.get()) }
            }),
            || {},
        );
        assert_eq!(answer, 4);
    }

    #[test]
    fn thread_is_unparked_from_elsewhere() {
        let (tell, told) = std::sync::mpsc::channel::<Waker>();
        let woken = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&woken);
        let helper = thread::spawn(move || {
            // The first waker is the one of the first poll, which nobody hears.
            let waker = told.iter().nth(1).expect("two polls before the answer");
            flag.store(true, Ordering::Release);
            waker.wake();
        });
        park_on(
            poll_fn(|context| {
                // The helper may be gone by the last poll.
                let _ = tell.send(context.waker().clone());
                if woken.load(Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
            }),
            || {},
        );
        helper.join().expect("the helper does not panic");
    }
}
