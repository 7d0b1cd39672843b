//! Rules about the key: which arguments are in it, or what it is made of.
//!
//! (1) An id of the path is not in the key. (2) Where `key` says what the key is, an argument that it does not name is left out.

use proc_macro2::Ident;
use syn::ext::IdentExt;
use syn::{Expr, Pat};

use crate::args::Args;
use crate::faults::Faults;
use crate::item::Function;
use crate::options::Known;
use crate::suggest::or_known;

/// What makes the key, beside the receiver.
pub(crate) enum Key {
    /// The arguments at these positions.
    Arguments(Vec<usize>),
    /// An expression over the arguments at these positions, borrowed.
    Made(Vec<usize>, Box<Expr>),
}

impl Key {
    /// The arguments that it needs.
    pub(crate) fn arguments(&self) -> &[usize] {
        match self {
            Self::Arguments(arguments) | Self::Made(arguments, _) => arguments,
        }
    }
}

/// The positions of the arguments that `skip` leaves out.
pub(super) fn left_out(args: &Args, function: &Function, ids: &[usize], faults: &mut Faults) -> Vec<usize> {
    let skipped = skipped(args, function, faults);
    for (skip, at) in args.skip.iter().zip(&skipped) {
        if at.is_some_and(|at| ids.contains(&at)) {
            faults.at(skip.span(), format!("`{skip}` is an id of the scope and not part of the key anyway"));
        }
    }
    skipped.into_iter().flatten().collect()
}

/// What the key is. None where `key` was written and cannot be read.
pub(super) fn key(
    args: &Args,
    function: &Function,
    ids: &[usize],
    left_out: &[usize],
    faults: &mut Faults,
) -> Option<Key> {
    let Some(closure) = &args.key else {
        let is_in = |at: &usize| !left_out.contains(at) && !ids.contains(at);
        let all = (0..function.args.len()).filter(is_in).collect();
        return (!args.has(Known::Key)).then_some(Key::Arguments(all));
    };
    let mut arguments = Vec::new();
    for input in &closure.inputs {
        let name = match input {
            Pat::Ident(name)
                if name.subpat.is_none() && name.by_ref.is_none() && name.mutability.is_none() =>
            {
                &name.ident
            }
            other => {
                faults.on(
                    other,
                    "write the name of a parameter alone: `key` borrows it, as `&T`, whatever its type",
                );
                continue;
            }
        };
        match function.position(name) {
            Some(at) if arguments.contains(&at) => faults.at(name.span(), format!("`{name}` is named twice")),
            Some(at) => arguments.push(at),
            None => faults.at(
                name.span(),
                format!("no parameter is called `{}`{}", name.unraw(), or_names(&name.unraw(), function)),
            ),
        }
    }
    if closure.inputs.is_empty() && !function.args.is_empty() {
        faults.on(
            &closure.body,
            "a key that is made of no parameter is one key for all: name some, as in `key = |query| …`",
        );
    }
    Some(Key::Made(arguments, closure.body.clone()))
}

/// The position of each skipped argument.
fn skipped(args: &Args, function: &Function, faults: &mut Faults) -> Vec<Option<usize>> {
    let mut found = Vec::new();
    for skip in &args.skip {
        if skip == "self" {
            faults.at(skip.span(), "`self` is left out of the key by `receiver = ()`");
            found.push(None);
            continue;
        }
        let at = function.args.iter().position(|argument| argument.bindings.contains(skip));
        match at {
            None => {
                let name = skip.unraw();
                faults
                    .at(skip.span(), format!("no parameter is called `{name}`{}", or_names(&name, function)));
            }
            Some(at) => {
                let left = function.args[at].bindings.iter().find(|binding| !args.skip.contains(binding));
                if let Some(left) = left {
                    faults.at(
                        skip.span(),
                        format!("`{skip}` is one pattern with `{left}`: skip both or neither"),
                    );
                }
            }
        }
        found.push(at);
    }
    found
}

pub(super) fn or_names(name: &Ident, function: &Function) -> String {
    let names: Vec<_> =
        function.args.iter().flat_map(|arg| &arg.bindings).map(|name| name.unraw().to_string()).collect();
    or_known(&name.to_string(), names.iter().map(String::as_str))
}
