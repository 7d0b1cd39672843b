//! Get or load: one state machine for cached functions and programmatic calls, sync and async.
//!
//! (1) A hit never gets here. What runs is polled through a pointer (`body`), so that this is compiled once for all bodies.
//! (2) The loader runs without any lock, once per lease, inside its call chain, and polled with the lease's waker,
//! so that a leader that is woken and not polled is noticed. (3) Dropped midway, the loader is dropped first, then
//! the lease hands over. A panic of the loader ends the lease before it goes on. (4) Every lookup is counted, and traced, once.
//! A call that may be served a stale value is counted at its end: as a stale hit if it was, else as a miss.
//! (5) A loader begins in `begin`, with the permits of its scope's load limits.

mod begin;
mod bells;
mod fall_back;

use std::any::Any;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use strata_cache_core::engine::{
    Care, Engine, Enough, Freshness, Joined, Key, Lease, Place, Store, Value, Waited, Waiting, Write,
};
use strata_cache_core::error::{Error, ErrorKind};
use strata_cache_core::flight::{
    Adding, Chain, FlightId, LoadPermit, PermitWaiter, PlaceWaiter, Placed, Pulse, SoloPermit, SoloWaiter,
    Trial,
};
use strata_cache_core::scope::{Node, ScopePath, Tags};
use strata_cache_core::stats::Counter;

use super::body::Body;
use crate::plan::{Act, Coalescing, LoadPlan, Reply, WhenLeadersFail};
use crate::trace;
pub(super) use bells::Bells;
use fall_back::Ended;
pub(crate) use fall_back::{Failing, FallBack, NotShared, fall_back};

/// An error that those who wait for the same load may share.
pub(crate) type SharedError = Arc<dyn Any + Send + Sync>;

/// What a load runs, and how its outcome is read.
pub(crate) trait Loader<V> {
    /// What the user's function gives.
    type Output;
    /// Its error.
    type Error;
    /// Tells value from error.
    fn split(&self, output: Self::Output) -> Result<V, Self::Error>;
    /// The error for those who wait, if it can be shared.
    fn share(&self, error: &Self::Error) -> Option<SharedError>;
    /// A shared error as one's own, if it is of the same type.
    fn unshare(&self, shared: &SharedError) -> Option<Self::Error>;
    /// How a value is stored, of which the call says this; `None` if it is not to be.
    fn write(&self, _value: &V, write: Write) -> Option<Write> {
        Some(write)
    }
}

/// What a get-or-load comes to.
pub(crate) enum Answer<V, E> {
    /// The value, and how it stands by its time-to-live.
    Value(V, Freshness),
    /// The loader's error.
    Failed(E),
    /// The loads this call waited for failed, for others.
    LeaderFailed,
    /// The loads of the key have stalled.
    Stalled,
    /// The cache could not even ask, or the load took longer than it may.
    Refused(Error),
}

impl<V, E> Answer<V, E> {
    fn fresh(value: V) -> Self {
        Self::Value(value, Freshness::Fresh)
    }
}

/// How a call goes on.
enum Next<V, E> {
    Answer(Answer<V, E>),
    /// An act, and the value it serves.
    Act(Act, Option<V>),
}

/// Where and how to load.
pub(crate) struct LoadTerms<K: Key, V: Value> {
    pub(crate) engine: Arc<Engine>,
    pub(crate) store: Arc<Store<K, V>>,
    pub(crate) place: ScopePath,
    pub(crate) key: K,
    pub(crate) write: Write,
    /// What the caller declares; none as a rule.
    pub(crate) tags: Tags,
    pub(crate) when_leaders_fail: WhenLeadersFail,
    pub(crate) coalescing: Coalescing,
    /// What answers the call: what is stored, or only a load that begins from now on.
    pub(crate) enough: Enough,
    pub(crate) care: Care,
    /// Something is kept that the call would be served in place of a fresh value.
    pub(crate) has_kept: bool,
}

