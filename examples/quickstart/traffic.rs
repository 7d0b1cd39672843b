//! The traffic: threads and tasks that ask, writers that change what was asked for, all at once.
//!
//! Every answer is checked. One write is due for every [`WRITE_EVERY`] questions; writers change the database, tell
//! the service, and only when it has returned does the truth hold readers to the change.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::answers::Answer;
use crate::database::Database;
use crate::facts::Fact;
use crate::histogram::Histogram;
use crate::progress::Progress;
use crate::service::{Failure, Service};
use crate::stream::{Random, Side, Stream};
use crate::truth::Truth;
use crate::writers::Writer;

/// Threads that ask.
pub(crate) const THREADS: u64 = 4;
/// Tasks that ask.
pub(crate) const TASKS: u64 = 64;
/// Threads that write.
pub(crate) const WRITERS: u64 = 2;
const WRITE_EVERY: u64 = 50;
const REPORT_EVERY: u64 = 250;

/// What the traffic came to.
pub(crate) struct Served {
    pub(crate) requests: u64,
    pub(crate) writes: u64,
    pub(crate) took: Duration,
    /// Times of requests answered with what had been read before they were made.
    pub(crate) hits: Histogram,
    /// Times of requests for which something was read.
    pub(crate) loads: Histogram,
}

struct Traffic<S> {
    service: Arc<S>,
    truth: Arc<Truth>,
    stream: Stream,
    progress: Progress,
    hits: Histogram,
    loads: Histogram,
    seed: u64,
}

/// Runs so many requests, half from threads and half from tasks. Ends when all were answered and all writes done.
pub(crate) fn run<S: Service>(
    service: &Arc<S>,
    truth: &Arc<Truth>,
    database: &Database,
    runtime: &Runtime,
    (requests, seed): (u64, u64),
) -> Result<Served, Failure> {
    let traffic = Arc::new(Traffic {
        service: service.clone(),
        truth: truth.clone(),
        stream: Stream::new(truth.world()),
        progress: Progress::new("serving requests", requests),
        hits: Histogram::new(),
        loads: Histogram::new(),
        seed,
    });
    let (of_thread, of_task) = (requests / 2 / THREADS, requests / 2 / TASKS);
    let (due, dues) = channel();
    let (dues, writes) = (Mutex::new(dues), AtomicU64::new(0));
    let started = Instant::now();
    thread::scope(|scope| {
        let mut workers = Vec::new();
        for worker in 0..WRITERS {
            let (traffic, dues, writes) = (&traffic, &dues, &writes);
            workers.push(scope.spawn(move || traffic.write(worker, database, dues, writes)));
        }
        for worker in 0..THREADS {
            let (traffic, due) = (&traffic, due.clone());
            workers.push(scope.spawn(move || traffic.ask(WRITERS + worker, of_thread, &due)));
        }
        let mut tasks = JoinSet::new();
        for task in 0..TASKS {
            let (traffic, due) = (traffic.clone(), due.clone());
            let asking = async move { traffic.ask_task(WRITERS + THREADS + task, of_task, &due).await };
            tasks.spawn_on(asking, runtime.handle());
        }
        drop(due);
        let asked = runtime.block_on(tasks.join_all());
        let joined = workers.into_iter().map(|worker| worker.join().map_err(|_| "a worker panicked")?);
        asked.into_iter().chain(joined).collect::<Result<(), Failure>>()
    })?;
    let took = started.elapsed();
    let traffic = Arc::into_inner(traffic).ok_or("the traffic is still running")?;
    traffic.progress.finish();
    let requests = of_thread * THREADS + of_task * TASKS;
    Ok(Served { requests, writes: writes.into_inner(), took, hits: traffic.hits, loads: traffic.loads })
}

impl<S: Service> Traffic<S> {
    fn ask(&self, worker: u64, requests: u64, due: &Sender<()>) -> Result<(), Failure> {
        let mut asked = Asked::new(self, worker);
        for _ in 0..requests {
            let (fact, debt) = asked.next(Side::Thread);
            let started = Instant::now();
            let answer = self.service.answer(fact)?;
            asked.check(fact, debt, started, &answer, due);
        }
        Ok(())
    }

    async fn ask_task(&self, worker: u64, requests: u64, due: &Sender<()>) -> Result<(), Failure> {
        let mut asked = Asked::new(self, worker);
        for _ in 0..requests {
            let (fact, debt) = asked.next(Side::Task);
            let started = Instant::now();
            let answer = self.service.answer_task(fact).await?;
            asked.check(fact, debt, started, &answer, due);
            if asked.count.is_multiple_of(REPORT_EVERY) {
                tokio::task::yield_now().await;
            }
        }
        Ok(())
    }

    fn write(
        &self,
        worker: u64,
        database: &Database,
        dues: &Mutex<Receiver<()>>,
        writes: &AtomicU64,
    ) -> Result<(), Failure> {
        let mut writer = Writer::new(&*self.service, &self.truth, database);
        let mut random = Random::new(self.seed, worker);
        while dues.lock().unwrap_or_else(PoisonError::into_inner).recv().is_ok() {
            let fact = self.stream.draw(self.truth.world(), &mut random, Side::Any);
            writer.write(fact)?;
            writes.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// One worker's questions; times are kept apart until the end, so that workers do not meet in a counter.
struct Asked<'a, S> {
    traffic: &'a Traffic<S>,
    random: Random,
    hits: Histogram,
    loads: Histogram,
    count: u64,
}

impl<'a, S> Asked<'a, S> {
    fn new(traffic: &'a Traffic<S>, worker: u64) -> Self {
        let random = Random::new(traffic.seed, worker);
        Self { traffic, random, hits: Histogram::new(), loads: Histogram::new(), count: 0 }
    }

    /// The next question, and what the answer must not fall behind.
    fn next(&mut self, side: Side) -> (Fact, u32) {
        let truth = &self.traffic.truth;
        let fact = self.traffic.stream.draw(truth.world(), &mut self.random, side);
        (fact, truth.debt(fact))
    }

    fn check(&mut self, fact: Fact, debt: u32, started: Instant, answer: &Answer, due: &Sender<()>) {
        let took = started.elapsed();
        let times = if answer.stamp().read <= started { &self.hits } else { &self.loads };
        times.record(took);
        // What is wrong is counted there, and shown at the end.
        let _ = self.traffic.truth.check(fact, debt, answer);
        self.count += 1;
        if self.count.is_multiple_of(WRITE_EVERY) {
            // Writers that failed are gone; their error is reported when they are joined.
            let _ = due.send(());
        }
        if self.count.is_multiple_of(REPORT_EVERY) {
            self.traffic.progress.add(REPORT_EVERY);
        }
    }
}

impl<S> Drop for Asked<'_, S> {
    fn drop(&mut self) {
        self.traffic.hits.absorb(&self.hits);
        self.traffic.loads.absorb(&self.loads);
    }
}
