//! The arrows that a manifest draws: dependencies for use, not those for tests.

use crate::arrows::CrateRule;

pub(crate) fn faults(rule: &CrateRule, all: &[CrateRule], manifest: &str) -> Vec<String> {
    let mut faults = Vec::new();
    for name in dependencies(manifest) {
        let path_name = name.replace('-', "_");
        let ours = all.iter().any(|other| other.name == path_name);
        let refused = if ours {
            path_name != rule.name && !rule.uses.contains(&path_name.as_str())
        } else {
            rule.never.contains(&path_name.as_str())
                || rule.only.is_some_and(|only| !only.contains(&name.as_str()))
        };
        if refused {
            faults.push(format!("{}: its manifest depends on {name}", rule.name));
        }
    }
    faults
}

/// Names under `[dependencies]`, `[build-dependencies]` and those of targets.
fn dependencies(manifest: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut inside = false;
    for line in manifest.lines().map(str::trim) {
        if let Some(section) = line.strip_prefix('[') {
            let section = section.trim_end_matches(']');
            let (table, name) = match section.rsplit_once("dependencies.") {
                Some((before, name)) => (format!("{before}dependencies"), Some(name)),
                None => (section.to_owned(), None),
            };
            // What only tests and explorers see is no arrow.
            inside = table.ends_with("dependencies")
                && !table.starts_with("workspace")
                && !table.contains("dev-dependencies")
                && !table.contains("cfg(shuttle)")
                && !table.contains("cfg(loom)");
            if inside && let Some(name) = name {
                names.push(name.trim_matches('"').to_owned());
                inside = false;
            }
        } else if inside && let Some((name, _)) = line.split_once('=') {
            let name = name.trim();
            if !name.starts_with('#') {
                names.push(name.split('.').next().unwrap_or(name).trim_matches('"').to_owned());
            }
        }
    }
    names
}
