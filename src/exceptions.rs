//! What is different for the cached functions that are called in here: another cache, or one call past its cache or anew.
//!
//! (1) It follows the call stack of a thread, or the polls of a future, as the ambient scope does. (2) A function asks only
//! while something in the process is different at all: one load of a word that is hardly ever written. (3) An order is for
//! one function and for one call: the first that it meets takes it, and from then on nothing is different for others.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};

use pin_project_lite::pin_project;
use strata_cache_core::engine::Freshness;

use crate::cache::Cache;
use crate::operation::Served;
use crate::stack::{Inside, innermost};

/// How many exceptions there are in the process.
static THERE: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static CACHES: RefCell<Vec<Cache>> = const { RefCell::new(Vec::new()) };
    static ORDER: Cell<Option<(usize, Order)>> = const { Cell::new(None) };
    static ANSWER: Cell<Option<(usize, Freshness)>> = const { Cell::new(None) };
}

/// Notes how the value stands that a call of a function was answered with, where anything is different.
pub(crate) fn note_answer(site: usize, freshness: Freshness) {
    if !are_none() {
        // Past the life of a thread's locals nobody asks any more.
        _ = ANSWER.try_with(|answer| answer.set(Some((site, freshness))));
    }
}

/// Calls a function, and answers how the value stood that it was answered with.
pub(crate) fn with_answer<T>(site: usize, call: impl FnOnce() -> T) -> Served<T> {
    let _there = There::new();
    let (value, freshness) = heard(site, call);
    Served::new(value, freshness)
}

fn heard<T>(site: usize, call: impl FnOnce() -> T) -> (T, Freshness) {
    _ = ANSWER.try_with(Cell::take);
    let value = call();
    let noted = ANSWER.try_with(Cell::take).ok().flatten();
    (value, noted.filter(|(of, _)| *of == site).map_or(Freshness::Fresh, |(_, freshness)| freshness))
}

pin_project! {
    /// A call of an async function that answers how its value stood.
    pub(crate) struct Answered<F> {
        #[pin]
        future: F,
        site: usize,
        there: There,
    }
}

impl<F: Future> Answered<F> {
    pub(crate) fn new(site: usize, future: F) -> Self {
        Self { future, site, there: There::new() }
    }
}

impl<F: Future> Future for Answered<F> {
    type Output = Served<F::Output>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Served<F::Output>> {
        let this = self.project();
        // It is noted in the poll that answers.
        let (polled, freshness) = heard(*this.site, || this.future.poll(context));
        polled.map(|value| Served::new(value, freshness))
    }
}

/// How one call differs from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// The function runs, and the cache is not asked.
    Bypass,
    /// The function runs, and its value takes the place of what is stored.
    Renew,
}

/// Whether nothing is different, for anybody. A thread that made an exception sees it.
#[inline]
pub(crate) fn are_none() -> bool {
    THERE.load(Relaxed) == 0
}

/// The cache that stands in for the functions' own.
pub(crate) fn stand_in() -> Option<Cache> {
    if are_none() {
        return None;
    }
    innermost(&CACHES)
}

/// The order for a function, by the address of its site; it is not there any more then.
pub(crate) fn take_order(site: usize) -> Option<Order> {
    if are_none() {
        return None;
    }
    let order = ORDER.try_with(|order| match order.get() {
        Some((of, given)) if of == site => {
            order.set(None);
            THERE.fetch_sub(1, Relaxed);
            Some(given)
        }
        _ => None,
    });
    order.ok().flatten()
}

/// Calls a function with an order for its site. Also answers whether it took it.
pub(crate) fn with_order<T>(site: usize, order: Order, call: impl FnOnce() -> T) -> (T, bool) {
    let before = ORDER.try_with(|orders| orders.replace(Some((site, order)))).ok();
    if before.is_some() {
        THERE.fetch_add(1, Relaxed);
    }
    let given = Given(before);
    let answer = call();
    (answer, given.take_back().is_none())
}

/// Runs code in which cached functions keep their values in this cache and not in their own, on this thread: for tests that
/// are not to see one another's values. For async code use [`InCache::in_cache`].
///
/// Functions whose levels the cache's tree does not have run uncached in here.
///
/// ```
/// use strata_cache::{Cache, cached, with_cache};
///
/// #[cached(scope = "org")]
/// fn plan(org_id: u64) -> String {
///     format!("plan of {org_id}")
/// }
///
/// # fn main() -> Result<(), strata_cache::Error> {
/// let cache = Cache::builder().build()?;
/// with_cache(&cache, || plan(7));
/// assert_eq!(cache.stats().entries, 1);
/// assert_eq!(plan::peek(7), None, "the default cache has none of it");
/// # Ok(())
/// # }
/// ```
pub fn with_cache<T>(cache: &Cache, run: impl FnOnce() -> T) -> T {
    let _there = There::new();
    let _inside = Inside::of(&CACHES, cache.clone());
    run()
}

