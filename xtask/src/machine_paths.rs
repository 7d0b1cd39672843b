//! No document or source names a path of the machine it was written on: it would be wrong on every other.
//!
//! Looked for: the usual homes of people and of build machines, at the start of an absolute path.

use crate::files::{self, File};
use crate::run::{Failure, Outcome, root};

const ENDINGS: &[&str] = &[".md", ".rs", ".toml", ".stderr", ".sh", ".yml", ".yaml", ".json", "run"];

/// First folders of absolute paths that a document never needs. Written without their slash, so that this file passes.
const HOMES: &[&str] = &["work", "root", "home", "Users"];

/// Checks every file of the workspace.
pub(crate) fn task(_: &[String]) -> Outcome {
    let files = files::below(&root(), ENDINGS)?;
    if files.is_empty() {
        return Err(Failure("no files in the workspace's folder".into()));
    }
    let faults: Vec<_> = files.iter().flat_map(faults).collect();
    if faults.is_empty() {
        Ok(())
    } else {
        Err(Failure(format!("machine paths:\n  {}", faults.join("\n  "))))
    }
}

fn faults(file: &File) -> Vec<String> {
    let lines = file.text.lines().enumerate();
    lines
        .filter(|(_, line)| names_a_home(line))
        .map(|(n, line)| format!("{}:{}: {}", file.path.display(), n + 1, line.trim()))
        .collect()
}

fn names_a_home(line: &str) -> bool {
    line.match_indices('/').any(|(at, _)| {
        let starts = !line[..at].ends_with(|c: char| c.is_alphanumeric() || "._-/}~*)>$".contains(c));
        let rest = &line[at + 1..];
        starts
            && HOMES.iter().any(|home| {
                rest.strip_prefix(home)
                    .is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || "_-.".contains(c)))
            })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absolute_homes_are_found_and_look_alikes_are_not() {
        for home in HOMES {
            for line in ["see /HOME/x/y.rs", "`/HOME`", "path=/HOME/main", "\"/HOME/\"", "(/HOME/a)"] {
                let line = line.replace("HOME", home);
                assert!(names_a_home(&line), "{line}");
            }
            for line in ["target/HOME/x", "https://a.org/HOME/x", "/HOMEspace", "HOME/x", "../HOME", "a/HOME"]
            {
                let line = line.replace("HOME", home);
                assert!(!names_a_home(&line), "{line}");
            }
        }
    }

    #[test]
    fn workspace_names_no_machine_path() {
        task(&[]).unwrap();
    }
}
