//! What was written in `#[cached(…)]`, option by option.
//!
//! (1) A faulty option is recorded and skipped up to the next comma, so the others are still read. (2) Whether
//! options fit the function is not asked here but in `check`.

use proc_macro2::{Ident, Span, TokenStream};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream, Parser};
use syn::{Expr, ExprLit, ExprUnary, Lit, LitStr, Path, Token, UnOp, parenthesized};

use crate::faults::Faults;
use crate::levels::Levels;
use crate::options::{self, Form, Known};
use crate::suggest::or_known;
use crate::ttl::Ttl;

/// The options of one attribute; what is absent was not written, or was faulty.
pub(crate) struct Args {
    pub(crate) levels: Option<Levels>,
    pub(crate) ids: Option<Ids>,
    pub(crate) ttl: Option<Ttl>,
    pub(crate) max: Option<Max>,
    pub(crate) skip: Vec<Ident>,
    pub(crate) receiver: Option<(Span, Expr)>,
    pub(crate) without_scope: Option<(WithoutScope, Span)>,
    pub(crate) krate: Option<Path>,
    /// The options that were written, faulty ones too.
    pub(crate) written: Vec<(Known, Span)>,
}

/// Where the ids of the path come from, if not from parameters.
pub(crate) enum Ids {
    Ambient(Span),
    Given(Vec<(Ident, Expr)>),
}

/// The most entries of the function per scope.
pub(crate) enum Max {
    Count(u64),
    Given(Expr),
}

/// What a call without a scope does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum WithoutScope {
    Bypass,
    Error,
    Panic,
}

impl Args {
    /// Reads an attribute's tokens; `whole` is where a missing option is reported.
    pub(crate) fn parse(tokens: TokenStream, whole: Span, faults: &mut Faults) -> Self {
        let args = Self::read(tokens, faults);
        if !args.has(Known::Scope) {
            faults.at(
                whole,
                "`#[cached]` needs a scope: write `scope = \"org\"`, `\"user\"` or `\"session\"`, the whole path in \
                 a tree of your own (`scope = \"tenant/project\"`), or, if every tenant may see the same values, \
                 `scope = \"global\"`",
            );
        }
        args
    }

    /// Reads the tokens of an attribute that needs no scope (the one on an impl block).
    pub(crate) fn read(tokens: TokenStream, faults: &mut Faults) -> Self {
        let mut args = Self {
            levels: None,
            ids: None,
            ttl: None,
            max: None,
            skip: Vec::new(),
            receiver: None,
            without_scope: None,
            krate: None,
            written: Vec::new(),
        };
        let read = |input: ParseStream<'_>| {
            while !input.is_empty() {
                if let Err(fault) = args.option(input, faults) {
                    faults.add(fault);
                    skip_option(input)?;
                }
                if !input.is_empty() && input.parse::<Token![,]>().is_err() {
                    faults.add(input.error("expected `,`"));
                    skip_option(input)?;
                    input.parse::<Option<Token![,]>>()?;
                }
            }
            Ok(())
        };
        if let Err(fault) = read.parse2(tokens) {
            faults.add(fault);
        }
        args
    }

    pub(crate) fn has(&self, option: Known) -> bool {
        self.written.iter().any(|(written, _)| *written == option)
    }

    fn option(&mut self, input: ParseStream<'_>, faults: &mut Faults) -> syn::Result<()> {
        let name = match input.call(Ident::parse_any) {
            Ok(name) => name,
            Err(_) => return Err(input.error("expected the name of an option, such as `scope` or `ttl`")),
        };
        let text = name.unraw().to_string();
        let Some(option) = options::find(&text) else {
            let known = options::usable();
            return Err(syn::Error::new(
                name.span(),
                format!("unknown option `{text}`{}", or_known(&text, known)),
            ));
        };
        if option.known == Known::Later {
            return Err(syn::Error::new(name.span(), format!("`{text}` is not yet available")));
        }
        let again = self.has(option.known);
        if again {
            faults.at(name.span(), format!("`{text}` is written twice"));
        }
        self.written.push((option.known, name.span()));
        let form = if input.peek(Token![=]) { Form::Value } else { Form::List };
        if form != option.form || (form == Form::List && !input.peek(syn::token::Paren)) {
            return Err(syn::Error::new(name.span(), format!("write `{}`", option.example)));
        }
        if form == Form::Value {
            input.parse::<Token![=]>()?;
        }
        if again {
            return skip_option(input);
        }
        self.value(option.known, name.span(), input, faults)
    }

    fn value(
        &mut self,
        option: Known,
        name: Span,
        input: ParseStream<'_>,
        faults: &mut Faults,
    ) -> syn::Result<()> {
        match option {
            Known::Scope => match input.parse::<LitStr>() {
                Ok(text) => self.levels = Levels::of(&text, faults),
                Err(_) => return Err(input.error("`scope` is text: write `scope = \"user\"`")),
            },
            Known::Ids => self.ids = Ids::parse(name, input, faults)?,
            Known::Ttl => self.ttl = Some(Ttl::of(input.parse()?)?),
            Known::Max => self.max = Some(Max::of(input.parse()?)?),
            Known::Skip => self.skip = names(name, input, faults)?,
            Known::Receiver => self.receiver = Some((name, input.parse()?)),
            Known::WithoutScope => self.without_scope = Some(without_scope(input)?),
            Known::Crate => match input.call(Path::parse_mod_style) {
                Ok(path) => self.krate = Some(path),
                Err(_) => return Err(input.error("`crate` is a path: write `crate = ::renamed`")),
            },
            Known::Later => unreachable!("options of later releases are refused before their value is read"),
        }
        Ok(())
    }
}

