//! Get or load, of several keys of one scope by one loader.
//!
//! (1) Each key is looked for, and joined, by itself: what others load is waited for, whether they load it alone or in a batch of their own; so
//! a key is loaded once however many batches overlap. (2) What is left is loaded at once, and before anybody is waited for: two batches that
//! wait for each other's keys have both begun. (3) Each key has an answer of its own. A loader that gives another number of results
//! than it was asked for has given none. (4) Keys that come back, for whoever led them gave up, are loaded by another call of the
//! loader, at once, whatever the first one does. (5) One permit of the scope's load limits is enough for one call of it, the region's breaker is asked for each key. (6) What the
//! loader says of its result, it says of all keys of that call.

use std::any::Any;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use strata_cache_core::engine::{Enough, Freshness, Joined, Key, Lease, Place, Value, Waited, Waiting};
use strata_cache_core::error::{Error, ErrorKind, Result};
use strata_cache_core::flight::{Chain, LoadPermit, Permission, PermitWaiter, PlaceWaiter, Placed, WhenFull};
use strata_cache_core::scope::Node;
use strata_cache_core::stats::Counter;

use super::load::{Answer, Bells, Failing, LoadTerms, NotShared, SharedError, fall_back};
use crate::plan::{Act, Coalescing, LoadPlan, Reply, WhenLeadersFail};
use crate::trace;

/// A get-or-load of several keys under way. `F` makes the loader's run `R` for those that are missing.
pub(crate) struct Batch<K: Key, V: Value, E, F, R> {
    /// What all keys have in common; its key is nobody's.
    terms: LoadTerms<K, V>,
    keys: Vec<One<K, V, E>>,
    loader: F,
    share: fn(&E) -> Option<SharedError>,
    /// One as a rule; more where keys come back while it is under way.
    runs: Vec<Run<K, V, R>>,
    bells: Bells,
}

/// One key on its way.
struct One<K: Key, V: Value, E> {
    key: K,
    plan: LoadPlan,
    stage: Stage<K, V, E>,
    is_counted: bool,
}

enum Stage<K: Key, V: Value, E> {
    Asking,
    Waiting(Waiting<K, V>),
    WaitingForPlace(PlaceWaiter),
    /// It is to be loaded with the next call.
    Missing(Option<Lease<K, V>>),
    /// It is being loaded.
    Loading,
    Answered(Answer<V, E>),
}

/// A call of the loader: for keys by their place, each with its lease, if it has one.
struct Run<K: Key, V: Value, R> {
    // Before the leases: what is dropped midway stops before somebody else leads.
    stage: RunStage<R>,
    leases: Vec<(usize, Option<Lease<K, V>>)>,
    permit: Option<LoadPermit>,
}

enum RunStage<R> {
    WaitingForPermit(PermitWaiter),
    Ready,
    Running(Pin<Box<R>>),
}

