//! Whether a function may be cached as written, and what that means: the only place where rules live.
//!
//! (1) All rules are asked, whatever the others said. (2) A parameter that gives an id of the path by its name is
//! not part of the key; every other is, unless skipped. (3) Nothing that borrows is stored or returned.

mod ids;
mod types;

use proc_macro2::Ident;
use syn::ext::IdentExt;
use syn::{Expr, GenericParam, Path, ReceiverKind, Safety, Type, parse_quote};

use crate::args::{Args, Max, WithoutScope};
use crate::faults::Faults;
use crate::item::{Function, Home, Shape, mentions};
use crate::options::Known;
use crate::suggest::or_known;
use crate::ttl::Ttl;

pub(crate) use ids::{Id, Place};

/// A cached function that may be expanded.
pub(crate) struct Plan<'a> {
    pub(crate) function: &'a Function,
    pub(crate) krate: Path,
    pub(crate) levels: Vec<String>,
    pub(crate) place: Place,
    /// The arguments of the key, by position.
    pub(crate) key: Vec<usize>,
    /// The arguments that the companions `invalidate` and `peek` take, by position.
    pub(crate) asked: Vec<usize>,
    pub(crate) receiver: Option<Expr>,
    pub(crate) returned: Type,
    pub(crate) ttl: Option<Ttl>,
    pub(crate) max: Option<Max>,
    pub(crate) without_scope: WithoutScope,
    /// Where `without_scope` was written.
    pub(crate) without_scope_span: proc_macro2::Span,
}

/// Asks all rules; the plan is whole if no fault was added.
pub(crate) fn check<'a>(args: Args, function: &'a Function, faults: &mut Faults) -> Option<Plan<'a>> {
    qualifiers(function, faults);
    generics(&function.item.sig.generics, "cached functions", faults);
    receiver(&args, function, faults);
    types::returned(function, faults);
    let skipped = skipped(&args, function, faults);
    let place = ids::place(&args, function, faults);
    let ids: Vec<usize> = place.iter().flat_map(Place::arguments).collect();
    for (i, skip) in args.skip.iter().enumerate() {
        if skipped.get(i).is_some_and(|at| at.is_some_and(|at| ids.contains(&at))) {
            faults.at(skip.span(), format!("`{skip}` is an id of the scope and not part of the key anyway"));
        }
    }
    let is_skipped = |at: &usize| skipped.contains(&Some(*at));
    let key: Vec<_> = (0..function.args.len()).filter(|at| !is_skipped(at) && !ids.contains(at)).collect();
    for (at, argument) in function.args.iter().enumerate() {
        if let Some(attr) = argument.attrs.iter().find(|attr| attr.path().is_ident("cfg")) {
            faults
                .on(attr, "a cached function has the same arguments everywhere: no `#[cfg]` on one of them");
        }
        if key.contains(&at) {
            types::argument(argument, faults);
        } else if ids.contains(&at) && matches!(argument.shape(), Shape::Exclusive) {
            faults.on(&argument.ty, "an id of the scope is read only: take it by value or `&`");
        }
    }
    let (levels, place, returned) = (args.levels?, place?, function.returned()?.clone());
    let used = |at: &usize| place.expressions().any(|id| mentions(id, &function.args[*at].name));
    let asked = (0..function.args.len()).filter(|at| !is_skipped(at) || used(at)).collect();
    let (without_scope, without_scope_span) =
        args.without_scope.unwrap_or((WithoutScope::Bypass, levels.span));
    Some(Plan {
        function,
        krate: args.krate.unwrap_or_else(|| parse_quote!(::strata_cache)),
        levels: levels.names,
        key,
        asked,
        receiver: args.receiver.map(|(_, receiver)| receiver),
        place,
        returned,
        ttl: args.ttl,
        max: args.max,
        without_scope,
        without_scope_span,
    })
}

