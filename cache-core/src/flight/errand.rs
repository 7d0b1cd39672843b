//! Loads that nobody waits for: how many run for one cache, and that they end with it.
//!
//! (1) No more run than the cache lets; who comes then does without. (2) A closed one begins none, and calls those off that run: each is
//! woken, and told at its next poll. (3) Whoever runs one counts until it is dropped, whatever became of it. (4) Wakers are called, and
//! dropped, outside of the lock. Cost: one short lock at its begin, at its end, and at each poll that leaves it pending.

use std::collections::HashMap;
use std::task::{Context, Waker};

use super::after::Wakes;
use crate::sync::{Arc, Mutex};

/// Runs to be carried out for a cache, with nobody who waits for them.
#[derive(Debug)]
pub struct Errands {
    most: usize,
    book: Mutex<Book>,
}

#[derive(Debug, Default)]
struct Book {
    running: usize,
    is_closed: bool,
    next: u64,
    sleepers: HashMap<u64, Waker>,
}

impl Errands {
    /// So many at a time.
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, book: Mutex::default() })
    }

    /// Begins one, if there is room for it.
    pub fn begin(self: &Arc<Self>) -> Option<Errand> {
        let mut book = self.book.lock();
        if book.is_closed || book.running >= self.most {
            return None;
        }
        book.running += 1;
        book.next += 1;
        Some(Errand { errands: Arc::clone(self), name: book.next })
    }

    /// Calls all of them off, and begins no more.
    pub fn close(&self) {
        let mut wakes = Wakes::default();
        let mut book = self.book.lock();
        book.is_closed = true;
        wakes.append(std::mem::take(&mut book.sleepers).into_values().collect());
        drop(book);
    }

    /// Whether it was closed.
    pub fn is_closed(&self) -> bool {
        self.book.lock().is_closed
    }

    /// How many run.
    pub fn running(&self) -> usize {
        self.book.lock().running
    }
}

/// One of them.
#[derive(Debug)]
pub struct Errand {
    errands: Arc<Errands>,
    name: u64,
}

impl Errand {
    /// Whether it is to end; if not, its task is woken when it is.
    pub fn is_called_off(&self, context: &Context<'_>) -> bool {
        let waker = context.waker().clone();
        let mut book = self.errands.book.lock();
        if book.is_closed {
            return true;
        }
        let old = book.sleepers.insert(self.name, waker);
        drop(book);
        drop(old);
        false
    }
}

impl Drop for Errand {
    fn drop(&mut self) {
        let mut book = self.errands.book.lock();
        book.running -= 1;
        let waker = book.sleepers.remove(&self.name);
        drop(book);
        drop(waker);
    }
}

#[cfg(all(test, not(any(shuttle, loom))))]
mod tests {
    use super::*;

    #[test]
    fn no_more_run_than_may_and_none_once_it_is_closed() {
        let errands = Errands::new(2);
        let [first, second] = [errands.begin(), errands.begin()];
        assert!(first.is_some() && second.is_some() && errands.begin().is_none());
        drop(first);
        let third = errands.begin().expect("one has ended");
        let context = Context::from_waker(Waker::noop());
        assert!(!third.is_called_off(&context));
        errands.close();
        assert!(third.is_called_off(&context) && errands.is_closed());
        drop((second, third));
        assert_eq!((errands.running(), errands.begin().is_none()), (0, true));
    }
}