impl<K, V, E, F, R> Batch<K, V, E, F, R>
where
    K: Key,
    V: Value,
    F: Fn(Vec<K>) -> R,
    R: Future<Output = Vec<Result<V, E>>>,
{
    /// Of these keys, none twice.
    pub(crate) fn new(
        terms: LoadTerms<K, V>,
        keys: Vec<K>,
        loader: F,
        share: fn(&E) -> Option<SharedError>,
    ) -> Self {
        let plan = || LoadPlan::new(WhenLeadersFail::Report, Coalescing::On(None));
        let one = |key| One { key, plan: plan(), stage: Stage::Asking, is_counted: false };
        let bells = Bells::new(&terms);
        Self { terms, keys: keys.into_iter().map(one).collect(), loader, share, runs: Vec::new(), bells }
    }

    /// Goes on with all keys. At the end there is an answer to each, in the order they were given in.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<Vec<Answer<V, E>>>> {
        loop {
            let mut has_moved = self.ask()?;
            has_moved |= self.begin_run();
            has_moved |= self.go_on_with_runs(context);
            has_moved |= self.wait(context)?;
            if self.keys.iter().all(|one| matches!(one.stage, Stage::Answered(_))) {
                return Poll::Ready(Ok(self.answers()));
            }
            if has_moved {
                continue;
            }
            if !self.bells.ring_hard(&self.terms.engine, context) {
                return Poll::Pending;
            }
            self.end_late()?;
        }
    }

    fn answers(&mut self) -> Vec<Answer<V, E>> {
        let answer = |one: One<K, V, E>| match one.stage {
            Stage::Answered(answer) => Some(answer),
            _ => None,
        };
        std::mem::take(&mut self.keys).into_iter().filter_map(answer).collect()
    }

    fn node(&self) -> Result<Arc<Node>> {
        self.terms.place.create(self.terms.engine.registry())
    }

    /// Looks for, and joins, what has to be. Whether there was something.
    fn ask(&mut self) -> Result<bool> {
        if !self.keys.iter().any(|one| matches!(one.stage, Stage::Asking)) {
            return Ok(false);
        }
        let node = self.node()?;
        let LoadTerms { engine, store, tags, .. } = &self.terms;
        for one in self.keys.iter_mut().filter(|one| matches!(one.stage, Stage::Asking)) {
            let joined = store.join_for(engine, Arc::clone(&node), &one.key, tags, Enough::Stored);
            one.stage = match joined {
                Joined::Hit(value) => {
                    one.count(&self.terms, &node, true);
                    Stage::Answered(Answer::Value(value, Freshness::Fresh))
                }
                Joined::Lead(lease) => Stage::Missing(Some(lease)),
                Joined::Wait(waiting) => {
                    store.counters().count(Counter::CoalescedWaits);
                    Stage::Waiting(waiting)
                }
                Joined::Place(place) => Stage::WaitingForPlace(place),
                // Inside of its own load, it is loaded past the cache.
                Joined::Recursion => Stage::Missing(None),
                Joined::Stuck => one.end(&self.terms, &node, Answer::Stalled),
            };
        }
        Ok(true)
    }

    /// Begins a call of the loader, if there is something to load.
    fn begin_run(&mut self) -> bool {
        let mut leases = Vec::new();
        for (at, one) in self.keys.iter_mut().enumerate() {
            if !matches!(one.stage, Stage::Missing(_)) {
                continue;
            }
            let Stage::Missing(mut lease) = std::mem::replace(&mut one.stage, Stage::Loading) else {
                continue;
            };
            if let Some(lease) = &mut lease {
                lease.declare(&self.terms.tags);
            }
            leases.push((at, lease));
        }
        if leases.is_empty() {
            return false;
        }
        let mut stage = RunStage::Ready;
        let (mut permit, mut has_asked, mut kept) = (None, false, Vec::with_capacity(leases.len()));
        for (at, lease) in leases {
            let Some(mut lease) = lease else {
                self.terms.store.counters().count(Counter::Bypassed);
                kept.push((at, None));
                continue;
            };
            let refused = if has_asked {
                lease.ask_breaker().err()
            } else {
                match lease.ask(WhenFull::Refuse) {
                    Permission::Granted(granted) => {
                        (permit, has_asked) = (granted, true);
                        None
                    }
                    Permission::Wait(waiter) => {
                        (stage, has_asked) = (RunStage::WaitingForPermit(waiter), true);
                        None
                    }
                    Permission::Refused(error) => Some(error),
                }
            };
            match refused {
                None => kept.push((at, Some(lease))),
                Some(error) => {
                    let node = Arc::clone(lease.node());
                    lease.refuse(&error);
                    self.keys[at].stage = self.keys[at].end(&self.terms, &node, Answer::Refused(error));
                }
            }
        }
        if !kept.is_empty() {
            self.runs.push(Run { stage, leases: kept, permit });
        }
        true
    }

    /// Goes on with the calls of the loader. Whether one has ended.
    fn go_on_with_runs(&mut self, context: &mut Context<'_>) -> bool {
        let mut has_moved = false;
        let mut at = 0;
        while let Some(run) = self.runs.get_mut(at) {
            if let RunStage::WaitingForPermit(waiter) = &mut run.stage {
                let Poll::Ready(permit) = Pin::new(waiter).poll(context) else {
                    at += 1;
                    continue;
                };
                run.permit = Some(permit);
                run.stage = RunStage::Ready;
            }
            let mut wanted = Vec::new();
            if matches!(run.stage, RunStage::Ready) {
                wanted = run.leases.iter().map(|(at, _)| self.keys[*at].key.clone()).collect();
                let mut permit = run.permit.take();
                for (at, lease) in &mut run.leases {
                    if let Some(lease) = lease {
                        self.keys[*at].count_miss(&self.terms, lease.node());
                        lease.begin(permit.take());
                    }
                }
                tracing::debug!(target: "strata_cache", region = self.terms.store.name(), keys = wanted.len(), "load");
            }
            match run.poll(&self.loader, wanted, context) {
                Poll::Pending => at += 1,
                Poll::Ready(outcome) => {
                    has_moved = true;
                    let Run { leases, .. } = self.runs.remove(at);
                    match outcome {
                        Ok(results) => self.land(leases, results),
                        Err(panic) => {
                            leases.into_iter().filter_map(|(_, lease)| lease).for_each(Lease::panicked);
                            resume_unwind(panic);
                        }
                    }
                }
            }
        }
        has_moved
    }

    /// The loader has ended.
    fn land(&mut self, mut leases: Vec<(usize, Option<Lease<K, V>>)>, results: Vec<Result<V, E>>) {
        // What it said, it said under the last of them.
        if let Some((last, others)) = leases.split_last_mut()
            && let (_, Some(last)) = last
        {
            others.iter_mut().filter_map(|(_, lease)| lease.as_mut()).for_each(|lease| lease.adopt(last));
        }
        let (asked, given) = (leases.len(), results.len());
        let results: Vec<Result<V, Failing<E>>> = if given == asked {
            results.into_iter().map(|result| result.map_err(Failing::Loader)).collect()
        } else {
            let mismatch = Error::new(ErrorKind::BatchMismatch, "load_many")
                .with("region", self.terms.store.name())
                .with("asked", asked)
                .with("given", given)
                .because("a batch loader gives one result for each key, in the order of the keys");
            (0..asked).map(|_| Err(Failing::Cache(mismatch.clone()))).collect()
        };
        for ((at, lease), result) in leases.into_iter().zip(results) {
            let one = &mut self.keys[at];
            one.stage = match (lease, result) {
                (lease, Ok(value)) => {
                    if let Some(lease) = lease {
                        one.count(&self.terms, &Arc::clone(lease.node()), false);
                        lease.land(one.key.clone(), &value, Some(self.terms.write));
                    }
                    Stage::Answered(Answer::Value(value, Freshness::Fresh))
                }
                (None, Err(failing)) => Stage::Answered(failing.into_answer()),
                (Some(lease), Err(failing)) => {
                    let node = Arc::clone(lease.node());
                    let has_kept = one.put_off_attempts(&self.terms, &node);
                    let shared =
                        if let Failing::Loader(error) = &failing { (self.share)(error) } else { None };
                    lease.fail(shared.or_else(|| has_kept.then(|| Arc::new(NotShared) as SharedError)));
                    one.end(&self.terms, &node, failing.into_answer())
                }
            };
        }
    }

    /// Goes on with those keys that others load. Whether one has come further.
    fn wait(&mut self, context: &mut Context<'_>) -> Result<bool> {
        let mut has_moved = false;
        let mut node = None;
        for one in &mut self.keys {
            let reply = match &mut one.stage {
                Stage::WaitingForPlace(place) => match Pin::new(place).poll(context) {
                    Poll::Pending => continue,
                    Poll::Ready(Placed::Free) => Reply::Again,
                    Poll::Ready(Placed::Stuck) => Reply::Stuck,
                },
                Stage::Waiting(waiting) => {
                    let Poll::Ready(waited) = Pin::new(waiting).poll(context) else { continue };
                    let node = match &node {
                        Some(node) => Arc::clone(node),
                        None => {
                            let made = self.terms.place.create(self.terms.engine.registry())?;
                            Arc::clone(node.insert(made))
                        }
                    };
                    has_moved = true;
                    match one.hear(&self.terms, &node, waited) {
                        Ok(stage) => {
                            one.stage = stage;
                            continue;
                        }
                        Err(reply) => reply,
                    }
                }
                _ => continue,
            };
            has_moved = true;
            let act = one.plan.step(reply);
            one.stage = if act == Act::Join {
                Stage::Asking
            } else {
                let node = self.terms.place.create(self.terms.engine.registry())?;
                let answer = if act == Act::ReportStalled { Answer::Stalled } else { Answer::LeaderFailed };
                one.end(&self.terms, &node, answer)
            };
        }
        Ok(has_moved)
    }

    /// The call has waited for as long as it may: what runs is cut, and what is not there yet does not come.
    fn end_late(&mut self) -> Result<()> {
        let (node, error) = (self.node()?, self.terms.timed_out());
        self.terms.count_hard_timeout();
        for Run { stage, leases, .. } in std::mem::take(&mut self.runs) {
            drop(stage);
            for (at, lease) in leases {
                if let Some(lease) = lease {
                    self.keys[at].put_off_attempts(&self.terms, &node);
                    lease.time_out(&error);
                }
            }
        }
        for one in self.keys.iter_mut().filter(|one| !matches!(one.stage, Stage::Answered(_))) {
            let stage = one.end(&self.terms, &node, Answer::Refused(error.clone()));
            one.stage = stage;
        }
        Ok(())
    }
}

