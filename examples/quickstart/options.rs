//! What can be said on the command line: `--requests N`, `--seed N`, `--rival NAME`.

use std::env;

use crate::rivals::Flaw;
use crate::service::Failure;

/// Who is to answer the traffic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answerer {
    /// strata-cache.
    Strata,
    /// The database itself.
    Uncached,
    /// A hand-made cache with a flaw.
    Rival(Flaw),
}

/// The options, with their defaults.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Options {
    /// How many requests to serve (default 400,000).
    pub(crate) requests: u64,
    /// Where the random streams start (default 20).
    pub(crate) seed: u64,
    /// Who answers (default strata-cache).
    pub(crate) answerer: Answerer,
}

impl Options {
    /// Reads the command line.
    pub(crate) fn read() -> Result<Self, Failure> {
        let mut options = Self { requests: 400_000, seed: 20, answerer: Answerer::Strata };
        let mut words = env::args().skip(1);
        while let Some(word) = words.next() {
            let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
            match word.as_str() {
                "--requests" => options.requests = value.parse()?,
                "--seed" => options.seed = value.parse()?,
                "--rival" => options.answerer = rival(&value)?,
                _ => return Err(format!("unknown option {word}: use --requests, --seed or --rival").into()),
            }
        }
        Ok(options)
    }
}

fn rival(name: &str) -> Result<Answerer, Failure> {
    if name == "uncached" {
        return Ok(Answerer::Uncached);
    }
    let known = Flaw::NAMES.iter().find(|(known, _)| *known == name);
    let names: Vec<&str> = Flaw::NAMES.iter().map(|(known, _)| *known).collect();
    let (_, flaw) =
        known.ok_or_else(|| format!("unknown rival {name}: use uncached, {}", names.join(", ")))?;
    Ok(Answerer::Rival(*flaw))
}
