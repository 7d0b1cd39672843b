//! The companions: `invalidate`, `invalidate_scope`, `peek`, `stats`, and the hidden one that holds the call site.
//!
//! (1) They make the same key and place as the function, by the same code (`call`). (2) They take the function's own
//! arguments, without those that are skipped and give no id.

use proc_macro2::{Ident, TokenStream};
use quote::{ToTokens, quote};
use syn::Generics;
use syn::ext::IdentExt;

use super::call::{kind, parameter, place, private, scope, traits, view};
use super::{lints, of_companion};
use crate::args::{Max, WithoutScope};
use crate::check::Plan;
use crate::ttl::Ttl;

/// `invalidate`, `invalidate_scope`, `peek` and `stats`, named by `named`.
pub(super) fn companions(plan: &Plan<'_>, site: &TokenStream, named: impl Fn(&str) -> Ident) -> TokenStream {
    let (private, function, returned) = (private(plan), plan.function, &plan.returned);
    let (vis, lints) = (&function.item.vis, lints());
    let attrs: Vec<_> = of_companion(&function.item.attrs).collect();
    let (place, view, kind, traits) = (place(plan), view(plan), kind(plan), traits(plan));
    let (generics, bounds) = header(&function.item.sig.generics);
    let receiver = function.receiver.iter();
    let asked = plan.asked.iter().map(|at| parameter(&function.args[*at]));
    let asked: Vec<_> = receiver.map(ToTokens::to_token_stream).chain(asked).collect();
    let (scope_parameters, scope) = scope(plan);
    let link = match function.receiver.is_some() || named("peek") != "peek" {
        true => format!("[`{0}`](Self::{0})", function.name()),
        false => format!("[`{0}`]({0}())", function.name()),
    };
    let invalidate_doc = format!("Withdraws what {link} stored for these arguments. It acts at the call.");
    let scope_doc = format!("Withdraws all that {link} stored in this scope and below. It acts at the call.");
    let peek_doc =
        format!("What {link} would be served now, without running it, counting or touching anything.");
    let stats_doc = format!("Statistics of {link}, in all scopes together.");
    let depth = plan.levels.len();
    let [invalidate, invalidate_scope, peek, stats] =
        ["invalidate", "invalidate_scope", "peek", "stats"].map(named);
    quote! {
        #(#attrs)*
        #lints
        #[doc = #invalidate_doc]
        #vis fn #invalidate #generics(#(#asked),*) -> #private::Invalidated #bounds {
            #traits
            #private::invalidate::<_, #returned, _, #depth>(#site, #place, &#view, #kind)
        }

        #(#attrs)*
        #lints
        #[doc = #scope_doc]
        #vis fn #invalidate_scope #generics(#(#scope_parameters),*) -> #private::Evicting #bounds {
            #private::invalidate_scope(#site, #scope)
        }

        #(#attrs)*
        #lints
        #[doc = #peek_doc]
        #vis fn #peek #generics(#(#asked),*) -> ::core::option::Option<#returned> #bounds {
            #traits
            #private::peek(#site, #place, &#view, #kind)
        }

        #(#attrs)*
        #lints
        #[doc = #stats_doc]
        #vis fn #stats() -> #private::RegionStats {
            #private::stats(#site)
        }
    }
}

/// The hidden function that holds the call site's static.
pub(super) fn at(plan: &Plan<'_>, name: &Ident, owner: TokenStream) -> TokenStream {
    let (private, levels, lints) = (private(plan), &plan.levels, lints());
    let attrs = of_companion(&plan.function.item.attrs);
    let item = plan.function.name().unraw().to_string();
    let ttl = match &plan.ttl {
        None => quote!(#private::Ttl::Inherit),
        Some(Ttl::Never) => quote!(#private::Ttl::Never),
        Some(Ttl::After(time)) => {
            let (seconds, nanos) = (time.as_secs(), time.subsec_nanos());
            quote!(#private::Ttl::After(::core::time::Duration::new(#seconds, #nanos)))
        }
        Some(Ttl::Given(time)) => quote!({
            let __strata_ttl: ::core::time::Duration = #time;
            #private::Ttl::After(__strata_ttl)
        }),
    };
    let max = match &plan.max {
        None => quote!(::core::option::Option::None),
        Some(Max::Count(count)) => quote!(::core::option::Option::Some(#count)),
        Some(Max::Given(count)) => quote! {
            ::core::option::Option::Some(const {
                ::core::assert!((#count) > 0, "`max` must be greater than zero");
                (#count) as u64
            })
        },
    };
    let without_scope = match plan.without_scope {
        WithoutScope::Bypass => quote!(Bypass),
        WithoutScope::Error => quote!(Error),
        WithoutScope::Panic => quote!(Panic),
    };
    quote! {
        #(#attrs)*
        #lints
        #[doc(hidden)]
        #[inline]
        fn #name() -> #private::At {
            static __STRATA_SITE: #private::Site = #private::Site::new();
            #private::At::new(&__STRATA_SITE, || #private::Spec {
                module: ::core::module_path!(),
                owner: #owner,
                item: #item,
                levels: &[#(#levels),*],
                ttl: #ttl,
                max: #max,
                without_scope: #private::WithoutScope::#without_scope,
            })
        }
    }
}

/// The lifetimes of a signature, before and after its parameters.
fn header(generics: &Generics) -> (TokenStream, TokenStream) {
    let (before, _, after) = generics.split_for_impl();
    (before.to_token_stream(), after.to_token_stream())
}
