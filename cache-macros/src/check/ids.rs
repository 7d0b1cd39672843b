//! Rules about ids: each level of the path has one, from `ids(..)` or from the parameter of its name.
//!
//! (1) Exactly the levels of the path, in its order; a surplus id is a fault, a missing one never falls back.
//! (2) What is written in `ids(..)` wins over a parameter, which then is an argument like others.

use proc_macro2::Ident;
use syn::Expr;
use syn::ext::IdentExt;

use crate::args::{Args, Ids};
use crate::faults::Faults;
use crate::item::{Function, uses};
use crate::levels::Levels;
use crate::options::Known;
use crate::suggest::or_known;

/// Where the scope comes from.
pub(crate) enum Place {
    Global,
    Ambient,
    Ids(Vec<Id>),
}

/// One id of the path.
pub(crate) enum Id {
    /// The argument at this position.
    Argument(usize),
    /// An expression, and the name of the companion's parameter that stands for it.
    Given(Expr, Ident),
}

impl Place {
    pub(super) fn arguments(&self) -> Vec<usize> {
        let Self::Ids(ids) = self else { return Vec::new() };
        ids.iter().filter_map(|id| if let Id::Argument(at) = id { Some(*at) } else { None }).collect()
    }

    pub(super) fn expressions(&self) -> impl Iterator<Item = &Expr> {
        let ids = if let Self::Ids(ids) = self { ids.as_slice() } else { &[] };
        ids.iter().filter_map(|id| if let Id::Given(expr, _) = id { Some(expr) } else { None })
    }
}

/// Finds the ids of the path, or says which are missing.
pub(super) fn place(args: &Args, function: &Function, faults: &mut Faults) -> Option<Place> {
    let levels = args.levels.as_ref()?;
    let given = match &args.ids {
        Some(Ids::Ambient(span)) => {
            if levels.names.is_empty() {
                faults.at(*span, "`global` needs no ids; leave `ids(..)` out");
            }
            return Some(Place::Ambient);
        }
        Some(Ids::Given(given)) => given.as_slice(),
        None if args.has(Known::Ids) => return None,
        None => &[],
    };
    for (level, value) in given {
        let name = level.unraw().to_string();
        if levels.names.is_empty() {
            faults.at(level.span(), "`global` needs no ids; leave `ids(..)` out");
        } else if !levels.names.contains(&name) {
            let on_path = or_known(&name, levels.names.iter().map(String::as_str));
            faults.at(
                level.span(),
                format!("scope `{}` has no level `{name}` on its path{on_path}", levels.title),
            );
        }
        for argument in function.args.iter().filter(|argument| argument.pattern.is_some()) {
            if let Some(bound) = argument.bindings.iter().find(|bound| uses(value, bound)) {
                let message = "is bound by a pattern, and ids are taken before arguments are taken apart: give the \
                               argument a name";
                faults.on(value, format!("`{bound}` {message}"));
            }
        }
    }
    if levels.names.is_empty() {
        return Some(Place::Global);
    }
    let mut ids = Vec::new();
    for level in &levels.names {
        let parameter = Levels::parameter(level);
        let written = given.iter().find(|(name, _)| name.unraw() == level);
        match (written, &parameter) {
            (Some((_, value)), Some(parameter)) => ids.push(Id::Given(value.clone(), parameter.clone())),
            (_, Some(parameter)) => match function.position(parameter) {
                Some(at) => ids.push(Id::Argument(at)),
                None => faults.at(levels.span, missing(levels, level, parameter, function)),
            },
            (_, None) => faults.at(
                levels.span,
                format!(
                    "scope `{}` needs an id for `{level}`, which is not a Rust name: write `ids(ambient)`",
                    levels.title
                ),
            ),
        }
    }
    Some(Place::Ids(ids))
}

fn missing(levels: &Levels, level: &str, parameter: &Ident, function: &Function) -> String {
    let mut message = format!(
        "scope `{}` needs an id for `{level}`: add a parameter `{parameter}`, write `ids({level} = …)`, or \
         `ids(ambient)`",
        levels.title
    );
    if function.args.iter().any(|arg| arg.pattern.is_some() && arg.bindings.contains(parameter)) {
        message.push_str(&format!(" (the `{parameter}` inside a pattern is not a parameter)"));
    }
    message
}
