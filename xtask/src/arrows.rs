//! Arrows point down: who may name whom, as data, and the check that reads every source file.
//!
//! (1) A crate names only the crates listed for it, in sources and in its manifest. (2) Inside a crate with rooms,
//! every top-level module is in a layer and names its own layer or those above it in the table (below it in the
//! building). (3) Strangers of one layer do not name each other; no rooms name each other in a circle, test code aside,
//! unless the table allows it. (4) What is named through the crate's root counts as the room it comes from; the root
//! itself defines nothing that rooms use. (5) Expansions name one module only.
//! Test code (`mod tests`, `tests.rs`) is held to the rest of the rules too. Comments and strings are not read.
//! To change a rule, change a table; why a rule is as it is stands in ARCHITECTURE.md.

use std::fs;
use std::path::Path;

use crate::files;
use crate::run::{Failure, Outcome, root};

mod check;
mod manifest;
mod paths;
#[cfg(test)]
mod tests;
mod tokens;

/// What one crate, or one folder of programs, may name.
pub(crate) struct CrateRule {
    /// The name in paths; a folder that is no crate has its folder's name.
    name: &'static str,
    /// The folder of its sources.
    folder: &'static str,
    /// Our crates that it may name.
    uses: &'static [&'static str],
    /// Crates of others that it must not name.
    never: &'static [&'static str],
    /// The only crates of others that it may depend on, where that is limited.
    only: Option<&'static [&'static str]>,
    /// Its top-level modules, lowest layer first; none where it has no rule inside. `lib.rs` may name all.
    layers: &'static [&'static [&'static str]],
    /// Modules of one layer that do not know each other.
    strangers: &'static [(&'static str, &'static str)],
    /// Whether modules of one layer may name each other in a circle.
    circles: bool,
    /// Names that stand for the facade in what it expands to, and the one module that may follow.
    expands: Option<(&'static [&'static str], &'static str)>,
}

impl CrateRule {
    /// Whether it is a crate with a manifest beside its sources, not a folder of programs.
    fn is_crate(&self) -> bool {
        self.folder.ends_with("src")
    }
}

const PLAIN: CrateRule = CrateRule {
    name: "",
    folder: "",
    uses: &[],
    never: &[],
    only: None,
    layers: &[],
    strangers: &[],
    circles: false,
    expands: None,
};

const RUNTIMES: &[&str] = &["tokio", "async_std", "smol", "futures", "futures_util"];

/// The rules of this workspace.
pub(crate) const RULES: &[CrateRule] = &[
    CrateRule {
        name: "strata_cache_core",
        folder: "cache-core/src",
        never: RUNTIMES,
        layers: &[
            &["clock", "error", "event", "heap", "prefetch", "stats", "sync", "typed", "weight"],
            &["epoch"],
            &["expiry", "flight", "policy", "scope"],
            &["engine"],
        ],
        strangers: &[("policy", "scope")],
        ..PLAIN
    },
    CrateRule {
        name: "strata_cache_macros",
        folder: "cache-macros/src",
        only: Some(&["proc-macro2", "quote", "syn"]),
        expands: Some((&["strata_cache", "krate"], "private")),
        ..PLAIN
    },
    CrateRule {
        name: "strata_cache_storage",
        folder: "cache-storage/src",
        uses: &["strata_cache_core"],
        layers: &[
            &["error", "wait"],
            &["key", "capability"],
            &["storage"],
            &["erased"],
            &["reference", "suite"],
        ],
        ..PLAIN
    },
    CrateRule {
        name: "strata_cache",
        folder: "src",
        uses: &["strata_cache_storage", "strata_cache_core", "strata_cache_macros"],
        layers: &[
            &["care", "faults", "setting", "stack", "tag", "trace"],
            &["plan"],
            &["driver"],
            &["operation"],
            &[
                "along",
                "answer",
                "budget",
                "load_limit",
                "builder",
                "cache",
                "region",
                "handle",
                "place",
                "context",
                "exceptions",
            ],
            &["default", "private"],
            &["guide"],
        ],
        // Handles make each other: a cache gives scopes and regions, and each of them has its cache.
        circles: true,
        ..PLAIN
    },
    CrateRule { name: "strata_cache_server", folder: "cache-server/src", uses: &["strata_cache"], ..PLAIN },
    CrateRule { name: "examples", folder: "examples", uses: &["strata_cache"], ..PLAIN },
    CrateRule { name: "tests", folder: "tests", uses: &["strata_cache"], ..PLAIN },
    CrateRule { name: "xtask", folder: "xtask/src", only: Some(&[]), ..PLAIN },
];

/// Checks the workspace against [`RULES`].
pub(crate) fn task(_: &[String]) -> Outcome {
    let read = check_workspace(&root())?;
    eprintln!("arrows: {read} files, all imports point down");
    Ok(())
}

/// The number of sources that were read; none at all is a failure, for then nothing was checked.
fn check_workspace(root: &Path) -> Result<usize, Failure> {
    let mut faults = Vec::new();
    let mut read = 0;
    for rule in RULES {
        let folder = root.join(rule.folder);
        let files = files::below(&folder, &[".rs"])?;
        read += files.len();
        faults.extend(check::faults(rule, RULES, &files));
        let manifest = folder.parent().map(|parent| parent.join("Cargo.toml"));
        if let (true, Some(Ok(text))) = (rule.is_crate(), manifest.map(fs::read_to_string)) {
            faults.extend(manifest::faults(rule, RULES, &text));
        }
    }
    match (faults.is_empty(), read) {
        (true, 0) => Err(Failure("no sources where the table of arrows expects them".into())),
        (true, _) => Ok(read),
        (false, _) => Err(Failure(format!("arrows that do not point down:\n  {}", faults.join("\n  ")))),
    }
}
