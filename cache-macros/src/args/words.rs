//! Options whose value is one of a few words, or a number that stands alone.

use proc_macro2::{Ident, Span};
use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::{Expr, ExprLit, Lit, Token, parenthesized};

use super::{Breaker, OnError};
use crate::faults::Faults;
use crate::suggest::or_known;
use crate::time::{Ask, Time};

/// What a call without a scope does.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum WithoutScope {
    Bypass,
    Error,
    Panic,
}

/// Whose run is whose answer, where it is not one run for all.
#[derive(Clone, Copy)]
pub(crate) enum Coalesce {
    On,
    Off,
    /// One runs for all, and goes on if its caller goes away.
    Detached(Span),
}

/// Where the companions stand, if not in their usual place.
#[derive(Clone)]
pub(crate) enum Companions {
    /// Nowhere.
    Off,
    /// On a type of this name.
    On(Ident),
}

pub(super) fn without_scope(input: ParseStream<'_>) -> syn::Result<(WithoutScope, Span)> {
    const WAYS: [(&str, WithoutScope); 3] =
        [("bypass", WithoutScope::Bypass), ("error", WithoutScope::Error), ("panic", WithoutScope::Panic)];
    word(input, "without_scope", &WAYS)
}

pub(super) fn coalesce(input: ParseStream<'_>) -> syn::Result<Coalesce> {
    #[derive(Clone, Copy)]
    enum Way {
        On,
        Off,
        Detached,
    }
    const WAYS: [(&str, Way); 3] = [("on", Way::On), ("off", Way::Off), ("detached", Way::Detached)];
    Ok(match word(input, "coalesce", &WAYS)? {
        (Way::On, _) => Coalesce::On,
        (Way::Off, _) => Coalesce::Off,
        (Way::Detached, span) => Coalesce::Detached(span),
    })
}

pub(super) fn on_error(input: ParseStream<'_>) -> syn::Result<OnError> {
    const ONE: &str = "`stale` is given one time: write `on_error = stale(\"1h\")`";
    let ((), stale) = word(input, "on_error", &[("stale", ())])?;
    if !input.peek(syn::token::Paren) {
        return Ok(OnError::AsTtl);
    }
    let content;
    parenthesized!(content in input);
    if content.is_empty() {
        return Err(syn::Error::new(stale, ONE));
    }
    let time = Time::of(&Ask::with_end("on_error"), content.parse()?)?;
    if !content.is_empty() {
        return Err(content.error(ONE));
    }
    Ok(OnError::For(time))
}

/// `breaker(failures = 5, cool_down = "10s")`.
pub(super) fn breaker(name: Span, input: ParseStream<'_>) -> syn::Result<Breaker> {
    const FORM: &str = "write `breaker = 5`, or `breaker(failures = 5, cool_down = \"10s\")`";
    let content;
    parenthesized!(content in input);
    let (mut count, mut cool_down) = (None, None);
    while !content.is_empty() {
        let word = content.call(Ident::parse_any).map_err(|error| syn::Error::new(error.span(), FORM))?;
        content.parse::<Token![=]>()?;
        if word == "failures" && count.is_none() {
            count = Some(failures(content.parse()?)?);
        } else if word == "cool_down" && cool_down.is_none() {
            cool_down = Some(Time::of(&Ask::with_end("cool_down"), content.parse()?)?);
        } else {
            return Err(syn::Error::new(word.span(), FORM));
        }
        if !content.is_empty() {
            content.parse::<Token![,]>()?;
        }
    }
    match count {
        Some(failures) => Ok(Breaker { failures, cool_down }),
        None => Err(syn::Error::new(name, FORM)),
    }
}

/// A number of failures.
pub(super) fn failures(value: Expr) -> syn::Result<u32> {
    let count = match &value {
        Expr::Lit(ExprLit { lit: Lit::Int(count), .. }) if count.suffix().is_empty() => {
            count.base10_parse().ok()
        }
        _ => None,
    };
    match count.filter(|count| *count > 0) {
        Some(count) => Ok(count),
        None => Err(syn::Error::new_spanned(
            value,
            "a breaker opens after a number of loads in a row that failed, 1 at least: write `breaker = 5`",
        )),
    }
}

pub(super) fn companions(input: ParseStream<'_>) -> syn::Result<Companions> {
    match input.call(Ident::parse_any) {
        Ok(name) if name == "off" => Ok(Companions::Off),
        Ok(name) => Ok(Companions::On(name)),
        Err(_) => Err(input.error("write `companions = off`, or the name of a type to put them on")),
    }
}

/// `allow(unit)`.
pub(super) fn allow(name: Span, input: ParseStream<'_>, faults: &mut Faults) -> syn::Result<()> {
    let content;
    parenthesized!(content in input);
    let words = content.parse_terminated(Ident::parse_any, Token![,])?;
    for word in words.iter().filter(|word| *word != "unit") {
        faults.at(word.span(), format!("nothing to allow is called `{word}`; known: `unit`"));
    }
    if words.is_empty() {
        return Err(syn::Error::new(name, "`allow()` allows nothing: write `allow(unit)`"));
    }
    Ok(())
}

/// A number of loads.
pub(super) fn limit(value: Expr) -> syn::Result<()> {
    match &value {
        Expr::Lit(ExprLit { lit: Lit::Int(count), .. })
            if count.base10_parse::<u32>().is_ok_and(|n| n > 0) =>
        {
            Ok(())
        }
        Expr::Lit(_) => Err(syn::Error::new_spanned(value, "`limit` is a number of loads, 1 at least")),
        _ => Ok(()),
    }
}

fn word<T: Copy>(input: ParseStream<'_>, option: &str, ways: &[(&str, T)]) -> syn::Result<(T, Span)> {
    let words = ways.iter().map(|(word, _)| *word);
    let Ok(way) = input.call(Ident::parse_any) else {
        let all: Vec<_> = words.map(|word| format!("`{option} = {word}`")).collect();
        return Err(input.error(format!("write {}, without quotes", all.join(", "))));
    };
    let text = way.to_string();
    match ways.iter().find(|(word, _)| *word == text) {
        Some((_, chosen)) => Ok((*chosen, way.span())),
        None => {
            let message = format!("unknown `{option} = {text}`{}", or_known(&text, words));
            Err(syn::Error::new(way.span(), message))
        }
    }
}
