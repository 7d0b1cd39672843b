//! A noisy tenant: one organisation writes a thousand entries for each answer that another one asks for.
//!
//! The quiet one asks for the same rows again and again. Twice, with everything else alike: first all share one cache, and the
//! noisy one takes the place of the quiet one's rows; then the quiet one has a reserve, of which nobody else may take anything.

use std::sync::Arc;

use strata_cache::{Budget, Cache, scope};

use crate::acts::ensure;
use crate::answers::Preference;
use crate::database::{Database, DbError};
use crate::facts::{SECTIONS, World};
use crate::report;
use crate::service::Failure;

const CAPACITY: u64 = 2_000;
const QUIET: u32 = 7;
const NOISY: u32 = 8;
/// How many entries the noisy one writes for each answer of the quiet one, and answers asked for in all.
const NOISE: u64 = 1_000;
const ANSWERS: usize = 900;

/// Shows what a noisy tenant does to a quiet one, and what a budget does about it.
pub(crate) fn noisy(database: &Database, world: &World) -> Result<(), Failure> {
    let users = world.users(QUIET);
    let rows = u64::from(users) * SECTIONS.len() as u64;
    let shared = serve(database, users, None)?;
    let kept = serve(database, users, Some(Budget::unbounded().reserve(rows)))?;
    ensure(shared.hit_ratio < 0.1, "the noisy one was not noisy enough")?;
    ensure(kept.hit_ratio > 0.99 && kept.paid == 0, "somebody within its reserve paid for another")?;
    report::act(
        9,
        "noisy tenant",
        &format!("org {NOISY} writes {NOISE} entries for each answer that org {QUIET} asks for"),
    );
    let line = |served: &Served| {
        format!(
            "org {QUIET}: {} hits, {} of its entries gone for org {NOISY}",
            report::percent(served.hit_ratio),
            served.paid
        )
    };
    report::line("shared", &line(&shared));
    report::line("reserve", &format!("{}, with a reserve of {rows} of {CAPACITY} entries", line(&kept)));
    Ok(())
}

struct Served {
    hit_ratio: f64,
    /// Entries of the quiet one that went for the noisy one.
    paid: u64,
}

fn serve(database: &Database, users: u32, budget: Option<Budget>) -> Result<Served, Failure> {
    let cache = Cache::builder().capacity(CAPACITY).build()?;
    let (quiet, noisy) = (cache.scope(scope!(org = QUIET))?, cache.scope(scope!(org = NOISY))?);
    if let Some(budget) = budget {
        cache.budget(&quiet)?.set(budget)?;
    }
    let preferences = cache.region::<(u32, &'static str), Arc<Preference>>("preferences")?;
    let noise = cache.region::<u64, u64>("noise")?;
    let all: Vec<_> = (1..=users).flat_map(|user| SECTIONS.map(|section| (user, section))).collect();
    let load = |(user, section): (u32, &'static str)| {
        let load = || Ok::<_, DbError>(Arc::new(database.preference(QUIET, user, section)?));
        preferences.get_or_load_with(&quiet, &(user, section), load).wait().map_err(|error| error.to_string())
    };
    for &key in &all {
        load(key)?;
    }
    let before = quiet.stats()?;
    for (at, &key) in all.iter().cycle().take(ANSWERS).enumerate() {
        for number in 0..NOISE {
            noise.set(&noisy, at as u64 * NOISE + number, number).wait()?;
        }
        let answer = load(key)?;
        ensure((answer.section.as_str(), answer.stamp.org) == (key.1, QUIET), "a foreign answer")?;
    }
    let after = quiet.stats()?;
    let hit_ratio = (after.hits - before.hits) as f64 / ANSWERS as f64;
    Ok(Served { hit_ratio, paid: after.evictions_paid })
}
