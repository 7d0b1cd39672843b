//! Loading one key of one store: programmatic, or of a typed region.
//!
//! (1) A hit allocates nothing, and nothing is made before the first look: the key is owned, the loader's run and the driver
//! are made, on a miss. (2) The loader runs inside a poll of
//! the driver, never while the driver is made. (3) A loader that can be taken along is run in a form that knows nothing of the call's own
//! types, whoever waits for it; its error comes back by a slot.

use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;
use strata_cache_core::engine::{Engine, Freshness, Key, Value};
use strata_cache_core::error::{Error, ErrorKind, Result};

use super::done::spent;
use super::load::{LoadError, Loading, Sharing};
use super::opening::Started;
use super::terms::Said;
use crate::driver::{
    Answer, Boxed, InPlace, Kind, Load, LoadTerms, Loader, Run as Running, SharedError, detached, refresh,
};

/// How a load is begun. The first look of all comes before anything is made.
pub(crate) trait Begin<K: Key, V: Value> {
    /// The value, where one look tells it. Counted, if so; `None` says nothing.
    fn glance(&self) -> Option<V>;

    /// Looks in full; where the value is not there, the terms of its load.
    fn begin(self, said: &Said<'_>, has_background: bool) -> Result<Started<K, V>>;

    /// What goes along with a run that outlives the call.
    fn along(run: Running) -> Running;
}

/// Between what the loader gives (`U`), what the store holds (`V`) and what callers get (`T`).
pub(crate) trait Convert<U, V, T> {
    fn store(value: U) -> V;
    fn serve(value: V) -> Result<T>;
}

/// A loader's run: an [`AsyncLoader`] or a [`SyncLoader`].
pub trait Runs: Future {
    #[doc(hidden)]
    const IS_ASYNC: bool;
}

/// A run that has brought a value as it is stored, or an error for those who may share it.
type Quiet<V> = Pin<Box<dyn Future<Output = Result<V, Option<SharedError>>> + Send>>;

/// Where a loader's own error is put for the call.
type Slot<E> = Arc<Mutex<Option<E>>>;

/// Makes a run quiet, whose error goes to a slot.
type Quieten<R, U, E, V> = fn(R, Option<Sharing<E>>, Slot<E>, fn(U) -> V) -> Quiet<V>;

/// How a loader is taken along to where nobody waits for it.
#[doc(hidden)]
#[derive(Debug)]
pub struct SendOff<R, U, E, V> {
    quiet: Quieten<R, U, E, V>,
    stored: fn(U) -> V,
}

/// Says so, in a word.
#[doc(hidden)]
pub(super) type SendsOff<R, U, E, V> = fn() -> SendOff<R, U, E, V>;

impl<R, U, E, V> Clone for SendOff<R, U, E, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<R, U, E, V> Copy for SendOff<R, U, E, V> {}

impl<R, U: 'static, E, V: 'static> SendOff<R, U, E, V> {
    pub(super) fn new(stored: fn(U) -> V) -> Self
    where
        R: Runs<Output = Result<U, E>> + Send + 'static,
        E: Send + 'static,
    {
        Self { quiet: quieten, stored }
    }

    fn quiet(self, run: R, sharing: Option<Sharing<E>>, slot: &Slot<E>) -> InPlace<Quiet<V>> {
        InPlace::Here { future: (self.quiet)(run, sharing, Arc::clone(slot), self.stored) }
    }
}

fn quieten<R, U, E, V>(run: R, sharing: Option<Sharing<E>>, slot: Slot<E>, stored: fn(U) -> V) -> Quiet<V>
where
    R: Runs<Output = Result<U, E>> + Send + 'static,
    U: 'static,
    E: Send + 'static,
    V: 'static,
{
    Box::pin(Quietly { run, sharing, slot, stored })
}

pin_project! {
    /// A run whose error goes to a slot.
    struct Quietly<R, U, E, V> {
        #[pin]
        run: R,
        sharing: Option<Sharing<E>>,
        slot: Slot<E>,
        stored: fn(U) -> V,
    }
}

impl<R: Future<Output = Result<U, E>>, U, E, V> Future for Quietly<R, U, E, V> {
    type Output = Result<V, Option<SharedError>>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        Poll::Ready(match ready!(this.run.poll(context)) {
            Ok(value) => Ok((this.stored)(value)),
            Err(error) => {
                let shared = this.sharing.as_ref().map(|sharing| (sharing.share)(&error));
                *this.slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                Err(shared)
            }
        })
    }
}

