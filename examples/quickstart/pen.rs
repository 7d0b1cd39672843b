//! The right to write: one transaction at a time, versions in the order of the commits.

use std::sync::MutexGuard;

use rusqlite::{Connection, TransactionBehavior, params};

use crate::database::DbError;
use crate::facts::{ACTIONS, Fact, ROLES, SECTIONS};

/// The only writer's connection. While it is held nobody else commits.
pub(crate) struct Pen<'a>(MutexGuard<'a, Connection>);

impl<'a> Pen<'a> {
    /// Takes the pen.
    pub(crate) fn new(connection: MutexGuard<'a, Connection>) -> Self {
        Self(connection)
    }

    /// Brings facts to their next versions, all or none.
    pub(crate) fn write(&mut self, changes: &[(Fact, u32)]) -> Result<(), DbError> {
        let transaction = self.0.transaction_with_behavior(TransactionBehavior::Immediate)?;
        for (fact, version) in changes {
            change(&transaction, *fact, *version)?;
        }
        transaction.commit()?;
        Ok(())
    }
}

fn change(connection: &Connection, fact: Fact, version: u32) -> rusqlite::Result<()> {
    match fact {
        Fact::Preference { org, user, section } => {
            connection
                .prepare_cached(
                    "UPDATE preferences SET value = ?4, version = ?5
                     WHERE org_id = ?1 AND user_id = ?2 AND section = ?3",
                )?
                .execute(params![org, user, SECTIONS[section], fact.text(version), version])?;
        }
        Fact::Profile { org, user } => {
            connection
                .prepare_cached(
                    "UPDATE users SET address = ?3, version = ?4 WHERE org_id = ?1 AND user_id = ?2",
                )?
                .execute(params![org, user, fact.text(version), version])?;
        }
        Fact::Orders { org, user } => {
            connection.prepare_cached("INSERT INTO orders VALUES (?1, ?2, ?3, ?4)")?.execute(params![
                org,
                user,
                version,
                fact.cents(version)
            ])?;
        }
        Fact::Permissions { org, role } => {
            let mut update = connection.prepare_cached(
                "UPDATE permissions SET allowed = ?4, version = ?5
                 WHERE org_id = ?1 AND role = ?2 AND action = ?3",
            )?;
            for (place, action) in ACTIONS.iter().enumerate() {
                update.execute(params![org, ROLES[role], action, fact.allowed(place, version), version])?;
            }
        }
    }
    Ok(())
}
