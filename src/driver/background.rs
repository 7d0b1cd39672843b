//! Runs that outlive their caller: on the runtime that the caller is on, or on a few threads of our own; blocking ones on others.
//!
//! (1) A cache that was given a spawner uses that. With the feature `tokio`, and inside of a Tokio runtime, it is that runtime's task; its I/O and timers work as they did.
//! (2) Otherwise it is polled by one of a few threads, which wait for nothing but the next wake-up, so that runs that wait for one
//! another do not use them up; they end when they have had nothing to do for a while. (3) No more runs than [`MOST`] are under way on
//! them; who comes then is given its run back, and runs it itself. Of blocking ones [`BLOCKING`] run, each on a thread, and [`MOST`] wait.
//! (4) What panics ends that run only.
//! Cost: two allocations a run.

use std::collections::VecDeque;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Wake, Waker};
use std::time::Duration;

use strata_cache_core::engine::Engine;

use super::park_on;

/// Runs under way on our threads, at most.
const MOST: usize = 1024;

/// Our threads, at most.
const THREADS: usize = 4;

/// How long a thread stays without anything to do.
const IDLE: Duration = Duration::from_secs(2);

/// A run.
pub(crate) type Run = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What a run does where it waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// It is pending, and polled again.
    Async,
    /// It may block, on a thread of its own.
    Sync,
}

/// Runs it to its end, where its kind runs.
///
/// # Errors
/// The run, where too many are under way.
pub(crate) fn send(engine: &Arc<Engine>, run: Run, kind: Kind) -> Result<(), Run> {
    match kind {
        Kind::Async => spawn(engine, run),
        Kind::Sync => {
            let engine = Arc::clone(engine);
            let look_up = Box::new(move || engine.look_after_waiters());
            spawn_blocking(Parked { run, look_up }).map_err(|work| work.run)
        }
    }
}

/// Runs it to its end, whatever becomes of the caller: where the cache was told to, if it was.
///
/// # Errors
/// The run, where too many are under way.
fn spawn(engine: &Engine, run: Run) -> Result<(), Run> {
    if let Some(spawner) = engine.spawner() {
        spawner(run);
        return Ok(());
    }
    #[cfg(feature = "tokio")]
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        drop(runtime.spawn(run));
        return Ok(());
    }
    POOL.take_on(run)
}

static POOL: Pool = Pool {
    books: Mutex::new(Books { woken: VecDeque::new(), under_way: 0, threads: 0, idle: 0 }),
    call: Condvar::new(),
};

struct Pool {
    books: Mutex<Books>,
    call: Condvar,
}

struct Books {
    woken: VecDeque<Arc<Task>>,
    under_way: usize,
    threads: usize,
    /// Threads that wait for something to do.
    idle: usize,
}

struct Task {
    /// None while it is polled, and when it has ended.
    run: Mutex<Option<Run>>,
    /// It is in line, or will be when its poll has ended.
    is_woken: AtomicBool,
}

impl Pool {
    /// Nothing of the user's runs under the lock, so it is never poisoned.
    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_on(&'static self, run: Run) -> Result<(), Run> {
        let mut books = self.books();
        if books.under_way >= MOST {
            return Err(run);
        }
        if books.idle == 0 && books.threads < THREADS {
            let begun = std::thread::Builder::new().name("strata-runs".into()).spawn(|| self.work());
            if begun.is_ok() {
                books.threads += 1;
            } else if books.threads == 0 {
                return Err(run);
            }
        }
        books.under_way += 1;
        let task = Task { run: Mutex::new(Some(run)), is_woken: AtomicBool::new(true) };
        books.woken.push_back(Arc::new(task));
        drop(books);
        self.call.notify_one();
        Ok(())
    }

    fn put_in_line(&self, task: Arc<Task>) {
        self.books().woken.push_back(task);
        self.call.notify_one();
    }

    fn work(&self) {
        while let Some(task) = self.next() {
            if task.poll() {
                self.books().under_way -= 1;
            }
        }
    }

    /// The next task that was woken; none when the thread may go.
    fn next(&self) -> Option<Arc<Task>> {
        let mut books = self.books();
        loop {
            if let Some(task) = books.woken.pop_front() {
                return Some(task);
            }
            books.idle += 1;
            let waited = self.call.wait_timeout(books, IDLE);
            let timeout;
            (books, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            books.idle -= 1;
            // The last one stays while somebody may still be woken.
            let is_needed = books.under_way > 0 && books.threads == 1;
            if timeout.timed_out() && books.woken.is_empty() && !is_needed {
                books.threads -= 1;
                return None;
            }
        }
    }
}

/// Blocking runs at a time.
const BLOCKING: usize = 32;

/// What may block.
struct Parked {
    run: Run,
    /// Called while its thread has nothing else to do.
    look_up: Box<dyn Fn() + Send>,
}

static DESK: Desk =
    Desk { books: Mutex::new(Jobs { waiting: VecDeque::new(), threads: 0, idle: 0 }), call: Condvar::new() };

/// Threads for what may block.
struct Desk {
    books: Mutex<Jobs>,
    call: Condvar,
}

struct Jobs {
    waiting: VecDeque<Parked>,
    threads: usize,
    idle: usize,
}

/// Runs what may block, on a thread that has nothing else to do.
///
/// # Errors
/// The work, where too much is waiting, or there can be no thread.
fn spawn_blocking(work: Parked) -> Result<(), Parked> {
    let mut jobs = DESK.jobs();
    if jobs.waiting.len() >= MOST {
        return Err(work);
    }
    if jobs.idle <= jobs.waiting.len() && jobs.threads < BLOCKING {
        let begun = std::thread::Builder::new().name("strata-loads".into()).spawn(|| DESK.work());
        if begun.is_ok() {
            jobs.threads += 1;
        } else if jobs.threads == 0 {
            return Err(work);
        }
    }
    jobs.waiting.push_back(work);
    drop(jobs);
    DESK.call.notify_one();
    Ok(())
}

impl Desk {
    /// Nothing of the user's runs under the lock, so it is never poisoned.
    fn jobs(&self) -> MutexGuard<'_, Jobs> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        while let Some(Parked { run, look_up }) = self.next() {
            let work = || park_on(run, look_up);
            if catch_unwind(AssertUnwindSafe(work)).is_err() {
                tracing::error!(target: "strata_cache", "a blocking run panicked");
            }
        }
    }

    fn next(&self) -> Option<Parked> {
        let mut jobs = self.jobs();
        loop {
            if let Some(work) = jobs.waiting.pop_front() {
                return Some(work);
            }
            jobs.idle += 1;
            let waited = self.call.wait_timeout(jobs, IDLE);
            let timeout;
            (jobs, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
            jobs.idle -= 1;
            if timeout.timed_out() && jobs.waiting.is_empty() {
                jobs.threads -= 1;
                return None;
            }
        }
    }
}

