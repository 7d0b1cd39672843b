//! Makes the database: a real SQLite file in a folder of its own, filled with everybody in [`World`].

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};
use std::{env, fs, process};

use rusqlite::{Connection, params};

use crate::facts::{ACTIONS, Fact, ROLES, SECTIONS, World};
use crate::progress::Progress;

const SCHEMA: &str = "
    CREATE TABLE organisations (org_id INTEGER PRIMARY KEY, name TEXT NOT NULL);
    CREATE TABLE users (org_id INTEGER NOT NULL, user_id INTEGER NOT NULL, address TEXT NOT NULL,
        version INTEGER NOT NULL, PRIMARY KEY (org_id, user_id)) WITHOUT ROWID;
    CREATE TABLE preferences (org_id INTEGER NOT NULL, user_id INTEGER NOT NULL, section TEXT NOT NULL,
        value TEXT NOT NULL, version INTEGER NOT NULL, PRIMARY KEY (org_id, user_id, section)) WITHOUT ROWID;
    CREATE TABLE orders (org_id INTEGER NOT NULL, user_id INTEGER NOT NULL, number INTEGER NOT NULL,
        cents INTEGER NOT NULL, PRIMARY KEY (org_id, user_id, number)) WITHOUT ROWID;
    CREATE TABLE permissions (org_id INTEGER NOT NULL, role TEXT NOT NULL, action TEXT NOT NULL,
        allowed INTEGER NOT NULL, version INTEGER NOT NULL, PRIMARY KEY (org_id, role, action)) WITHOUT ROWID;";

/// A folder that goes when it is dropped, also after a failure.
#[derive(Debug)]
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// Makes a folder of this process below the system's folder for temporary files.
    pub(crate) fn new() -> std::io::Result<Self> {
        // Process numbers come again, and a process that was killed leaves its folder.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let path = env::temp_dir().join(format!("strata-quickstart-{}-{now}", process::id()));
        fs::create_dir(&path)?;
        Ok(Self(path))
    }

    /// Where the database is.
    pub(crate) fn database(&self) -> PathBuf {
        self.0.join("shop.sqlite")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("could not remove {}: {error}", self.0.display());
        }
    }
}

/// How many rows were made.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Rows {
    pub(crate) users: u64,
    pub(crate) preferences: u64,
    pub(crate) orders: u64,
    pub(crate) permissions: u64,
}

/// Makes the file and fills it in one transaction.
pub(crate) fn make(path: &Path, world: &World) -> rusqlite::Result<Rows> {
    let mut connection = Connection::open(path)?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.execute_batch(SCHEMA)?;
    let progress = Progress::new("making the database", u64::from(world.orgs()));
    let filling = connection.transaction()?;
    let mut rows = Rows::default();
    for org in 1..=world.orgs() {
        fill_org(&filling, org, &mut rows)?;
        for user in 1..=world.users(org) {
            fill_user(&filling, org, user, &mut rows)?;
        }
        progress.add(1);
    }
    filling.commit()?;
    progress.finish();
    Ok(rows)
}

fn fill_org(connection: &Connection, org: u32, rows: &mut Rows) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT INTO organisations VALUES (?1, ?2)")?
        .execute(params![org, format!("Organisation {org}")])?;
    let mut insert = connection.prepare_cached("INSERT INTO permissions VALUES (?1, ?2, ?3, ?4, ?5)")?;
    for (role, role_name) in ROLES.iter().enumerate() {
        let fact = Fact::Permissions { org, role };
        let version = fact.first_version();
        for (action, action_name) in ACTIONS.iter().enumerate() {
            insert.execute(params![org, role_name, action_name, fact.allowed(action, version), version])?;
            rows.permissions += 1;
        }
    }
    Ok(())
}

fn fill_user(connection: &Connection, org: u32, user: u32, rows: &mut Rows) -> rusqlite::Result<()> {
    let profile = Fact::Profile { org, user };
    connection.prepare_cached("INSERT INTO users VALUES (?1, ?2, ?3, ?4)")?.execute(params![
        org,
        user,
        profile.text(profile.first_version()),
        profile.first_version()
    ])?;
    rows.users += 1;

    let mut insert = connection.prepare_cached("INSERT INTO preferences VALUES (?1, ?2, ?3, ?4, ?5)")?;
    for (section, name) in SECTIONS.iter().enumerate() {
        let fact = Fact::Preference { org, user, section };
        let version = fact.first_version();
        insert.execute(params![org, user, name, fact.text(version), version])?;
        rows.preferences += 1;
    }

    let mut insert = connection.prepare_cached("INSERT INTO orders VALUES (?1, ?2, ?3, ?4)")?;
    let fact = Fact::Orders { org, user };
    for number in 1..=fact.first_version() {
        insert.execute(params![org, user, number, fact.cents(number)])?;
        rows.orders += 1;
    }
    Ok(())
}
