//! The hidden function that holds the call site's static, and what the attribute says of all calls.

use proc_macro2::{Ident, Spacing, Span, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;

use super::call::{kind, own_trait, private, traits};
use super::generics::{Inherent, asked, instance};
use super::{lints, of_companion};
use crate::args::{Breaker, Care, Coalesce, Max, OnError, Refresh, WithoutScope};
use crate::check::{Plan, SiteOptions};
use crate::time::Time;

/// The function as an item of an impl block. `owner` is the name of the type whose method it is for.
pub(super) fn at(plan: &Plan<'_>, name: &Ident, owner: TokenStream, inherent: &Inherent) -> TokenStream {
    let (before, after) = inherent.of(&plan.function.item.sig.generics);
    item(plan, name, owner, (before, after))
}

/// The function as an item inside of the cached one, which knows neither its parameters nor its `Self`: the first are declared
/// again, the latter is written out.
pub(super) fn nested(plan: &Plan<'_>, name: &Ident) -> TokenStream {
    let own = &plan.function.item.sig.generics;
    let Some(block) = &plan.function.block else {
        let generics = Inherent::none().of(own);
        return item(plan, name, quote!(::core::option::Option::None), generics);
    };
    let mut inherent = Inherent::none();
    inherent.moved = block.generics.params.iter().cloned().collect();
    inherent.bounds =
        block.generics.where_clause.iter().flat_map(|clause| clause.predicates.clone()).collect();
    let self_ty = &block.self_ty;
    let owner = quote!(::core::option::Option::Some(::core::any::type_name::<#self_ty>()));
    without_self(item(plan, name, owner, inherent.of(own)), &self_ty.to_token_stream())
}

fn item(
    plan: &Plan<'_>,
    name: &Ident,
    owner: TokenStream,
    (before, after): (TokenStream, TokenStream),
) -> TokenStream {
    let private = private(plan);
    let is_ours =
        plan.companions.is_some() && plan.function.block.as_ref().is_none_or(|block| block.of.is_some());
    let lints = (!is_ours).then(lints);
    let attrs = of_companion(&plan.function.item.attrs);
    let (spec, own_trait) = (spec(plan, owner), own_trait(plan));
    let instance = instance(plan.function.parameters());
    let declaration = instance.as_ref().map(|(declaration, _)| declaration);
    let (here, asked) = asked(&private, plan.function.parameters());
    let found = match &instance {
        None => quote!(#private::At::new),
        Some((_, instance)) => quote_spanned!(here=> #private::At::of::<#instance>),
    };
    quote! {
        #(#attrs)*
        #lints
        #[doc(hidden)]
        #[inline]
        fn #name #before() -> #private::At #after {
            #own_trait
            #asked
            #declaration
            static __STRATA_SITE: #private::Site = #private::Site::new();
            #found(&__STRATA_SITE, || #spec)
        }
    }
}

/// The options, beside what is so without them.
fn spec(plan: &Plan<'_>, owner: TokenStream) -> TokenStream {
    let (private, levels) = (private(plan), &plan.levels);
    let item = plan.function.name().unraw().to_string();
    let mut said = vec![quote!(owner: #owner)];
    if let Some((_, instance)) = instance(plan.function.parameters()) {
        said.push(quote!(types: ::core::option::Option::Some(::core::any::type_name::<#instance>())));
    }
    let SiteOptions { ttl, idle, jitter, max, weigh, coalesce, wait, cache, care } = &plan.site;
    if let Some(ttl) = ttl {
        let ttl = ttl_of(&private, ttl);
        said.push(quote!(ttl: #ttl));
    }
    if let Some(idle) = idle {
        let idle = duration(idle);
        said.push(quote!(idle: ::core::option::Option::Some(#idle)));
    }
    if let Some(jitter) = jitter {
        said.push(quote!(jitter: #jitter));
    }
    if let Some(max) = max {
        let max = max_of(max);
        said.push(quote!(max: ::core::option::Option::Some(#max)));
    }
    if let Some(weigh) = weigh {
        let (traits, kind, returned) = (traits(plan), kind(plan), &plan.returned);
        said.push(quote!(weigh: ::core::option::Option::Some({
            #traits
            #private::weigh::<#returned, _>(#kind, #weigh)
        })));
    }
    if matches!(coalesce, Some(Coalesce::Off)) {
        said.push(quote!(coalesce: #private::Coalesce::Off));
    }
    if let Some(wait) = wait {
        let wait = duration(wait);
        said.push(quote!(coalesce: #private::Coalesce::On { wait: ::core::option::Option::Some(#wait) }));
    }
    if let Some(cache) = cache {
        let here = Span::call_site().located_at(cache.span());
        said.push(quote_spanned!(here=> cache: || #private::cache_of(&#cache)));
    }
    said.extend(care_of(&private, care));
    match plan.without_scope {
        WithoutScope::Bypass => {}
        WithoutScope::Error => said.push(quote!(without_scope: #private::WithoutScope::Error)),
        WithoutScope::Panic => said.push(quote!(without_scope: #private::WithoutScope::Panic)),
    }
    quote! {
        #private::Spec {
            #(#said,)*
            ..#private::Spec::new(::core::module_path!(), #item, &[#(#levels),*])
        }
    }
}

/// How loads are cared for, if that is said.
fn care_of(private: &TokenStream, care: &Care) -> Option<TokenStream> {
    let Care { stale, on_error, refresh, soft, hard, throttle, breaker } = care;
    let mut said = Vec::new();
    let times = [("stale", stale), ("soft", soft), ("hard", hard), ("throttle", throttle)];
    for (name, time) in times {
        if let Some(time) = time {
            let (name, time) = (Ident::new(name, Span::call_site()), duration(time));
            said.push(quote!(#name: ::core::option::Option::Some(#time)));
        }
    }
    match on_error {
        None => {}
        Some(OnError::AsTtl) => said.push(quote!(on_error: #private::OnError::AsTtl)),
        Some(OnError::For(time)) => {
            let time = duration(time);
            said.push(quote!(on_error: #private::OnError::For(#time)));
        }
    }
    match refresh {
        None => {}
        Some(Refresh::After(part)) => said.push(quote!(refresh: #private::Refresh::After(#part))),
        Some(Refresh::Early(factor)) => said.push(quote!(refresh: #private::Refresh::Early(#factor))),
    }
    if let Some(Breaker { failures, cool_down }) = breaker {
        let cool_down = match cool_down {
            Some(time) => duration(time),
            None => quote!(#private::COOL_DOWN),
        };
        said.push(quote!(breaker: ::core::option::Option::Some((#failures, #cool_down))));
    }
    (!said.is_empty()).then(|| quote!(care: #private::Care { #(#said,)* ..#private::Care::default() }))
}

/// A time-to-live.
pub(super) fn ttl_of(private: &TokenStream, ttl: &Time) -> TokenStream {
    match ttl {
        Time::Never => quote!(#private::Ttl::Never),
        time => {
            let time = duration(time);
            quote!(#private::Ttl::After(#time))
        }
    }
}

/// A time that ends.
fn duration(time: &Time) -> TokenStream {
    match time {
        Time::Never => quote!(::core::time::Duration::MAX),
        Time::After(time) => {
            let (seconds, nanos) = (time.as_secs(), time.subsec_nanos());
            quote!(::core::time::Duration::new(#seconds, #nanos))
        }
        Time::Given(time) => quote!({
            let __strata_time: ::core::time::Duration = #time;
            __strata_time
        }),
    }
}

fn max_of(max: &Max) -> TokenStream {
    match max {
        Max::Count(count) => quote!(#count),
        Max::Given(count) => quote! {
            const {
                ::core::assert!((#count) > 0, "`max` must be greater than zero");
                (#count) as u64
            }
        },
    }
}

/// Tokens with the type itself where they say `Self`, in angle brackets where a path goes on from it.
fn without_self(tokens: TokenStream, self_ty: &TokenStream) -> TokenStream {
    let mut all = TokenStream::new();
    let mut tokens = tokens.into_iter().peekable();
    while let Some(token) = tokens.next() {
        match token {
            TokenTree::Ident(ident) if ident == "Self" => {
                let here: Span = ident.span();
                let is_path = matches!(tokens.peek(), Some(TokenTree::Punct(next)) if next.as_char() == ':' && next.spacing() == Spacing::Joint);
                all.extend(if is_path {
                    quote_spanned!(here=> <#self_ty>)
                } else {
                    quote_spanned!(here=> #self_ty)
                });
            }
            TokenTree::Group(group) => {
                let inner = without_self(group.stream(), self_ty);
                let mut fresh = proc_macro2::Group::new(group.delimiter(), inner);
                fresh.set_span(group.span());
                TokenTree::Group(fresh).to_tokens(&mut all);
            }
            other => other.to_tokens(&mut all),
        }
    }
    all
}
