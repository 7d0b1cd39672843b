//! A run that goes on without its caller, or may: the body is a function of its own, which is given arguments of its own.
//!
//! (1) What is owned goes along; what is borrowed is owned before, and borrowed again inside. (2) What the compiler may complain
//! about is placed at the argument. (3) The body stands in a function of its own, for one that asks whether its own future is `Send`
//! cannot be answered.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;

use super::call::private;
use super::generics::turbofish;
use super::lints;
use crate::args::Coalesce;
use crate::check::Plan;
use crate::item::{Argument, Shape};

fn is_detached(plan: &Plan<'_>) -> bool {
    matches!(plan.site.coalesce, Some(Coalesce::Detached(_)))
}

/// The body, as a function of its own: inside of a free function, beside a method.
pub(super) fn body(plan: &Plan<'_>) -> TokenStream {
    let (item, lints) = (&plan.function.item, lints());
    let mut sig = item.sig.clone();
    sig.ident = name(plan);
    let levels = ["allow", "expect", "warn", "deny"];
    let attrs = item
        .attrs
        .iter()
        .filter(|attr| attr.path().is_ident("cfg") || levels.iter().any(|level| attr.path().is_ident(level)));
    let block = &item.block;
    quote! {
        #(#attrs)*
        #lints
        #[doc(hidden)]
        #sig #block
    }
}

/// What answers a call that was no hit.
pub(super) fn run(plan: &Plan<'_>, pending: &Ident) -> TokenStream {
    let (private, function) = (private(plan), plan.function);
    let this = Ident::new("__strata_this", Span::mixed_site());
    let receiver = function.receiver.iter().map(|receiver| {
        let here = Span::call_site().located_at(receiver.span());
        let own = &receiver.self_token;
        quote_spanned!(here=> let #this = #private::owned::along(#private::owned::owned(#own));)
    });
    let before = function.args.iter().map(|argument| owned(&private, argument));
    let inside = function.args.iter().map(|argument| borrowed(&private, argument));
    let own = function.receiver.as_ref().map(|receiver| receiver.self_token.to_token_stream());
    let (of_run, of_call) = (call(plan, &quote!(&#this)), call(plan, &own.unwrap_or_default()));
    let (sent, past) = match (function.is_async(), is_detached(plan)) {
        (true, true) => (quote!(#pending.run_detached(async move { #(#inside)* #of_run.await }).await), true),
        (true, false) => (quote!(#pending.run_owned(async move { #(#inside)* #of_run.await }).await), true),
        (false, true) => (quote!(#pending.run_detached_sync(move || { #(#inside)* #of_run })), false),
        (false, false) => (quote!(#pending.run_owned_sync(move || { #(#inside)* #of_run })), false),
    };
    let past =
        if past { quote!(#pending.run_async(#of_call).await) } else { quote!(#pending.run(|| #of_call)) };
    quote! {
        if #pending.can_be_detached() {
            #(#receiver)*
            #(#before)*
            return #sent;
        }
        #past
    }
}

fn name(plan: &Plan<'_>) -> Ident {
    match plan.function.block {
        None => format_ident!("__strata_run"),
        Some(_) => format_ident!("__strata_{}_run", plan.function.name().unraw()),
    }
}

/// A call of the body.
fn call(plan: &Plan<'_>, this: &TokenStream) -> TokenStream {
    let (name, function) = (name(plan), plan.function);
    let own = turbofish(function.item.sig.generics.params.iter());
    let this = function.receiver.iter().map(|_| this.clone());
    let arguments = this.chain(function.args.iter().map(|argument| argument.name.to_token_stream()));
    match function.block {
        None => quote!(#name #own(#(#arguments),*)),
        Some(_) => quote!(Self::#name #own(#(#arguments),*)),
    }
}

fn owned(private: &TokenStream, argument: &Argument) -> TokenStream {
    let name = &argument.name;
    let here = Span::call_site().located_at(argument.ty.span());
    match argument.shape() {
        Shape::Plain { depth: 0, .. } => quote_spanned!(here=> let #name = #private::owned::along(#name);),
        Shape::Plain { depth, target } => {
            let stars = (1..depth).map(|_| quote!(*));
            quote_spanned!(here=> let #name = #private::owned::owned::<#target>(#(#stars)*#name);)
        }
        Shape::Optional { target } => {
            quote_spanned!(here=> let #name = #private::owned::owned_option::<#target>(#name);)
        }
        Shape::Exclusive => TokenStream::new(),
    }
}

fn borrowed(private: &TokenStream, argument: &Argument) -> TokenStream {
    let name = &argument.name;
    match argument.shape() {
        Shape::Plain { depth, target } if depth > 0 => {
            let deeper = (1..depth).map(|_| quote!(let #name = &#name;));
            quote!(let #name = #private::owned::borrowed::<#target>(&#name); #(#deeper)*)
        }
        Shape::Optional { target } => {
            quote!(let #name = #private::owned::borrowed_option::<#target>(&#name);)
        }
        _ => TokenStream::new(),
    }
}
