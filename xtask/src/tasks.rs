//! The tasks that are lists of commands.

use std::fs;
use std::time::Duration;

use crate::run::{Failure, Outcome, Run, installed, root};
use crate::{arrows, machine_paths, msrv, readme};

/// The crates that users depend on; each must build without its default features.
const LIBRARIES: &[&str] =
    &["strata-cache-core", "strata-cache-macros", "strata-cache-storage", "strata-cache"];

/// The comparison with rivals: a crate of its own, for they are heavy. Checks read its format and build nothing of it.
const COMPARE: &str = "benches/compare/Cargo.toml";

/// Everything that is quick to know.
pub(crate) fn check(arguments: &[String]) -> Outcome {
    Run::new("cargo fmt --all --check").go()?;
    Run::new("cargo fmt --check --manifest-path").arg(COMPARE).go()?;
    Run::new("cargo clippy --workspace --all-targets --all-features -- -D warnings").go()?;
    arrows::task(arguments)?;
    machine_paths::task(arguments)?;
    msrv::task(arguments)?;
    deny(arguments)
}

/// Every test: unit, integration, compile-fail and documentation tests, builds without default features, the
/// README's code.
pub(crate) fn test(arguments: &[String]) -> Outcome {
    have_c_compiler()?;
    if installed("cargo nextest --version") {
        Run::new("cargo nextest run --workspace --all-features").go()?;
        Run::new("cargo test --workspace --all-features --doc").go()?;
    } else {
        eprintln!("cargo-nextest is absent: using cargo test");
        Run::new("cargo test --workspace --all-features").go()?;
    }
    for library in LIBRARIES {
        Run::new(&format!("cargo check --no-default-features --package {library}")).go()?;
    }
    readme::task(arguments)
}

/// The tests' bundled SQLite is C.
fn have_c_compiler() -> Outcome {
    if installed("cc --version") {
        return Ok(());
    }
    eprintln!("the tests need a C compiler for the bundled SQLite: installing build-essential");
    if !installed("apt-get --version") {
        return Err(Failure("no `cc` and no apt-get: install a C compiler, then run this again".into()));
    }
    let superuser = Run::new("id -u").output()?.trim() == "0";
    let prefix = if superuser { "" } else { "sudo " };
    Run::new(&format!("{prefix}apt-get update")).go()?;
    Run::new(&format!("{prefix}apt-get install -y build-essential")).go()
}

/// Every interleaving that shuttle finds, and every value that a load may see in loom's; then Miri.
pub(crate) fn model(_: &[String]) -> Outcome {
    let shuttle = |what: &str| {
        Run::new(&format!("cargo test --package strata-cache-core {what}"))
            .env("RUSTFLAGS", "--cfg shuttle")
            .env("CARGO_TARGET_DIR", "target/shuttle")
    };
    let listed = shuttle("--lib explore -- --list").output()?;
    let count = listed.lines().filter(|line| line.ends_with(": test")).count();
    if count == 0 {
        return Err(Failure(
            "no test of strata-cache-core stands in a module `explore`: nothing was explored".into(),
        ));
    }
    eprintln!("{count} shuttle tests");
    shuttle("--lib explore").go()?;
    loom()?;
    if installed("cargo +nightly miri --version") {
        Run::new("cargo +nightly miri test --package strata-cache-storage --lib")
            .env("CARGO_TARGET_DIR", "target/miri")
            .go()
    } else {
        eprintln!(
            "skipped Miri: not installed (`rustup +nightly component add miri`); there is no unsafe code"
        );
        Ok(())
    }
}

/// The tests that loom runs: a few seconds, after a build of their own.
fn loom() -> Outcome {
    let loom = |what: &str| {
        Run::new(&format!("cargo test --package strata-cache-core --release {what}"))
            .env("RUSTFLAGS", "--cfg loom")
            .env("CARGO_TARGET_DIR", "target/loom")
            .env("CARGO_PROFILE_RELEASE_LTO", "off")
            .env("CARGO_PROFILE_RELEASE_OPT_LEVEL", "1")
            .env("CARGO_PROFILE_RELEASE_DEBUG", "0")
    };
    let listed = loom("--lib loom_ -- --list").output()?;
    let count = listed.lines().filter(|line| line.ends_with(": test")).count();
    if count == 0 {
        return Err(Failure("no test of strata-cache-core is named `loom_…`: nothing was modelled".into()));
    }
    eprintln!("{count} loom tests");
    loom("--lib loom_").go()
}

/// The documentation, as docs.rs would build it.
pub(crate) fn docs(_: &[String]) -> Outcome {
    Run::new("cargo doc --workspace --no-deps --all-features").env("RUSTDOCFLAGS", "-D warnings").go()
}

/// Every benchmark of the facade.
pub(crate) fn bench(arguments: &[String]) -> Outcome {
    Run::new("cargo bench --package strata-cache --all-features --bench *").args(arguments).go()
}

/// strata-cache and its rivals; arguments go to the comparison. Its crate is not of the workspace: see `COMPARE`.
pub(crate) fn compare(arguments: &[String]) -> Outcome {
    Run::new("cargo run --release --manifest-path").arg(COMPARE).arg("--").args(arguments).go()
}

/// A long run of everything at once; `--minutes N` for another time than ten.
pub(crate) fn soak(arguments: &[String]) -> Outcome {
    let run = Run::new("cargo run --release --package strata-cache --example soak --");
    let usual = ["--minutes".to_owned(), "10".to_owned()];
    run.args(if arguments.is_empty() { &usual } else { arguments }).go()
}

/// Every example, in release, one after the other.
pub(crate) fn examples(_: &[String]) -> Outcome {
    let names = example_names()?;
    if names.is_empty() {
        return Err(Failure("there is no example in examples/".into()));
    }
    Run::new("cargo build --release --package strata-cache --all-features --examples").go()?;
    for name in names {
        Run::new("cargo run --release --quiet --package strata-cache --all-features --example")
            .arg(name)
            .go()?;
    }
    Ok(())
}

/// `examples/name.rs` and `examples/name/main.rs`, as cargo finds them.
fn example_names() -> Result<Vec<String>, Failure> {
    let folder = root().join("examples");
    let Ok(entries) = fs::read_dir(folder) else {
        return Ok(Vec::new());
    };
    let mut names = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| Failure(format!("cannot read examples/: {error}")))?.path();
        let is_example =
            path.extension().is_some_and(|ending| ending == "rs") || path.join("main.rs").is_file();
        if let (true, Some(name)) = (is_example, path.file_stem()) {
            names.push(name.to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// What cargo-deny says of the dependencies. `--ci` installs it where it is absent.
pub(crate) fn deny(arguments: &[String]) -> Outcome {
    if !installed("cargo deny --version") {
        if !arguments.iter().any(|argument| argument == "--ci") {
            eprintln!("skipped deny: cargo-deny is absent (`cargo install cargo-deny --locked`)");
            return Ok(());
        }
        // Not optimised: it builds in a third of the time, and checks a tree of this size in a second.
        Run::new("cargo install cargo-deny --locked --debug").go()?;
    }
    Run::new("cargo deny --all-features check bans licenses sources").go()?;
    let database = Run::new("git ls-remote --exit-code https://github.com/rustsec/advisory-db HEAD");
    if database.env("GIT_TERMINAL_PROMPT", "0").succeeds_within(Duration::from_secs(20)) {
        Run::new("cargo deny --all-features check advisories").go()
    } else {
        eprintln!("skipped advisories: their database cannot be reached from here");
        Ok(())
    }
}
