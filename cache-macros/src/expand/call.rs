//! The arguments of the one call: where, what key, and how the return type is taken apart.
//!
//! (1) All of them borrow, and none is evaluated twice in one call. (2) What the compiler may complain about is placed
//! where the user wrote it, and still counts as written by the macro for lints.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::PathArguments;
use syn::spanned::Spanned;

use super::site::ttl_of;
use crate::check::{Id, Key, Place, Plan};
use crate::item::{Argument, Shape, uses};

pub(super) fn private(plan: &Plan<'_>) -> TokenStream {
    let krate = &plan.krate;
    quote!(#krate::private)
}

/// The traits whose methods `kind` and `view` call.
pub(super) fn traits(plan: &Plan<'_>) -> TokenStream {
    let private = private(plan);
    let mut needed = vec!["KindFallible", "KindPlain", "KindRefused", "KindShared", "StoresAll", "StoresOk"];
    if stores_errors(plan) {
        needed.extend(["KindRefusedWhole", "KindWhole"]);
    }
    let is_made = matches!(plan.key, Key::Made(..));
    if plan.receiver.is_some() || is_made {
        needed.extend(["PeelReference", "PeelValue"]);
    }
    if plan.receiver.is_some() || is_made || !plan.key.arguments().is_empty() {
        needed.extend(["Keyed", "Unkeyed"]);
    }
    if plan.refuses.is_some() {
        needed.extend(["CanRefuse", "CannotRefuse"]);
    }
    let needed = needed.into_iter().map(|name| Ident::new(name, Span::call_site()));
    quote!(#[allow(unused_imports)] use #private::probe::{#(#needed as _),*};)
}

/// The trait whose impl the function is of, if it may not be imported: there its items are in scope, and beside it they are not.
pub(super) fn own_trait(plan: &Plan<'_>) -> Option<TokenStream> {
    let mut path = plan.function.block.as_ref()?.of.clone().filter(|path| path.segments.len() > 1)?;
    path.segments.iter_mut().for_each(|segment| segment.arguments = PathArguments::None);
    Some(quote!(#[allow(unused_imports)] use #path as _;))
}

pub(super) fn place(plan: &Plan<'_>) -> TokenStream {
    let ids = |ids: &[Id]| -> Vec<(TokenStream, Span)> {
        let id = |id: &Id| match id {
            Id::Argument(at) => {
                let argument = &plan.function.args[*at];
                (argument.name.to_token_stream(), argument.ty.span())
            }
            Id::Given(value, _) => (quote!((#value)), value.span()),
        };
        ids.iter().map(id).collect()
    };
    match &plan.place {
        Place::Ids(given) => of_ids(plan, &ids(given)),
        other => without_ids(plan, other),
    }
}

/// The parameters of `invalidate_scope`, and the place they say.
pub(super) fn scope(plan: &Plan<'_>) -> (Vec<TokenStream>, TokenStream) {
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
                names.push((argument.name.to_token_stream(), argument.ty.span()));
            }
            Id::Given(_, name) => {
                parameters.push(quote!(#name: impl #private::ScopeId));
                names.push((name.to_token_stream(), name.span()));
            }
        }
    }
    (parameters, of_ids(plan, &names))
}

/// `ids` with where the compiler is to complain of each.
fn of_ids(plan: &Plan<'_>, ids: &[(TokenStream, Span)]) -> TokenStream {
    let (private, levels) = (private(plan), &plan.levels);
    let ids = ids.iter().map(|(id, span)| {
        let here = located(*span);
        quote_spanned!(here=> #private::id(&#id))
    });
    quote!(#private::Place::ids(&[#(#levels),*], [#(#ids),*]))
}

fn without_ids(plan: &Plan<'_>, place: &Place) -> TokenStream {
    let (private, levels) = (private(plan), &plan.levels);
    match place {
        Place::Ambient => quote!(#private::Place::ambient(&[#(#levels),*])),
        _ => quote!(#private::Place::global()),
    }
}

/// The borrowed key, receiver first.
pub(super) fn view(plan: &Plan<'_>) -> TokenStream {
    let private = private(plan);
    let receiver = plan.receiver.iter().flat_map(|receiver| made(plan, &[], receiver));
    let key = match &plan.key {
        Key::Arguments(arguments) => {
            arguments.iter().map(|at| part(plan, &private, &plan.function.args[*at])).collect()
        }
        Key::Made(arguments, value) => made(plan, arguments, value),
    };
    quote!(#private::view() #(#receiver)* #(#key)*)
}

/// The parts of a key that an expression over these arguments gives: one, or those of a tuple, each of which may be a reference.
fn made(plan: &Plan<'_>, arguments: &[usize], value: &syn::Expr) -> Vec<TokenStream> {
    let private = private(plan);
    let parts: Vec<&syn::Expr> = match value {
        syn::Expr::Tuple(tuple) if !tuple.elems.is_empty() => tuple.elems.iter().collect(),
        one => vec![one],
    };
    let arguments: Vec<_> = arguments.iter().map(|at| &plan.function.args[*at]).collect();
    let made = |value: &syn::Expr| {
        if let syn::Expr::Path(path) = value
            && let Some(argument) = arguments.iter().find(|argument| path.path.is_ident(&argument.name))
        {
            return part(plan, &private, argument);
        }
        let needed = arguments
            .iter()
            .filter(|argument| uses(value, &argument.name))
            .map(|argument| borrowed(argument));
        let (here, needed) = (located(value.span()), needed.collect::<Vec<_>>());
        let given = if needed.is_empty() { value.to_token_stream() } else { quote!({ #(#needed)* #value }) };
        quote_spanned! {here=>
            .and((&&#private::probe::Argument(#private::probe::keyed(
                (&&#private::probe::Peel(&(#given))).strata_peel()
            ))).strata_part())
        }
    };
    parts.into_iter().map(made).collect()
}

/// An argument of the key.
fn part(plan: &Plan<'_>, private: &TokenStream, argument: &Argument) -> TokenStream {
    let name = &argument.name;
    match argument.shape() {
        Shape::Optional { target } => quote! {
            .and((&&#private::probe::OptionalArgument(#private::probe::keyed_option::<#target>(#name))).strata_part())
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
            // Of a type parameter the compiler is to say which bounds it lacks, and not what we call them all together.
            let asked =
                if plan.function.is_parameter(target) { quote!(keyed_parameter) } else { quote!(keyed) };
            quote!(.and((&&#private::probe::Argument(#private::probe::#asked::<#target>(#borrowed))).strata_part()))
        }
        Shape::Exclusive => TokenStream::new(),
    }
}

/// An argument as the expression of `key` has it: a reference is what it was, all else is borrowed.
fn borrowed(argument: &Argument) -> TokenStream {
    let (name, ty) = (&argument.name, &argument.ty);
    match argument.shape() {
        Shape::Plain { depth: 0, .. } | Shape::Optional { .. } => quote!(let #name: &#ty = &#name;),
        Shape::Exclusive => quote!(let #name = &*#name;),
        Shape::Plain { .. } => quote!(let #name: #ty = #name;),
    }
}

/// The rules by which values are stored, if there are some.
pub(super) fn rules(plan: &Plan<'_>) -> Option<TokenStream> {
    let (private, kind, returned) = (private(plan), kind(plan), &plan.returned);
    let (when, negative) = (&plan.store.when, &plan.store.negative);
    if when.is_none() && negative.none.is_none() && negative.err.is_none() {
        return None;
    }
    let when = when.iter().map(|when| quote!(.when(#when)));
    let here = located(plan.store.negative_span);
    let none = negative.none.iter().map(|ttl| {
        let ttl = ttl_of(&private, ttl);
        quote_spanned!(here=> .none(#ttl))
    });
    let err = negative.err.iter().map(|ttl| {
        let ttl = ttl_of(&private, ttl);
        quote_spanned!(here=> .err(#ttl))
    });
    Some(quote!(#private::rules::<#returned, _>(#kind) #(#when)* #(#none)* #(#err)*))
}

/// The tags of the entry.
pub(super) fn tags(plan: &Plan<'_>) -> TokenStream {
    let private = private(plan);
    let tags = plan.store.tags.iter().map(|tag| {
        let text = &tag.text;
        let made = if tag.is_global { quote!(global) } else { quote!(own) };
        quote!(#private::tags::#made(::core::format_args!(#text)))
    });
    quote!([#(#tags),*])
}

/// Whether errors are values.
fn stores_errors(plan: &Plan<'_>) -> bool {
    plan.store.negative.err.is_some()
}

/// How the return type is taken apart, found under the return type itself.
pub(super) fn kind(plan: &Plan<'_>) -> TokenStream {
    let (private, returned) = (private(plan), &plan.returned);
    let here = located(returned.span());
    let kind = if plan.function.is_parameter(returned) {
        quote_spanned! {here=> {
            #private::probe::storable_parameter::<#returned>();
            (&&&&#private::probe::Returned::<#returned>::new()).strata_kind()
        }}
    } else if stores_errors(plan) {
        quote_spanned! {here=> {
            #private::probe::storable_whole::<#returned>();
            (&&#private::probe::Returned::<#returned>::new()).strata_whole()
        }}
    } else {
        quote_spanned! {here=> {
            #private::probe::storable((&&#private::probe::Returned::<#returned>::new()).strata_stored());
            (&&&&#private::probe::Returned::<#returned>::new()).strata_kind()
        }}
    };
    let Some(span) = plan.refuses else { return kind };
    let here = located(span);
    quote_spanned! {here=> {
        #private::probe::refusable::<#returned>();
        (&&#private::probe::Returned::<#returned>::new()).strata_refusing(#kind)
    }}
}

/// A place for messages that still counts as written by the macro, for lints.
fn located(span: Span) -> Span {
    Span::call_site().located_at(span)
}

pub(super) fn parameter(argument: &Argument) -> TokenStream {
    let (name, ty) = (&argument.name, &argument.ty);
    quote!(#name: #ty)
}
