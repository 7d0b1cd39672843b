//! The sources of one crate against its rule.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::arrows::CrateRule;
use crate::arrows::paths::{Named, Source, named_paths};
use crate::files::File;

/// Where a name of the crate's root comes from.
enum Origin {
    Room(String),
    OtherCrate,
}

/// For each room, the rooms it names, with the place where it does first.
type Edges = BTreeMap<String, BTreeMap<String, String>>;

/// What is wrong in these files, each with its place.
pub(super) fn faults(rule: &CrateRule, all: &[CrateRule], files: &[File]) -> Vec<String> {
    let sources: Vec<(Vec<String>, &File, Source)> = files
        .iter()
        .map(|file| {
            let module = module_of(&file.path);
            let source = named_paths(&file.text, &module);
            (module, file, source)
        })
        .collect();
    let rooms: BTreeSet<&str> =
        sources.iter().filter_map(|(module, ..)| module.first().map(String::as_str)).collect();
    let origins = root_names(&sources, &rooms);
    let mut faults = Vec::new();
    let mut edges = Edges::new();
    if !rule.layers.is_empty() {
        let homeless = rooms.iter().filter(|room| layer(rule, room).is_none());
        faults.extend(
            homeless.map(|room| format!("{}: module `{room}` is in no layer of the table", rule.folder)),
        );
    }
    for (module, file, source) in &sources {
        for named in &source.paths {
            let place = format!("{}/{}:{}", rule.folder, file.path.display(), named.line);
            let mut fault =
                |what: String| faults.push(format!("{place}: `{}`: {what}", named.path.join("::")));
            if let Some(what) = crate_fault(rule, all, named) {
                fault(what);
            }
            let Some(own) = module.first().filter(|_| !rule.layers.is_empty()) else {
                continue;
            };
            match room_named(named, &rooms, &origins) {
                Ok(Some(other)) if other != own => {
                    if let Some(what) = room_fault(rule, own, other) {
                        fault(what);
                    }
                    if !named.in_tests && !rule.circles {
                        edges.entry(own.clone()).or_default().entry(other.into()).or_insert(place);
                    }
                }
                Ok(_) => {}
                Err(what) => fault(what.into()),
            }
        }
    }
    faults.extend(circle(&edges).map(|circle| format!("{}: rooms in a circle: {circle}", rule.folder)));
    faults
}

/// The module path of a file; empty for the root.
fn module_of(path: &Path) -> Vec<String> {
    let without_ending = path.with_extension("");
    let mut parts: Vec<String> =
        without_ending.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    if parts.last().is_some_and(|last| ["lib", "main", "mod"].contains(&last.as_str())) {
        parts.pop();
    }
    parts
}

/// Names of the root: what its `use` lines bring in, and macros, which live there wherever they are defined.
fn root_names(sources: &[(Vec<String>, &File, Source)], rooms: &BTreeSet<&str>) -> BTreeMap<String, Origin> {
    let mut origins = BTreeMap::new();
    for (module, _, source) in sources {
        if let Some(room) = module.first() {
            origins.extend(source.macros.iter().map(|name| (name.clone(), Origin::Room(room.clone()))));
            continue;
        }
        for import in &source.imports {
            let from_root = import.in_crate.as_ref().unwrap_or(&import.path);
            let origin = match from_root.first().filter(|first| rooms.contains(first.as_str())) {
                Some(room) => Origin::Room(room.clone()),
                None => Origin::OtherCrate,
            };
            origins.insert(import.binds.clone(), origin);
        }
    }
    origins
}

fn crate_fault(rule: &CrateRule, all: &[CrateRule], named: &Named) -> Option<String> {
    let first = named.path.first()?;
    if let Some((roots, only)) = rule.expands
        && roots.contains(&first.as_str())
        && let Some(second) = named.path.get(1)
    {
        return (second != only).then(|| format!("expansions name `{only}` only"));
    }
    let ours = all.iter().any(|other| other.name == first && other.is_crate());
    let allowed = first == rule.name || rule.uses.contains(&first.as_str());
    let refused = rule.never.contains(&first.as_str()) || ours && !allowed;
    refused.then(|| format!("{} must not know {first}", rule.name))
}

/// The room that a path of this crate leads to, if it leads to one.
fn room_named<'a>(
    named: &'a Named,
    rooms: &BTreeSet<&str>,
    origins: &'a BTreeMap<String, Origin>,
) -> Result<Option<&'a str>, &'static str> {
    let Some(first) = named.in_crate.as_ref().and_then(|path| path.first()) else {
        return Ok(None);
    };
    if rooms.contains(first.as_str()) {
        return Ok(Some(first));
    }
    match origins.get(first) {
        _ if first == "*" => Err("a glob of the root hides where names come from"),
        Some(Origin::Room(room)) => Ok(Some(room)),
        Some(Origin::OtherCrate) => Ok(None),
        None => Err("not found in the crate's root by name: put it into a module and name that"),
    }
}

fn layer(rule: &CrateRule, room: &str) -> Option<usize> {
    rule.layers.iter().position(|layer| layer.contains(&room))
}

fn room_fault(rule: &CrateRule, own: &str, other: &str) -> Option<String> {
    if rule.strangers.iter().any(|pair| *pair == (own, other) || *pair == (other, own)) {
        return Some(format!("{own} and {other} do not know each other"));
    }
    let (own_layer, other_layer) = (layer(rule, own)?, layer(rule, other)?);
    (own_layer < other_layer).then(|| format!("{own} lies below {other}"))
}

/// A circle of rooms, if there is one, with the place of each arrow.
fn circle(edges: &Edges) -> Option<String> {
    fn visit<'a>(
        edges: &'a Edges,
        room: &'a str,
        way: &mut Vec<&'a str>,
        done: &mut BTreeSet<&'a str>,
    ) -> bool {
        let again = way.contains(&room);
        if !again && !done.insert(room) {
            return false;
        }
        way.push(room);
        let found = again
            || edges.get(room).is_some_and(|next| next.keys().any(|next| visit(edges, next, way, done)));
        if !found {
            way.pop();
        }
        found
    }
    let (mut way, mut done) = (Vec::new(), BTreeSet::new());
    edges.keys().find(|room| visit(edges, room, &mut way, &mut done))?;
    let begin = way.iter().position(|room| Some(room) == way.last())?;
    let steps = way[begin..].windows(2);
    let steps = steps.map(|step| format!("{} → {} ({})", step[0], step[1], edges[step[0]][step[1]]));
    Some(steps.collect::<Vec<_>>().join(", "))
}
