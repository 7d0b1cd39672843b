//! `#[cached]` on an impl block: caches the functions in it that carry the attribute themselves.
//!
//! (1) The outer attribute consumes the inner ones, so none is expanded without its `Self`. (2) All faults of all
//! functions come at once. (3) A block without a cached function is a fault: the attribute would do nothing.

use proc_macro2::TokenStream;
use quote::ToTokens;
use syn::spanned::Spanned;
use syn::{Attribute, ImplItem, ImplItemFn, ItemFn, ItemImpl, Meta, Path};

use crate::args::Args;
use crate::faults::Faults;
use crate::item::{Function, Home};
use crate::options::Known;
use crate::{check, expand, fallback};

/// Expands the block, or stands in for it.
pub(crate) fn expand(args: TokenStream, item: ItemImpl) -> TokenStream {
    let mut faults = Faults::new();
    let krate = outer(args, &mut faults);
    if let Some((path, _)) = &item.trait_ {
        faults
            .on(path, "cached functions in an impl of a trait are not yet available; cache an inherent one");
    }
    check::generics(&item.generics, "impl blocks", &mut faults);
    let mut expanded = item.clone();
    let mut cached = 0;
    for member in &mut expanded.items {
        if let ImplItem::Fn(method) = member
            && let Some(at) = method.attrs.iter().position(is_cached)
        {
            cached += 1;
            let attr = method.attrs.remove(at);
            *member = ImplItem::Verbatim(self::method(&attr, method.clone(), krate.as_ref(), &mut faults));
        }
    }
    if cached == 0 {
        faults.at(
            item.impl_token.span(),
            "no function of this impl block is cached: write `#[cached(scope = …)]` on those that should be",
        );
    }
    if faults.is_empty() { expanded.into_token_stream() } else { faults.beside(fallback::block(item)) }
}

/// Whether an attribute is ours, by the last name of its path.
pub(crate) fn is_cached(attr: &Attribute) -> bool {
    attr.path().segments.last().is_some_and(|last| last.ident == "cached")
}

/// The outer attribute's options: a path to the crate, and no other.
fn outer(args: TokenStream, faults: &mut Faults) -> Option<Path> {
    let args = Args::read(args, faults);
    for (option, span) in &args.written {
        if *option != Known::Crate {
            faults.at(*span, "options belong on the functions of the block; here stands `#[cached]` alone");
        }
    }
    args.krate
}

fn method(attr: &Attribute, method: ImplItemFn, krate: Option<&Path>, faults: &mut Faults) -> TokenStream {
    let ImplItemFn { attrs, vis, modifiers, sig, block } = method;
    let function = Function::new(ItemFn { attrs, vis, modifiers, sig, block: Box::new(block) }, Home::Impl);
    if let Some(again) = function.item.attrs.iter().find(|attr| is_cached(attr)) {
        faults.on(again, "`#[cached]` is written twice");
    }
    let (tokens, whole) = match &attr.meta {
        Meta::List(list) => (list.tokens.clone(), list.path.span()),
        other => (TokenStream::new(), other.path().span()),
    };
    let mut args = Args::parse(tokens, whole, faults);
    args.krate = args.krate.or_else(|| krate.cloned());
    match check::check(args, &function, faults) {
        Some(plan) => expand::method(&plan),
        None => TokenStream::new(),
    }
}
