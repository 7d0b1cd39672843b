//! What a checked function becomes: the same function around one call into `private`, and its companions.
//!
//! (1) Sync and async differ by that one call. (2) Nothing borrowed, and nothing of the return type, lives across
//! the await: the look-up is one statement, and its temporaries end with it. (3) Names that could meet the user's
//! are hygienic or start with `__strata_`. (4) Paths start at `::`, so no prelude is needed.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Attribute, FnArg, Generics, Pat};

use crate::args::{Max, WithoutScope};
use crate::check::{Id, Place, Plan};
use crate::item::{Argument, Shape};
use crate::ttl::Ttl;

/// A free function and the type of its name.
pub(crate) fn function(plan: &Plan<'_>) -> TokenStream {
    let item = &plan.function.item;
    let (name, vis) = (plan.function.name(), &item.vis);
    let attrs: Vec<_> = of_companion(&item.attrs).collect();
    let doc = format!("Companions of [`{name}()`]: what can be asked of its cache.");
    let site = quote!(#name::__strata_at());
    let function = outer(plan, &site);
    let at = at(
        plan,
        &format_ident!("__strata_at"),
        quote!(::core::option::Option::None),
    );
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
    attrs
        .iter()
        .filter(move |attr| attr.path().is_ident("cfg") || hidden(attr))
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
            && let Some(Argument {
                name,
                pattern: Some(_),
                ..
            }) = arguments.next()
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

/// `invalidate`, `invalidate_scope`, `peek` and `stats`, named by `named`.
fn companions(plan: &Plan<'_>, site: &TokenStream, named: impl Fn(&str) -> Ident) -> TokenStream {
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
fn at(plan: &Plan<'_>, name: &Ident, owner: TokenStream) -> TokenStream {
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

fn private(plan: &Plan<'_>) -> TokenStream {
    let krate = &plan.krate;
    quote!(#krate::private)
}

/// The traits whose methods `kind` and `view` call.
fn traits(plan: &Plan<'_>) -> TokenStream {
    let private = private(plan);
    let mut needed = vec![
        "KindFallible",
        "KindPlain",
        "KindRefused",
        "KindShared",
        "StoresAll",
        "StoresOk",
    ];
    if plan.receiver.is_some() {
        needed.extend(["PeelReference", "PeelValue"]);
    }
    if plan.receiver.is_some() || !plan.key.is_empty() {
        needed.extend(["Keyed", "Unkeyed"]);
    }
    if plan.without_scope == WithoutScope::Error {
        needed.extend(["CanRefuse", "CannotRefuse"]);
    }
    let needed = needed.into_iter().map(|name| Ident::new(name, Span::call_site()));
    quote!(#[allow(unused_imports)] use #private::probe::{#(#needed as _),*};)
}

fn place(plan: &Plan<'_>) -> TokenStream {
    let ids = |ids: &[Id]| -> Vec<TokenStream> {
        let id = |id: &Id| match id {
            Id::Argument(at) => plan.function.args[*at].name.to_token_stream(),
            Id::Given(value, _) => quote!((#value)),
        };
        ids.iter().map(id).collect()
    };
    match &plan.place {
        Place::Ids(given) => of_ids(plan, &ids(given)),
        other => without_ids(plan, other),
    }
}

/// The parameters of `invalidate_scope`, and the place they say.
fn scope(plan: &Plan<'_>) -> (Vec<TokenStream>, TokenStream) {
    let Place::Ids(ids) = &plan.place else {
        return (Vec::new(), without_ids(plan, &plan.place));
    };
    let private = private(plan);
    let (mut parameters, mut names) = (Vec::new(), Vec::new());
    for id in ids {
        match id {
            Id::Argument(at) => {
                let argument = &plan.function.args[*at];
                parameters.push(parameter(argument));
                names.push(argument.name.to_token_stream());
            }
            Id::Given(_, name) => {
                parameters.push(quote!(#name: impl #private::ScopeId));
                names.push(name.to_token_stream());
            }
        }
    }
    (parameters, of_ids(plan, &names))
}

fn of_ids(plan: &Plan<'_>, ids: &[TokenStream]) -> TokenStream {
    let (private, levels) = (private(plan), &plan.levels);
    quote!(#private::Place::ids(&[#(#levels),*], [#(#private::id(&#ids)),*]))
}

fn without_ids(plan: &Plan<'_>, place: &Place) -> TokenStream {
    let (private, levels) = (private(plan), &plan.levels);
    match place {
        Place::Ambient => quote!(#private::Place::ambient(&[#(#levels),*])),
        _ => quote!(#private::Place::global()),
    }
}

/// The borrowed key, receiver first.
fn view(plan: &Plan<'_>) -> TokenStream {
    let private = private(plan);
    let receiver = plan.receiver.iter().map(|receiver| {
        let here = located(receiver.span());
        quote_spanned! {here=>
            .and((&&#private::probe::Argument(#private::probe::keyed(
                (&&#private::probe::Peel(&(#receiver))).peel()
            ))).part())
        }
    });
    let arguments = plan.key.iter().map(|at| {
        let argument = &plan.function.args[*at];
        let name = &argument.name;
        match argument.shape() {
            Shape::Optional { target } => quote! {
                .and((&&#private::probe::OptionalArgument(#private::probe::keyed_option::<#target>(#name))).part())
            },
            Shape::Plain { depth, target } => {
                let borrowed = match depth {
                    0 => quote!(&#name),
                    1 => quote!(#name),
                    more => {
                        let stars = (1..more).map(|_| quote!(*));
                        quote!(#(#stars)*#name)
                    }
                };
                quote!(.and((&&#private::probe::Argument(#private::probe::keyed::<#target>(#borrowed))).part()))
            }
            Shape::Exclusive => TokenStream::new(),
        }
    });
    quote!(#private::view() #(#receiver)* #(#arguments)*)
}

/// How the return type is taken apart, found under the return type itself.
fn kind(plan: &Plan<'_>) -> TokenStream {
    let (private, returned) = (private(plan), &plan.returned);
    let here = located(returned.span());
    let kind = quote_spanned! {here=> {
        #private::probe::storable((&&#private::probe::Returned::<#returned>::new()).stored());
        (&&&&#private::probe::Returned::<#returned>::new()).kind()
    }};
    match plan.without_scope {
        WithoutScope::Error => {
            let here = located(plan.without_scope_span);
            quote_spanned! {here=> {
                #private::probe::refusable::<#returned>();
                (&&#private::probe::Returned::<#returned>::new()).refusing(#kind)
            }}
        }
        _ => kind,
    }
}

/// A place for messages that still counts as written by the macro, for lints.
fn located(span: Span) -> Span {
    Span::call_site().located_at(span)
}

fn parameter(argument: &Argument) -> TokenStream {
    let (name, ty) = (&argument.name, &argument.ty);
    quote!(#name: #ty)
}

/// The lifetimes of a signature, before and after its parameters.
fn header(generics: &Generics) -> (TokenStream, TokenStream) {
    let (before, _, after) = generics.split_for_impl();
    (before.to_token_stream(), after.to_token_stream())
}
