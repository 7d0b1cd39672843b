//! A load whose run does not end with its caller: from when it leads it goes on by itself, lands, and tells the caller if there still
//! is one.
//!
//! (1) Until it leads, and where it never does, the caller drives it as any other load. (2) What goes on by itself is inside of the
//! loads that the caller was inside of, so circles are found as before. (3) Its panic is the caller's, who alone is told.
//! (4) Where nobody can run it, the caller does, and waits as long as otherwise. (5) A caller that has waited long enough goes, and the
//! run goes on, unless it was the caller's.

use std::any::Any;
use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use strata_cache_core::engine::{Key, Value};
use strata_cache_core::flight::{Chain, FlightId};

use super::background::{Kind, Run, send};
use super::body::Body;
use super::load::{Answer, Load, Loader};
use crate::plan::Reply;

/// Drives a load whose run goes on by itself. `along` gives it what else it takes along from here.
pub(crate) async fn detached<K, V, L, B>(
    mut load: Load<K, V, L, B>,
    along: impl FnOnce(Run) -> Run,
    kind: Kind,
) -> Answer<V, L::Error>
where
    K: Key,
    V: Value,
    L: Loader<V, Error: Send + 'static> + Send + 'static,
    B: Body<L::Output> + Unpin + Send + 'static,
{
    load.stop_before_leading();
    let answered = poll_fn(|context| match Pin::new(&mut load).poll(context) {
        Poll::Ready(answer) => Poll::Ready(Some(answer)),
        Poll::Pending if load.is_about_to_lead() => Poll::Ready(None),
        Poll::Pending => Poll::Pending,
    });
    if let Some(answer) = answered.await {
        return answer;
    }
    let kept = load.fall_back();
    let mut bells = load.leave_alone();
    let post = Arc::new(Post(Mutex::new(Letter { told: Told::Nothing, waits: None })));
    let run = Inside { chain: Chain::current(), load: Some(load), to: Sender(Arc::clone(&post)) };
    // Whoever may not send it on runs it, and waits no longer for that.
    let mut own = send(&kept.engine, along(Box::pin(run)), kind).err();
    let answered = poll_fn(|context| {
        if own.as_mut().is_some_and(|run| run.as_mut().poll(context).is_ready()) {
            own = None;
        }
        if let Poll::Ready(told) = post.poll(context) {
            return Poll::Ready(Ok(told));
        }
        match bells.ring_in_line(&kept.engine, context) {
            Some(Reply::Hard) => Poll::Ready(Err(kept.late())),
            Some(_) => kept.soft().map_or(Poll::Pending, |answer| Poll::Ready(Err(answer))),
            None => Poll::Pending,
        }
    });
    match answered.await {
        Err(answer) => answer,
        Ok(Ok(answer)) => kept.or_look(answer),
        Ok(Err(panic)) => resume_unwind(panic),
    }
}

type Panic = Box<dyn Any + Send>;

/// Where the answer comes to.
struct Post<T>(Mutex<Letter<T>>);

struct Letter<T> {
    told: Told<T>,
    waits: Option<Waker>,
}

enum Told<T> {
    Nothing,
    Answer(Result<T, Panic>),
    /// Whoever ran it was shut down.
    Lost,
}

impl<T> Post<T> {
    fn letter(&self) -> MutexGuard<'_, Letter<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, told: Told<T>) {
        let waits = {
            let mut letter = self.letter();
            letter.told = told;
            letter.waits.take()
        };
        if let Some(waits) = waits {
            waits.wake();
        }
    }

    fn poll(&self, context: &Context<'_>) -> Poll<Result<T, Panic>> {
        let waker = context.waker().clone();
        let mut letter = self.letter();
        match std::mem::replace(&mut letter.told, Told::Nothing) {
            Told::Answer(answer) => Poll::Ready(answer),
            Told::Lost => panic!("the runtime that ran a detached load was shut down"),
            Told::Nothing => {
                let old = letter.waits.replace(waker);
                drop(letter);
                drop(old);
                Poll::Pending
            }
        }
    }
}

/// Tells the caller that nothing is to come, if nothing came.
struct Sender<T>(Arc<Post<T>>);

impl<T> Sender<T> {
    fn tell(&self, answer: Result<T, Panic>) {
        if answer.is_err() && Arc::strong_count(&self.0) == 1 {
            tracing::error!(target: "strata_cache", "a detached load panicked, and nobody waits for it");
        }
        self.0.tell(Told::Answer(answer));
    }
}

/// A load that goes on by itself.
struct Inside<K: Key, V: Value, L: Loader<V>, B> {
    chain: Vec<FlightId>,
    load: Option<Load<K, V, L, B>>,
    to: Sender<Answer<V, L::Error>>,
}

// The body is not pinned in place, and nothing else in here is.
impl<K: Key, V: Value, L: Loader<V>, B: Unpin> Unpin for Inside<K, V, L, B> {}

impl<K: Key, V: Value, L: Loader<V>, B: Body<L::Output> + Unpin> Future for Inside<K, V, L, B> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let Some(load) = &mut this.load else { return Poll::Ready(()) };
        let inside: Vec<_> = this.chain.iter().copied().map(Chain::enter).collect();
        let polled = catch_unwind(AssertUnwindSafe(|| Pin::new(load).poll(context)));
        drop(inside);
        let answer = match polled {
            Ok(Poll::Pending) => return Poll::Pending,
            Ok(Poll::Ready(answer)) => Ok(answer),
            Err(panic) => Err(panic),
        };
        this.load = None;
        this.to.tell(answer);
        Poll::Ready(())
    }
}

impl<K: Key, V: Value, L: Loader<V>, B> Drop for Inside<K, V, L, B> {
    fn drop(&mut self) {
        // The lease first, so that it is handed over before anybody hears.
        if self.load.take().is_some() {
            self.to.0.tell(Told::Lost);
        }
    }
}