pin_project! {
    /// A get-or-load under way, and what it runs.
    ///
    /// The body is a parameter of its own and not `L::Body`: a projection in a field would have to be resolved
    /// where a caller's future is checked for `Send`, which rustc cannot do for loaders that borrow (rust-lang/rust#114046).
    pub(crate) struct Load<K: Key, V: Value, L, B> {
        // Before the lease: what is dropped midway stops before somebody else leads.
        #[pin]
        body: B,
        drive: Drive<K, V, L>,
    }
}

impl<K: Key, V: Value, L: Loader<V>, B: Body<L::Output>> Load<K, V, L, B> {
    pub(crate) fn new(terms: LoadTerms<K, V>, loader: L, body: B) -> Self {
        Self { body, drive: Drive::new(terms, loader) }
    }

    /// Of a lease that the cache itself has begun, and that nobody waits for by this.
    pub(crate) fn of(lease: Lease<K, V>, terms: LoadTerms<K, V>, loader: L, body: B) -> Self {
        let mut drive = Drive::new(terms, loader);
        drive.stage = Stage::Given(lease);
        drive.is_background = true;
        Self { body, drive }
    }

    /// What the call falls back on, and for how long it waits before.
    pub(super) fn fall_back(&self) -> FallBack<K, V> {
        self.drive.fall_back_of()
    }

    /// From now on it goes on by itself: whoever began it counts, falls back, and hears the bells that this answers. It is cut after as
    /// long as its caller would wait at most, unless it was said to go on.
    pub(super) fn leave_alone(&mut self) -> Bells {
        let Drive { bells, is_background, terms, .. } = &mut self.drive;
        *is_background = true;
        std::mem::replace(bells, Bells::of_run(&terms.care))
    }

    /// Is pending, without anybody to wake it, when it is [about to lead](Self::is_about_to_lead) for the first time.
    pub(super) fn stop_before_leading(&mut self) {
        self.drive.stops = true;
    }

    /// Whether it has stopped there, and goes on at the next poll.
    pub(super) fn is_about_to_lead(&self) -> bool {
        !self.drive.stops && matches!(self.drive.stage, Stage::Leading(_))
    }
}

impl<K: Key, V: Value, L: Loader<V>, B: Body<L::Output>> Future for Load<K, V, L, B> {
    type Output = Answer<V, L::Error>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        this.drive.poll(this.body, context)
    }
}

/// A get-or-load, whatever it runs.
struct Drive<K: Key, V: Value, L> {
    terms: LoadTerms<K, V>,
    loader: L,
    plan: LoadPlan,
    stage: Stage<K, V>,
    /// They ring when the call has waited long enough; set at its first wait.
    bells: Bells,
    /// It is not to go on by this caller once it leads.
    stops: bool,
    /// No call waits for it.
    is_background: bool,
    /// The call was counted.
    is_counted: bool,
}

enum Stage<K: Key, V: Value> {
    Asking,
    Given(Lease<K, V>),
    Waiting(Waiting<K, V>, Arc<Node>),
    WaitingForPlace(PlaceWaiter, Arc<Node>),
    // A load limit. The waiter before the lease, so that who comes next finds the queue without it.
    WaitingToLead(PermitWaiter, Lease<K, V>),
    Leading(Lease<K, V>),
    WaitingForPermit(SoloWaiter, Arc<Node>),
    WaitingAlone(PermitWaiter, Name, Option<Trial>),
    Alone(Name, Option<LoadPermit>, Option<Trial>),
    Done,
}

/// What a run past the cache goes by on its call chain.
enum Name {
    /// It is inside of a load already, or the cache could not be asked.
    None,
    /// One of a few of its key.
    Solo(SoloPermit),
    /// Beside whatever runs.
    Own(FlightId),
}

