//! Get or load: one state machine for cached functions and programmatic calls, sync and async.
//!
//! (1) A hit never gets here. What runs is polled through a pointer (`body`), so that this is compiled once for all bodies.
//! (2) The loader runs without any lock, once per lease, inside its call chain, and polled with the lease's waker,
//! so that a leader that is woken and not polled is noticed. (3) Dropped midway, the loader is dropped first, then
//! the lease hands over. A panic of the loader ends the lease before it goes on. (4) Every lookup is counted, and traced, once.
//! (5) A loader begins in `begin`, with the permits of its scope's load limits.

mod begin;

use std::any::Any;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;
use strata_cache_core::engine::{
    Engine, Enough, Joined, Key, Lease, Place, Store, Value, Waited, Waiting, Write,
};
use strata_cache_core::error::Error;
use strata_cache_core::flight::{
    Adding, Alarm, Chain, FlightId, LoadPermit, PermitWaiter, PlaceWaiter, Placed, Pulse, SoloPermit,
    SoloWaiter,
};
use strata_cache_core::scope::{Node, ScopePath, Tags};
use strata_cache_core::stats::Counter;

use super::body::Body;
use crate::plan::{Act, Coalescing, LoadPlan, Reply, WhenLeadersFail};
use crate::trace;

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
    /// The value.
    Value(V),
    /// The loader's error.
    Failed(E),
    /// The loads this call waited for failed, for others.
    LeaderFailed,
    /// The loads of the key have stalled.
    Stalled,
    /// The cache could not even ask.
    Refused(Error),
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
    /// Rings when the call has waited long enough; set at its first wait.
    alarm: Option<Arc<Alarm>>,
    /// It is not to go on by this caller once it leads.
    stops: bool,
}