impl Ids {
    fn parse(name: Span, input: ParseStream<'_>, faults: &mut Faults) -> syn::Result<Option<Self>> {
        let content;
        parenthesized!(content in input);
        if content.is_empty() {
            return Err(syn::Error::new(
                name,
                "`ids()` names nothing: write `ids(org = …)` or `ids(ambient)`",
            ));
        }
        let (mut ambient, mut given): (Option<Ident>, Vec<(Ident, Expr)>) = (None, Vec::new());
        while !content.is_empty() {
            let level = content.call(Ident::parse_any)?;
            if content.peek(Token![=]) {
                content.parse::<Token![=]>()?;
                let value = content.parse()?;
                if given.iter().any(|(earlier, _)| *earlier == level) {
                    faults.at(level.span(), format!("the id of `{level}` is written twice"));
                } else {
                    given.push((level, value));
                }
            } else if level == "ambient" {
                ambient = Some(level);
            } else {
                faults.at(level.span(), format!("write `{level} = …`, or `ids(ambient)` for all levels"));
            }
            if !content.is_empty() {
                content.parse::<Token![,]>()?;
            }
        }
        Ok(match ambient {
            Some(ambient) if !given.is_empty() => {
                faults.at(
                    ambient.span(),
                    "`ambient` takes the whole path from the ambient scope; it cannot be mixed with other ids",
                );
                None
            }
            Some(ambient) => Some(Self::Ambient(ambient.span())),
            None => Some(Self::Given(given)),
        })
    }
}

impl Max {
    fn of(value: Expr) -> syn::Result<Self> {
        let refused = match &value {
            Expr::Lit(ExprLit { lit: Lit::Int(count), .. }) => match count.base10_parse::<u64>() {
                Ok(0) => "`max` must be greater than zero",
                Ok(count) => return Ok(Self::Count(count)),
                Err(_) => "`max` does not fit into a `u64`",
            },
            Expr::Unary(ExprUnary { op: UnOp::Neg(_), .. }) => "`max` must be greater than zero",
            Expr::Lit(_) => "`max` is a number of entries: write `max = 1000`",
            _ => return Ok(Self::Given(value)),
        };
        Err(syn::Error::new_spanned(value, refused))
    }
}

fn without_scope(input: ParseStream<'_>) -> syn::Result<(WithoutScope, Span)> {
    const WAYS: [&str; 3] = ["bypass", "error", "panic"];
    let Ok(way) = input.call(Ident::parse_any) else {
        return Err(input.error("write `without_scope = bypass`, `error` or `panic`, without quotes"));
    };
    let chosen = match way.to_string().as_str() {
        "bypass" => WithoutScope::Bypass,
        "error" => WithoutScope::Error,
        "panic" => WithoutScope::Panic,
        other => {
            let message = format!("unknown `without_scope = {other}`{}", or_known(other, WAYS));
            return Err(syn::Error::new(way.span(), message));
        }
    };
    Ok((chosen, way.span()))
}

fn names(name: Span, input: ParseStream<'_>, faults: &mut Faults) -> syn::Result<Vec<Ident>> {
    let content;
    parenthesized!(content in input);
    let mut names: Vec<Ident> = Vec::new();
    for skipped in content.parse_terminated(Ident::parse_any, Token![,])? {
        if names.contains(&skipped) {
            faults.at(skipped.span(), format!("`{skipped}` is skipped twice"));
        } else {
            names.push(skipped);
        }
    }
    if names.is_empty() {
        return Err(syn::Error::new(
            name,
            "`skip()` names nothing: write the parameters to leave out of the key",
        ));
    }
    Ok(names)
}

/// Goes on to the next comma outside of brackets.
fn skip_option(input: ParseStream<'_>) -> syn::Result<()> {
    while !input.is_empty() && !input.peek(Token![,]) {
        proc_macro2::TokenTree::parse(input)?;
    }
    Ok(())
}
