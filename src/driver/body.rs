//! What a load runs, apart from how it comes to run: the driver polls it through a pointer, so that it is compiled once for all
//! functions of the same types and not once for each body.
//!
//! (1) Nothing runs before the first poll, and nothing is polled after it was ready or ended. (2) Ended, it is dropped: before the
//! lease it ran under is (`Load` has it as its first field), and before its outcome is stored.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

/// A run of the user's function, polled once it may.
pub(crate) trait Body<T> {
    /// Goes on with it. Pending for ever once it has ended.
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T>;
    /// Drops what is left of it.
    fn end(self: Pin<&mut Self>);
}

pin_project! {
    /// A future, where it is.
    #[project = InPlaceNow]
    pub(crate) enum InPlace<F> {
        Here { #[pin] future: F },
        Ended,
    }
}

impl<F: Future> Body<F::Output> for InPlace<F> {
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        match self.project() {
            InPlaceNow::Here { future } => future.poll(context),
            InPlaceNow::Ended => Poll::Pending,
        }
    }

    fn end(mut self: Pin<&mut Self>) {
        self.set(Self::Ended);
    }
}

/// A future that is made, of `S`, and boxed when it is polled for the first time. It may be moved.
pub(crate) enum Boxed<S, F> {
    New(S),
    Running(Pin<Box<F>>),
    Ended,
}

// The future is boxed, and what it is made of is never pinned.
impl<S, F> Unpin for Boxed<S, F> {}

impl<S, F: Future + From<S>> Body<F::Output> for Boxed<S, F> {
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.get_mut();
        if matches!(this, Self::New(_))
            && let Self::New(of) = std::mem::replace(this, Self::Ended)
        {
            *this = Self::Running(Box::pin(F::from(of)));
        }
        match this {
            Self::Running(future) => future.as_mut().poll(context),
            Self::New(_) | Self::Ended => Poll::Pending,
        }
    }

    fn end(self: Pin<&mut Self>) {
        *self.get_mut() = Self::Ended;
    }
}

/// A function that is over at its first poll.
pub(crate) struct Once<'a, T>(Option<&'a mut dyn FnMut() -> T>);

impl<'a, T> Once<'a, T> {
    pub(crate) fn new(run: &'a mut dyn FnMut() -> T) -> Self {
        Self(Some(run))
    }
}

impl<T> Body<T> for Once<'_, T> {
    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<T> {
        self.0.take().map_or(Poll::Pending, |run| Poll::Ready(run()))
    }

    fn end(mut self: Pin<&mut Self>) {
        self.0 = None;
    }
}