impl Name {
    fn id(&self) -> Option<FlightId> {
        match self {
            Self::None => None,
            Self::Solo(permit) => Some(permit.id()),
            Self::Own(id) => Some(*id),
        }
    }
}

impl<K: Key, V: Value, L: Loader<V>> Drive<K, V, L> {
    fn new(terms: LoadTerms<K, V>, loader: L) -> Self {
        let plan = LoadPlan::new(terms.when_leaders_fail, terms.coalescing);
        let bells = Bells::new(&terms);
        Self {
            terms,
            loader,
            plan,
            stage: Stage::Asking,
            bells,
            stops: false,
            is_background: false,
            is_counted: false,
        }
    }

    /// Looks and joins.
    fn ask(&mut self) -> Result<Next<V, L::Error>, Error> {
        let node = self.terms.place.create(self.terms.engine.registry())?;
        let LoadTerms { engine, store, key, tags, enough, .. } = &self.terms;
        let joined = store.join_for(engine, Arc::clone(&node), key, tags, *enough);
        if self.terms.enough == Enough::LoadFromNow {
            // Whatever runs from now on began after this call did.
            self.terms.enough = Enough::Load;
        }
        let reply = match joined {
            Joined::Hit(value) => {
                self.count(&node, true);
                return Ok(Next::Act(self.plan.step(Reply::Hit), Some(value)));
            }
            Joined::Lead(lease) => return Ok(self.lead(lease)),
            Joined::Wait(_) | Joined::Place(_) if self.terms.coalescing == Coalescing::Off => Reply::Busy,
            Joined::Wait(waiting) => {
                self.terms.store.counters().count(Counter::CoalescedWaits);
                self.stage = Stage::Waiting(waiting, Arc::clone(&node));
                Reply::Busy
            }
            Joined::Place(place) => {
                self.stage = Stage::WaitingForPlace(place, Arc::clone(&node));
                Reply::NoPlace
            }
            Joined::Recursion => Reply::Recursion,
            Joined::Stuck => Reply::Stuck,
        };
        Ok(Next::Act(self.decide(reply, &node), None))
    }

    /// The next act; a call that ends with it unserved is counted.
    fn decide(&mut self, reply: Reply, node: &Node) -> Act {
        let act = self.plan.step(reply);
        if matches!(act, Act::ReportLeaderFailed | Act::ReportStalled) && !self.falls_back() {
            self.count(node, false);
        }
        act
    }

    fn count(&mut self, node: &Node, hit: bool) {
        if self.is_background || std::mem::replace(&mut self.is_counted, true) {
            return;
        }
        self.terms.store.count_lookup(Some(node), hit);
        trace::lookup(self.terms.store.name(), Some(node), hit);
    }

    /// A call is about to run its loader, or to end without a value.
    fn count_miss(&mut self, node: &Node) {
        // Where there may be something to fall back on, nobody knows yet what it will have been.
        if !self.falls_back() {
            self.count(node, false);
        }
    }

    fn trace(&self, event: &'static str) {
        let (region, scope) = (self.terms.store.name(), &self.terms.place);
        tracing::debug!(target: "strata_cache", region, %scope, "{event}");
    }

    /// The loader ended under a lease.
    fn land(&mut self, lease: Lease<K, V>, output: L::Output) -> Answer<V, L::Error> {
        match self.loader.split(output) {
            Ok(value) => {
                if self.falls_back() {
                    self.count(lease.node(), false);
                }
                let write = self.loader.write(&value, self.terms.write);
                lease.land(self.terms.key.clone(), &value, write);
                Answer::fresh(value)
            }
            Err(error) => {
                self.trace("load failure");
                let node = Arc::clone(lease.node());
                let has_kept = self.put_off_attempts(&node);
                let shared = self.loader.share(&error);
                // Those who wait fall back, too, or ask again; nobody tries at once.
                lease.fail(shared.or_else(|| has_kept.then(|| Arc::new(NotShared) as SharedError)));
                self.or_fall_back(&node, Answer::Failed(error))
            }
        }
    }