/// How the outcome of such a run is read.
struct QuietLoader {
    /// Whether an error that somebody shares is of the call's own type.
    knows: Option<fn(&SharedError) -> bool>,
}

impl<V> Loader<V> for QuietLoader {
    type Output = Result<V, Option<SharedError>>;
    type Error = Option<SharedError>;

    fn split(&self, output: Self::Output) -> Result<V, Option<SharedError>> {
        output
    }

    fn share(&self, error: &Option<SharedError>) -> Option<SharedError> {
        error.clone()
    }

    fn unshare(&self, shared: &SharedError) -> Option<Option<SharedError>> {
        self.knows.is_some_and(|knows| knows(shared)).then(|| Some(Arc::clone(shared)))
    }
}

/// A load of one key. `B` looks for the first time, `F` makes the loader's run `R`, `C` converts.
pub(crate) struct KeyedLoad<U, E, T, K: Key, V: Value, C, B, F, R: Future<Output = Result<U, E>>> {
    stage: Stage<U, E, T, K, V, C, B, F, R>,
    // A word each, so that a hit has little to make and to move.
    sharing: Option<fn() -> Sharing<E>>,
    off: Option<SendsOff<R, U, E, V>>,
}

type Types<U, T, C, R> = PhantomData<fn(U, C) -> (T, R)>;

enum Stage<U, E, T, K: Key, V: Value, C, B, F, R: Future<Output = Result<U, E>>> {
    New {
        begin: B,
        loader: F,
        types: Types<U, T, C, R>,
    },
    /// Boxed, and both kinds together, so that a hit, which never gets here, moves little and has little to drop.
    #[expect(clippy::type_complexity, reason = "every parameter is named where it is bound")]
    Loading(Box<Loads<U, E, T, K, V, C, F, R>>),
    /// Nanoseconds that the value which was served is past its time, and one more; 0 if it is fresh.
    Done(u64),
}

#[expect(clippy::type_complexity, reason = "every parameter is named where it is bound")]
#[expect(clippy::large_enum_variant, reason = "it is boxed, and the larger kind is the usual one")]
enum Loads<U, E, T, K: Key, V: Value, C, F, R: Future<Output = Result<U, E>>> {
    Here {
        load: Load<K, V, Run<U, E, T, C>, Boxed<F, R>>,
        look_up: Weak<Engine>,
    },
    /// It goes on without the call, or may.
    Sent(Sent<E, V>),
}

struct Sent<E, V> {
    answer: Pin<Box<dyn Future<Output = Answer<V, Option<SharedError>>> + Send>>,
    slot: Slot<E>,
    look_up: Weak<Engine>,
}

