//! The truth checker: what the cache owes to every reader, kept apart from the cache and from the database.
//!
//! A *debt* of a fact is the oldest version that may still be served: the version that was committed when the last
//! completed invalidation of the fact began. A reader notes the debt *before* it asks and checks the answer
//! against it: (1) the answer carries the tenant and user that were asked for; (2) it is not older than the debt;
//! (3) it is not newer than what a writer has begun to write; (4) its contents are those of its version, whole.
//! (5) Debts only rise: with two invalidations of a fact at a time the later version stands.

use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::answers::Answer;
use crate::facts::{ACTIONS, Fact, ROLES, SECTIONS, World};

#[cfg(test)]
mod tests;

const EXAMPLES: usize = 4;

/// What was wrong with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It belongs to another organisation or user, or to another question.
    Foreign,
    /// It is older than the last completed invalidation.
    Stale,
    /// Its contents are not those of its version, or the version does not exist yet.
    Wrong,
}

/// How many answers were checked, and what was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) checked: u64,
    pub(crate) foreign: u64,
    pub(crate) stale: u64,
    pub(crate) wrong: u64,
    pub(crate) examples: Vec<String>,
}

impl Verdict {
    /// Whether nothing was found.
    pub(crate) fn is_clean(&self) -> bool {
        self.foreign + self.stale + self.wrong == 0
    }
}

/// What each fact's answers are checked against.
pub(crate) struct Truth {
    world: World,
    rows: Vec<Row>,
    checked: AtomicU64,
    faults: [AtomicU64; 3],
    examples: Mutex<Vec<String>>,
}

struct Row {
    begun: AtomicU32,
    committed: AtomicU32,
    debt: AtomicU32,
}

/// Versions that were committed before an invalidation began; they become debts when it has finished.
#[must_use]
pub(crate) struct Promise {
    first: usize,
    versions: Vec<u32>,
}

impl Truth {
    /// The truth of a fresh database.
    pub(crate) fn new(world: World) -> Self {
        let rows = world.all().map(|fact| {
            let fresh = || AtomicU32::new(fact.first_version());
            Row { begun: fresh(), committed: fresh(), debt: fresh() }
        });
        let rows = rows.collect();
        Self {
            world,
            rows,
            checked: AtomicU64::new(0),
            faults: [const { AtomicU64::new(0) }; 3],
            examples: Mutex::default(),
        }
    }

    /// Who exists.
    pub(crate) fn world(&self) -> &World {
        &self.world
    }

    /// Gives a fact its next version. For the holder of the pen, before it writes.
    pub(crate) fn begin(&self, fact: Fact) -> u32 {
        let row = self.row(fact);
        let version = row.committed.load(Ordering::Acquire) + 1;
        row.begun.store(version, Ordering::Release);
        version
    }

    /// Notes that versions were committed. For the holder of the pen, before it lets go.
    pub(crate) fn commit(&self, changes: &[(Fact, u32)]) {
        for (fact, version) in changes {
            self.row(*fact).committed.store(*version, Ordering::Release);
        }
    }

    /// Notes what is committed of facts that are about to be invalidated, by their places in the world.
    pub(crate) fn promise(&self, facts: Range<usize>) -> Promise {
        let versions = self.rows[facts.clone()].iter().map(|row| row.committed.load(Ordering::Acquire));
        Promise { first: facts.start, versions: versions.collect() }
    }

    /// Turns a promise into debts: the invalidation has returned, nothing older may be served from now on.
    pub(crate) fn owe(&self, promise: Promise) {
        for (row, version) in self.rows[promise.first..].iter().zip(promise.versions) {
            row.debt.fetch_max(version, Ordering::AcqRel);
        }
    }

    /// The oldest version of a fact that may be served to a reader who asks from now on.
    pub(crate) fn debt(&self, fact: Fact) -> u32 {
        self.row(fact).debt.load(Ordering::Acquire)
    }

    /// Checks an answer to a reader who had noted the debt before asking.
    pub(crate) fn check(&self, fact: Fact, debt: u32, answer: &Answer) -> Result<(), Fault> {
        self.checked.fetch_add(1, Ordering::Relaxed);
        let found = self.judge(fact, debt, answer);
        if let Err(fault) = found {
            self.note(
                fault,
                format_args!("{fault:?}: asked for {fact:?} of version {debt} or later, got {answer:?}"),
            );
        }
        found
    }

    /// Counts a fault and keeps the first few in words.
    pub(crate) fn note(&self, fault: Fault, words: fmt::Arguments<'_>) {
        self.faults[fault as usize].fetch_add(1, Ordering::Relaxed);
        let mut examples = self.examples.lock().unwrap_or_else(PoisonError::into_inner);
        if examples.len() < EXAMPLES {
            examples.push(words.to_string());
        }
    }

    /// What was found so far.
    pub(crate) fn verdict(&self) -> Verdict {
        let count = |fault: Fault| self.faults[fault as usize].load(Ordering::Relaxed);
        Verdict {
            checked: self.checked.load(Ordering::Relaxed),
            foreign: count(Fault::Foreign),
            stale: count(Fault::Stale),
            wrong: count(Fault::Wrong),
            examples: self.examples.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    fn judge(&self, fact: Fact, debt: u32, answer: &Answer) -> Result<(), Fault> {
        let stamp = answer.stamp();
        if !belongs(fact, answer) {
            return Err(Fault::Foreign);
        }
        if stamp.version < debt {
            return Err(Fault::Stale);
        }
        let begun = self.row(fact).begun.load(Ordering::Acquire);
        if stamp.version > begun || !is_whole(fact, answer) { Err(Fault::Wrong) } else { Ok(()) }
    }

    fn row(&self, fact: Fact) -> &Row {
        &self.rows[self.world.index(fact)]
    }
}

/// Whether the row that was read is the one that was asked for.
fn belongs(fact: Fact, answer: &Answer) -> bool {
    let stamp = answer.stamp();
    let (org, user, same) = match (fact, answer) {
        (Fact::Preference { org, user, section }, Answer::Preference(row)) => {
            (org, user, row.section == SECTIONS[section])
        }
        (Fact::Profile { org, user }, Answer::Profile(_)) => (org, user, true),
        (Fact::Orders { org, user }, Answer::Orders(_)) => (org, user, true),
        (Fact::Permissions { org, role }, Answer::Permissions(rows)) => (org, 0, rows.role == ROLES[role]),
        _ => return false,
    };
    same && stamp.org == org && stamp.user == user
}

/// Whether the contents are those of the version.
fn is_whole(fact: Fact, answer: &Answer) -> bool {
    let version = answer.stamp().version;
    match answer {
        Answer::Preference(row) => row.value == fact.text(version),
        Answer::Profile(row) => row.address == fact.text(version),
        Answer::Orders(rows) => {
            let numbers = (1..=version).rev().take(5);
            rows.last.iter().copied().eq(numbers.map(|number| (number, fact.cents(number))))
        }
        Answer::Permissions(rows) => {
            (0..ACTIONS.len()).all(|action| rows.allowed[action] == fact.allowed(action, version))
        }
    }
}