    /// The loader takes longer than it may.
    fn cut_short(&mut self, lease: Lease<K, V>) -> Answer<V, L::Error> {
        self.trace("load cut short");
        let (node, error) = (Arc::clone(lease.node()), self.timed_out());
        self.put_off_attempts(&node);
        self.count_late();
        lease.time_out(&error);
        self.or_fall_back(&node, Answer::Refused(error))
    }

    /// The loader ended past the cache.
    fn finish_alone(&mut self, name: &Name, trial: Option<Trial>, output: L::Output) -> Answer<V, L::Error> {
        let outcome = self.loader.split(output);
        self.conclude(trial, outcome.is_ok());
        match outcome {
            Ok(value) => {
                if name.id().is_some()
                    && self.falls_back()
                    && let Ok(node) = self.terms.place.create(self.terms.engine.registry())
                {
                    self.count(&node, false);
                }
                Answer::fresh(value)
            }
            Err(error) => {
                self.trace("load failure");
                if name.id().is_none() {
                    return Answer::Failed(error);
                }
                self.terms.store.counters().count(Counter::LoadFailures);
                let Ok(node) = self.terms.place.create(self.terms.engine.registry()) else {
                    return Answer::Failed(error);
                };
                self.put_off_attempts(&node);
                self.or_fall_back(&node, Answer::Failed(error))
            }
        }
    }

    /// Carries out an act that changes the stage or ends the call.
    fn perform(&mut self, next: Next<V, L::Error>) -> Result<Option<Answer<V, L::Error>>, Error> {
        let (act, value) = match next {
            Next::Answer(answer) => return Ok(Some(answer)),
            Next::Act(act, value) => (act, value),
        };
        match act {
            Act::Serve => return Ok(value.map(Answer::fresh)),
            Act::Join => self.stage = Stage::Asking,
            Act::RunUncached => self.run_uncached(),
            Act::RunAlone => return self.ask_alone(),
            Act::RunBeside => return self.run_beside(),
            Act::ReportLeaderFailed => return self.end_with(Answer::LeaderFailed),
            Act::ReportStalled => return self.end_with(Answer::Stalled),
            Act::ReportTimedOut => return self.end_late().map(Some),
            Act::FallBack => return Ok(self.fall_back_softly()),
            // The stage is set already.
            Act::Lead | Act::Wait | Act::WaitForPlace => {}
        }
        Ok(None)
    }
}