enum Stage<K: Key, V: Value> {
    Asking,
    Waiting(Waiting<K, V>, Arc<Node>),
    WaitingForPlace(PlaceWaiter, Arc<Node>),
    // A load limit. The waiter before the lease, so that who comes next finds the queue without it.
    WaitingToLead(PermitWaiter, Lease<K, V>),
    Leading(Lease<K, V>),
    WaitingForPermit(SoloWaiter, Arc<Node>),
    WaitingAlone(PermitWaiter, Name),
    Alone(Name, Option<LoadPermit>),
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
        Self { terms, loader, plan, stage: Stage::Asking, alarm: None, stops: false }
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
        if matches!(act, Act::ReportLeaderFailed | Act::ReportStalled) {
            self.count(node, false);
        }
        act
    }

    fn count(&self, node: &Node, hit: bool) {
        self.terms.store.count_lookup(Some(node), hit);
        trace::lookup(self.terms.store.name(), Some(node), hit);
    }

    fn trace(&self, event: &'static str) {
        let (region, scope) = (self.terms.store.name(), &self.terms.place);
        tracing::debug!(target: "strata_cache", region, %scope, "{event}");
    }

    /// The loader ended under a lease.
    fn land(&mut self, lease: Lease<K, V>, output: L::Output) -> Answer<V, L::Error> {
        match self.loader.split(output) {
            Ok(value) => {
                let write = self.loader.write(&value, self.terms.write);
                lease.land(self.terms.key.clone(), &value, write);
                Answer::Value(value)
            }
            Err(error) => {
                self.trace("load failure");
                lease.fail(self.loader.share(&error));
                Answer::Failed(error)
            }
        }
    }

    /// The loader ended past the cache.
    fn finish_alone(&mut self, name: &Name, output: L::Output) -> Answer<V, L::Error> {
        match self.loader.split(output) {
            Ok(value) => Answer::Value(value),
            Err(error) => {
                if name.id().is_some() {
                    self.terms.store.counters().count(Counter::LoadFailures);
                }
                self.trace("load failure");
                Answer::Failed(error)
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
            Act::Serve => return Ok(value.map(Answer::Value)),
            Act::Join => self.stage = Stage::Asking,
            Act::RunUncached => self.run_uncached(),
            Act::RunAlone => return self.ask_alone(),
            Act::RunBeside => return self.run_beside(),
            Act::ReportLeaderFailed => return Ok(Some(Answer::LeaderFailed)),
            Act::ReportStalled => return Ok(Some(Answer::Stalled)),
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
                Stage::Waiting(waiting, node) => {
                    let waited = Pin::new(waiting).poll(context);
                    let node = Arc::clone(node);
                    let next = match waited {
                        Poll::Ready(waited) => this.hear(waited, &node),
                        Poll::Pending if this.is_late(context) => {
                            Next::Act(this.plan.step(Reply::Late), None)
                        }
                        Poll::Pending => return Poll::Pending,
                    };
                    this.perform(next)
                }
                Stage::WaitingForPlace(place, _) => {
                    let reply = match Pin::new(place).poll(context) {
                        Poll::Ready(Placed::Free) => Reply::Again,
                        Poll::Ready(Placed::Stuck) => Reply::Stuck,
                        Poll::Pending if this.is_late(context) => Reply::Late,
                        Poll::Pending => return Poll::Pending,
                    };
                    let Stage::WaitingForPlace(_, node) = &this.stage else { return Poll::Pending };
                    let node = Arc::clone(node);
                    let act = this.decide(reply, &node);
                    this.perform(Next::Act(act, None))
                }
                Stage::WaitingForPermit(waiter, node) => {
                    let permit = ready!(Pin::new(waiter).poll(context));
                    let node = Arc::clone(node);
                    Ok(this.limit_alone(Name::Solo(permit), &node))
                }
                Stage::WaitingToLead(waiter, lease) => {
                    let permit = ready!(in_lease(lease.pulse().as_ref(), context, |context| {
                        Pin::new(waiter).poll(context)
                    }));
                    if let Stage::WaitingToLead(_, lease) = std::mem::replace(&mut this.stage, Stage::Done) {
                        this.run_leading(lease, Some(permit));
                    }
                    Ok(None)
                }
                Stage::WaitingAlone(waiter, _) => {
                    let permit = ready!(Pin::new(waiter).poll(context));
                    if let Stage::WaitingAlone(_, name) = std::mem::replace(&mut this.stage, Stage::Done) {
                        this.run_alone(name, Some(permit));
                    }
                    Ok(None)
                }
                Stage::Leading(..) if std::mem::take(&mut this.stops) => return Poll::Pending,
                Stage::Leading(..) => {
                    let output = ready!(this.poll_leading(body.as_mut(), context));
                    let Stage::Leading(lease) = std::mem::replace(&mut this.stage, Stage::Done) else {
                        return Poll::Pending; // Not reached: nothing changes the stage in between.
                    };
                    body.end();
                    return Poll::Ready(this.land(lease, output));
                }
                Stage::Alone(name, _) => {
                    // The tags that it adds go nowhere.
                    let inside = Chain::enter_with(name.id(), Adding::default());
                    let output = ready!(body.as_mut().poll(context));
                    drop(inside);
                    let Stage::Alone(name, limited) = std::mem::replace(&mut this.stage, Stage::Done) else {
                        return Poll::Pending; // Not reached, as above.
                    };
                    body.end();
                    drop(limited);
                    return Poll::Ready(this.finish_alone(&name, output));
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
    /// Whether the call has waited for as long as it would; if not, its task is woken when it has.
    fn is_late(&mut self, context: &Context<'_>) -> bool {
        let Coalescing::On(Some(time)) = self.terms.coalescing else { return false };
        let engine = &self.terms.engine;
        let alarm = self.alarm.get_or_insert_with(|| engine.alarm_in(time));
        alarm.rings(engine.now(), context)
    }

    /// What a wait came to: the next act, with what it needs.
    fn hear(&mut self, waited: Waited<K, V>, node: &Node) -> Next<V, L::Error> {
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
            Waited::Refused(error) if self.plan.may_be_refused() => {
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