impl<U, E, T, K, V, C, B, F, R> KeyedLoad<U, E, T, K, V, C, B, F, R>
where
    U: 'static,
    K: Key,
    V: Value,
    C: Convert<U, V, T>,
    B: Begin<K, V>,
    R: Runs<Output = Result<U, E>> + From<F>,
{
    #[inline]
    pub(crate) fn new(_: C, begin: B, loader: F) -> Self {
        let stage = Stage::New { begin, loader, types: PhantomData };
        Self { stage, sharing: None, off: None }
    }

    fn begin(&mut self, said: &Said<'_>) -> Result<Option<T>> {
        let Stage::New { begin, loader, .. } = std::mem::replace(&mut self.stage, Stage::Done(0)) else {
            return Ok(None);
        };
        let (sharing, off) = (self.sharing.map(|sharing| sharing()), self.off.map(|off| off()));
        match (begin.begin(said, off.is_some())?, off) {
            (Started::Served(value, freshness), _) => self.serve(value, freshness).map(Some),
            (Started::Renewing(value, freshness, terms, node), off) => {
                if let Some(off) = off {
                    let knows = sharing.map(|sharing| sharing.knows);
                    let make =
                        || (QuietLoader { knows }, off.quiet(R::from(loader), sharing, &Slot::default()));
                    let kind = if R::IS_ASYNC { Kind::Async } else { Kind::Sync };
                    refresh(terms, node, kind, make, B::along);
                }
                self.serve(value, freshness).map(Some)
            }
            (Started::Miss(terms), Some(off)) => {
                let (slot, look_up) = (Slot::default(), Arc::downgrade(&terms.engine));
                let knows = sharing.map(|sharing| sharing.knows);
                let body = off.quiet(R::from(loader), sharing, &slot);
                let answer = send(terms, QuietLoader { knows }, body, B::along, R::IS_ASYNC);
                self.stage = Stage::Loading(Box::new(Loads::Sent(Sent { answer, slot, look_up })));
                Ok(None)
            }
            (Started::Miss(terms), None) => {
                let look_up = Arc::downgrade(&terms.engine);
                let run = Run { sharing, types: PhantomData };
                let load = Load::new(terms, run, Boxed::New(loader));
                self.stage = Stage::Loading(Box::new(Loads::Here { load, look_up }));
                Ok(None)
            }
        }
    }

    fn serve(&mut self, value: V, freshness: Freshness) -> Result<T> {
        if let Freshness::Stale(past) = freshness {
            // A value can be past its time by nothing.
            self.stage = Stage::Done(u64::try_from(past.as_nanos()).unwrap_or(u64::MAX).saturating_add(1));
        }
        C::serve(value)
    }

    /// What became of a load.
    fn answered(&mut self, answer: Answer<V, E>) -> Result<T, LoadError<E>> {
        match answer {
            Answer::Value(value, freshness) => self.serve(value, freshness).map_err(LoadError::Cache),
            Answer::Failed(error) => Err(LoadError::Load(error)),
            Answer::LeaderFailed => Err(LoadError::LeaderFailed),
            Answer::Stalled => Err(LoadError::Cache(
                Error::new(ErrorKind::Stalled, "get_or_load")
                    .because("two loads of this key run past their lease; no third is started"),
            )),
            Answer::Refused(error) => Err(LoadError::Cache(error)),
        }
    }
}

/// An answer of a load that was sent off, whose error is in a slot, or shared.
fn own<V, E>(
    answer: Answer<V, Option<SharedError>>,
    slot: &Slot<E>,
    sharing: Option<&Sharing<E>>,
) -> Answer<V, E> {
    let shared = match answer {
        Answer::Failed(shared) => shared,
        Answer::Value(value, freshness) => return Answer::Value(value, freshness),
        Answer::LeaderFailed => return Answer::LeaderFailed,
        Answer::Stalled => return Answer::Stalled,
        Answer::Refused(error) => return Answer::Refused(error),
    };
    let own = slot.lock().unwrap_or_else(PoisonError::into_inner).take();
    let others = || sharing.and_then(|sharing| (sharing.unshare)(shared.as_ref()?));
    own.or_else(others).map_or(Answer::LeaderFailed, Answer::Failed)
}

/// Drives a load whose loader can be taken along: without its caller, where it may have to go on so.
fn send<K: Key, V: Value>(
    terms: LoadTerms<K, V>,
    loader: QuietLoader,
    body: InPlace<Quiet<V>>,
    along: fn(Running) -> Running,
    is_async: bool,
) -> Pin<Box<dyn Future<Output = Answer<V, Option<SharedError>>> + Send>> {
    let goes_on = terms.care.is_detached || (terms.care.soft.is_some() && terms.has_kept);
    let load = Load::new(terms, loader, body);
    if !goes_on {
        return Box::pin(load);
    }
    Box::pin(detached(load, along, if is_async { Kind::Async } else { Kind::Sync }))
}

