//! What a checked function becomes: the same function around one call into `private`, and its companions.
//!
//! (1) Sync and async differ by that one call. (2) Nothing borrowed, and nothing of the return type, lives across
//! the await: the look-up is one statement, and its temporaries end with it. (3) Names that could meet the user's
//! are hygienic or start with `__strata_`. (4) Paths start at `::`, so no prelude is needed.

mod call;
mod companions;
mod detached;
mod generics;
mod site;

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote};
use syn::ext::IdentExt;
use syn::{Attribute, FnArg, Pat};

use crate::check::{Name, Plan};
use crate::item::Argument;
use call::{kind, place, private, rules, tags, traits, view};
use companions::companions;
use generics::{Inherent, turbofish};

/// A function of an impl block, and what goes into another block: companions cannot stand in the impl of a trait.
pub(crate) struct Method {
    pub(crate) inside: TokenStream,
    pub(crate) beside: TokenStream,
}

/// A free function and the type of its name.
pub(crate) fn function(plan: &Plan<'_>) -> TokenStream {
    let item = &plan.function.item;
    let (function, vis) = (plan.function.name(), &item.vis);
    let name = match &plan.companions {
        None => return apart(plan, &own_body(plan)),
        Some(Name::Own) => function,
        Some(Name::Given(name)) => name,
    };
    let attrs: Vec<_> = of_companion(&item.attrs).collect();
    let doc = format!("Companions of [`{function}()`]: what can be asked of its cache.");
    let at_name = format_ident!("__strata_at");
    let turbofish = turbofish(item.sig.generics.params.iter());
    let site = quote!(#name::#at_name #turbofish());
    let outer = outer(plan, &site, &own_body(plan));
    let at = site::at(plan, &at_name, quote!(::core::option::Option::None), &Inherent::none());
    let companions = companions(plan, &site, &Inherent::none(), |verb| format_ident!("{verb}"));
    let lints = lints();
    quote! {
        #outer
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
pub(crate) fn method(plan: &Plan<'_>) -> Method {
    let Some(block) = plan.function.block.as_ref().filter(|_| plan.companions.is_some()) else {
        let body = plan.may_go_on.then(|| detached::body(plan));
        let function = apart(plan, &TokenStream::new());
        return Method { inside: quote!(#function #body), beside: TokenStream::new() };
    };
    let inherent = match &block.of {
        Some(_) => Inherent::beside(block),
        None => Inherent::none(),
    };
    let name = match &plan.companions {
        Some(Name::Given(name)) => name.unraw(),
        _ => plan.function.name().unraw(),
    };
    let at_name = format_ident!("__strata_{name}_at");
    let own = plan.function.item.sig.generics.params.iter();
    let turbofish = turbofish(inherent.moved.iter().chain(own));
    let site = quote!(Self::#at_name #turbofish());
    let function = outer(plan, &site, &TokenStream::new());
    let body = plan.may_go_on.then(|| detached::body(plan));
    let owner = quote!(::core::option::Option::Some(::core::any::type_name::<Self>()));
    let at = site::at(plan, &at_name, owner, &inherent);
    let companions = companions(plan, &site, &inherent, |verb| format_ident!("{name}_{verb}"));
    if block.of.is_none() {
        return Method { inside: quote!(#function #body #companions #at), beside: TokenStream::new() };
    }
    let (header, clause, self_ty, lints) = (&inherent.header, &inherent.clause, &block.self_ty, lints());
    let attrs = of_companion(&plan.function.item.attrs);
    let beside = quote! {
        #(#attrs)*
        #lints
        impl #header #self_ty #clause {
            #companions
            #at
        }
    };
    Method { inside: function, beside }
}

/// A function without companions: its site is inside of it.
fn apart(plan: &Plan<'_>, items: &TokenStream) -> TokenStream {
    let at_name = format_ident!("__strata_at");
    let turbofish = turbofish(plan.function.parameters());
    let site = quote!(#at_name #turbofish());
    let at = site::nested(plan, &at_name);
    outer(plan, &site, &quote!(#at #items))
}

/// The body of a free function as an item inside of it, where it has to be one.
fn own_body(plan: &Plan<'_>) -> TokenStream {
    if plan.may_go_on { detached::body(plan) } else { TokenStream::new() }
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
        deprecated,
        private_interfaces,
        private_bounds,
        unreachable_pub,
        unused_qualifications,
        unused_variables,
        non_local_definitions,
        single_use_lifetimes,
        unused_lifetimes,
        async_fn_in_trait,
        clippy::all,
        clippy::pedantic
    )])
}

/// The user's function with the look-up in front of its body, and items before that.
fn outer(plan: &Plan<'_>, site: &TokenStream, items: &TokenStream) -> TokenStream {
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
    let load = if plan.may_go_on {
        detached::run(plan, &pending)
    } else if function.is_async() {
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
    let rules = rules(plan).map(|rules| quote!(let #pending = { #traits #pending.by(#rules) };));
    let tags = (!plan.store.tags.is_empty()).then(|| {
        let tags = tags(plan);
        quote!(let #pending = #pending.tagged(|| #tags);)
    });
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
            #items
            let #pending = {
                #traits
                match #private::start(#site.begin(), #place, &#view, #kind) {
                    #private::Start::Done(__strata_returned) => return __strata_returned,
                    #private::Start::Load(__strata_pending) => __strata_pending,
                }
            };
            #rules
            #tags
            #load
        }),
        None,
    )];
    item.into_token_stream()
}