impl<K: Key, V: Value, E> One<K, V, E> {
    fn count(&mut self, terms: &LoadTerms<K, V>, node: &Node, hit: bool) {
        if !std::mem::replace(&mut self.is_counted, true) {
            terms.store.count_lookup(Some(node), hit);
            trace::lookup(terms.store.name(), Some(node), hit);
        }
    }

    /// It is about to be loaded; where there is something to fall back on nobody knows yet what it will have been.
    fn count_miss(&mut self, terms: &LoadTerms<K, V>, node: &Node) {
        if terms.care.takes.longest().is_zero() {
            self.count(terms, node, false);
        }
    }

    /// It ends without a value of its own: with what is kept, or with this answer.
    fn end(&mut self, terms: &LoadTerms<K, V>, node: &Node, answer: Answer<V, E>) -> Stage<K, V, E> {
        let takes = !terms.care.takes.longest().is_zero();
        let kept =
            takes.then(|| fall_back(&terms.engine, &terms.store, node, &self.key, &terms.care)).flatten();
        Stage::Answered(match kept {
            Some((value, freshness)) => {
                self.is_counted = true;
                Answer::Value(value, freshness)
            }
            None => {
                self.count(terms, node, false);
                answer
            }
        })
    }

    /// After a load that brought no value: whether something is kept of it.
    fn put_off_attempts(&self, terms: &LoadTerms<K, V>, node: &Node) -> bool {
        if terms.care.is_plain() {
            return false;
        }
        terms.store.put_off_attempts(&terms.engine, node, &self.key, terms.care.throttle());
        terms.store.fall_back(&terms.engine, node, &self.key, terms.care.takes).is_some()
    }