/// Gives a future another cache for the cached functions that it calls.
pub trait InCache: Future + Sized {
    /// Runs the future as [`with_cache`] runs code, in each of its polls, on whatever thread. A task that the future spawns is
    /// another future.
    fn in_cache(self, cache: &Cache) -> WithCache<Self> {
        WithCache { future: self, cache: cache.clone(), there: There::new() }
    }
}

impl<F: Future> InCache for F {}

pin_project! {
    /// A future whose cached functions use another cache; see [`InCache`].
    #[derive(Debug)]
    #[must_use = "a future does nothing unless it is polled"]
    pub struct WithCache<F> {
        #[pin]
        future: F,
        cache: Cache,
        there: There,
    }
}

impl<F: Future> Future for WithCache<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let _inside = Inside::of(&CACHES, this.cache.clone());
        this.future.poll(context)
    }
}

pin_project! {
    /// A call of an async function with an order, which is there in all polls until the function has taken it: something else may be
    /// in front of its body.
    pub(crate) struct Ordered<F> {
        #[pin]
        future: F,
        order: Option<(usize, Order)>,
    }
}

impl<F: Future> Ordered<F> {
    pub(crate) fn new(site: usize, order: Order, future: F) -> Self {
        Self { future, order: Some((site, order)) }
    }
}

impl<F: Future> Future for Ordered<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let Some((site, order)) = *this.order else { return this.future.poll(context) };
        let (polled, taken) = with_order(site, order, || this.future.poll(context));
        if taken {
            *this.order = None;
        }
        polled
    }
}

/// An exception that is there while this is.
#[derive(Debug)]
struct There(());

impl There {
    fn new() -> Self {
        THERE.fetch_add(1, Relaxed);
        Self(())
    }
}

impl Drop for There {
    fn drop(&mut self) {
        THERE.fetch_sub(1, Relaxed);
    }
}

/// Puts back the order that was there before, also where nobody took the one of this call.
struct Given(Option<Option<(usize, Order)>>);

impl Given {
    /// The order, if nobody took it.
    fn take_back(mut self) -> Option<(usize, Order)> {
        self.restore()
    }

    fn restore(&mut self) -> Option<(usize, Order)> {
        // The thread may be past the life of its locals; then nobody asks any more.
        let before = self.0.take()?;
        let left = ORDER.try_with(|orders| orders.replace(before)).ok().flatten();
        if left.is_some() {
            THERE.fetch_sub(1, Relaxed);
        }
        left
    }
}

impl Drop for Given {
    fn drop(&mut self) {
        self.restore();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_taken_once_and_by_its_function_only() {
        let taken = with_order(7, Order::Renew, || (take_order(8), take_order(7), take_order(7)));
        assert_eq!(taken, ((None, Some(Order::Renew), None), true));
        assert_eq!(take_order(7), None);
    }

    #[test]
    fn order_of_a_future_is_there_in_each_poll_until_it_is_taken() {
        let mut polls = 0;
        let call = std::future::poll_fn(|_| {
            polls += 1;
            match polls {
                // Something in front of the body, as a wait for a permit is.
                1 => Poll::Pending,
                2 => {
                    assert_eq!(take_order(9), Some(Order::Renew));
                    Poll::Pending
                }
                _ => Poll::Ready(take_order(9)),
            }
        });
        let mut ordered = std::pin::pin!(Ordered::new(9, Order::Renew, call));
        let mut context = Context::from_waker(std::task::Waker::noop());
        assert!(ordered.as_mut().poll(&mut context).is_pending());
        assert_eq!(take_order(9), None, "between its polls it is nobody's");
        assert!(ordered.as_mut().poll(&mut context).is_pending());
        assert_eq!(ordered.as_mut().poll(&mut context), Poll::Ready(None));
    }

    #[test]
    fn order_that_nobody_took_ends_with_its_call_and_leaves_the_outer_one() {
        with_order(7, Order::Bypass, || {
            assert_eq!(with_order(8, Order::Renew, || ()), ((), false));
            assert_eq!((take_order(8), take_order(7)), (None, Some(Order::Bypass)));
        });
        let panicked = std::panic::catch_unwind(|| with_order(7, Order::Bypass, || panic!("in the call")));
        assert!(panicked.is_err());
        assert_eq!(take_order(7), None);
    }
}
