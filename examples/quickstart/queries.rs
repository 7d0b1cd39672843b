//! The SQL that answers questions. Tenant, user and version of an answer are read from the row.

use rusqlite::params;

use crate::answers::{Answer, Orders, Permissions, Preference, Profile, Stamp, Turnover};
use crate::database::{Database, DbError};
use crate::facts::{ACTIONS, Fact, ROLES, SECTIONS};

impl Database {
    /// A section of a user's preferences.
    pub(crate) fn preference(&self, org: u32, user: u32, section: &str) -> Result<Preference, DbError> {
        self.query(org, |connection| {
            connection
                .prepare_cached(
                    "SELECT org_id, user_id, section, value, version FROM preferences
                     WHERE org_id = ?1 AND user_id = ?2 AND section = ?3",
                )?
                .query_row(params![org, user, section], |row| {
                    let stamp = Stamp::now(row.get(0)?, row.get(1)?, row.get(4)?);
                    Ok(Preference { stamp, section: row.get(2)?, value: row.get(3)? })
                })
        })
    }

    /// Who a user is.
    pub(crate) fn profile(&self, org: u32, user: u32) -> Result<Profile, DbError> {
        self.query(org, |connection| {
            connection
                .prepare_cached(
                    "SELECT org_id, user_id, address, version FROM users WHERE org_id = ?1 AND user_id = ?2",
                )?
                .query_row(params![org, user], |row| {
                    let stamp = Stamp::now(row.get(0)?, row.get(1)?, row.get(3)?);
                    Ok(Profile { stamp, address: row.get(2)? })
                })
        })
    }

    /// A user's last five orders. Each order adds one, so the newest number is the version.
    pub(crate) fn orders(&self, org: u32, user: u32) -> Result<Orders, DbError> {
        self.query(org, |connection| {
            let mut select = connection.prepare_cached(
                "SELECT org_id, user_id, number, cents FROM orders
                 WHERE org_id = ?1 AND user_id = ?2 ORDER BY number DESC LIMIT 5",
            )?;
            let mut rows = select.query(params![org, user])?;
            let mut orders = Orders { stamp: Stamp::now(0, 0, 0), last: Vec::new() };
            while let Some(row) = rows.next()? {
                if orders.last.is_empty() {
                    orders.stamp = Stamp::now(row.get(0)?, row.get(1)?, row.get(2)?);
                }
                orders.last.push((row.get(2)?, row.get(3)?));
            }
            Ok(orders)
        })
    }

    /// What a role may do.
    pub(crate) fn permissions(&self, org: u32, role: &str) -> Result<Permissions, DbError> {
        self.query(org, |connection| {
            let mut select = connection.prepare_cached(
                "SELECT org_id, role, action, allowed, version FROM permissions
                 WHERE org_id = ?1 AND role = ?2",
            )?;
            let mut rows = select.query(params![org, role])?;
            let stamp = Stamp::now(0, 0, 0);
            let allowed = vec![false; ACTIONS.len()];
            let mut permissions = Permissions { stamp, role: String::new(), allowed };
            while let Some(row) = rows.next()? {
                let action: String = row.get(2)?;
                if let Some(place) = ACTIONS.iter().position(|known| *known == action) {
                    permissions.allowed[place] = row.get(3)?;
                }
                permissions.stamp = Stamp::now(row.get(0)?, 0, row.get(4)?);
                permissions.role = row.get(1)?;
            }
            Ok(permissions)
        })
    }

    /// The cents an organisation took, and its rank among all: a report that reads every order there is.
    pub(crate) fn turnover(&self, org: u32) -> Result<Turnover, DbError> {
        self.query(org, |connection| {
            connection.query_row(
                "WITH taken AS (SELECT o.org_id, SUM(o.cents) AS cents FROM orders AS o
                     JOIN users AS u ON u.org_id = o.org_id AND u.user_id = o.user_id GROUP BY o.org_id)
                 SELECT org_id, cents, 1 + (SELECT COUNT(*) FROM taken AS more WHERE more.cents > mine.cents)
                 FROM taken AS mine WHERE org_id = ?1",
                [org],
                |row| Ok(Turnover { org: row.get(0)?, cents: row.get(1)?, rank: row.get(2)? }),
            )
        })
    }

    /// Answers a question directly, whatever it is about.
    pub(crate) fn query_for(&self, fact: Fact) -> Result<Answer, DbError> {
        Ok(match fact {
            Fact::Preference { org, user, section } => self.preference(org, user, SECTIONS[section])?.into(),
            Fact::Profile { org, user } => self.profile(org, user)?.into(),
            Fact::Orders { org, user } => self.orders(org, user)?.into(),
            Fact::Permissions { org, role } => self.permissions(org, ROLES[role])?.into(),
        })
    }
}
