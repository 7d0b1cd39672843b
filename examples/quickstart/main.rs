//! Quickstart: strata-cache in front of a real SQLite database of 200 organisations, with every answer checked.
//!
//! `cargo run --release --example quickstart` makes the database in a temporary folder, serves a skewed stream of
//! requests from threads and tasks while writers update rows and invalidate, and shows one promise after the other.
//! The last line is `quickstart: ok`; anything that is not the truth makes it exit 1. What the cache does is in
//! `shop.rs`; how it is checked is in `truth.rs`; how the checker itself is checked is in `rivals.rs`.
#![allow(clippy::print_stdout, reason = "a program talks to its user")]

mod acts;
mod answers;
mod audit;
mod data;
mod database;
mod facts;
mod histogram;
mod noisy;
mod options;
mod overtaken;
mod pen;
mod progress;
mod queries;
mod report;
mod rivals;
mod service;
mod shop;
mod stream;
mod traffic;
mod truth;
mod writers;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use tokio::runtime::{Builder, Runtime};

use data::Folder;
use database::Database;
use facts::World;
use options::{Answerer, Options};
use rivals::HandMade;
use service::{Failure, Service};
use shop::Shop;
use truth::Truth;

const ORGS: u32 = 200;
const USERS: u32 = 20_000;

fn main() -> ExitCode {
    match run() {
        Ok(()) => {
            println!("\nquickstart: ok");
            ExitCode::SUCCESS
        }
        Err(failure) => {
            println!("\nquickstart: FAILED: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// What all acts work with.
struct Stage {
    options: Options,
    database: Database,
    truth: Arc<Truth>,
    runtime: Runtime,
}

fn run() -> Result<(), Failure> {
    let started = Instant::now();
    let options = Options::read()?;
    println!(
        "strata-cache quickstart · {} requests · seed {}",
        report::count(options.requests),
        options.seed
    );

    let folder = Folder::new()?;
    let world = World::new(ORGS, USERS);
    let rows = data::make(&folder.database(), &world)?;
    report::database(ORGS, rows, started.elapsed());

    let stage = Stage {
        options,
        database: Database::open(&folder.database(), ORGS)?,
        truth: Arc::new(Truth::new(world)),
        runtime: Builder::new_multi_thread().worker_threads(2).max_blocking_threads(4).build()?,
    };
    match options.answerer {
        Answerer::Strata => {
            // A second handle, so that auditing is not counted as serving.
            let auditor = Database::open(&folder.database(), ORGS)?;
            stage.strata(&auditor)?;
        }
        Answerer::Uncached => stage.traffic(&Arc::new(stage.database.clone()))?,
        Answerer::Rival(flaw) => stage.traffic(&Arc::new(HandMade::new(stage.database.clone(), flaw)))?,
    }
    println!("\n   {} in all", report::time(started.elapsed()));
    Ok(())
}

impl Stage {
    /// The traffic alone, whoever answers.
    fn traffic<S: Service>(&self, service: &Arc<S>) -> Result<(), Failure> {
        let amount = (self.options.requests, self.options.seed);
        let served = traffic::run(service, &self.truth, &self.database, &self.runtime, amount)?;
        report::traffic(&served, &self.database);
        let verdict = self.truth.verdict();
        report::verdict(&verdict);
        if verdict.is_clean() { Ok(()) } else { Err("answers were not the truth".into()) }
    }

    /// The traffic through strata-cache, then one promise after the other.
    fn strata(&self, auditor: &Database) -> Result<(), Failure> {
        let shop = Arc::new(Shop::open(self.database.clone(), self.truth.world())?);
        self.traffic(&shop)?;
        report::tenants(shop.cache().stats().hit_ratio(), &shop.busiest(5)?);
        audit::tenants(&shop, &self.truth, &self.database)?;
        acts::stampede(&shop, &self.database, &self.runtime)?;
        acts::update(&self.truth, &self.database)?;
        overtaken::overtaken(&shop, &self.truth, &self.database)?;
        acts::eviction(&shop, self.truth.world())?;
        audit::audit(&shop, &self.truth, auditor, &self.runtime, self.options.seed)?;
        audit::books(&shop, &self.truth, &self.database)?;
        noisy::noisy(auditor, self.truth.world())
    }
}
