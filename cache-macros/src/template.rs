//! Tag templates: text with the names of parameters in braces, the one option that is text and not tokens.
//!
//! (1) What is in braces is checked against the parameters in `check`; here only the form is. (2) What braces hold is formatted
//! by its `Display`, with a format after a colon if there is one, as `format!` does. (3) The text is formatted at a miss only.

use proc_macro2::{Ident, Span};
use syn::ext::IdentExt;
use syn::parse::{ParseStream, Parser};
use syn::{LitStr, Token, parenthesized};

use crate::args::skip_option;
use crate::faults::Faults;

/// No tag is longer, in bytes.
const LONGEST: usize = 256;
/// No entry has more.
const MOST: usize = 16;

/// One tag as written.
pub(crate) struct Tag {
    pub(crate) text: LitStr,
    /// It belongs to the root scope and not to the entry's.
    pub(crate) is_global: bool,
    /// What stands in braces.
    pub(crate) names: Vec<Ident>,
}

impl Tag {
    /// Reads `("a:{b}", global("c"))`.
    pub(crate) fn list(name: Span, input: ParseStream<'_>, faults: &mut Faults) -> syn::Result<Vec<Self>> {
        let content;
        parenthesized!(content in input);
        let mut tags: Vec<Self> = Vec::new();
        let mut are_good = true;
        while !content.is_empty() {
            let tag = match Self::parse(&content) {
                Ok(tag) => tag,
                Err(fault) => {
                    are_good = false;
                    faults.add(fault);
                    skip_option(&content)?;
                    content.parse::<Option<Token![,]>>()?;
                    continue;
                }
            };
            let same =
                |other: &Self| other.text.value() == tag.text.value() && other.is_global == tag.is_global;
            if tags.iter().any(same) {
                faults.at(tag.text.span(), "this tag is written twice");
            } else {
                tags.push(tag);
            }
            if !content.is_empty() {
                content.parse::<Token![,]>()?;
            }
        }
        if tags.is_empty() && are_good {
            return Err(syn::Error::new(name, "`tags()` names nothing: write `tags(\"plan:{plan}\")`"));
        }
        if tags.len() > MOST {
            return Err(syn::Error::new(name, format!("an entry has at most {MOST} tags")));
        }
        Ok(tags)
    }

    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        const FORM: &str = "a tag is text: write `tags(\"plan:{plan}\")`, or `tags(global(\"prices\"))` for one that \
                            all scopes share";
        if input.peek(LitStr) {
            return Self::of(input.parse()?, false);
        }
        match input.call(Ident::parse_any) {
            Ok(word) if word == "global" && input.peek(syn::token::Paren) => {
                let content;
                parenthesized!(content in input);
                let text = content.parse().map_err(|_| content.error(FORM))?;
                if content.is_empty() {
                    Self::of(text, true)
                } else {
                    Err(content.error("`global(…)` holds one tag"))
                }
            }
            Ok(word) => Err(syn::Error::new(word.span(), FORM)),
            Err(_) => Err(input.error(FORM)),
        }
    }

    fn of(text: LitStr, is_global: bool) -> syn::Result<Self> {
        let refuse = |message: String| Err(syn::Error::new(text.span(), message));
        let value = text.value();
        if value.is_empty() {
            return refuse("a tag is not empty".into());
        }
        if value.len() > LONGEST {
            return refuse(format!("a tag has at most {LONGEST} bytes"));
        }
        if value.chars().any(char::is_control) {
            return refuse("a tag has no control characters".into());
        }
        match names(&value, text.span()) {
            Ok(names) => Ok(Self { is_global, names, text }),
            Err(message) => refuse(message),
        }
    }
}

/// What stands in braces.
fn names(text: &str, span: Span) -> Result<Vec<Ident>, String> {
    let (mut names, mut rest) = (Vec::new(), text);
    while let Some(at) = rest.find(['{', '}']) {
        let (brace, tail) = rest[at..].split_at(1);
        if tail.starts_with(brace) {
            rest = &tail[1..];
            continue;
        }
        if brace == "}" {
            return Err("a `}` without its `{`; write `}}` for one that is text".into());
        }
        let Some(end) = tail.find('}') else {
            return Err("a `{` without its `}`; write `{{` for one that is text".into());
        };
        let inner = &tail[..end];
        let name = inner.split_once(':').map_or(inner, |(name, _)| name).trim_end();
        match Ident::parse_any.parse_str(name) {
            Ok(mut ident) if ident == name => {
                ident.set_span(span);
                names.push(ident);
            }
            _ => {
                return Err(format!(
                    "`{{{inner}}}` is not the name of a parameter: braces hold one name, as in \"plan:{{plan}}\""
                ));
            }
        }
        rest = &tail[end + 1..];
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Result<Vec<String>, String> {
        names(text, Span::call_site()).map(|names| names.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn names_are_what_single_braces_hold() {
        assert_eq!(found("plan:{plan}/{month:02}"), Ok(vec!["plan".into(), "month".into()]));
        assert_eq!(found("{{plan}}"), Ok(vec![]));
        assert_eq!(found("{{{plan}}}"), Ok(vec!["plan".into()]));
        assert_eq!(found("plain"), Ok(vec![]));
    }

    #[test]
    fn braces_that_hold_no_name_are_refused() {
        for text in ["{}", "{0}", "{a.b}", "{a", "a}", "{a}}", "{ a}"] {
            assert!(found(text).is_err(), "{text}");
        }
    }
}