impl<K: Key, V: Value, L: Loader<V>> Drive<K, V, L> {
    #[inline(never)]
    fn poll(
        &mut self,
        mut body: Pin<&mut dyn Body<L::Output>>,
        context: &mut Context<'_>,
    ) -> Poll<Answer<V, L::Error>> {
        let this = self;
        loop {
            let performed = match &mut this.stage {
                Stage::Asking => this.ask().and_then(|next| this.perform(next)),
                Stage::Given(_) => {
                    let Stage::Given(lease) = std::mem::replace(&mut this.stage, Stage::Done) else {
                        return Poll::Pending; // Not reached.
                    };
                    let next = this.lead(lease);
                    this.perform(next)
                }
                Stage::Waiting(waiting, node) => {
                    let waited = Pin::new(waiting).poll(context);
                    let node = Arc::clone(node);
                    let next = match waited {
                        // It was cut short for who led it, and this call's time is over as well.
                        Poll::Ready(Waited::Refused(error))
                            if error.kind() == ErrorKind::TimedOut
                                && this.bells.ring_hard(&this.terms.engine, context) =>
                        {
                            Next::Act(this.plan.step(Reply::Hard), None)
                        }
                        Poll::Ready(waited) => this.hear(waited, &node),
                        Poll::Pending => match this.bells.ring(&this.terms.engine, context) {
                            Some(reply) => Next::Act(this.plan.step(reply), None),
                            None => return Poll::Pending,
                        },
                    };
                    this.perform(next)
                }
                Stage::WaitingForPlace(place, _) => {
                    let reply = match Pin::new(place).poll(context) {
                        Poll::Ready(Placed::Free) => Reply::Again,
                        Poll::Ready(Placed::Stuck) => Reply::Stuck,
                        Poll::Pending => match this.bells.ring(&this.terms.engine, context) {
                            Some(reply) => reply,
                            None => return Poll::Pending,
                        },
                    };
                    let Stage::WaitingForPlace(_, node) = &this.stage else { return Poll::Pending };
                    let node = Arc::clone(node);
                    let act = this.decide(reply, &node);
                    this.perform(Next::Act(act, None))
                }
                Stage::WaitingForPermit(waiter, node) => {
                    let node = Arc::clone(node);
                    match Pin::new(waiter).poll(context) {
                        Poll::Ready(permit) => Ok(this.limit_alone(Name::Solo(permit), &node)),
                        Poll::Pending => ready!(this.wait_on(context)),
                    }
                }
                Stage::WaitingToLead(waiter, lease) => {
                    let permit =
                        in_lease(lease.pulse().as_ref(), context, |context| Pin::new(waiter).poll(context));
                    match permit {
                        // Whoever gives up here passes the lease on.
                        Poll::Pending => ready!(this.wait_on(context)),
                        Poll::Ready(permit) => {
                            let stage = std::mem::replace(&mut this.stage, Stage::Done);
                            if let Stage::WaitingToLead(_, lease) = stage {
                                this.run_leading(lease, Some(permit));
                            }
                            Ok(None)
                        }
                    }
                }
                Stage::WaitingAlone(waiter, ..) => match Pin::new(waiter).poll(context) {
                    Poll::Pending => ready!(this.wait_on(context)),
                    Poll::Ready(permit) => {
                        let stage = std::mem::replace(&mut this.stage, Stage::Done);
                        if let Stage::WaitingAlone(_, name, trial) = stage {
                            this.run_alone(name, Some(permit), trial);
                        }
                        Ok(None)
                    }
                },
                Stage::Leading(..) if std::mem::take(&mut this.stops) => return Poll::Pending,
                Stage::Leading(..) => {
                    let polled = this.poll_leading(body.as_mut(), context);
                    if polled.is_pending() && !this.bells.ring_hard(&this.terms.engine, context) {
                        return Poll::Pending;
                    }
                    let Stage::Leading(lease) = std::mem::replace(&mut this.stage, Stage::Done) else {
                        return Poll::Pending; // Not reached: nothing changes the stage in between.
                    };
                    body.end();
                    return Poll::Ready(match polled {
                        Poll::Ready(output) => this.land(lease, output),
                        Poll::Pending => this.cut_short(lease),
                    });
                }
                Stage::Alone(name, ..) => {
                    // What it says of its result goes nowhere.
                    let inside = Chain::enter_with(name.id(), Adding::default());
                    let polled = body.as_mut().poll(context);
                    drop(inside);
                    if polled.is_pending() && !this.bells.ring_hard(&this.terms.engine, context) {
                        return Poll::Pending;
                    }
                    let Stage::Alone(name, limited, trial) = std::mem::replace(&mut this.stage, Stage::Done)
                    else {
                        return Poll::Pending; // Not reached, as above.
                    };
                    body.end();
                    drop(limited);
                    return Poll::Ready(match polled {
                        Poll::Ready(output) => this.finish_alone(&name, trial, output),
                        Poll::Pending => {
                            this.conclude(trial, false);
                            this.end_late().unwrap_or_else(Answer::Refused)
                        }
                    });
                }
                Stage::Done => return Poll::Pending,
            };
            match performed {
                Ok(None) => {}
                Ok(Some(answer)) => {
                    this.stage = Stage::Done;
                    return Poll::Ready(answer);
                }
                Err(_) if this.terms.when_leaders_fail == WhenLeadersFail::RunAlone => this.run_uncached(),
                Err(error) => {
                    this.stage = Stage::Done;
                    return Poll::Ready(Answer::Refused(error));
                }
            }
        }
    }
}

