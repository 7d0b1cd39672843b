//! What a checked function becomes: the same function around one call into `private`, and its companions.
//!
//! (1) Sync and async differ by that one call. (2) Nothing borrowed, and nothing of the return type, lives across
//! the await: the look-up is one statement, and its temporaries end with it. (3) Names that could meet the user's
//! are hygienic or start with `__strata_`. (4) Paths start at `::`, so no prelude is needed.

mod call;
mod companions;

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote};
use syn::ext::IdentExt;
use syn::{Attribute, FnArg, Pat};

use crate::check::Plan;
use crate::item::Argument;
use call::{kind, place, private, traits, view};
use companions::{at, companions};

/// A free function and the type of its name.
pub(crate) fn function(plan: &Plan<'_>) -> TokenStream {
    let item = &plan.function.item;
    let (name, vis) = (plan.function.name(), &item.vis);
    let attrs: Vec<_> = of_companion(&item.attrs).collect();
    let doc = format!("Companions of [`{name}()`]: what can be asked of its cache.");
    let site = quote!(#name::__strata_at());
    let function = outer(plan, &site);
    let at = at(plan, &format_ident!("__strata_at"), quote!(::core::option::Option::None));
    let companions = companions(plan, &site, |verb| format_ident!("{verb}"));
    let lints = lints();
    quote! {
        #function
        #(#attrs)*
        #lints
        #[doc = #doc]
        #vis enum #name {}
        #(#attrs)*
        #lints
        impl #name {
            #companions
            #at
        }
    }
}

/// A function of an impl block; its companions stand beside it under its name and theirs.
pub(crate) fn method(plan: &Plan<'_>) -> TokenStream {
    let name = plan.function.name().unraw();
    let at_name = format_ident!("__strata_{name}_at");
    let site = quote!(Self::#at_name());
    let function = outer(plan, &site);
    let owner = quote!(::core::option::Option::Some(::core::any::type_name::<Self>()));
    let at = at(plan, &at_name, owner);
    let companions = companions(plan, &site, |verb| format_ident!("{name}_{verb}"));
    quote! {
        #function
        #companions
        #at
    }
}

/// The attributes of a function that its companions need too.
pub(crate) fn of_companion(attrs: &[Attribute]) -> impl Iterator<Item = &Attribute> {
    let hidden = |attr: &Attribute| {
        attr.path().is_ident("doc") && attr.parse_args::<Ident>().is_ok_and(|word| word == "hidden")
    };
    attrs.iter().filter(move |attr| attr.path().is_ident("cfg") || hidden(attr))
}

fn lints() -> TokenStream {
    quote!(#[allow(
        non_camel_case_types,
        dead_code,
        unreachable_pub,
        unused_qualifications,
        single_use_lifetimes,
        unused_lifetimes,
        clippy::all,
        clippy::pedantic
    )])
}

/// The user's function with the look-up in front of its body.
fn outer(plan: &Plan<'_>, site: &TokenStream) -> TokenStream {
    let private = private(plan);
    let pending = Ident::new("__strata_pending", Span::mixed_site());
    let (place, view, kind, traits) = (place(plan), view(plan), kind(plan), traits(plan));
    let returned = &plan.returned;
    let function = plan.function;
    let unpack = function.args.iter().filter_map(|argument| {
        let (pattern, name) = (argument.pattern.as_ref()?, &argument.name);
        Some(quote!(let #pattern = #name;))
    });
    let body = &function.item.block.stmts;
    let load = if function.is_async() {
        // A block has no place for its type; a return that never runs tells it, so that the body coerces and
        // infers as it did.
        let typed = Ident::new("__strata_typed", Span::mixed_site());
        quote! {
            #pending.run_async(async move {
                #[allow(unreachable_code, clippy::all, clippy::pedantic)]
                if false {
                    let #typed: #returned = loop {};
                    return #typed;
                }
                #(#unpack)*
                #(#body)*
            }).await
        }
    } else {
        quote!(#pending.run(move || -> #returned { #(#unpack)* #(#body)* }))
    };
    let mut item = function.item.clone();
    let mut arguments = function.args.iter();
    for input in &mut item.sig.inputs {
        if let FnArg::Typed(typed) = input
            && let Some(Argument { name, pattern: Some(_), .. }) = arguments.next()
        {
            *typed.pat = Pat::Verbatim(name.to_token_stream());
        }
    }
    item.block.stmts = vec![syn::Stmt::Expr(
        syn::Expr::Verbatim(quote! {
            let #pending = {
                #traits
                match #private::start(#site, #place, &#view, #kind) {
                    #private::Start::Done(__strata_returned) => return __strata_returned,
                    #private::Start::Load(__strata_pending) => __strata_pending,
                }
            };
            #load
        }),
        None,
    )];
    item.into_token_stream()
}