    /// What became of somebody else's load.
    fn hear(
        &mut self,
        terms: &LoadTerms<K, V>,
        node: &Node,
        waited: Waited<K, V>,
    ) -> Result<Stage<K, V, E>, Reply> {
        Err(match waited {
            Waited::Value(value) => {
                self.count(terms, node, true);
                return Ok(Stage::Answered(Answer::Value(value, Freshness::Fresh)));
            }
            Waited::Lead(lease) => return Ok(Stage::Missing(Some(lease))),
            Waited::Refused(error) if error.kind() == ErrorKind::TimedOut => Reply::CutShort,
            Waited::Refused(error) => return Ok(self.end(terms, node, Answer::Refused(error))),
            Waited::Failed(_) => {
                // Another loader's error is nobody's here; what is kept is better than another try.
                let kept = fall_back(&terms.engine, &terms.store, node, &self.key, &terms.care);
                if let Some((value, freshness)) = kept.filter(|_| !terms.care.takes.longest().is_zero()) {
                    self.is_counted = true;
                    return Ok(Stage::Answered(Answer::Value(value, freshness)));
                }
                Reply::FailedOtherwise
            }
            Waited::Rejoin => Reply::Again,
            Waited::Outdated => Reply::Outdated,
            Waited::Stuck => Reply::Stuck,
        })
    }
}

impl<K: Key, V: Value, R> Run<K, V, R> {
    /// Polls the loader's run, made if need be, inside of all the loads that it brings.
    #[expect(clippy::type_complexity, reason = "a panic, or what a loader gives")]
    fn poll<E>(
        &mut self,
        loader: &impl Fn(Vec<K>) -> R,
        keys: Vec<K>,
        context: &mut Context<'_>,
    ) -> Poll<std::result::Result<Vec<Result<V, E>>, Box<dyn Any + Send>>>
    where
        R: Future<Output = Vec<Result<V, E>>>,
    {
        let mut leases = self.leases.iter_mut().filter_map(|(_, lease)| lease.as_mut());
        let last = leases.next_back();
        let _others: Vec<_> = leases.filter_map(|lease| lease.id()).map(Chain::enter).collect();
        let pulse = last.as_ref().and_then(|lease| lease.pulse());
        let inside = last.map(|lease| (lease.enter(), lease));
        let _past = inside.is_none().then(Chain::enter_uncached);
        let stage = &mut self.stage;
        let polled = catch_unwind(AssertUnwindSafe(|| {
            if matches!(stage, RunStage::Ready) {
                *stage = RunStage::Running(Box::pin(loader(keys)));
            }
            let RunStage::Running(run) = stage else { return Poll::Pending };
            match &pulse {
                None => run.as_mut().poll(context),
                Some(pulse) => {
                    let _polling = pulse.polling(context.waker());
                    let waker = pulse.waker();
                    run.as_mut().poll(&mut Context::from_waker(&waker))
                }
            }
        }));
        if let Some((inside, lease)) = inside {
            lease.leave(inside);
        }
        match polled {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(results)) => Poll::Ready(Ok(results)),
            Err(panic) => Poll::Ready(Err(panic)),
        }
    }
}
