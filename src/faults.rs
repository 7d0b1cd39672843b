//! A loader that has bad days by script: for tests of what a service does when its database is slow, failing or gone.
//!
//! (1) Each run of a wrapped loader takes the next step of the script; after its end all pass. (2) On a test clock nothing moves but by
//! its owner: a run that is delayed goes on in `advance`, one that hangs when it is let go.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use strata_cache_core::clock::{Clock, TestClock};

/// Wraps loaders so that their runs are delayed, err, hang or panic, by script. Clones share one script.
///
/// ```
/// use std::time::Duration;
/// use strata_cache::{Cache, Faults, TestClock, scope};
///
/// # fn main() -> Result<(), strata_cache::Error> {
/// let clock = TestClock::new();
/// let cache = Cache::builder().clock(clock.clone()).build()?;
/// let faults = Faults::new(&clock).pass().err("down").err("down");
///
/// let get = || {
///     let load = faults.wrap_sync(|| Ok::<u32, &str>(7));
///     cache.get_or_load_with(scope!(global), "seats", load).ttl("1m").stale_on_error("1h").wait()
/// };
/// assert_eq!(get().ok().as_deref(), Some(&7));
/// clock.advance(Duration::from_secs(90));
/// assert_eq!(get().ok().as_deref(), Some(&7), "the database is down, and nobody notices");
/// assert_eq!(faults.runs(), 2);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Faults<E> {
    shared: Arc<Shared<E>>,
}

impl<E> Clone for Faults<E> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

#[derive(Debug)]
struct Shared<E> {
    clock: TestClock,
    book: Mutex<Book<E>>,
    /// Somebody was let go, or the clock has moved.
    call: Condvar,
}

#[derive(Debug)]
struct Book<E> {
    script: VecDeque<Step<E>>,
    runs: usize,
    /// Runs that began to hang before this was raised go on.
    let_go: usize,
    sleepers: Vec<Waker>,
    is_watched: bool,
}

/// What becomes of one run.
#[derive(Debug)]
struct Step<E> {
    delay: Duration,
    end: End<E>,
}

#[derive(Debug)]
enum End<E> {
    Pass,
    Err(E),
    Hang,
    Panic,
}

impl<E: Send + 'static> Faults<E> {
    /// An empty script, on a clock.
    pub fn new(clock: &TestClock) -> Self {
        let book =
            Book { script: VecDeque::new(), runs: 0, let_go: 0, sleepers: Vec::new(), is_watched: false };
        Self {
            shared: Arc::new(Shared { clock: clock.clone(), book: Mutex::new(book), call: Condvar::new() }),
        }
    }

    /// The next run passes.
    pub fn pass(self) -> Self {
        self.then(Duration::ZERO, End::Pass)
    }

    /// The next run takes so long, and passes.
    pub fn delay(self, time: Duration) -> Self {
        self.then(time, End::Pass)
    }

    /// The next run ends in this error.
    pub fn err(self, error: E) -> Self {
        self.then(Duration::ZERO, End::Err(error))
    }

    /// The next run takes so long, and ends in this error.
    pub fn delay_err(self, time: Duration, error: E) -> Self {
        self.then(time, End::Err(error))
    }

    /// The next run hangs, until it is [let go](Self::let_go), and passes then.
    pub fn hang(self) -> Self {
        self.then(Duration::ZERO, End::Hang)
    }

    /// The next run panics.
    pub fn panic(self) -> Self {
        self.then(Duration::ZERO, End::Panic)
    }

    fn then(self, delay: Duration, end: End<E>) -> Self {
        self.shared.book().script.push_back(Step { delay, end });
        self
    }

    /// Lets all runs go on that hang now.
    pub fn let_go(&self) {
        self.shared.book().let_go += 1;
        self.shared.wake();
    }

    /// How many runs have begun.
    pub fn runs(&self) -> usize {
        self.shared.book().runs
    }

    /// Wraps an async loader.
    pub fn wrap<T, F, R>(&self, loader: F) -> impl FnOnce() -> Wrapped<T, E> + Send + use<T, E, F, R>
    where
        T: 'static,
        F: FnOnce() -> R + Send + 'static,
        R: Future<Output = Result<T, E>> + Send + 'static,
    {
        let shared = Arc::clone(&self.shared);
        move || {
            Box::pin(async move {
                let (step, until, let_go) = shared.begin();
                let hangs = matches!(step.end, End::Hang);
                poll_fn(|context| {
                    shared.poll_until(context, |book, now| now >= until && (book.let_go > let_go || !hangs))
                })
                .await;
                match step.end {
                    End::Pass | End::Hang => loader().await,
                    End::Err(error) => Err(error),
                    End::Panic => panic!("a loader panics by script"),
                }
            })
        }
    }

    /// Wraps a sync loader, whose delays and hangs block its thread.
    pub fn wrap_sync<T, F>(&self, loader: F) -> impl FnOnce() -> Result<T, E> + use<T, E, F>
    where
        F: FnOnce() -> Result<T, E>,
    {
        let shared = Arc::clone(&self.shared);
        move || {
            let (step, until, let_go) = shared.begin();
            shared.block_until(|book, now| {
                now >= until && (book.let_go > let_go || !matches!(step.end, End::Hang))
            });
            match step.end {
                End::Pass | End::Hang => loader(),
                End::Err(error) => Err(error),
                End::Panic => panic!("a loader panics by script"),
            }
        }
    }
}

/// A run of a wrapped loader.
pub type Wrapped<T, E> = std::pin::Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;

impl<E: Send + 'static> Shared<E> {
    fn book(&self) -> MutexGuard<'_, Book<E>> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The step of a run that begins, and until when it is delayed.
    fn begin(self: &Arc<Self>) -> (Step<E>, Duration, usize) {
        let now = self.clock.now();
        let mut book = self.book();
        book.runs += 1;
        let step = book.script.pop_front().unwrap_or(Step { delay: Duration::ZERO, end: End::Pass });
        let (let_go, is_watched) = (book.let_go, std::mem::replace(&mut book.is_watched, true));
        drop(book);
        if !is_watched {
            let this = Arc::downgrade(self);
            self.clock.watch(Box::new(move || this.upgrade().map(|this| this.wake()).is_some()));
        }
        let until = now.saturating_add(step.delay);
        (step, until, let_go)
    }

    fn wake(&self) {
        let sleepers = std::mem::take(&mut self.book().sleepers);
        self.call.notify_all();
        sleepers.into_iter().for_each(Waker::wake);
    }

    fn poll_until(&self, context: &Context<'_>, is_over: impl Fn(&Book<E>, Duration) -> bool) -> Poll<()> {
        let waker = context.waker().clone();
        let mut book = self.book();
        if is_over(&book, self.clock.now()) {
            return Poll::Ready(());
        }
        book.sleepers.push(waker);
        Poll::Pending
    }

    fn block_until(&self, is_over: impl Fn(&Book<E>, Duration) -> bool) {
        let mut book = self.book();
        while !is_over(&book, self.clock.now()) {
            book = self.call.wait(book).unwrap_or_else(PoisonError::into_inner);
        }
    }
}
