//! A tree from TOML. Only syntax and field names are checked here; the rules are the builder's.

use serde::Deserialize;

use super::ScopeTreeBuilder;
use crate::error::{Error, ErrorKind, Result};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    level: Vec<Declared>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Declared {
    name: String,
    id: String,
    parent: Option<String>,
}

/// Reads declarations, in the order of the text.
pub(super) fn parse(text: &str) -> Result<ScopeTreeBuilder> {
    let file: File = ::toml::from_str(text).map_err(|error| {
        let start = error.span().map_or(0, |span| span.start).min(text.len());
        let line = text.as_bytes()[..start].iter().filter(|&&byte| byte == b'\n').count() + 1;
        Error::new(ErrorKind::InvalidTree, "scope tree")
            .with("line", line)
            .because(error.message().to_owned())
            .caused_by(error)
    })?;
    Ok(file.level.into_iter().fold(ScopeTreeBuilder::default(), |builder, level| {
        builder.declare(level.parent, level.name, level.id)
    }))
}
