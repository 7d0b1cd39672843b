//! Caches as they are made by hand, each with one well-known mistake. They are here so that the truth checker can be
//! seen to fail: `cargo run --release --example quickstart -- --rival flat-keys` (or another name) exits 1.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::answers::Answer;
use crate::database::Database;
use crate::facts::{Fact, SECTIONS};
use crate::service::{Failure, Service};

/// The mistake in a hand-made cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// The tenant is not part of the key of what belongs to a user.
    FlatKeys,
    /// A load that began before an invalidation stores what it read all the same.
    NoFences,
    /// Somebody forgot to invalidate.
    NoInvalidation,
}

impl Flaw {
    /// All flaws, by the name they have on the command line.
    pub(crate) const NAMES: [(&str, Self); 3] = [
        ("flat-keys", Self::FlatKeys),
        ("no-fences", Self::NoFences),
        ("no-invalidation", Self::NoInvalidation),
    ];
}

/// A map under a lock, with text keys.
pub(crate) struct HandMade {
    database: Database,
    entries: Mutex<HashMap<String, Answer>>,
    flaw: Flaw,
}

impl HandMade {
    /// An empty cache with a flaw.
    pub(crate) fn new(database: Database, flaw: Flaw) -> Self {
        Self { database, entries: Mutex::default(), flaw }
    }

    fn entries(&self) -> MutexGuard<'_, HashMap<String, Answer>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn key(&self, fact: Fact) -> String {
        let tenant = if self.flaw == Flaw::FlatKeys { String::new() } else { format!("org:{}:", fact.org()) };
        match fact {
            Fact::Preference { user, section, .. } => format!("{tenant}user:{user}:{}", SECTIONS[section]),
            Fact::Profile { user, .. } => format!("{tenant}user:{user}:profile"),
            Fact::Orders { user, .. } => format!("{tenant}user:{user}:orders"),
            Fact::Permissions { org, role } => format!("org:{org}:role:{role}"),
        }
    }

    fn forget(&self, goes: impl Fn(&str) -> bool) -> Result<(), Failure> {
        if self.flaw != Flaw::NoInvalidation {
            self.entries().retain(|key, _| !goes(key));
        }
        Ok(())
    }
}

impl Service for HandMade {
    fn answer(&self, fact: Fact) -> Result<Answer, Failure> {
        let key = self.key(fact);
        if let Some(answer) = self.entries().get(&key) {
            return Ok(answer.clone());
        }
        let answer = self.database.query_for(fact)?;
        self.entries().insert(key, answer.clone());
        Ok(answer)
    }

    async fn answer_task(&self, fact: Fact) -> Result<Answer, Failure> {
        let key = self.key(fact);
        let found = self.entries().get(&key).cloned();
        if let Some(answer) = found {
            return Ok(answer);
        }
        let answer = self.database.blocking(move |database| database.query_for(fact)).await?;
        self.entries().insert(key, answer.clone());
        Ok(answer)
    }

    fn changed(&self, fact: Fact) -> Result<(), Failure> {
        if self.flaw != Flaw::NoInvalidation {
            self.entries().remove(&self.key(fact));
        }
        Ok(())
    }

    fn user_changed(&self, org: u32, user: u32) -> Result<(), Failure> {
        let flat = format!("user:{user}:");
        let prefix = format!("org:{org}:user:{user}:");
        self.forget(|key| key.starts_with(&prefix) || key.starts_with(&flat))
    }

    fn org_changed(&self, org: u32) -> Result<(), Failure> {
        let prefix = format!("org:{org}:");
        self.forget(|key| key.starts_with(&prefix) || key.starts_with("user:"))
    }
}
