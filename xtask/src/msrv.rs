//! The minimum Rust version is written in three places, because three tools read it. They must agree.

use std::fs;

use crate::files;
use crate::run::{Failure, Outcome, root};

/// Compares `Cargo.toml`, `clippy.toml` and `.ci/run`, and asks every package to inherit the first.
pub(crate) fn task(_: &[String]) -> Outcome {
    let read = |name: &str| {
        fs::read_to_string(root().join(name)).map_err(|error| Failure(format!("cannot read {name}: {error}")))
    };
    let manifests: Vec<_> = files::below(&root(), &["Cargo.toml"])?
        .into_iter()
        .map(|file| (file.path.display().to_string(), file.text))
        .collect();
    agree(&read("Cargo.toml")?, &read("clippy.toml")?, &read(".ci/run")?, &manifests).map_err(Failure)
}

fn agree(cargo: &str, clippy: &str, ci: &str, manifests: &[(String, String)]) -> Result<(), String> {
    let stated = value(cargo, "rust-version").ok_or("Cargo.toml states no rust-version")?;
    for (place, found) in [("clippy.toml", value(clippy, "msrv")), (".ci/run", value(ci, "MSRV"))] {
        if found != Some(stated) {
            return Err(format!("{place} says {}, Cargo.toml {stated}", found.unwrap_or("nothing")));
        }
    }
    // A workspace of its own, as that of the comparison with rivals, is not ours to promise for.
    let own = |text: &str| {
        text.contains("[package]")
            && !text.contains("rust-version.workspace = true")
            && !text.contains("\n[workspace]")
    };
    match manifests.iter().find(|(_, text)| own(text)) {
        Some((path, _)) => Err(format!("{path} does not say `rust-version.workspace = true`")),
        None => Ok(()),
    }
}

/// The value of the first `name = "value"` or `name=value` line.
fn value<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let rest = line.trim().strip_prefix(name)?.trim_start().strip_prefix('=')?;
        Some(rest.trim().trim_matches('"'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const CARGO: &str = "[workspace.package]\nrust-version = \"1.89\"\n";

    #[test]
    fn versions_that_differ_are_refused_with_the_place() {
        let inherits = [("a/Cargo.toml".into(), "[package]\nrust-version.workspace = true\n".into())];
        assert_eq!(agree(CARGO, "msrv = \"1.89\"", "MSRV=1.89", &inherits), Ok(()));
        let clippy = agree(CARGO, "msrv = \"1.88\"", "MSRV=1.89", &inherits).unwrap_err();
        assert_eq!(clippy, "clippy.toml says 1.88, Cargo.toml 1.89");
        let ci = agree(CARGO, "msrv = \"1.89\"", "", &inherits).unwrap_err();
        assert_eq!(ci, ".ci/run says nothing, Cargo.toml 1.89");
    }

    #[test]
    fn package_with_a_version_of_its_own_is_refused() {
        let own = [("a/Cargo.toml".into(), "[package]\nrust-version = \"1.70\"\n".into())];
        let fault = agree(CARGO, "msrv = \"1.89\"", "MSRV=1.89", &own).unwrap_err();
        assert!(fault.starts_with("a/Cargo.toml does not say"), "{fault}");
    }

    #[test]
    fn workspace_states_one_minimum() {
        task(&[]).unwrap();
    }
}
