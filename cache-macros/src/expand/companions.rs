//! The companions: `invalidate`, `invalidate_scope`, `peek`, `prime`, `refresh`, `uncached`, `stats`; `explain` where loads are cared
//! for, and `marked` where values may be stale.
//!
//! (1) They make the same key and place as the function, by the same code (`call`). (2) Those that do not run the function take
//! its own arguments without those that are left out of the key and give no id; those that run it take all.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote};
use syn::ext::IdentExt;

use super::call::{kind, own_trait, parameter, place, private, rules, scope, tags, traits, view};
use super::generics::{Inherent, turbofish};
use super::{lints, of_companion};
use crate::check::{Name, Plan};
use crate::item::Argument;

/// What a companion is made of, beside its name and its doc.
struct Companion {
    verb: &'static str,
    doc: String,
    parameters: Vec<TokenStream>,
    returns: TokenStream,
    body: TokenStream,
}

/// The companions, named by `named`.
pub(super) fn companions(
    plan: &Plan<'_>,
    site: &TokenStream,
    inherent: &Inherent,
    named: impl Fn(&str) -> Ident,
) -> TokenStream {
    let function = plan.function;
    // An impl block of ours says it once for all.
    let lints = function.block.as_ref().filter(|block| block.of.is_none()).map(|_| lints());
    let vis = visibility(plan);
    let attrs: Vec<_> = of_companion(&function.item.attrs).collect();
    let (generics, bounds) = inherent.of(&function.item.sig.generics);
    let own_trait = own_trait(plan);
    let mut all = asked(plan, site);
    all.push(of_scope(plan, site));
    all.extend(running(plan, site));
    let companions = all.into_iter().map(|companion| {
        let Companion { verb, doc, parameters, returns, body } = companion;
        let (name, doc) = (named(verb), doc.replace("{}", &link(plan)));
        let asyncness =
            (matches!(verb, "refresh" | "uncached" | "marked") && function.is_async()).then(|| quote!(async));
        quote! {
            #(#attrs)*
            #lints
            #[doc = #doc]
            #vis #asyncness fn #name #generics(#(#parameters),*) -> #returns #bounds {
                #own_trait
                #body
            }
        }
    });
    quote!(#(#companions)*)
}