impl Task {
    fn run(&self) -> MutexGuard<'_, Option<Run>> {
        self.run.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Polls it once. Whether it has ended.
    fn poll(self: &Arc<Self>) -> bool {
        // Two wake-ups at the end of a poll may have put it in line twice.
        let Some(mut run) = self.run().take() else { return false };
        self.is_woken.store(false, Ordering::SeqCst);
        let waker = Waker::from(Arc::clone(self));
        let poll = || run.as_mut().poll(&mut Context::from_waker(&waker)).is_pending().then_some(run);
        let left = catch_unwind(AssertUnwindSafe(poll)).unwrap_or_else(|_| {
            tracing::error!(target: "strata_cache", "a run that outlived its caller panicked");
            None
        });
        let Some(run) = left else { return true };
        *self.run() = Some(run);
        // Who woke it meanwhile found nothing to put in line.
        if self.is_woken.load(Ordering::SeqCst) {
            POOL.put_in_line(Arc::clone(self));
        }
        false
    }
}

impl Wake for Task {
    fn wake(self: Arc<Self>) {
        if !self.is_woken.swap(true, Ordering::SeqCst) && self.run().is_some() {
            POOL.put_in_line(self);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::sync::mpsc;
    use std::task::Poll;

    fn take_on(run: impl Future<Output = ()> + Send + 'static) {
        assert!(POOL.take_on(Box::pin(run)).is_ok(), "few enough");
    }

    #[test]
    fn more_runs_than_threads_may_wait_for_one_another() {
        let (tell, told) = mpsc::channel();
        let gate = Arc::new(Mutex::new((false, Vec::<Waker>::new())));
        for _ in 0..THREADS * 3 {
            let (gate, tell) = (Arc::clone(&gate), tell.clone());
            take_on(async move {
                poll_fn(|context| {
                    let mut gate = gate.lock().expect("nobody panics with it");
                    if gate.0 {
                        return Poll::Ready(());
                    }
                    gate.1.push(context.waker().clone());
                    Poll::Pending
                })
                .await;
                // The test may have failed by then.
                let _ = tell.send(());
            });
        }
        take_on(async move {
            let sleepers = {
                let mut gate = gate.lock().expect("nobody panics with it");
                gate.0 = true;
                std::mem::take(&mut gate.1)
            };
            sleepers.into_iter().for_each(Waker::wake);
        });
        for _ in 0..THREADS * 3 {
            told.recv_timeout(Duration::from_secs(60)).expect("all of them end");
        }
    }

    #[test]
    fn blocking_runs_have_threads_of_their_own_and_one_that_panics_ends_alone() {
        let block = |run: Box<dyn FnOnce() + Send>| {
            let run = Box::pin(async move { run() });
            assert!(spawn_blocking(Parked { run, look_up: Box::new(|| ()) }).is_ok(), "few enough");
        };
        let (tell, told) = mpsc::channel();
        let (open, gate) = mpsc::channel::<()>();
        block(Box::new(move || _ = gate.recv()));
        block(Box::new(|| panic!("on purpose")));
        block(Box::new(move || tell.send(()).expect("somebody listens")));
        told.recv_timeout(Duration::from_secs(60)).expect("it does not wait for the one that blocks");
        drop(open);
    }

    #[test]
    fn run_that_panics_ends_alone() {
        let (tell, told) = mpsc::channel();
        for number in 0..THREADS * 2 {
            let tell = tell.clone();
            take_on(async move {
                assert!(number % 2 == 1, "on purpose");
                let _ = tell.send(number);
            });
        }
        let mut all: Vec<_> =
            (0..THREADS).map(|_| told.recv_timeout(Duration::from_secs(60)).expect("it ran")).collect();
        all.sort_unstable();
        assert_eq!(all, (0..THREADS).map(|number| number * 2 + 1).collect::<Vec<_>>());
    }

    #[test]
    fn run_that_wakes_itself_is_polled_again() {
        let (tell, told) = mpsc::channel();
        let mut polls = 0;
        take_on(poll_fn(move |context| {
            polls += 1;
            context.waker().wake_by_ref();
            if polls < 100 {
                return Poll::Pending;
            }
            let _ = tell.send(polls);
            Poll::Ready(())
        }));
        assert_eq!(told.recv_timeout(Duration::from_secs(60)), Ok(100));
    }
}