impl<K: Key, V: Value, L: Loader<V>> Drive<K, V, L> {
    /// Still waiting for a permit: pending, unless that has taken long enough.
    fn wait_on(&mut self, context: &Context<'_>) -> Poll<Ended<V, L::Error>> {
        match self.bells.ring_in_line(&self.terms.engine, context) {
            None => Poll::Pending,
            Some(reply) => {
                let act = self.plan.step(reply);
                Poll::Ready(self.perform(Next::Act(act, None)))
            }
        }
    }

    /// What a wait came to: the next act, with what it needs.
    fn hear(&mut self, waited: Waited<K, V>, node: &Node) -> Next<V, L::Error> {
        let is_without = matches!(waited, Waited::Failed(_) | Waited::Refused(_) | Waited::Stuck);
        if is_without && let Some(answer) = self.fall_back(node) {
            return Next::Answer(answer);
        }
        let reply = match waited {
            Waited::Value(value) => {
                self.count(node, true);
                return Next::Act(self.plan.step(Reply::Landed), Some(value));
            }
            Waited::Failed(failure) => match failure.shared {
                None => Reply::Failed,
                Some(shared) => match self.loader.unshare(&shared) {
                    Some(error) => {
                        self.count(node, false);
                        return Next::Answer(Answer::Failed(error));
                    }
                    None => Reply::FailedOtherwise,
                },
            },
            Waited::Refused(error) if error.kind() == ErrorKind::TimedOut => Reply::CutShort,
            Waited::Refused(error)
                if self.plan.may_be_refused() || error.kind() == ErrorKind::BreakerOpen =>
            {
                self.count(node, false);
                return Next::Answer(Answer::Refused(error));
            }
            Waited::Lead(lease) => return self.lead(lease),
            Waited::Refused(_) => Reply::Again,
            Waited::Rejoin => Reply::Again,
            Waited::Outdated => Reply::Outdated,
            Waited::Stuck => Reply::Stuck,
        };
        Next::Act(self.decide(reply, node), None)
    }

    /// Polls the loader under its lease. If it panics, the lease ends as panicked before the panic goes on.
    fn poll_leading(
        &mut self,
        body: Pin<&mut dyn Body<L::Output>>,
        context: &mut Context<'_>,
    ) -> Poll<L::Output> {
        let mut guard = EndOnPanic { body, stage: &mut self.stage, armed: true };
        let Stage::Leading(lease) = &mut *guard.stage else { return Poll::Pending };
        let inside = lease.enter();
        let polled = in_lease(lease.pulse().as_ref(), context, |context| guard.body.as_mut().poll(context));
        lease.leave(inside);
        guard.armed = false;
        polled
    }
}

/// Polls with the lease's waker, so that a leader that is woken and not polled is noticed.
fn in_lease<T>(
    pulse: Option<&Arc<Pulse>>,
    context: &mut Context<'_>,
    poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
) -> Poll<T> {
    let Some(pulse) = pulse else { return poll(context) };
    let _polling = pulse.polling(context.waker());
    let waker = pulse.waker();
    poll(&mut Context::from_waker(&waker))
}

/// Drops the body, then the stage, while the thread unwinds, so that its lease sees the panic and not a cancellation.
struct EndOnPanic<'a, K: Key, V: Value, T> {
    body: Pin<&'a mut dyn Body<T>>,
    stage: &'a mut Stage<K, V>,
    armed: bool,
}

impl<K: Key, V: Value, T> Drop for EndOnPanic<'_, K, V, T> {
    fn drop(&mut self) {
        if self.armed {
            self.body.as_mut().end();
            drop(std::mem::replace(self.stage, Stage::Done));
        }
    }
}
