//! The database as the service sees it: a few readers, one writer, and an exact count of the SQL run.
//!
//! (1) A query is counted once, when it has been answered, for its organisation. (2) Versions are given out and
//! committed by the one who holds the pen, so that they rise in the order of the commits.

use std::fmt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Instant;

use rusqlite::{Connection, OpenFlags};

use crate::histogram::Histogram;
use crate::pen::Pen;

const READERS: usize = 4;

/// What SQLite said, in a form that many waiters can share.
#[derive(Debug, Clone)]
pub(crate) struct DbError(Arc<rusqlite::Error>);

impl fmt::Display for DbError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "database: {}", self.0)
    }
}

impl std::error::Error for DbError {}

impl From<rusqlite::Error> for DbError {
    fn from(error: rusqlite::Error) -> Self {
        Self(Arc::new(error))
    }
}

/// A handle to the database; clones share it.
#[derive(Clone)]
pub(crate) struct Database(Arc<Inner>);

struct Inner {
    readers: Mutex<Vec<Connection>>,
    returned: Condvar,
    writer: Mutex<Connection>,
    queries: AtomicU64,
    queries_of: Vec<AtomicU64>,
    times: Histogram,
}

impl Database {
    /// Opens the readers and the writer.
    pub(crate) fn open(path: &Path, orgs: u32) -> Result<Self, DbError> {
        let mut readers = Vec::new();
        for _ in 0..READERS {
            readers.push(Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?);
        }
        let writer = Connection::open(path)?;
        writer.pragma_update(None, "synchronous", "NORMAL")?;
        Ok(Self(Arc::new(Inner {
            readers: Mutex::new(readers),
            returned: Condvar::new(),
            writer: Mutex::new(writer),
            queries: AtomicU64::new(0),
            queries_of: (0..=orgs).map(|_| AtomicU64::new(0)).collect(),
            times: Histogram::new(),
        })))
    }

    /// How many queries were answered.
    pub(crate) fn queries(&self) -> u64 {
        self.0.queries.load(Ordering::Acquire)
    }

    /// How many queries were answered for an organisation.
    pub(crate) fn queries_of(&self, org: u32) -> u64 {
        self.0.queries_of[org as usize].load(Ordering::Acquire)
    }

    /// How long the queries took, the wait for a reader included.
    pub(crate) fn times(&self) -> &Histogram {
        &self.0.times
    }

    /// Runs a query where it may block, for a task.
    pub(crate) async fn blocking<R: Send + 'static>(
        &self,
        query: impl FnOnce(&Self) -> Result<R, DbError> + Send + 'static,
    ) -> Result<R, DbError> {
        let database = self.clone();
        match tokio::task::spawn_blocking(move || query(&database)).await {
            Ok(answer) => answer,
            Err(stopped) => Err(DbError(Arc::new(rusqlite::Error::ToSqlConversionFailure(stopped.into())))),
        }
    }

    /// Waits for the only pen.
    pub(crate) fn pen(&self) -> Pen<'_> {
        Pen::new(self.0.writer.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Runs a query on one of the readers, once there is one.
    pub(crate) fn query<R>(
        &self,
        org: u32,
        ask: impl FnOnce(&Connection) -> rusqlite::Result<R>,
    ) -> Result<R, DbError> {
        let started = Instant::now();
        let reader = self.reader();
        let answer = ask(&reader);
        self.0.readers.lock().unwrap_or_else(PoisonError::into_inner).push(reader);
        self.0.returned.notify_one();
        self.0.queries.fetch_add(1, Ordering::AcqRel);
        self.0.queries_of[org as usize].fetch_add(1, Ordering::AcqRel);
        self.0.times.record(started.elapsed());
        Ok(answer?)
    }

    fn reader(&self) -> Connection {
        let mut readers = self.0.readers.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(reader) = readers.pop() {
                return reader;
            }
            readers = self.0.returned.wait(readers).unwrap_or_else(PoisonError::into_inner);
        }
    }
}
