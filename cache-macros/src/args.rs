//! What was written in `#[cached(…)]`, option by option.
//!
//! (1) A faulty option is recorded and skipped up to the next comma, so the others are still read. (2) Whether
//! options fit the function, or one another, is not asked here but in `check`.

mod words;

use proc_macro2::{Ident, Span, TokenStream};
use syn::ext::IdentExt;
use syn::parse::{Parse, ParseStream, Parser};
use syn::{Expr, ExprClosure, ExprLit, ExprUnary, Lit, LitStr, Path, Token, UnOp, parenthesized};

use crate::faults::Faults;
use crate::levels::Levels;
use crate::options::{self, Entry, Form, Known};
use crate::suggest::or_known;
use crate::template::Tag;
use crate::time::{Ask, Time};

pub(crate) use words::{Coalesce, Companions, WithoutScope};

/// The options of one attribute; what is absent was not written, or was faulty.
#[derive(Default)]
pub(crate) struct Args {
    pub(crate) levels: Option<Levels>,
    pub(crate) ids: Option<Ids>,
    pub(crate) ttl: Option<Time>,
    pub(crate) idle: Option<Time>,
    pub(crate) jitter: Option<f64>,
    pub(crate) max: Option<Max>,
    pub(crate) key: Option<ExprClosure>,
    pub(crate) skip: Vec<Ident>,
    pub(crate) receiver: Option<(Span, Expr)>,
    pub(crate) when: Option<Expr>,
    pub(crate) weigh: Option<Expr>,
    pub(crate) negative: Negative,
    pub(crate) tags: Vec<Tag>,
    pub(crate) coalesce: Option<Coalesce>,
    pub(crate) wait: Option<Time>,
    pub(crate) without_scope: Option<(WithoutScope, Span)>,
    pub(crate) cache: Option<Expr>,
    pub(crate) companions: Option<Companions>,
    pub(crate) krate: Option<Path>,
    pub(crate) care: Care,
    /// The options that were written, faulty ones too.
    pub(crate) written: Vec<(&'static Entry, Span)>,
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

/// How loads are cared for.
#[derive(Default)]
pub(crate) struct Care {
    pub(crate) stale: Option<Time>,
    pub(crate) on_error: Option<OnError>,
    pub(crate) refresh: Option<Refresh>,
    pub(crate) soft: Option<Time>,
    pub(crate) hard: Option<Time>,
    pub(crate) throttle: Option<Time>,
    pub(crate) breaker: Option<Breaker>,
}

impl Care {
    /// Whether anything was said.
    pub(crate) fn is_there(&self) -> bool {
        let Self { stale, on_error, refresh, soft, hard, throttle, breaker } = self;
        let times = [stale, soft, hard, throttle].into_iter().any(Option::is_some);
        times || on_error.is_some() || refresh.is_some() || breaker.is_some()
    }
}

/// For how long a stale value is served in place of an error.
pub(crate) enum OnError {
    /// As long again as the time-to-live.
    AsTtl,
    For(Time),
}

/// When a value is loaded anew before its time is over.
pub(crate) enum Refresh {
    /// After this part of it.
    After(f64),
    /// By chance, by the cost of the load times this.
    Early(f64),
}

/// When loads are not begun.
pub(crate) struct Breaker {
    pub(crate) failures: u32,
    pub(crate) cool_down: Option<Time>,
}

/// How long what is not there, and errors, are kept.
#[derive(Default)]
pub(crate) struct Negative {
    pub(crate) none: Option<Time>,
    pub(crate) err: Option<Time>,
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
        let (mut args, mut is_told) = (Self::default(), false);
        let read = |input: ParseStream<'_>| {
            while !input.is_empty() {
                if let Err(fault) = args.option(input, faults) {
                    is_told = true;
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
        let read = read.parse2(tokens);
        // What an option in fault has left unread is not another fault.
        if let (Err(fault), false) = (read, is_told) {
            faults.add(fault);
        }
        args
    }

    pub(crate) fn has(&self, option: Known) -> bool {
        self.span_of(option).is_some()
    }

    /// Where an option was written.
    pub(crate) fn span_of(&self, option: Known) -> Option<Span> {
        self.written.iter().find(|(written, _)| written.known == option).map(|(_, span)| *span)
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
        let again = self.has(option.known);
        if again {
            faults.at(name.span(), format!("`{text}` is written twice"));
        }
        self.written.push((option, name.span()));
        let form = if input.peek(Token![=]) { Form::Value } else { Form::List };
        let fits = option.form == form || option.form == Form::Either;
        if !fits || (form == Form::List && !input.peek(syn::token::Paren)) {
            return Err(syn::Error::new(name.span(), format!("write `{}`", option.example)));
        }
        if form == Form::Value {
            input.parse::<Token![=]>()?;
        }
        if again {
            return skip_option(input);
        }
        self.value(option.known, (name.span(), form), input, faults)?;
        if option.is_later {
            return Err(syn::Error::new(name.span(), format!("`{text}` is not yet available")));
        }
        Ok(())
    }

    fn value(
        &mut self,
        option: Known,
        (name, form): (Span, Form),
        input: ParseStream<'_>,
        faults: &mut Faults,
    ) -> syn::Result<()> {
        match option {
            Known::Scope => match input.parse::<LitStr>() {
                Ok(text) => self.levels = Levels::of(&text, faults),
                Err(_) => return Err(input.error("`scope` is text: write `scope = \"user\"`")),
            },
            Known::Ids => self.ids = Ids::parse(name, input, faults)?,
            Known::Ttl => self.ttl = Some(Time::of(&Ask::TTL, input.parse()?)?),
            Known::Idle => self.idle = Some(Time::of(&Ask::IDLE, input.parse()?)?),
            Known::Wait => self.wait = Some(Time::of(&Ask::WAIT, input.parse()?)?),
            Known::Jitter => self.jitter = Some(part(input.parse()?)?),
            Known::Max => self.max = Some(Max::of(input.parse()?)?),
            Known::Key => self.key = Some(closure(input.parse()?)?),
            Known::Skip => self.skip = names(name, input, faults)?,
            Known::Receiver => self.receiver = Some((name, input.parse()?)),
            Known::When => self.when = Some(input.parse()?),
            Known::Weigh => self.weigh = Some(input.parse()?),
            Known::Negative if form == Form::Value => {
                self.negative.none = Some(Time::of(&Ask::NEGATIVE, input.parse()?)?);
            }
            Known::Negative => self.negative = Negative::parse(name, input, faults)?,
            Known::Tags => self.tags = Tag::list(name, input, faults)?,
            Known::Coalesce => self.coalesce = Some(words::coalesce(input)?),
            Known::WithoutScope => self.without_scope = Some(words::without_scope(input)?),
            Known::Cache => self.cache = Some(input.parse()?),
            Known::Companions => self.companions = Some(words::companions(input)?),
            Known::Allow => words::allow(name, input, faults)?,
            Known::Crate => match input.call(Path::parse_mod_style) {
                Ok(path) => self.krate = Some(path),
                Err(_) => return Err(input.error("`crate` is a path: write `crate = ::renamed`")),
            },
            Known::Stale => self.care.stale = Some(Time::of(&Ask::with_end("stale"), input.parse()?)?),
            Known::Soft => self.care.soft = Some(Time::of(&Ask::with_end("soft"), input.parse()?)?),
            Known::Hard => self.care.hard = Some(Time::of(&Ask::with_end("hard"), input.parse()?)?),
            Known::Throttle => {
                self.care.throttle = Some(Time::of(&Ask::with_end("throttle"), input.parse()?)?)
            }
            Known::Refresh => self.care.refresh = Some(Refresh::of(input.parse()?)?),
            Known::OnError => self.care.on_error = Some(words::on_error(input)?),
            Known::Breaker if form == Form::Value => {
                self.care.breaker =
                    Some(Breaker { failures: words::failures(input.parse()?)?, cool_down: None });
            }
            Known::Breaker => self.care.breaker = Some(words::breaker(name, input)?),
            Known::Limit => words::limit(input.parse()?)?,
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
            Expr::Lit(ExprLit { lit: Lit::Int(count), .. }) if !count.suffix().is_empty() => {
                "`max` is a number of entries without a unit: write `max = 10_000`"
            }
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

impl Refresh {
    fn of(value: Expr) -> syn::Result<Self> {
        const FORM: &str = "the part of its time-to-live after which a value is loaded anew is above 0 and below 1: write `0.8` or \"80%\"; \
                            or write `early`, for by chance, or `early(2.0)`";
        let wrong = |value: &Expr| Err(syn::Error::new_spanned(value, FORM));
        let factor = |factor: &Expr| match factor {
            Expr::Lit(ExprLit { lit: Lit::Float(factor), .. }) => factor.base10_parse::<f64>().ok(),
            Expr::Lit(ExprLit { lit: Lit::Int(factor), .. }) => {
                factor.base10_parse::<u32>().ok().map(f64::from)
            }
            _ => None,
        };
        match &value {
            Expr::Path(path) if path.path.is_ident("early") => Ok(Self::Early(1.0)),
            Expr::Call(call) if matches!(&*call.func, Expr::Path(path) if path.path.is_ident("early")) => {
                let given = if call.args.len() == 1 { call.args.first().and_then(factor) } else { None };
                match given.filter(|factor| *factor > 0.0) {
                    Some(factor) => Ok(Self::Early(factor)),
                    None => wrong(&value),
                }
            }
            Expr::Path(_) => wrong(&value),
            _ => match part(value.clone()) {
                Ok(part) if part > 0.0 => Ok(Self::After(part)),
                _ => wrong(&value),
            },
        }
    }
}

impl Negative {
    fn parse(name: Span, input: ParseStream<'_>, faults: &mut Faults) -> syn::Result<Self> {
        const WORDS: [&str; 2] = ["none", "err"];
        let content;
        parenthesized!(content in input);
        if content.is_empty() {
            return Err(syn::Error::new(
                name,
                "`negative()` says nothing: write `negative(none = \"30s\", err = \"5s\")`, or one of the two",
            ));
        }
        let mut negative = Self::default();
        while !content.is_empty() {
            let word = content.call(Ident::parse_any)?;
            content.parse::<Token![=]>()?;
            let value = content.parse()?;
            let place = match word.to_string().as_str() {
                "none" => &mut negative.none,
                "err" => &mut negative.err,
                other => {
                    let message = format!("`negative` knows no `{other}`{}", or_known(other, WORDS));
                    return Err(syn::Error::new(word.span(), message));
                }
            };
            if place.is_some() {
                faults.at(word.span(), format!("`{word}` is written twice"));
            }
            *place = Some(Time::of(&Ask::NEGATIVE, value)?);
            if !content.is_empty() {
                content.parse::<Token![,]>()?;
            }
        }
        Ok(negative)
    }
}

/// A part of a time: `"10%"`, `0.1` or `off`.
fn part(value: Expr) -> syn::Result<f64> {
    const FORM: &str = "a part of the time-to-live is at least 0 and below 1: write \"10%\", `0.1` or `off`";
    let part = match &value {
        Expr::Lit(ExprLit { lit: Lit::Float(part), .. }) if part.suffix().is_empty() => {
            part.base10_parse().ok()
        }
        Expr::Lit(ExprLit { lit: Lit::Int(part), .. }) if part.suffix().is_empty() => {
            part.base10_parse::<u32>().ok().map(f64::from)
        }
        Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => {
            let text = text.value();
            let percent = text.strip_suffix('%').and_then(|percent| percent.parse::<f64>().ok());
            percent.map(|percent| percent / 100.0)
        }
        Expr::Path(path) if path.path.is_ident("off") => Some(0.0),
        _ => None,
    };
    match part.filter(|part| (0.0..1.0).contains(part)) {
        Some(part) => Ok(part),
        None => Err(syn::Error::new_spanned(value, FORM)),
    }
}

fn closure(value: Expr) -> syn::Result<ExprClosure> {
    match value {
        Expr::Closure(closure) => Ok(closure),
        other => Err(syn::Error::new_spanned(
            other,
            "`key` names the parameters that it is made of: write `key = |query| query.normalized()`",
        )),
    }
}

fn names(name: Span, input: ParseStream<'_>, faults: &mut Faults) -> syn::Result<Vec<Ident>> {
    let content;
    parenthesized!(content in input);
    let mut names: Vec<Ident> = Vec::new();
    let parameter = |input: ParseStream<'_>| {
        input.call(Ident::parse_any).map_err(|error| {
            syn::Error::new(error.span(), "`skip` names parameters, without quotes: write `skip(db, trace)`")
        })
    };
    for skipped in content.parse_terminated(parameter, Token![,])? {
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
pub(crate) fn skip_option(input: ParseStream<'_>) -> syn::Result<()> {
    while !input.is_empty() && !input.peek(Token![,]) {
        proc_macro2::TokenTree::parse(input)?;
    }
    Ok(())
}