impl<U, E, T, K, V, C, B, F, R> Loading for KeyedLoad<U, E, T, K, V, C, B, F, R>
where
    U: 'static,
    K: Key,
    V: Value,
    C: Convert<U, V, T>,
    B: Begin<K, V>,
    R: Runs<Output = Result<U, E>> + From<F>,
{
    type Value = T;
    type Error = E;
    type Loader = R;
    type Loaded = U;
    type Stored = V;

    fn stored(loaded: U) -> V {
        C::store(loaded)
    }

    fn share_with(&mut self, sharing: fn() -> Sharing<E>) {
        self.sharing = Some(sharing);
    }

    fn send_with(&mut self, off: SendsOff<R, U, E, V>) {
        self.off = Some(off);
    }

    #[inline]
    fn glance(&mut self) -> Option<Result<T, LoadError<E>>> {
        let Stage::New { begin, .. } = &self.stage else { return None };
        let value = begin.glance()?;
        // Taken apart, so that only what this stage has is dropped.
        if let Stage::New { begin, loader, .. } = std::mem::replace(&mut self.stage, Stage::Done(0)) {
            drop((begin, loader));
        }
        Some(C::serve(value).map_err(LoadError::Cache))
    }

    fn poll_load(&mut self, said: Said<'_>, context: &mut Context<'_>) -> Poll<Result<T, LoadError<E>>> {
        if matches!(self.stage, Stage::New { .. }) {
            match self.begin(&said) {
                Ok(Some(value)) => return Poll::Ready(Ok(value)),
                Ok(None) => {}
                Err(error) => return Poll::Ready(Err(error.into())),
            }
        }
        let Stage::Loading(loads) = &mut self.stage else {
            return Poll::Ready(Err(spent("get_or_load").into()));
        };
        let answer = match &mut **loads {
            Loads::Here { load, .. } => ready!(Pin::new(load).poll(context)),
            Loads::Sent(sent) => {
                let answer = ready!(sent.answer.as_mut().poll(context));
                own(answer, &sent.slot, self.sharing.map(|sharing| sharing()).as_ref())
            }
        };
        self.stage = Stage::Done(0);
        Poll::Ready(self.answered(answer))
    }

    fn freshness(&self) -> Freshness {
        let Stage::Done(past) = self.stage else { return Freshness::Fresh };
        past.checked_sub(1).map_or(Freshness::Fresh, |past| Freshness::Stale(Duration::from_nanos(past)))
    }

    fn look_up(&self) {
        let Stage::Loading(loads) = &self.stage else { return };
        let (Loads::Here { look_up: engine, .. } | Loads::Sent(Sent { look_up: engine, .. })) = &**loads;
        if let Some(engine) = engine.upgrade() {
            engine.look_after_waiters();
        }
    }
}

/// How the outcome, a `Result`, of a loader is read.
struct Run<U, E, T, C> {
    sharing: Option<Sharing<E>>,
    types: PhantomData<fn(U, C) -> T>,
}

impl<U, E, T, V, C: Convert<U, V, T>> Loader<V> for Run<U, E, T, C> {
    type Output = Result<U, E>;
    type Error = E;

    fn split(&self, output: Result<U, E>) -> Result<V, E> {
        output.map(C::store)
    }

    fn share(&self, error: &E) -> Option<SharedError> {
        self.sharing.as_ref().map(|sharing| (sharing.share)(error))
    }

    fn unshare(&self, shared: &SharedError) -> Option<E> {
        self.sharing.as_ref().and_then(|sharing| (sharing.unshare)(shared))
    }
}

pin_project! {
    /// An async loader, which is called at the first poll of its run.
    #[derive(Debug)]
    pub struct AsyncLoader<F, R> {
        #[pin]
        stage: Lazy<F, R>,
    }
}

pin_project! {
    #[derive(Debug)]
    #[project = LazyStage]
    enum Lazy<F, R> {
        Uncalled { loader: Option<F> },
        Running { #[pin] future: R },
    }
}

impl<F, R> From<F> for AsyncLoader<F, R> {
    fn from(loader: F) -> Self {
        Self { stage: Lazy::Uncalled { loader: Some(loader) } }
    }
}

impl<F: FnOnce() -> R, R: Future> Runs for AsyncLoader<F, R> {
    const IS_ASYNC: bool = true;
}

impl<F: FnOnce() -> R, R: Future> Future for AsyncLoader<F, R> {
    type Output = R::Output;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<R::Output> {
        let mut stage = self.project().stage;
        loop {
            match stage.as_mut().project() {
                LazyStage::Uncalled { loader } => match loader.take() {
                    Some(loader) => stage.set(Lazy::Running { future: loader() }),
                    None => return Poll::Pending, // The loader panicked before it gave a future.
                },
                LazyStage::Running { future } => return future.poll(context),
            }
        }
    }
}

/// A sync loader, whose run is over at its first poll.
#[derive(Debug)]
pub struct SyncLoader<F>(Option<F>);

impl<F> From<F> for SyncLoader<F> {
    fn from(loader: F) -> Self {
        Self(Some(loader))
    }
}

impl<T, F: FnOnce() -> T> Runs for SyncLoader<F> {
    const IS_ASYNC: bool = false;
}

// The function is called by value, never pinned.
impl<F> Unpin for SyncLoader<F> {}

impl<T, F: FnOnce() -> T> Future for SyncLoader<F> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<T> {
        self.0.take().map_or(Poll::Pending, |loader| Poll::Ready(loader()))
    }
}