fn qualifiers(function: &Function, faults: &mut Faults) {
    let sig = &function.item.sig;
    if let Some(token) = &sig.constness {
        faults.on(token, "a `const fn` cannot be cached: a cache is not there at compile time");
    }
    if let Safety::Unsafe(token) = &sig.safety {
        faults.on(
            token,
            "an `unsafe fn` cannot be cached: what its caller promised for one call does not hold for the stored \
             value; cache a safe function around it",
        );
    }
    if let Some(abi) = &sig.abi {
        faults.on(abi, "an `extern fn` cannot be cached; cache a Rust function and call that");
    }
    if let Some(variadic) = &sig.variadic {
        faults.on(variadic, "a variadic function cannot be cached");
    }
}

/// Type and const parameters are a later release's; lifetimes are fine.
pub(crate) fn generics(generics: &syn::Generics, what: &str, faults: &mut Faults) {
    for param in &generics.params {
        let name = match param {
            GenericParam::Lifetime(_) => continue,
            GenericParam::Type(param) => &param.ident,
            GenericParam::Const(param) => &param.ident,
        };
        faults.at(
            name.span(),
            format!("{what} with type or const parameters are not yet available; write one per type for now"),
        );
    }
}

fn receiver(args: &Args, function: &Function, faults: &mut Faults) {
    const ANNOTATE: &str = "a method is cached inside an impl block that is annotated itself: write `#[cached]` \
                            above `impl`, and keep this attribute on the method";
    let Some(receiver) = &function.receiver else {
        if let Some((span, _)) = &args.receiver {
            faults.at(*span, "`receiver` says what identifies `self`, and this function has no `self`");
        }
        let item = &function.item;
        let body = &item.block;
        let of_type = Ident::new("Self", proc_macro2::Span::call_site());
        if function.home == Home::Free && (mentions(&item.sig, &of_type) || mentions(body, &of_type)) {
            faults.at(function.name().span(), ANNOTATE.replace("a method", "an associated function"));
        }
        return;
    };
    let shared = match &receiver.kind {
        ReceiverKind::Reference(_, _, None) => true,
        ReceiverKind::Typed(_, ty) => matches!(&**ty, Type::Reference(ty) if ty.mutability.is_none()),
        _ => false,
    };
    if !shared {
        faults.on(
            receiver,
            "a cached method takes `&self`: a call that is served does not run, and moves nothing",
        );
    }
    if function.home == Home::Free {
        faults.on(receiver, ANNOTATE);
    } else if !args.has(Known::Receiver) {
        faults.on(
            receiver,
            "what identifies `self`? write `receiver = self.id` (any expression that can be a key), or \
             `receiver = ()` if the result does not depend on it",
        );
    }
}

/// The position of each skipped argument.
fn skipped(args: &Args, function: &Function, faults: &mut Faults) -> Vec<Option<usize>> {
    let mut found = Vec::new();
    for skip in &args.skip {
        if skip == "self" {
            faults.at(skip.span(), "`self` is left out of the key by `receiver = ()`");
            found.push(None);
            continue;
        }
        let at = function.args.iter().position(|argument| argument.bindings.contains(skip));
        match at {
            None => {
                let name = skip.unraw();
                faults
                    .at(skip.span(), format!("no parameter is called `{name}`{}", or_names(&name, function)));
            }
            Some(at) => {
                let left = function.args[at].bindings.iter().find(|binding| !args.skip.contains(binding));
                if let Some(left) = left {
                    faults.at(
                        skip.span(),
                        format!("`{skip}` is one pattern with `{left}`: skip both or neither"),
                    );
                }
            }
        }
        found.push(at);
    }
    found
}

fn or_names(name: &Ident, function: &Function) -> String {
    let names: Vec<_> =
        function.args.iter().flat_map(|arg| &arg.bindings).map(|name| name.unraw().to_string()).collect();
    or_known(&name.to_string(), names.iter().map(String::as_str))
}
