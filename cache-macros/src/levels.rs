//! The `scope` option: the levels from the root down.
//!
//! (1) A single name is a level of the default tree or a fault; it is never looked for elsewhere. (2) Everything
//! with a `/` is a whole path of the user's tree, `"/tenant"` too; the tree itself is not known here.
//! (3) `global` is the empty path and is written by that name only.

use proc_macro2::{Ident, Span};
use syn::LitStr;
use syn::ext::IdentExt;

use crate::faults::Faults;
use crate::suggest::nearest;

const DEFAULT_TREE: [&str; 3] = ["org", "user", "session"];
const DEEPEST: usize = 16;

/// The levels of a cached function's scope, none for global.
#[derive(Clone)]
pub(crate) struct Levels {
    pub(crate) names: Vec<String>,
    /// The last level as it is called in messages.
    pub(crate) title: String,
    pub(crate) span: Span,
}

impl Levels {
    /// Reads the text of `scope = "…"`.
    pub(crate) fn of(text: &LitStr, faults: &mut Faults) -> Option<Self> {
        let span = text.span();
        let text = text.value();
        let names = if text == "global" {
            Ok(Vec::new())
        } else if text.contains('/') {
            whole_path(&text)
        } else {
            single(&text)
        };
        match names {
            Ok(names) => {
                let title = names.last().cloned().unwrap_or_else(|| "global".into());
                Some(Self { names, title, span })
            }
            Err(message) => {
                faults.at(span, message);
                None
            }
        }
    }

    /// The name of the parameter that is the id of a level; `None` if no parameter can have that name.
    pub(crate) fn parameter(level: &str) -> Option<Ident> {
        let name = format!("{level}_id");
        syn::parse::Parser::parse_str(Ident::parse_any, &name).ok()
    }
}

fn single(name: &str) -> Result<Vec<String>, String> {
    if let Some(depth) = DEFAULT_TREE.iter().position(|level| *level == name) {
        return Ok(DEFAULT_TREE[..=depth].iter().map(ToString::to_string).collect());
    }
    let known = ["global"].into_iter().chain(DEFAULT_TREE);
    if let Some(near) = nearest(name, known) {
        return Err(format!(
            "unknown scope `{name}`; did you mean `{near}`? (for a tree of your own write the whole path from the \
             root, as in `scope = \"tenant/project\"`)"
        ));
    }
    Err(format!(
        "unknown scope `{name}`; a single name is a level of the default tree (`global`, `org`, `user`, \
         `session`); for a tree of your own write the whole path from the root, as in `scope = \"tenant/project\"` \
         or `scope = \"/tenant\"`"
    ))
}

fn whole_path(text: &str) -> Result<Vec<String>, String> {
    let names: Vec<_> = text.strip_prefix('/').unwrap_or(text).split('/').map(str::to_owned).collect();
    for (i, name) in names.iter().enumerate() {
        let message = if name.is_empty() {
            format!("the path `{text}` has an empty level")
        } else if name == "global" {
            "`global` is above all levels and not written in a path".into()
        } else if name.contains(|c: char| c.is_whitespace() || c.is_control() || ":=,.".contains(c)) {
            format!("the level `{}` has a separator in its name", name.escape_debug())
        } else if names[..i].contains(name) {
            format!("the level `{name}` is written twice")
        } else {
            continue;
        };
        return Err(message);
    }
    if names.len() > DEEPEST {
        return Err(format!("a path has at most {DEEPEST} levels; this one has {}", names.len()));
    }
    Ok(names)
}