/// Those of one call that do not run the function, and `stats`.
fn asked(plan: &Plan<'_>, site: &TokenStream) -> Vec<Companion> {
    let (private, returned) = (private(plan), &plan.returned);
    let (place, view, kind, traits) = (place(plan), view(plan), kind(plan), traits(plan));
    let depth = plan.levels.len();
    let parameters = parameters(plan, plan.asked.iter().copied());
    let stored = Ident::new("returned", Span::mixed_site());
    // What is stored may have tags that are made of more.
    let named = |at: &usize| {
        plan.store
            .tags
            .iter()
            .flat_map(|tag| &tag.names)
            .any(|name| plan.function.position(name) == Some(*at))
    };
    let needed = (0..plan.function.args.len()).filter(|at| plan.asked.contains(at) || named(at));
    let mut with_value = self::parameters(plan, needed);
    with_value.push(quote!(#stored: #returned));
    let tags = tags(plan);
    let rules = rules(plan).unwrap_or_else(|| quote!(::core::default::Default::default()));
    let explain = plan.site.care.is_there().then(|| Companion {
        verb: "explain",
        doc: "How what {} stored for these arguments stands, and what a call would do now. Nothing is counted or changed.".into(),
        parameters: parameters.clone(),
        returns: quote!(#private::Explaining),
        body: quote! {
            #traits
            #private::explain::<_, #returned, _, #depth>(#site, #place, &#view, #kind)
        },
    });
    let all = vec![
        Companion {
            verb: "invalidate",
            doc: "Withdraws what {} stored for these arguments. It acts at the call.".into(),
            parameters: parameters.clone(),
            returns: quote!(#private::Invalidated),
            body: quote! {
                #traits
                #private::invalidate::<_, #returned, _, #depth>(#site, #place, &#view, #kind)
            },
        },
        Companion {
            verb: "peek",
            doc: "What {} would be served now, without running it, counting or touching anything.".into(),
            parameters,
            returns: quote!(::core::option::Option<#returned>),
            body: quote! {
                #traits
                #private::peek(#site, #place, &#view, #kind)
            },
        },
        Companion {
            verb: "prime",
            doc: "Stores what {} is to be served for these arguments, as if it had returned it: an error, say, is not \
                  stored, and then the report is `false`. It acts at the call, and a run under way stores nothing."
                .into(),
            parameters: with_value,
            returns: quote!(#private::Primed),
            body: quote! {
                #traits
                #private::prime(#site, #place, &#view, (#kind, #rules, #tags), #stored)
            },
        },
        Companion {
            verb: "stats",
            doc: "Statistics of {}, in all scopes together.".into(),
            parameters: Vec::new(),
            returns: quote!(#private::RegionStats),
            body: quote!(#private::stats(#site)),
        },
    ];
    all.into_iter().chain(explain).collect()
}

fn of_scope(plan: &Plan<'_>, site: &TokenStream) -> Companion {
    let private = private(plan);
    let (parameters, scope) = scope(plan);
    Companion {
        verb: "invalidate_scope",
        doc: "Withdraws all that {} stored in this scope and below. It acts at the call.".into(),
        parameters,
        returns: quote!(#private::Evicting),
        body: quote!(#private::invalidate_scope(#site, #scope)),
    }
}

/// Those that run the function.
fn running(plan: &Plan<'_>, site: &TokenStream) -> Vec<Companion> {
    let (private, function) = (private(plan), plan.function);
    // An argument may have the name of the function, which then could not be called.
    let named = |argument: &Argument| match &function.block {
        None if argument.name == *function.name() => Ident::new("argument", Span::mixed_site()),
        _ => argument.name.clone(),
    };
    let (name, own) = (function.name(), turbofish(function.item.sig.generics.params.iter()));
    let this = function.receiver.iter().map(|receiver| receiver.self_token.to_token_stream());
    let arguments = this.chain(function.args.iter().map(|argument| named(argument).into_token_stream()));
    let call = match &function.block {
        None => quote!(#name #own(#(#arguments),*)),
        Some(block) => match &block.of {
            None => quote!(Self::#name #own(#(#arguments),*)),
            Some(of) => quote!(<Self as #of>::#name #own(#(#arguments),*)),
        },
    };
    let companion = |verb: &'static str, doc: &str| {
        let made = format_ident!("{verb}{}", if function.is_async() { "_async" } else { "" });
        let body = if function.is_async() {
            quote!(#private::#made(#site, #call).await)
        } else {
            quote!(#private::#made(#site, || #call))
        };
        Companion {
            verb,
            doc: doc.into(),
            parameters: receiver(plan)
                .chain(function.args.iter().map(|argument| {
                    let (name, ty) = (named(argument), &argument.ty);
                    quote!(#name: #ty)
                }))
                .collect(),
            returns: plan.returned.to_token_stream(),
            body,
        }
    };
    let mut all = vec![
        companion(
            "refresh",
            "Runs {} for these arguments, whatever is stored, and stores what it returns in its place. Others are served \
             what was stored until then; a run that began before stores nothing after that.",
        ),
        companion("uncached", "Runs {} past the cache: nothing is looked up, and nothing is stored."),
    ];
    // Only where an answer may be stale is there something to tell.
    if plan.site.care.stale.is_some() || plan.site.care.on_error.is_some() {
        let returned = &plan.returned;
        let marked = companion(
            "marked",
            "Calls {}, and says whether what it was answered with is past its time-to-live.",
        );
        all.push(Companion { returns: quote!(#private::Marked<#returned>), ..marked });
    }
    all
}

/// The receiver, if there is one, and these arguments.
fn parameters(plan: &Plan<'_>, arguments: impl Iterator<Item = usize>) -> Vec<TokenStream> {
    receiver(plan).chain(arguments.map(|at| parameter(&plan.function.args[at]))).collect()
}

fn receiver<'a>(plan: &'a Plan<'_>) -> impl Iterator<Item = TokenStream> + use<'a> {
    plan.function.receiver.iter().map(ToTokens::to_token_stream)
}

/// That of the function; the impl of a trait has none, and what it may be seen by is what its type may be.
fn visibility(plan: &Plan<'_>) -> TokenStream {
    match &plan.function.block {
        Some(block) if block.of.is_some() => quote!(pub),
        _ => plan.function.item.vis.to_token_stream(),
    }
}

fn link(plan: &Plan<'_>) -> String {
    let name = plan.function.name();
    match (&plan.function.block, &plan.companions) {
        (Some(block), _) if block.of.is_some() => format!("`{}`", name.unraw()),
        (Some(_), _) => format!("[`{name}`](Self::{name})"),
        (None, Some(Name::Given(_)) | None | Some(Name::Own)) => format!("[`{name}`]({name}())"),
    }
}
